"""Cross-entropy as losses with weights, masks and a reduction."""

from __future__ import annotations

from typing import Any

from .crossentropy import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    sparse_categorical_crossentropy,
)
from .loss import losses
from .wrapper import NamedLoss

Reduction = str | None


def _check_smoothing(name: str, label_smoothing: float) -> None:
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"{name}: label_smoothing is a share between 0 and 1, got {label_smoothing!r}")


@losses.register()
class BinaryCrossentropy(NamedLoss):
    """Cross-entropy of yes-or-no answers; see `binary_crossentropy` (Keras name).

    from_logits: whether `y_pred` holds any numbers rather than probabilities; more exact, and faster
    label_smoothing: share in [0, 1] by which targets are drawn towards 0.5
    axis: the axis over which the mean is taken first

    >>> import sardonyx as sx
    >>> float(sx.losses.BinaryCrossentropy(from_logits=True)([[1.0], [0.0]], [[0.0], [0.0]]))
    0.693...
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        _check_smoothing(name, label_smoothing)
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(binary_crossentropy, reduction, name, dtype, **options)
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis


@losses.register()
class BinaryFocalCrossentropy(NamedLoss):
    """Binary cross-entropy that turns down what is already right; see `binary_focal_crossentropy` (Keras name)."""

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        _check_smoothing(name, label_smoothing)
        options = {
            "apply_class_balancing": apply_class_balancing,
            "alpha": alpha,
            "gamma": gamma,
            "from_logits": from_logits,
            "label_smoothing": label_smoothing,
            "axis": axis,
        }
        super().__init__(binary_focal_crossentropy, reduction, name, dtype, **options)
        self.apply_class_balancing, self.alpha, self.gamma = apply_class_balancing, alpha, gamma
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis


@losses.register()
class CategoricalCrossentropy(NamedLoss):
    """Cross-entropy of one-hot targets; see `categorical_crossentropy` (Keras name).

    from_logits: whether `y_pred` holds any numbers rather than probabilities; more exact, and faster
    label_smoothing: share in [0, 1] of each target that is spread over all classes
    axis: the axis of classes

    >>> import sardonyx as sx
    >>> float(sx.losses.CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]))
    0.693...
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        _check_smoothing(name, label_smoothing)
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(categorical_crossentropy, reduction, name, dtype, **options)
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis


@losses.register()
class CategoricalFocalCrossentropy(NamedLoss):
    """Categorical cross-entropy that turns down what is right; see `categorical_focal_crossentropy` (Keras name)."""

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        _check_smoothing(name, label_smoothing)
        options = {
            "alpha": alpha,
            "gamma": gamma,
            "from_logits": from_logits,
            "label_smoothing": label_smoothing,
            "axis": axis,
        }
        super().__init__(categorical_focal_crossentropy, reduction, name, dtype, **options)
        self.alpha, self.gamma = alpha, gamma
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis


@losses.register()
class SparseCategoricalCrossentropy(NamedLoss):
    """Cross-entropy of class numbers; see `sparse_categorical_crossentropy` (Keras name).

    from_logits: whether `y_pred` holds any numbers rather than probabilities; more exact, and faster
    ignore_class: a class number that does not count, neither in the sum nor in the mean
    axis: the axis of classes in `y_pred`

    >>> import sardonyx as sx
    >>> loss = sx.losses.SparseCategoricalCrossentropy(ignore_class=255)
    >>> float(loss([1, 255], [[0.5, 0.5], [1.0, 0.0]]))
    0.693...
    """

    converts_targets = False

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: Reduction = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        options = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(sparse_categorical_crossentropy, reduction, name, dtype, **options)
        self.from_logits, self.ignore_class, self.axis = from_logits, ignore_class, axis


@losses.register()
class CategoricalGeneralizedCrossEntropy(NamedLoss):
    """Cross-entropy that bears wrong labels; see `categorical_generalized_cross_entropy` (Keras name).

    q: between 0 (cross-entropy) and 1 (mean absolute error), both excluded
    """

    converts_targets = False

    def __init__(
        self,
        q: float = 0.5,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ) -> None:
        if not 0 < q < 1:
            raise ValueError(f"CategoricalGeneralizedCrossEntropy: q lies between 0 and 1, both excluded; got {q!r}")
        super().__init__(categorical_generalized_cross_entropy, reduction, name, dtype, q=q)
        self.q = q
