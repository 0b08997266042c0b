"""Training and evaluation steps on NumPy without tape and layers: a step of the same kind again is a list of calls."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Sequence
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from ..trainer.core import tree
from ..trainer.core.spec import TensorSpec
from ..trainer.core.state import state
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import trace
from ..trainer.core.variable import Variable
from ..trainer.loop import steps
from . import later
from .function import are_like, is_flat, kinds_of, signature_of
from .settings import is_users, own_functions
from .tracking import leaves

SEEN = 16
"""Steps of one kind that run as Python before the next is made flat, which takes as long as about thirty of them."""
FAILURES = 3
"""Batches on which a program may fail before it is given up."""
TIMED = 4
"""Steps of either way that are timed; the fastest counts."""
SLOWER = 1.15
"""How much slower than Python's a program's fastest step must be to be given up: clocks of busy machines err as far."""
PROGRAMS = 4
"""Kinds of batches that have a program each; further ones run as Python."""
PASSING = frozenset({
    "_calls", "_call_losses", "_untracked_loss", "_rehearsals", "_steps", "_settled", "_view", "_arguments", "history",
    "stop_training", "_sessions", "_plan", "_recorded", "built",
})  # fmt: skip
"""Attributes of the library's own that change from step to step and say nothing about what a step computes."""


class FlatStep:
    """One kind of step for batches of one kind: gradients and metrics as a flat program, then the optimizer."""

    def __init__(self, model: Any, name: str, data: Any) -> None:
        self.model = model
        self.name = name
        self.variables: list[Variable] = list(model.trainable_variables) if name == "train_step" else []
        specs = tree.map_structure(_spec, list(data))
        graph = trace(lambda *parts: _computed(model, name, parts, self.variables), *specs)
        found = [i for i, x in enumerate(graph.outputs[0]) if x is not None]
        places = model.optimizer.gradient_memory(self.variables) if self.variables else []
        wanted = [places[i] for i in found]
        self.program = later.FlatProgram(graph, {i: place for i, place in enumerate(wanted) if place is not None})
        slots = self.program.results
        self.gradients: list[Tensor | None] = [None] * len(self.variables)
        self.gradient_slots: list[Any] = [None] * len(self.variables)
        for i, slot in zip(found, slots, strict=False):
            self.gradients[i], self.gradient_slots[i] = Tensor(slot.array), slot
        self.made_anew = [(i, slot) for i, slot in zip(found, slots, strict=False) if not slot.is_fixed]
        self.structure = graph.outputs[1]
        self.logs = slots[len(found) :]
        self.names = list(self.structure) if is_flat(self.structure) else None

    def finish(self) -> Any:
        """What follows a run of the program: the update and the next values of state; returns the logs."""
        program = self.program
        logs = [slot.array.item() if not slot.array.ndim else slot.array.copy() for slot in self.logs]
        if self.variables:
            gradients = list(self.gradients)
            for i, slot in self.made_anew:
                gradients[i] = Tensor(slot.array)
            self.model.optimizer.apply(gradients, self.variables)
        program.commit()
        if self.names is not None:
            return dict(zip(self.names, logs, strict=True))
        return tree.pack_sequence_as(self.structure, logs)

    def beside_python(self, data: Any) -> tuple[Any, bool]:
        """The step as Python runs it, after a run of the program; its logs, and whether both made the same bits."""
        model, program = self.model, self.program
        if self.name == "train_step":
            gradients, seen = steps.gradients_of(model, data)
            pairs = [(x, slot) for x, slot in zip(gradients, self.gradient_slots, strict=True) if x is not slot]
            is_equal = all(x is not None and slot is not None and _are_equal(x.array, slot.array) for x, slot in pairs)
            model.optimizer.apply(gradients, self.variables)
            logs = model.compute_metrics(*seen)
        else:
            logs, is_equal = model.test_step(data), True
        is_equal = is_equal and all(_are_equal(v.array, slot.array) for v, slot in program.assigned)
        found = tree.flatten(logs)
        is_equal = is_equal and all(_are_equal(_array(x), s.array) for x, s in zip(found, self.logs, strict=True))
        program.clear()
        return logs, is_equal


def _are_equal(x: Any, y: Any) -> bool:
    return np.array_equal(x, y, equal_nan=x.dtype.kind in "fc")


def _array(leaf: Any) -> Any:
    return leaf.array if isinstance(leaf, Tensor) else np.asarray(leaf)


def _spec(leaf: Any) -> Any:
    return TensorSpec(leaf.shape, leaf.dtype) if isinstance(leaf, (Tensor, np.ndarray)) else leaf


def _computed(model: Any, name: str, data: Any, variables: list[Variable]) -> Any:
    """Gradients (none in evaluation) and logs of a batch."""
    if name != "train_step":
        return [], model.test_step(data)
    gradients, seen = steps.gradients_of(model, data, variables)
    return gradients, model.compute_metrics(*seen)


class Watch:
    """Whether all that a program has fixed is as it was: attributes of layers, losses and metrics, by identity."""

    def __init__(self, model: Any) -> None:
        self.homes = [vars(holder) for holder in holders_of(model)]
        self.lengths = [len(home) for home in self.homes]
        self.readers = [_reader(home) for home in self.homes]
        self.variables = list(model.trainable_variables)
        self.model = model
        self.values = self._values()

    def _values(self) -> list[Any]:
        found: list[Any] = []
        for reader, home in zip(self.readers, self.homes, strict=True):
            found += reader(home)
        for value in [x for x in found if type(x) in (list, dict, set)]:
            found += value.values() if type(value) is dict else value
        return found

    def is_unchanged(self) -> bool:
        """Whether the next step computes what the program does."""
        try:
            values = self._values()
        except KeyError:
            return False
        variables = self.model.trainable_variables
        return (
            len(values) == len(self.values) and all(map(operator.is_, values, self.values))
            and list(map(len, self.homes)) == self.lengths
            and len(variables) == len(self.variables) and all(map(operator.is_, variables, self.variables))
        )  # fmt: skip


def _reader(home: dict[str, Any]) -> Callable[[Any], tuple[Any, ...]]:
    names = [name for name in home if name not in PASSING]
    if len(names) > 1:
        return operator.itemgetter(*names)
    return lambda held: tuple([held[name] for name in names])


def holders_of(model: Any) -> list[Any]:
    """Layers, losses and metrics of a model: what its steps are made of, the optimizer left out."""
    loss, metrics = model._compiled_loss, model._compiled_metrics
    held = [*([] if loss is None else [loss, *loss.losses]), *([] if metrics is None else [metrics]), *model.metrics]
    return list({id(x): x for x in [*model.walk_layers(), *held] if x is not None}.values())


def is_the_librarys(model: Any) -> bool:
    """Whether a step runs the library's code alone, which does nothing that a trace does not see."""
    holders = [*holders_of(model), model.optimizer]
    held = [[value for name, value in vars(holder).items() if name not in PASSING] for holder in holders]
    values = list(leaves(held, set()))
    parts = [part for v in model.variables for part in (v.regularizer, v.constraint)]
    return not any(_is_users(x) for x in [*holders, *values, *parts])


def _is_users(value: Any) -> bool:
    if isinstance(value, MethodType):
        value = value.__func__
    if isinstance(value, FunctionType):
        return is_users(value)
    return hasattr(value, "__dict__") and not isinstance(value, type) and bool(own_functions(type(value)))


class PlainSteps:
    """Steps of a model on NumPy: as Python runs them, and flat where that is the same and measured to be faster."""

    def __init__(self, model: Any, name: str, allowed: bool) -> None:
        self.model = model
        self.name = name
        self.allowed = allowed
        self.seen: dict[Any, int] = {}
        self.programs: dict[Any, _Trial | None] = {}
        self.watch: Watch | None = None
        self.is_undisturbed = False
        self.latest: tuple[list[Any], _Trial] | None = None

    def begin_epoch(self, is_undisturbed: bool) -> None:
        """Look once whether programs still serve; where nothing can act between steps, once is enough."""
        self.is_undisturbed = is_undisturbed
        if self.watch is not None and not self.watch.is_unchanged():
            self.forget()

    def __call__(self, data: Any) -> Any:
        """One step; returns the logs."""
        step = getattr(self.model, self.name)
        if not self.allowed or state.traces or state.tapes:
            return step(data)
        if self.watch is not None and not self.is_undisturbed and not self.watch.is_unchanged():
            self.forget()
        latest = self.latest
        if latest is not None and type(data) is tuple and are_like(data, latest[0]):
            return latest[1](step, data, data)
        parts = tree.flatten(list(data))
        key = signature_of(parts)
        trial = self.programs.get(key)
        if trial is None:
            count = self.seen[key] = self.seen.get(key, 0) + 1
            if key in self.programs or count <= SEEN or len(self.programs) >= PROGRAMS:
                return step(data)
            trial = self._make(key, data)
            if trial is None:
                return step(data)
        kinds = kinds_of(data)
        if kinds is not None:
            self.latest = kinds, trial
        return trial(step, data, parts)

    def _make(self, key: Any, data: Any) -> _Trial | None:
        """A program for batches of this kind; None, once and for all, where there can be none."""
        if self.watch is None:
            self.allowed = is_the_librarys(self.model)
        self.programs[key] = None
        if self.allowed:
            try:
                self.programs[key] = _Trial(FlatStep(self.model, self.name, data))
            except Exception:  # whatever a trace or a program cannot do, Python can
                return None
            self.watch = Watch(self.model)
        return self.programs[key]

    def forget(self) -> None:
        """Let go of all programs; they are made anew when steps of their kind come again."""
        self.programs.clear()
        self.seen.clear()
        self.watch = self.latest = None


class _Trial:
    """A flat step, and whether it is the faster way."""

    def __init__(self, step: FlatStep) -> None:
        self.step: FlatStep | None = step
        self.plain: list[float] = []
        self.flat: list[float] = []
        self.failures = 0
        self.filled = 0.0

    def __call__(self, python_step: Callable[[Any], Any], data: Any, parts: Sequence[Any]) -> Any:
        step = self.step
        if step is None or not self._fill(step, parts):  # what is wrong with a batch, Python's step says better
            return python_step(data)
        if len(self.flat) >= TIMED:
            return step.finish()
        is_flat = len(self.plain) > len(self.flat)
        start = time.process_time()
        logs, is_equal = (step.finish(), True) if is_flat else step.beside_python(data)
        (self.flat if is_flat else self.plain).append(time.process_time() - start + self.filled * is_flat)
        if not is_equal or (len(self.flat) >= TIMED and min(self.flat) > SLOWER * min(self.plain)):
            self.step = None
        return logs

    def _fill(self, step: FlatStep, parts: Sequence[Any]) -> bool:
        """Run the program on a batch; whether that could be done."""
        start = None if len(self.flat) >= TIMED else time.process_time()
        given: list[Any] = [x for x in parts if isinstance(x, (Tensor, np.ndarray))]
        try:
            arrays: list[Any] = [x.array if isinstance(x, Tensor) else x for x in given]
            step.program.run(arrays)
        except Exception:
            step.program.clear()
            self.failures += 1
            if self.failures > FAILURES:
                self.step = None
            return False
        if start is not None:
            self.filled = time.process_time() - start
        return True
