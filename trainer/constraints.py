"""Projections of weights, applied after each update (Keras name: `keras.constraints`)."""

from __future__ import annotations

from typing import Any

from . import ops
from .core.tensor import Tensor
from .registry import Registry

__all__ = [
    "Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "max_norm", "min_max_norm",
    "non_neg", "serialize", "unit_norm",
]  # fmt: skip
EPSILON = 1e-7


class Constraint:
    """A function from a weight to an allowed weight of the same shape; subclasses write `__call__`."""

    def __call__(self, w: Any) -> Any:
        """The projected weight."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__")

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor; an attribute each."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        """A constraint from what `get_config` returned."""
        return cls(**config)


CONSTRAINTS = Registry("constraint", "constraints", Constraint)


def _norm(w: Any, axis: Any) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


@CONSTRAINTS.register("max_norm")
class MaxNorm(Constraint):
    """Scale down so that the norm over `axis` is at most `max_value`.

    >>> import sardonyx as sx
    >>> sx.constraints.MaxNorm(1.0)([[3.0], [4.0]]).numpy().round(3).tolist()
    [[0.6000000238418579], [0.800000011920929]]
    """

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        w = ops.convert_to_tensor(w)
        norms = _norm(w, self.axis)
        return w * (ops.clip(norms, 0, self.max_value) / (EPSILON + norms))


@CONSTRAINTS.register("non_neg", "nonneg")
class NonNeg(Constraint):
    """Set negative weights to zero."""

    def __call__(self, w: Any) -> Tensor:
        w = ops.convert_to_tensor(w)
        return w * ops.cast(ops.greater_equal(w, 0.0), w.dtype)


@CONSTRAINTS.register("unit_norm")
class UnitNorm(Constraint):
    """Scale so that the norm over `axis` is 1."""

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        w = ops.convert_to_tensor(w)
        return w / (EPSILON + _norm(w, self.axis))


@CONSTRAINTS.register("min_max_norm")
class MinMaxNorm(Constraint):
    """Move the norm over `axis` towards the interval from `min_value` to `max_value`, by `rate` of the way."""

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0) -> None:
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        w = ops.convert_to_tensor(w)
        norms = _norm(w, self.axis)
        desired = self.rate * ops.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return w * (desired / (EPSILON + norms))


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm


def get(identifier: Any) -> Any:
    """The constraint of a name, configuration or object; None stays None."""
    return CONSTRAINTS.get(identifier)


def serialize(constraint: Any) -> Any:
    """The configuration of a constraint."""
    return CONSTRAINTS.serialize(constraint)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The constraint of a configuration."""
    return CONSTRAINTS.deserialize(config, custom_objects)
