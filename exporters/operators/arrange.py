"""Parts and borders: slice, pad, crop, reverse."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.dims import Dim, contains_dim, fresh, product
from ...trainer.core.spec import TensorSpec
from ...trainer.core.tensor import Tensor
from .opaque import opaque
from .table import Call, operator
from .values import Sizes, axis_in, fixed, integers, is_plain, number, scalar_like

FAR = 2**31 - 1
"""A bound that stands for the end of an axis, as exporters write it."""


def slice_item(start: Any, end: Any, step: Any) -> slice:
    """One axis of a Slice as Python writes it."""
    if not isinstance(end, Dim) and (end >= FAR or (step < 0 and end <= -FAR)):
        end = None
    if isinstance(start, int) and start >= FAR:
        start = None if step < 0 else FAR
    return slice(start, end, step)


@operator("Slice", raw=True)
def slices(call: Call, x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None) -> Tensor:
    """A part of a tensor; bounds are attributes before version 10."""
    x = x.tensor() if isinstance(x, Sizes) else x
    rank = len(x.shape)
    first = integers(call, call.get("starts") if starts is None else starts, "the starts")
    last = integers(call, call.get("ends") if ends is None else ends, "the ends")
    given = call.get("axes") if axes is None else axes
    along: Any = range(len(first)) if given is None else integers(call, given, "the axes")
    strides: Any = [1] * len(first) if steps is None else integers(call, steps, "the steps")
    index = [slice(None)] * rank
    for axis, start, end, step in zip(along, first, last, strides, strict=True):
        index[axis_in(call, axis, rank)] = _bounded(slice_item(start, end, step), x.shape[axis], step)
    return Tensor(x.array[tuple(index)]) if is_plain(x) and not contains_dim(tuple(index)) else x[tuple(index)]


ENDLESS = 10**8
"""No axis of unknown size is longer: a bound beyond is its end."""


def _bounded(item: slice, size: Any, step: int) -> slice:
    """Ends before the first element mean nothing to Python when it walks backwards."""
    if step > 0 and isinstance(size, Dim) and isinstance(item.stop, int) and item.stop >= ENDLESS:
        return slice(item.start, None, step)
    if step < 0 and isinstance(item.stop, int) and isinstance(size, int) and item.stop < -size:
        return slice(item.start, None, step)
    return item


@operator("Pad", raw=True)
def pad(call: Call, x: Tensor, pads: Any = None, value: Any = None, axes: Any = None) -> Tensor:
    """A border; negative widths cut off. Widths and value are attributes before version 11."""
    legacy = call.get("pads", call.get("paddings"))
    widths: Any = integers(call, legacy if pads is None else pads, "the widths")
    rank = len(x.shape)
    along: Any = range(rank) if axes is None else [a % rank for a in integers(call, axes, "the axes")]  # pyright: ignore
    low, high = [0] * rank, [0] * rank
    for i, axis in enumerate(along):
        low[axis], high[axis] = widths[i], widths[i + len(widths) // 2]
    mode = call.get("mode", "constant")
    cut = tuple(slice(_cut(a), _end(b)) for a, b in zip(low, high, strict=True))
    if any(item != slice(None) for item in cut):
        x = x[cut]
    pairs = [(_border(a), _border(b)) for a, b in zip(low, high, strict=True)]
    if mode == "constant":
        fill = call.get("value", 0.0) if value is None else number(call, value, "the value")
        return ops.pad(x, pairs, constant_values=np.asarray(fill, x.dtype).item()) if _any(pairs) else x
    if mode == "wrap":
        return _wrap(x, pairs)
    return ops.pad(x, pairs, mode=mode) if _any(pairs) else x


def _any(pairs: Any) -> bool:
    return any(width != 0 for pair in pairs for width in pair)


def _cut(width: Any) -> Any:
    return -width if isinstance(width, int) and width < 0 else None


def _end(width: Any) -> Any:
    return width if isinstance(width, int) and width < 0 else None


def _border(width: Any) -> Any:
    return max(width, 0) if isinstance(width, int) else width


def _wrap(x: Tensor, pairs: list[tuple[Any, Any]]) -> Tensor:
    """The tensor goes on from its other end."""
    for axis, (before, after) in enumerate(pairs):
        size = x.shape[axis]
        if before == 0 and after == 0:
            continue
        places = ops.mod(ops.arange(-before, size + after), ops.convert_to_tensor(size))
        x = ops.take(x, places, axis=axis)
    return x


@operator("ReverseSequence")
def reverse_sequence(call: Call, x: Tensor, lengths: Tensor) -> Tensor:
    """The first elements of each sequence in reverse order, as many as `lengths` says."""
    batch, time = call.get("batch_axis", 1), call.get("time_axis", 0)
    moved = ops.moveaxis(x, (batch, time), (0, 1))
    steps = ops.arange(moved.shape[1], dtype="int64")[None]
    ends = ops.cast(lengths, np.int64)[:, None]
    places = ops.where(steps < ends, ends - 1 - steps, steps)
    index = ops.reshape(places, (*places.shape, *[1] * (len(x.shape) - 2)))
    found = ops.take_along_axis(moved, ops.broadcast_to(index, moved.shape), axis=1)
    return ops.moveaxis(found, (0, 1), (batch, time))


@operator("CenterCropPad")
def center_crop_pad(call: Call, x: Tensor, shape: Any) -> Tensor:
    """The middle of each axis, or zeros around it, until it has the wanted size."""
    axes = [axis_in(call, a, len(x.shape)) for a in call.get("axes", list(range(len(x.shape))))]
    for axis, wanted in zip(axes, integers(call, shape, "the shape"), strict=True):
        size: Any = x.shape[axis]
        if isinstance(size, Dim) or isinstance(wanted, Dim):
            raise ValueError(f"{call.label}: the sizes of axis {axis} must be numbers, got {size} and {wanted}")
        if size > wanted:
            start = (size - wanted) // 2
            x = x[(*[slice(None)] * axis, slice(start, start + wanted))]
        elif size < wanted:
            before = (wanted - size) // 2
            x = ops.pad(x, [(before, wanted - size - before) if i == axis else (0, 0) for i in range(len(x.shape))])
    return x


@operator("Compress")
def compress(call: Call, x: Tensor, condition: Tensor) -> Tensor:
    """The slices along an axis, or the elements, that a mask selects."""
    axis = call.get("axis")
    if axis is None:
        x, axis = ops.reshape(x, (-1,)), 0
    mask = condition
    if known_size(mask.shape[0]) and known_size(x.shape[axis]) and mask.shape[0] != x.shape[axis]:
        x = ops.take(x, np.arange(min(mask.shape[0], x.shape[axis])), axis=axis)  # pyright: ignore
        mask = mask[: x.shape[axis]]
    return ops.take(x, ops.nonzero(mask)[0], axis=axis)


def known_size(size: Any) -> bool:
    """Whether a size is a number."""
    return isinstance(size, int)


@operator("NonZero")
def non_zero(call: Call, x: Tensor) -> Tensor:
    """The places of elements that are not zero: (axes, count)."""
    if not x.shape:
        x = ops.reshape(x, (1,))
    return ops.stack([ops.cast(places, np.int64) for places in ops.nonzero(x)])


def _once(call: Call, x: TensorSpec) -> tuple[TensorSpec, ...]:
    count, axis = fresh("unique"), call.get("axis")
    whole = x.shape[axis] if axis is not None else product(x.shape)
    along = 0 if axis is None else axis % len(x.shape)
    shape = (count,) if axis is None else (*x.shape[:along], count, *x.shape[along + 1 :])
    return (TensorSpec(shape, x.dtype), *[TensorSpec((size,), np.int64) for size in (count, whole, count)])


@opaque("Unique", _once, sizes=True)
def unique(call: Call, x: Tensor) -> tuple[Tensor, ...]:
    """Elements, or slices along an axis, once each; with their first places, what each is, and counts."""
    array = fixed(call, x, "the tensor")
    axis = call.get("axis")
    values, first, inverse, counts = np.unique(array, True, True, True, axis=axis)
    inverse = inverse.reshape(-1)
    if not call.get("sorted", 1):
        order = np.argsort(first)
        values = np.take(values, order, 0 if axis is None else axis)
        first, counts = first[order], counts[order]
        inverse = np.argsort(order)[inverse]
    return (Tensor(values), *[Tensor(np.asarray(v, np.int64)) for v in (first, inverse, counts)])


@operator("TensorScatter")
def tensor_scatter(call: Call, cache: Tensor, update: Tensor, places: Any = None) -> Tensor:
    """New entries written into a cache of a fixed length, at a place for each sequence of the batch."""
    rank, axis = len(cache.shape), axis_in(call, call.get("axis", -2), len(cache.shape))
    length, count = cache.shape[axis], update.shape[axis]
    start = ops.zeros((cache.shape[0],), "int64") if places is None else ops.cast(places, np.int64)
    steps = ops.reshape(ops.arange(length, dtype="int64"), [-1 if i == axis else 1 for i in range(rank)])
    offset = ops.subtract(steps, ops.reshape(start, (-1, *[1] * (rank - 1))))
    if call.get("mode", "linear") == "circular":
        offset = ops.mod(offset, ops.convert_to_tensor(length, "int64"))
    within = ops.logical_and(offset >= scalar_like(0, offset), offset < ops.convert_to_tensor(count, "int64"))
    index = ops.clip(offset, 0, count - 1)
    moved = ops.take_along_axis(update, ops.broadcast_to(index, cache.shape), axis=axis)
    return ops.where(within, moved, cache)
