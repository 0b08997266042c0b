"""Metrics for numbers: mean errors, the angle between vectors, and the coefficient of determination."""

from __future__ import annotations

import warnings
from typing import Any

from .. import ops
from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from ..losses.regression import (
    cosine,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)
from ..losses.shapes import aligned
from .metric import Metric, metrics
from .reduction import Mean, NamedMetric

metrics.add(log_cosh, "logcosh")


@metrics.register("mse", "MSE")
class MeanSquaredError(NamedMetric):
    """Mean of squared differences (Keras name).

    >>> import sardonyx as sx
    >>> float(sx.metrics.MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]]))
    5.0
    """

    direction = "down"

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(mean_squared_error, name, dtype)


@metrics.register("rmse", "RMSE")
class RootMeanSquaredError(Mean):
    """Square root of the mean of squared differences (Keras name).

    >>> import sardonyx as sx
    >>> float(sx.metrics.RootMeanSquaredError()([[0.0], [0.0]], [[3.0], [3.0]]))
    3.0
    """

    direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch."""
        y_true, y_pred = aligned(self.name, y_true, ops.convert_to_tensor(y_pred, dtype=self._dtype))
        super().update_state(ops.square(ops.subtract(y_pred, y_true)), sample_weight=sample_weight)

    def result(self) -> Tensor:
        """The root of the mean, a scalar."""
        return ops.sqrt(super().result())


@metrics.register("mae", "MAE")
class MeanAbsoluteError(NamedMetric):
    """Mean of absolute differences (Keras name)."""

    direction = "down"

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(mean_absolute_error, name, dtype)


@metrics.register("mape", "MAPE")
class MeanAbsolutePercentageError(NamedMetric):
    """Mean of absolute differences in percent of the targets (Keras name)."""

    direction = "down"

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None) -> None:
        super().__init__(mean_absolute_percentage_error, name, dtype)


@metrics.register("msle", "MSLE")
class MeanSquaredLogarithmicError(NamedMetric):
    """Mean of squared differences of logarithms (Keras name)."""

    direction = "down"

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None) -> None:
        super().__init__(mean_squared_logarithmic_error, name, dtype)


@metrics.register()
class LogCoshError(NamedMetric):
    """Mean logarithm of the hyperbolic cosine of the error (Keras name)."""

    direction = "down"

    def __init__(self, name: str | None = "logcosh", dtype: Any = None) -> None:
        super().__init__(log_cosh, name, dtype)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Cosine of the angle between targets and predictions: 1 for one direction; the loss has the other sign."""
    return cosine("cosine_similarity", y_true, y_pred, axis)


@metrics.register()
class CosineSimilarity(NamedMetric):
    """Mean cosine of the angle between targets and predictions along `axis` (Keras name)."""

    direction = "up"

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(cosine_similarity, name, dtype, axis=axis)
        self.axis = axis


AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


@metrics.register()
class R2Score(Metric):
    """Coefficient of determination: the share of the targets' variance that predictions explain (Keras name).

    class_aggregation: how the scores of several outputs become one: "uniform_average",
        "variance_weighted_average", or None to keep them
    num_regressors: number of independent variables, for the adjusted score; 0 for the plain one

    Takes `(batch, outputs)`. Raises `ShapeError` for other ranks.

    >>> import sardonyx as sx
    >>> float(sx.metrics.R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]]))
    0.571...
    """

    direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if class_aggregation not in AGGREGATIONS:
            expected = ", ".join(repr(a) for a in AGGREGATIONS)
            raise ValueError(f"{self.name}: class_aggregation is one of {expected}; got {class_aggregation!r}")
        if num_regressors < 0:
            raise ValueError(f"{self.name}: num_regressors is at least 0, got {num_regressors!r}")
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.num_samples = self.add_variable((), dtype=self.dtype, name="num_samples")
        self.built = False

    def _build(self, y_pred: Tensor) -> None:
        if len(y_pred.shape) != 2 or not isinstance(y_pred.shape[-1], int):
            raise ShapeError(
                f"{self.name}: expected targets and predictions of shape (batch, outputs), the number of outputs "
                f"known; got {format_shape(y_pred.shape)}. One output a sample has shape (batch, 1)."
            )
        outputs = y_pred.shape[-1:]
        self.squared_sum = self.add_variable(outputs, dtype=self.dtype, name="squared_sum")
        self.sum = self.add_variable(outputs, dtype=self.dtype, name="sum")
        self.total_mse = self.add_variable(outputs, dtype=self.dtype, name="residual")
        self.count = self.add_variable(outputs, dtype=self.dtype, name="count")
        self.built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of shape `(batch, outputs)`."""
        y_true, y_pred = aligned(self.name, y_true, ops.convert_to_tensor(y_pred, dtype=self._dtype))
        if not self.built:
            self._build(y_pred)
        weight = ops.convert_to_tensor(1.0 if sample_weight is None else sample_weight, dtype=self._dtype)
        if len(weight.shape) == 1:
            weight = ops.expand_dims(weight, 1)
        weight = ops.broadcast_to(weight, y_true.shape)
        weighted = ops.multiply(y_true, weight)
        self.sum.assign_add(ops.sum(weighted, axis=0))
        self.squared_sum.assign_add(ops.sum(ops.multiply(y_true, weighted), axis=0))
        self.total_mse.assign_add(ops.sum(ops.square(y_true - y_pred) * weight, axis=0))
        self.count.assign_add(ops.sum(weight, axis=0))
        self.num_samples.assign_add(ops.cast(y_true.size, self._dtype))

    def result(self) -> Tensor:
        """The score: 1 is perfect, 0 as good as the mean; a scalar, or one a column without aggregation."""
        if not self.built:
            raise ValueError(f"{self.name}: no data yet; call update_state first")
        total = ops.subtract(self.squared_sum.value, ops.square(self.sum.value) / self.count.value)
        raw = ops.subtract(1.0, ops.divide(self.total_mse.value, total))
        raw = ops.where(ops.isinf(raw), ops.zeros_like(raw), raw)
        if self.class_aggregation == "uniform_average":
            raw = ops.mean(raw)
        elif self.class_aggregation == "variance_weighted_average":
            raw = ops.divide(ops.sum(ops.multiply(total, raw)), ops.sum(total))
        return self._adjusted(raw) if self.num_regressors else raw

    def _adjusted(self, score: Tensor) -> Tensor:
        """The score with the number of independent variables taken into account, where there are samples enough."""
        samples = self.num_samples.value
        left = ops.subtract(samples, float(self.num_regressors + 1))
        if left.array is not None and float(left) <= 0:
            warnings.warn(
                f"{self.name}: {self.num_regressors} regressors need more than {self.num_regressors + 1} values for "
                f"the adjusted score, got {int(samples)}; this is the plain score",
                stacklevel=3,
            )
            return score
        enough = ops.greater(left, 0.0)
        unexplained = ops.multiply(ops.subtract(1.0, score), ops.subtract(samples, 1.0))
        adjusted = ops.subtract(1.0, ops.divide(unexplained, ops.maximum(left, 1.0)))
        return ops.where(enough, adjusted, score)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same metric again."""
        own = {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
        return {**super().get_config(), **own}
