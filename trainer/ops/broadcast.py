"""Reshape, broadcast and sum: each one's gradient is another of them, and every gradient rests on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.dims import Dim, Shape, agree, equal, product
from ..core.emitter import Emitter, Value
from ..core.errors import ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec, as_shape, same_shape
from ..core.tensor import Tensor
from .convert import convert_to_tensor
from .convert import shape as shape_of
from .rules import broadcast_shapes

__all__ = ["broadcast_to", "reshape", "sum_to"]


def _reshape_infer(x: TensorSpec, *, shape: Shape) -> TensorSpec:
    before, after = product(x.shape), product(shape)
    if not agree(before, after):
        same = equal(before, after)
        raise ShapeError(
            f"cannot reshape {format_shape(x.shape)} ({before} elements) to {format_shape(shape)} ({after} elements)"
            + ("" if same is False else f"; these are not known to be equal. {_HOW_TO_NAME}")
        )
    return TensorSpec(shape, x.dtype)


_HOW_TO_NAME = (
    "State what you know about the size in the input's shape: a number, or an expression such as '2*pairs' for a "
    "multiple of 2"
)


reshape_primitive = Primitive(
    name="reshape",
    run=lambda x, *, shape: x.reshape(tuple([size.__index__() for size in shape])),
    infer=_reshape_infer,
    lower=lambda emit, x, *, shape: emit.reshape(x, shape),
    vjp=(lambda g, out, x, *, shape: reshape(g, x.shape),),
    residuals="none",
)


def _complete_shape(old: Shape, new: Sequence[Any]) -> Shape:
    """The new shape with its -1 worked out."""
    unknown = [i for i, size in enumerate(new) if type(size) is int and size == -1]
    if len(unknown) > 1:
        raise ShapeError(f"reshape: only one size may be -1, got {format_shape(tuple(new))}")
    if not unknown:
        return as_shape(new)
    sizes = list(as_shape([1 if i == unknown[0] else size for i, size in enumerate(new)]))
    rest, total = product(sizes), product(old)
    known = equal(rest, 0) is not True and equal(total % rest, 0)
    if equal(rest, 0) is True or not agree(total % rest, 0):
        may = f"{total} may not be a multiple of {rest}. {_HOW_TO_NAME}" if known is None else ""
        raise ShapeError(
            f"reshape: cannot reshape {format_shape(old)} ({total} elements) to {format_shape(tuple(new))}: "
            + (may or f"{total} is no multiple of {rest}")
        )
    sizes[unknown[0]] = total // rest
    return tuple(sizes)


def as_sizes(shape: Any) -> tuple[Any, ...]:
    """What a user may give as a shape, as a tuple: a size, a sequence of sizes, or an array of integers."""
    if isinstance(shape, (int, np.integer, Dim)):
        return (int(shape) if isinstance(shape, np.integer) else shape,)
    if isinstance(shape, (Tensor, np.ndarray)):
        shape = np.asarray(shape).tolist()
    return tuple([int(s) if isinstance(s, (np.integer, Tensor)) else s for s in shape])


def reshape(x: Any, newshape: Any) -> Tensor:
    """The same elements in another shape; one size may be -1, sizes may be symbolic (ONNX: Reshape).

    Raises `ShapeError` when the numbers of elements differ, or may differ: a model that builds runs for every value
    of its symbolic sizes.

    >>> import sardonyx as sx
    >>> sx.ops.reshape(sx.ops.arange(6), (2, -1)).shape
    (2, 3)
    """
    tensor = x if type(x) is Tensor else convert_to_tensor(x)
    shape = _complete_shape(tensor.shape, as_sizes(newshape))
    return tensor if shape == tensor.shape else reshape_primitive(tensor, shape=shape)


def _broadcast_infer(x: TensorSpec, *, shape: Shape) -> TensorSpec:
    if not same_shape(broadcast_shapes(x.shape, shape), shape):
        raise ShapeError(f"cannot broadcast {format_shape(x.shape)} to {format_shape(shape)}")
    return TensorSpec(shape, x.dtype)


def _broadcast_lower(emit: Emitter, x: Value, *, shape: Shape) -> Value:
    return emit("Expand", x, emit.shape(shape), spec=TensorSpec(shape, x.dtype))


broadcast_to_primitive = Primitive(
    name="broadcast_to",
    run=lambda x, *, shape: np.broadcast_to(x, tuple([size.__index__() for size in shape])),
    infer=_broadcast_infer,
    lower=_broadcast_lower,
    vjp=(lambda g, out, x, *, shape: sum_to(g, x.shape),),
    residuals="none",
)


def broadcast_to(x: Any, shape: Any) -> Tensor:
    """Repeat along axes of size 1 and new leading axes until the shape is reached (ONNX: Expand).

    >>> import sardonyx as sx
    >>> sx.ops.broadcast_to([1, 2], (3, 2)).shape
    (3, 2)
    """
    tensor = convert_to_tensor(x)
    wanted = as_shape(as_sizes(shape))
    return tensor if wanted == tensor.shape else broadcast_to_primitive(tensor, shape=wanted)


def reduced_shape(x: TensorSpec, axes: tuple[int, ...], keepdims: bool) -> tuple[Any, ...]:
    """The shape that remains after reducing over axes."""
    if keepdims:
        return tuple(1 if i in axes else size for i, size in enumerate(x.shape))
    return tuple(size for i, size in enumerate(x.shape) if i not in axes)


def infer_reduced(x: TensorSpec, *, axes: tuple[int, ...], keepdims: bool) -> TensorSpec:
    """A reduction that keeps the dtype."""
    return TensorSpec(reduced_shape(x, axes, keepdims), x.dtype)


def _run(x: np.ndarray, *, axes: tuple[int, ...], keepdims: bool) -> np.ndarray:
    count = len(axes)
    if 0 < count < x.ndim and axes[-1] == count - 1 and x.dtype.char in "fd" and x.size:
        if not x.flags.c_contiguous:
            repeated = [i for i in repeated_axes(x) if i < count]
            if repeated:
                return _repeated_sum(x, repeated, axes, keepdims)
            x = np.ascontiguousarray(x)  # the order of summation, and so the last bits, are not the memory's matter
        rest = x.shape[count:]
        rows = x.reshape(-1, math.prod(rest))
        if rows.shape[0] > 8 and rows.shape[1] > 1:
            total = ones_row(rows.shape[0], x.dtype) @ rows
            return total.reshape((1,) * count + rest if keepdims else rest)
    return x.sum(axis=axes, keepdims=keepdims, dtype=x.dtype)


def repeated_axes(array: np.ndarray) -> tuple[int, ...]:
    """Leading axes along which an array repeats itself without memory of its own, as what is broadcast does."""
    return tuple([i for i, stride in enumerate(array.strides[:-1]) if not stride and array.shape[i] > 1])


def _repeated_sum(x: np.ndarray, repeated: Sequence[int], axes: tuple[int, ...], keepdims: bool) -> np.ndarray:
    """The same where x repeats itself along some of the axes: a sum of what is repeated, times how often."""
    times = math.prod([x.shape[i] for i in repeated])
    small = x[tuple([slice(1) if i in repeated else slice(None) for i in range(x.ndim)])]
    return _run(small, axes=axes, keepdims=keepdims) * x.dtype.type(times)


_ones_cache: dict[tuple[int, np.dtype], np.ndarray] = {}


def ones_row(count: int, dtype: np.dtype) -> np.ndarray:
    """Row of ones: as a matrix product, the sum over rows is several times faster than numpy's own."""
    if count > 1 << 16:
        return np.ones(count, dtype)
    key = (count, dtype)
    if key not in _ones_cache:
        _ones_cache[key] = np.ones(count, dtype)
    return _ones_cache[key]


def _lower(emit: Emitter, x: Value, *, axes: tuple[int, ...], keepdims: bool) -> Value:
    return emit(
        "ReduceSum",
        x,
        emit.constant(np.asarray(axes, np.int64)),
        keepdims=int(keepdims),
        spec=infer_reduced(x.spec, axes=axes, keepdims=keepdims),
    )


def expand_reduced(g: Any, shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """A reduced result broadcast back to the shape it was reduced from."""
    kept = tuple(1 if i in axes else size for i, size in enumerate(shape))
    return broadcast_to(g if keepdims else reshape(g, kept), shape)


sum_primitive = Primitive(
    name="sum",
    run=_run,
    infer=infer_reduced,
    lower=_lower,
    vjp=(lambda g, out, x, *, axes, keepdims: expand_reduced(g, x.shape, axes, keepdims),),
    residuals="none",
)


def sum_axes(x: Any, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """Sum over normalised axes, without conversions."""
    return sum_primitive(x, axes=axes, keepdims=keepdims)


def sum_to(x: Any, shape: Shape) -> Tensor:
    """Sum over the axes along which `shape` was broadcast to the shape of `x`: the reverse of `broadcast_to`."""
    own = shape_of(x)
    if own == tuple(shape):
        return x
    extra = len(own) - len(shape)
    axes = tuple(range(extra)) + tuple(i + extra for i, size in enumerate(shape) if size == 1 and own[i + extra] != 1)
    reduced = sum_axes(x, axes, keepdims=extra == 0) if axes else x
    return reshape(reduced, shape)
