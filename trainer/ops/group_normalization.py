"""Group normalisation as a primitive: statistics of groups of neighbouring channels within each sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dims import Shape, Size, product
from ..core.emitter import Emitter, Value
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from . import channel_kernels as kernels
from .broadcast import reshape
from .channel_normalization import (
    channel_axis_back,
    channel_axis_first,
    channels_restored,
    check_vectors,
    infer_training,
    need_vectors,
    other_axes,
)
from .lowering import emit_reduce
from .normalization_gradients import Form, second_order
from .precision import in_single
from .sample_normalization import emit_projected, emit_standardized


def _sets(x: np.ndarray, axis: int) -> np.ndarray:
    moved = np.ascontiguousarray(x if axis == x.ndim - 1 else np.moveaxis(x, axis, -1))
    return moved.reshape(x.shape[0], -1, x.shape[axis])


@in_single
def _group_run(
    x: np.ndarray, scale: np.ndarray, bias: np.ndarray, *, groups: int, axis: int, epsilon: float
) -> np.ndarray:
    need_vectors(x, axis, scale, bias)
    out, _, _ = kernels.normalize_channels(_sets(x, axis), scale, bias, epsilon, x.shape[axis] // groups)
    return channels_restored(out.reshape(-1, x.shape[axis]), x.shape, axis)


def _group_infer(
    x: TensorSpec, scale: TensorSpec, bias: TensorSpec, *, groups: int, axis: int, epsilon: float
) -> TensorSpec:
    check_vectors(x, axis, (scale, bias))
    return TensorSpec(x.shape, x.dtype)


def _grouped_shape(shape: Shape, groups: int, axis: int) -> Shape:
    """The shape with channels split in (groups, channels of each)."""
    width: Size = shape[axis] // groups
    return (*shape[:axis], groups, width, *shape[axis + 1 :])


def _group_lower(
    emit: Emitter, x: Value, scale: Value, bias: Value, *, groups: int, axis: int, epsilon: float
) -> Value:
    image = channel_axis_first(emit, x, axis)
    if emit.opset >= 21:
        out = emit("GroupNormalization", image, scale, bias, num_groups=groups, epsilon=epsilon)
    else:
        flat = emit.reshape(image, (image.shape[0], groups, product(image.shape[1:]) // groups))
        standard, _ = emit_standardized(emit, flat, 2, epsilon)
        shape = (image.shape[1], *[1] * (image.rank - 2))
        scaled = emit("Mul", emit.reshape(standard, image.shape), emit.reshape(scale, shape))
        out = emit("Add", scaled, emit.reshape(bias, shape))
    return channel_axis_back(emit, out, axis)


@in_single
def _group_gradient_run(
    dy: np.ndarray, x: np.ndarray, scale: np.ndarray, *, groups: int, axis: int, epsilon: float
) -> tuple[np.ndarray, ...]:
    width = x.shape[axis] // groups
    sets = _sets(x, axis)
    statistics = [kernels.channel_statistics(one, width) for one in sets]
    mean, variance = (
        np.stack([s[i] for s in statistics]) if statistics else np.zeros((0, x.shape[axis])) for i in (0, 1)
    )
    dx, dscale, dbias = kernels.normalize_channels_gradient(
        _sets(dy, axis), sets, scale, mean, variance, epsilon, width
    )
    return channels_restored(dx.reshape(-1, x.shape[axis]), x.shape, axis), dscale, dbias


def _group_gradient_infer(
    dy: TensorSpec, x: TensorSpec, scale: TensorSpec, *, groups: int, axis: int, epsilon: float
) -> tuple[TensorSpec, ...]:
    return infer_training(x, scale, scale, axis=axis, epsilon=epsilon)


def _group_gradient_lower(
    emit: Emitter, dy: Value, x: Value, scale: Value, *, groups: int, axis: int, epsilon: float
) -> tuple[Value, ...]:
    image, g = channel_axis_first(emit, x, axis), channel_axis_first(emit, dy, axis)
    flat_shape = (image.shape[0], groups, product(image.shape[1:]) // groups)
    standard, inverse = emit_standardized(emit, emit.reshape(image, flat_shape), 2, epsilon)
    scaled = emit("Mul", g, emit.reshape(scale, (image.shape[1], *[1] * (image.rank - 2))))
    dx = emit_projected(emit, emit.reshape(scaled, flat_shape), standard, inverse, (2,), True)
    vector, axes = TensorSpec((x.shape[axis],), x.dtype), other_axes(x.rank, 1)
    along = emit("Mul", g, emit.reshape(standard, image.shape))
    dscale = emit_reduce(emit, "ReduceSum", along, axes, vector, keepdims=False)
    dbias = emit_reduce(emit, "ReduceSum", g, axes, vector, keepdims=False)
    return channel_axis_back(emit, emit.reshape(dx, image.shape), axis), dscale, dbias


def _group_gradient_vjp(
    gradients: Any, outputs: Any, inputs: Any, needed: Any, *, groups: int, axis: int, epsilon: float
) -> list[Tensor | None]:
    dy, x, scale = inputs
    shape = _grouped_shape(x.shape, groups, axis)
    parts = (axis, axis + 1)
    form = Form(tuple(a for a in range(1, len(shape)) if a != axis), parts, epsilon, True)
    inner = tuple(shape[a] for a in parts)
    split = reshape(gradients[0], shape), reshape(gradients[1], inner), reshape(gradients[2], inner)
    found = second_order(split, reshape(dy, shape), reshape(x, shape), reshape(scale, inner), form)
    return [reshape(f, i.shape) for f, i in zip(found, inputs, strict=True)]


group_normalization_gradient = Primitive(
    name="group_normalization_gradient",
    run=_group_gradient_run,
    infer=_group_gradient_infer,
    lower=_group_gradient_lower,
    joint_vjp=_group_gradient_vjp,
    residuals="inputs",
)


def _group_vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any, **attributes: Any) -> list[Tensor | None]:
    return list(group_normalization_gradient(gradients[0], *inputs[:2], **attributes))


group_normalization_primitive = Primitive(
    name="group_normalization",
    run=_group_run,
    infer=_group_infer,
    lower=_group_lower,
    joint_vjp=_group_vjp,
    residuals="inputs",
)
