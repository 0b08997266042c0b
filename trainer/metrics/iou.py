"""Intersection over union of classes, from a confusion matrix."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..core.dtypes import epsilon
from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from ..losses.shapes import shapes_differ
from .confusion import histogram
from .metric import Metric, metrics


@metrics.register()
class IoU(Metric):
    """Mean of intersection over union for chosen classes (Keras name).

    num_classes: number of classes; class numbers outside are left out
    target_class_ids: the classes whose mean is reported
    ignore_class: a class number of `y_true` that does not count
    sparse_y_true, sparse_y_pred: whether these hold class numbers, or one-hot vectors (scores) along `axis`

    Its dtype is that of the confusion matrix, int32 by default. Raises `ValueError` for classes out of range.

    >>> import sardonyx as sx
    >>> metric = sx.metrics.IoU(num_classes=2, target_class_ids=[0])
    >>> float(metric([0, 0, 1, 1], [0, 1, 0, 1]))
    0.333...
    """

    direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(name=name, dtype=dtype or "int32")
        self.num_classes, self.ignore_class, self.axis = num_classes, ignore_class, axis
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        self.target_class_ids = [int(i) for i in target_class_ids]
        if not self.target_class_ids or not 0 <= min(target_class_ids) <= max(target_class_ids) < num_classes:
            raise ValueError(
                f"{self.name}: target_class_ids are class numbers from 0 to {num_classes - 1}, got {target_class_ids!r}"
            )
        self.total_cm = self.add_variable((num_classes, num_classes), dtype=self.dtype, name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of any shape; one weight for each class number, or one for all."""
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if not self.sparse_y_true:
            y_true = ops.argmax(y_true, axis=self.axis)
        if not self.sparse_y_pred:
            y_pred = ops.argmax(y_pred, axis=self.axis)
        shapes = y_true.shape, y_pred.shape
        y_true = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        y_pred = ops.cast(ops.reshape(y_pred, (-1,)), "int32")
        if shapes_differ(y_true.shape, y_pred.shape):
            raise ShapeError(
                f"{self.name}: expected one class number in y_pred for each in y_true, got y_true "
                f"{format_shape(shapes[0])} and y_pred {format_shape(shapes[1])}. For scores or one-hot vectors "
                f"along axis {self.axis}, set sparse_y_pred=False or sparse_y_true=False."
            )
        inside = ops.logical_and(self._inside(y_true), self._inside(y_pred))
        if self.ignore_class is not None:
            inside = ops.logical_and(inside, ops.not_equal(y_true, self.ignore_class))
        inside = ops.cast(inside, "int32")
        cells = ops.multiply(y_true * self.num_classes + y_pred, inside)
        weight = ops.multiply(self._weights(sample_weight, y_true), ops.cast(inside, self._dtype))
        # Whole numbers stay exact in float64, and NumPy adds those without sorting.
        counts = ops.cast(histogram(cells, ops.cast(weight, "float64"), self.num_classes**2), self._dtype)
        self.total_cm.assign_add(ops.reshape(counts, (self.num_classes, self.num_classes)))

    def _inside(self, classes: Tensor) -> Tensor:
        return ops.logical_and(ops.greater_equal(classes, 0), ops.less(classes, self.num_classes))

    def _weights(self, sample_weight: Any, y_true: Tensor) -> Tensor:
        given = ops.convert_to_tensor(1 if sample_weight is None else sample_weight)
        if given.dtype.kind == "f" and self._dtype.kind in "iu":
            warnings.warn(
                f"{self.name}: sample_weight is {given.dtype}, but the confusion matrix counts in {self.dtype}, so "
                'fractions are cut off. Give the metric dtype="float32".',
                stacklevel=4,
            )
        weight = ops.cast(given, self._dtype)
        return ops.broadcast_to(ops.reshape(weight, (-1,)) if len(weight.shape) > 1 else weight, y_true.shape)

    def result(self) -> Tensor:
        """The mean over target classes that occurred, a scalar."""
        matrix = ops.cast(self.total_cm.value, "float32")
        diagonal = ops.sum(ops.multiply(matrix, np.eye(self.num_classes, dtype="float32")), axis=0)
        union = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - diagonal
        chosen = np.bincount(self.target_class_ids, minlength=self.num_classes).astype("float32")
        weight = ops.multiply(ops.cast(ops.greater(union, 1e-9), "float32"), chosen)
        shares = ops.divide(diagonal, union + epsilon())
        return ops.divide(ops.sum(ops.multiply(shares, weight)), ops.sum(weight) + epsilon())

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same metric again."""
        names = ("num_classes", "target_class_ids", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _without(config: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in names}


@metrics.register()
class BinaryIoU(IoU):
    """Intersection over union of two classes, class 1 where `y_pred >= threshold` (Keras name).

    >>> import sardonyx as sx
    >>> float(sx.metrics.BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7]))
    0.333...
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(2, target_class_ids, name=name, dtype=dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of any shape."""
        y_pred = ops.greater_equal(ops.convert_to_tensor(y_pred, dtype="float32"), self.threshold)
        super().update_state(y_true, ops.cast(y_pred, "int32"), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same metric again."""
        config = _without(super().get_config(), "num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")
        return {**config, "threshold": self.threshold}


@metrics.register()
class MeanIoU(IoU):
    """Mean of intersection over union for all classes that occurred (Keras name).

    >>> import sardonyx as sx
    >>> float(sx.metrics.MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1]))
    0.333...
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        targets = range(num_classes)
        super().__init__(num_classes, targets, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same metric again."""
        return _without(super().get_config(), "target_class_ids")


@metrics.register()
class OneHotIoU(IoU):
    """`IoU` for one-hot targets, and scores or one-hot predictions (Keras name)."""

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same metric again."""
        return _without(super().get_config(), "sparse_y_true")


@metrics.register()
class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` for one-hot targets, and scores or one-hot predictions (Keras name)."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same metric again."""
        return _without(super().get_config(), "sparse_y_true")
