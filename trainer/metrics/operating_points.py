"""The best of one rate where another one reaches a given value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .. import ops
from ..core.tensor import Tensor
from .confusion import Counts, Thresholds, even_thresholds
from .curves import CurveMetric, precision_of, true_negative_rate, true_positive_rate
from .metric import metrics


class OperatingPoint(CurveMetric):
    """Base: the highest `sought` rate among thresholds at which the `held` rate is at least the given value."""

    held_name: ClassVar[str]
    held: ClassVar[Callable[[Counts], Tensor]]
    sought: ClassVar[Callable[[Counts], Tensor]]

    def __init__(self, value: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any) -> None:
        super().__init__(name=name, dtype=dtype)
        if not 0 <= value <= 1:
            raise ValueError(f"{self.name}: {self.held_name} lies in [0, 1], got {value!r}")
        if num_thresholds <= 0:
            raise ValueError(f"{self.name}: num_thresholds is an integer above 0, got {num_thresholds!r}")
        self.value, self.num_thresholds, self.class_id = value, num_thresholds, class_id
        self.thresholds = [0.5] if num_thresholds == 1 else even_thresholds(num_thresholds)
        self._levels = Thresholds(self.thresholds)
        self.add_counts((num_thresholds,))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of targets 0 and 1 and predictions in [0, 1]."""
        self.count(y_true, y_pred, self._levels, sample_weight, class_id=self.class_id)

    def result(self) -> Tensor:
        """The rate, a scalar; 0 where the value is never reached."""
        counts, kind = self.counts(), type(self)
        reached = ops.greater_equal(kind.held(counts), self.value)
        sought = kind.sought(counts)
        return ops.max(ops.multiply(sought, ops.cast(reached, sought.dtype)))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same metric again."""
        own = {"num_thresholds": self.num_thresholds, self.held_name: self.value, "class_id": self.class_id}
        return {**super().get_config(), **own}


@metrics.register()
class SensitivityAtSpecificity(OperatingPoint):
    """The best sensitivity where specificity is at least the given value (Keras name).

    specificity: in [0, 1]; num_thresholds: how finely thresholds in [0, 1] are tried; class_id: look at this class

    >>> import sardonyx as sx
    >>> float(sx.metrics.SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    held_name = "specificity"
    held = staticmethod(true_negative_rate)
    sought = staticmethod(true_positive_rate)

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity


@metrics.register()
class SpecificityAtSensitivity(OperatingPoint):
    """Best specificity where sensitivity is at least the given value; see `SensitivityAtSpecificity` (Keras name)."""

    held_name = "sensitivity"
    held = staticmethod(true_positive_rate)
    sought = staticmethod(true_negative_rate)

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity


@metrics.register()
class PrecisionAtRecall(OperatingPoint):
    """The best precision where recall is at least the given value; see `SensitivityAtSpecificity` (Keras name)."""

    held_name = "recall"
    held = staticmethod(true_positive_rate)
    sought = staticmethod(precision_of)

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)
        self.recall = recall


@metrics.register()
class RecallAtPrecision(OperatingPoint):
    """The best recall where precision is at least the given value; see `SensitivityAtSpecificity` (Keras name)."""

    held_name = "precision"
    held = staticmethod(precision_of)
    sought = staticmethod(true_positive_rate)

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)
        self.precision = precision
