"""Repetition, reversal and rotation: tile, repeat, flip, roll, rot90; and copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.dims import Size, bounds
from ..core.dtypes import as_dtype
from ..core.emitter import Emitter, Value, onnx_operator
from ..core.errors import ShapeError, format_shape
from ..core.primitive import Primitive, unsupported_lowering
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .axes import Axes, axes_of, axis_of, transpose
from .broadcast import as_sizes, reshape, sum_axes
from .convert import convert_to_tensor
from .gather import take_primitive
from .join import concatenate_primitive
from .rules import infer_same
from .slicing import WHOLE, index_primitive

__all__ = ["copy", "flip", "fliplr", "flipud", "repeat", "roll", "rot90", "tile", "view"]

_INT64 = np.dtype(np.int64)


def _tile_infer(x: TensorSpec, *, repeats: tuple[Size, ...]) -> TensorSpec:
    return TensorSpec(tuple(size * count for size, count in zip(x.shape, repeats, strict=True)), x.dtype)


def _tile_lower(emit: Emitter, x: Value, *, repeats: tuple[Size, ...]) -> Value:
    return emit("Tile", x, emit.shape(repeats), spec=_tile_infer(x.spec, repeats=repeats))


def _tile_vjp(g: Tensor, out: Tensor, x: Tensor, *, repeats: tuple[Size, ...]) -> Tensor:
    split = [size for pair in zip(repeats, x.shape, strict=True) for size in pair]
    return sum_axes(reshape(g, split), tuple(range(0, len(split), 2)), False)


tile_primitive = Primitive(
    name="tile",
    run=lambda x, *, repeats: np.tile(x, [count.__index__() for count in repeats]),
    infer=_tile_infer,
    lower=_tile_lower,
    vjp=(_tile_vjp,),
    residuals="none",
)


def tile(x: Any, repeats: Any) -> Tensor:
    """The whole tensor repeated along its axes, a number an axis; missing ones in front are 1 (ONNX: Tile).

    >>> import sardonyx as sx
    >>> sx.ops.tile([1, 2], 2).tolist(), sx.ops.tile([1, 2], (2, 1)).tolist()
    ([1, 2, 1, 2], [[1, 2], [1, 2]])
    """
    tensor = convert_to_tensor(x)
    counts = as_sizes(repeats)
    if any(isinstance(count, int) and count < 0 for count in counts):
        raise ShapeError(f"tile: repeats must not be negative, got {counts}")
    rank = len(tensor.shape)
    if len(counts) > rank:
        tensor = reshape(tensor, (1,) * (len(counts) - rank) + tensor.shape)
    counts = (1,) * (rank - len(counts)) + counts
    return tensor if all(count == 1 for count in counts) else tile_primitive(tensor, repeats=counts)


def _repeat_infer(x: TensorSpec, *, repeats: Size, axis: int) -> TensorSpec:
    return TensorSpec((*x.shape[:axis], x.shape[axis] * repeats, *x.shape[axis + 1 :]), x.dtype)


def _repeat_lower(emit: Emitter, x: Value, *, repeats: Size, axis: int) -> Value:
    before, size, behind = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    thin = TensorSpec((*before, size, 1, *behind), x.dtype)
    inner = emit("Unsqueeze", x, emit.constant([axis + 1], _INT64), spec=thin)
    counts = emit.shape(tuple(repeats if i == axis + 1 else 1 for i in range(thin.rank)))
    inner = emit("Tile", inner, counts, spec=TensorSpec((*before, size, repeats, *behind), x.dtype))
    return emit.reshape(inner, (*before, size * repeats, *behind))


def _repeat_vjp(g: Tensor, out: Tensor, x: Tensor, *, repeats: Size, axis: int) -> Tensor:
    split = (*x.shape[: axis + 1], repeats, *x.shape[axis + 1 :])
    return sum_axes(reshape(g, split), (axis + 1,), False)


repeat_primitive = Primitive(
    name="repeat",
    run=lambda x, *, repeats, axis: x.repeat(repeats.__index__(), axis),
    infer=_repeat_infer,
    lower=_repeat_lower,
    vjp=(_repeat_vjp,),
    residuals="none",
)


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element along an axis repeated, by one number or by one for each; flattened when `axis` is None.

    Numbers for each element must be known (not symbolic): they decide the result's size.

    >>> import sardonyx as sx
    >>> sx.ops.repeat([1, 2], 2).tolist(), sx.ops.repeat([1, 2], [3, 1]).tolist()
    ([1, 1, 2, 2], [1, 1, 1, 2])
    """
    tensor = convert_to_tensor(x)
    if axis is None:
        tensor, axis = reshape(tensor, (-1,)), 0
    place = axis_of(axis, len(tensor.shape), "repeat")
    counts = as_sizes(repeats)
    if any(isinstance(count, int) and count < 0 for count in counts):
        raise ShapeError(f"repeat: repeats must not be negative, got {counts}")
    if len(counts) == 1:
        return tensor if counts[0] == 1 else repeat_primitive(tensor, repeats=counts[0], axis=place)
    size = tensor.shape[place]
    if len(counts) != size:
        raise ShapeError(
            f"repeat: expected 1 or {size} repeats for axis {place} of {format_shape(tensor.shape)}, got {len(counts)}"
        )
    positions = np.repeat(np.arange(len(counts)), counts)
    return take_primitive(tensor, Tensor(positions.astype(np.int32)), axis=place)


def flip(x: Any, axis: Axes | None = None) -> Tensor:
    """The elements in reverse order along axes, all when `axis` is None (ONNX: Slice).

    >>> import sardonyx as sx
    >>> sx.ops.flip([[1, 2], [3, 4]], axis=1).tolist()
    [[2, 1], [4, 3]]
    """
    tensor = convert_to_tensor(x)
    rank = len(tensor.shape)
    axes = tuple(range(rank)) if axis is None else axes_of(axis, rank, "flip")
    if not axes:
        return tensor
    return index_primitive(tensor, items=tuple((None, None, -1) if i in axes else WHOLE for i in range(max(axes) + 1)))


def fliplr(x: Any) -> Tensor:
    """The elements in reverse order along the second axis (ONNX: Slice)."""
    return flip(x, axis=1)


def flipud(x: Any) -> Tensor:
    """The elements in reverse order along the first axis (ONNX: Slice)."""
    return flip(x, axis=0)


def roll(x: Any, shift: int | Sequence[int], axis: Axes | None = None) -> Tensor:
    """The elements moved along axes, the last ones coming back in front; of the flattened tensor when `axis` is None.

    >>> import sardonyx as sx
    >>> sx.ops.roll([1, 2, 3, 4], 1).tolist()
    [4, 1, 2, 3]
    """
    tensor = convert_to_tensor(x)
    if axis is None:
        total = sum(as_sizes(shift))
        return reshape(_roll(reshape(tensor, (-1,)), total, 0), tensor.shape)
    given = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    axes = [axis_of(a, len(tensor.shape), "roll") for a in given]
    shifts = as_sizes(shift)
    if len(shifts) not in (1, len(axes)):
        raise ShapeError(f"roll: expected 1 or {len(axes)} shifts for axes {given}, got {shifts}")
    for place, amount in zip(axes, shifts * (len(axes) if len(shifts) == 1 else 1), strict=True):
        tensor = _roll(tensor, amount, place)
    return tensor


def _roll(x: Tensor, shift: int, axis: int) -> Tensor:
    size = x.shape[axis]
    least = size if isinstance(size, int) else bounds(size)[0] or 0
    if isinstance(size, int):
        shift = shift % size if size else 0
    if isinstance(shift, int) and shift == 0:
        return x
    cut = -shift if isinstance(shift, int) and abs(shift) <= least else size - shift % size
    before = [WHOLE] * axis
    parts = [index_primitive(x, items=(*before, item)) for item in ((cut, None, None), (None, cut, None))]
    rolled = concatenate_primitive(*parts, axis=axis)
    return rolled if rolled.shape == x.shape else reshape(rolled, x.shape)


def rot90(array: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """Rotated by `k` quarter turns in the plane of two axes, from the first towards the second.

    >>> import sardonyx as sx
    >>> sx.ops.rot90([[1, 2], [3, 4]]).tolist()
    [[2, 4], [1, 3]]
    """
    tensor = convert_to_tensor(array)
    rank = len(tensor.shape)
    if rank < 2 or len(axes) != 2:
        raise ShapeError(f"rot90: expected two axes of at least two, got {axes} of {format_shape(tensor.shape)}")
    first, second = axes_of(axes, rank, "rot90")
    turns = k % 4
    if turns == 2:
        return flip(tensor, (first, second))
    if not turns:
        return tensor
    order = list(range(rank))
    order[first], order[second] = second, first
    return transpose(flip(tensor, second), order) if turns == 1 else flip(transpose(tensor, order), second)


copy_primitive = Primitive(
    name="copy",
    run=lambda x: x.copy(),
    infer=infer_same,
    lower=onnx_operator("Identity"),
    vjp=(lambda g, out, x: g,),
    residuals="none",
)


def copy(x: Any) -> Tensor:
    """A copy in memory of its own (ONNX: Identity)."""
    return copy_primitive(convert_to_tensor(x))


def _view_infer(x: TensorSpec, *, dtype: np.dtype) -> TensorSpec:
    old, new = x.dtype.itemsize, dtype.itemsize
    if old == new:
        return TensorSpec(x.shape, dtype)
    if not x.rank:
        raise ShapeError(f"a scalar of {x.dtype.name} cannot be read as {dtype.name}, whose size differs")
    if (x.shape[-1] * old) % new != 0:
        raise ShapeError(f"the last axis of {format_shape(x.shape)} does not hold whole elements of {dtype.name}")
    return TensorSpec((*x.shape[:-1], x.shape[-1] * old // new), dtype)


view_primitive = Primitive(
    name="view",
    run=lambda x, *, dtype: np.ascontiguousarray(x).reshape(x.shape).view(dtype),
    infer=_view_infer,
    lower=unsupported_lowering("view"),
    residuals="none",
)


def view(x: Any, dtype: Any = None) -> Tensor:
    """The same bytes read as another element type; the last axis changes with its size. Not exportable to ONNX.

    >>> import sardonyx as sx
    >>> sx.ops.view(sx.ops.convert_to_tensor([1.0], "float32"), "int32").tolist()
    [1065353216]
    """
    tensor = convert_to_tensor(x)
    return tensor if dtype is None else view_primitive(tensor, dtype=as_dtype(dtype))
