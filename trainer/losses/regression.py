"""Losses for numbers: squared, absolute, relative and robust errors, and the angle between vectors."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..core.dtypes import epsilon
from ..core.tensor import Tensor
from .loss import losses
from .shapes import aligned
from .wrapper import NamedLoss


@losses.register("mse", "MSE")
def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of `(y_true - y_pred)²` (Keras name).

    >>> import sardonyx as sx
    >>> sx.losses.mean_squared_error([[1.0, 2.0]], [[1.0, 4.0]]).numpy()
    array([2.], dtype=float32)
    """
    y_true, y_pred = aligned("mean_squared_error", y_true, y_pred)
    return ops.mean(ops.square(ops.subtract(y_true, y_pred)), axis=-1)


@losses.register("mae", "MAE")
def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of `|y_true - y_pred|` (Keras name).

    >>> import sardonyx as sx
    >>> sx.losses.mean_absolute_error([[1.0, 2.0]], [[1.0, 4.0]]).numpy()
    array([1.], dtype=float32)
    """
    y_true, y_pred = aligned("mean_absolute_error", y_true, y_pred)
    return ops.mean(ops.absolute(ops.subtract(y_true, y_pred)), axis=-1)


@losses.register("mape", "MAPE")
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of `100 |y_true - y_pred| / |y_true|`, in percent (Keras name).

    >>> import sardonyx as sx
    >>> sx.losses.mean_absolute_percentage_error([[1.0, 2.0]], [[1.0, 4.0]]).numpy()
    array([50.], dtype=float32)
    """
    y_true, y_pred = aligned("mean_absolute_percentage_error", y_true, y_pred)
    size = ops.maximum(ops.absolute(y_true), epsilon())
    relative = ops.absolute(ops.divide(ops.subtract(y_true, y_pred), size))
    return ops.multiply(100.0, ops.mean(relative, axis=-1))


@losses.register("msle", "MSLE")
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of `(log(y_true + 1) - log(y_pred + 1))²`; negative values count as 0 (Keras name).

    >>> import sardonyx as sx
    >>> sx.losses.mean_squared_logarithmic_error([[0.0, 1.0]], [[0.0, 3.0]]).numpy()
    array([0.2402], dtype=float32)
    """
    y_true, y_pred = aligned("mean_squared_logarithmic_error", y_true, y_pred)
    predicted = ops.log(ops.maximum(y_pred, epsilon()) + 1.0)
    wanted = ops.log(ops.maximum(y_true, epsilon()) + 1.0)
    return ops.mean(ops.square(ops.subtract(predicted, wanted)), axis=-1)


@losses.register()
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Mean over the last axis of half the squared error, linear from `delta` on (Keras name).

    >>> import sardonyx as sx
    >>> sx.losses.huber([[0.0, 0.0]], [[0.5, 3.0]]).numpy()
    array([1.3125], dtype=float32)
    """
    y_true, y_pred = aligned("huber", y_true, y_pred)
    error = ops.absolute(ops.subtract(y_pred, y_true))
    # With c = min(|e|, delta), c (|e| - c/2) is both branches at once: no selection, and the gradient is c.
    inner = ops.minimum(error, delta)
    return ops.mean(ops.multiply(inner, ops.subtract(error, ops.multiply(inner, 0.5))), axis=-1)


@losses.register("logcosh")
def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of `log(cosh(y_pred - y_true))`, in a form that does not overflow (Keras name).

    >>> import sardonyx as sx
    >>> sx.losses.log_cosh([[0.0, 0.0]], [[0.0, 1000.0]]).numpy()
    array([499.6534], dtype=float32)
    """
    y_true, y_pred = aligned("log_cosh", y_true, y_pred)
    error = ops.subtract(y_pred, y_true)
    return ops.mean(error + ops.softplus(error * -2.0) - math.log(2.0), axis=-1)


@losses.register()
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Minus the cosine of the angle between targets and predictions: -1 for one direction (Keras name).

    >>> import sardonyx as sx
    >>> sx.losses.cosine_similarity([[1.0, 0.0]], [[2.0, 0.0]]).numpy()
    array([-1.], dtype=float32)
    """
    return ops.negative(cosine("cosine_similarity", y_true, y_pred, axis))


def cosine(name: str, y_true: Any, y_pred: Any, axis: int) -> Tensor:
    """Cosine of the angle between vectors along an axis; 0 where one of them is 0."""
    y_true, y_pred = aligned(name, y_true, y_pred)
    return ops.sum(ops.multiply(_unit(y_true, axis), _unit(y_pred, axis)), axis=axis)


def _unit(x: Tensor, axis: int) -> Tensor:
    """Vectors of length 1; the bound keeps the gradient of a zero vector finite."""
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(squares, epsilon() ** 2)))


@losses.register()
class MeanSquaredError(NamedLoss):
    """Mean of squared differences; see `mean_squared_error` (Keras name).

    >>> import sardonyx as sx
    >>> float(sx.losses.MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]]))
    5.0
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_squared_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_squared_error, reduction, name, dtype)


@losses.register()
class MeanAbsoluteError(NamedLoss):
    """Mean of absolute differences; see `mean_absolute_error` (Keras name)."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_absolute_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_absolute_error, reduction, name, dtype)


@losses.register()
class MeanAbsolutePercentageError(NamedLoss):
    """Mean of absolute differences in percent of the targets; see `mean_absolute_percentage_error` (Keras name)."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_percentage_error, reduction, name, dtype)


@losses.register()
class MeanSquaredLogarithmicError(NamedLoss):
    """Mean of squared differences of logarithms; see `mean_squared_logarithmic_error` (Keras name)."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_logarithmic_error, reduction, name, dtype)


@losses.register()
class Huber(NamedLoss):
    """Squared error that turns linear at `delta`; see `huber` (Keras name).

    >>> import sardonyx as sx
    >>> float(sx.losses.Huber(delta=2.0)([[0.0]], [[1.0]]))
    0.5
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(huber, reduction, name, dtype, delta=delta)
        self.delta = delta


@losses.register()
class LogCosh(NamedLoss):
    """Logarithm of the hyperbolic cosine of the error; see `log_cosh` (Keras name)."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "log_cosh", dtype: Any = None
    ) -> None:
        super().__init__(log_cosh, reduction, name, dtype)


@losses.register()
class CosineSimilarity(NamedLoss):
    """Minus the cosine between targets and predictions along `axis`; see `cosine_similarity` (Keras name)."""

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)
        self.axis = axis
