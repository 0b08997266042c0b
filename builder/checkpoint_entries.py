"""What a checkpoint can hold: for each kind, how its state is written, and how it is checked and put back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from ..trainer.core.dtypes import dtype_name
from ..trainer.core.errors import format_shape
from ..trainer.core.tensor import Tensor
from ..trainer.core.variable import Variable
from ..trainer.metrics.metric import Metric
from ..trainer.ops.seed import SeedGenerator
from ..trainer.optimizers.base import Optimizer
from .layer import Layer
from .model_names import weight_names
from .weight_matching import match

Arrays = dict[str, np.ndarray]
Change = Callable[[], "tuple[Any] | None"]
"""Puts a checked state back; gives the new value (alone in a tuple) of what is replaced rather than filled."""


class Entry:
    """One name of a checkpoint with its object."""

    kind: ClassVar[str]

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value

    def write(self, names: Mapping[Variable, str]) -> tuple[dict[str, Any], Arrays]:
        """Facts for JSON, and arrays by name; `names` are those of all variables of the checkpoint."""
        return {}, {key: variable.array for key, variable in self.variables().items()}

    def prepare(self, facts: Mapping[str, Any], arrays: Arrays, own: Mapping[str, Variable]) -> Change:
        """Check a stored state; the change is to be made later. Raises `ValueError` for what does not fit.

        `own` are the variables of the whole checkpoint by their names in the file.
        """
        return filled(self.stored(arrays), arrays)

    def variables(self) -> dict[str, Variable]:
        """The variables of the object by the names under which they are written."""
        raise NotImplementedError(f"checkpoint entry of kind {self.kind!r} keeps no variables")

    def stored(self, arrays: Arrays) -> dict[str, Variable]:
        """The variables of the object by their names in a file, which may be another process's."""
        return self.variables()


def filled(variables: Mapping[str, Variable], arrays: Arrays) -> Change:
    """Assign arrays to variables, after checking that names, shapes and dtypes agree."""
    problems = [f"the file lacks {name!r}" for name in variables if name not in arrays]
    problems += [f"the file also holds {name!r}" for name in arrays if name not in variables]
    for name, variable in variables.items():
        array = arrays.get(name)
        if array is not None and (array.shape, array.dtype) != (variable.shape, variable.dtype):
            problems.append(
                f"{name!r} has shape {format_shape(variable.shape)}, {dtype_name(variable.dtype)}; in the file "
                f"{format_shape(array.shape)}, {array.dtype}"
            )
    if problems:
        raise ValueError(f"{', '.join(problems[:6])}{f' and {len(problems) - 6} more' if len(problems) > 6 else ''}")

    def change() -> None:
        for name, variable in variables.items():
            variable.assign(np.array(arrays[name]))

    return change


class LayerEntry(Entry):
    """A layer or model: weights by their paths, states of its random generators by number."""

    kind = "layer"

    def variables(self) -> dict[str, Variable]:
        """Weights and random states."""
        names = weight_names(self.value)
        if not names:
            raise ValueError(
                f"{self.name}: '{self.value.name}' has no weights yet; call it on data or build(input_shape) first"
            )
        states = [v for v in self.value.variables if v not in names]
        return {name: v for v, name in names.items()} | {f"sardonyx.random/{i}": v for i, v in enumerate(states)}

    def stored(self, arrays: Arrays) -> dict[str, Variable]:
        """Weights are matched by name; where only the numbers of automatic names differ, by place."""
        variables = self.variables()
        partners, _, _ = match({v: name for name, v in variables.items()}, arrays)
        return {partners.get(v, name): v for name, v in variables.items()}


class OptimizerEntry(Entry):
    """An optimizer: its state in order, and which variables it is for."""

    kind = "optimizer"

    def variables(self) -> dict[str, Variable]:
        """State variables by number."""
        return {str(i): v for i, v in enumerate(self.value.variables)}

    def write(self, names: Mapping[Variable, str]) -> tuple[dict[str, Any], Arrays]:
        """Raises `ValueError` when a variable it trains would not be saved."""
        trained = self.value._trainable_variables
        foreign = next((v for v in trained if v not in names), None)
        if foreign is not None:
            raise ValueError(
                f"Checkpoint.save: the optimizer '{self.name}' trains '{foreign.path}', which is in no model and no "
                "variable of the checkpoint; add what holds it, so that both are saved"
            )
        facts = {
            "class": type(self.value).__name__, "built": self.value.built, "variables": [names[v] for v in trained],
        }  # fmt: skip
        return facts, super().write(names)[1]

    def prepare(self, facts: Mapping[str, Any], arrays: Arrays, own: Mapping[str, Variable]) -> Change:
        """An optimizer that has made no update yet is built for the variables that the file names."""
        optimizer = self.value
        found = type(optimizer).__name__
        if facts["class"] != found:
            raise ValueError(f"expected the state of {found}, the file holds that of {facts['class']}")
        lacking = [name for name in facts["variables"] if name not in own]
        if lacking:
            raise ValueError(f"the file's state is for {', '.join(map(repr, lacking[:4]))}, which is not here")
        trained = [own[name] for name in facts["variables"]]
        if facts["built"] and not optimizer.built:
            optimizer.build(trained)
        elif optimizer.built and not facts["built"]:
            raise ValueError("the file's state is from before the first update; make a new optimizer to go back to it")
        elif list(map(id, optimizer._trainable_variables)) != list(map(id, trained)):
            raise ValueError("it was built for other variables, or in another order, than the file's state")
        return filled(self.variables(), arrays)


class MetricEntry(Entry):
    """A metric: its state in order."""

    kind = "metric"

    def variables(self) -> dict[str, Variable]:
        """State variables by number."""
        return {str(i): v for i, v in enumerate(self.value.variables)}


class VariableEntry(Entry):
    """A variable of the loop's own."""

    kind = "variable"

    def variables(self) -> dict[str, Variable]:
        """The variable."""
        return {"value": self.value}


class SeedEntry(Entry):
    """A `SeedGenerator`."""

    kind = "seed generator"

    def variables(self) -> dict[str, Variable]:
        """Its state."""
        return {"state": self.value.state}


class GeneratorEntry(Entry):
    """A `numpy.random.Generator`."""

    kind = "NumPy generator"

    def write(self, names: Mapping[Variable, str]) -> tuple[dict[str, Any], Arrays]:
        """The state of its bit generator: numbers, and lists of them."""
        return {"state": _without_arrays(self.value.bit_generator.state)}, {}

    def prepare(self, facts: Mapping[str, Any], arrays: Arrays, own: Mapping[str, Variable]) -> Change:
        """The state is tried on a generator of its own first."""
        bits = self.value.bit_generator
        kind = type(bits).__name__
        state = _with_arrays(facts["state"], bits.state)
        if state["bit_generator"] != kind:
            raise ValueError(f"expected the state of {kind}, the file holds that of {state['bit_generator']}")
        try:
            type(bits)(0).state = state
        except (KeyError, TypeError, ValueError, OverflowError, IndexError) as error:
            raise ValueError(f"the stored state of {kind} is damaged ({error})") from None

        def change() -> None:
            bits.state = state

        return change


def _without_arrays(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _without_arrays(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, (np.ndarray, np.generic)) else state


def _with_arrays(stored: Any, like: Any) -> Any:
    """A stored state with arrays where another state of the same kind of generator has them."""
    if isinstance(like, dict) and isinstance(stored, dict):
        return {key: _with_arrays(value, like.get(key)) for key, value in stored.items()}
    return np.array(stored, like.dtype) if isinstance(like, np.ndarray) else stored


class ArrayEntry(Entry):
    """A tensor, an array, or a NumPy number; replaced as a whole, by a value of the same kind."""

    kind = "array"

    def write(self, names: Mapping[Variable, str]) -> tuple[dict[str, Any], Arrays]:
        """The numbers."""
        return {}, {"value": np.array(self.value.array if isinstance(self.value, Tensor) else self.value)}

    def prepare(self, facts: Mapping[str, Any], arrays: Arrays, own: Mapping[str, Variable]) -> Change:
        """Any shape and dtype will do."""
        if list(arrays) != ["value"]:
            raise ValueError("the file lacks its numbers")
        array = np.array(arrays["value"])
        if isinstance(self.value, Tensor):
            return lambda: (Tensor(array),)
        return lambda: (array if isinstance(self.value, np.ndarray) else array[()],)


class PlainEntry(Entry):
    """A Python value that JSON holds as it is."""

    kind = "value"

    def write(self, names: Mapping[Variable, str]) -> tuple[dict[str, Any], Arrays]:
        """The value itself."""
        return {"value": self.value}, {}

    def prepare(self, facts: Mapping[str, Any], arrays: Arrays, own: Mapping[str, Variable]) -> Change:
        """The value must be there."""
        value = facts["value"]
        return lambda: (value,)


OBJECTS: tuple[tuple[type, type[Entry]], ...] = (
    (Layer, LayerEntry), (Optimizer, OptimizerEntry), (Metric, MetricEntry), (Variable, VariableEntry),
    (SeedGenerator, SeedEntry), (np.random.Generator, GeneratorEntry), (Tensor, ArrayEntry), (np.ndarray, ArrayEntry),
    (np.generic, ArrayEntry),
)  # fmt: skip
KINDS = {entry.kind for _, entry in OBJECTS} | {PlainEntry.kind}


def entry_of(name: str, value: Any) -> Entry:
    """The entry for a value. Raises `TypeError` for what a checkpoint cannot hold."""
    entry = next((entry for known, entry in OBJECTS if isinstance(value, known)), PlainEntry)
    if entry is PlainEntry:
        _check_plain(name, value)
    array = value.array if isinstance(value, Tensor) else value
    if array is None and value is not None:
        raise TypeError(f"Checkpoint: '{name}' is a symbolic tensor, which has no value yet")
    if isinstance(array, (np.ndarray, np.generic)) and array.dtype.kind not in "biufc":
        raise TypeError(f"Checkpoint: '{name}' is an array of {array.dtype}; expected numbers")
    return entry(name, value)


def _check_plain(name: str, value: Any) -> None:
    if value is None or type(value) in (bool, int, float, str):
        return
    if type(value) is list:
        for i, child in enumerate(value):
            _check_plain(f"{name}[{i}]", child)
        return
    if type(value) is dict and all(type(key) is str for key in value):
        for key, child in value.items():
            _check_plain(f"{name}[{key!r}]", child)
        return
    raise TypeError(
        f"Checkpoint: '{name}' is a {type(value).__name__}; a checkpoint holds models, layers, optimizers, metrics, "
        "variables, seed generators, NumPy generators, tensors, arrays, and numbers, strings, None, lists and "
        "dictionaries (by strings) of these last; give each object a name of its own"
    )
