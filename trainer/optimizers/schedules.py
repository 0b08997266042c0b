"""Learning rates that change with the step (Keras name: `keras.optimizers.schedules`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..core.tensor import Tensor
from ..registry import Registry

__all__ = [
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "LearningRateSchedule",
    "PiecewiseConstantDecay", "PolynomialDecay", "deserialize", "serialize",
]  # fmt: skip


class LearningRateSchedule:
    """A function from the step (counted from 0) to the learning rate; subclasses write `__call__`."""

    def __call__(self, step: Any) -> Any:
        """The learning rate at a step."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__(step)")

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor; an attribute each."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        """A schedule from what `get_config` returned."""
        return cls(**config)


SCHEDULES = Registry("learning rate schedule", "optimizers.schedules", LearningRateSchedule)


def _step(step: Any) -> Tensor:
    return ops.cast(ops.convert_to_tensor(step), "float32")


def _positive(name: str, argument: str, value: Any) -> Any:
    if value is None or value <= 0:
        raise ValueError(f"{name}: {argument} must be positive, got {value!r}")
    return value


@SCHEDULES.register()
class ExponentialDecay(LearningRateSchedule):
    """`initial * decay_rate ** (step / decay_steps)`; with `staircase` the exponent is rounded down.

    >>> import sardonyx as sx
    >>> round(float(sx.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)(20)), 4)
    0.025
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:  # fmt: skip
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive(name, "decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        exponent = _step(step) / self.decay_steps
        exponent = ops.floor(exponent) if self.staircase else exponent
        return self.initial_learning_rate * ops.power(float(self.decay_rate), exponent)


@SCHEDULES.register()
class InverseTimeDecay(LearningRateSchedule):
    """`initial / (1 + decay_rate * step / decay_steps)`; with `staircase` the quotient is rounded down."""

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:  # fmt: skip
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive(name, "decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        quotient = _step(step) / self.decay_steps
        quotient = ops.floor(quotient) if self.staircase else quotient
        return self.initial_learning_rate / (1.0 + self.decay_rate * quotient)


@SCHEDULES.register("PiecewiseConstant")
class PiecewiseConstantDecay(LearningRateSchedule):
    """`values[0]` up to and including step `boundaries[0]`, then `values[1]`, and so on."""

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                f"{name}: one value more than boundaries is needed, got {len(boundaries)} boundaries and "
                f"{len(values)} values"
            )
        self.boundaries = list(boundaries)
        self.values = list(values)
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        at = _step(step)
        rate = ops.convert_to_tensor(float(self.values[0]))
        for boundary, value in zip(self.boundaries, self.values[1:], strict=True):
            rate = ops.where(ops.greater(at, float(boundary)), float(value), rate)
        return rate


@SCHEDULES.register()
class PolynomialDecay(LearningRateSchedule):
    """`(initial - end) * (1 - step / decay_steps) ** power + end`; with `cycle` it starts again, each time longer."""

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, end_learning_rate: float = 0.0001, power: float = 1.0,
        cycle: bool = False, name: str = "PolynomialDecay",
    ) -> None:  # fmt: skip
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive(name, "decay_steps", decay_steps)
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        at = _step(step)
        if self.cycle:
            total = self.decay_steps * ops.maximum(ops.ceil(at / self.decay_steps), 1.0)
        else:
            at, total = ops.minimum(at, float(self.decay_steps)), float(self.decay_steps)
        left = ops.power(1.0 - at / total, float(self.power))
        return (self.initial_learning_rate - self.end_learning_rate) * left + self.end_learning_rate


@SCHEDULES.register()
class CosineDecay(LearningRateSchedule):
    """Half a cosine from the initial rate (after an optional linear warm-up to `warmup_target`) to `alpha` times it.

    Source: Loshchilov and Hutter, 2016 (arXiv:1608.03983).
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, alpha: float = 0.0, name: str = "CosineDecay",
        warmup_target: float | None = None, warmup_steps: int = 0,
    ) -> None:  # fmt: skip
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive(name, "decay_steps", decay_steps)
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def _decayed(self, at: Tensor, start: float) -> Tensor:
        part = ops.minimum(at, float(self.decay_steps)) / self.decay_steps
        cosine = 0.5 * (1.0 + ops.cos(math.pi * part))
        return start * ((1.0 - self.alpha) * cosine + self.alpha)

    def __call__(self, step: Any) -> Tensor:
        at = _step(step)
        if self.warmup_target is None:
            return self._decayed(at, self.initial_learning_rate)
        warm = at / max(self.warmup_steps, 1) * (self.warmup_target - self.initial_learning_rate)
        later = self._decayed(at - self.warmup_steps, self.warmup_target)
        return ops.where(ops.less(at, float(self.warmup_steps)), warm + self.initial_learning_rate, later)


@SCHEDULES.register("SGDRDecay")
class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decay that restarts after `first_decay_steps`, each period `t_mul` longer and `m_mul` lower.

    Source: Loshchilov and Hutter, 2016 (arXiv:1608.03983).
    """

    def __init__(
        self, initial_learning_rate: float, first_decay_steps: int, t_mul: float = 2.0, m_mul: float = 1.0,
        alpha: float = 0.0, name: str = "SGDRDecay",
    ) -> None:  # fmt: skip
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = _positive(name, "first_decay_steps", first_decay_steps)
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        part = _step(step) / self.first_decay_steps
        if self.t_mul == 1.0:
            period = ops.floor(part)
            part = part - period
        else:
            period = ops.floor(ops.log(1.0 - part * (1.0 - self.t_mul)) / math.log(self.t_mul))
            begun = (1.0 - ops.power(float(self.t_mul), period)) / (1.0 - self.t_mul)
            part = (part - begun) / ops.power(float(self.t_mul), period)
        height = ops.power(float(self.m_mul), period)
        cosine = 0.5 * height * (1.0 + ops.cos(math.pi * part))
        return self.initial_learning_rate * ((1.0 - self.alpha) * cosine + self.alpha)


def serialize(learning_rate_schedule: Any) -> Any:
    """The configuration of a schedule."""
    return SCHEDULES.serialize(learning_rate_schedule)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The schedule of a configuration."""
    return SCHEDULES.deserialize(config, custom_objects)
