"""Elements taken from places, and put into places."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.dims import product
from ...trainer.core.tensor import Tensor
from ...trainer.ops.gather import gather_nd_primitive
from .table import Call, operator
from .values import Sizes, axis_in, fixed, is_native, number, scalar_like


def forward_indices(indices: Tensor, size: Any) -> Tensor:
    """Indices that count from the end, as ones that count from the start."""
    if indices.dtype.kind == "u":
        return indices
    if indices.array is not None and (not indices.array.size or indices.array.min() >= 0):
        return indices
    return ops.where(
        ops.less(indices, scalar_like(0, indices)),
        ops.add(indices, ops.convert_to_tensor(size, np.dtype(indices.dtype).name)),
        indices,
    )


@operator("Gather", raw=True)
def gather(call: Call, x: Any, indices: Any) -> Tensor:
    """Slices along an axis."""
    x = x.tensor() if isinstance(x, Sizes) else x
    indices = indices.tensor() if isinstance(indices, Sizes) else indices
    axis = axis_in(call, call.get("axis", 0), len(x.shape))
    if not is_native(x.dtype):
        return Tensor(np.take(x.value("taking"), fixed(call, indices, "the indices"), axis))
    return ops.take(x, forward_indices(indices, x.shape[axis]), axis=axis)


@operator("GatherElements")
def gather_elements(call: Call, x: Tensor, indices: Tensor) -> Tensor:
    """For each place of the indices the element at that place, moved along an axis."""
    axis = axis_in(call, call.get("axis", 0), len(x.shape))
    for i, (size, own) in enumerate(zip(indices.shape, x.shape, strict=True)):
        if i != axis and size != own:
            x = x[(*[slice(None)] * i, slice(None, size))]
    return ops.take_along_axis(x, forward_indices(indices, x.shape[axis]), axis=axis)


def _forward_places(indices: Tensor, sizes: Any) -> Tensor:
    """Places of several axes, those that count from the end as ones that count from the start."""
    if not len(sizes):
        return indices
    ends = ops.stack([ops.convert_to_tensor(size, "int64") for size in sizes])
    return ops.where(ops.less(indices, scalar_like(0, indices)), ops.add(indices, ends), indices)


@operator("GatherND")
def gather_nd(call: Call, x: Tensor, indices: Tensor) -> Tensor:
    """Slices at places of several axes; the first `batch_dims` axes belong together."""
    batch = call.get("batch_dims", 0)
    depth = indices.shape[-1]
    index = _forward_places(indices, x.shape[batch : batch + depth])  # pyright: ignore[reportArgumentType]
    if not batch:
        return gather_nd_primitive(x, index)
    lead, count = x.shape[:batch], product(x.shape[:batch])
    flat = ops.reshape(x, (count, *x.shape[batch:]))
    index = ops.reshape(index, (count, *index.shape[batch:]))
    own = ops.reshape(ops.arange(count, dtype="int64"), (count, *[1] * (len(index.shape) - 1)))
    index = ops.concatenate([ops.broadcast_to(own, (*index.shape[:-1], 1)), index], axis=-1)
    found = gather_nd_primitive(flat, index)
    return ops.reshape(found, (*lead, *found.shape[1:]))


REDUCTIONS = {"none": None, "add": "add", "mul": "mul", "max": "max", "min": "min"}


@operator("ScatterElements", "Scatter")
def scatter_elements(call: Call, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """Elements replaced, or combined, at the places of the indices, moved along an axis."""
    axis = axis_in(call, call.get("axis", 0), len(x.shape))
    index = ops.cast(forward_indices(indices, x.shape[axis]), np.int64)
    rank = len(index.shape)
    places = []
    for i in range(rank):
        steps = ops.reshape(ops.arange(index.shape[i], dtype="int64"), [-1 if a == i else 1 for a in range(rank)])
        places.append(index if i == axis else ops.broadcast_to(steps, index.shape))
    flat = ops.reshape(ops.stack(places, axis=-1), (-1, rank))
    return ops.scatter_update(x, flat, ops.reshape(updates, (-1,)), REDUCTIONS[call.get("reduction", "none")])


@operator("ScatterND")
def scatter_nd(call: Call, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """Slices replaced, or combined, at places of several axes."""
    depth = indices.shape[-1]
    index = _forward_places(indices, x.shape[:depth])  # pyright: ignore[reportArgumentType]
    return ops.scatter_update(x, index, updates, REDUCTIONS[call.get("reduction", "none")])


@operator("OneHot")
def one_hot(call: Call, indices: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    """One value at the index, another elsewhere, along a new axis."""
    count = int(number(call, depth, "the depth"))
    rank = len(indices.shape) + 1
    axis = axis_in(call, call.get("axis", -1), rank)
    whole = ops.cast(indices, np.int64)
    whole = ops.where(ops.less(whole, scalar_like(0, whole)), ops.add(whole, scalar_like(count, whole)), whole)
    classes = np.arange(count, dtype=np.int64).reshape([-1 if i == axis else 1 for i in range(rank)])
    hot = ops.equal(ops.expand_dims(whole, axis), Tensor(classes))
    return ops.where(hot, values[1], values[0])


@operator("TopK", raw=True)
def top_k(call: Call, x: Tensor, k: Any = None) -> tuple[Tensor, Tensor]:
    """The largest or smallest elements along an axis and their indices, equal ones in order."""
    count: Any = call.get("k") if k is None else int(number(call, k, "k"))
    axis = axis_in(call, call.get("axis", -1), len(x.shape))
    key = ops.cast(x, np.int64) if x.dtype.kind in "iub" else x
    moved = ops.moveaxis(key, axis, -1)
    if x.dtype.kind in "iub":
        order = ops.argsort(ops.negative(moved) if call.get("largest", 1) else moved, axis=-1)[..., :count]
    else:
        order = ops.top_k(moved if call.get("largest", 1) else ops.negative(moved), count)[1]
    indices = ops.moveaxis(ops.cast(order, np.int64), -1, axis)
    return ops.take_along_axis(x, indices, axis=axis), indices
