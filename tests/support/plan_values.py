"""Sizes, arrays and errors of random plans: what is drawn for a plan, and how results are held against each other."""

from __future__ import annotations

import os
import traceback
from random import Random
from typing import Any

import numpy as np
from model_plans import ModelPlan

import sardonyx as sx
from sardonyx.trainer.core import tree
from sardonyx.trainer.core.dims import Dim, evaluate, names

PACKAGE = os.path.dirname(os.path.abspath(sx.__file__)) + os.sep
Binding = dict[str, int]


class PlanError(AssertionError):
    """A property that does not hold for a plan."""


def fail(kind: str, plan: ModelPlan, detail: Any) -> None:
    """Raise with the plan as a table's line."""
    raise PlanError(f"{kind}: {detail}\n  plan: {plan!r}")


def is_ours(error: BaseException) -> bool:
    """Whether an error was raised by a sentence of the library: the last line of its traceback is a `raise` of ours."""
    if not isinstance(error, (ValueError, TypeError, NotImplementedError)):
        return False
    last = traceback.extract_tb(error.__traceback__)[-1]
    return last.filename.startswith(PACKAGE) and (last.line or "").startswith("raise")


def size_names(inputs: list[Any]) -> list[str]:
    """The names of sizes in the shapes of inputs."""
    return sorted({name for x in inputs for size in x.shape for name in names(size)})


def draw_bindings(r: Random, inputs: list[Any], count: int, empty: bool) -> list[Binding]:
    """Sizes for all names: small ones, all 1 once, an empty batch sometimes."""
    found = size_names(inputs)
    bindings = [{name: r.choice([1, 2, 3, 3, 4, 5, 6, 7]) for name in found} for _ in range(count)]
    if r.random() < 0.5:
        bindings[-1] = dict.fromkeys(found, 1)
    if empty and r.random() < 0.3 and "batch" in found:
        bindings[0] = {**bindings[0], "batch": 0}
    return bindings


def draw_arrays(plan: ModelPlan, inputs: list[Any], binding: Binding, seed: int) -> list[np.ndarray]:
    """Input arrays of the sizes of a binding."""
    generator = np.random.default_rng(seed)
    arrays = []
    for x in inputs:
        shape = shape_at(x, binding)
        if x.dtype.kind == "f":
            arrays.append(generator.normal(size=shape).astype(x.dtype))
        else:
            arrays.append(generator.integers(0, 5, shape).astype(x.dtype))
    return arrays


def shape_at(x: Any, binding: Binding) -> tuple[int, ...]:
    """The shape that was promised, as numbers."""
    return tuple(evaluate(size, binding) if isinstance(size, Dim) else size for size in x.shape)


def flat_arrays(outputs: Any) -> list[np.ndarray]:
    """Results as a list of arrays, in the order of `tree.flatten`."""
    return [np.asarray(x) for x in tree.flatten(outputs)]


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal up to rounding, on the scale of the array."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    scale = float(np.abs(a[np.isfinite(a)]).max(initial=1.0)) if a.size else 1.0
    return bool(np.allclose(a, b, rtol=1e-3, atol=2e-4 * scale, equal_nan=True))


def arrays_in_order(running: Any, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Arrays for the inputs of a session, which are named input_0, input_1, ..."""
    return [arrays[int(x.name.rsplit("_", 1)[1])] for x in running.get_inputs()]
