"""Losses for embeddings: circle loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from ..ops.convert import to_float
from .loss import losses
from .shapes import differ
from .wrapper import NamedLoss


@losses.register()
def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80.0,
    margin: float = 0.4,
) -> Tensor:
    """Circle loss of embeddings, one value a sample (Sun et al. 2020, "Circle Loss"; Keras name).

    y_true: class numbers, `(batch,)`; y_pred: embeddings of length 1, `(batch, features)`
    ref_labels, ref_embeddings: what the samples are compared with; the samples themselves when None
    remove_diagonal: leave out the comparison of each sample with itself

    Samples without any pair get 0 and are masked out. Raises `ShapeError` where labels and embeddings do not fit.
    """
    y_pred = to_float(y_pred)
    labels = _labels(y_true, y_pred, "y_true")
    others = y_pred if ref_embeddings is None else ops.convert_to_tensor(ref_embeddings, dtype=y_pred.dtype)
    other_labels = labels if ref_labels is None else _labels(ref_labels, others, "ref_labels")
    distance = ops.maximum(ops.subtract(1.0, ops.matmul(y_pred, ops.transpose(others))), 0.0)
    same = ops.equal(ops.reshape(labels, (-1, 1)), ops.reshape(other_labels, (1, -1)))
    other = ops.logical_not(same)
    if remove_diagonal:
        rows = ops.reshape(ops.arange(labels.shape[0]), (-1, 1))
        columns = ops.reshape(ops.arange(other_labels.shape[0]), (1, -1))
        same = ops.logical_and(same, ops.not_equal(rows, columns))
    positive = ops.multiply(ops.multiply(-gamma, ops.add(distance, margin)), ops.subtract(margin, distance))
    reach = ops.maximum(ops.subtract(1.0 + margin, distance), 0.0)
    negative = ops.multiply(ops.multiply(gamma, reach), ops.subtract(1.0 - margin, distance))
    result = ops.softplus(ops.add(_log_sum(positive, same), _log_sum(negative, other)))
    result.mask = ops.greater(result, 0.0)
    return result


def _log_sum(scores: Tensor, chosen: Tensor) -> Tensor:
    """Log of the summed exponentials of chosen scores; very low, but finite, where none is chosen: gradients stay 0."""
    low = -1e9 if scores.dtype != np.float16 else -3e4
    return ops.logsumexp(ops.where(chosen, scores, ops.cast(low, scores.dtype)), axis=1)


def _labels(labels: Any, embeddings: Tensor, what: str) -> Tensor:
    labels = ops.cast(ops.convert_to_tensor(labels), "int32")
    if len(labels.shape) == 2 and labels.shape[1] == 1:
        labels = ops.reshape(labels, labels.shape[:1])
    if len(labels.shape) != 1 or len(embeddings.shape) != 2 or differ(labels.shape[0], embeddings.shape[0]):
        raise ShapeError(
            f"circle: expected class numbers of shape (batch,) and embeddings of shape (batch, features), got {what} "
            f"{format_shape(labels.shape)} and embeddings {format_shape(embeddings.shape)}. One-hot labels become "
            "class numbers with ops.argmax(labels, axis=-1)."
        )
    return labels


@losses.register()
class Circle(NamedLoss):
    """Circle loss of embeddings of length 1; see `circle` (Keras name)."""

    converts_targets = False

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str = "circle",
        dtype: Any = None,
    ) -> None:
        super().__init__(circle, reduction, name, dtype, gamma=gamma, margin=margin, remove_diagonal=remove_diagonal)
        self.gamma, self.margin, self.remove_diagonal = gamma, margin, remove_diagonal
