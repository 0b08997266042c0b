"""How targets and predictions go together: Pearson's and Lin's correlation."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core.dtypes import epsilon
from ..core.tensor import Tensor
from ..losses.shapes import aligned
from .metric import metrics
from .reduction import NamedMetric


def _centred(name: str, y_true: Any, y_pred: Any, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    """Targets and predictions less their means, and the difference of the means."""
    y_true, y_pred = aligned(name, y_true, y_pred)
    true_mean = ops.mean(y_true, axis=axis, keepdims=True)
    predicted_mean = ops.mean(y_pred, axis=axis, keepdims=True)
    return y_true - true_mean, y_pred - predicted_mean, true_mean - predicted_mean


@metrics.register()
def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Pearson's correlation along `axis`, from -1 to 1; NaN where one side does not vary (Keras name).

    >>> import sardonyx as sx
    >>> sx.metrics.pearson_correlation([[0.0, 1.0, 0.5]], [[0.1, 0.9, 1.0]]).numpy()
    array([0.8109], dtype=float32)
    """
    true, predicted, _ = _centred("pearson_correlation", y_true, y_pred, axis)
    true = ops.divide(true, ops.std(true, axis=axis, keepdims=True))
    predicted = ops.divide(predicted, ops.std(predicted, axis=axis, keepdims=True))
    return ops.mean(ops.multiply(true, predicted), axis=axis)


@metrics.register()
def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Lin's concordance correlation along `axis`: correlation that also asks for equal mean and spread (Keras name).

    >>> import sardonyx as sx
    >>> sx.metrics.concordance_correlation([[0.0, 1.0, 0.5]], [[0.1, 0.9, 1.0]]).numpy()
    array([0.7477], dtype=float32)
    """
    true, predicted, shift = _centred("concordance_correlation", y_true, y_pred, axis)
    spread = ops.mean(ops.square(true), axis=axis, keepdims=True)
    spread = spread + ops.mean(ops.square(predicted), axis=axis, keepdims=True)
    norm = spread + ops.square(shift) + epsilon()
    return ops.mean(ops.divide(2.0 * true * predicted, norm), axis=axis)


@metrics.register()
class PearsonCorrelation(NamedMetric):
    """Mean of Pearson's correlation along `axis`; see `pearson_correlation` (Keras name)."""

    direction = "up"

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(pearson_correlation, name, dtype, axis=axis)
        self.axis = axis


@metrics.register()
class ConcordanceCorrelation(NamedMetric):
    """Mean of Lin's concordance correlation along `axis`; see `concordance_correlation` (Keras name)."""

    direction = "up"

    def __init__(self, name: str | None = "concordance_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(concordance_correlation, name, dtype, axis=axis)
        self.axis = axis
