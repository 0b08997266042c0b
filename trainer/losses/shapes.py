"""How the shapes of targets and predictions are brought together, and what is said when they do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..core.dims import equal
from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from ..ops.convert import to_float


def differ(first: Any, second: Any) -> bool:
    """Whether two sizes are certainly not equal."""
    return equal(first, second) is False


def shapes_differ(first: tuple[Any, ...], second: tuple[Any, ...]) -> bool:
    """Whether two shapes are certainly not equal."""
    return len(first) != len(second) or any(differ(a, b) for a, b in zip(first, second, strict=True))


def squeeze_or_expand_to_same_rank(first: Tensor, second: Tensor, expand_rank_1: bool = True) -> tuple[Tensor, Tensor]:
    """Where ranks differ by one and the longer shape ends in 1, that axis goes; a vector gets one instead.

    So `(batch,)` with `(batch, 1)` become both `(batch, 1)`, and `(batch, time)` with `(batch, time, 1)` lose the 1.
    """
    ranks = len(first.shape), len(second.shape)
    if ranks[0] == ranks[1] + 1 and first.shape[-1] == 1:
        if ranks[1] == 1 and expand_rank_1:
            return first, ops.reshape(second, (*second.shape, 1))
        return ops.reshape(first, first.shape[:-1]), second
    if ranks[1] == ranks[0] + 1 and second.shape[-1] == 1:
        if ranks[0] == 1 and expand_rank_1:
            return ops.reshape(first, (*first.shape, 1)), second
        return first, ops.reshape(second, second.shape[:-1])
    return first, second


def kind_of_targets(y_true_shape: Sequence[Any], y_pred_shape: Sequence[Any]) -> str:
    """How targets stand to predictions: "binary" (one output), "sparse" (class numbers) or "categorical" (one-hot)."""
    if len(y_pred_shape) and y_pred_shape[-1] == 1:
        return "binary"
    if len(y_true_shape) < len(y_pred_shape) or (len(y_true_shape) and y_true_shape[-1] == 1):
        return "sparse"
    return "categorical"


def aligned(name: str, y_true: Any, y_pred: Any, hint: Any = None) -> tuple[Tensor, Tensor]:
    """Targets and predictions as floating-point tensors of one shape and dtype.

    Raises `ShapeError` where the shapes certainly differ; `hint(y_true_shape, y_pred_shape)` gives the likely fix.
    """
    y_pred = to_float(y_pred)
    y_true = ops.convert_to_tensor(y_true, dtype=y_pred.dtype)
    if y_true.shape != y_pred.shape:
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        if shapes_differ(y_true.shape, y_pred.shape):
            raise ShapeError(
                mismatch(name, y_true.shape, y_pred.shape, (hint or value_hint)(y_true.shape, y_pred.shape))
            )
    return y_true, y_pred


def mismatch(name: str, y_true: tuple[Any, ...], y_pred: tuple[Any, ...], hint: str) -> str:
    """The sentence for targets and predictions whose shapes do not fit."""
    return (
        f"{name}: expected y_true and y_pred of one shape, got y_true {format_shape(y_true)} "
        f"and y_pred {format_shape(y_pred)}. {hint}"
    )


def value_hint(y_true: tuple[Any, ...], y_pred: tuple[Any, ...]) -> str:
    """The likely fix where every prediction has one target."""
    if y_true and y_pred and len(y_true) == len(y_pred) and not shapes_differ(y_true[:-1], y_pred[:-1]):
        return (
            f"The targets have {y_true[-1]} values in the last axis, the model gives {y_pred[-1]}: "
            f"end the model with {y_true[-1]} units, or give targets of shape {format_shape(y_pred)}."
        )
    if y_true and y_pred and len(y_true) == len(y_pred) and differ(y_true[0], y_pred[0]):
        return "The numbers of samples differ: targets and predictions must belong to the same batch."
    if len(y_pred) > len(y_true):
        return (
            f"The model gives {len(y_pred) - len(y_true)} axes more than the targets have: put Flatten() or a global "
            "pooling layer before the last Dense layer (in a recurrent layer return_sequences=False), or give targets "
            f"of shape {format_shape(y_pred)}."
        )
    return f"Give targets of shape {format_shape(y_pred)}, or let the model end in shape {format_shape(y_true)}."


def one_hot_hint(y_true: tuple[Any, ...], y_pred: tuple[Any, ...]) -> str:
    """The likely fix where targets are one-hot: they may be class numbers."""
    sparse = y_true == y_pred[:-1] or (len(y_true) == len(y_pred) and y_true[-1:] == (1,))
    if sparse and not shapes_differ(y_true[: len(y_pred) - 1], y_pred[:-1]):
        return (
            "The targets look like class numbers: use the sparse form (SparseCategoricalCrossentropy, "
            '"sparse_categorical_crossentropy"), or make them one-hot with ops.one_hot(y_true, '
            f"{y_pred[-1]})."
        )
    if len(y_true) == len(y_pred) and not shapes_differ(y_true[:-1], y_pred[:-1]):
        return (
            f"The targets have {y_true[-1]} classes, the model gives {y_pred[-1]}: "
            f"end the model with {y_true[-1]} units."
        )
    return value_hint(y_true, y_pred)
