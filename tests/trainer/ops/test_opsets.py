"""Lowerings that differ from opset to opset give the same values in onnxruntime on all of them."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import run_graph
from sardonyx.trainer.ops.activation import mish

X = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4)
FUNCTIONS = {
    "all": lambda x: ops.all(x > 0, axis=1),
    "any": lambda x: ops.any(x > 0, axis=1),
    "cumprod": lambda x: ops.cumprod(x, axis=1),
    "gelu": lambda x: ops.gelu(x, approximate=False),
    "gelu_tanh": ops.gelu,
    "isfinite": ops.isfinite,
    "isinf_half": lambda x: ops.isinf(ops.cast(x, "float16")),
    "leaky_relu_double": lambda x: ops.leaky_relu(ops.cast(x, "float64")),
    "logsumexp": lambda x: ops.logsumexp(x, axis=1),
    "max": lambda x: ops.max(x, axis=1),
    "max_integers": lambda x: ops.max(ops.cast(x, "int8"), axis=1),
    "mean": lambda x: ops.mean(x, axis=1, keepdims=True),
    "mish": mish,
    "prod": lambda x: ops.prod(x, axis=0),
    "silu": ops.silu,
    "softmax": lambda x: ops.softmax(x, axis=1),
    "sort": ops.sort,
    "sum": lambda x: ops.sum(x, axis=0),
    "where": lambda x: ops.where(x > 0, x, -x),
}


@pytest.mark.parametrize("opset", [17, 18, 20, 21, 24])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_opset(name, opset):
    if opset > 23 and tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 24):
        pytest.skip("this onnxruntime is older than the opset")
    graph = sx.trace(FUNCTIONS[name], sx.TensorSpec(("batch", 4), "float32"))
    result = run_graph(graph, X, opset=opset)
    np.testing.assert_allclose(np.asarray(result[0]), FUNCTIONS[name](X).numpy(), rtol=1e-4, atol=1e-5)
