"""Batch normalisation as primitives: each channel by statistics that are given, or by those of the batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dims import equal, product
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from . import channel_kernels as kernels
from .arithmetic import add, divide, multiply, negative, subtract
from .broadcast import reshape, sum_axes
from .convert import cast, convert_to_tensor
from .lowering import emit_reduce
from .normalization_gradients import Form, mean_over, second_order, zero_or
from .power import rsqrt
from .precision import in_single
from .sample_normalization import constant_of, emit_mean, emit_root


def check_vectors(x: TensorSpec, axis: int, vectors: tuple[TensorSpec | None, ...]) -> None:
    """Raise unless the input is floating-point and each vector has one element a channel."""
    if x.dtype.kind != "f":
        raise DtypeError(f"expected a floating-point tensor, got {x.dtype.name}")
    for vector in vectors:
        if vector is None:
            continue
        if vector.rank != 1 or equal(vector.shape[0], x.shape[axis]) is not True or vector.dtype != x.dtype:
            raise ShapeError(
                f"expected vectors of {x.shape[axis]} elements (axis {axis} of {format_shape(x.shape)}) and dtype "
                f"{x.dtype.name}, got {format_shape(vector.shape)} and {vector.dtype.name}"
            )


def need_vectors(x: np.ndarray, axis: int, *vectors: np.ndarray | None) -> None:
    """Raise for vectors that NumPy would broadcast although they do not fit; the core finds the sentence."""
    if any(v is not None and v.shape != (x.shape[axis],) for v in vectors):
        raise ValueError("vectors and input do not fit")


def _rows(x: np.ndarray, axis: int) -> np.ndarray:
    """The array as a matrix with channels last; a copy where they are not last in memory."""
    moved = x if axis == x.ndim - 1 else np.moveaxis(x, axis, -1)
    return np.ascontiguousarray(moved).reshape(-1, x.shape[axis])


def channels_restored(rows: np.ndarray, shape: tuple[int, ...], axis: int) -> np.ndarray:
    """The matrix as an array of `shape` (a view)."""
    if axis == len(shape) - 1:
        return rows.reshape(shape)
    return np.moveaxis(rows.reshape(*shape[:axis], *shape[axis + 1 :], shape[axis]), -1, axis)


def other_axes(rank: int, axis: int) -> tuple[int, ...]:
    """All axes but one."""
    return tuple(a for a in range(rank) if a != axis)


def channel_axis_first(emit: Emitter, x: Value, axis: int) -> Value:
    """Channels as axis 1, where ONNX has them."""
    return emit.transpose(x, (0, axis, *[a for a in range(1, x.rank) if a != axis])) if axis != 1 else x


def channel_axis_back(emit: Emitter, x: Value, axis: int) -> Value:
    """The reverse of `channel_axis_first`."""
    if axis == 1:
        return x
    order = [0, *range(2, x.rank)]
    order.insert(axis, 1)
    return emit.transpose(x, tuple(order))


# Inference: the statistics are given.


@in_single
def _given_run(
    x: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    scale: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    *,
    axis: int,
    epsilon: float,
) -> np.ndarray:
    need_vectors(x, axis, mean, variance, scale, bias)
    factor = 1.0 / np.sqrt(variance + x.dtype.type(epsilon))
    factor = factor if scale is None else factor * scale
    shift = -mean * factor if bias is None else bias - mean * factor
    if axis == x.ndim - 1 or not x.flags.c_contiguous:
        rows = _rows(x, axis)
        out = np.empty(rows.shape, x.dtype)
        kernels.scale_rows(rows, factor, shift, out)
        return channels_restored(out, x.shape, axis)
    shape = tuple(n if a == axis else 1 for a, n in enumerate(x.shape))
    out = x * factor.reshape(shape)
    out += shift.reshape(shape)
    return out


def _given_infer(x: TensorSpec, *vectors: TensorSpec | None, axis: int, epsilon: float) -> TensorSpec:
    check_vectors(x, axis, vectors)
    return TensorSpec(x.shape, x.dtype)


def _given_lower(
    emit: Emitter,
    x: Value,
    mean: Value,
    variance: Value,
    scale: Value | None = None,
    bias: Value | None = None,
    *,
    axis: int,
    epsilon: float,
) -> Value:
    scale = constant_of(emit, 1.0, mean.shape, x.dtype) if scale is None else scale
    bias = constant_of(emit, 0.0, mean.shape, x.dtype) if bias is None else bias
    out = emit("BatchNormalization", channel_axis_first(emit, x, axis), scale, bias, mean, variance, epsilon=epsilon)
    return channel_axis_back(emit, out, axis)


def _given_vjp(
    gradients: Any, outputs: Any, inputs: Any, needed: Any, *, axis: int, epsilon: float
) -> list[Tensor | None]:
    x, mean, variance = inputs[:3]
    scale, bias = (*inputs[3:], None, None)[:2]
    g, rank = gradients[0], len(x.shape)
    shape = tuple(n if a == axis else 1 for a, n in enumerate(x.shape))
    inverse = rsqrt(add(variance, epsilon))
    factor = inverse if scale is None else multiply(inverse, scale)
    found: list[Tensor | None] = [None] * len(inputs)
    if needed[0]:
        found[0] = multiply(g, reshape(factor, shape))
    if not any(needed[1:]):
        return found
    total = sum_axes(g, other_axes(rank, axis), False)
    along = sum_axes(multiply(g, subtract(x, reshape(mean, shape))), other_axes(rank, axis), False)
    found[1] = negative(multiply(total, factor))
    found[2] = multiply(multiply(along, multiply(factor, -0.5)), multiply(inverse, inverse))
    if scale is not None:
        found[3] = multiply(along, inverse)
    if bias is not None:
        found[4] = total
    return found


batch_normalization_primitive = Primitive(
    name="batch_normalization",
    run=_given_run,
    infer=_given_infer,
    lower=_given_lower,
    joint_vjp=_given_vjp,
    residuals="inputs",
)


# Training: the statistics are the batch's own.


@in_single
def _training_run(
    x: np.ndarray, scale: np.ndarray, bias: np.ndarray, *, axis: int, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    need_vectors(x, axis, scale, bias)
    out, mean, variance = kernels.normalize_channels(_rows(x, axis)[None], scale, bias, epsilon, 1)
    return channels_restored(out[0], x.shape, axis), mean[0], variance[0]


def infer_training(
    x: TensorSpec, scale: TensorSpec, bias: TensorSpec, *, axis: int, epsilon: float
) -> tuple[TensorSpec, TensorSpec, TensorSpec]:
    """A result like the input, and two vectors of one element a channel."""
    check_vectors(x, axis, (scale, bias))
    vector = TensorSpec((x.shape[axis],), x.dtype)
    return TensorSpec(x.shape, x.dtype), vector, vector


def _training_lower(
    emit: Emitter, x: Value, scale: Value, bias: Value, *, axis: int, epsilon: float
) -> tuple[Value, ...]:
    # not BatchNormalization's training mode: onnxruntime writes its statistics into the operator's inputs
    axes = other_axes(x.rank, axis)
    vector = TensorSpec((x.shape[axis],), x.dtype)
    mean = emit_mean(emit, x, axes)
    deviation = emit("Sub", x, mean)
    variance = emit_reduce(emit, "ReduceMean", emit("Mul", deviation, deviation), axes, vector, keepdims=False)
    mean = emit.reshape(mean, vector.shape)
    out = _given_lower(emit, x, mean, variance, scale, bias, axis=axis, epsilon=epsilon)
    return out, mean, variance


def _training_vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any, **attributes: Any) -> list[Tensor | None]:
    x, scale, _ = inputs
    statistics = outputs[1], outputs[2]
    moved = zero_or(gradients[1]), zero_or(gradients[2])
    return list(batch_normalization_gradient(gradients[0], x, scale, *statistics, *moved, **attributes))


batch_normalization_training_primitive = Primitive(
    name="batch_normalization_training",
    run=_training_run,
    infer=infer_training,
    lower=_training_lower,
    joint_vjp=_training_vjp,
    residuals="all",
)


@in_single
def _training_gradient_run(
    dy: np.ndarray,
    x: np.ndarray,
    scale: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    dmean: np.ndarray | None = None,
    dvariance: np.ndarray | None = None,
    *,
    axis: int,
    epsilon: float,
) -> tuple[np.ndarray, ...]:
    dx, dscale, dbias = kernels.normalize_channels_gradient(
        _rows(dy, axis)[None], _rows(x, axis)[None], scale, mean[None], variance[None], epsilon, 1, dmean, dvariance
    )
    return channels_restored(dx[0], x.shape, axis), dscale, dbias


def _training_gradient_infer(
    dy: TensorSpec, x: TensorSpec, scale: TensorSpec, *vectors: TensorSpec | None, axis: int, epsilon: float
) -> tuple[TensorSpec, TensorSpec, TensorSpec]:
    return infer_training(x, scale, scale, axis=axis, epsilon=epsilon)


def _training_gradient_lower(
    emit: Emitter,
    dy: Value,
    x: Value,
    scale: Value,
    mean: Value,
    variance: Value,
    dmean: Value | None = None,
    dvariance: Value | None = None,
    *,
    axis: int,
    epsilon: float,
) -> tuple[Value, ...]:
    # the deviation, as the way forward has it: where both are in one graph, it is computed once
    kept = tuple(n if a == axis else 1 for a, n in enumerate(x.shape))
    deviation = channel_axis_first(emit, emit("Sub", x, emit.reshape(mean, kept)), axis)
    g = channel_axis_first(emit, dy, axis)
    dtype, vector = x.dtype, TensorSpec((x.shape[axis],), x.dtype)
    one, zero = (constant_of(emit, value, vector.shape, dtype) for value in (1.0, 0.0))
    axes = other_axes(x.rank, 1)
    inverse = emit_root(emit, variance, epsilon)
    along = emit_reduce(emit, "ReduceSum", emit("Mul", g, deviation), axes, vector, keepdims=False)
    dscale = emit("Mul", along, inverse)
    dbias = emit_reduce(emit, "ReduceSum", g, axes, vector, keepdims=False)
    factor = emit("Mul", scale, inverse)
    count = emit.cast(emit.size(product([x.shape[a] for a in other_axes(x.rank, axis)])), dtype)
    share = emit("Neg", emit("Div", factor, count))
    slope, shift = emit("Mul", emit("Mul", share, dscale), inverse), emit("Mul", share, dbias)
    if dmean is not None:
        shift = emit("Add", shift, emit("Div", dmean, count))
    if dvariance is not None:
        slope = emit("Add", slope, emit("Div", emit("Add", dvariance, dvariance), count))
    first = emit("BatchNormalization", g, factor, shift, zero, one, epsilon=0.0)
    second = emit("BatchNormalization", deviation, slope, zero, zero, one, epsilon=0.0)
    return channel_axis_back(emit, emit("Add", first, second), axis), dscale, dbias


def _training_gradient_vjp(
    gradients: Any, outputs: Any, inputs: Any, needed: Any, *, axis: int, epsilon: float
) -> list[Tensor | None]:
    """With the statistics as functions of x, whose whole derivative is given to x."""
    dy, x, scale = inputs[:3]
    dmean, dvariance = (*inputs[5:], None, None)[:2]
    axes = other_axes(len(x.shape), axis)
    to_dy, to_x, to_scale = second_order(gradients, dy, x, scale, Form(axes, (axis,), epsilon, True))
    found: list[Tensor | None] = [to_dy, to_x, to_scale, *[None] * (len(inputs) - 3)]
    u, shape = gradients[0], tuple(n if a == axis else 1 for a, n in enumerate(x.shape))
    if dmean is not None:
        found[5] = reshape(mean_over(u, axes), dmean.shape)
    if dvariance is not None:
        deviation = subtract(x, mean_over(x, axes))
        found[6] = reshape(multiply(mean_over(multiply(u, deviation), axes), 2.0), dvariance.shape)
        count = cast(convert_to_tensor(product([x.shape[a] for a in axes])), x.dtype)
        weight = divide(multiply(reshape(dvariance, shape), 2.0), count)
        found[1] = add(to_x, multiply(weight, subtract(u, mean_over(u, axes))))
    return found


batch_normalization_gradient = Primitive(
    name="batch_normalization_gradient",
    run=_training_gradient_run,
    infer=_training_gradient_infer,
    lower=_training_gradient_lower,
    joint_vjp=_training_gradient_vjp,
    residuals="inputs",
)
