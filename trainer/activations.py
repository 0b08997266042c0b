"""Activation functions by name (Keras name: `keras.activations`); the functions are those of `sardonyx.ops`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import ops
from .core.tensor import Tensor
from .ops import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    swish,
    tanh,
    tanh_shrink,
    threshold,
)
from .ops.activation import mish
from .registry import Registry
from .serialization import name_known_objects

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "gelu_tanh",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]


def linear(x: Any) -> Tensor:
    """The values as they are: no activation."""
    return ops.convert_to_tensor(x)


def exponential(x: Any) -> Tensor:
    """e to the power `x` (ONNX: Exp)."""
    return ops.exp(x)


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """`x` above `threshold`, `negative_slope * (x - threshold)` below, at most `max_value` (ONNX: Relu by default).

    Raises `ValueError` for a negative `max_value`.

    >>> import sardonyx as sx
    >>> from sardonyx.trainer import activations
    >>> activations.relu([-10.0, 1.0, 9.0], negative_slope=0.5, max_value=6.0).numpy().tolist()
    [-5.0, 1.0, 6.0]
    """
    if max_value is not None and max_value < 0:
        raise ValueError(f"relu: max_value must not be negative, got {max_value}")
    if threshold == 0:
        bent = ops.leaky_relu(x, negative_slope) if negative_slope else ops.relu(x)
    else:
        tensor = ops.convert_to_tensor(x)
        below = ops.multiply(ops.subtract(tensor, threshold), negative_slope)
        bent = ops.where(ops.greater(tensor, threshold), tensor, below)
    return bent if max_value is None else ops.minimum(bent, max_value)


def gelu(x: Any, approximate: bool = False) -> Tensor:
    """`x` times the normal distribution function of `x`, or its approximation by tanh (ONNX: Gelu)."""
    return ops.gelu(x, approximate)


def gelu_tanh(x: Any) -> Tensor:
    """`gelu` in its approximation by tanh, under a name of its own (ONNX: Gelu with `approximate="tanh"`)."""
    return ops.gelu(x, True)


registry = Registry("activation", "activations")
for _function, _aliases in (
    (silu, ("swish",)), (hard_silu, ("hard_swish",)),
    *((f, ()) for f in (
        celu, elu, exponential, gelu, gelu_tanh, glu, hard_shrink, hard_sigmoid, hard_tanh, leaky_relu, linear,
        log_sigmoid, log_softmax, mish, relu, relu6, selu, sigmoid, soft_shrink, softmax, softplus, softsign,
        sparse_plus, sparse_sigmoid, sparsemax, squareplus, tanh, tanh_shrink, threshold,
    )),
):  # fmt: skip
    registry.add(_function, *_aliases)
# The plain operation is what the activation of that name does by default
name_known_objects(ops.relu, "activations", "relu")
name_known_objects(ops.exp, "activations", "exponential")


def get(identifier: Any) -> Callable[..., Any]:
    """The function of a name or configuration; a function is returned as it is, None is `linear`.

    Raises `ValueError` with the closest names for an unknown name, `TypeError` for what is no function.

    >>> from sardonyx.trainer import activations
    >>> activations.get("relu") is activations.relu
    True
    """
    return linear if identifier is None else registry.get(identifier)


def serialize(activation: Any) -> Any:
    """The name of one of these functions, the configuration of others.

    >>> from sardonyx.trainer import activations
    >>> activations.serialize(activations.tanh)
    'tanh'
    """
    return registry.serialize(activation)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The function of a name or configuration made by `serialize`."""
    return registry.deserialize(config, custom_objects)
