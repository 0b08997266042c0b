"""Adam and its relatives: steps scaled by running means of gradients and of their squares."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..core.tensor import Tensor
from ..core.variable import Variable
from .base import OPTIMIZERS, Optimizer
from .kernels import InPlace, adam


class MomentOptimizer(Optimizer):
    """Shared by Adam's relatives: decay rates, epsilon, first moments, and powers of the decay rates."""

    settings = ("beta_1", "beta_2", "epsilon")
    second_state = "velocity"

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
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
        for argument, value in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= value < 1:
                raise ValueError(f"{type(self).__name__}: {argument} must lie in [0, 1), got {value!r}")
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables: list[Variable]) -> None:
        """Make the moments."""
        if not self.built:
            super().build(variables)
            self.momentums, self.velocities = self.add_optimizer_variables(variables, ("momentum", self.second_state))

    def step_number(self, variable: Variable) -> Tensor:
        """The number of this step, counted from 1."""
        return self._step_number(variable.dtype)

    def _step_number(self, dtype: np.dtype) -> Tensor:
        return ops.cast(self.iterations, dtype) + 1.0


@OPTIMIZERS.register()
class Adam(MomentOptimizer):
    """Kingma and Ba, 2014 (arXiv:1412.6980); `amsgrad` keeps the largest second moment (Reddi et al., 2018).

    >>> import sardonyx as sx
    >>> w = sx.Variable(1.0)
    >>> sx.optimizers.Adam(0.1).apply([2.0], [w])
    >>> round(float(w), 3)
    0.9
    """

    settings = (*MomentOptimizer.settings, "amsgrad")

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
        amsgrad: bool = False, weight_decay: float | None = None, clipnorm: float | None = None,
        clipvalue: float | None = None, global_clipnorm: float | None = None, use_ema: bool = False,
        ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
        self.amsgrad = amsgrad

    def build(self, variables: list[Variable]) -> None:
        """Make the moments."""
        if not self.built:
            super().build(variables)
            self.largest = self.add_optimizer_variables(variables, "velocity_hat") if self.amsgrad else []

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """`w -= rate * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)`."""
        gradient = ops.convert_to_tensor(gradient, dtype=variable.dtype)
        rate = self._corrected_rate(learning_rate)
        place = self.place(variable)
        first, second = self.momentums[place], self.velocities[place]
        m = first.read() + (gradient - first.read()) * (1.0 - self.beta_1)
        v = second.read() + (ops.square(gradient) - second.read()) * (1.0 - self.beta_2)
        first.assign(m)
        second.assign(v)
        if self.amsgrad:
            v = ops.maximum(self.largest[place].read(), v)
            self.largest[place].assign(v)
        variable.assign(variable.read() - m * rate / (ops.sqrt(v) + self.epsilon))

    def _corrected_rate(self, rate: Tensor) -> Tensor:
        """The learning rate with both moments' bias correction."""
        t = self._step_number(rate.dtype)
        return rate * ops.sqrt(1.0 - ops.power(self.beta_2, t)) / (1.0 - ops.power(self.beta_1, t))

    def kernel(self, rate: Tensor) -> InPlace | None:
        """`update_step` in place."""
        if self.amsgrad or type(self).update_step is not Adam.update_step:
            return None
        numbers = self._corrected_number(rate), 1.0 - self.beta_1, 1.0 - self.beta_2, float(self.epsilon)
        return InPlace(adam, (self.momentums, self.velocities), numbers)

    def _corrected_number(self, rate: Tensor) -> float:
        """`_corrected_rate` as a number, the same to the last bit: operations cost more than their arithmetic here."""
        array = rate.array
        if array is None or self.gradient_accumulation_steps or array.dtype.char not in "fd":
            return float(self._corrected_rate(rate))
        kind = array.dtype.type
        t = np.add(kind(self._calls.array), kind(1.0))
        first, second = np.power(kind(self.beta_1), t), np.power(kind(self.beta_2), t)
        return float(array * np.sqrt(kind(1.0) - second) / (kind(1.0) - first))


@OPTIMIZERS.register()
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2017; arXiv:1711.05101)."""

    def __init__(
        self, learning_rate: Any = 0.001, weight_decay: float = 0.004, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-7, amsgrad: bool = False, clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None, use_ema: bool = False, ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        if weight_decay is None:
            raise ValueError("AdamW: weight_decay is missing; without one, use Adam")
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, clipnorm, clipvalue, global_clipnorm,
            use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip


@OPTIMIZERS.register()
class Adamax(MomentOptimizer):
    """Adam with the infinity norm (Kingma and Ba, 2014, section 7)."""

    second_state = "norm"

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """`u = max(b2 * u, |g|); w -= rate / (1 - b1^t) * m / (u + epsilon)`."""
        gradient = ops.convert_to_tensor(gradient, dtype=variable.dtype)
        rate = learning_rate / (1.0 - ops.power(self.beta_1, self.step_number(variable)))
        first, norm = self.momentums[self.place(variable)], self.velocities[self.place(variable)]
        m = first.read() + (gradient - first.read()) * (1.0 - self.beta_1)
        u = ops.maximum(self.beta_2 * norm.read(), ops.absolute(gradient))
        first.assign(m)
        norm.assign(u)
        variable.assign(variable.read() - rate * m / (u + self.epsilon))


@OPTIMIZERS.register()
class Nadam(MomentOptimizer):
    """Adam with Nesterov's momentum (Dozat, 2015), warmed up by the factor `1 - 0.5 * 0.96 ** t`, as in Keras."""

    def build(self, variables: list[Variable]) -> None:
        """Make the moments and the product of momentum factors."""
        if not self.built:
            super().build(variables)
            self.product = self._track(Variable(1.0, dtype="float32", trainable=False, name="u_product"))

    def update_all(self, gradients: list[Any], variables: list[Variable], rate: Any) -> None:
        """The product of momentum factors is the same for all variables, and updated once a step."""
        t = ops.cast(self.iterations, "float32") + 1.0
        self._factor = self.beta_1 * (1.0 - 0.5 * ops.power(0.96, t))
        self._next_factor = self.beta_1 * (1.0 - 0.5 * ops.power(0.96, t + 1.0))
        self.product.assign(self.product.read() * self._factor)
        super().update_all(gradients, variables, rate)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Adam's step from a mean that looks one step ahead."""
        gradient = ops.convert_to_tensor(gradient, dtype=variable.dtype)
        t = self.step_number(variable)
        product = ops.cast(self.product.read(), variable.dtype)
        factor, ahead = (ops.cast(f, variable.dtype) for f in (self._factor, self._next_factor))
        first, second = self.momentums[self.place(variable)], self.velocities[self.place(variable)]
        m = first.read() + (gradient - first.read()) * (1.0 - self.beta_1)
        v = second.read() + (ops.square(gradient) - second.read()) * (1.0 - self.beta_2)
        first.assign(m)
        second.assign(v)
        mean = m * (ahead / (1.0 - product * ahead)) + gradient * ((1.0 - factor) / (1.0 - product))
        scale = v / (1.0 - ops.power(self.beta_2, t))
        variable.assign(variable.read() - mean * learning_rate / (ops.sqrt(scale) + self.epsilon))


@OPTIMIZERS.register()
class Lion(MomentOptimizer):
    """The sign of an interpolated momentum (Chen et al., 2023; arXiv:2302.06675)."""

    settings = ("beta_1", "beta_2")

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, weight_decay: float | None = None,
        clipnorm: float | None = None, clipvalue: float | None = None, global_clipnorm: float | None = None,
        use_ema: bool = False, ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None, gradient_accumulation_steps: int | None = None, name: str | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            learning_rate, beta_1, beta_2, 1e-7, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip

    def build(self, variables: list[Variable]) -> None:
        """Make the momentums."""
        if not self.built:
            Optimizer.build(self, variables)
            self.momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """`w -= rate * sign(b1 * m + (1 - b1) * g); m = b2 * m + (1 - b2) * g`."""
        gradient = ops.convert_to_tensor(gradient, dtype=variable.dtype)
        momentum = self.momentums[self.place(variable)]
        m = momentum.read()
        variable.assign(variable.read() - learning_rate * ops.sign(m * self.beta_1 + gradient * (1.0 - self.beta_1)))
        momentum.assign(m * self.beta_2 + gradient * (1.0 - self.beta_2))
