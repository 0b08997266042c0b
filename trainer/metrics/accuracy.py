"""How often predictions are right: binary, categorical, sparse, and among the first k."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core.dtypes import default_float
from ..core.errors import ShapeError
from ..core.tensor import Tensor
from ..losses.labels import sparse_labels
from ..losses.shapes import (
    mismatch,
    one_hot_hint,
    shapes_differ,
    squeeze_or_expand_to_same_rank,
    value_hint,
)
from .metric import metrics
from .reduction import NamedMetric


def _pair(name: str, y_true: Any, y_pred: Any, hint: Any) -> tuple[Tensor, Tensor]:
    """Targets and predictions at one shape, each in its own dtype."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    if shapes_differ(y_true.shape, y_pred.shape):
        raise ShapeError(mismatch(name, y_true.shape, y_pred.shape, hint(y_true.shape, y_pred.shape)))
    return y_true, y_pred


def _matches(first: Any, second: Any) -> Tensor:
    return ops.cast(ops.equal(first, second), default_float())


def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where prediction and target are equal, 0 elsewhere."""
    y_true, y_pred = _pair("accuracy", y_true, y_pred, value_hint)
    return _matches(y_true, y_pred)


@metrics.register()
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """1 where `y_pred > threshold` agrees with the target, 0 elsewhere (Keras name).

    >>> import sardonyx as sx
    >>> sx.metrics.binary_accuracy([[1], [0]], [[0.7], [0.6]]).numpy().ravel()
    array([1., 0.], dtype=float32)
    """
    y_true, y_pred = _pair("binary_accuracy", y_true, y_pred, value_hint)
    return _matches(y_true, ops.cast(ops.greater(y_pred, threshold), y_true.dtype))


@metrics.register()
def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the highest prediction is the class of the one-hot target, 0 elsewhere (Keras name).

    >>> import sardonyx as sx
    >>> sx.metrics.categorical_accuracy([[0, 1], [0, 1]], [[0.1, 0.9], [0.6, 0.4]]).numpy()
    array([1., 0.], dtype=float32)
    """
    y_true, y_pred = _pair("categorical_accuracy", y_true, y_pred, one_hot_hint)
    return _matches(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1))


@metrics.register()
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the highest prediction is the target's class number, 0 elsewhere (Keras name).

    `y_true` has the shape of `y_pred` without the last axis, or with size 1 there.

    >>> import sardonyx as sx
    >>> sx.metrics.sparse_categorical_accuracy([1, 1], [[0.1, 0.9], [0.6, 0.4]]).numpy()
    array([1., 0.], dtype=float32)
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = sparse_labels("sparse_categorical_accuracy", y_true, y_pred, -1)
    found = ops.argmax(y_pred, axis=-1)
    return _matches(y_true, ops.cast(found, y_true.dtype))


def _in_top_k(name: str, labels: Tensor, y_pred: Tensor, k: int) -> Tensor:
    """Whether the class is among the k highest predictions; like the highest, equal ones count."""
    if k < 1:
        raise ValueError(f"{name}: k is at least 1, got {k}")
    rows = ops.reshape(y_pred, (-1, y_pred.shape[-1])) if len(y_pred.shape) != 2 else y_pred
    flat = ops.reshape(labels, (-1,)) if len(labels.shape) != 1 else labels
    classes = y_pred.shape[-1]
    k = min(k, classes) if isinstance(classes, int) else k
    found = ops.cast(ops.in_top_k(ops.cast(flat, "int32"), rows, k=k), default_float())
    return found if len(labels.shape) == 1 else ops.reshape(found, labels.shape)


@metrics.register()
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where the class of the one-hot target is among the k highest predictions, 0 elsewhere (Keras name).

    >>> import sardonyx as sx
    >>> sx.metrics.top_k_categorical_accuracy([[0, 0, 1]], [[0.5, 0.2, 0.3]], k=2).numpy()
    array([1.], dtype=float32)
    """
    name = "top_k_categorical_accuracy"
    y_true, y_pred = _pair(name, y_true, y_pred, one_hot_hint)
    return _in_top_k(name, ops.argmax(y_true, axis=-1), y_pred, k)


@metrics.register()
def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Tensor:
    """1 where the class number is among the k highest predictions, 0 elsewhere (Keras name).

    With `from_sorted_ids`, `y_pred` holds class numbers, the likeliest first, instead of a value for each class.

    >>> import sardonyx as sx
    >>> sx.metrics.sparse_top_k_categorical_accuracy([2], [[0.5, 0.2, 0.3]], k=2).numpy()
    array([1.], dtype=float32)
    """
    name = "sparse_top_k_categorical_accuracy"
    y_pred = ops.convert_to_tensor(y_pred)
    labels = sparse_labels(name, y_true, y_pred, -1)
    if not from_sorted_ids:
        return _in_top_k(name, labels, y_pred, k)
    first = ops.equal(ops.cast(ops.expand_dims(labels, -1), y_pred.dtype), y_pred[..., :k])
    return ops.cast(ops.any(first, axis=-1), default_float())


@metrics.register("acc")
class Accuracy(NamedMetric):
    """How often predictions equal targets (Keras name).

    In `compile`, the name "accuracy" stands for the accuracy that suits the shapes; see `resolve_accuracy`.

    >>> import sardonyx as sx
    >>> float(sx.metrics.Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]]))
    0.75
    """

    direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


@metrics.register()
class BinaryAccuracy(NamedMetric):
    """How often `y_pred > threshold` agrees with the target; see `binary_accuracy` (Keras name)."""

    direction = "up"

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


@metrics.register()
class CategoricalAccuracy(NamedMetric):
    """How often the highest prediction is the class of the one-hot target (Keras name)."""

    direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


@metrics.register()
class SparseCategoricalAccuracy(NamedMetric):
    """How often the highest prediction is the target's class number (Keras name).

    >>> import sardonyx as sx
    >>> float(sx.metrics.SparseCategoricalAccuracy()([1, 1], [[0.1, 0.9], [0.6, 0.4]]))
    0.5
    """

    direction = "up"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


@metrics.register()
class TopKCategoricalAccuracy(NamedMetric):
    """How often the class of the one-hot target is among the k highest predictions (Keras name)."""

    direction = "up"

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k


@metrics.register()
class SparseTopKCategoricalAccuracy(NamedMetric):
    """How often the target's class number is among the k highest predictions (Keras name)."""

    direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids)
        self.k, self.from_sorted_ids = k, from_sorted_ids
