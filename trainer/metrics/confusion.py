"""Right and wrong answers at many thresholds, counted in one pass over the predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..core.dtypes import epsilon
from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from ..losses.shapes import differ, mismatch, one_hot_hint, shapes_differ, squeeze_or_expand_to_same_rank

LOWEST = -1e10
"""Stands below every prediction: the threshold that all of the first k pass."""


class Thresholds:
    """The thresholds of a metric, and whether they divide [0, 1] evenly: then a product finds a prediction's place."""

    def __init__(self, values: Sequence[float]) -> None:
        self.values = np.asarray(values, "float64")
        even = np.arange(len(values)) / max(len(values) - 1, 1)
        self.even = len(values) >= 3 and bool(np.allclose(self.values, even, atol=epsilon()))
        self.starts_below = bool(self.values[0] < 0.0 or self.values[-1] > 1.0)
        self.order = np.argsort(self.values, kind="stable")
        rank = np.argsort(self.order)
        # Row i: the thresholds, as given, that a prediction above i of them in ascending order exceeds.
        self.exceeded = (np.arange(len(values) + 1)[:, None] > rank).astype("float32")
        self.not_exceeded = 1.0 - self.exceeded

    def __len__(self) -> int:
        return len(self.values)

    def passed(self, y_pred: Tensor) -> Tensor:
        """How many thresholds, in ascending order, each prediction exceeds (int32)."""
        last = len(self) - 1
        if not self.even:
            ascending = self.values[self.order].astype(y_pred.dtype)
            return ops.cast(ops.searchsorted(ascending, y_pred, side="left"), "int32")
        place = ops.cast(ops.ceil(ops.multiply(ops.clip(y_pred, 0.0, 1.0), float(last))), "int32")
        # An end point just below 0 is exceeded by 0 too. The clip is for NaN, whose place is arbitrary.
        return ops.clip(place, 1 if self.starts_below else 0, last)


def even_thresholds(count: int) -> list[float]:
    """`count` thresholds from 0 to 1."""
    return [i / (count - 1) for i in range(count)]


def parse_thresholds(thresholds: Any, default: float, name: str) -> list[float]:
    """Thresholds as a list; raises `ValueError` for any outside [0, 1]."""
    if thresholds is None:
        return [default]
    values = list(thresholds) if isinstance(thresholds, (list, tuple, np.ndarray)) else [thresholds]
    wrong = [t for t in values if t is None or not 0 <= t <= 1]
    if wrong or not values:
        raise ValueError(f"{name}: thresholds lie in [0, 1], got {thresholds!r}")
    return [float(t) for t in values]


class Counts(NamedTuple):
    """Weighted numbers of answers at each threshold: `(thresholds,)`, or `(thresholds, labels)`."""

    true_positives: Tensor
    false_positives: Tensor
    true_negatives: Tensor
    false_negatives: Tensor


def histogram(cells: Tensor, weights: Tensor, size: int) -> Tensor:
    """Sums of weights by cell number."""
    return ops.segment_sum(weights, cells, num_segments=size)


def count_answers(
    name: str,
    y_true: Any,
    y_pred: Any,
    thresholds: Thresholds,
    sample_weight: Any = None,
    top_k: int | None = None,
    class_id: int | None = None,
    label_weights: Any = None,
    multi_label: bool = False,
) -> Counts:
    """Right and wrong answers of a batch at every threshold; a prediction says yes above the threshold."""
    y_pred = ops.cast(ops.convert_to_tensor(y_pred), "float32")
    y_pred, y_true = squeeze_or_expand_to_same_rank(y_pred, ops.convert_to_tensor(y_true))
    if shapes_differ(y_true.shape, y_pred.shape):
        raise ShapeError(mismatch(name, y_true.shape, y_pred.shape, one_hot_hint(y_true.shape, y_pred.shape)))
    weight = None if sample_weight is None else _fit_weight(name, sample_weight, y_true)
    if top_k is not None:
        y_pred = _keep_top_k(name, y_pred, top_k)
    if class_id is not None:
        y_true, y_pred = _choose_class(name, y_true, class_id), _choose_class(name, y_pred, class_id)
    if weight is not None:
        weight = ops.broadcast_to(weight, y_pred.shape)
    if label_weights is not None:
        spread = ops.broadcast_to(ops.expand_dims(label_weights, 0), y_pred.shape)
        weight = spread if weight is None else ops.multiply(weight, spread)
    truth = ops.not_equal(y_true, 0)
    if len(thresholds) == 1 and not multi_label:
        return _count_at_one(truth, ops.greater(y_pred, float(thresholds.values[0])), weight)
    return _count_at_many(truth, thresholds, thresholds.passed(y_pred), weight, multi_label)


def _fit_weight(name: str, sample_weight: Any, y_true: Tensor) -> Tensor:
    """Weights that broadcast to the targets: one a sample, or one a target."""
    given = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
    _, weight = squeeze_or_expand_to_same_rank(y_true, ops.expand_dims(given, -1), expand_rank_1=False)
    rank = len(y_true.shape)
    if 0 < len(given.shape) < len(weight.shape) < rank:
        weight = ops.reshape(given, (*given.shape, *[1] * (rank - len(given.shape))))
    pairs = zip(weight.shape[::-1], y_true.shape[::-1], strict=False)
    if len(weight.shape) > rank or any(a != 1 and differ(a, b) for a, b in pairs):
        raise ShapeError(
            f"{name}: sample_weight of shape {format_shape(given.shape)} does not fit targets of shape "
            f"{format_shape(y_true.shape)}: give one weight for each sample, or one for each target"
        )
    return weight


def _classes(name: str, y_pred: Tensor) -> int:
    """The size of the last axis; raises `ShapeError` where it is not known."""
    if not y_pred.shape or not isinstance(y_pred.shape[-1], int):
        raise ShapeError(
            f"{name}: expected predictions whose last axis has a known size, got {format_shape(y_pred.shape)}"
        )
    return y_pred.shape[-1]


def _keep_top_k(name: str, y_pred: Tensor, k: int) -> Tensor:
    """Predictions with all but the k highest of each sample pressed below every threshold."""
    classes = _classes(name, y_pred)
    if not 1 <= k <= classes:
        raise ValueError(f"{name}: top_k={k} needs at least that many classes, got {format_shape(y_pred.shape)}")
    _, best = ops.top_k(y_pred, k)
    kept = ops.sum(ops.one_hot(best, classes, dtype=y_pred.dtype), axis=-2)
    return ops.add(ops.multiply(y_pred, kept), ops.multiply(LOWEST, ops.subtract(1.0, kept)))


def _choose_class(name: str, x: Tensor, class_id: int) -> Tensor:
    """One class of the last axis, which stays with size 1 to go with sample weights."""
    if len(x.shape) < 2 or (isinstance(x.shape[-1], int) and not 0 <= class_id < x.shape[-1]):
        raise ShapeError(
            f"{name}: class_id={class_id} needs predictions of shape (batch, classes) with that class, "
            f"got {format_shape(x.shape)}"
        )
    return x[..., class_id : class_id + 1]


def _count_at_one(truth: Tensor, yes: Tensor, weight: Tensor | None) -> Counts:
    truth, yes = ops.cast(truth, "float32"), ops.cast(yes, "float32")
    weighted = truth if weight is None else ops.multiply(truth, weight)
    true_positives = _total(ops.multiply(weighted, yes))
    positives = _total(weighted)
    claimed = _total(yes if weight is None else ops.multiply(yes, weight))
    everything = ops.cast(truth.size, "float32") if weight is None else _total(weight)
    false_positives = ops.subtract(claimed, true_positives)
    true_negatives = ops.subtract(ops.subtract(everything, positives), false_positives)
    return Counts(true_positives, false_positives, true_negatives, ops.subtract(positives, true_positives))


def _total(x: Tensor) -> Tensor:
    return ops.reshape(ops.sum(x), (1,))


def _count_at_many(
    truth: Tensor, thresholds: Thresholds, passed: Tensor, weight: Tensor | None, multi_label: bool
) -> Counts:
    """Answers are put into cells by label and number of thresholds exceeded; a product adds the cells up."""
    places = len(thresholds) + 1
    labels = _classes("multi_label", passed) if multi_label else 1
    cells = ops.add(passed, ops.multiply(ops.cast(truth, "int32"), places))
    if multi_label:
        cells = ops.add(cells, np.arange(labels, dtype="int32") * (2 * places))
    weight = ops.ones_like(cells, dtype="float32") if weight is None else weight
    sums = histogram(ops.reshape(cells, (-1,)), ops.reshape(weight, (-1,)), labels * 2 * places)
    sums = ops.reshape(sums, (labels, 2, places) if multi_label else (2, places))
    yes = ops.matmul(sums, thresholds.exceeded)
    no = ops.matmul(sums, thresholds.not_exceeded)
    if not multi_label:
        return Counts(yes[1], yes[0], no[0], no[1])
    yes, no = ops.transpose(yes, (1, 2, 0)), ops.transpose(no, (1, 2, 0))
    return Counts(yes[1], yes[0], no[0], no[1])
