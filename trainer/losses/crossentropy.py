"""Cross-entropy as functions: binary, categorical, sparse, their focal forms, and the generalised one."""

from __future__ import annotations

import warnings
from typing import Any

from .. import ops
from ..core.dtypes import epsilon
from ..core.errors import ShapeError
from ..core.spec import normalize_axis
from ..core.tensor import Tensor
from ..ops.convert import to_float
from ..ops.crossentropy_primitives import sparse_cross_entropy_primitive
from .labels import check_class_numbers, sparse_labels
from .loss import losses
from .shapes import aligned, kind_of_targets, one_hot_hint, value_hint


def _check_axis(name: str, axis: Any) -> None:
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise ValueError(f"{name}: axis is an integer, got {axis!r} ({type(axis).__name__})")


def _binary_hint(y_true: tuple[Any, ...], y_pred: tuple[Any, ...]) -> str:
    """The likely fix where every output is a yes or no: there may be one class number for several outputs."""
    if y_pred and isinstance(y_pred[-1], int) and y_pred[-1] > 1 and (y_true == y_pred[:-1] or y_true[-1:] == (1,)):
        return (
            f"The model gives {y_pred[-1]} values a sample and there is one target: end the model with 1 unit for two "
            "classes, or use SparseCategoricalCrossentropy for class numbers."
        )
    return value_hint(y_true, y_pred)


def _one_hot(name: str, y_true: Any, y_pred: Any, label_smoothing: float) -> tuple[Tensor, Tensor]:
    """One-hot targets, smoothed, and predictions."""
    y_true, y_pred = aligned(name, y_true, y_pred, one_hot_hint)
    classes = y_pred.shape[-1] if y_pred.shape else None
    if classes == 1:
        warnings.warn(
            f"{name}: y_pred ends in a single class, so the loss cannot tell anything apart. "
            "For two classes with one output use binary_crossentropy.",
            SyntaxWarning,
            stacklevel=3,
        )
    if label_smoothing:
        share = ops.divide(label_smoothing, ops.cast(classes, y_true.dtype))
        y_true = ops.add(ops.multiply(y_true, 1.0 - label_smoothing), share)
    return y_true, y_pred


def _binary(name: str, y_true: Any, y_pred: Any, label_smoothing: float) -> tuple[Tensor, Tensor]:
    y_true, y_pred = aligned(name, y_true, y_pred, _binary_hint)
    if label_smoothing:
        y_true = ops.add(ops.multiply(y_true, 1.0 - label_smoothing), 0.5 * label_smoothing)
    return y_true, y_pred


@losses.register("bce", "BCE")
def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """Mean over `axis` of `-y_true log(y_pred) - (1 - y_true) log(1 - y_pred)` (Keras name).

    `y_pred` holds probabilities, or any numbers with `from_logits`. `label_smoothing` draws targets towards 0.5.

    >>> import sardonyx as sx
    >>> sx.losses.binary_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy()
    array([0.6931], dtype=float32)
    """
    y_true, y_pred = _binary("binary_crossentropy", y_true, y_pred, label_smoothing)
    return ops.mean(ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits), axis=axis)


@losses.register()
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Binary cross-entropy times `(1 - p)^gamma`, p the probability of the right answer (Lin et al. 2017; Keras name).

    With `apply_class_balancing`, class 1 weighs `alpha` and class 0 `1 - alpha`.

    >>> import sardonyx as sx
    >>> sx.losses.binary_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy()
    array([0.1733], dtype=float32)
    """
    y_true, y_pred = _binary("binary_focal_crossentropy", y_true, y_pred, label_smoothing)
    if from_logits:
        y_pred = ops.sigmoid(y_pred)
    loss = ops.binary_crossentropy(y_true, y_pred, from_logits=False)
    false = ops.subtract(1.0, y_true)
    right = ops.add(ops.multiply(y_true, y_pred), ops.multiply(false, ops.subtract(1.0, y_pred)))
    loss = ops.multiply(ops.power(ops.subtract(1.0, right), gamma), loss)
    if apply_class_balancing:
        loss = ops.multiply(ops.add(ops.multiply(y_true, alpha), ops.multiply(false, 1.0 - alpha)), loss)
    return ops.mean(loss, axis=axis)


@losses.register()
def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """Sum over `axis` of `-y_true log(y_pred)`; `y_true` is one-hot, of the shape of `y_pred` (Keras name).

    `y_pred` holds probabilities, or any numbers with `from_logits`. `label_smoothing` spreads that share of each
    target over all classes. Raises `ShapeError` for class numbers in place of one-hot targets.

    >>> import sardonyx as sx
    >>> sx.losses.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy()
    array([0.6931], dtype=float32)
    """
    _check_axis("categorical_crossentropy", axis)
    y_true, y_pred = _one_hot("categorical_crossentropy", y_true, y_pred, label_smoothing)
    return ops.categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


@losses.register()
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Categorical cross-entropy with each class's term times `alpha (1 - y_pred)^gamma` (Lin et al. 2017; Keras name).

    >>> import sardonyx as sx
    >>> sx.losses.categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy()
    array([0.0433], dtype=float32)
    """
    _check_axis("categorical_focal_crossentropy", axis)
    y_true, y_pred = _one_hot("categorical_focal_crossentropy", y_true, y_pred, label_smoothing)
    if from_logits:
        y_pred = ops.softmax(y_pred, axis=axis)
    share = ops.divide(y_pred, ops.sum(y_pred, axis=axis, keepdims=True))
    share = ops.clip(share, epsilon(), 1.0 - epsilon())
    weight = ops.multiply(ops.power(ops.subtract(1.0, share), gamma), alpha)
    return ops.negative(ops.sum(ops.multiply(weight, ops.multiply(y_true, ops.log(share))), axis=axis))


def _are_plain(y_true: Any, y_pred: Any) -> bool:
    """Whether both are eager and need no conversion: a class number for every row of logits."""
    if type(y_true) is not Tensor or type(y_pred) is not Tensor or y_true.array is None or y_pred.array is None:
        return False
    labels, logits = y_true.array, y_pred.array
    return labels.dtype.kind in "iu" and logits.dtype.kind == "f" and labels.shape == logits.shape[:-1] != ()


@losses.register()
def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Tensor:
    """`-log` of the probability given to the right class; `y_true` holds class numbers (Keras name).

    `y_true` has the shape of `y_pred` without `axis` (or with size 1 there). Positions where it equals `ignore_class`
    give 0 and are masked out. Raises `ShapeError` for one-hot targets, `ValueError` for class numbers out of range.

    >>> import sardonyx as sx
    >>> sx.losses.sparse_categorical_crossentropy([1], [[0.5, 0.5]]).numpy()
    array([0.6931], dtype=float32)
    """
    name = "sparse_categorical_crossentropy"
    _check_axis(name, axis)
    if from_logits and ignore_class is None and axis == -1 and _are_plain(y_true, y_pred):
        check_class_numbers(name, y_true, y_pred.shape[-1])
        return sparse_cross_entropy_primitive(y_pred, y_true)[0]
    y_pred = to_float(y_pred)
    y_true = sparse_labels(name, y_true, y_pred, axis)
    if ignore_class is None:
        check_class_numbers(name, y_true, y_pred.shape[axis])
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    kept = ops.not_equal(y_true, ignore_class)
    y_true = ops.where(kept, y_true, ops.zeros_like(y_true))
    check_class_numbers(name, y_true, y_pred.shape[axis])
    # Ones, not zeros, where nothing counts: an all-zero row has no probabilities, and its gradient would be NaN.
    y_pred = ops.where(ops.expand_dims(kept, normalize_axis(axis, len(y_pred.shape))), y_pred, ops.ones_like(y_pred))
    result = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    result = ops.where(kept, result, ops.zeros_like(result))
    result.mask = kept
    return result


@losses.register("ce")
def crossentropy(y_true: Any, y_pred: Any) -> Tensor:
    """The cross-entropy that suits the shapes, for `compile(loss="crossentropy")` (Keras has the name there alone).

    One output a sample: binary. Targets of lower rank, or ending in 1: sparse. Otherwise categorical.
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), to_float(y_pred)
    kind = kind_of_targets(y_true.shape, y_pred.shape)
    if kind == "binary":
        return binary_crossentropy(y_true, y_pred)
    return (sparse_categorical_crossentropy if kind == "sparse" else categorical_crossentropy)(y_true, y_pred)


@losses.register()
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Tensor:
    """`(1 - p^q) / q`, p the probability given to the right class (Zhang and Sabuncu 2018; Keras name).

    Between mean absolute error (q = 1) and cross-entropy (q near 0): bears wrong labels. `y_true` holds class numbers.

    >>> import sardonyx as sx
    >>> sx.losses.categorical_generalized_cross_entropy([1], [[0.75, 0.25]], q=0.5).numpy()
    array([1.], dtype=float32)
    """
    name = "categorical_generalized_cross_entropy"
    y_pred = to_float(y_pred)
    y_true = sparse_labels(name, y_true, y_pred, -1)
    check_class_numbers(name, y_true, y_pred.shape[-1])
    if not isinstance(y_pred.shape[-1], int):
        raise ShapeError(f"{name}: the number of classes must be known, got y_pred {y_pred.shape}")
    right = ops.sum(ops.multiply(y_pred, ops.one_hot(y_true, y_pred.shape[-1], dtype=y_pred.dtype)), axis=-1)
    return ops.divide(ops.subtract(1.0, ops.power(right, q)), q)
