"""Sparsemax: a projection onto the probabilities that sets small ones to 0."""

from __future__ import annotations

from typing import Any

from ..core.tensor import Tensor
from .arithmetic import add, divide, multiply, negative, subtract
from .axes import axis_of
from .broadcast import sum_axes
from .comparison import greater
from .convert import cast, convert_to_tensor, to_float
from .create import ones_like
from .cumulative import cumsum_primitive
from .passing import stop_gradient
from .rectifier import relu
from .reduce import sum
from .selection import gate
from .sorting import sort_primitive

__all__ = ["sparsemax"]


def sparsemax(x: Any, axis: int = -1) -> Tensor:
    """The point of the probability simplex that is nearest to `x`, along an axis (Martins and Astudillo, 2016).

    >>> import sardonyx as sx
    >>> sx.ops.sparsemax([2.0, 1.0, -1.0]).numpy().tolist()
    [1.0, 0.0, 0.0]
    """
    scores = convert_to_tensor(to_float(x))
    where = axis_of(axis, len(scores.shape), "sparsemax")
    support = cast(_support(stop_gradient(scores), where), "bool")
    count = sum_axes(cast(support, scores.dtype), (where,), True)
    level = divide(subtract(sum_axes(gate(scores, support), (where,), True), 1.0), count)
    return relu(subtract(scores, level))


def _support(scores: Tensor, axis: int) -> Tensor:
    """Which elements stay above 0: those whose rank times their value exceeds the running sum less one."""
    falling = negative(sort_primitive(negative(scores), axis=axis))
    sums = cumsum_primitive(falling, axis=axis, reverse=False)
    rank = cumsum_primitive(ones_like(falling), axis=axis, reverse=False)
    stays = greater(add(multiply(rank, falling), 1.0), sums)
    count = sum(cast(stays, scores.dtype), axis, keepdims=True)
    level = divide(subtract(sum_axes(gate(falling, stays), (axis,), True), 1.0), count)
    return greater(scores, level)


