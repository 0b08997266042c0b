"""Counts of right and wrong answers, precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from .. import ops
from ..core.tensor import Tensor
from .confusion import LOWEST, Thresholds, count_answers, parse_thresholds
from .metric import Metric, metrics

Levels = float | Sequence[float] | None


class CountMetric(Metric):
    """Base of the four counts."""

    counted: ClassVar[str]

    def __init__(self, thresholds: Levels = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.thresholds = parse_thresholds(thresholds, 0.5, self.name)
        self._levels = Thresholds(self.thresholds)
        self.accumulator = self.add_variable((len(self.thresholds),), dtype=self.dtype, name="accumulator")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of targets 0 and 1 and predictions in [0, 1]."""
        counts = count_answers(self.name, y_true, y_pred, self._levels, sample_weight)
        self.accumulator.assign_add(ops.cast(getattr(counts, self.counted), self._dtype))

    def result(self) -> Tensor:
        """The weighted count: a scalar, or one for each threshold where several were given."""
        value = self.accumulator.value
        return value[0] if len(self.thresholds) == 1 else value

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same metric again."""
        return {**super().get_config(), "thresholds": self.init_thresholds}


@metrics.register()
class TruePositives(CountMetric):
    """How often a yes is right (Keras name).

    >>> import sardonyx as sx
    >>> float(sx.metrics.TruePositives()([0, 1, 1, 1], [1, 0, 1, 1]))
    2.0
    """

    direction = "up"
    counted = "true_positives"


@metrics.register()
class TrueNegatives(CountMetric):
    """How often a no is right (Keras name)."""

    direction = "up"
    counted = "true_negatives"


@metrics.register()
class FalsePositives(CountMetric):
    """How often a yes is wrong (Keras name)."""

    direction = "down"
    counted = "false_positives"


@metrics.register()
class FalseNegatives(CountMetric):
    """How often a no is wrong (Keras name)."""

    direction = "down"
    counted = "false_negatives"


class ShareMetric(Metric):
    """Base of precision and recall: right yeses among `other` and themselves."""

    direction = "up"
    other: ClassVar[str]

    def __init__(
        self,
        thresholds: Levels = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        self.thresholds = parse_thresholds(thresholds, 0.5 if top_k is None else LOWEST, self.name)
        self._levels = Thresholds(self.thresholds)
        shape = (len(self.thresholds),)
        self.true_positives = self.add_variable(shape, dtype=self.dtype, name="true_positives")
        self.wrong = self.add_variable(shape, dtype=self.dtype, name=self.other)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of targets 0 and 1 and predictions in [0, 1]."""
        counts = count_answers(self.name, y_true, y_pred, self._levels, sample_weight, self.top_k, self.class_id)
        self.true_positives.assign_add(ops.cast(counts.true_positives, self._dtype))
        self.wrong.assign_add(ops.cast(getattr(counts, self.other), self._dtype))

    def result(self) -> Tensor:
        """The share, 0 where there is nothing: a scalar, or one for each threshold where several were given."""
        right = self.true_positives.value
        share = ops.divide_no_nan(right, ops.add(right, self.wrong.value))
        return share[0] if len(self.thresholds) == 1 else share

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same metric again."""
        own = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **own}


@metrics.register()
class Precision(ShareMetric):
    """The share of yeses that are right (Keras name).

    thresholds: from where a prediction counts as yes, in [0, 1]; a number or several; 0.5 when None
    top_k: only the k highest predictions of a sample may count as yes
    class_id: look at this class of `(batch, classes)` alone

    >>> import sardonyx as sx
    >>> float(sx.metrics.Precision()([0, 1, 1, 1], [1, 0, 1, 1]))
    0.666...
    """

    other = "false_positives"

    @property
    def false_positives(self) -> Any:
        """The variable that counts wrong yeses."""
        return self.wrong


@metrics.register()
class Recall(ShareMetric):
    """The share of what is true that is found (Keras name).

    thresholds: from where a prediction counts as yes, in [0, 1]; a number or several; 0.5 when None
    top_k: only the k highest predictions of a sample may count as yes
    class_id: look at this class of `(batch, classes)` alone

    >>> import sardonyx as sx
    >>> float(sx.metrics.Recall()([0, 1, 1, 1], [1, 0, 1, 1]))
    0.666...
    """

    other = "false_negatives"

    @property
    def false_negatives(self) -> Any:
        """The variable that counts wrong noes."""
        return self.wrong
