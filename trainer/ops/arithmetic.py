"""Addition, subtraction, multiplication, division, absolute value: elementwise arithmetic with broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.emitter import Emitter, Value
from ..core.tensor import Tensor
from .convert import apply_float, apply_promoted, as_number, convert_to_tensor, promote, to_float
from .lowering import boolean
from .rules import binary, broadcasting_operator, infer_comparison, infer_float, unary

__all__ = [
    "abs",
    "absolute",
    "add",
    "divide",
    "fabs",
    "multiply",
    "negative",
    "positive",
    "reciprocal",
    "sign",
    "signbit",
    "square",
    "subtract",
    "true_divide",
]


def _with_logic(operator: str, logical: str) -> Any:
    """ONNX adds and multiplies numbers only: on booleans these are Or and And, as in NumPy."""
    numeric, on_booleans = broadcasting_operator(operator), broadcasting_operator(logical)
    return lambda emit, x, y: (on_booleans if x.dtype.kind == "b" else numeric)(emit, x, y)


add_primitive = binary(
    "add", np.add, _with_logic("Add", "Or"), vjp=(lambda g, out, x, y: g, lambda g, out, x, y: g), residuals="none"
)
subtract_primitive = binary(
    "subtract", np.subtract, "Sub", vjp=(lambda g, out, x, y: g, lambda g, out, x, y: negative(g)), residuals="none"
)
multiply_primitive = binary(
    "multiply",
    np.multiply,
    _with_logic("Mul", "And"),
    vjp=(lambda g, out, x, y: multiply(g, y), lambda g, out, x, y: multiply(g, x)),
    residuals="inputs",
)
divide_primitive = binary(
    "divide",
    np.divide,
    "Div",
    vjp=(lambda g, out, x, y: divide(g, y), lambda g, out, x, y: negative(divide(multiply(g, out), y))),
)
negative_primitive = unary("negative", np.negative, "Neg", vjp=lambda g, out, x: negative(g), residuals="none")
reciprocal_primitive = unary(
    "reciprocal",
    np.reciprocal,
    "Reciprocal",
    vjp=lambda g, out, x: negative(multiply(g, square(out))),
    residuals="outputs",
    infer=infer_float,
)
square_primitive = unary(
    "square",
    np.square,
    lambda emit, x: emit("Mul", x, x),
    vjp=lambda g, out, x: multiply(g, multiply(x, 2)),
    residuals="inputs",
)
absolute_primitive = unary(
    "absolute", np.absolute, "Abs", vjp=lambda g, out, x: multiply(g, sign(x)), residuals="inputs"
)
sign_primitive = unary("sign", np.sign, "Sign", residuals="none")


def _signbit_lower(emit: Emitter, x: Value) -> Value:
    zero = emit.constant(0, x.dtype)
    negative_number = boolean(emit, "Less", x, zero)
    if x.dtype.kind != "f":
        return negative_number
    # 1 / -0.0 is -inf, the only way in which ONNX tells the two zeros apart
    below = boolean(emit, "Less", emit("Reciprocal", x), zero)
    return boolean(emit, "Or", negative_number, boolean(emit, "And", boolean(emit, "Equal", x, zero), below))


signbit_primitive = unary("signbit", np.signbit, _signbit_lower, residuals="none", infer=infer_comparison)


def add(x1: Any, x2: Any) -> Tensor:
    """Elementwise sum with broadcasting (ONNX: Add).

    >>> import sardonyx as sx
    >>> sx.ops.add([1, 2], 3).numpy().tolist()
    [4, 5]
    """
    return apply_promoted(add_primitive, x1, x2)


def subtract(x1: Any, x2: Any) -> Tensor:
    """Elementwise difference with broadcasting (ONNX: Sub)."""
    return apply_promoted(subtract_primitive, x1, x2)


def multiply(x1: Any, x2: Any) -> Tensor:
    """Elementwise product with broadcasting (ONNX: Mul)."""
    return apply_promoted(multiply_primitive, x1, x2)


def divide(x1: Any, x2: Any) -> Tensor:
    """Elementwise true division with broadcasting; integers become the default float (ONNX: Div).

    >>> import sardonyx as sx
    >>> sx.ops.divide([1, 2], 4).numpy().tolist()
    [0.25, 0.5]
    """
    x, y = promote(x1, x2)
    return divide_primitive(x, y) if x.dtype.kind in "fc" else divide_primitive(to_float(x), to_float(y))


true_divide = divide


def negative(x: Any) -> Tensor:
    """Elementwise negation (ONNX: Neg)."""
    return negative_primitive(x)


def positive(x: Any) -> Tensor:
    """The values as they are, as a tensor."""
    return convert_to_tensor(x)


def reciprocal(x: Any) -> Tensor:
    """`1 / x`; integers become the default float (ONNX: Reciprocal)."""
    return apply_float(reciprocal_primitive, x)


def square(x: Any) -> Tensor:
    """`x * x` (ONNX: Mul)."""
    return square_primitive(as_number(x))


def absolute(x: Any) -> Tensor:
    """Absolute value; its gradient at 0 is 0 (ONNX: Abs)."""
    return absolute_primitive(x)


abs = absolute


def fabs(x: Any) -> Tensor:
    """Absolute value as floating-point (ONNX: Abs)."""
    return apply_float(absolute_primitive, x)


def sign(x: Any) -> Tensor:
    """-1, 0 or 1 by the sign of each element; its gradient is 0 (ONNX: Sign)."""
    return sign_primitive(x)


def signbit(x: Any) -> Tensor:
    """Whether the sign bit is set: true for negative numbers and -0.0.

    >>> import sardonyx as sx
    >>> sx.ops.signbit([-0.0, 0.0, -3.0]).numpy().tolist()
    [True, False, True]
    """
    return signbit_primitive(x)
