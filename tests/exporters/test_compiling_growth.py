"""What makes a compiled step does work in proportion to its layers: counted are Python's own operations, not time."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.exporters import engine
from sardonyx.exporters.convert import DEFAULT_OPSET
from sardonyx.exporters.passes import pipeline
from sardonyx.exporters.passes.flat_updates import flatten_updates
from sardonyx.exporters.passes.scope import Scope
from sardonyx.exporters.serialize import model_proto
from sardonyx.exporters.state_graph import StateGraph
from sardonyx.trainer.core.graph import Graph
from sardonyx.trainer.core.trace import trace

SMALL, LARGE = 18, 36


def step_graph(depth: int) -> Graph:
    """The graph of a training step of a stack of dense layers, each added to what it was given, with Adam."""
    inputs = x = sx.Input((3,))
    for _ in range(depth):
        x = x + sx.layers.Dense(3, activation="tanh")(x)
    model = sx.Model(inputs, x)
    optimizer = sx.optimizers.Adam()
    optimizer.build(model.trainable_variables)

    def step(x: Any) -> Any:
        with sx.GradientTape() as tape:
            loss = sx.ops.mean(sx.ops.square(model(x, training=True)))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    return trace(step, sx.TensorSpec((4, 3), np.dtype("float32")))


class Counted:
    """Python's operations (bytecodes) of the exporters while functions run, by name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.total = 0

    def run(self, name: str, action: Callable[..., Any], *arguments: Any) -> Any:
        """The result of an action, whose operations are counted under a name."""
        before, start = sys.gettrace(), self.total
        sys.settrace(self._enter)
        try:
            return action(*arguments)
        finally:
            sys.settrace(before)
            self.counts[name] += self.total - start

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_globals.get("__name__", "").startswith("sardonyx.exporters"):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._each

    def _each(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.total += 1
        return self._each


def operations(depth: int, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Operations of each part of making the ONNX model of a step."""
    graph, counted = step_graph(depth), Counted()
    everywhere = pipeline._everywhere

    def counting(scope: Scope, change: Any) -> bool:
        return counted.run(change.__name__, everywhere, scope, change)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "_everywhere", counting)
        state = counted.run("state", StateGraph, graph)
        lowered = counted.run("lower", state.lower)
        names = {state.names[v]: state.new_name(v) for v in state.assigned}
        rows = counted.run("flat_updates", flatten_updates, lowered, DEFAULT_OPSET, names)
        counted.run("proto", model_proto, lowered, DEFAULT_OPSET, {})
    assert len(rows) == 3 and len(rows[0].states) == 2 * depth
    return counted.counts


def test_operations_grow_with_the_number_of_layers(monkeypatch: pytest.MonkeyPatch):
    engine.Engine(step_graph(2))  # fills the caches
    operations(2, monkeypatch)  # Python 3.12 counts operations only from the second time on that it is asked to
    small, large = operations(SMALL, monkeypatch), operations(LARGE, monkeypatch)
    assert set(small) >= {"lower", "flat_updates", "proto", "merge_duplicates", "turn_operands", "fuse_gemm"}
    growth = {name: round(large[name] / small[name], 2) for name in large}
    assert max(growth.values()) < 2.05, growth


def test_a_step_on_the_cpu_is_not_looked_through_by_onnxruntime(monkeypatch: pytest.MonkeyPatch):
    made: list[dict[str, Any]] = []
    session = engine.session
    monkeypatch.setattr(engine, "session", lambda model, **options: made.append(options) or session(model, **options))
    engine.Engine(step_graph(2))
    assert [options["optimize"] for options in made] == [False]
