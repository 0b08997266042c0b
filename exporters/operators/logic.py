"""Comparisons, logic and choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from .arithmetic import aligned, binary
from .table import Call, operator, plain
from .values import fixed, is_string

plain({"Not": ops.logical_not})

for name, function in {
    "And": ops.logical_and, "Or": ops.logical_or, "Xor": ops.logical_xor, "Greater": ops.greater, "Less": ops.less,
    "GreaterOrEqual": ops.greater_equal, "LessOrEqual": ops.less_equal,
}.items():  # fmt: skip
    binary(name, function)


@operator("Equal")
def equal(call: Call, x: Tensor, y: Tensor) -> Tensor:
    """Whether elements are equal; texts are compared where they are constants."""
    if is_string(x):
        return Tensor(np.asarray(fixed(call, x, "a text") == fixed(call, y, "a text"), bool))
    return ops.equal(x, aligned(call, x, y))


@operator("Where")
def where(call: Call, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Elements of one tensor or the other."""
    if is_string(x):
        return Tensor(np.where(*[fixed(call, v, "a text") for v in (condition, x, y)]))
    return ops.where(condition, x, y)


@operator("IsInf")
def is_infinite(call: Call, x: Tensor) -> Tensor:
    """Whether elements are infinite, of the signs asked for."""
    positive, negative = call.get("detect_positive", 1), call.get("detect_negative", 1)
    signs: list[Callable[..., Any]] = []
    signs += [ops.isposinf] if positive else []
    signs += [ops.isneginf] if negative else []
    if len(signs) == 2:
        return ops.isinf(x)
    return signs[0](x) if signs else ops.zeros(x.shape, "bool")
