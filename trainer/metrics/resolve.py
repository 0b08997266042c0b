"""Which accuracy, and which cross-entropy, the short names in `compile` stand for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ..losses.crossentropy import binary_crossentropy, categorical_crossentropy, sparse_categorical_crossentropy
from ..losses.shapes import kind_of_targets
from .accuracy import BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy
from .loss_metrics import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from .metric import Metric

ACCURACY_NAMES = ("accuracy", "acc")
CROSSENTROPY_NAMES = ("crossentropy", "ce")
_ACCURACIES = {"binary": BinaryAccuracy, "sparse": SparseCategoricalAccuracy, "categorical": CategoricalAccuracy}
_CROSSENTROPIES = {
    "binary": BinaryCrossentropy,
    "sparse": SparseCategoricalCrossentropy,
    "categorical": CategoricalCrossentropy,
}


def _kind_of_loss(loss: Any) -> str | None:
    """What a loss (object, function or name) says of the targets; None when nothing."""
    name = loss if isinstance(loss, str) else type(loss).__name__
    if callable(loss) and not isinstance(loss, type) and hasattr(loss, "__name__"):
        name = loss.__name__
    name = name.lower().replace("_", "")
    for start, kind in (("binary", "binary"), ("bce", "binary"), ("sparse", "sparse"), ("categorical", "categorical")):
        if name.startswith(start):
            return kind
    return None


def resolve_accuracy(
    name: str, y_true_shape: Sequence[Any] | None, y_pred_shape: Sequence[Any] | None, loss: Any = None
) -> Metric:
    """The accuracy that "accuracy" or "acc" stands for, under that name: decided by the shapes, as in Keras.

    One output a sample: `BinaryAccuracy`. Targets of lower rank, or ending in 1: `SparseCategoricalAccuracy`.
    Otherwise `CategoricalAccuracy`. "crossentropy" and "ce" give the cross-entropy metric by the same rule. Where a
    shape is None the loss decides. Warns where binary cross-entropy over several outputs gets categorical accuracy.
    Raises `ValueError` for other names, and where nothing decides.

    >>> from sardonyx.trainer.metrics import resolve_accuracy
    >>> resolve_accuracy("acc", (32,), (32, 10))
    <SparseCategoricalAccuracy name=acc>
    """
    wanted = name.lower()
    if wanted not in ACCURACY_NAMES + CROSSENTROPY_NAMES:
        known = ", ".join(repr(n) for n in ACCURACY_NAMES + CROSSENTROPY_NAMES)
        raise ValueError(f"resolve_accuracy: expected one of {known}, got {name!r}")
    said = _kind_of_loss(loss)
    if y_true_shape is None or y_pred_shape is None:
        if said is None:
            raise ValueError(
                f"{name}: neither shapes nor loss tell which kind is meant; name it, such as "
                '"binary_accuracy", "categorical_accuracy" or "sparse_categorical_accuracy"'
            )
        kind = said
    else:
        kind = kind_of_targets(y_true_shape, y_pred_shape)
        if kind == "categorical" and said == "binary" and wanted in ACCURACY_NAMES:
            warnings.warn(
                f'"{name}" over {y_pred_shape[-1]} outputs is categorical accuracy, whether the highest output is the '
                'right one. For the share of right yes-or-no answers use "binary_accuracy".',
                stacklevel=2,
            )
    return (_ACCURACIES if wanted in ACCURACY_NAMES else _CROSSENTROPIES)[kind](name=name)


def resolve_crossentropy(y_true_shape: Sequence[Any], y_pred_shape: Sequence[Any]) -> Callable[..., Any]:
    """The loss function that "crossentropy" or "ce" stands for: decided by the shapes, as in Keras.

    >>> from sardonyx.trainer.metrics import resolve_crossentropy
    >>> resolve_crossentropy((32,), (32, 10)).__name__
    'sparse_categorical_crossentropy'
    """
    return {
        "binary": binary_crossentropy,
        "sparse": sparse_categorical_crossentropy,
        "categorical": categorical_crossentropy,
    }[kind_of_targets(y_true_shape, y_pred_shape)]
