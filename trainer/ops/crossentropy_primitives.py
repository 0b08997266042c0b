"""Softmax and cross-entropy in one: stable for any logits, and a gradient that is a subtraction."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dims import Size
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.operators import FUNCTIONS
from ..core.primitive import Primitive
from ..core.spec import TensorSpec, same_shape
from ..core.tensor import Tensor
from .arithmetic import multiply, negative, subtract
from .axes import expand_dims
from .broadcast import sum_axes
from .comparison import equal
from .convert import cast
from .sequence import arange
from .softmax import log_softmax, softmax

__all__: list[str] = []

INT64 = np.dtype(np.int64)
PROBABILITIES_ARE_KEPT = {"takes_missing_gradients": True}
"""Nothing but the gradient reads the second result: no zeros need be made for it."""


def class_mask(labels: Any, classes: Size, dtype: Any) -> Tensor:
    """1 at the class of each label, 0 elsewhere; all 0 for a label that is no class."""
    return cast(equal(expand_dims(labels, -1), arange(classes, dtype=labels.dtype)), dtype)


def _normalised(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits less their maximum, the logarithm of the sum of their exponentials, and their softmax: rows flattened."""
    flat = logits.reshape(-1, logits.shape[-1])
    shifted = flat - flat.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    total = exponentials @ np.ones((flat.shape[1], 1), flat.dtype)
    exponentials /= total
    return shifted, np.log(total)[:, 0], exponentials


def _rows(labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Row numbers and classes for indexing, and which rows have a class; None where all have."""
    flat = labels.reshape(-1)
    rows = np.arange(flat.size)
    if not flat.size or (flat.min() >= 0 and flat.max() < classes):
        return rows, flat, None
    valid = (flat >= 0) & (flat < classes)
    return rows, flat * valid, valid


def _sparse_run(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shifted, logarithm, probabilities = _normalised(logits)
    rows, classes, valid = _rows(labels, logits.shape[-1])
    loss = logarithm - shifted[rows, classes]
    if valid is not None:
        loss *= valid
    return loss.reshape(labels.shape), probabilities.reshape(logits.shape)


def _sparse_infer(logits: TensorSpec, labels: TensorSpec) -> tuple[TensorSpec, TensorSpec]:
    check_labels(logits, labels)
    return TensorSpec(labels.shape, logits.dtype), TensorSpec(logits.shape, logits.dtype)


def check_labels(output: Any, labels: Any) -> None:
    """Raises unless there is one integer label for every row of class scores."""
    if output.dtype.kind != "f":
        raise DtypeError(f"expected floating-point class scores, got {output.dtype.name}")
    if labels.dtype.kind not in "iu":
        raise DtypeError(f"expected integer labels, got {labels.dtype.name}")
    if not same_shape(labels.shape, output.shape[:-1]):
        raise ShapeError(
            f"expected one label per row of class scores: scores of shape {format_shape(output.shape)} need labels of "
            f"shape {format_shape(output.shape[:-1])}, got {format_shape(labels.shape)}"
        )


def _emit_class_mask(emit: Emitter, labels: Value, classes: Size, dtype: np.dtype) -> Value:
    numbers = emit.cast(labels, INT64)
    zero, one = emit.constant(np.array(0, INT64)), emit.constant(np.array(1, INT64))
    if isinstance(classes, int):
        known = emit.constant(np.arange(classes, dtype=np.int64))
    else:
        known = emit("Range", zero, emit.size(classes), one, spec=TensorSpec((classes,), INT64))
    shape = (*labels.shape, classes)
    column = emit.reshape(numbers, (*labels.shape, 1))
    return emit.cast(emit("Equal", column, known, spec=TensorSpec(shape, bool)), dtype)


def _emit_row_sum(emit: Emitter, x: Value) -> Value:
    axes = emit.constant(np.array([x.rank - 1], INT64))
    return emit("ReduceSum", x, axes, keepdims=0, spec=TensorSpec(x.shape[:-1], x.dtype))


def _sparse_lower(emit: Emitter, logits: Value, labels: Value) -> tuple[Value, Value]:
    logarithm = emit("LogSoftmax", logits, axis=logits.rank - 1)
    mask = _emit_class_mask(emit, labels, logits.shape[-1], logits.dtype)
    return emit("Neg", _emit_row_sum(emit, emit("Mul", logarithm, mask))), emit("Exp", logarithm)


def _sparse_vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any) -> list[Tensor | None]:
    return [sparse_gradient_primitive(gradients[0], *inputs, outputs[1]), None]


def _sparse_gradient_run(
    g: np.ndarray, logits: np.ndarray, labels: np.ndarray, probabilities: np.ndarray
) -> np.ndarray:
    flat = g.reshape(-1)
    rows, classes, valid = _rows(labels, logits.shape[-1])
    if valid is not None:
        flat = flat * valid
    slopes = probabilities.reshape(-1, logits.shape[-1]) * flat[:, None]
    slopes[rows, classes] -= flat
    return slopes.reshape(logits.shape)


def _sparse_gradient_lower(emit: Emitter, g: Value, logits: Value, labels: Value, probabilities: Value) -> Value:
    mask = _emit_class_mask(emit, labels, logits.shape[-1], logits.dtype)
    column = (*labels.shape, 1)
    valid = emit.reshape(_emit_row_sum(emit, mask), column)
    difference = emit("Sub", emit("Mul", probabilities, valid), mask)
    return emit("Mul", difference, emit.reshape(g, column))


def _sparse_gradient_vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any) -> list[Tensor | None]:
    """What is kept from forwards (the probabilities) is a function of the logits; second order recomputes it."""
    g, logits, labels, _ = inputs
    mask = class_mask(labels, logits.shape[-1], logits.dtype)
    valid = sum_axes(mask, (len(mask.shape) - 1,), True)

    def gradient(own: Tensor, scores: Tensor) -> list[Tensor]:
        return [multiply(expand_dims(own, -1), subtract(multiply(softmax(scores), valid), mask))]

    return [*FUNCTIONS["function_vjp"](gradient, [g, logits], gradients, [0, 1]), None, None]


sparse_cross_entropy_primitive = Primitive(
    "sparse_softmax_cross_entropy", _sparse_run, _sparse_infer, _sparse_lower, joint_vjp=_sparse_vjp,
    tags=PROBABILITIES_ARE_KEPT,
)  # fmt: skip
sparse_gradient_primitive = Primitive(
    "sparse_softmax_cross_entropy_gradient",
    _sparse_gradient_run,
    lambda g, logits, labels, probabilities: TensorSpec(logits.shape, logits.dtype),
    _sparse_gradient_lower,
    joint_vjp=_sparse_gradient_vjp,
    residuals="inputs",
)


def _dense_run(logits: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shifted, logarithm, probabilities = _normalised(logits)
    flat = target.reshape(shifted.shape)
    loss = flat.sum(axis=1) * logarithm - np.einsum("ij,ij->i", flat, shifted)
    return loss.reshape(logits.shape[:-1]), probabilities.reshape(logits.shape)


def _dense_infer(logits: TensorSpec, target: TensorSpec) -> tuple[TensorSpec, TensorSpec]:
    check_targets(target, logits)
    return TensorSpec(logits.shape[:-1], logits.dtype), TensorSpec(logits.shape, logits.dtype)


def check_targets(target: Any, output: Any) -> None:
    """Raises unless targets and outputs are alike."""
    if not same_shape(target.shape, output.shape):
        raise ShapeError(
            f"expected target and output alike, got {format_shape(target.shape)} and {format_shape(output.shape)}"
        )
    if output.dtype.kind != "f" or target.dtype != output.dtype:
        raise DtypeError(
            f"expected target and output of one floating-point dtype, got {target.dtype.name} and {output.dtype.name}"
        )


def _dense_lower(emit: Emitter, logits: Value, target: Value) -> tuple[Value, Value]:
    logarithm = emit("LogSoftmax", logits, axis=logits.rank - 1)
    return emit("Neg", _emit_row_sum(emit, emit("Mul", logarithm, target))), emit("Exp", logarithm)


def _dense_vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any) -> list[Tensor | None]:
    logits, target = inputs
    by_target = negative(multiply(expand_dims(gradients[0], -1), log_softmax(logits))) if needed[1] else None
    return [dense_gradient_primitive(gradients[0], logits, target, outputs[1]), by_target]


def _dense_gradient_run(
    g: np.ndarray, logits: np.ndarray, target: np.ndarray, probabilities: np.ndarray
) -> np.ndarray:
    slopes = probabilities * (target @ np.ones((target.shape[-1], 1), target.dtype))
    slopes -= target
    slopes *= g[..., None]
    return slopes


def _dense_gradient_lower(emit: Emitter, g: Value, logits: Value, target: Value, probabilities: Value) -> Value:
    column = (*g.shape, 1)
    weight = emit.reshape(_emit_row_sum(emit, target), column)
    return emit("Mul", emit("Sub", emit("Mul", probabilities, weight), target), emit.reshape(g, column))


def _dense_gradient_vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any) -> list[Tensor | None]:
    g, logits, target, _ = inputs

    def gradient(own: Tensor, scores: Tensor, wanted: Tensor) -> list[Tensor]:
        weight = sum_axes(wanted, (len(wanted.shape) - 1,), True)
        return [multiply(expand_dims(own, -1), subtract(multiply(softmax(scores), weight), wanted))]

    return [*FUNCTIONS["function_vjp"](gradient, [g, logits, target], gradients, [0, 1, 2]), None]


cross_entropy_primitive = Primitive(
    "softmax_cross_entropy", _dense_run, _dense_infer, _dense_lower, joint_vjp=_dense_vjp, tags=PROBABILITIES_ARE_KEPT
)
dense_gradient_primitive = Primitive(
    "softmax_cross_entropy_gradient",
    _dense_gradient_run,
    lambda g, logits, target, probabilities: TensorSpec(logits.shape, logits.dtype),
    _dense_gradient_lower,
    joint_vjp=_dense_gradient_vjp,
    residuals="inputs",
)
