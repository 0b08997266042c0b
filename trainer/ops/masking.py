"""Where a mask holds: positions, and the elements there. How many there are is a size with a name of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..core.dims import Shape, dim, fresh, product
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec, same_shape
from ..core.tensor import Tensor
from .broadcast import reshape
from .convert import cast, convert_to_tensor, unstack_primitive
from .gather import take_primitive

__all__ = ["nonzero"]

INT64 = np.dtype(np.int64)
BOOL = np.dtype(bool)


def _fresh_name() -> str:
    return str(fresh("selected"))


def _nonzero_infer(x: TensorSpec, *, count: str | None) -> TensorSpec:
    return TensorSpec((x.rank, dim(count) if count else fresh("selected")), INT64)


def _nonzero_lower(emit: Emitter, x: Value, *, count: str | None) -> Value:
    numbers = x if x.dtype.name in ("bool", "float32", "int32", "int64", "uint8") else emit.cast(x, BOOL)
    return emit("NonZero", numbers, spec=_nonzero_infer(x.spec, count=count))


nonzero_primitive = Primitive(
    name="nonzero",
    run=lambda x, *, count: np.stack(x.nonzero()),
    infer=_nonzero_infer,
    lower=_nonzero_lower,
    residuals="none",
    tags={"makes_sizes": True},
)


def nonzero_positions(x: Tensor) -> list[Tensor]:
    """For each axis the int64 positions of the elements that are not zero."""
    count = _fresh_name() if x.is_symbolic else None
    return list(unstack_primitive(nonzero_primitive(x, count=count), axis=0))


def nonzero(x: Any) -> tuple[Tensor, ...]:
    """For each axis the int32 positions of the elements that are not zero, in order (ONNX: NonZero).

    >>> import sardonyx as sx
    >>> [p.tolist() for p in sx.ops.nonzero([[0, 7], [7, 7]])]
    [[0, 1, 1], [1, 0, 1]]
    """
    tensor = convert_to_tensor(x)
    if not tensor.shape:
        raise ShapeError("nonzero: expected a tensor with at least one axis, got a scalar")
    return tuple(cast(part, "int32") for part in nonzero_positions(tensor))


def _check(x: TensorSpec, mask: TensorSpec, axis: int) -> None:
    if mask.dtype != BOOL:
        raise DtypeError(f"expected a boolean mask, got {mask.dtype.name}")
    if mask.rank != 1 or axis >= x.rank or not same_shape(mask.shape, x.shape[axis : axis + 1]):
        raise _misfit(x.shape, mask.shape, axis)


def _misfit(shape: Shape, mask: Shape, axis: int) -> ShapeError:
    return ShapeError(
        f"a boolean mask of shape {format_shape(mask)} does not fit axis {axis} and following of {format_shape(shape)}"
    )


def _compress_infer(x: TensorSpec, mask: TensorSpec, *, axis: int, count: str | None) -> TensorSpec:
    _check(x, mask, axis)
    size = dim(count) if count else fresh("selected")
    return TensorSpec((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype)


def _compress_run(x: np.ndarray, mask: np.ndarray, *, axis: int, count: str | None) -> np.ndarray:
    if mask.shape != x.shape[axis : axis + 1]:
        raise _misfit(x.shape, mask.shape, axis)
    return x.compress(mask, axis)


def _compress_lower(emit: Emitter, x: Value, mask: Value, *, axis: int, count: str | None) -> Value:
    return emit("Compress", x, mask, axis=axis, spec=_compress_infer(x.spec, mask.spec, axis=axis, count=count))


def _spread_run(g: np.ndarray, mask: np.ndarray, *, axis: int, count: str | None) -> np.ndarray:
    result = np.zeros((*g.shape[:axis], mask.shape[0], *g.shape[axis + 1 :]), g.dtype)
    result[(slice(None),) * axis + (mask,)] = g
    return result


def _spread_infer(g: TensorSpec, mask: TensorSpec, *, axis: int, count: str | None) -> TensorSpec:
    return TensorSpec((*g.shape[:axis], mask.shape[0], *g.shape[axis + 1 :]), g.dtype)


def _spread_lower(emit: Emitter, g: Value, mask: Value, *, axis: int, count: str | None) -> Value:
    """ScatterND along the first axis of zeros."""
    order = (axis, *range(axis), *range(axis + 1, g.rank))
    moved = emit.transpose(g, order)
    shape = (mask.shape[0], *moved.shape[1:])
    zeros = emit("ConstantOfShape", emit.shape(shape), value=np.zeros(1, g.dtype), spec=TensorSpec(shape, g.dtype))
    row = emit("NonZero", mask, spec=TensorSpec((1, g.shape[axis]), INT64))
    result = emit("ScatterND", zeros, emit.transpose(row, (1, 0)), moved, spec=zeros.spec)
    return emit.transpose(result, (*range(1, axis + 1), 0, *range(axis + 1, g.rank)))


compress_primitive = Primitive(
    name="compress",
    run=_compress_run,
    infer=_compress_infer,
    lower=_compress_lower,
    vjp=(lambda g, out, x, mask, *, axis, count: spread_primitive(g, mask, axis=axis, count=count), None),
    residuals="inputs",
    tags={"makes_sizes": True},
)

spread_primitive = Primitive(
    name="spread",
    run=_spread_run,
    infer=_spread_infer,
    lower=_spread_lower,
    vjp=(lambda g, out, x, mask, *, axis, count: _compress_again(g, mask, axis=axis, count=count), None),
    residuals="inputs",
)


_compress_again = replace(compress_primitive, tags={})
"""The same where the number of elements is known already, from the first time."""


def compress(x: Tensor, mask: Tensor, axis: int) -> Tensor:
    """The elements along the axes that a mask covers, from `axis` on, where it holds (ONNX: Compress)."""
    rank = len(mask.shape)
    covered = x.shape[axis : axis + rank]
    if not rank or not same_shape(mask.shape, covered):
        raise ShapeError(f"get_item: {_misfit(x.shape, mask.shape, axis)}")
    if rank > 1:
        x = reshape(x, (*x.shape[:axis], product(covered), *x.shape[axis + rank :]))
        mask = reshape(mask, (-1,))
    if mask.array is not None and x.is_symbolic:
        return take_primitive(x, Tensor(np.flatnonzero(mask.array)), axis=axis)
    count = _fresh_name() if x.is_symbolic or mask.is_symbolic else None
    return compress_primitive(x, mask, axis=axis, count=count)
