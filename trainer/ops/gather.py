"""Reading and accumulating at computed places: Gather, GatherElements, GatherND and the additions that undo them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.dims import Shape
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec, same_shape
from ..core.tensor import Tensor
from . import accumulate
from .axes import axis_of, expand_dims, transpose
from .broadcast import broadcast_to, reshape
from .convert import convert_to_tensor
from .elements import gather_elements
from .rules import broadcast_shapes

__all__ = ["take", "take_along_axis"]

INT64 = np.dtype(np.int64)


def _check_indices(indices: TensorSpec) -> None:
    if indices.dtype.kind not in "iu":
        raise DtypeError(f"expected integer indices, got {indices.dtype.name}; convert them with ops.cast(x, 'int32')")


def onnx_indices(emit: Emitter, indices: Value) -> Value:
    """Indices in a type that Gather takes."""
    return indices if indices.dtype.name in ("int32", "int64") else emit.cast(indices, INT64)


def _take_infer(x: TensorSpec, indices: TensorSpec, *, axis: int) -> TensorSpec:
    _check_indices(indices)
    return TensorSpec((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)


def _take_run(x: np.ndarray, indices: np.ndarray, *, axis: int) -> np.ndarray:
    if indices.dtype.kind not in "iu":
        raise DtypeError(f"expected integer indices, got {indices.dtype.name}")
    try:
        return x.take(indices, axis)
    except IndexError:
        size = x.shape[axis]
        wrong = indices[(indices < -size) | (indices >= size)].flat[0]
        raise IndexError(f"take: index {wrong} is out of range for axis {axis} of size {size}") from None


def _take_lower(emit: Emitter, x: Value, indices: Value, *, axis: int) -> Value:
    spec = _take_infer(x.spec, indices.spec, axis=axis)
    return emit("Gather", x, onnx_indices(emit, indices), axis=axis, spec=spec)


def _take_vjp(g: Tensor, out: Tensor, x: Tensor, indices: Tensor, *, axis: int) -> Tensor:
    places = expand_dims(indices, -1)
    if axis == 0:
        return scatter_add_primitive(places, g, shape=x.shape)
    count, rank = len(indices.shape), len(x.shape)
    first = tuple(range(axis, axis + count))
    g = transpose(g, first + tuple(i for i in range(len(g.shape)) if i not in first))
    moved = (x.shape[axis], *x.shape[:axis], *x.shape[axis + 1 :])
    back = (*range(1, axis + 1), 0, *range(axis + 1, rank))
    return transpose(scatter_add_primitive(places, g, shape=moved), back)


take_primitive = Primitive(
    name="take",
    run=_take_run,
    infer=_take_infer,
    lower=_take_lower,
    vjp=(_take_vjp, None),
    residuals="inputs",
)


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """The parts of `x` at integer indices along an axis; of the flattened tensor when `axis` is None (ONNX: Gather).

    The axis is replaced by the axes of `indices`; negative indices count from the end. With axis 0 this is the lookup
    of an embedding, and its gradient adds rows up by sorting. Raises `IndexError` for indices outside of the axis.

    >>> import sardonyx as sx
    >>> sx.ops.take([[1, 2], [3, 4], [5, 6]], [2, -3], axis=0).numpy().tolist()
    [[5, 6], [1, 2]]
    """
    tensor = x if type(x) is Tensor else convert_to_tensor(x)
    if axis is None:
        tensor, axis = reshape(tensor, (-1,)), 0
    places = indices if type(indices) is Tensor else convert_to_tensor(indices)
    return take_primitive(tensor, places, axis=axis_of(axis, len(tensor.shape), "take"))


def _gather_nd_infer(x: TensorSpec, indices: TensorSpec) -> TensorSpec:
    _check_indices(indices)
    return TensorSpec((*indices.shape[:-1], *x.shape[_depth(x, indices) :]), x.dtype)


def _depth(x: TensorSpec, indices: TensorSpec) -> int:
    """How many axes index tuples address."""
    depth = indices.shape[-1] if indices.shape else 0
    if not isinstance(depth, int) or not 0 < depth <= x.rank:
        raise ShapeError(
            f"expected the last axis of indices to hold 1 to {x.rank} indices into {format_shape(x.shape)}, "
            f"got indices of shape {format_shape(indices.shape)}"
        )
    return depth


def _gather_nd_run(x: np.ndarray, indices: np.ndarray) -> np.ndarray:
    depth = indices.shape[-1]
    rows = accumulate.positions(indices, x.shape[:depth])
    rest = x.shape[depth:]
    flat = x.reshape(math.prod(x.shape[:depth]), *rest)
    return flat.take(rows, 0).reshape(indices.shape[:-1] + rest)


def _gather_nd_lower(emit: Emitter, x: Value, indices: Value) -> Value:
    return emit("GatherND", x, emit.cast(indices, INT64), spec=_gather_nd_infer(x.spec, indices.spec))


gather_nd_primitive = Primitive(
    name="gather_nd",
    run=_gather_nd_run,
    infer=_gather_nd_infer,
    lower=_gather_nd_lower,
    vjp=(lambda g, out, x, indices: scatter_add_primitive(indices, g, shape=x.shape), None),
    residuals="inputs",
)


def _scatter_add_infer(indices: TensorSpec, updates: TensorSpec, *, shape: Shape) -> TensorSpec:
    _check_indices(indices)
    check_updates(TensorSpec(shape, updates.dtype), indices, updates)
    return TensorSpec(shape, updates.dtype)


def check_updates(x: TensorSpec, indices: TensorSpec, updates: TensorSpec) -> None:
    """Raise `ShapeError` or `DtypeError` unless updates at index tuples fit a tensor."""
    expected = (*indices.shape[:-1], *x.shape[_depth(x, indices) :])
    if not same_shape(expected, updates.shape):
        raise ShapeError(
            f"expected updates of shape {format_shape(expected)} for indices {format_shape(indices.shape)} into "
            f"{format_shape(x.shape)}, got {format_shape(updates.shape)}"
        )
    if x.dtype != updates.dtype:
        raise DtypeError(f"expected updates of dtype {x.dtype.name}, got {updates.dtype.name}")


def _zeros(emit: Emitter, shape: Shape, dtype: np.dtype) -> Value:
    return emit("ConstantOfShape", emit.shape(shape), value=np.zeros(1, dtype), spec=TensorSpec(shape, dtype))


def _scatter_add_run(indices: np.ndarray, updates: np.ndarray, *, shape: Shape) -> np.ndarray:
    return accumulate.scatter_add(indices, updates, tuple([size.__index__() for size in shape]))


ADDED_ON_GPU = ("float32", "float16")


def check_added(emit: Emitter, operation: str, dtype: np.dtype) -> None:
    """Raises for types that onnxruntime cannot add up on a GPU, which it says only when it runs."""
    if emit.on_gpu and dtype.name not in ADDED_ON_GPU:
        raise NotImplementedError(
            f"{operation}: on a GPU onnxruntime adds up {' and '.join(ADDED_ON_GPU)} alone, got {dtype.name}; cast the "
            "values, or use sx.device('cpu')"
        )


def _scatter_add_lower(emit: Emitter, indices: Value, updates: Value, *, shape: Shape) -> Value:
    check_added(emit, "scatter_add", updates.dtype)
    zeros = _zeros(emit, shape, updates.dtype)
    return emit("ScatterND", zeros, emit.cast(indices, INT64), updates, reduction="add", spec=zeros.spec)


scatter_add_primitive = Primitive(
    name="scatter_add",
    run=_scatter_add_run,
    infer=_scatter_add_infer,
    lower=_scatter_add_lower,
    vjp=(None, lambda g, out, indices, updates, *, shape: gather_nd_primitive(g, indices)),
    residuals="inputs",
)


def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """For each place of `indices` the element of `x` there, its position along the axis replaced.

    ONNX: GatherElements. The other axes broadcast. With `axis=None` both are flattened.
    Raises `ShapeError` when ranks differ.

    >>> import sardonyx as sx
    >>> sx.ops.take_along_axis([[3, 1, 2]], [[1, 2, 0]], axis=1).numpy().tolist()
    [[1, 2, 3]]
    """
    tensor, places = convert_to_tensor(x), convert_to_tensor(indices)
    if axis is None:
        tensor, places, axis = reshape(tensor, (-1,)), reshape(places, (-1,)), 0
    if places.dtype.kind not in "iu":
        raise DtypeError(f"take_along_axis: expected integer indices, got {places.dtype.name}")
    rank = len(tensor.shape)
    if len(places.shape) != rank:
        raise ShapeError(
            f"take_along_axis: expected indices of rank {rank} like x, got shapes {format_shape(tensor.shape)} "
            f"and {format_shape(places.shape)}"
        )
    place = axis_of(axis, rank, "take_along_axis")
    sides = [(*s.shape[:place], 1, *s.shape[place + 1 :]) for s in (tensor, places)]
    common = broadcast_shapes(*sides)
    tensor, places = (
        broadcast_to(s, (*common[:place], s.shape[place], *common[place + 1 :])) for s in (tensor, places)
    )
    return gather_elements(tensor, places, place)
