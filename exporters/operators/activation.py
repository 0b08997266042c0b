"""Activations."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.dims import product
from ...trainer.core.tensor import Tensor
from .table import Call, operator, plain
from .values import axis_in, is_float, scalar_like

plain({"Sigmoid": ops.sigmoid, "Softplus": ops.softplus, "Softsign": ops.softsign})


@operator("Relu")
def relu(call: Call, x: Tensor) -> Tensor:
    """The positive part, of integers too."""
    return ops.relu(x) if is_float(x) else ops.maximum(x, scalar_like(0, x))


@operator("LeakyRelu")
def leaky_relu(call: Call, x: Tensor) -> Tensor:
    """A slope (`alpha`, 0.01) for negative elements."""
    return ops.leaky_relu(x, call.get("alpha", 0.01))


@operator("PRelu")
def parametric_relu(call: Call, x: Tensor, slope: Tensor) -> Tensor:
    """A learned slope for negative elements; before version 7 one for each channel."""
    if call.version < 7 and len(slope.shape) == 1 and slope.shape[0] != 1:
        slope = ops.reshape(slope, (-1, *[1] * (len(x.shape) - 2)))
    zero = scalar_like(0, x)
    return ops.add(ops.maximum(x, zero), ops.multiply(slope, ops.minimum(x, zero)))


@operator("Elu")
def elu(call: Call, x: Tensor) -> Tensor:
    """Exponential linear unit."""
    return ops.elu(x, call.get("alpha", 1.0))


@operator("Celu")
def celu(call: Call, x: Tensor) -> Tensor:
    """Continuously differentiable exponential linear unit."""
    return ops.celu(x, call.get("alpha", 1.0))


@operator("Selu")
def selu(call: Call, x: Tensor) -> Tensor:
    """Scaled exponential linear unit."""
    alpha, gamma = call.get("alpha", 1.6732632423543772), call.get("gamma", 1.0507009873554805)
    return ops.multiply(ops.elu(x, alpha), scalar_like(gamma, x))


@operator("HardSigmoid")
def hard_sigmoid(call: Call, x: Tensor) -> Tensor:
    """A line between 0 and 1."""
    line = ops.multiply(x, scalar_like(call.get("alpha", 0.2), x))
    return ops.clip(ops.add(line, scalar_like(call.get("beta", 0.5), x)), 0.0, 1.0)


@operator("HardSwish")
def hard_swish(call: Call, x: Tensor) -> Tensor:
    """x times a line between 0 and 1."""
    return ops.hard_silu(x)


@operator("Gelu")
def gelu(call: Call, x: Tensor) -> Tensor:
    """Gaussian error linear unit, exact or by tanh."""
    return ops.gelu(x, approximate=call.get("approximate", "none") == "tanh")


@operator("Mish")
def mish(call: Call, x: Tensor) -> Tensor:
    """x * tanh(softplus(x))."""
    return ops.multiply(x, ops.tanh(ops.softplus(x)))


@operator("Swish")
def swish(call: Call, x: Tensor) -> Tensor:
    """x * sigmoid(alpha * x)."""
    return ops.multiply(x, ops.sigmoid(ops.multiply(x, scalar_like(call.get("alpha", 1.0), x))))


@operator("ThresholdedRelu")
def thresholded_relu(call: Call, x: Tensor) -> Tensor:
    """Zero up to a threshold."""
    return ops.threshold(x, call.get("alpha", 1.0), 0.0)


@operator("Shrink")
def shrink(call: Call, x: Tensor) -> Tensor:
    """Elements near zero are zero, the others move towards it by `bias`."""
    bound, bias = scalar_like(call.get("lambd", 0.5), x), scalar_like(call.get("bias", 0.0), x)
    zero = scalar_like(0, x)
    above = ops.where(ops.greater(x, bound), ops.subtract(x, bias), zero)
    return ops.where(ops.less(x, ops.negative(bound)), ops.add(x, bias), above)


def _over_rest(call: Call, x: Tensor, function: Any, default: int) -> Tensor:
    """Versions before 13: the axes from `axis` on count as one."""
    rank = len(x.shape)
    axis = axis_in(call, call.get("axis", default), rank)
    flat = ops.reshape(x, (product(x.shape[:axis]), product(x.shape[axis:])))
    return ops.reshape(function(flat), x.shape)


@operator("Softmax")
def softmax_rest(call: Call, x: Tensor) -> Tensor:
    """Over all axes from `axis` on (before version 13)."""
    if axis_in(call, call.get("axis", 1), len(x.shape)) == len(x.shape) - 1:
        return ops.softmax(x, -1)
    return _over_rest(call, x, ops.softmax, 1)


@operator("Softmax", since=13)
def softmax(call: Call, x: Tensor) -> Tensor:
    """Over one axis."""
    return ops.softmax(x, call.get("axis", -1))


@operator("LogSoftmax")
def log_softmax_rest(call: Call, x: Tensor) -> Tensor:
    """Over all axes from `axis` on (before version 13)."""
    if axis_in(call, call.get("axis", 1), len(x.shape)) == len(x.shape) - 1:
        return ops.log_softmax(x, -1)
    return _over_rest(call, x, ops.log_softmax, 1)


@operator("LogSoftmax", since=13)
def log_softmax(call: Call, x: Tensor) -> Tensor:
    """Over one axis."""
    return ops.log_softmax(x, call.get("axis", -1))


def _hardmax(x: Tensor, axis: int = -1) -> Tensor:
    count: Any = x.shape[axis]
    found = ops.one_hot(ops.argmax(x, axis=axis), count, axis=axis, dtype=np.dtype(x.dtype).name)
    return ops.cast(found, x.dtype)


@operator("Hardmax")
def hardmax_rest(call: Call, x: Tensor) -> Tensor:
    """Over all axes from `axis` on (before version 13)."""
    return _over_rest(call, x, _hardmax, 1)


@operator("Hardmax", since=13)
def hardmax(call: Call, x: Tensor) -> Tensor:
    """1 at the first maximum along an axis, 0 elsewhere."""
    return _hardmax(x, call.get("axis", -1))
