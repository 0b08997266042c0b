"""Optimizer: state for each variable, and what every update has in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..core.state import state
from ..core.tensor import Tensor
from ..core.told import Told
from ..core.variable import Variable
from ..naming import automatic_name
from ..registry import Registry
from .clipping import check as check_clipping
from .clipping import clip
from .schedules import LearningRateSchedule
from .schedules import deserialize as deserialize_schedule
from .schedules import serialize as serialize_schedule
from .updates import Updates


class Optimizer(Told, Updates):
    """Updates variables from gradients; subclasses write `build` and `update_step`.

    learning_rate: a number, a schedule, or a function without arguments
    weight_decay: fraction (times the rate) taken off every variable before the update
    clipnorm, clipvalue, global_clipnorm: at most one; clip each gradient's norm, its values, or the norm of all
    use_ema, ema_momentum, ema_overwrite_frequency: keep a moving average of the variables, and put it in their place
    loss_scale_factor: factor on the loss, taken out of the gradients again
    gradient_accumulation_steps: number of calls whose mean gradient makes one update
    """

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        kind = type(self).__name__
        if kwargs:
            raise ValueError(f"{kind}: unknown argument{'s' if len(kwargs) > 1 else ''} {', '.join(map(repr, kwargs))}")
        check_clipping(kind, clipnorm, clipvalue, global_clipnorm)
        if use_ema and not 0 <= ema_momentum <= 1:
            raise ValueError(f"{kind}: ema_momentum must lie between 0 and 1, got {ema_momentum}")
        for argument, count in (
            ("gradient_accumulation_steps", gradient_accumulation_steps),
            ("ema_overwrite_frequency", ema_overwrite_frequency if use_ema else None),
        ):
            least = 2 if argument.startswith("grad") else 1
            if count is not None and (not isinstance(count, int) or count < least):
                raise ValueError(f"{kind}: {argument} must be an integer of {least} or more, got {count!r}")
        self.name = name or automatic_name(kind)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._no_decay: set[Variable] = set()
        self._no_decay_names: list[str] = []
        self._variables: list[Variable] = []
        self._trainable_variables: list[Variable] = []
        self._places: dict[Variable, int] = {}
        self._averages: list[Variable] = []
        self._accumulators: list[Variable] = []
        self._flat = {}
        self._calls = self._track(Variable(0, dtype="int64", trainable=False, name="iteration"))
        self._set_learning_rate(learning_rate)

    def _set_learning_rate(self, value: Any) -> None:
        kind = type(self).__name__
        if isinstance(value, dict):
            value = deserialize_schedule(value)
        self._rate: Any = value
        if isinstance(value, LearningRateSchedule) or (callable(value) and not isinstance(value, Tensor | Variable)):
            return
        number = -1.0 if value is None or isinstance(value, str | bytes | bool) else float(value)
        if not np.isfinite(number) or number < 0:
            raise ValueError(f"{kind}: learning_rate must be a finite number, 0 or more; got {value!r}")
        self._rate = self._track(Variable(number, dtype="float32", trainable=False, name="learning_rate"))

    def _track(self, variable: Variable) -> Variable:
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    @property
    def learning_rate(self) -> Any:
        """The present learning rate, a scalar."""
        if isinstance(self._rate, LearningRateSchedule):
            return self._rate(self.iterations)
        return self._rate if isinstance(self._rate, Variable) else self._rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(self._rate, Variable) and not isinstance(value, LearningRateSchedule) and not callable(value):
            self._rate.assign(float(value))
        elif isinstance(self._rate, LearningRateSchedule) and not isinstance(value, LearningRateSchedule):
            raise TypeError(
                f"{type(self).__name__}: the learning rate follows a schedule ({type(self._rate).__name__}); "
                "make the optimizer with a number to set the rate by hand"
            )
        else:
            self._set_learning_rate(value)

    @property
    def iterations(self) -> Any:
        """Number of updates so far; with gradient accumulation, not every call is one."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._calls, self.gradient_accumulation_steps)
        return self._calls

    @property
    def variables(self) -> list[Variable]:
        """The state: step counter, learning rate, and what is kept for each variable."""
        return list(self._variables)

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: str = "zeros",
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Variable:
        """A state variable of zeros or ones."""
        value = np.zeros(shape) if initializer == "zeros" else np.ones(shape)
        return self._track(Variable(value, dtype=dtype or "float32", trainable=False, name=name or "state"))

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """A state variable of the shape of another, named after it."""
        named = {"zeros": 0.0, "ones": 1.0}
        fill = named.get(initializer, initializer) if isinstance(initializer, str) else initializer
        value = np.broadcast_to(np.asarray(fill, reference_variable.dtype), reference_variable.shape)
        state = Variable(value, dtype=reference_variable.dtype, trainable=False, name=name or "state")
        self._variables.append(state)
        state.path = f"{self.name}/{reference_variable.path}/{state.name}"
        return state

    def add_optimizer_variables(
        self, trainable_variables: list[Variable], name: Any, initializer: Any = "zeros"
    ) -> Any:
        """One state variable for each variable (or, for several names, a list for each name)."""
        if isinstance(name, str):
            return [self.add_variable_from_reference(v, name, initializer) for v in trainable_variables]
        fills = initializer if isinstance(initializer, (list, tuple)) else [initializer] * len(name)
        return tuple(self.add_optimizer_variables(trainable_variables, n, f) for n, f in zip(name, fills, strict=True))

    def build(self, variables: list[Variable]) -> None:
        """Make the state for the variables to be updated; called at the first update."""
        if self.built:
            return
        self._trainable_variables = list(variables)
        self._places = {v: i for i, v in enumerate(variables)}
        if self.use_ema:
            self._averages = [self.add_variable_from_reference(v, "average", v.array) for v in variables]
        if self.gradient_accumulation_steps:
            self._accumulators = [self.add_variable_from_reference(v, "gradient_accumulator") for v in variables]
        self.built = True

    def place(self, variable: Variable) -> int:
        """Position of a variable's state."""
        return self._places[variable]

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Any:
        """Update from pairs (gradient, variable); returns the step counter."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self.iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Update variables by their gradients (None: leave alone). One call counts one step.

        Raises `ValueError` when numbers differ, when every gradient is None, or for a variable unknown since `build`.
        """
        kind = type(self).__name__
        gradients = list(grads)
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        if len(gradients) != len(variables):
            raise ValueError(f"{kind}: got {len(gradients)} gradients for {len(variables)} variables")
        if not self.built:
            self.build(variables)
        if unknown := [v.path for v in variables if v not in self._places]:
            raise ValueError(
                f"{kind}: the variable '{unknown[0]}' is new since the optimizer was built; use a new optimizer (after "
                "unfreeze(), call compile() again), or build it with all variables first: optimizer.build(variables)"
            )
        pairs = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
        if not pairs:
            raise ValueError(
                f"{kind}: no gradient for any variable ({', '.join(v.path for v in variables[:5])}); does the loss "
                f"depend on "
                "them, and was it computed while the tape was open?"
            )
        if self.loss_scale_factor:
            pairs = [(g / self.loss_scale_factor, v) for g, v in pairs]
        if self.gradient_accumulation_steps:
            self._accumulate_then_update(pairs)
        else:
            self._update(pairs)
        if state.traces or state.tapes:
            self._calls.assign(ops.add(self._calls, 1))
        else:
            self._calls.renew(np.asarray(self._calls.array + 1))

    def _accumulate_then_update(self, pairs: list[tuple[Any, Variable]]) -> None:
        """Add gradients up; every so many calls, update by their mean."""
        steps = self.gradient_accumulation_steps or 1
        totals = []
        for gradient, variable in pairs:
            accumulator = self._accumulators[self.place(variable)]
            total = accumulator + gradient
            accumulator.assign(total)
            totals.append((total / float(steps), variable))

        def update() -> int:
            self._update(totals)
            for _, variable in totals:
                accumulator = self._accumulators[self.place(variable)]
                accumulator.assign(ops.zeros_like(accumulator))
            return 1

        ops.cond(ops.equal(ops.mod(ops.add(self._calls, 1), steps), 0), update, lambda: 0)

    def _update(self, pairs: list[tuple[Any, Variable]]) -> None:
        gradients = clip([g for g, _ in pairs], self.clipnorm, self.clipvalue, self.global_clipnorm)
        variables = [v for _, v in pairs]
        rate = ops.cast(self.learning_rate, "float32") if state.traces or state.tapes else self._present_rate()
        self._decay(variables, rate)
        self.update_all(gradients, variables, rate)
        if self.use_ema:
            self._average(variables)
        for variable in variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.read()))

    def _present_rate(self) -> Tensor:
        """The learning rate in float32, while nobody records: at little cost where it is a variable of that dtype."""
        rate = self._rate
        is_plain = isinstance(rate, Variable) and rate.dtype.char == "f"
        return rate.value if is_plain else ops.cast(self.learning_rate, "float32")

    def _decay(self, variables: list[Variable], rate: Any) -> None:
        if not self.weight_decay:
            return
        factor = 1.0 - rate * self.weight_decay
        for variable in variables:
            if self._uses_decay(variable):
                variable.assign(variable.read() * ops.cast(factor, variable.dtype))

    def _uses_decay(self, variable: Variable) -> bool:
        return variable not in self._no_decay and not any(part in variable.path for part in self._no_decay_names)

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Variables, or parts of their paths, that weight decay leaves alone; to be called before the first update."""
        if self.built:
            raise ValueError(f"{type(self).__name__}: exclude_from_weight_decay must be called before the first update")
        self._no_decay |= set(var_list or ())
        self._no_decay_names += list(var_names or ())

    def _average(self, variables: list[Variable]) -> None:
        momentum = self.ema_momentum
        frequency = self.ema_overwrite_frequency
        for variable in variables:
            average = self._averages[self.place(variable)]
            # the very first average is the variable itself
            known = ops.cast(ops.greater(self.iterations, 0), variable.dtype) * momentum
            value = known * average.read() + (1.0 - known) * variable.read()
            average.assign(value)
            if frequency:
                due = ops.equal(ops.mod(ops.add(self.iterations, 1), frequency), 0)
                variable.assign(ops.where(due, value, variable.read()))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Put the moving averages in the place of the variables; called when training ends."""
        if self.use_ema and self.built:
            for variable in var_list:
                if variable in self._places:
                    variable.assign(self._averages[self.place(variable)].value)

    def scale_loss(self, loss: Any) -> Any:
        """The loss times `loss_scale_factor`."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def stateless_apply(self, optimizer_variables: Any, grads: Any, trainable_variables: Any) -> tuple[Any, Any]:
        """New values of variables and state, nothing changed: (trainable values, optimizer values)."""
        before = [v.numpy() for v in (*self._trainable_variables, *self._variables)]
        try:
            for variable, value in zip(self._variables, optimizer_variables, strict=True):
                variable.assign(value)
            for variable, value in zip(self._trainable_variables, trainable_variables, strict=True):
                variable.assign(value)
            self.apply(grads, self._trainable_variables)
            return [v.numpy() for v in self._trainable_variables], [v.numpy() for v in self._variables]
        finally:
            for variable, value in zip((*self._trainable_variables, *self._variables), before, strict=True):
                variable.assign(value)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor, the learning rate as it is now."""
        rate: Any = self._rate
        if isinstance(rate, Variable):
            rate = float(rate.array)
        elif isinstance(rate, LearningRateSchedule):
            rate = serialize_schedule(rate)
        names = (
            "name", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum",
            "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps",
        )  # fmt: skip
        return {"learning_rate": rate, **{n: getattr(self, n) for n in (*names, *self.settings)}}

    settings: tuple[str, ...] = ()
    """Names of the constructor arguments that a subclass adds; an attribute each."""

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """An optimizer from what `get_config` returned."""
        return cls(**config)

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Write the state into a mapping, keys "0", "1", ..."""
        for i, variable in enumerate(self._variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: dict[str, Any]) -> None:
        """Read the state that `save_own_variables` wrote; raises `ValueError` when it does not fit."""
        if len(store) != len(self._variables):
            raise ValueError(f"{type(self).__name__}: expected {len(self._variables)} state arrays, got {len(store)}")
        for i, variable in enumerate(self._variables):
            variable.assign(store[str(i)])


OPTIMIZERS = Registry("optimizer", "optimizers", Optimizer, functions=False)
__all__ = ["OPTIMIZERS", "Optimizer"]
