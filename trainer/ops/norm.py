"""Norms of vectors and matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.emitter import Emitter, Value
from ..core.errors import ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .arithmetic import absolute, multiply
from .axes import axes_of, expand_dims, moveaxis
from .broadcast import expand_reduced, infer_reduced, sum_axes
from .comparison import not_equal
from .convert import cast, to_float
from .division import divide_no_nan
from .factors import singular_values_primitive
from .lowering import emit_reduce
from .power import power
from .reduce import max as max_over
from .reduce import min as min_over

__all__ = ["norm"]


def _run(x: np.ndarray, *, axes: tuple[int, ...], keepdims: bool) -> np.ndarray:
    if axes == (x.ndim - 1,):
        total = np.einsum("...i,...i->...", x, x)
        return np.sqrt(total[..., None] if keepdims else total)
    return np.sqrt((x * x).sum(axes, keepdims=keepdims, dtype=x.dtype))


def _lower(emit: Emitter, x: Value, *, axes: tuple[int, ...], keepdims: bool) -> Value:
    spec = infer_reduced(x.spec, axes=axes, keepdims=keepdims)
    number = x if x.dtype.char in "fd" else emit.cast(x, np.float32)
    result = emit_reduce(emit, "ReduceL2", number, axes, TensorSpec(spec.shape, number.dtype), keepdims)
    return emit.cast(result, x.dtype)


def _vjp(g: Tensor, out: Tensor, x: Tensor, *, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    # 0 at 0, where every direction is a subgradient
    return multiply(expand_reduced(divide_no_nan(g, out), x.shape, axes, keepdims), x)


norm_primitive = Primitive(name="norm", run=_run, infer=infer_reduced, lower=_lower, vjp=(_vjp,))


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The norm of vectors (one axis) or matrices (two axes); of the whole tensor as a vector when both are None.

    `ord` of vectors: 2 (None), 1, 0, inf, -inf or any power (ONNX: ReduceL2 for 2). Of matrices: "fro" (None), 1, -1,
    inf, -inf; 2, -2 and "nuc" need singular values and are not exportable. Integers become the default float.
    Raises `ValueError` for other orders.

    >>> import sardonyx as sx
    >>> sx.ops.norm([[3.0, 4.0], [6.0, 8.0]], axis=-1).tolist()
    [5.0, 10.0]
    """
    tensor = to_float(x)
    rank = len(tensor.shape)
    axes = tuple(range(rank)) if axis is None else axes_of(axis, rank, "norm")
    if ord is None or (ord == "fro" and len(axes) == 2) or (ord == 2 and len(axes) == 1):
        return norm_primitive(tensor, axes=tuple(sorted(axes)), keepdims=bool(keepdims))
    if len(axes) == 1:
        return _vector_norm(tensor, ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix_norm(tensor, ord, axes, keepdims)
    raise ShapeError(f"norm: ord={ord!r} needs one axis or two, got axis={axis} of {format_shape(tensor.shape)}")


def _vector_norm(x: Tensor, order: Any, axes: Sequence[int], keepdims: bool) -> Tensor:
    axis = axes[0]
    if not isinstance(order, (int, float)):
        raise ValueError(f"norm: ord={order!r} is for matrices; for vectors give a number, inf or -inf")
    if order == math.inf:
        return max_over(absolute(x), axis=axis, keepdims=keepdims)
    if order == -math.inf:
        return min_over(absolute(x), axis=axis, keepdims=keepdims)
    if order == 0:
        return sum_axes(cast(not_equal(x, 0), x.dtype), (axis,), keepdims)
    if order == 1:
        return sum_axes(absolute(x), (axis,), keepdims)
    return power(sum_axes(power(absolute(x), float(order)), (axis,), keepdims), 1.0 / order)


def _matrix_norm(x: Tensor, order: Any, axes: Sequence[int], keepdims: bool) -> Tensor:
    rows, columns = axes
    if order in (1, -1, math.inf, -math.inf):
        summed, left = (rows, columns) if abs(order) == 1 else (columns, rows)
        sums = sum_axes(absolute(x), (summed,), True)
        result = (max_over if order > 0 else min_over)(sums, axis=left, keepdims=True)
        return result if keepdims else sum_axes(result, tuple(sorted(axes)), False)
    if order not in (2, -2, "nuc"):
        raise ValueError(f'norm: ord of matrices must be "fro", "nuc", 1, -1, 2, -2, inf or -inf, got {order!r}')
    values = singular_values_primitive(moveaxis(x, (rows, columns), (-2, -1)))
    last = len(values.shape) - 1
    if order == "nuc":
        result = sum_axes(values, (last,), False)
    else:
        result = (max_over if order == 2 else min_over)(values, axis=last)
    return expand_dims(result, tuple(sorted(axes))) if keepdims else result
