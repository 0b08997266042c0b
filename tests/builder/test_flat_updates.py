"""Small variables that compiled steps update side by side: the same values as alone, whoever else works on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.exporters import resident
from sardonyx.exporters.convert import DEFAULT_OPSET
from sardonyx.exporters.engine import ROWS_ON_GPU
from sardonyx.exporters.passes.flat_updates import flatten_updates
from sardonyx.exporters.resident import Resident
from sardonyx.exporters.state_graph import StateGraph

ONE = np.ones((), "float32")
SHAPES = ((8, 4), (32,), (2, 4, 4), (64,))
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: sx.optimizers.SGD(0.1),
    "nesterov": lambda: sx.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: sx.optimizers.Adam(0.1),
    "adamw": lambda: sx.optimizers.AdamW(0.1),
    "clipped": lambda: sx.optimizers.Adam(0.1, global_clipnorm=0.5),
    "clipped alone": lambda: sx.optimizers.Adam(0.1, clipnorm=0.5),
    "averaged": lambda: sx.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5),
    "accumulating": lambda: sx.optimizers.Adam(0.1, gradient_accumulation_steps=2),
    "lion": lambda: sx.optimizers.Lion(0.1),
    "adamax": lambda: sx.optimizers.Adamax(0.1),
    "rmsprop": lambda: sx.optimizers.RMSprop(0.1, momentum=0.5),
}
ALONE = ("clipped alone", "accumulating")
"""Those whose updates differ by more than the shape: a factor of each variable's own, or a branch around them."""


def some_variables() -> list[sx.Variable]:
    """Variables of several shapes with values of their own."""
    random = np.random.default_rng(0)
    return [
        sx.Variable(random.standard_normal(shape).astype("float32"), name=f"v{i}") for i, shape in enumerate(SHAPES)
    ]


def step_for(variables: list[sx.Variable], optimizer: Any) -> Callable[[Any], Any]:
    """A training step of the variables towards a number."""
    optimizer.build(variables)

    def step(x: Any) -> Any:
        with sx.GradientTape() as tape:
            loss = sum((sx.ops.sum(sx.ops.square(v - x)) for v in variables), sx.ops.zeros(()))
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return step


def is_beside(variable: sx.Variable) -> bool:
    """Whether an engine keeps the variable in a row."""
    return isinstance(variable._home, Resident) and variable._home.row is not None


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_side_by_side_are_those_of_numpy(name: str) -> None:
    here, there = some_variables(), some_variables()
    plain, compiled = step_for(here, OPTIMIZERS[name]()), sx.function(step_for(there, OPTIMIZERS[name]()))
    for x in [np.full((), i / 7, "float32") for i in range(7)]:
        np.testing.assert_allclose(np.asarray(compiled(x)), np.asarray(plain(x)), rtol=1e-5)
    assert [is_beside(v) for v in there] == [name not in ALONE] * len(SHAPES)
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-5, atol=1e-6)


def test_small_variables_lie_side_by_side() -> None:
    variables = [*some_variables(), sx.Variable(np.ones((2049, 2048), "float32"))]
    step = sx.function(step_for(variables, sx.optimizers.Adam()))
    for _ in range(3):
        step(ONE)
    assert [is_beside(v) for v in variables] == [True, True, True, True, False]
    first = variables[0]._home
    assert isinstance(first, Resident) and first.row is not None
    assert first.row.buffers.values[0].shape()[0] == sum(int(np.prod(shape)) for shape in SHAPES)


def test_steps_that_want_different_rows_take_turns() -> None:
    here, there = some_variables(), some_variables()
    steps: list[list[Callable[[Any], Any]]] = []
    for variables in (here, there):
        made = [step_for(variables[a:b], sx.optimizers.Adam(0.1)) for a, b in ((0, 4), (1, 2), (1, 3), (2, 4))]
        steps.append(made if variables is here else [sx.function(step) for step in made])
    for turn, which in enumerate((0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 0, 1, 2, 3, 2, 0)):
        x = np.full((), turn, "float32")
        np.testing.assert_allclose(np.asarray(steps[1][which](x)), np.asarray(steps[0][which](x)), rtol=1e-5)
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-5, atol=1e-6)


def test_a_value_assigned_from_python_is_seen_in_its_row() -> None:
    here, there = some_variables(), some_variables()
    plain, compiled = step_for(here, sx.optimizers.Adam(0.1)), sx.function(step_for(there, sx.optimizers.Adam(0.1)))
    for turn in range(4):
        if turn == 2:
            for variables in (here, there):
                variables[1].assign(np.full(32, 3.0, "float32"))
        np.testing.assert_allclose(np.asarray(compiled(ONE)), np.asarray(plain(ONE)), rtol=1e-5)
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-5, atol=1e-6)


def test_training_steps_keep_no_second_memory_for_their_values() -> None:
    step = sx.function(step_for(some_variables(), sx.optimizers.Adam()))
    for _ in range(2):
        step(ONE)
    (compiled,) = step.traces.values()
    assert not compiled.engine.running.get_session_options().enable_mem_pattern


def test_values_on_a_device_of_its_own_are_read_and_written_in_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's memory is no array of NumPy's; here the CPU's plays its part."""
    made = resident.device_value
    monkeypatch.setattr(resident, "device_value", lambda array, device: made(array.copy(), "cpu"))
    variables = some_variables()
    before = [v.numpy() for v in variables]
    row = resident.resident_row(variables, "cuda")
    assert row.buffers.arrays is None and resident.resident_row(variables, "cuda") is row
    variables[1].assign(np.full(32, 7.0, "float32"))
    assert row.homes[1].stale
    resident.bring_over(row.homes)
    assert not row.homes[1].stale
    expected = [*before[:1], np.full(32, 7.0, "float32"), *before[2:]]
    for home, value in zip(row.homes, expected, strict=True):
        np.testing.assert_array_equal(home.fetch(), value)
    np.testing.assert_array_equal(row.buffers.values[0].numpy(), np.concatenate([x.reshape(-1) for x in expected]))


def test_rows_of_a_gpu_hold_large_variables_that_leave_their_neighbours_aligned() -> None:
    variables = [sx.Variable(np.ones(shape, "float32")) for shape in ((300, 200), (64,), (5,), (16, 4), (2, 16))]
    step = step_for(variables, sx.optimizers.SGD(0.1))
    state = StateGraph(sx.trace(step, sx.TensorSpec(())))
    names = {state.names[v]: state.new_name(v) for v in state.assigned}
    (row,) = flatten_updates(state.lower(on_gpu=True), DEFAULT_OPSET, names, **ROWS_ON_GPU)
    assert row.states == [state.names[variables[i]] for i in (0, 1, 3, 4)]
