"""Penalties on weights, added to the loss (Keras name: `keras.regularizers`)."""

from __future__ import annotations

import math
from typing import Any

from . import ops
from .core.errors import ShapeError, format_shape
from .core.tensor import Tensor
from .registry import Registry

__all__ = [
    "L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2",
    "orthogonal_regularizer", "serialize",
]  # fmt: skip


class Regularizer:
    """A function from a weight to a scalar penalty; subclasses write `__call__` and `get_config`."""

    def __call__(self, x: Any) -> Any:
        """The penalty, a scalar."""
        return 0.0

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor; an attribute each."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        """A regularizer from what `get_config` returned."""
        return cls(**config)


REGULARIZERS = Registry("regularizer", "regularizers", Regularizer)


def _factor(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ValueError(f"regularizer: {name} must be a finite number, 0 or more; got {value!r}")
    return float(value)


@REGULARIZERS.register("l1_l2")
class L1L2(Regularizer):
    """`l1 * sum(|x|) + l2 * sum(x²)`.

    >>> import sardonyx as sx
    >>> float(sx.regularizers.L1L2(l1=0.5, l2=0.25)([1.0, -2.0]))
    2.75
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = _factor("l1", 0.0 if l1 is None else l1)
        self.l2 = _factor("l2", 0.0 if l2 is None else l2)

    def __call__(self, x: Any) -> Tensor:
        tensor = ops.convert_to_tensor(x)
        penalty: Any = ops.zeros((), tensor.dtype)
        if self.l1:
            penalty = penalty + self.l1 * ops.sum(ops.absolute(x))
        if self.l2:
            penalty = penalty + self.l2 * ops.sum(ops.square(x))
        return penalty


@REGULARIZERS.register("l1")
class L1(Regularizer):
    """`l1 * sum(|x|)`."""

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _factor("l1", 0.01 if l1 is None else l1)

    def __call__(self, x: Any) -> Tensor:
        return self.l1 * ops.sum(ops.absolute(x))


@REGULARIZERS.register("l2")
class L2(Regularizer):
    """`l2 * sum(x²)`."""

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _factor("l2", 0.01 if l2 is None else l2)

    def __call__(self, x: Any) -> Tensor:
        return self.l2 * ops.sum(ops.square(x))


@REGULARIZERS.register("orthogonal_regularizer")
class OrthogonalRegularizer(Regularizer):
    """Penalty on the cosines between different rows (or columns) of a matrix; raises `ShapeError` for other ranks."""

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        if mode not in ("rows", "columns"):
            raise ValueError(f'OrthogonalRegularizer: mode must be "rows" or "columns", got {mode!r}')
        self.factor = _factor("factor", factor)
        self.mode = mode

    def __call__(self, x: Any) -> Tensor:
        if len(x.shape) != 2:
            raise ShapeError(f"OrthogonalRegularizer: expected a matrix, got shape {format_shape(x.shape)}")
        rows = ops.transpose(x) if self.mode == "columns" else ops.convert_to_tensor(x)
        norms = ops.sqrt(ops.maximum(ops.sum(ops.square(rows), axis=1, keepdims=True), 1e-12))
        unit = rows / norms
        cosines = ops.matmul(unit, ops.transpose(unit)) * (1.0 - ops.eye(rows.shape[0], dtype=rows.dtype))
        pairs = rows.shape[0] * (rows.shape[0] - 1.0) / 2.0
        return self.factor * 0.5 * ops.sum(ops.absolute(cosines)) / pairs


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


def get(identifier: Any) -> Any:
    """The regularizer of a name, configuration or object; None stays None."""
    return REGULARIZERS.get(identifier)


def serialize(regularizer: Any) -> Any:
    """The configuration of a regularizer."""
    return REGULARIZERS.serialize(regularizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The regularizer of a configuration."""
    return REGULARIZERS.deserialize(config, custom_objects)
