"""What metrics over a range of thresholds share: the four counts at each, and the rates from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..core.tensor import Tensor
from .confusion import Counts, Thresholds, count_answers
from .metric import Metric

NAMES = ("true_positives", "false_positives", "true_negatives", "false_negatives")


class CurveMetric(Metric):
    """Base of metrics that read a curve over thresholds."""

    direction = "up"

    def add_counts(self, shape: Sequence[Any]) -> None:
        """The four counts as variables."""
        for name in NAMES:
            setattr(self, name, self.add_variable(shape, dtype=self.dtype, name=name))

    def counts(self) -> Counts:
        """The four counts as they are now."""
        return Counts(*(getattr(self, name).value for name in NAMES))

    def count(self, y_true: Any, y_pred: Any, levels: Thresholds, sample_weight: Any, **options: Any) -> None:
        """Take a batch into the counts."""
        y_pred = ops.convert_to_tensor(y_pred)
        check_probabilities(self.name, y_pred)
        found = count_answers(self.name, y_true, y_pred, levels, sample_weight, **options)
        for name, value in zip(NAMES, found, strict=True):
            getattr(self, name).assign_add(ops.cast(value, self._dtype))


def check_probabilities(name: str, y_pred: Tensor) -> None:
    """Raise `ValueError` for predictions outside [0, 1], where known: thresholds there would tell nothing."""
    array = y_pred.array
    if array is None or not array.size:
        return
    low, high = float(array.min()), float(array.max())
    if low < -1e-3 or high > 1.0 + 1e-3:
        raise ValueError(
            f"{name}: predictions are probabilities in [0, 1], got values from {low:.4g} to {high:.4g}. "
            'End the model with activation="sigmoid", apply ops.sigmoid, or use AUC(from_logits=True).'
        )


def true_positive_rate(counts: Counts) -> Tensor:
    """The share of what is true that is found: recall, sensitivity."""
    return ops.divide_no_nan(counts.true_positives, counts.true_positives + counts.false_negatives)


def false_positive_rate(counts: Counts) -> Tensor:
    """The share of what is false that is claimed."""
    return ops.divide_no_nan(counts.false_positives, counts.false_positives + counts.true_negatives)


def true_negative_rate(counts: Counts) -> Tensor:
    """The share of what is false that is not claimed: specificity."""
    return ops.divide_no_nan(counts.true_negatives, counts.true_negatives + counts.false_positives)


def precision_of(counts: Counts) -> Tensor:
    """The share of yeses that are right."""
    return ops.divide_no_nan(counts.true_positives, counts.true_positives + counts.false_positives)
