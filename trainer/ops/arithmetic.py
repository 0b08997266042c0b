"""Addition, subtraction, multiplication, division, negation: elementwise arithmetic with broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.tensor import Tensor
from .convert import apply_promoted, promote, to_float
from .rules import binary, unary

__all__ = ["add", "divide", "multiply", "negative", "subtract", "true_divide"]

add_primitive = binary(
    "add", np.add, "Add", vjp=(lambda g, out, x, y: g, lambda g, out, x, y: g), residuals="none"
)
subtract_primitive = binary(
    "subtract", np.subtract, "Sub", vjp=(lambda g, out, x, y: g, lambda g, out, x, y: negative(g)), residuals="none"
)
multiply_primitive = binary(
    "multiply",
    np.multiply,
    "Mul",
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
    """Elementwise true division with broadcasting; integers become the default float (ONNX: Div)."""
    x, y = promote(x1, x2)
    return divide_primitive(x, y) if x.dtype.kind in "fc" else divide_primitive(to_float(x), to_float(y))


true_divide = divide


def negative(x: Any) -> Tensor:
    """Elementwise negation (ONNX: Neg)."""
    return negative_primitive(x)
