"""Running sums and products."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.emitter import Emitter, Value
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .arithmetic import divide, multiply
from .axes import axis_of
from .broadcast import reshape
from .comparison import equal, isnan
from .convert import as_number, cast, convert_to_tensor
from .lowering import INT32, INT64, boolean, emit_reduce, in_dtypes
from .rules import infer_same
from .selection import gate, where

__all__ = ["cumprod", "cumsum", "nancumprod", "nancumsum"]


def _cumsum_run(x: np.ndarray, *, axis: int, reverse: bool) -> np.ndarray:
    if not reverse:
        return np.cumsum(x, axis, dtype=x.dtype)
    return np.flip(np.cumsum(np.flip(x, axis), axis, dtype=x.dtype), axis)


def _cumsum_lower(emit: Emitter, x: Value, *, axis: int, reverse: bool) -> Value:
    number = in_dtypes(emit, x, "fdil", np.dtype(np.float32) if x.dtype.kind == "f" else INT32)
    summed = emit("CumSum", number, emit.constant(axis, np.int64), reverse=int(reverse))
    return emit.cast(summed, x.dtype)


cumsum_primitive = Primitive(
    name="cumsum",
    run=_cumsum_run,
    infer=infer_same,
    lower=_cumsum_lower,
    vjp=(lambda g, out, x, *, axis, reverse: cumsum_primitive(g, axis=axis, reverse=not reverse),),
    residuals="none",
)


def _cumprod_lower(emit: Emitter, x: Value, *, axis: int) -> Value:
    """Products of the rows of a triangle: ONNX has CumProd only from opset 26."""
    size = x.shape[axis]
    zero, one = emit.constant(0, np.int64), emit.constant(1, np.int64)
    positions = emit("Range", zero, emit.size(size), one, spec=TensorSpec((size,), INT64))
    row, column = emit.reshape(positions, (size, 1)), emit.reshape(positions, (1, size))
    triangle = boolean(emit, "GreaterOrEqual", row, column, shape=(size, size))
    axes = tuple([a for a in range(x.rank) if a != axis] + [axis])
    moved = emit.transpose(x, axes)
    expanded = emit.reshape(moved, (*moved.shape[:-1], 1, size))
    square = TensorSpec((*moved.shape, size), x.dtype)
    filled = emit("Where", triangle, expanded, emit.constant(1, x.dtype), spec=square)
    products = emit_reduce(emit, "ReduceProd", filled, (x.rank,), moved.spec, keepdims=False)
    return emit.transpose(products, tuple(int(a) for a in np.argsort(axes)))


def _cumprod_vjp(g: Tensor, out: Tensor, x: Tensor, *, axis: int) -> Tensor:
    """Each element times everything after it, divided by it; a first 0 takes the products that step over it."""
    zero = equal(x, 0)
    filled = where(zero, 1, x)
    zeros = cumsum_primitive(cast(zero, x.dtype), axis=axis, reverse=False)
    products = cumprod_primitive(filled, axis=axis)
    before = cumsum_primitive(gate(multiply(g, products), equal(zeros, 0)), axis=axis, reverse=True)
    over = cumsum_primitive(gate(multiply(g, products), equal(zeros, 1)), axis=axis, reverse=True)
    return where(zero, gate(over, equal(zeros, 1)), gate(divide(before, filled), equal(zeros, 0)))


cumprod_primitive = Primitive(
    name="cumprod",
    run=lambda x, *, axis: np.cumprod(x, axis, dtype=x.dtype),
    infer=infer_same,
    lower=_cumprod_lower,
    vjp=(_cumprod_vjp,),
    residuals="inputs",
)


def _prepared(name: str, x: Any, axis: int | None, dtype: Any) -> tuple[Tensor, int]:
    tensor = convert_to_tensor(as_number(x) if dtype is None else cast(x, dtype))
    if axis is None:
        return reshape(tensor, (-1,)), 0
    return tensor, axis_of(axis, len(tensor.shape), name)


def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running sum along an axis, of the flattened tensor when None (ONNX: CumSum).

    >>> import sardonyx as sx
    >>> sx.ops.cumsum([1, 2, 3]).numpy().tolist()
    [1, 3, 6]
    """
    tensor, position = _prepared("cumsum", x, axis, dtype)
    return cumsum_primitive(tensor, axis=position, reverse=False)


def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running product along an axis, of the flattened tensor when None.

    >>> import sardonyx as sx
    >>> sx.ops.cumprod([1, 2, 3, 4]).numpy().tolist()
    [1, 2, 6, 24]
    """
    tensor, position = _prepared("cumprod", x, axis, dtype)
    return cumprod_primitive(tensor, axis=position)


def _replaced(x: Any, value: int) -> Tensor:
    tensor = convert_to_tensor(x)
    return where(isnan(tensor), value, tensor) if tensor.dtype.kind == "f" else tensor


def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running sum in which NaN counts as 0."""
    return cumsum(_replaced(x, 0), axis, dtype)


def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running product in which NaN counts as 1."""
    return cumprod(_replaced(x, 1), axis, dtype)
