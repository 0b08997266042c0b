"""Losses for overlap of regions: Dice and Tversky."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..core.dtypes import epsilon
from ..core.tensor import Tensor
from .loss import losses
from .shapes import aligned, one_hot_hint
from .wrapper import NamedLoss

Axes = int | Sequence[int] | None


def _axes(axis: Axes) -> Any:
    return tuple(axis) if isinstance(axis, (list, tuple)) else axis


@losses.register()
def dice(y_true: Any, y_pred: Any, axis: Axes = None) -> Tensor:
    """One minus twice the overlap over the sum of both regions, summed over `axis` (None: over all) (Keras name).

    >>> import sardonyx as sx
    >>> float(sx.losses.dice([[1.0, 0.0]], [[1.0, 1.0]]))
    0.333...
    """
    y_true, y_pred = aligned("dice", y_true, y_pred, one_hot_hint)
    axis = _axes(axis)
    overlap = ops.sum(ops.multiply(y_true, y_pred), axis=axis)
    total = ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis) + epsilon()
    return ops.subtract(1.0, ops.divide(ops.multiply(2.0, overlap), total))


@losses.register()
def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Axes = None) -> Tensor:
    """One minus overlap / (overlap + alpha × missed + beta × wrongly claimed), summed over `axis` (Keras name).

    Missed is what `y_true` holds and `y_pred` does not. With 0.5 and 0.5 it is the Dice loss.

    >>> import sardonyx as sx
    >>> float(sx.losses.tversky([[1.0, 0.0]], [[1.0, 1.0]], alpha=1.0, beta=1.0))
    0.5
    """
    y_true, y_pred = aligned("tversky", y_true, y_pred, one_hot_hint)
    axis = _axes(axis)
    overlap = ops.sum(ops.multiply(y_true, y_pred), axis=axis)
    missed = ops.sum(ops.multiply(ops.subtract(1.0, y_pred), y_true), axis=axis)
    claimed = ops.sum(ops.multiply(y_pred, ops.subtract(1.0, y_true)), axis=axis)
    return ops.subtract(1.0, ops.divide(overlap, overlap + missed * alpha + claimed * beta + epsilon()))


@losses.register()
class Dice(NamedLoss):
    """Overlap of two regions; see `dice` (Keras name)."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "dice",
        axis: Axes = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dice, reduction, name, dtype, axis=axis)
        self.axis = axis


@losses.register()
class Tversky(NamedLoss):
    """Overlap of two regions with a weight for each kind of error; see `tversky` (Keras name)."""

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "tversky",
        axis: Axes = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)
        self.alpha, self.beta, self.axis = alpha, beta, axis
