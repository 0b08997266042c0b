"""ONNX's own node cases as the oracle: our NumPy kernels on the standard's inputs, against its outputs."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_oracle import attributes_of, node_cases

from sardonyx import ops
from sardonyx.trainer.ops.activation import mish

SIMPLE = {
    "Abs": ops.absolute, "Acos": ops.arccos, "Acosh": ops.arccosh, "Add": ops.add, "And": ops.logical_and,
    "Asin": ops.arcsin, "Asinh": ops.arcsinh, "Atan": ops.arctan, "Atanh": ops.arctanh,
    "BitwiseAnd": ops.bitwise_and, "BitwiseNot": ops.bitwise_not, "BitwiseOr": ops.bitwise_or,
    "BitwiseXor": ops.bitwise_xor, "Ceil": ops.ceil, "Cos": ops.cos, "Cosh": ops.cosh, "Equal": ops.equal,
    "Erf": ops.erf, "Exp": ops.exp, "Floor": ops.floor, "Greater": ops.greater, "GreaterOrEqual": ops.greater_equal,
    "HardSwish": ops.hard_silu, "IsNaN": ops.isnan, "Less": ops.less, "LessOrEqual": ops.less_equal, "Log": ops.log,
    "Mish": mish, "Mul": ops.multiply, "Neg": ops.negative, "Not": ops.logical_not, "Or": ops.logical_or,
    "Pow": ops.power, "Reciprocal": ops.reciprocal, "Relu": ops.relu, "Round": ops.round, "Sigmoid": ops.sigmoid,
    "Sign": ops.sign, "Sin": ops.sin, "Sinh": ops.sinh, "Softplus": ops.softplus, "Softsign": ops.softsign,
    "Sqrt": ops.sqrt, "Sub": ops.subtract, "Tan": ops.tan, "Tanh": ops.tanh, "Where": ops.where, "Xor": ops.logical_xor,
}  # fmt: skip
WITH_ATTRIBUTES = {
    "Celu": lambda x, alpha=1.0: ops.celu(x, alpha),
    "Div": ops.divide,
    "Elu": lambda x, alpha=1.0: ops.elu(x, alpha),
    "Gelu": lambda x, approximate=b"none": ops.gelu(x, approximate == b"tanh"),
    "LeakyRelu": lambda x, alpha=0.01: ops.leaky_relu(x, alpha),
    "LogSoftmax": lambda x, axis=-1: ops.log_softmax(x, axis),
    "Mod": lambda x, y, fmod=0: ops.fmod(x, y) if fmod else ops.mod(x, y),
    "Shrink": lambda x, lambd=0.5, bias=0.0: ops.soft_shrink(x, lambd) if bias else ops.hard_shrink(x, lambd),
    "Softmax": lambda x, axis=-1: ops.softmax(x, axis),
    "ArgMax": lambda x, axis=0, keepdims=1, select_last_index=0: ops.argmax(x, axis, bool(keepdims)),
    "ArgMin": lambda x, axis=0, keepdims=1, select_last_index=0: ops.argmin(x, axis, bool(keepdims)),
    "Max": lambda *xs: xs[0] if len(xs) == 1 else ops.maximum(ops.maximum(xs[0], xs[1]), xs[-1]),
    "Min": lambda *xs: xs[0] if len(xs) == 1 else ops.minimum(ops.minimum(xs[0], xs[1]), xs[-1]),
    "ReduceLogSumExp": ops.logsumexp, "ReduceMax": ops.max, "ReduceMean": ops.mean, "ReduceMin": ops.min,
    "ReduceProd": ops.prod, "ReduceSum": ops.sum,
}  # fmt: skip
# ONNX's Div truncates integers, ops.divide is true division; Mod with the dividend's sign on integers is fmod=1;
# the last of equal maxima, Shrink with unequal limits and reductions of nothing have no form in Keras's names.
SKIPPED = ("_int8", "_int16", "_uint", "select_last_index", "test_shrink_hard", "_empty_set", "_bcast_uint", "expanded",
           "test_pow_types", "test_isinf", "test_reduce_max_empty", "bfloat16", "div_int32")  # fmt: skip


CASES = node_cases([*SIMPLE, *WITH_ATTRIBUTES], SKIPPED)


def compute(node, inputs):
    """Our operation on the inputs of a case."""
    attributes = attributes_of(node)
    if node.op_type in SIMPLE:
        return SIMPLE[node.op_type](*inputs)
    if node.op_type.startswith("Reduce"):
        axes = attributes.get("axes", inputs[1].tolist() if len(inputs) > 1 else None)
        if not axes and attributes.get("noop_with_empty_axes"):
            return inputs[0]
        return WITH_ATTRIBUTES[node.op_type](inputs[0], axes or None, bool(attributes.get("keepdims", 1)))
    return WITH_ATTRIBUTES[node.op_type](*inputs, **attributes)


def test_collected_many():
    assert len(CASES) > 150


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("item", CASES, ids=[case.name for case in CASES])
def test_oracle(item):
    node = item.model.graph.node[0]
    for inputs, outputs in item.data_sets:
        result = np.asarray(compute(node, inputs))
        assert result.shape == outputs[0].shape
        np.testing.assert_allclose(result, outputs[0], rtol=1e-4, atol=1e-5)
