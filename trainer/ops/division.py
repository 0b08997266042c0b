"""Division with a whole-number quotient, its remainders, and division that gives 0 for a divisor of 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.emitter import Emitter, Value
from ..core.tensor import Tensor
from .arithmetic import divide, multiply, negative
from .comparison import equal
from .convert import as_number, promote, to_float
from .lowering import boolean
from .rounding import floor, trunc
from .rules import binary, infer_broadcast
from .selection import where

__all__ = ["divide_no_nan", "floor_divide", "fmod", "mod"]


def _mod_lower(emit: Emitter, x: Value, y: Value) -> Value:
    """ONNX's Mod has the divisor's sign for integers, the dividend's for floating-point numbers."""
    spec = infer_broadcast(x.spec, y.spec)
    if x.dtype.kind != "f":
        return emit("Mod", x, y, spec=spec)
    rest, zero = emit("Mod", x, y, fmod=1, spec=spec), emit.constant(0, x.dtype)
    wrong_sign = boolean(emit, "Less", emit("Mul", emit("Sign", rest), emit("Sign", y), spec=spec), zero)
    return emit("Add", rest, emit("Mul", y, emit.cast(wrong_sign, x.dtype), spec=spec))


def _floor_divide_lower(emit: Emitter, x: Value, y: Value) -> Value:
    """The dividend less the remainder divides without one, so that neither truncation nor rounding can mislead."""
    spec = infer_broadcast(x.spec, y.spec)
    quotient = emit("Div", emit("Sub", x, _mod_lower(emit, x, y), spec=spec), y)
    return emit("Round", quotient) if x.dtype.kind == "f" else quotient


floor_divide_primitive = binary("floor_divide", np.floor_divide, _floor_divide_lower, residuals="none")
mod_primitive = binary(
    "mod",
    np.mod,
    _mod_lower,
    vjp=(lambda g, out, x, y: g, lambda g, out, x, y: negative(multiply(g, floor(divide(x, y))))),
    residuals="inputs",
)
fmod_primitive = binary(
    "fmod",
    np.fmod,
    lambda emit, x, y: emit("Mod", x, y, fmod=1, spec=infer_broadcast(x.spec, y.spec)),
    vjp=(lambda g, out, x, y: g, lambda g, out, x, y: negative(multiply(g, trunc(divide(x, y))))),
    residuals="inputs",
)


def _numbers(x1: Any, x2: Any) -> tuple[Any, Any]:
    x, y = promote(x1, x2)
    return as_number(x), as_number(y)


def floor_divide(x1: Any, x2: Any) -> Tensor:
    """The quotient rounded down; its gradient is 0.

    >>> import sardonyx as sx
    >>> sx.ops.floor_divide([-7, 7], 2).numpy().tolist()
    [-4, 3]
    """
    return floor_divide_primitive(*_numbers(x1, x2))


def mod(x1: Any, x2: Any) -> Tensor:
    """The remainder with the sign of the divisor, as Python's `%` (ONNX: Mod).

    >>> import sardonyx as sx
    >>> sx.ops.mod([-7, 7], 3).numpy().tolist()
    [2, 1]
    """
    return mod_primitive(*_numbers(x1, x2))


def fmod(x1: Any, x2: Any) -> Tensor:
    """The remainder with the sign of the dividend, as C's `fmod` (ONNX: Mod).

    >>> import sardonyx as sx
    >>> sx.ops.fmod([-7, 7], 3).numpy().tolist()
    [-1, 1]
    """
    return fmod_primitive(*_numbers(x1, x2))


def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """`x1 / x2`, and 0 where `x2` is 0; the gradients are 0 there too.

    >>> import sardonyx as sx
    >>> sx.ops.divide_no_nan([1.0, 2.0], [0.0, 4.0]).numpy().tolist()
    [0.0, 0.5]
    """
    x, y = promote(x1, x2)
    x, y = to_float(x), to_float(y)
    empty = equal(y, 0)
    return where(empty, 0.0, divide(x, where(empty, 1.0, y)))
