"""The area under a curve over thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..core.dtypes import epsilon
from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from .confusion import Counts, Thresholds, even_thresholds, parse_thresholds
from .curves import CurveMetric, false_positive_rate, precision_of, true_positive_rate
from .metric import metrics

CURVES = ("ROC", "PR", "PRGAIN")
SUMMATIONS = ("interpolation", "majoring", "minoring")


@metrics.register()
class AUC(CurveMetric):
    """The area under the ROC curve or the precision-recall curve, by a Riemann sum over thresholds (Keras name).

    num_thresholds: how many thresholds divide [0, 1], at least 2
    curve: "ROC", "PR" or "PRGAIN" (precision-recall gain)
    summation_method: "interpolation" (trapezoids; for PR as Davis and Goadrich 2006), "majoring" or "minoring"
    thresholds: own thresholds in [0, 1] in place of `num_thresholds`; 0 and 1 are added
    multi_label: one curve for each label of `(batch, labels)`, and the mean of their areas
    num_labels: number of labels, to make the state before the first batch
    label_weights: weights of the labels in the mean, or in the counts without `multi_label`
    from_logits: whether predictions are any numbers rather than probabilities

    Raises `ValueError` for predictions outside [0, 1] without `from_logits`.

    >>> import sardonyx as sx
    >>> float(sx.metrics.AUC(num_thresholds=3)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9]))
    0.75
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.curve = _choice(self.name, "curve", curve.upper(), CURVES)
        self.summation_method = _choice(self.name, "summation_method", summation_method.lower(), SUMMATIONS)
        if num_labels and not multi_label:
            raise ValueError(f"{self.name}: num_labels goes with multi_label=True")
        if thresholds is None and num_thresholds < 2:
            raise ValueError(f"{self.name}: num_thresholds is at least 2, got {num_thresholds!r}")
        self.own_thresholds = None if thresholds is None else sorted(parse_thresholds(thresholds, 0.5, self.name))
        inner = even_thresholds(num_thresholds)[1:-1] if self.own_thresholds is None else self.own_thresholds
        # End points just outside [0, 1]: every prediction exceeds the first, none the last.
        self._levels = Thresholds([-epsilon(), *inner, 1.0 + epsilon()])
        self.num_thresholds = len(self._levels)
        self.multi_label, self.num_labels, self.from_logits = multi_label, num_labels, from_logits
        self.label_weights = None if label_weights is None else np.asarray(label_weights, self._dtype)
        self.built = False
        if not multi_label or num_labels:
            self._build((num_labels,) if multi_label else ())

    def _build(self, labels: tuple[Any, ...]) -> None:
        self.add_counts((self.num_thresholds, *labels))
        self.built = True

    @property
    def thresholds(self) -> list[float]:
        """The thresholds, end points included."""
        return self._levels.values.tolist()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of targets 0 and 1 and predictions."""
        y_pred = ops.convert_to_tensor(y_pred)
        if self.multi_label and (len(y_pred.shape) != 2 or not isinstance(y_pred.shape[-1], int)):
            raise ShapeError(
                f"{self.name}: with multi_label=True predictions have shape (batch, labels), the number of labels "
                f"known; got {format_shape(y_pred.shape)}"
            )
        if self.multi_label and self.num_labels not in (None, 0, y_pred.shape[-1]):
            raise ShapeError(
                f"{self.name}: expected predictions of num_labels={self.num_labels} labels, "
                f"got {format_shape(y_pred.shape)}"
            )
        if not self.built:
            self._build(y_pred.shape[-1:])
        if self.from_logits:
            y_pred = ops.sigmoid(y_pred)
        weights = None if self.multi_label else self.label_weights
        options = {"label_weights": weights, "multi_label": self.multi_label}
        self.count(y_true, y_pred, self._levels, sample_weight, **options)

    def result(self) -> Tensor:
        """The area, from 0 to 1; a scalar."""
        if not self.built:
            raise ValueError(f"{self.name}: no data yet; call update_state first")
        counts = self.counts()
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._average(_interpolated_precision_recall(counts))
        x, y = self._coordinates(counts)
        left, right = y[:-1], y[1:]
        if self.summation_method == "interpolation":
            heights = (left + right) * 0.5
        elif self.summation_method == "minoring":
            heights = ops.minimum(left, right)
        else:
            heights = ops.maximum(left, right)
        return self._average(ops.multiply(ops.subtract(x[:-1], x[1:]), heights))

    def _coordinates(self, counts: Counts) -> tuple[Tensor, Tensor]:
        recall = true_positive_rate(counts)
        if self.curve == "ROC":
            return false_positive_rate(counts), recall
        if self.curve == "PR":
            return recall, precision_of(counts)
        return _gains(counts)

    def _average(self, pieces: Tensor) -> Tensor:
        """The area from its pieces; with several labels, the mean of their areas."""
        area = ops.sum(pieces, axis=0)
        if not self.multi_label:
            return area
        if self.label_weights is None:
            return ops.mean(area)
        return ops.divide_no_nan(ops.sum(ops.multiply(area, self.label_weights)), float(self.label_weights.sum()))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same metric again."""
        config = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if self.label_weights is None else self.label_weights.tolist(),
            "from_logits": self.from_logits,
        }
        return config if self.own_thresholds is None else {**config, "thresholds": self.own_thresholds}


def _choice(name: str, what: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{name}: {what} is one of {', '.join(repr(k) for k in known)}; got {value!r}")
    return value


def _interpolated_precision_recall(counts: Counts) -> Tensor:
    """Pieces of the area under precision-recall, true positives being linear between thresholds."""
    right = counts.true_positives
    claimed = right + counts.false_positives
    step = right[:-1] - right[1:]
    slope = ops.divide_no_nan(step, ops.maximum(claimed[:-1] - claimed[1:], 0.0))
    intercept = right[1:] - slope * claimed[1:]
    both = ops.logical_and(ops.greater(claimed[:-1], 0.0), ops.greater(claimed[1:], 0.0))
    ratio = ops.divide_no_nan(claimed[:-1], ops.maximum(claimed[1:], 0.0))
    ratio = ops.where(both, ratio, ops.ones_like(ratio))
    pieces = slope * (step + intercept * ops.log(ratio))
    return ops.divide_no_nan(pieces, ops.maximum(right[1:] + counts.false_negatives[1:], 0.0))


def _gains(counts: Counts) -> tuple[Tensor, Tensor]:
    """Recall gain and precision gain (Flach and Kull 2015); 0 and 1 where nothing right is found."""
    right = counts.true_positives
    scale = ops.divide_no_nan(right + counts.false_negatives, counts.true_negatives + counts.false_positives)
    found = ops.cast(ops.greater(right, 0.0), right.dtype)
    recall = (1.0 - scale * ops.divide_no_nan(counts.false_negatives, right)) * found
    precision = 1.0 - scale * ops.divide_no_nan(counts.false_positives, right) * found
    return ops.maximum(recall, 0.0), precision
