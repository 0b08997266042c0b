"""Cross-entropies (Keras names: `ops.categorical_crossentropy`, ...), from logits in one stable operation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dtypes import epsilon
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec, normalize_axis
from ..core.tensor import Tensor
from .activation import sigmoid
from .arithmetic import add, divide, multiply, negative, subtract
from .axes import moveaxis
from .broadcast import reshape, sum_axes
from .comparison import greater_equal, less, logical_and
from .convert import cast, convert_to_tensor, to_float
from .crossentropy_primitives import (
    check_labels,
    check_targets,
    class_mask,
    cross_entropy_primitive,
    sparse_cross_entropy_primitive,
)
from .elementwise import log
from .selection import clip

__all__ = ["binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"]


def _run(target: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """max(x, 0) - x t + log(1 + exp(-|x|)): no exponential of a positive number."""
    result = np.abs(logits)
    np.negative(result, out=result)
    np.exp(result, out=result)
    np.log1p(result, out=result)
    result += np.maximum(logits, 0)
    result -= logits * target
    return result


def _infer(target: TensorSpec, logits: TensorSpec) -> TensorSpec:
    check_targets(target, logits)
    return TensorSpec(logits.shape, logits.dtype)


def _lower(emit: Emitter, target: Value, logits: Value) -> Value:
    small = emit("Exp", emit("Neg", emit("Abs", logits)))
    rest = emit("Log", emit("Add", small, emit.constant(np.array(1, logits.dtype))))
    total = emit("Add", emit("Max", logits, emit.constant(np.array(0, logits.dtype))), rest)
    return emit("Sub", total, emit("Mul", logits, target))


binary_primitive = Primitive(
    name="sigmoid_cross_entropy",
    run=_run,
    infer=_infer,
    lower=_lower,
    vjp=(
        lambda g, out, target, logits: negative(multiply(g, logits)),
        lambda g, out, target, logits: multiply(g, subtract(sigmoid(logits), target)),
    ),
    residuals="inputs",
)


def _alike(name: str, target: Any, output: Any) -> tuple[Tensor, Tensor]:
    """Both as floating-point tensors of the output's dtype; raises `ShapeError` where shapes differ."""
    scores = to_float(output)
    wanted = cast(target, scores.dtype)
    try:
        check_targets(wanted, scores)
    except (ShapeError, DtypeError) as error:
        raise type(error)(f"{name}: {error}") from None
    return wanted, scores


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """Elementwise `-t log(p) - (1 - t) log(1 - p)`; probabilities are clipped to [epsilon, 1 - epsilon].

    `target` and `output` have one shape, the result too. Raises `ShapeError` where they differ.

    >>> import sardonyx as sx
    >>> sx.ops.binary_crossentropy([1.0, 0.0], [100.0, -1000.0], from_logits=True).tolist()
    [0.0, 0.0]
    """
    wanted, scores = _alike("binary_crossentropy", target, output)
    if from_logits:
        return binary_primitive(wanted, scores)
    p = clip(scores, epsilon(), 1.0 - epsilon())
    return negative(add(multiply(wanted, log(p)), multiply(subtract(1.0, wanted), log(subtract(1.0, p)))))


def _class_axis(name: str, output: Tensor, axis: int) -> int:
    if not output.shape:
        raise ShapeError(f"{name}: expected at least one axis, got a scalar")
    return normalize_axis(axis, len(output.shape))


def _row_sum(x: Tensor, keepdims: bool = False) -> Tensor:
    return sum_axes(x, (len(x.shape) - 1,), keepdims)


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """`-sum(t log(p))` along an axis; probabilities are normalised and clipped to [epsilon, 1 - epsilon].

    `target` (probabilities, one-hot for example) and `output` have one shape. Raises `ShapeError` where they differ.

    >>> import sardonyx as sx
    >>> sx.ops.categorical_crossentropy([[0.0, 1.0]], [[0.0, 1000.0]], from_logits=True).tolist()
    [0.0]
    """
    wanted, scores = _alike("categorical_crossentropy", target, output)
    where = _class_axis("categorical_crossentropy", scores, axis)
    if where != len(scores.shape) - 1:
        wanted, scores = moveaxis(wanted, where, -1), moveaxis(scores, where, -1)
    if from_logits:
        return cross_entropy_primitive(scores, wanted)[0]
    p = clip(divide(scores, _row_sum(scores, True)), epsilon(), 1.0 - epsilon())
    return negative(_row_sum(multiply(wanted, log(p))))


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """`-log(p[label])` along an axis, for integer labels; a label that is no class costs nothing, as in Keras.

    `target` has the shape of `output` without the class axis, or with 1 there. Probabilities are normalised and
    clipped to [epsilon, 1 - epsilon]. Raises `ShapeError` where shapes do not fit.

    >>> import sardonyx as sx
    >>> sx.ops.sparse_categorical_crossentropy([1], [[0.0, 1000.0]], from_logits=True).tolist()
    [0.0]
    """
    name = "sparse_categorical_crossentropy"
    scores, labels = to_float(output), convert_to_tensor(target)
    where = _class_axis(name, scores, axis)
    if len(labels.shape) == len(scores.shape) and labels.shape[where] == 1:
        labels = reshape(labels, (*labels.shape[:where], *labels.shape[where + 1 :]))
    if where != len(scores.shape) - 1:
        scores = moveaxis(scores, where, -1)
    labels = labels if labels.dtype.kind in "iu" else cast(labels, "int32")
    try:
        check_labels(scores, labels)
    except ShapeError as error:
        raise ShapeError(f"{name}: {error}; got target {format_shape(convert_to_tensor(target).shape)}") from None
    if from_logits:
        return sparse_cross_entropy_primitive(scores, labels)[0]
    classes = scores.shape[-1]
    picked = divide(_row_sum(multiply(scores, class_mask(labels, classes, scores.dtype))), _row_sum(scores))
    valid = logical_and(greater_equal(labels, 0), less(labels, classes))
    cost = log(clip(picked, epsilon(), 1.0 - epsilon()))
    return negative(multiply(cost, cast(valid, scores.dtype)))
