"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dims import maximum, minimum
from ..core.emitter import Emitter, Value
from ..core.errors import ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .arithmetic import add, multiply
from .axes import axis_of, expand_dims, moveaxis
from .broadcast import reshape, sum_axes
from .convert import convert_to_tensor, stack_primitive
from .create import eye
from .gather import gather_nd_primitive
from .pad import pad_zeros
from .sequence import arange
from .slicing import WHOLE, index_primitive

__all__ = ["diag", "diagflat", "diagonal", "trace", "tril", "triu"]


def _triangle_infer(x: TensorSpec, *, k: int, upper: bool) -> TensorSpec:
    if x.rank < 2:
        raise ShapeError(f"expected at least two axes, got {format_shape(x.shape)}")
    return TensorSpec(x.shape, x.dtype)


def _triangle_lower(emit: Emitter, x: Value, *, k: int, upper: bool) -> Value:
    number = x if x.dtype.char in "fdl?" else emit.cast(x, np.int64 if x.dtype.kind in "iu" else np.float32)
    return emit.cast(emit("Trilu", number, emit.constant(k, np.int64), upper=int(upper)), x.dtype)


def _triangle_run(x: np.ndarray, *, k: int, upper: bool) -> np.ndarray:
    if x.ndim < 2:  # numpy would make a matrix of a vector
        raise ShapeError(f"expected at least two axes, got {format_shape(x.shape)}")
    return np.triu(x, k) if upper else np.tril(x, k)


triangle_primitive = Primitive(
    name="triangle",
    run=_triangle_run,
    infer=_triangle_infer,
    lower=_triangle_lower,
    vjp=(lambda g, out, x, *, k, upper: triangle_primitive(g, k=k, upper=upper),),
    residuals="none",
)


def tril(x: Any, k: int = 0) -> Tensor:
    """The last two axes with zeros above diagonal `k` (ONNX: Trilu).

    >>> import sardonyx as sx
    >>> sx.ops.tril([[1, 2], [3, 4]]).tolist()
    [[1, 0], [3, 4]]
    """
    return triangle_primitive(convert_to_tensor(x), k=int(k), upper=False)


def triu(x: Any, k: int = 0) -> Tensor:
    """The last two axes with zeros below diagonal `k` (ONNX: Trilu)."""
    return triangle_primitive(convert_to_tensor(x), k=int(k), upper=True)


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonals of the matrices along two axes, as the last axis; `offset` > 0 lies above the main diagonal.

    >>> import sardonyx as sx
    >>> sx.ops.diagonal([[1, 2, 3], [4, 5, 6]], offset=1).tolist()
    [2, 6]
    """
    tensor = convert_to_tensor(x)
    rank = len(tensor.shape)
    if rank < 2:
        raise ShapeError(f"diagonal: expected at least two axes, got {format_shape(tensor.shape)}")
    first, second = axis_of(axis1, rank, "diagonal"), axis_of(axis2, rank, "diagonal")
    if first == second:
        raise ShapeError(f"diagonal: axis1 and axis2 are the same axis {first}")
    moved = moveaxis(tensor, (first, second), (-2, -1))
    *batch, rows, columns = moved.shape
    down, right = max(-offset, 0), max(offset, 0)
    length = maximum(minimum(rows - down, columns - right), 0)
    if not all(isinstance(size, int) for size in moved.shape):
        along = arange(length)
        places = stack_primitive(add(along, down), add(along, right), axis=1)
        return moveaxis(gather_nd_primitive(moveaxis(moved, (-2, -1), (0, 1)), places), 0, -1)
    # in a matrix laid out row by row, neighbours on a diagonal are one row and one element apart
    start = down * columns + right
    stop = start + length * (columns + 1) if length else start
    items = (*[WHOLE] * len(batch), (start, stop, columns + 1))
    return index_primitive(reshape(moved, (*batch, rows * columns)), items=items)


def diag(x: Any, k: int = 0) -> Tensor:
    """A square matrix with a vector on diagonal `k`; of a matrix, diagonal `k`.

    Raises `ShapeError` for other ranks.

    >>> import sardonyx as sx
    >>> sx.ops.diag([1, 2]).tolist()
    [[1, 0], [0, 2]]
    """
    tensor = convert_to_tensor(x)
    rank = len(tensor.shape)
    if rank == 2:
        return diagonal(tensor, k)
    if rank != 1:
        raise ShapeError(f"diag: expected a vector or a matrix, got {format_shape(tensor.shape)}")
    square = multiply(expand_dims(tensor, 1), eye(tensor.shape[0], dtype=tensor.dtype))
    below, right = max(-k, 0), max(k, 0)
    return pad_zeros(square, ((below, right), (right, below))) if k else square


def diagflat(x: Any, k: int = 0) -> Tensor:
    """A square matrix with the elements of a tensor on diagonal `k`."""
    return diag(reshape(x, (-1,)), k)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sums of the diagonals of the matrices along two axes.

    >>> import sardonyx as sx
    >>> sx.ops.trace([[1, 2], [3, 4]]).item()
    5
    """
    found = diagonal(x, offset, axis1, axis2)
    return sum_axes(found, (len(found.shape) - 1,), False)
