"""F-scores: precision and recall in one number."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core.dtypes import epsilon
from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from ..losses.shapes import aligned, one_hot_hint
from .metric import Metric, metrics

AVERAGES = (None, "micro", "macro", "weighted")


@metrics.register()
class FBetaScore(Metric):
    """`(1 + beta²) precision recall / (beta² precision + recall)` of each class (Keras name).

    average: None for one score a class, "micro" for one over all answers, "macro" for the mean over classes,
        "weighted" for the mean weighted by how often each class is right
    beta: weight of recall, above 0
    threshold: from where a prediction counts as yes, in (0, 1]; None: the highest of each sample does

    Takes one-hot or multi-hot targets and predictions of shape `(batch, classes)`. Raises `ShapeError` for others.

    >>> import sardonyx as sx
    >>> metric = sx.metrics.FBetaScore(beta=2.0, threshold=0.5)
    >>> metric([[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]).numpy()
    array([0.3846, 0.9091, 0.8333], dtype=float32)
    """

    direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if average not in AVERAGES:
            expected = ", ".join(repr(a) for a in AVERAGES)
            raise ValueError(f"{self.name}: average is one of {expected}; got {average!r}")
        if not isinstance(beta, float) or beta <= 0.0:
            raise ValueError(f"{self.name}: beta is a float above 0, got {beta!r}")
        if threshold is not None and (not isinstance(threshold, float) or not 0.0 < threshold <= 1.0):
            raise ValueError(f"{self.name}: threshold is a float in (0, 1], or None; got {threshold!r}")
        self.average, self.beta, self.threshold = average, beta, threshold
        self.built = False

    def _build(self, y_pred: Tensor) -> None:
        if len(y_pred.shape) != 2 or not isinstance(y_pred.shape[-1], int):
            raise ShapeError(
                f"{self.name}: expected targets and predictions of shape (batch, classes), the number of classes "
                f"known; got {format_shape(y_pred.shape)}"
            )
        shape = () if self.average == "micro" else y_pred.shape[-1:]
        self.true_positives = self.add_variable(shape, dtype=self.dtype, name="true_positives")
        self.false_positives = self.add_variable(shape, dtype=self.dtype, name="false_positives")
        self.false_negatives = self.add_variable(shape, dtype=self.dtype, name="false_negatives")
        self.intermediate_weights = self.add_variable(shape, dtype=self.dtype, name="intermediate_weights")
        self.built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of shape `(batch, classes)`; one weight for each sample."""
        y_true, y_pred = aligned(self.name, y_true, ops.convert_to_tensor(y_pred, dtype=self._dtype), one_hot_hint)
        if not self.built:
            self._build(y_pred)
        if self.threshold is None:
            highest = ops.equal(y_pred, ops.max(y_pred, axis=-1, keepdims=True))
            # A row of zeros has no answer rather than every answer.
            yes = ops.logical_and(highest, ops.greater(ops.absolute(y_pred), 1e-9))
        else:
            yes = ops.greater(y_pred, self.threshold)
        yes = ops.cast(yes, self._dtype)
        if sample_weight is not None:
            weight = ops.convert_to_tensor(sample_weight, dtype=self._dtype)
            weight = ops.expand_dims(weight, 1) if len(weight.shape) == 1 else weight
        else:
            weight = None
        axis = None if self.average == "micro" else 0

        def total(answers: Tensor) -> Tensor:
            return ops.sum(answers if weight is None else ops.multiply(answers, weight), axis=axis)

        both = total(ops.multiply(yes, y_true))
        wanted = total(y_true)
        self.true_positives.assign_add(both)
        self.false_positives.assign_add(total(ops.multiply(yes, ops.subtract(1.0, y_true))))
        self.false_negatives.assign_add(ops.subtract(wanted, both))
        self.intermediate_weights.assign_add(wanted)

    def result(self) -> Tensor:
        """One score a class, or one score with `average`; from 0 to 1."""
        if not self.built:
            raise ValueError(f"{self.name}: no data yet; call update_state first")
        both = self.true_positives.value
        precision = ops.divide(both, both + self.false_positives.value + epsilon())
        recall = ops.divide(both, both + self.false_negatives.value + epsilon())
        square = self.beta**2
        score = ops.divide(precision * recall, precision * square + recall + epsilon()) * (1.0 + square)
        if self.average == "weighted":
            weights = self.intermediate_weights.value
            return ops.sum(score * ops.divide(weights, ops.sum(weights) + epsilon()))
        return score if self.average is None else ops.mean(score)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same metric again."""
        return {**super().get_config(), "average": self.average, "beta": self.beta, "threshold": self.threshold}


@metrics.register()
class F1Score(FBetaScore):
    """Harmonic mean of precision and recall of each class; see `FBetaScore` (Keras name).

    >>> import sardonyx as sx
    >>> float(sx.metrics.F1Score(average="micro", threshold=0.5)([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.3]]))
    0.499...
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average=average, beta=1.0, threshold=threshold, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same metric again."""
        config = super().get_config()
        del config["beta"]
        return config
