"""Class numbers: their shape and range, checked where they are known."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.spec import normalize_axis
from ..core.tensor import Tensor
from .shapes import shapes_differ


def sparse_labels(name: str, y_true: Any, y_pred: Tensor, axis: int) -> Tensor:
    """Class numbers as integers, of the shape of `y_pred` without its class axis.

    Raises `ShapeError` where they do not fit, with a word on one-hot targets, and `DtypeError` for strings.
    """
    labels = ops.convert_to_tensor(y_true)
    shape = y_pred.shape
    if not shape:
        raise ShapeError(f"{name}: y_pred needs an axis of classes, got a scalar")
    axis = normalize_axis(axis, len(shape), f"{name}: axis")
    wanted = (*shape[:axis], *shape[axis + 1 :])
    if len(labels.shape) == len(shape) and labels.shape[axis] == 1:
        labels = ops.reshape(labels, (*labels.shape[:axis], *labels.shape[axis + 1 :]))
    if shapes_differ(labels.shape, wanted):
        raise ShapeError(
            f"{name}: expected y_true of class numbers, of shape {format_shape(wanted)} for y_pred "
            f"{format_shape(shape)}; got y_true {format_shape(labels.shape)}. {_hint(labels.shape, shape)}"
        )
    if labels.dtype.kind not in "biuf":
        raise DtypeError(f"{name}: class numbers are integers, got y_true of dtype {labels.dtype}")
    return labels if labels.dtype.kind in "iu" else ops.cast(labels, "int32")


def _hint(y_true: tuple[Any, ...], y_pred: tuple[Any, ...]) -> str:
    if not shapes_differ(y_true, y_pred):
        return (
            "The targets look one-hot: use the dense form (CategoricalCrossentropy, "
            '"categorical_crossentropy"), or make them class numbers with ops.argmax(y_true, axis=-1).'
        )
    if len(y_true) == len(y_pred):
        return f"One-hot targets would need {y_pred[-1]} classes and the dense form of this loss."
    return (
        "Every position of the output needs one class number; for one a sample put Flatten() or a global pooling layer "
        "before the last Dense layer (in a recurrent layer return_sequences=False)."
    )


def check_class_numbers(name: str, labels: Tensor, classes: Any) -> None:
    """Raise `ValueError` for class numbers outside [0, classes), where both are known."""
    array = labels.array
    if array is None or not isinstance(classes, int) or not array.size:
        return
    # Seen without sign, a negative number is a very large one: a single pass finds both.
    if array.view(f"u{array.itemsize}").max() >= classes:
        low, high = int(array.min()), int(array.max())
        start = "Numbers that start at 1 must be reduced by 1. " if low == 1 and high == classes else ""
        raise ValueError(
            f"{name}: class numbers go from 0 to {classes - 1} for {classes} outputs, got {low} to {high}. "
            f"{start}End the model with {max(high + 1, classes)} units, or mark what does not count with ignore_class."
        )
