"""The base of metrics: state in variables, gathered batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from .. import initializers, ops
from ..core.state import state
from ..core.tensor import Tensor
from ..core.trace import Trace
from ..core.variable import Variable
from ..losses.loss import compute_dtype
from ..naming import automatic_name
from ..registry import Registry


class Metric:
    """Base class of metrics (Keras name: `keras.metrics.Metric`).

    Subclasses make variables with `add_variable`, change them in `update_state`, and compute `result` from them.
    Metrics and variables that are set as attributes belong to the metric.

    dtype: element type of the state and the result; the default float when None
    name: how the metric is reported; from the class when None

    >>> import sardonyx as sx
    >>> class Positives(sx.metrics.Metric):
    ...     def __init__(self, name="positives", **kwargs):
    ...         super().__init__(name=name, **kwargs)
    ...         self.found = self.add_variable((), "zeros", name="found")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.found.assign_add(sx.ops.sum(sx.ops.cast(sx.ops.greater(y_pred, 0.0), self.dtype)))
    ...     def result(self):
    ...         return self.found.value
    >>> float(Positives()([0, 0, 1], [-1.0, 2.0, 3.0]))
    2.0
    """

    direction: ClassVar[str | None] = None
    """Whether better is "up" or "down"; None when the metric does not say."""

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self._variables: list[Variable] = []
        self._metrics: list[Metric] = []
        self.name = name or automatic_name(type(self).__name__)
        self._dtype = compute_dtype(dtype)

    @property
    def dtype(self) -> str:
        """Name of the element type of the state and the result."""
        return self._dtype.name

    @property
    def variables(self) -> list[Variable]:
        """The state: own variables, then those of metrics inside."""
        return [*self._variables, *(v for metric in self._metrics for v in metric.variables)]

    def add_variable(
        self,
        shape: Sequence[Any],
        initializer: Any = None,
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """A new variable of the state, zeros unless `initializer` says otherwise."""
        self._check_made()
        made = Variable(
            initializers.get("zeros" if initializer is None else initializer),
            shape=tuple(shape),
            dtype=compute_dtype(dtype),
            trainable=False,
            aggregation=aggregation,
            name=name,
        )
        made.path = f"{self.name}/{made.name}"
        self._track(made)
        return made

    def add_weight(
        self, shape: Sequence[Any] = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Variable:
        """Another name for `add_variable`."""
        return self.add_variable(shape, initializer, dtype, name=name)

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Take a batch into the state."""
        raise NotImplementedError(f"{type(self).__name__}: a metric defines update_state(y_true, y_pred, ...)")

    def result(self) -> Any:
        """The value over everything seen since the last reset."""
        raise NotImplementedError(f"{type(self).__name__}: a metric defines result()")

    def reset_state(self) -> None:
        """Forget everything seen."""
        for variable in self.variables:
            variable.assign(ops.zeros(variable.shape, variable.dtype))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take a batch into the state; the value over everything seen."""
        self._check_made()
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any) -> list[Tensor]:
        """What the state becomes from the given one with a batch; the metric itself does not change."""
        with _Substituted(self, metric_variables) as substituted:
            self.update_state(*args, **kwargs)
            return substituted.current()

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """The value for a given state."""
        with _Substituted(self, metric_variables):
            return self.result()

    def stateless_reset_state(self) -> list[Tensor]:
        """The state after a reset; the metric itself does not change."""
        with _Substituted(self, [v.value for v in self.variables]) as substituted:
            self.reset_state()
            return substituted.current()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same metric again."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """The metric of a configuration."""
        return cls(**config)

    def __setattr__(self, name: str, value: Any) -> None:
        for item in value if isinstance(value, (list, tuple)) and name not in ("_variables", "_metrics") else (value,):
            if isinstance(item, (Variable, Metric)):
                self._check_made()
                self._track(item)
        super().__setattr__(name, value)

    def _track(self, item: Variable | Metric) -> None:
        known: list[Any] = self._variables if isinstance(item, Variable) else self._metrics
        if not any(item is other for other in known):
            known.append(item)

    def _check_made(self) -> None:
        if "_variables" not in self.__dict__:
            raise RuntimeError(f"{type(self).__name__}: call super().__init__() first in __init__")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


metrics = Registry("metric", "metrics", base=Metric, prefers_classes=True)


class _Substituted:
    """A context in which a metric's variables have other values; afterwards they have their own again."""

    def __init__(self, metric: Metric, values: Sequence[Any]) -> None:
        self.variables = metric.variables
        if len(values) != len(self.variables):
            raise ValueError(
                f"{metric.name}: expected one value for each of its {len(self.variables)} variables "
                f"({', '.join(v.name for v in self.variables)}), got {len(values)}"
            )
        self.values = [ops.convert_to_tensor(v) for v in values]
        self.trace = Trace() if state.traces or any(v.is_symbolic for v in self.values) else None

    def __enter__(self) -> _Substituted:
        if self.trace is not None:
            self.trace.__enter__()
        self.before = [v.value for v in self.variables]
        for variable, value in zip(self.variables, self.values, strict=True):
            variable.assign(value)
        return self

    def current(self) -> list[Tensor]:
        """The values now."""
        return [v.value for v in self.variables]

    def __exit__(self, *error: object) -> None:
        if self.trace is not None:
            self.trace.__exit__(*error)
            return
        for variable, value in zip(self.variables, self.before, strict=True):
            variable.assign(value)
