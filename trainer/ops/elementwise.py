"""Exponentials, logarithms and the error function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.emitter import Emitter, Value
from ..core.tensor import Tensor
from . import error_function
from .arithmetic import add, divide, multiply, negative, square, subtract
from .convert import apply_float, promote, to_float
from .lowering import boolean, float32_operator, like, select
from .power import log_primitive
from .rules import binary, infer_broadcast, infer_float, unary

__all__ = ["erf", "erfc", "erfinv", "exp", "expm1", "log", "log1p", "log2", "log10", "logaddexp", "logaddexp2"]

_LN2, _LN10, _TWO_OVER_SQRT_PI = math.log(2.0), math.log(10.0), 2.0 / math.sqrt(math.pi)


def _expm1_lower(emit: Emitter, x: Value) -> Value:
    """tanh(x/2) * (exp(x) + 1): exact for small x, where exp(x) - 1 loses all digits."""
    half = emit("Tanh", emit("Mul", x, like(emit, 0.5, x)))
    return emit("Mul", half, emit("Add", emit("Exp", x), like(emit, 1, x)))


def log1p_lower(emit: Emitter, x: Value) -> Value:
    """log(u) * x / (u - 1) with u = 1 + x as rounded (Kahan): exact for small x, where log(1 + x) loses digits."""
    one = like(emit, 1, x)
    u = emit("Add", x, one)
    small = boolean(emit, "Equal", u, one)
    infinite = boolean(emit, "IsInf", u)
    gap = select(emit, small, one, emit("Sub", u, one))
    ratio = select(emit, infinite, one, emit("Div", x, gap))
    return select(emit, small, x, emit("Mul", emit("Log", u), ratio))


exp_primitive = unary(
    "exp", np.exp, "Exp", vjp=lambda g, out, x: multiply(g, out), residuals="outputs", infer=infer_float
)
expm1_primitive = unary(
    "expm1",
    np.expm1,
    _expm1_lower,
    vjp=lambda g, out, x: multiply(g, add(out, 1.0)),
    residuals="outputs",
    infer=infer_float,
)
log1p_primitive = unary(
    "log1p",
    np.log1p,
    log1p_lower,
    vjp=lambda g, out, x: divide(g, add(x, 1.0)),
    residuals="inputs",
    infer=infer_float,
)


def _logarithm(name: str, run: Any, factor: float) -> Any:
    return unary(
        name,
        run,
        lambda emit, x: emit("Mul", emit("Log", x), like(emit, 1 / factor, x)),
        vjp=lambda g, out, x: divide(g, multiply(x, factor)),
        residuals="inputs",
        infer=infer_float,
    )


log2_primitive = _logarithm("log2", np.log2, _LN2)
log10_primitive = _logarithm("log10", np.log10, _LN10)


def _gaussian(x: Tensor) -> Tensor:
    return multiply(exp(negative(square(x))), _TWO_OVER_SQRT_PI)


erf_primitive = unary(
    "erf",
    error_function.erf,
    float32_operator("Erf"),
    vjp=lambda g, out, x: multiply(g, _gaussian(x)),
    residuals="inputs",
    infer=infer_float,
)
_erf_lower = float32_operator("Erf")
erfc_primitive = unary(
    "erfc",
    error_function.erfc,
    lambda emit, x: emit("Sub", like(emit, 1, x), _erf_lower(emit, x), spec=x.spec),
    vjp=lambda g, out, x: negative(multiply(g, _gaussian(x))),
    residuals="inputs",
    infer=infer_float,
)


def _polynomial(emit: Emitter, coefficients: tuple[float, ...], x: Value) -> Value:
    total = like(emit, coefficients[0], x)
    for coefficient in coefficients[1:]:
        total = emit("Add", emit("Mul", total, x, spec=x.spec), like(emit, coefficient, x))
    return total


def _erfinv_lower(emit: Emitter, x: Value) -> Value:
    """Giles's two polynomials, one for the middle and one for the tails."""
    one = like(emit, 1, x)
    inside = emit("Mul", emit("Sub", one, x, spec=x.spec), emit("Add", x, one))
    w = emit("Neg", emit("Log", inside))
    central = _polynomial(emit, error_function.CENTRAL, emit("Sub", w, like(emit, 2.5, x)))
    tail = _polynomial(emit, error_function.TAIL, emit("Sub", emit("Sqrt", w), like(emit, 3, x)))
    infinite = boolean(emit, "IsInf", w)
    factor = select(emit, boolean(emit, "Less", w, like(emit, 5, x)), central, tail)
    return emit("Mul", select(emit, infinite, like(emit, np.inf, x), factor), x)


erfinv_primitive = unary(
    "erfinv",
    error_function.erfinv,
    _erfinv_lower,
    vjp=lambda g, out, x: divide(g, _gaussian(out)),
    residuals="outputs",
    infer=infer_float,
)


def _logaddexp_lower(emit: Emitter, x: Value, y: Value) -> Value:
    spec = infer_broadcast(x.spec, y.spec)
    gap = emit("Neg", emit("Abs", emit("Sub", x, y, spec=spec)))
    # two equal infinities differ by NaN; the sum of their exponentials is that infinity
    undefined = boolean(emit, "IsNaN", gap)
    gap = select(emit, undefined, like(emit, 0, x), gap)
    return emit("Add", emit("Max", x, y, spec=spec), log1p_lower(emit, emit("Exp", gap)))


logaddexp_primitive = binary(
    "logaddexp",
    np.logaddexp,
    _logaddexp_lower,
    vjp=(
        lambda g, out, x, y: multiply(g, exp(subtract(x, out))),
        lambda g, out, x, y: multiply(g, exp(subtract(y, out))),
    ),
)


def exp(x: Any) -> Tensor:
    """e to the power `x` (ONNX: Exp)."""
    return apply_float(exp_primitive, x)


def expm1(x: Any) -> Tensor:
    """`exp(x) - 1`, exact for small `x`.

    >>> import sardonyx as sx
    >>> bool(sx.ops.expm1(1e-10) > 0)
    True
    """
    return apply_float(expm1_primitive, x)


def log(x: Any) -> Tensor:
    """Natural logarithm (ONNX: Log)."""
    return apply_float(log_primitive, x)


def log1p(x: Any) -> Tensor:
    """`log(1 + x)`, exact for small `x`."""
    return apply_float(log1p_primitive, x)


def log2(x: Any) -> Tensor:
    """Logarithm to base 2 (ONNX: Log, Mul)."""
    return apply_float(log2_primitive, x)


def log10(x: Any) -> Tensor:
    """Logarithm to base 10 (ONNX: Log, Mul)."""
    return apply_float(log10_primitive, x)


def logaddexp(x1: Any, x2: Any) -> Tensor:
    """`log(exp(x1) + exp(x2))` without overflow.

    >>> import sardonyx as sx
    >>> float(sx.ops.logaddexp(400.0, -400.0))
    400.0
    """
    x, y = promote(x1, x2)
    return logaddexp_primitive(to_float(x), to_float(y))


def logaddexp2(x1: Any, x2: Any) -> Tensor:
    """`log2(2**x1 + 2**x2)` without overflow.

    >>> import sardonyx as sx
    >>> float(sx.ops.logaddexp2(3.0, 3.0))
    4.0
    """
    return divide(logaddexp(multiply(x1, _LN2), multiply(x2, _LN2)), _LN2)


def erf(x: Any) -> Tensor:
    """The error function, `2 / sqrt(pi)` times the integral of `exp(-t**2)` from 0 to `x` (ONNX: Erf).

    >>> import sardonyx as sx
    >>> round(float(sx.ops.erf(1.0)), 5)
    0.8427
    """
    return apply_float(erf_primitive, x)


def erfc(x: Any) -> Tensor:
    """`1 - erf(x)`; the NumPy kernel keeps its digits for large `x`, the exported form is `1 - Erf(x)`."""
    return apply_float(erfc_primitive, x)


def erfinv(x: Any) -> Tensor:
    """The number whose `erf` is `x`; infinite at -1 and 1, NaN outside (Giles's polynomials in ONNX).

    >>> import sardonyx as sx
    >>> round(float(sx.ops.erfinv(0.8427008)), 4)
    1.0
    """
    return apply_float(erfinv_primitive, x)
