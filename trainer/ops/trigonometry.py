"""Trigonometric and hyperbolic functions and their inverses; angles are in radians."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.emitter import Emitter, Value
from ..core.primitive import Primitive, Residuals
from ..core.tensor import Tensor
from .arithmetic import add, divide, multiply, negative, square, subtract
from .comparison import equal
from .convert import apply_float, promote, to_float
from .lowering import FLOAT32, boolean, float32_operator, in_dtypes, like, select
from .power import rsqrt, sqrt
from .rules import binary, infer_broadcast, infer_float, unary
from .selection import where

__all__ = [
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "cos",
    "cosh",
    "deg2rad",
    "rad2deg",
    "sin",
    "sinc",
    "sinh",
    "tan",
    "tanh",
]


def _function(
    name: str, run: Callable[..., Any], lower: Any, vjp: Callable[..., Tensor], residuals: Residuals = "inputs"
) -> Primitive:
    return unary(name, run, lower, vjp=vjp, residuals=residuals, infer=infer_float)


sin_primitive = _function("sin", np.sin, "Sin", lambda g, out, x: multiply(g, cos(x)))
cos_primitive = _function("cos", np.cos, "Cos", lambda g, out, x: negative(multiply(g, sin(x))))
tan_primitive = _function(
    "tan", np.tan, float32_operator("Tan"), lambda g, out, x: multiply(g, add(square(out), 1.0)), "outputs"
)
arcsin_primitive = _function(
    "arcsin", np.arcsin, float32_operator("Asin"), lambda g, out, x: multiply(g, rsqrt(subtract(1.0, square(x))))
)
arccos_primitive = _function(
    "arccos",
    np.arccos,
    float32_operator("Acos"),
    lambda g, out, x: negative(multiply(g, rsqrt(subtract(1.0, square(x))))),
)
arctan_primitive = _function(
    "arctan", np.arctan, float32_operator("Atan"), lambda g, out, x: divide(g, add(square(x), 1.0))
)
sinh_primitive = _function("sinh", np.sinh, float32_operator("Sinh"), lambda g, out, x: multiply(g, cosh(x)))
cosh_primitive = _function("cosh", np.cosh, float32_operator("Cosh"), lambda g, out, x: multiply(g, sinh(x)))
tanh_primitive = _function(
    "tanh", np.tanh, "Tanh", lambda g, out, x: multiply(g, subtract(1.0, square(out))), "outputs"
)
arcsinh_primitive = _function(
    "arcsinh", np.arcsinh, float32_operator("Asinh"), lambda g, out, x: multiply(g, rsqrt(add(square(x), 1.0)))
)
arccosh_primitive = _function(
    "arccosh",
    np.arccosh,
    float32_operator("Acosh"),
    lambda g, out, x: divide(g, multiply(sqrt(subtract(x, 1.0)), sqrt(add(x, 1.0)))),
)
arctanh_primitive = _function(
    "arctanh", np.arctanh, float32_operator("Atanh"), lambda g, out, x: divide(g, subtract(1.0, square(x)))
)


def _arctan2_lower(emit: Emitter, y: Value, x: Value) -> Value:
    """The angle in the right half-plane, mirrored to the left one for negative x; 0 at the origin."""
    kind, y, x = y.dtype, in_dtypes(emit, y, "fe", FLOAT32), in_dtypes(emit, x, "fe", FLOAT32)
    spec, zero = infer_broadcast(y.spec, x.spec), like(emit, 0, x)
    angle = emit("Atan", emit("Div", y, emit("Abs", x), spec=spec))
    origin = boolean(emit, "And", boolean(emit, "Equal", y, zero), boolean(emit, "Equal", x, zero), shape=spec.shape)
    angle = select(emit, origin, zero, angle)
    half_turn = select(
        emit, boolean(emit, "Less", y, zero), like(emit, -math.pi, x), like(emit, math.pi, x)
    )
    mirrored = emit("Sub", half_turn, angle, spec=spec)
    left = boolean(emit, "Less", x, zero)
    return emit.cast(emit("Where", left, mirrored, angle, spec=spec), kind)


arctan2_primitive = binary(
    "arctan2",
    np.arctan2,
    _arctan2_lower,
    vjp=(
        lambda g, out, y, x: multiply(g, divide(x, add(square(x), square(y)))),
        lambda g, out, y, x: negative(multiply(g, divide(y, add(square(x), square(y))))),
    ),
    residuals="inputs",
)


def sin(x: Any) -> Tensor:
    """Sine (ONNX: Sin)."""
    return apply_float(sin_primitive, x)


def cos(x: Any) -> Tensor:
    """Cosine (ONNX: Cos)."""
    return apply_float(cos_primitive, x)


def tan(x: Any) -> Tensor:
    """Tangent (ONNX: Tan)."""
    return apply_float(tan_primitive, x)


def arcsin(x: Any) -> Tensor:
    """Inverse sine, in [-pi/2, pi/2]; NaN outside of [-1, 1] (ONNX: Asin)."""
    return apply_float(arcsin_primitive, x)


def arccos(x: Any) -> Tensor:
    """Inverse cosine, in [0, pi]; NaN outside of [-1, 1] (ONNX: Acos)."""
    return apply_float(arccos_primitive, x)


def arctan(x: Any) -> Tensor:
    """Inverse tangent, in (-pi/2, pi/2) (ONNX: Atan)."""
    return apply_float(arctan_primitive, x)


def arctan2(x1: Any, x2: Any) -> Tensor:
    """The angle of the point with ordinate `x1` and abscissa `x2`, in [-pi, pi] (ONNX: Atan and the quadrant).

    >>> import sardonyx as sx
    >>> round(float(sx.ops.arctan2(1.0, -1.0)), 4)
    2.3562
    """
    y, x = promote(x1, x2)
    return arctan2_primitive(to_float(y), to_float(x))


def sinh(x: Any) -> Tensor:
    """Hyperbolic sine (ONNX: Sinh)."""
    return apply_float(sinh_primitive, x)


def cosh(x: Any) -> Tensor:
    """Hyperbolic cosine (ONNX: Cosh)."""
    return apply_float(cosh_primitive, x)


def tanh(x: Any) -> Tensor:
    """Hyperbolic tangent (ONNX: Tanh)."""
    return apply_float(tanh_primitive, x)


def arcsinh(x: Any) -> Tensor:
    """Inverse hyperbolic sine (ONNX: Asinh)."""
    return apply_float(arcsinh_primitive, x)


def arccosh(x: Any) -> Tensor:
    """Inverse hyperbolic cosine; NaN below 1 (ONNX: Acosh)."""
    return apply_float(arccosh_primitive, x)


def arctanh(x: Any) -> Tensor:
    """Inverse hyperbolic tangent; NaN outside of [-1, 1] (ONNX: Atanh)."""
    return apply_float(arctanh_primitive, x)


def sinc(x: Any) -> Tensor:
    """`sin(pi x) / (pi x)`, and 1 at 0.

    >>> import sardonyx as sx
    >>> print(sx.ops.sinc([0.0, 0.5]).numpy().round(4))
    [1.     0.6366]
    """
    angle = multiply(to_float(x), math.pi)
    origin = equal(angle, 0)
    divisor = where(origin, 1.0, angle)
    return where(origin, 1.0, divide(sin(divisor), divisor))


def deg2rad(x: Any) -> Tensor:
    """Degrees as radians."""
    return multiply(to_float(x), math.pi / 180.0)


def rad2deg(x: Any) -> Tensor:
    """Radians as degrees."""
    return multiply(to_float(x), 180.0 / math.pi)
