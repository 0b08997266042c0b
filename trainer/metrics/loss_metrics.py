"""Metrics that are the mean of a loss: cross-entropies, divergences and hinges."""

from __future__ import annotations

from typing import Any

from ..losses.crossentropy import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    sparse_categorical_crossentropy,
)
from ..losses.hinge import categorical_hinge, hinge, squared_hinge
from ..losses.probabilistic import kl_divergence, poisson
from ..losses.regression import huber
from .metric import metrics
from .reduction import NamedMetric

for _function in (binary_focal_crossentropy, categorical_focal_crossentropy, huber):
    metrics.add(_function)


@metrics.register("kld", "KLD", "kullback_leibler_divergence", "kl_divergence")
class KLDivergence(NamedMetric):
    """Mean Kullback-Leibler divergence of predictions from targets (Keras name)."""

    direction = "down"

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(kl_divergence, name, dtype)


@metrics.register()
class Poisson(NamedMetric):
    """Mean of `y_pred - y_true log(y_pred)` (Keras name)."""

    direction = "down"

    def __init__(self, name: str | None = "poisson", dtype: Any = None) -> None:
        super().__init__(poisson, name, dtype)


@metrics.register("bce", "BCE")
class BinaryCrossentropy(NamedMetric):
    """Mean cross-entropy of yes-or-no answers (Keras name).

    >>> import sardonyx as sx
    >>> float(sx.metrics.BinaryCrossentropy()([[0], [1]], [[0.5], [0.5]]))
    0.693...
    """

    direction = "down"

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing}
        super().__init__(binary_crossentropy, name, dtype, **options)
        self.from_logits, self.label_smoothing = from_logits, label_smoothing


@metrics.register()
class CategoricalCrossentropy(NamedMetric):
    """Mean cross-entropy of one-hot targets (Keras name)."""

    direction = "down"

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(categorical_crossentropy, name, dtype, **options)
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis


@metrics.register()
class SparseCategoricalCrossentropy(NamedMetric):
    """Mean cross-entropy of class numbers; `ignore_class` counts as 0 (Keras name)."""

    direction = "down"

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        options = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(sparse_categorical_crossentropy, name, dtype, **options)
        self.from_logits, self.ignore_class, self.axis = from_logits, ignore_class, axis


@metrics.register()
class Hinge(NamedMetric):
    """Mean margin between two classes (Keras name)."""

    direction = "down"

    def __init__(self, name: str | None = "hinge", dtype: Any = None) -> None:
        super().__init__(hinge, name, dtype)


@metrics.register()
class SquaredHinge(NamedMetric):
    """Mean squared margin between two classes (Keras name)."""

    direction = "down"

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(squared_hinge, name, dtype)


@metrics.register()
class CategoricalHinge(NamedMetric):
    """Mean margin between the right class and the best wrong one (Keras name)."""

    direction = "down"

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(categorical_hinge, name, dtype)
