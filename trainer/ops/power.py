"""Powers and roots."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.emitter import Emitter, Value
from ..core.tensor import Tensor
from .arithmetic import divide, multiply, square, square_primitive, subtract
from .comparison import equal
from .convert import apply_float, as_number, promote, to_float
from .lowering import like
from .rules import binary, infer_broadcast, infer_float, unary
from .selection import where

__all__ = ["cbrt", "exp2", "hypot", "ldexp", "power", "rsqrt", "sqrt"]

_LN2 = 0.6931471805599453


def _power_vjp_x(g: Tensor, out: Tensor, x: Tensor, y: Tensor) -> Tensor:
    # x**0 is constant, also where x is 0 and x**-1 infinite
    less_one = where(equal(y, 0), 1, subtract(y, 1))
    return multiply(g, multiply(y, power_primitive(x, less_one)))


def _power_vjp_y(g: Tensor, out: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return multiply(g, multiply(out, log_primitive(where(equal(x, 0), 1, x))))


power_primitive = binary("power", np.power, "Pow", vjp=(_power_vjp_x, _power_vjp_y))
log_primitive = unary(
    "log", np.log, "Log", vjp=lambda g, out, x: divide(g, x), residuals="inputs", infer=infer_float
)
sqrt_primitive = unary(
    "sqrt",
    np.sqrt,
    "Sqrt",
    vjp=lambda g, out, x: divide(multiply(g, 0.5), out),
    residuals="outputs",
    infer=infer_float,
)
rsqrt_primitive = unary(
    "rsqrt",
    lambda x: np.reciprocal(np.sqrt(x)),
    lambda emit, x: emit("Reciprocal", emit("Sqrt", x)),
    vjp=lambda g, out, x: multiply(multiply(g, -0.5), multiply(out, square(out))),
    residuals="outputs",
    infer=infer_float,
)
cbrt_primitive = unary(
    "cbrt",
    np.cbrt,
    lambda emit, x: emit("Mul", emit("Sign", x), emit("Pow", emit("Abs", x), like(emit, 1 / 3, x))),
    vjp=lambda g, out, x: divide(g, multiply(square(out), 3.0)),
    residuals="outputs",
    infer=infer_float,
)
exp2_primitive = unary(
    "exp2",
    np.exp2,
    lambda emit, x: emit("Pow", like(emit, 2, x), x, spec=x.spec),
    vjp=lambda g, out, x: multiply(g, multiply(out, _LN2)),
    residuals="outputs",
    infer=infer_float,
)


def _hypot_lower(emit: Emitter, x: Value, y: Value) -> Value:
    """The larger leg times the root of one plus the squared ratio: nothing overflows that need not."""
    spec = infer_broadcast(x.spec, y.spec)
    x, y = emit("Abs", x), emit("Abs", y)
    longer, shorter = emit("Max", x, y, spec=spec), emit("Min", x, y, spec=spec)
    ratio = emit("Div", shorter, emit("Max", longer, like(emit, np.finfo(x.dtype).tiny, x)))
    root = emit("Sqrt", emit("Add", emit("Mul", ratio, ratio), like(emit, 1, x)))
    return emit("Mul", longer, root)


hypot_primitive = binary(
    "hypot",
    np.hypot,
    _hypot_lower,
    vjp=(lambda g, out, x, y: _direction(g, out, x), lambda g, out, x, y: _direction(g, out, y)),
)


def _direction(g: Tensor, out: Tensor, leg: Tensor) -> Tensor:
    return multiply(g, divide(leg, where(equal(out, 0), 1, out)))


def power(x1: Any, x2: Any) -> Tensor:
    """`x1` to the power `x2`, with broadcasting (ONNX: Pow; Mul for the number 2).

    >>> import sardonyx as sx
    >>> sx.ops.power([1.0, 2.0, 3.0], 2).numpy().tolist()
    [1.0, 4.0, 9.0]
    """
    if isinstance(x2, (int, float)) and x2 == 2:
        x, _ = promote(as_number(x1), x2)
        return square_primitive(x)
    x, y = promote(x1, x2)
    return power_primitive(as_number(x), as_number(y))


def sqrt(x: Any) -> Tensor:
    """Square root; integers become the default float (ONNX: Sqrt)."""
    return apply_float(sqrt_primitive, x)


def rsqrt(x: Any) -> Tensor:
    """`1 / sqrt(x)` (ONNX: Sqrt, Reciprocal)."""
    return apply_float(rsqrt_primitive, x)


def cbrt(x: Any) -> Tensor:
    """Cube root, negative for negative numbers (ONNX: Pow of the absolute value).

    >>> import sardonyx as sx
    >>> float(sx.ops.cbrt(-8.0))
    -2.0
    """
    return apply_float(cbrt_primitive, x)


def exp2(x: Any) -> Tensor:
    """2 to the power `x` (ONNX: Pow)."""
    return apply_float(exp2_primitive, x)


def hypot(x1: Any, x2: Any) -> Tensor:
    """Length of the hypotenuse of a right triangle with legs `x1` and `x2`, without overflow on the way.

    >>> import sardonyx as sx
    >>> float(sx.ops.hypot(3.0, 4.0))
    5.0
    """
    x, y = promote(x1, x2)
    return hypot_primitive(to_float(x), to_float(y))


def ldexp(x1: Any, x2: Any) -> Tensor:
    """`x1 * 2**x2`.

    >>> import sardonyx as sx
    >>> float(sx.ops.ldexp(0.75, 3))
    6.0
    """
    x = to_float(x1)
    return multiply(x, exp2(promote(x2, x)[0]))
