"""Arithmetic, element by element, with the broadcasting of each version."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from .table import Call, operator, plain
from .values import back_to, is_float, scalar_like

plain({
    "Acos": ops.arccos, "Acosh": ops.arccosh, "Asin": ops.arcsin, "Asinh": ops.arcsinh, "Atan": ops.arctan,
    "Atanh": ops.arctanh, "Ceil": ops.ceil, "Cos": ops.cos, "Cosh": ops.cosh, "Det": ops.det, "Erf": ops.erf,
    "Exp": ops.exp, "Floor": ops.floor, "IsNaN": ops.isnan, "Log": ops.log, "Neg": ops.negative, "Abs": ops.abs,
    "Reciprocal": ops.reciprocal, "Round": ops.round, "Sign": ops.sign, "Sin": ops.sin, "Sinh": ops.sinh,
    "Sqrt": ops.sqrt, "Tan": ops.tan, "Tanh": ops.tanh, "BitwiseNot": ops.bitwise_not,
    "BitwiseAnd": ops.bitwise_and, "BitwiseOr": ops.bitwise_or, "BitwiseXor": ops.bitwise_xor,
})  # fmt: skip


def aligned(call: Call, x: Tensor, y: Any) -> Any:
    """The second operand as versions before 7 align it: its axes from `axis` on, where `broadcast` is set."""
    axis = call.get("axis")
    if call.version >= 7 or not call.get("broadcast") or axis is None:
        return y
    rank, own = len(x.shape), len(y.shape)
    return ops.reshape(y, (*y.shape, *[1] * (rank - axis % rank - own)))


def binary(name: str, function: Callable[..., Any]) -> None:
    """Register an operator of two operands of one element type."""
    operator(name)(lambda call, x, y: function(x, aligned(call, x, y)))


for name, function in {"Add": ops.add, "Sub": ops.subtract, "Mul": ops.multiply}.items():
    binary(name, function)


@operator("Div")
def divide(call: Call, x: Tensor, y: Tensor) -> Tensor:
    """Division; of integers the quotient is cut off towards zero."""
    y = aligned(call, x, y)
    if is_float(x):
        return ops.divide(x, y)
    quotient = ops.floor_divide(x, y)
    if x.dtype.kind == "u":
        return quotient
    exact = ops.equal(ops.multiply(quotient, y), x)
    differ = ops.less(ops.multiply(ops.sign(x), ops.sign(y)), scalar_like(0, x))
    upwards = ops.logical_and(differ, ops.logical_not(exact))
    return ops.add(quotient, ops.cast(upwards, x.dtype))


@operator("Pow")
def power(call: Call, x: Tensor, y: Tensor) -> Tensor:
    """A power in the type of the base."""
    y = aligned(call, x, y)
    exact = x.dtype.kind in "iu" and is_float(y)
    found = ops.power(ops.cast(x, np.float64) if exact else x, ops.cast(y, np.float64) if exact else y)
    return back_to(found, x.dtype)


@operator("Mod")
def mod(call: Call, x: Tensor, y: Tensor) -> Tensor:
    """The remainder, with the sign of the divisor, or with `fmod` of the dividend."""
    return ops.fmod(x, y) if call.get("fmod", 0) else ops.mod(x, y)


def _folded(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda call, *inputs: reduce(function, inputs)


for name, function in {"Max": ops.maximum, "Min": ops.minimum, "Sum": ops.add}.items():
    operator(name)(_folded(function))


@operator("Mean")
def mean(call: Call, *inputs: Tensor) -> Tensor:
    """The mean of tensors."""
    return ops.multiply(reduce(ops.add, inputs), scalar_like(1 / len(inputs), inputs[0]))


@operator("BitShift")
def bit_shift(call: Call, x: Tensor, y: Tensor) -> Tensor:
    """Bits moved to the left or right."""
    left = call.get("direction") == "LEFT"
    return ops.bitwise_left_shift(x, y) if left else ops.bitwise_right_shift(x, y)


@operator("Clip")
def clip_attributes(call: Call, x: Tensor) -> Tensor:
    """Bounds as attributes (before version 11)."""
    limits = np.finfo(x.dtype)
    return ops.clip(x, max(call.get("min", -np.inf), limits.min), min(call.get("max", np.inf), limits.max))


@operator("Clip", since=11)
def clip(call: Call, x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    """Bounds as inputs, each of which may be left out; where they cross, the upper one holds."""
    if low is not None:
        x = ops.maximum(x, low)
    return x if high is None else ops.minimum(x, high)


@operator("CumSum")
def cumulative_sum(call: Call, x: Tensor, axis: Tensor) -> Tensor:
    """Sums up to each element."""
    return _cumulative(call, x, axis, ops.cumsum, 0)


@operator("CumProd")
def cumulative_product(call: Call, x: Tensor, axis: Tensor) -> Tensor:
    """Products up to each element."""
    return _cumulative(call, x, axis, ops.cumprod, 1)


def _cumulative(call: Call, x: Tensor, axis: Tensor, function: Callable[..., Any], first: int) -> Tensor:
    along = int(np.asarray(axis.value("the axis of a cumulative sum")).reshape(-1)[0]) % len(x.shape)
    if call.get("reverse", 0):
        x = ops.flip(x, along)
    found = back_to(function(x, axis=along), x.dtype)
    if call.get("exclusive", 0):
        widths = [(1, 0) if i == along else (0, 0) for i in range(len(x.shape))]
        keep = tuple(slice(None, -1) if i == along else slice(None) for i in range(len(x.shape)))
        found = ops.pad(found[keep], widths, constant_values=first)
    return ops.flip(found, along) if call.get("reverse", 0) else found
