"""Which engine runs a model's training and evaluation steps: NumPy, or onnxruntime with the step compiled whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..exporters.runtime import engine_device
from ..trainer.core import tree
from ..trainer.core.device import asked_device
from .flat_step import PlainSteps
from .function import Compiled, are_like, arrays_of, kinds_of, signature_of, try_compile, warn_not_compiled
from .settings import plain_values, read_settings

LEAST_SECONDS = 3.0
"""With "auto", training that NumPy would finish sooner is not compiled: making and measuring a session takes time."""
SECONDS_A_LAYER = 0.003
"""What making a session costs for each layer: 2 to 8 ms where it was measured, more for recurrent ones."""
SHARE = 0.25
"""With "auto", the share of what training will take on NumPy that making a session may cost: it may not pay."""
MEASURED = 4
"""Steps of each engine that are timed; the fastest counts."""
SEEN_OFTEN = 3
"""Batches of a further shape (the last of an epoch) run on NumPy until there were so many of them."""

KEPT = 1 << 26
"""Bytes of variables that onnxruntime may keep, twice, after a training."""


class Steps:
    """Runs one kind of step (`train_step`, `test_step`) of a model, compiled where that is asked for and possible."""

    def __init__(self, model: Any, name: str, mode: Any, flat: bool = True) -> None:
        self.model = model
        self.plain = PlainSteps(model, name, flat)
        self.name = name
        self.mode = mode
        self.device = asked_device()
        self.traces: dict[Any, Compiled | None] = {}
        self.seen: dict[Any, int] = {}
        self.marks: Any = None
        self.choice: bool | None = None if mode == "auto" else bool(mode)
        self.timings: dict[bool, list[float]] = {False: [], True: []}
        self.steps_left = 0
        self.least: float | None = None
        self.error: Exception | None = None
        self.is_undisturbed = False
        self.latest: tuple[list[Any], Compiled] | None = None

    def begin_epoch(self, is_undisturbed: bool = False) -> Callable[[Any], Any]:
        """The step to run; traces are forgotten when layers, optimizer or losses are not as they were.

        is_undisturbed: nobody can change the model between the steps of this epoch
        """
        self.plain.begin_epoch(is_undisturbed)
        self.is_undisturbed, self.latest = is_undisturbed, None
        training = self.model._steps.get("train_step")
        if self.choice is False or (training is not self and training is not None and not training.choice):
            return self.plain  # evaluation goes the way that training found to be the better
        self.device = asked_device()
        if self.device == "cuda":
            engine_device(self.device)  # a GPU that is not there is told before the first step changes the weights
        marks = self.device, python_state(self.model), read_settings(self.model)
        if self.marks is not None and marks != self.marks:
            self.traces.clear()
        self.marks = marks
        return self

    def __call__(self, data: Any) -> Any:
        """One step; returns the logs."""
        self.steps_left -= 1
        if self.latest is not None and type(data) is tuple and are_like(data, self.latest[0]):
            return self.latest[1].logs(arrays_of(list(data)))
        leaves = tree.flatten(list(data))
        key = (signature_of(leaves), tuple([id(v) for v in self.model.trainable_variables]))
        count = self.seen[key] = self.seen.get(key, 0) + 1
        python_step = self.plain
        if self.choice is None:
            return self._measure(python_step, data, leaves, key)
        if key not in self.traces and (count == 1 or (self.traces and count <= SEEN_OFTEN)):
            return python_step(data)  # makes weights and the optimizer's state
        compiled = self._compiled(python_step, data, key) if self.choice else None
        if compiled is None:
            return self._plain(python_step, data)
        kinds = kinds_of(data) if self.is_undisturbed else None
        if kinds is not None:
            self.latest = kinds, compiled
        return compiled.logs(arrays_of(leaves))

    def _compiled(self, python_step: Callable[[Any], Any], data: Any, key: Any) -> Compiled | None:
        if key not in self.traces:
            self.traces[key], self.error = try_compile(getattr(self.model, self.name), (data,), {}, self.device)
        return self.traces[key]

    def _plain(self, python_step: Callable[[Any], Any], data: Any) -> Any:
        """A step on NumPy; where it works and compiling did not, that is said once, and NumPy trains on."""
        result = python_step(data)
        if self.error is not None:
            warn_not_compiled(f"model '{self.model.name}': {self.name}", self.error)
            self.error, self.choice = None, False
        return result

    def _measure(self, python_step: Callable[[Any], Any], data: Any, leaves: list[Any], key: Any) -> Any:
        """Steps while it is open which engine is faster: the first ones on NumPy, the next ones compiled."""
        plain, compiled = self.timings[False], self.timings[True]
        if len(plain) <= MEASURED:  # the very first step makes weights and does not count
            return self._timed(plain, lambda: python_step(data))
        fastest = min(plain[1:])
        if self.least is None:
            making = len(self.model.walk_layers()) * SECONDS_A_LAYER
            self.least = max(LEAST_SECONDS, making / SHARE)
        if fastest * self.steps_left < self.least:
            return python_step(data)
        trace = self._compiled(python_step, data, key)
        if trace is None:
            return self._plain(python_step, data)
        result = self._timed(compiled, lambda: trace(arrays_of(leaves)))
        if len(compiled) > MEASURED:
            self.choice = min(compiled[1:]) < fastest
            if not self.choice:
                self.release()
        return result

    def _timed(self, durations: list[float], run: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = run()
        durations.append(time.perf_counter() - start)
        return result

    def release(self) -> None:
        """Bring the values of all variables back to Python, at the end of a training.

        Where they are small they stay, for the next call to find: each is brought back when somebody looks at it.
        """
        for compiled in self.traces.values():
            if compiled is not None and (not self.choice or compiled.nbytes > KEPT):
                compiled.release()


def python_state(model: Any) -> list[Any]:
    """Plain values in the attributes of layers, optimizer and losses: a trace has them fixed."""
    loss = getattr(model, "_compiled_loss", None)
    holders = [*model.walk_layers(), model.optimizer, *([] if loss is None else loss.losses)]
    return [x for holder in holders if holder is not None for x in plain_values(holder)]
