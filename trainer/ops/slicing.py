"""Basic indexing: integers, slices and new axes, as one primitive, and its adjoint that puts a part into zeros.

An index is a tuple of items as NumPy reads them: an integer (or symbolic size) takes a position and removes the axis,
`(start, stop, step)` is a slice, None inserts an axis. Axes without an item are kept whole.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..core.dims import Dim, Shape, Size, bounds, ceil_divide, maximum, minimum
from ..core.emitter import Emitter, Value
from ..core.errors import ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor

Slice = tuple[Any, Any, Any]
Items = tuple[Any, ...]
WHOLE: Slice = (None, None, None)
INT64 = np.dtype(np.int64)
LAST = np.iinfo(np.int64).max
BEFORE_FIRST = np.iinfo(np.int64).min


class Extent(NamedTuple):
    """What a slice takes of an axis: `count` positions from `first` on, `step` apart."""

    first: Size
    count: Size
    step: int


def extent(size: Size, item: Slice) -> Extent:
    """The positions that a slice takes of an axis of a size, symbolic ones included."""
    start, stop, step = item
    step = 1 if step is None else step
    if isinstance(size, int) and not isinstance(start, Dim) and not isinstance(stop, Dim):
        positions = range(size)[slice(start, stop, step)]
        return Extent(positions.start, len(positions), step)
    if step > 0:
        first = 0 if start is None else _at_least(_position(size, start), 0)
        end = size if stop is None else _at_most(_position(size, stop), size)
        return Extent(first, _at_least(ceil_divide(end - first, step), 0), step)
    first = size - 1 if start is None else _at_most(_position(size, start), size - 1)
    end = -1 if stop is None else _at_least(_position(size, stop), -1)
    return Extent(first, _at_least(ceil_divide(first - end, -step), 0), step)


def _at_least(size: Size, least: Size) -> Size:
    """The greater of both; a size that is never less for axes that hold something stays as it is."""
    known = bounds(size - least)[0]
    return size if known is not None and known >= 0 else maximum(size, least)


def _at_most(size: Size, most: Size) -> Size:
    known = bounds(size - most)[1]
    return size if known is not None and known <= 0 else minimum(size, most)


def _position(size: Size, bound: Size) -> Size:
    """A bound counted from the front; symbolic bounds always are."""
    return bound + size if isinstance(bound, int) and bound < 0 else bound


def symbolic_bound(bound: Any, size: Size) -> Any:
    """A symbolic bound of a slice as a position: always negative ones count from the end, for others 0 is the least."""
    if not isinstance(bound, Dim):
        return bound
    least, most = bounds(bound)
    if most is not None and most < 0:
        bound = bound + size
        least = bounds(bound)[0] if isinstance(bound, Dim) else bound
    return bound if least is not None and least >= 0 else maximum(bound, 0)


@lru_cache(maxsize=4096)
def _numpy_index(items: Items) -> tuple[Any, ...]:
    return tuple([_numpy_item(item) for item in items])


def _numpy_item(item: Any) -> Any:
    if type(item) is tuple:
        return slice(*[None if bound is None else bound.__index__() for bound in item])
    return item if item is None else item.__index__()


def _infer(x: TensorSpec, *, items: Items) -> TensorSpec:
    sizes: list[Size] = []
    axis = 0
    if sum(item is not None for item in items) > x.rank:
        raise ShapeError(f"the index has more items than the {x.rank} axes of {format_shape(x.shape)}")
    for item in items:
        if item is None:
            sizes.append(1)
            continue
        size = x.shape[axis]
        if type(item) is tuple:
            sizes.append(extent(size, item).count)
        elif isinstance(item, int) and isinstance(size, int) and not -size <= item < size:
            raise ShapeError(f"index {item} is out of range for axis {axis} of {format_shape(x.shape)}, size {size}")
        axis += 1
    return TensorSpec((*sizes, *x.shape[axis:]), x.dtype)


def _lower(emit: Emitter, x: Value, *, items: Items) -> Value:
    along = [item for item in items if item is not None]
    x, removed = _lower_slices(emit, x, along)
    x = _lower_removal(emit, x, removed)
    inserted: list[int] = []
    place = 0
    for item in items:
        if item is None:
            inserted.append(place)
        place += item is None or type(item) is tuple
    if inserted:
        sizes = list(x.shape)
        for axis in inserted:
            sizes.insert(axis, 1)
        x = emit("Unsqueeze", x, emit.constant(inserted, INT64), spec=TensorSpec(sizes, x.dtype))
    return x


def _lower_slices(emit: Emitter, x: Value, along: list[Any]) -> tuple[Value, list[tuple[int, Size]]]:
    """One Slice for all slices and, where there are any, static positions; what Gather is to take is returned."""
    cut = [(i, item) for i, item in enumerate(along) if type(item) is tuple and item not in (WHOLE, (None, None, 1))]
    taken = [(i, item) for i, item in enumerate(along) if type(item) is not tuple]
    fixed = [(i, item) for i, item in taken if isinstance(item, int)]
    if not cut and len(fixed) < 2:
        return x, taken
    sliced = sorted(cut + [(i, (item, item + 1 if item != -1 else None, 1)) for i, item in fixed])
    starts, stops, steps = [], [], []
    sizes = list(x.shape)
    for axis, (start, stop, step) in sliced:
        step = 1 if step is None else step
        starts.append((0 if step > 0 else LAST) if start is None else start)
        stops.append((LAST if step > 0 else BEFORE_FIRST) if stop is None else stop)
        steps.append(step)
        sizes[axis] = 1 if (axis, along[axis]) in fixed else extent(x.shape[axis], (start, stop, step)).count
    parts = [emit.shape(tuple(starts)), emit.shape(tuple(stops)), emit.constant([a for a, _ in sliced], INT64)]
    if any(step != 1 for step in steps):
        parts.append(emit.constant(steps, INT64))
    x = emit("Slice", x, *parts, spec=TensorSpec(sizes, x.dtype))
    if fixed:
        axes = [a for a, _ in fixed]
        spec = TensorSpec([s for i, s in enumerate(sizes) if i not in axes], x.dtype)
        x = emit("Squeeze", x, emit.constant(axes, INT64), spec=spec)
    return x, [(i - sum(a < i for a, _ in fixed), item) for i, item in taken if not isinstance(item, int)]


def _lower_removal(emit: Emitter, x: Value, taken: list[tuple[int, Size]]) -> Value:
    for axis, item in reversed(taken):
        spec = TensorSpec((*x.shape[:axis], *x.shape[axis + 1 :]), x.dtype)
        x = emit("Gather", x, emit.size(item), axis=axis, spec=spec)
    return x


def _vjp(g: Tensor, out: Tensor, x: Tensor, *, items: Items) -> Tensor:
    if all(item in (WHOLE, (None, None, -1)) for item in items):
        return index_primitive(g, items=items)
    return place_primitive(g, items=items, shape=x.shape)


index_primitive = Primitive(
    name="get_item",
    run=lambda x, *, items: x[_numpy_index(items)],
    infer=_infer,
    lower=_lower,
    vjp=(_vjp,),
    residuals="none",
)


def _place_run(g: np.ndarray, *, items: Items, shape: Shape) -> np.ndarray:
    result = np.zeros(tuple([size.__index__() for size in shape]), g.dtype)
    result[_numpy_index(items)] = g
    return result


def _place_infer(g: TensorSpec, *, items: Items, shape: Shape) -> TensorSpec:
    return TensorSpec(shape, g.dtype)


def _place_lower(emit: Emitter, g: Value, *, items: Items, shape: Shape) -> Value:
    g = _restore_axes(emit, g, items, shape)
    along = [item for item in items if item is not None]
    extents = [
        extent(size, item) if type(item) is tuple else Extent(_position(size, item), 1, 1)
        for size, item in zip(shape, along, strict=False)
    ]
    if any(part.count == 0 for part in extents):
        zero = np.zeros(1, g.dtype)
        return emit("ConstantOfShape", emit.shape(shape), value=zero, spec=TensorSpec(shape, g.dtype))
    g = _reverse(emit, g, [axis for axis, part in enumerate(extents) if part.step < 0])
    before, after = [], []
    for axis, (first, count, step) in enumerate(extents):
        span = _at_least((count - 1) * abs(step) + 1, 0)
        if abs(step) > 1:
            g = _dilate(emit, g, axis, abs(step), span)
        before.append(first if step > 0 else first - (count - 1) * -step)
        after.append(shape[axis] - before[axis] - span)
    axes = [axis for axis in range(len(extents)) if before[axis] != 0 or after[axis] != 0]
    if not axes:
        return emit("Identity", g) if g.shape != tuple(shape) else g
    rest = [0] * (len(shape) - len(extents))
    pads = emit.shape((*before, *rest, *after, *rest))
    return emit("Pad", g, pads, spec=TensorSpec(shape, g.dtype))


def _restore_axes(emit: Emitter, g: Value, items: Items, shape: Shape) -> Value:
    """Without the axes that the index inserted, and with those of size 1 that it removed."""
    place, inserted, removed, axis = 0, [], [], 0
    for item in items:
        if item is None:
            inserted.append(place)
        elif type(item) is not tuple:
            removed.append(axis)
        place += item is None or type(item) is tuple
        axis += item is not None
    if inserted:
        spec = TensorSpec([s for i, s in enumerate(g.shape) if i not in inserted], g.dtype)
        g = emit("Squeeze", g, emit.constant(inserted, INT64), spec=spec)
    if removed:
        sizes = list(g.shape)
        for position in removed:
            sizes.insert(position, 1)
        g = emit("Unsqueeze", g, emit.constant(removed, INT64), spec=TensorSpec(sizes, g.dtype))
    return g


def _reverse(emit: Emitter, g: Value, axes: list[int]) -> Value:
    if not axes:
        return g
    many = len(axes)
    starts, stops = emit.constant([LAST] * many, INT64), emit.constant([BEFORE_FIRST] * many, INT64)
    return emit("Slice", g, starts, stops, emit.constant(axes, INT64), emit.constant([-1] * many, INT64))


def _dilate(emit: Emitter, g: Value, axis: int, step: int, span: Size) -> Value:
    """`step - 1` zeros between neighbours along an axis: a new axis padded, merged, and the last zeros cut off."""
    before, count, behind = g.shape[:axis], g.shape[axis], g.shape[axis + 1 :]
    thin = TensorSpec((*before, count, 1, *behind), g.dtype)
    g = emit("Unsqueeze", g, emit.constant([axis + 1], INT64), spec=thin)
    pads = [0] * (2 * thin.rank)
    pads[thin.rank + axis + 1] = step - 1
    g = emit("Pad", g, emit.constant(pads, INT64), spec=TensorSpec((*before, count, step, *behind), g.dtype))
    g = emit.reshape(g, (*before, count * step, *behind))
    bounds_of = [emit.constant([0], INT64), emit.constant([1 - step], INT64), emit.constant([axis], INT64)]
    return emit("Slice", g, *bounds_of, spec=TensorSpec((*before, span, *behind), g.dtype))


place_primitive = Primitive(
    name="place",
    run=_place_run,
    infer=_place_infer,
    lower=_place_lower,
    vjp=(lambda g, out, x, *, items, shape: index_primitive(g, items=items),),
    residuals="none",
)
