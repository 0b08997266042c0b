"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core.tensor import Tensor
from ..core.variable import Variable
from .base import OPTIMIZERS, Optimizer
from .kernels import InPlace, descend, descend_with_momentum, descend_with_nesterov


@OPTIMIZERS.register()
class SGD(Optimizer):
    """`v = momentum * v - rate * g; w += v`; Nesterov's form adds `momentum * v - rate * g` (Sutskever et al., 2013).

    >>> import sardonyx as sx
    >>> w = sx.Variable(1.0)
    >>> sx.optimizers.SGD(0.1).apply([2.0], [w])
    >>> round(float(w), 3)
    0.8
    """

    settings = ("momentum", "nesterov")

    def __init__(
        self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False,
        weight_decay: float | None = None, clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False, ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None, gradient_accumulation_steps: int | None = None, name: str | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
        if not isinstance(momentum, (int, float)) or not 0 <= momentum <= 1:
            raise ValueError(f"SGD: momentum must be a number between 0 and 1, got {momentum!r}")
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables: list[Variable]) -> None:
        """Make the velocities."""
        if not self.built:
            super().build(variables)
            self.velocities = self.add_optimizer_variables(variables, "velocity") if self.momentum else []

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """One step of gradient descent, with momentum if there is any."""
        step = ops.convert_to_tensor(gradient, dtype=variable.dtype) * learning_rate
        if not self.momentum:
            variable.assign(variable.read() - step)
            return
        velocity = self.velocities[self.place(variable)]
        moved = velocity.read() * self.momentum - step
        velocity.assign(moved)
        variable.assign(variable.read() + (moved * self.momentum - step if self.nesterov else moved))

    def kernel(self, rate: Tensor) -> InPlace | None:
        """`update_step` in place."""
        if type(self).update_step is not SGD.update_step:
            return None
        number = float(rate)
        if not self.momentum:
            return InPlace(descend, (), (number,))
        kernel = descend_with_nesterov if self.nesterov else descend_with_momentum
        return InPlace(kernel, (self.velocities,), (number, self.momentum))
