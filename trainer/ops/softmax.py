"""Softmax and its logarithm, over one axis or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.dims import product
from ..core.emitter import Emitter, Value
from ..core.errors import ShapeError
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .arithmetic import multiply, subtract
from .broadcast import infer_reduced, sum_axes
from .convert import to_float
from .elementwise import exp
from .lowering import emit_reduce
from .reduce import axes_of
from .rules import infer_float

__all__ = ["log_softmax", "softmax"]

Axes = tuple[int, ...]


def _shifted(x: np.ndarray, axes: Axes) -> np.ndarray:
    """Less the largest element, so that no exponential overflows; infinite maxima would give NaN as in Keras."""
    return np.subtract(x, np.maximum.reduce(x, axis=axes, keepdims=True))


def _totals(x: np.ndarray, axes: Axes) -> np.ndarray:
    """Sums over axes; over the last one as a matrix product, several times faster for short rows."""
    if axes == (x.ndim - 1,) and x.dtype.char in "fd" and x.flags.c_contiguous:
        return (x.reshape(-1, x.shape[-1]) @ np.ones(x.shape[-1], x.dtype)).reshape(*x.shape[:-1], 1)
    return np.add.reduce(x, axis=axes, keepdims=True)


def _softmax_run(x: np.ndarray, *, axes: Axes) -> np.ndarray:
    result = _shifted(x, axes)
    np.exp(result, out=result)
    result /= _totals(result, axes)
    return result


def _log_softmax_run(x: np.ndarray, *, axes: Axes) -> np.ndarray:
    result = _shifted(x, axes)
    result -= np.log(_totals(np.exp(result), axes))
    return result


def _lower(operator: str) -> Any:
    def lower(emit: Emitter, x: Value, *, axes: Axes) -> Value:
        if len(axes) == 1:
            return emit(operator, x, axis=axes[0])
        if axes == tuple(range(axes[0], axes[-1] + 1)):
            merged = (*x.shape[: axes[0]], product([x.shape[a] for a in axes]), *x.shape[axes[-1] + 1 :])
            return emit.reshape(emit(operator, emit.reshape(x, merged), axis=axes[0]), x.shape)
        spec = infer_reduced(x.spec, axes=axes, keepdims=True)
        logarithm = emit("Sub", x, emit_reduce(emit, "ReduceLogSumExp", x, axes, spec))
        return emit("Exp", logarithm) if operator == "Softmax" else logarithm

    return lower


def _infer(x: TensorSpec, *, axes: Axes) -> TensorSpec:
    return infer_float(x)


def _softmax_vjp(g: Tensor, out: Tensor, x: Tensor, *, axes: Axes) -> Tensor:
    return multiply(out, subtract(g, sum_axes(multiply(g, out), axes, True)))


def _log_softmax_vjp(g: Tensor, out: Tensor, x: Tensor, *, axes: Axes) -> Tensor:
    return subtract(g, multiply(exp(out), sum_axes(g, axes, True)))


softmax_primitive = Primitive("softmax", _softmax_run, _infer, _lower("Softmax"), (_softmax_vjp,), residuals="outputs")
log_softmax_primitive = Primitive(
    "log_softmax", _log_softmax_run, _infer, _lower("LogSoftmax"), (_log_softmax_vjp,), residuals="outputs"
)


def _apply(primitive: Primitive, x: Any, axis: int | Sequence[int] | None) -> Tensor:
    number = to_float(x)
    rank = len(number.shape)
    if not rank:
        raise ShapeError(f"{primitive.name}: expected at least one axis, got a scalar")
    return primitive(number, axes=axes_of(primitive.name, axis, rank))


def softmax(x: Any, axis: int | Sequence[int] | None = -1) -> Tensor:
    """Exponentials divided by their sum over an axis, several axes, or all (None) (ONNX: Softmax).

    Raises `ShapeError` for a scalar, and for an axis that the tensor lacks.

    >>> import sardonyx as sx
    >>> sx.ops.softmax([0.0, 0.0]).numpy().tolist()
    [0.5, 0.5]
    """
    return _apply(softmax_primitive, x, axis)


def log_softmax(x: Any, axis: int | Sequence[int] | None = -1) -> Tensor:
    """Logarithm of `softmax`, without underflow (ONNX: LogSoftmax).

    >>> import sardonyx as sx
    >>> sx.ops.log_softmax([0.0, -1000.0]).numpy().tolist()
    [0.0, -1000.0]
    """
    return _apply(log_softmax_primitive, x, axis)
