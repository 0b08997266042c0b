"""Rounding to whole numbers or decimals, and replacing NaN and infinities."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.emitter import Emitter, Value
from ..core.tensor import Tensor
from .arithmetic import divide, multiply
from .comparison import isnan, isneginf, isposinf
from .convert import apply_float, convert_to_tensor
from .lowering import boolean, select
from .rules import infer_float, unary
from .selection import where

__all__ = ["ceil", "floor", "nan_to_num", "round", "trunc"]


def _trunc_lower(emit: Emitter, x: Value) -> Value:
    below = boolean(emit, "Less", x, emit.constant(0, x.dtype))
    return select(emit, below, emit("Ceil", x), emit("Floor", x))


floor_primitive = unary("floor", np.floor, "Floor", residuals="none", infer=infer_float)
ceil_primitive = unary("ceil", np.ceil, "Ceil", residuals="none", infer=infer_float)
round_primitive = unary("round", np.rint, "Round", residuals="none", infer=infer_float)
trunc_primitive = unary("trunc", np.trunc, _trunc_lower, residuals="none", infer=infer_float)


def floor(x: Any) -> Tensor:
    """The largest whole number not above; integers become the default float; the gradient is 0 (ONNX: Floor)."""
    return apply_float(floor_primitive, x)


def ceil(x: Any) -> Tensor:
    """The smallest whole number not below; integers become the default float; the gradient is 0 (ONNX: Ceil)."""
    return apply_float(ceil_primitive, x)


def trunc(x: Any) -> Tensor:
    """The whole number next towards 0; integers stay; the gradient is 0.

    >>> import sardonyx as sx
    >>> sx.ops.trunc([-1.7, 1.7]).numpy().tolist()
    [-1.0, 1.0]
    """
    tensor = convert_to_tensor(x)
    return trunc_primitive(tensor) if tensor.dtype.kind == "f" else tensor


def round(x: Any, decimals: int = 0) -> Tensor:
    """The nearest number with so many decimals, halves to the even one; the gradient is 0 (ONNX: Round).

    >>> import sardonyx as sx
    >>> sx.ops.round([0.5, 1.5, 2.4]).numpy().tolist()
    [0.0, 2.0, 2.0]
    """
    tensor = convert_to_tensor(x)
    if tensor.dtype.kind != "f":
        if decimals >= 0:
            return tensor
        tensor_float = apply_float(round_primitive, divide(tensor, 10**-decimals))
        return multiply(tensor_float, 10**-decimals).astype(tensor.dtype)
    if decimals == 0:
        return round_primitive(tensor)
    scale = float(10 ** np.abs(decimals))
    if decimals > 0:
        return divide(round_primitive(multiply(tensor, scale)), scale)
    return multiply(round_primitive(divide(tensor, scale)), scale)


def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """NaN and infinities replaced; without `posinf` or `neginf` by the largest and smallest finite number.

    >>> import sardonyx as sx
    >>> sx.ops.nan_to_num([float("nan"), float("-inf"), 1.0], neginf=-9.0).numpy().tolist()
    [0.0, -9.0, 1.0]
    """
    tensor = convert_to_tensor(x)
    if tensor.dtype.kind != "f":
        return tensor
    limits = np.finfo(tensor.dtype)
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    result = where(isnan(tensor), nan, tensor)
    result = where(isposinf(tensor), high, result)
    return where(isneginf(tensor), low, result)
