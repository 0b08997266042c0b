"""Losses for sequences whose alignment is not known: CTC."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from ..ops.convert import to_float
from .labels import check_class_numbers
from .loss import losses
from .shapes import differ
from .wrapper import NamedLoss


@losses.register()
def ctc(y_true: Any, y_pred: Any) -> Tensor:
    """Connectionist temporal classification, one value a sample (Graves et al. 2006; Keras name).

    y_true: class numbers from 1, padded with 0, `(batch, labels)`; class 0 is the blank
    y_pred: logits, `(batch, time, classes)`

    Raises `ShapeError` for other shapes.

    >>> import sardonyx as sx
    >>> sx.losses.ctc([[1]], [[[0.0, 0.0], [0.0, 0.0]]]).numpy()
    array([0.2877], dtype=float32)
    """
    labels = ops.convert_to_tensor(y_true)
    y_pred = to_float(y_pred)
    if len(labels.shape) != 2 or len(y_pred.shape) != 3 or differ(labels.shape[0], y_pred.shape[0]):
        raise ShapeError(
            "ctc: expected y_true of class numbers (batch, labels) and y_pred of logits (batch, time, classes), "
            f"got y_true {format_shape(labels.shape)} and y_pred {format_shape(y_pred.shape)}. "
            "Shorter label rows are padded with 0, the blank."
        )
    labels = ops.cast(labels, "int32")
    check_class_numbers("ctc", labels, y_pred.shape[2])
    label_length = ops.sum(ops.cast(ops.not_equal(labels, 0), "int32"), axis=-1)
    time = ops.broadcast_to(ops.cast(y_pred.shape[1], "int32"), (y_pred.shape[0],))
    return ops.ctc_loss(labels, y_pred, label_length, time, mask_index=0)


@losses.register()
class CTC(NamedLoss):
    """Connectionist temporal classification; see `ctc` (Keras name)."""

    converts_targets = False

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "ctc", dtype: Any = None) -> None:
        super().__init__(ctc, reduction, name, dtype)
