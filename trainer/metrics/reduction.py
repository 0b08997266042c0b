"""Sums and means over everything seen, and any function of targets and predictions as a metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..conversion import in_trace
from ..core.errors import ShapeError, format_shape
from ..core.state import state
from ..core.tensor import Tensor
from ..losses.loss import apply_mask
from ..losses.shapes import differ, squeeze_or_expand_to_same_rank
from ..registry import deserialize_object, serialize_object
from .metric import Metric, metrics


def reduce_to_samplewise_values(
    values: Any, sample_weight: Any, reduce: Callable[..., Tensor], dtype: Any, name: str
) -> tuple[Tensor, Tensor | None]:
    """Values times their weights, one for each sample, and the weights, one for each sample."""
    values = ops.convert_to_tensor(values)
    mask = values.mask
    values = ops.cast(values, dtype)
    if sample_weight is not None:
        weight = ops.convert_to_tensor(sample_weight, dtype=dtype)
        if mask is not None:
            weight = apply_mask(weight, mask, dtype)
        values, weight = _weighted(values, weight, reduce, name)
        sample_weight = weight
    if len(values.shape) > 1:
        values = reduce(values, axis=tuple(range(1, len(values.shape))))
    return values, sample_weight


def _weighted(values: Tensor, weight: Tensor, reduce: Callable[..., Tensor], name: str) -> tuple[Tensor, Tensor]:
    values, weight = squeeze_or_expand_to_same_rank(values, weight)
    rank = len(weight.shape)
    if len(values.shape) > rank:
        values = reduce(values, axis=tuple(range(rank, len(values.shape))))
    fits = len(values.shape) == rank and not any(
        differ(a, b) and b != 1 for a, b in zip(values.shape, weight.shape, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"{name}: sample_weight of shape {format_shape(weight.shape)} does not fit values of shape "
            f"{format_shape(values.shape)}: give one weight for each sample, or one for each value"
        )
    weight = ops.broadcast_to(weight, values.shape)
    values = ops.multiply(values, weight)
    if rank > 1:
        weight = reduce(weight, axis=tuple(range(1, rank)))
    return values, weight


@metrics.register()
class Sum(Metric):
    """The weighted sum of everything seen (Keras name).

    >>> import sardonyx as sx
    >>> float(sx.metrics.Sum()([1.0, 2.0, 3.0], sample_weight=[1.0, 0.0, 1.0]))
    4.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), dtype=self.dtype, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values of any shape; weights belong to the leading axes."""
        values, _ = reduce_to_samplewise_values(values, sample_weight, ops.sum, self._dtype, self.name)
        self.total.assign_add(ops.sum(values))

    def result(self) -> Tensor:
        """The sum, a scalar."""
        return self.total.value


@metrics.register()
class Mean(Metric):
    """The weighted mean of everything seen (Keras name).

    >>> import sardonyx as sx
    >>> metric = sx.metrics.Mean()
    >>> metric.update_state([1.0, 3.0])
    >>> metric.update_state([8.0])
    >>> float(metric.result())
    4.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), dtype=self.dtype, name="total")
        self.count = self.add_variable((), dtype=self.dtype, name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in values of any shape, the mean of each sample; weights belong to the leading axes."""
        if self._take_in(values, sample_weight):
            return
        values, weight = reduce_to_samplewise_values(values, sample_weight, ops.mean, self._dtype, self.name)
        if weight is not None:
            seen = ops.sum(weight)
        else:
            seen = ops.cast(values.shape[0] if values.shape else 1, self._dtype)
        self.total.assign_add(ops.sum(values))
        self.count.assign_add(seen)

    def _take_in(self, values: Any, sample_weight: Any) -> bool:
        """Take in a number with a plain weight, or a vector without: what a training step brings, in few operations."""
        array = values.array if type(values) is Tensor and values.mask is None else None
        if array is None or array.dtype != self._dtype or state.traces or state.tapes:
            return False
        if array.ndim == 1 and sample_weight is None:
            added, seen = array.sum(dtype=array.dtype), array.size
        elif array.ndim == 0 and (sample_weight is None or type(sample_weight) is int):
            seen = 1 if sample_weight is None else sample_weight
            added = array * array.dtype.type(seen)
        else:
            return False
        self.total.renew(np.asarray(self.total.array + added))
        self.count.renew(np.asarray(self.count.array + array.dtype.type(seen)))
        return True

    def result(self) -> Tensor:
        """The mean, a scalar; 0 before anything is seen."""
        if not (state.traces or state.tapes):
            total, count = self.total.array, self.count.array
            return Tensor(np.asarray(total / count if count != 0 else count))
        return ops.divide_no_nan(self.total.value, self.count.value)


@metrics.register()
class MeanMetricWrapper(Mean):
    """The mean of `fn(y_true, y_pred, **kwargs)` over everything seen (Keras name).

    >>> import sardonyx as sx
    >>> metric = sx.metrics.MeanMetricWrapper(lambda y_true, y_pred: sx.ops.absolute(y_true - y_pred), name="distance")
    >>> float(metric(sx.ops.convert_to_tensor([1.0, 2.0]), sx.ops.convert_to_tensor([1.0, 5.0])))
    1.5
    """

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name=name, dtype=dtype)
        self.fn = fn
        self.options = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; a mask on `y_pred` (`y_pred.mask`) takes values out."""
        mask = getattr(y_pred, "mask", None)
        values = in_trace(self.fn)(y_true, y_pred, **self.options)
        if mask is not None:
            sample_weight = apply_mask(sample_weight, mask, self._dtype)
        super().update_state(values, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same metric again; the function must be registered."""
        return {**super().get_config(), "fn": serialize_object(self.fn), **self.options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """The metric of a configuration."""
        return cls(**deserialize_object(config))


class NamedMetric(MeanMetricWrapper):
    """A metric of the library: its function is known by the class, its options are arguments of the class."""

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same metric again."""
        return {**Metric.get_config(self), **self.options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """The metric of a configuration."""
        return cls(**config)
