"""Normalization over batches, channels, groups and features."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from ..protos import element_type
from .table import Call, operator
from .values import axis_in, back_to, is_native, scalar_like


def _per_channel(x: Tensor, like: Tensor) -> Tensor:
    return ops.reshape(x, (*x.shape, *[1] * (len(like.shape) - 2)))


@operator("BatchNormalization")
def batch_normalization(call: Call, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Any:
    """With the given statistics; in training mode with those of the batch, and the moving ones updated."""
    epsilon = call.get("epsilon", 1e-5)
    training = call.get("training_mode", 0) if call.version >= 14 else _old_training(call)
    if not training:
        if not call.get("spatial", 1):
            return _standardized(x, mean, variance, epsilon) * scale + bias
        scale, bias, mean, variance = (back_to(v, x.dtype) for v in (scale, bias, mean, variance))
        return ops.batch_normalization(x, mean, variance, 1, bias, scale, epsilon)
    axes = (0, *range(2, len(x.shape)))
    batch_mean, batch_variance = ops.moments(x, axes)
    y = _standardized(x, _per_channel(batch_mean, x), _per_channel(batch_variance, x), epsilon)
    y = ops.add(ops.multiply(y, _per_channel(scale, x)), _per_channel(bias, x))
    keep = call.get("momentum", 0.9)
    moved = [
        ops.add(old * scalar_like(keep, old), back_to(new, old.dtype) * scalar_like(1 - keep, old))
        for old, new in ((mean, batch_mean), (variance, batch_variance))
    ]
    return (y, *moved, batch_mean, batch_variance)


def _old_training(call: Call) -> bool:
    """Before version 14 a node trains that has more than one output, or, before 7, is no test."""
    return any(call.wanted[1:]) if call.version >= 7 else not call.get("is_test", 0)


def _standardized(x: Tensor, mean: Tensor, variance: Tensor, epsilon: float) -> Tensor:
    return ops.multiply(ops.subtract(x, mean), ops.rsqrt(ops.add(variance, scalar_like(epsilon, variance))))


@operator("InstanceNormalization")
def instance_normalization(call: Call, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Over the space of each image and channel."""
    mean, variance = ops.moments(x, tuple(range(2, len(x.shape))), keepdims=True)
    y = _standardized(x, mean, variance, call.get("epsilon", 1e-5))
    return ops.add(ops.multiply(y, _per_channel(scale, x)), _per_channel(bias, x))


@operator("LayerNormalization", raw=True)
def layer_normalization(call: Call, x: Tensor, scale: Tensor, bias: Any = None) -> Any:
    """Over the axes from `axis` on; also the mean and the inverse standard deviation."""
    axis = axis_in(call, call.get("axis", -1), len(x.shape))
    axes = tuple(range(axis, len(x.shape)))
    epsilon, stash = call.get("epsilon", 1e-5), element_type(call.get("stash_type", 1))
    wide = Tensor(x.array.astype(stash)) if not is_native(x.dtype) and x.array is not None else back_to(x, stash)
    fits = x.dtype == stash and tuple(scale.shape) == tuple(x.shape[axis:])
    if fits and not call.wants(1) and not call.wants(2):
        return ops.layer_normalization(x, scale, bias, axes, epsilon)
    mean, variance = ops.moments(wide, axes, keepdims=True)
    inverse = ops.rsqrt(ops.add(variance, scalar_like(epsilon, variance)))
    y = _into(ops.multiply(ops.subtract(wide, mean), inverse), x.dtype)
    y = _into(ops.multiply(_wide(y), _wide(scale)), x.dtype)
    return (y if bias is None else _into(ops.add(_wide(y), _wide(bias)), x.dtype)), mean, inverse


def _wide(x: Tensor) -> Tensor:
    return Tensor(x.array.astype(np.float32)) if not is_native(x.dtype) and x.array is not None else x


def _into(x: Tensor, dtype: np.dtype) -> Tensor:
    if not is_native(dtype) and x.array is not None:
        return Tensor(x.array.astype(dtype))
    return back_to(x, dtype)


@operator("RMSNormalization", raw=True)
def rms_normalization(call: Call, x: Tensor, scale: Tensor) -> Tensor:
    """Divided by the root of the mean square over the axes from `axis` on."""
    axis = axis_in(call, call.get("axis", -1), len(x.shape))
    stash = element_type(call.get("stash_type", 1))
    wide = _wide(x) if not is_native(x.dtype) else back_to(x, stash)
    square = ops.mean(ops.square(wide), tuple(range(axis, len(x.shape))), keepdims=True)
    found = ops.multiply(wide, ops.rsqrt(ops.add(square, scalar_like(call.get("epsilon", 1e-5), square))))
    return _into(ops.multiply(_wide(_into(found, x.dtype)), _wide(scale)), x.dtype)


@operator("GroupNormalization", since=18)
def group_normalization(call: Call, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Over groups of channels; before version 21 scale and bias are one number a group."""
    groups = call.get("num_groups")
    n, depth, space = x.shape[0], x.shape[1], x.shape[2:]
    split = ops.reshape(x, (n, groups, depth // groups, *space))
    mean, variance = ops.moments(split, tuple(range(2, len(split.shape))), keepdims=True)
    y = ops.reshape(_standardized(split, mean, variance, call.get("epsilon", 1e-5)), x.shape)
    if call.version < 21:
        scale, bias = (ops.repeat(v, depth // groups) for v in (scale, bias))
    return ops.add(ops.multiply(y, _per_channel(scale, x)), _per_channel(bias, x))


@operator("LpNormalization")
def lp_normalization(call: Call, x: Tensor) -> Tensor:
    """Divided by the norm along an axis; zeros stay."""
    axis, p = call.get("axis", -1), call.get("p", 2)
    if p == 1:
        size = ops.sum(ops.abs(x), axis, True)
    else:
        size = ops.sqrt(ops.sum(ops.square(x), axis, True))
    return ops.divide_no_nan(x, size)


@operator("MeanVarianceNormalization")
def mean_variance_normalization(call: Call, x: Tensor) -> Tensor:
    """Mean 0 and variance 1 over axes."""
    axes = tuple(call.get("axes") or ((0, 2, 3) if call.get("across_channels", 0) == 0 else (0, 1, 2, 3)))
    mean, variance = ops.moments(x, axes, keepdims=True)
    return ops.divide(ops.subtract(x, mean), ops.add(ops.sqrt(variance), scalar_like(1e-9, x)))


@operator("LRN")
def local_response_normalization(call: Call, x: Tensor) -> Tensor:
    """Divided by a power of the sum of squares of neighbouring channels."""
    size = call.get("size")
    before = (size - 1) // 2
    square = ops.pad(ops.square(x), [(0, 0), (before, size - 1 - before), *[(0, 0)] * (len(x.shape) - 2)])
    total: Any = square[:, : x.shape[1]]
    for i in range(1, size):
        total = ops.add(total, square[:, i : i + x.shape[1]])
    alpha, beta = call.get("alpha", 1e-4), call.get("beta", 0.75)
    base = ops.add(total * scalar_like(alpha / size, x), scalar_like(call.get("bias", 1.0), x))
    return ops.divide(x, ops.power(base, scalar_like(beta, x)))
