"""Shapes and axes: reshape, transpose, squeeze, concatenate, split, expand, tile."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.dims import ceil_divide, product
from ...trainer.core.tensor import Tensor
from .table import Call, operator
from .values import Value, axis_in, integers, is_native, is_plain, is_string, known


@operator("Identity", raw=True)
def identity(call: Call, x: Value) -> Value:
    """The value itself."""
    return x


@operator("Reshape", raw=True)
def reshape(call: Call, x: Any, shape: Any = None) -> Tensor:
    """Another shape; 0 keeps a size, -1 takes the rest."""
    x = _tensor(x)
    given = integers(call, call.get("shape") if shape is None else shape, "the shape")
    wanted = [
        x.shape[i] if type(size) is int and size == 0 and not call.get("allowzero", 0) else size
        for i, size in enumerate(given)
    ]
    if is_string(x) or (is_plain(x) and -1 not in wanted):
        return Tensor(np.reshape(x.array, wanted)) if x.array is not None else ops.reshape(x, wanted)
    return ops.reshape(x, wanted)


def _tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else x.tensor()


@operator("Flatten", raw=True)
def flatten(call: Call, x: Tensor) -> Tensor:
    """Two axes: what is before `axis`, and the rest."""
    axis = call.get("axis", 1)
    axis = axis + len(x.shape) if axis < 0 else axis
    return ops.reshape(x, (product(x.shape[:axis]), product(x.shape[axis:])))


@operator("Transpose", raw=True)
def transpose(call: Call, x: Tensor) -> Tensor:
    """The axes in another order; reversed by default."""
    return ops.transpose(_tensor(x), call.get("perm"))


def _axes(call: Call, axes: Any) -> list[int] | None:
    given = call.get("axes") if axes is None else axes
    return None if given is None else integers(call, given, "the axes")  # pyright: ignore[reportReturnType]


@operator("Squeeze", raw=True)
def squeeze(call: Call, x: Tensor, axes: Any = None) -> Tensor:
    """Without axes of size 1."""
    return ops.squeeze(_tensor(x), _axes(call, axes))


@operator("Unsqueeze", raw=True)
def unsqueeze(call: Call, x: Tensor, axes: Any = None) -> Tensor:
    """With new axes of size 1."""
    return ops.expand_dims(_tensor(x), _axes(call, axes) or [])


@operator("Concat", raw=True)
def concat(call: Call, *inputs: Value) -> Tensor:
    """Tensors joined along an axis."""
    tensors = [_tensor(x) for x in inputs]
    axis = call.get("axis", 1)
    if not is_native(tensors[0].dtype):
        return Tensor(np.concatenate([x.value("joining") for x in tensors], axis))
    return ops.concatenate(tensors, axis=axis)


@operator("Expand", raw=True)
def expand(call: Call, x: Tensor, shape: Any) -> Tensor:
    """Broadcast against a shape, in both directions."""
    x = _tensor(x)
    wanted, own = integers(call, shape, "the shape"), list(x.shape)
    rank = max(len(wanted), len(own))
    wanted, own = [1] * (rank - len(wanted)) + wanted, [1] * (rank - len(own)) + own
    sizes: Any = [b if a == 1 else a for a, b in zip(wanted, own, strict=True)]
    return (
        Tensor(np.broadcast_to(x.value("broadcasting"), sizes))
        if is_plain(x) and known(shape) is not None
        else (ops.broadcast_to(x, sizes))
    )


@operator("Tile", raw=True)
def tile(call: Call, x: Tensor, repeats: Any, axis: Any = None) -> Tensor:
    """The tensor repeated along its axes; in version 1 along one."""
    counts = integers(call, repeats, "the repeats")
    if axis is not None:
        along = integers(call, axis, "the axis")[0]
        counts = [counts[0] if i == along else 1 for i in range(len(x.shape))]
    return ops.tile(_tensor(x), counts)


@operator("Split", raw=True)
def split(call: Call, x: Tensor, sizes: Any = None) -> tuple[Tensor, ...]:
    """Parts along an axis: of given sizes, or as many as there are outputs, the last one smaller if need be."""
    axis = axis_in(call, call.get("axis", 0), len(x.shape))
    given = call.get("split") if sizes is None else sizes
    if given is not None:
        lengths = integers(call, given, "the sizes")
    else:
        count = call.get("num_outputs") or len(call.wanted)
        part = ceil_divide(x.shape[axis], count)
        lengths = [part] * (count - 1) + [x.shape[axis] - part * (count - 1)]
    parts: list[Tensor] = []
    start: Any = 0
    for length in lengths:
        index = (*[slice(None)] * axis, slice(start, start + length))
        parts.append(Tensor(x.value("splitting")[index]) if is_plain(x) else x[index])
        start = start + length
    return tuple(parts)


@operator("Trilu")
def triangle(call: Call, x: Tensor, diagonal: Any = None) -> Tensor:
    """The upper or lower triangle, the rest zeros."""
    k: Any = 0 if diagonal is None else integers(call, diagonal, "the diagonal")[0]
    return ops.triu(x, k) if call.get("upper", 1) else ops.tril(x, k)


@operator("DepthToSpace")
def depth_to_space(call: Call, x: Tensor) -> Tensor:
    """Blocks of channels become blocks of space, in the order of columns or rows."""
    n, c, h, w = x.shape
    b = call.get("blocksize")
    if call.get("mode", "DCR") == "DCR":
        split = ops.transpose(ops.reshape(x, (n, b, b, c // (b * b), h, w)), (0, 3, 4, 1, 5, 2))
    else:
        split = ops.transpose(ops.reshape(x, (n, c // (b * b), b, b, h, w)), (0, 1, 4, 2, 5, 3))
    return ops.reshape(split, (n, c // (b * b), h * b, w * b))


@operator("SpaceToDepth")
def space_to_depth(call: Call, x: Tensor) -> Tensor:
    """Blocks of space become channels, in the order of rows or columns."""
    n, c, h, w = x.shape
    b = call.get("blocksize")
    order = (0, 3, 5, 1, 2, 4) if call.get("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    split = ops.transpose(ops.reshape(x, (n, c, h // b, b, w // b, b)), order)
    return ops.reshape(split, (n, c * b * b, h // b, w // b))
