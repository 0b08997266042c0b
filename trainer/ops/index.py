"""Indexing with brackets: integers, slices, new axes, integer arrays, boolean masks, and any mixture of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dims import Dim, Size
from ..core.dtypes import as_dtype
from ..core.errors import DtypeError, ShapeError, SymbolicValueError, format_shape, user_line
from ..core.tensor import Tensor
from .axes import moveaxis
from .broadcast import broadcast_to
from .convert import cast, convert_to_tensor, stack_primitive
from .gather import gather_nd_primitive, take_primitive
from .masking import compress, nonzero_positions
from .rules import broadcast_shapes
from .slicing import WHOLE, Items, index_primitive, symbolic_bound

__all__ = ["get_item"]

_BOOL = np.dtype(bool)


def get_item(x: Any, key: Any) -> Tensor:
    """`x[key]`: NumPy's indexing (ONNX: Slice, Gather, GatherND, Compress; Keras name: `ops.get_item`).

    `key`: an integer, a slice (any step), None, `...`, an integer or boolean tensor, or a tuple of these. Bounds of
    slices may be symbolic sizes; these are positions from the front, and below 0 they count as 0.
    Raises `ShapeError` for too many indices or positions outside of a known axis, `DtypeError` for floating-point ones.

    >>> import sardonyx as sx
    >>> x = sx.ops.reshape(sx.ops.arange(6), (2, 3))
    >>> x[:, ::-1].tolist(), x[[1, 0], [2, 0]].tolist(), x[x > 3].tolist()
    ([[2, 1, 0], [5, 4, 3]], [5, 0], [4, 5])
    """
    tensor = x if type(x) is Tensor else convert_to_tensor(x)
    parts = key if type(key) is tuple else (key,)
    plain = _plain_items(parts, len(tensor.shape))
    if plain is not None:
        return index_primitive(tensor, items=plain) if plain else tensor
    return _general(tensor, parts)


def _plain_items(parts: tuple[Any, ...], rank: int) -> Items | None:
    """The items of a key of numbers and slices between numbers; None for other keys."""
    items: list[Any] = []
    for part in parts:
        kind = type(part)
        if kind is int:
            items.append(part)
        elif kind is slice:
            start, stop, step = part.start, part.stop, part.step
            for bound in (start, stop, step):
                if bound is not None and type(bound) is not int:
                    return None
            if step == 0:
                return None
            items.append((start, stop, None if step == 1 else step))
        else:
            return None
    if len(items) > rank:
        return None
    while items and items[-1] == WHOLE:
        items.pop()
    return tuple(items)


def _general(tensor: Tensor, parts: tuple[Any, ...]) -> Tensor:
    parts = _expand_ellipsis(parts, len(tensor.shape))
    items: list[Any] = []
    arrays = False
    axis = 0
    for part in parts:
        item = _item(part, tensor, axis)
        items.append(item)
        if item is not None:
            is_array = isinstance(item, Tensor)
            arrays = arrays or is_array
            axis += len(item.shape) if is_array and item.dtype == _BOOL else 1
    if arrays:
        return _with_arrays(tensor, items)
    while items and items[-1] == WHOLE:
        items.pop()
    return index_primitive(tensor, items=tuple(items)) if items else tensor


def _width(part: Any) -> int:
    """How many axes of the tensor a part of a key covers."""
    if part is None or part is Ellipsis:
        return 0
    dtype = getattr(part, "dtype", None)
    if dtype is not None and as_dtype(dtype) == _BOOL:
        return len(part.shape)
    if isinstance(part, list) and part:
        array = convert_to_tensor(part)
        return len(array.shape) if array.dtype == _BOOL else 1
    return 1


def _expand_ellipsis(parts: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    covered = sum([_width(part) for part in parts])
    if covered > rank:
        raise ShapeError(f"get_item: the index {_text(parts)} covers {covered} axes, but the tensor has {rank}")
    ellipses = [i for i, part in enumerate(parts) if part is Ellipsis]
    if not ellipses:
        return parts
    if len(ellipses) > 1:
        raise ShapeError(f"get_item: an index may have one '...', got {_text(parts)}")
    return (*parts[: ellipses[0]], *[slice(None)] * (rank - covered), *parts[ellipses[0] + 1 :])


def _text(parts: tuple[Any, ...]) -> str:
    return "[" + ", ".join("..." if part is Ellipsis else str(part) for part in parts) + "]"


def _item(part: Any, x: Tensor, axis: int) -> Any:
    """One part of a key as an item of a basic index, or as a tensor."""
    if part is None or isinstance(part, Dim):
        return part
    if isinstance(part, slice):
        return _slice_item(part, x, axis)
    if isinstance(part, (int, np.integer)) and not isinstance(part, bool):
        position, size = int(part), x.shape[axis]
        if isinstance(size, int) and not -size <= position < size:
            raise ShapeError(
                f"get_item: index {position} is out of range for axis {axis} of {format_shape(x.shape)}, size {size}"
            )
        return position
    if isinstance(part, (bool, np.bool_)):
        raise DtypeError(f"get_item: {part} is no index; a boolean mask has the shape of the axes that it selects")
    empty = isinstance(part, list) and not part
    tensor = part if isinstance(part, Tensor) else convert_to_tensor(np.zeros(0, np.int32) if empty else part)
    if tensor.dtype.kind not in "iub":
        raise DtypeError(
            f"get_item: an index must be an integer, a slice, None, '...', or an integer or boolean tensor, "
            f"got {tensor.dtype.name}; convert it with ops.cast(index, 'int32')"
        )
    return tensor


def _slice_item(part: slice, x: Tensor, axis: int) -> tuple[Any, Any, Any]:
    start, stop, step = _bound(part.start, "start"), _bound(part.stop, "stop"), _bound(part.step, "step")
    if isinstance(step, Dim):
        raise ShapeError(f"get_item: the step of a slice must be a number, got the symbolic size {step}")
    if step == 0:
        raise ShapeError("get_item: the step of a slice must not be 0")
    size = x.shape[axis]
    return symbolic_bound(start, size), symbolic_bound(stop, size), None if step == 1 else step


def _bound(bound: Any, name: str) -> Size | None:
    if bound is None or type(bound) is int or isinstance(bound, Dim):
        return bound
    if isinstance(bound, Tensor) and bound.is_symbolic:
        line = user_line(2)
        raise SymbolicValueError(
            f"get_item: the {name} of a slice is a symbolic tensor, whose value is known only when the model runs."
            + (f"\n  {line}" if line else "")
            + "\n  Use ops.slice(x, starts, sizes) for a part of fixed size at a computed place, or x.shape[axis] for "
            "sizes."
        )
    try:
        return bound.__index__()
    except (AttributeError, TypeError):
        raise DtypeError(f"get_item: the {name} of a slice must be an integer, got {bound!r}") from None


def _with_arrays(x: Tensor, items: list[Any]) -> Tensor:
    """Slices, integers and new axes first, then what the arrays pick, placed where NumPy places it."""
    plain: list[Any] = []
    picks: list[tuple[int, Tensor]] = []
    axis = 0
    advanced = [i for i, item in enumerate(items) if item is not None and type(item) is not tuple]
    adjacent = advanced[-1] - advanced[0] + 1 == len(advanced)
    front = 0
    for i, item in enumerate(items):
        if i == advanced[0]:
            front = axis
        if isinstance(item, Tensor):
            width = len(item.shape) if item.dtype == _BOOL else 1
            picks.append((axis, item))
            plain += [WHOLE] * width
            axis += width
        else:
            plain.append(item)
            axis += item is None or type(item) is tuple
    while plain and plain[-1] == WHOLE:
        plain.pop()
    if plain:
        x = index_primitive(x, items=tuple(plain))
    if len(picks) == 1 and picks[0][1].dtype == _BOOL:
        result = compress(x, picks[0][1], picks[0][0])
        return result if adjacent or not picks[0][0] else moveaxis(result, picks[0][0], 0)
    return _pick(x, picks, front if adjacent else 0)


def _pick(x: Tensor, picks: list[tuple[int, Tensor]], target: int) -> Tensor:
    """Elements at integer arrays along axes; the arrays' axes stand from `target` on in the result."""
    axes: list[int] = []
    indices: list[Tensor] = []
    for axis, index in picks:
        _check_mask(x, index, axis)
        parts = [index] if index.dtype != _BOOL else nonzero_positions(index)
        axes += range(axis, axis + len(parts))
        indices += parts
    if len(indices) == 1:
        result, rank = take_primitive(x, indices[0], axis=axes[0]), len(indices[0].shape)
        if axes[0] == target or not rank:
            return result
        return moveaxis(result, tuple(range(axes[0], axes[0] + rank)), tuple(range(target, target + rank)))
    shape = broadcast_shapes(*[index.shape for index in indices])
    places = stack_primitive(*[broadcast_to(cast(index, "int64"), shape) for index in indices], axis=len(shape))
    result = gather_nd_primitive(moveaxis(x, axes, tuple(range(len(axes)))), places)
    rank = len(shape)
    return moveaxis(result, tuple(range(rank)), tuple(range(target, target + rank))) if target and rank else result


def _check_mask(x: Tensor, mask: Tensor, axis: int) -> None:
    if mask.dtype == _BOOL and x.shape[axis : axis + len(mask.shape)] != mask.shape:
        raise ShapeError(
            f"get_item: a boolean mask of shape {format_shape(mask.shape)} does not fit axis {axis} and following "
            f"of {format_shape(x.shape)}"
        )
