"""Hinge losses: margins between classes."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core.tensor import Tensor
from .loss import losses
from .shapes import aligned, one_hot_hint
from .wrapper import NamedLoss


def _signed(y_true: Tensor) -> Tensor:
    """Labels 0 and 1 as -1 and 1; other labels as they are. Decided for the whole batch, so by arithmetic."""
    is_binary = ops.all(ops.logical_or(ops.equal(y_true, 0), ops.equal(y_true, 1)))
    return ops.add(y_true, ops.multiply(ops.cast(is_binary, y_true.dtype), ops.subtract(y_true, 1.0)))


def _margin(name: str, y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = aligned(name, y_true, y_pred)
    return ops.maximum(ops.subtract(1.0, ops.multiply(_signed(y_true), y_pred)), 0.0)


@losses.register()
def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of `max(1 - y_true y_pred, 0)`; targets are -1 and 1, or 0 and 1 (Keras name).

    >>> import sardonyx as sx
    >>> sx.losses.hinge([[0.0, 1.0]], [[-0.5, 2.0]]).numpy()
    array([0.25], dtype=float32)
    """
    return ops.mean(_margin("hinge", y_true, y_pred), axis=-1)


@losses.register()
def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of `max(1 - y_true y_pred, 0)²`; targets are -1 and 1, or 0 and 1 (Keras name).

    >>> import sardonyx as sx
    >>> sx.losses.squared_hinge([[0.0, 1.0]], [[-0.5, 2.0]]).numpy()
    array([0.125], dtype=float32)
    """
    return ops.mean(ops.square(_margin("squared_hinge", y_true, y_pred)), axis=-1)


@losses.register()
def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """How far the best wrong class comes within 1 of the right one: `max(wrong - right + 1, 0)` (Keras name).

    `y_true` is one-hot, of the shape of `y_pred`.

    >>> import sardonyx as sx
    >>> sx.losses.categorical_hinge([[0.0, 1.0]], [[0.25, 0.75]]).numpy()
    array([0.5], dtype=float32)
    """
    y_true, y_pred = aligned("categorical_hinge", y_true, y_pred, one_hot_hint)
    right = ops.sum(ops.multiply(y_true, y_pred), axis=-1)
    wrong = ops.max(ops.multiply(ops.subtract(1.0, y_true), y_pred), axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)


@losses.register()
class Hinge(NamedLoss):
    """Margin between two classes; see `hinge` (Keras name)."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "hinge", dtype: Any = None) -> None:
        super().__init__(hinge, reduction, name, dtype)


@losses.register()
class SquaredHinge(NamedLoss):
    """Squared margin between two classes; see `squared_hinge` (Keras name)."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "squared_hinge", dtype: Any = None
    ) -> None:
        super().__init__(squared_hinge, reduction, name, dtype)


@losses.register()
class CategoricalHinge(NamedLoss):
    """Margin between the right class and the best wrong one; see `categorical_hinge` (Keras name)."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "categorical_hinge", dtype: Any = None
    ) -> None:
        super().__init__(categorical_hinge, reduction, name, dtype)
