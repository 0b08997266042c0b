"""How gradients become updates (Keras name: `keras.optimizers`)."""

from __future__ import annotations

from typing import Any

from . import schedules
from .base import OPTIMIZERS, Optimizer
from .gradient_descent import SGD
from .moments import Adam, Adamax, AdamW, Lion, Nadam
from .squares import Adadelta, Adagrad, RMSprop


def get(identifier: Any) -> Any:
    """The optimizer of a name, configuration or object.

    >>> import sardonyx as sx
    >>> type(sx.optimizers.get("adam")).__name__
    'Adam'
    """
    if identifier is None:
        raise ValueError("optimizer is None; give a name such as 'adam', or an optimizer object")
    return OPTIMIZERS.get(identifier)


def serialize(optimizer: Any) -> Any:
    """The configuration of an optimizer."""
    return OPTIMIZERS.serialize(optimizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The optimizer of a configuration."""
    return OPTIMIZERS.deserialize(config, custom_objects)


__all__ = [
    "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lion", "Nadam", "Optimizer", "RMSprop", "deserialize",
    "get", "schedules", "serialize",
]  # fmt: skip
