"""Steps scaled by sums or running means of squared gradients."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core.variable import Variable
from .base import OPTIMIZERS, Optimizer


@OPTIMIZERS.register()
class Adagrad(Optimizer):
    """Rates divided by the root of the sum of squared gradients (Duchi et al., 2011)."""

    settings = ("initial_accumulator_value", "epsilon")

    def __init__(
        self, learning_rate: Any = 0.001, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None, clipvalue: float | None = None, global_clipnorm: float | None = None,
        use_ema: bool = False, ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None, gradient_accumulation_steps: int | None = None, name: str | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def build(self, variables: list[Variable]) -> None:
        """Make the sums of squares."""
        if not self.built:
            super().build(variables)
            self.sums = self.add_optimizer_variables(variables, "accumulator", self.initial_accumulator_value)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """`s += g^2; w -= rate * g / sqrt(s + epsilon)`."""
        gradient = ops.convert_to_tensor(gradient, dtype=variable.dtype)
        accumulator = self.sums[self.place(variable)]
        total = accumulator.read() + ops.square(gradient)
        accumulator.assign(total)
        variable.assign(variable.read() - learning_rate * gradient / ops.sqrt(total + self.epsilon))


@OPTIMIZERS.register()
class Adadelta(Optimizer):
    """Steps in the units of the weights (Zeiler, 2012; arXiv:1212.5701)."""

    settings = ("rho", "epsilon")

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None, clipvalue: float | None = None, global_clipnorm: float | None = None,
        use_ema: bool = False, ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None, gradient_accumulation_steps: int | None = None, name: str | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
        self.rho = rho
        self.epsilon = epsilon

    def build(self, variables: list[Variable]) -> None:
        """Make the running means of squared gradients and steps."""
        if not self.built:
            super().build(variables)
            names = ("accumulated_grad", "accumulated_delta_var")
            self.gradients, self.steps = self.add_optimizer_variables(variables, names)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """`w -= rate * g * rms(steps) / rms(gradients)`."""
        gradient = ops.convert_to_tensor(gradient, dtype=variable.dtype)
        squares, steps = self.gradients[self.place(variable)], self.steps[self.place(variable)]
        mean = self.rho * squares.read() + (1.0 - self.rho) * ops.square(gradient)
        squares.assign(mean)
        step = ops.sqrt(steps.read() + self.epsilon) * gradient / ops.sqrt(mean + self.epsilon)
        steps.assign(self.rho * steps.read() + (1.0 - self.rho) * ops.square(step))
        variable.assign(variable.read() - learning_rate * step)


@OPTIMIZERS.register()
class RMSprop(Optimizer):
    """Rates divided by the root of a running mean of squares (Hinton, 2012); `centered` subtracts the mean first."""

    settings = ("rho", "momentum", "epsilon", "centered")

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7,
        centered: bool = False, weight_decay: float | None = None,
        clipnorm: float | None = None, clipvalue: float | None = None, global_clipnorm: float | None = None,
        use_ema: bool = False, ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None, gradient_accumulation_steps: int | None = None, name: str | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def build(self, variables: list[Variable]) -> None:
        """Make the running means."""
        if not self.built:
            super().build(variables)
            self.squares = self.add_optimizer_variables(variables, "velocity")
            self.momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum > 0 else []
            self.means = self.add_optimizer_variables(variables, "average_gradient") if self.centered else []

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """`v = rho * v + (1 - rho) * g^2; w -= rate * g / sqrt(v + epsilon)`."""
        gradient = ops.convert_to_tensor(gradient, dtype=variable.dtype)
        place = self.place(variable)
        squares = self.squares[place]
        mean = self.rho * squares.read() + (1.0 - self.rho) * ops.square(gradient)
        squares.assign(mean)
        spread = mean + self.epsilon
        if self.centered:
            average = self.means[place]
            centre = self.rho * average.read() + (1.0 - self.rho) * gradient
            average.assign(centre)
            spread = spread - ops.square(centre)
        step = learning_rate * gradient / ops.sqrt(spread)
        if self.momentum > 0:
            step = self.momentum * self.momentums[place].read() + step
            self.momentums[place].assign(step)
        variable.assign(variable.read() - step)
