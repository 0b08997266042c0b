"""Losses between distributions and for counts."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core.dtypes import epsilon
from ..core.tensor import Tensor
from .loss import losses
from .shapes import aligned, one_hot_hint
from .wrapper import NamedLoss


@losses.register("kld", "KLD", "kullback_leibler_divergence")
def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """Sum over the last axis of `y_true log(y_true / y_pred)`, both clipped to [1e-7, 1] (Keras name).

    >>> import sardonyx as sx
    >>> sx.losses.kl_divergence([[0.5, 0.5]], [[0.25, 0.75]]).numpy()
    array([0.1438], dtype=float32)
    """
    y_true, y_pred = aligned("kl_divergence", y_true, y_pred, one_hot_hint)
    y_true = ops.clip(y_true, epsilon(), 1.0)
    y_pred = ops.clip(y_pred, epsilon(), 1.0)
    return ops.sum(ops.multiply(y_true, ops.log(ops.divide(y_true, y_pred))), axis=-1)


@losses.register()
def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of `y_pred - y_true log(y_pred)`: counts against predicted rates (Keras name).

    >>> import sardonyx as sx
    >>> sx.losses.poisson([[1.0, 0.0]], [[1.0, 3.0]]).numpy()
    array([2.], dtype=float32)
    """
    y_true, y_pred = aligned("poisson", y_true, y_pred)
    return ops.mean(ops.subtract(y_pred, ops.multiply(y_true, ops.log(y_pred + epsilon()))), axis=-1)


@losses.register()
class KLDivergence(NamedLoss):
    """Kullback-Leibler divergence of predictions from targets; see `kl_divergence` (Keras name)."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "kl_divergence", dtype: Any = None
    ) -> None:
        super().__init__(kl_divergence, reduction, name, dtype)


@losses.register()
class Poisson(NamedLoss):
    """Negative log-likelihood of counts, up to a constant; see `poisson` (Keras name)."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "poisson", dtype: Any = None) -> None:
        super().__init__(poisson, reduction, name, dtype)
