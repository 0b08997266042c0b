"""Reductions that leave NaN out."""

from __future__ import annotations

import math
from typing import Any

from ..core.tensor import Tensor
from .arithmetic import divide, square, subtract
from .comparison import isnan, logical_not
from .convert import cast, convert_to_tensor, to_float
from .power import sqrt
from .reduce import Axis, all, argmax, argmin, max, min, prod, sum
from .selection import where

__all__ = [
    "nanargmax",
    "nanargmin",
    "nanmax",
    "nanmean",
    "nanmin",
    "nanprod",
    "nanstd",
    "nansum",
    "nanvar",
]


def _filled(x: Any, value: float) -> tuple[Tensor, Tensor | None]:
    """NaN replaced by a value, and where it was (None for integers, which have no NaN)."""
    tensor = convert_to_tensor(x)
    if tensor.dtype.kind != "f":
        return tensor, None
    missing = isnan(tensor)
    return where(missing, value, tensor), missing


def nansum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over axes in which NaN counts as 0.

    >>> import sardonyx as sx
    >>> float(sx.ops.nansum([1.0, float("nan"), 2.0]))
    3.0
    """
    return sum(_filled(x, 0.0)[0], axis, keepdims)


def nanprod(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Product over axes in which NaN counts as 1."""
    return prod(_filled(x, 1.0)[0], axis, keepdims)


def nanmean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Mean over axes of what is not NaN; NaN where nothing is left."""
    filled, missing = _filled(to_float(x), 0.0)
    present = cast(logical_not(missing), filled.dtype)
    return divide(sum(filled, axis, keepdims), sum(present, axis, keepdims))


def nanvar(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Variance over axes of what is not NaN; NaN where nothing is left."""
    number = convert_to_tensor(to_float(x))
    return nanmean(square(subtract(number, nanmean(number, axis, True))), axis, keepdims)


def nanstd(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Standard deviation over axes of what is not NaN; NaN where nothing is left."""
    return sqrt(nanvar(x, axis, keepdims))


def _extreme(choose: Any, worst: float, x: Any, axis: Axis, keepdims: bool) -> Tensor:
    filled, missing = _filled(x, worst)
    result = choose(filled, axis, keepdims)
    return result if missing is None else where(all(missing, axis, keepdims), math.nan, result)


def nanmax(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over axes that is not NaN; NaN where nothing is left."""
    return _extreme(max, -math.inf, x, axis, keepdims)


def nanmin(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over axes that is not NaN; NaN where nothing is left."""
    return _extreme(min, math.inf, x, axis, keepdims)


def _position(choose: Any, worst: float, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    filled, missing = _filled(x, worst)
    result = choose(filled, axis, keepdims)
    return result if missing is None else where(all(missing, axis, keepdims), -1, result)


def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the largest element that is not NaN; -1 where nothing is left."""
    return _position(argmax, -math.inf, x, axis, keepdims)


def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the smallest element that is not NaN; -1 where nothing is left."""
    return _position(argmin, math.inf, x, axis, keepdims)
