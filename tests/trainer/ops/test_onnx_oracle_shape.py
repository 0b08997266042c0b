"""ONNX's own node cases as the oracle for shapes, indexing, joins and products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx_oracle import attributes_of, node_cases

from sardonyx import ops
from sardonyx.trainer.ops.elements import gather_elements
from sardonyx.trainer.ops.gather import gather_nd_primitive


def reshape(x, shape, allowzero=0):
    sizes = [x.shape[i] if size == 0 and not allowzero else int(size) for i, size in enumerate(shape)]
    return ops.reshape(x, sizes)


def sliced(x, starts, ends, axes=None, steps=None):
    key = [slice(None)] * x.ndim
    for i, start in enumerate(starts):
        axis = i if axes is None else int(axes[i])
        key[axis] = slice(int(start), int(ends[i]), 1 if steps is None else int(steps[i]))
    return ops.get_item(x, tuple(key))


def split(x, sizes=None, axis=0, num_outputs=None, split=None):
    given = sizes if sizes is not None else split
    if given is not None:
        return ops.split(x, np.cumsum(given)[:-1].tolist(), axis)
    length = -(-x.shape[axis] // num_outputs)
    return ops.split(x, [min(length * i, x.shape[axis]) for i in range(1, num_outputs)], axis)


def pad(x, pads, value=0, axes=None, mode=b"constant"):
    axes = range(x.ndim) if axes is None else [int(a) % x.ndim for a in axes]
    half = len(pads) // 2
    widths = [(0, 0)] * x.ndim
    for i, axis in enumerate(axes):
        widths[axis] = (int(pads[i]), int(pads[half + i]))
    name = mode.decode()
    return ops.pad(x, widths, name, float(value) if name == "constant" else None)


def scatter_nd(x, indices, updates, reduction=b"none"):
    return ops.scatter_update(x, indices, updates, None if reduction == b"none" else reduction.decode())


def one_hot(x, depth, values, axis=-1):
    off, on = values
    numbers = x.astype("int64")
    encoded = ops.one_hot(numbers + int(depth) * (numbers < 0), int(depth), axis=axis)  # ONNX counts back, Keras not
    return ops.cast(encoded * (on - off) + off, values.dtype)


def expand(x, shape):
    return ops.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(int(size) for size in shape)))


def constant_of_shape(shape, value=None):
    value = np.zeros(1, "float32") if value is None else np.asarray(value)
    return ops.full(shape, value.item(), value.dtype)


def norm(x, axes=None, keepdims=1, noop_with_empty_axes=0):
    whole = None if axes is None or not len(axes) else tuple(int(a) for a in axes)
    return ops.norm(x, axis=whole, keepdims=bool(keepdims))


def tensor_value(attribute: Any) -> Any:
    from onnx.numpy_helper import to_array

    return to_array(attribute)


OPERATORS = {
    "Compress": lambda x, mask, axis=None: (
        ops.ravel(x)[np.flatnonzero(mask)] if axis is None else ops.take(x, np.flatnonzero(mask), axis)
    ),
    "Concat": lambda *xs, axis: ops.concatenate(xs, axis),
    "ConstantOfShape": constant_of_shape,
    "Det": ops.det,
    "Einsum": lambda *xs, equation: ops.einsum(equation.decode(), *xs),
    "Expand": expand,
    "EyeLike": lambda x, dtype=1, k=0: ops.eye(*x.shape, k, {1: "float32", 6: "int32", 11: "float64"}[dtype]),
    "Gather": lambda x, i, axis=0: ops.take(x, i, axis),
    "GatherElements": lambda x, i, axis=0: gather_elements(x, i, axis),
    "GatherND": gather_nd_primitive,
    "Identity": ops.copy,
    "MatMul": ops.matmul,
    "NonZero": lambda x: np.stack([np.asarray(part) for part in ops.nonzero(x)]),
    "OneHot": one_hot,
    "Pad": pad,
    "ReduceL2": norm,
    "Reshape": reshape,
    "ScatterND": scatter_nd,
    "Slice": sliced,
    "Split": split,
    "Squeeze": lambda x, axes=None: ops.squeeze(x, None if axes is None else tuple(int(a) for a in axes)),
    "Tile": ops.tile,
    "Transpose": lambda x, perm=None: ops.transpose(x, perm),
    "Trilu": lambda x, k=0, upper=1: ops.triu(x, int(k)) if upper else ops.tril(x, int(k)),
    "Unsqueeze": lambda x, axes: ops.expand_dims(x, tuple(int(a) for a in axes)),
}
# equal parts of Split before opset 18 (their number is that of the outputs);
# batch axes of GatherND, wrapping pads, negative pads, sequences and optional types have no form in Keras's names
SKIPPED = (
    "batch_dim",
    "_opset13",
    "wrap",
    "negative_pads",
    "sequence",
    "opt",
    "empty_set",
    "zero_size",
    "bfloat16",
    "string",
)
CASES = node_cases(OPERATORS, SKIPPED)


def compute(node, inputs):
    attributes = attributes_of(node)
    if node.op_type == "ConstantOfShape" and "value" in attributes:
        attributes["value"] = tensor_value(attributes["value"])
    given = dict(zip(node.input, inputs, strict=False))
    values = iter(inputs)
    arguments = [None if not name else given.get(name, next(values, None)) for name in node.input]
    if node.op_type == "Pad" and len(arguments) > 2 and arguments[2] is None:
        arguments[2] = 0
    return OPERATORS[node.op_type](*arguments, **attributes)


def test_collected_many():
    assert len(CASES) > 100


@pytest.mark.parametrize("item", CASES, ids=[case.name for case in CASES])
def test_oracle(item):
    for inputs, outputs in item.data_sets:
        result = compute(item.model.graph.node[0], inputs)
        results = result if isinstance(result, list) else [result]
        assert len(results) == len(outputs)
        for ours, theirs in zip(results, outputs, strict=True):
            assert ours.shape == theirs.shape
            np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-4, atol=1e-5)
