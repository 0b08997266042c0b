"""Whether a program of the corpus gives the same eagerly, as a graph on NumPy and in onnxruntime; gradients too."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import numpy as np
from conversion_programs.program import Program

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import run_graph


def weighted_sum(results: Any) -> Any:
    """A scalar to which every floating-point element of the results counts differently."""
    total = ops.zeros(())
    for x in sx.tree.flatten(results):
        if isinstance(x, sx.Tensor) and x.dtype.kind == "f":
            total = total + ops.sum(x * ops.cos(ops.cast(ops.arange(1, x.size + 1), x.dtype)).reshape(x.shape))
    return total


def gradient_of(program: Any) -> Callable[..., Any]:
    """Gradients of the weighted sum of a program's results for its floating-point inputs and its weights."""
    weights = list(getattr(program, "trainable_variables", []))

    def gradient(*arguments):
        sources = [x for x in sx.tree.flatten(list(arguments)) if x.dtype.kind == "f"]
        with sx.GradientTape() as tape:
            tape.watch(sources)
            total = weighted_sum(program(*arguments))
        found = tape.gradient(total, [*sources, *weights], unconnected_gradients="zero")
        return list(found)

    return gradient


def outcome_of_graph(program: Program) -> list[tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]]:
    """For each input the results of Python, of the traced graph on NumPy, and of the graph in onnxruntime."""
    function = prepared(program)
    return _compared(program, function)


def outcome_of_gradient(program: Program) -> list[tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]]:
    """The same for gradients."""
    return _compared(program, gradient_of(prepared(program)))


def prepared(program: Program) -> Any:
    """The function, or the model with its weights built and set to numbers that repeat."""
    made = program.make()
    if isinstance(made, sx.Model):
        generator = np.random.default_rng(4)
        with quiet():
            made(*sx.tree.map_structure(sx.Tensor, list(program.inputs[0])))
        for weight in made.trainable_variables:
            weight.assign(generator.uniform(-1, 1, weight.shape).astype(np.float32))
        reset(made)
    return made


def reset(made: Any) -> None:
    """Put what a model counts back to its start."""
    for variable in getattr(made, "non_trainable_variables", []):
        variable.assign(np.zeros(variable.shape, variable.dtype))


def _compared(program: Program, function: Any) -> list[Any]:
    with quiet():
        graph = sx.trace(function, *specs_of(program, function))
        runs = []
        for arguments in program.inputs:
            flat = list(sx.tree.flatten(list(arguments)))
            owner = getattr(function, "__self__", function)
            results = []
            for run in (
                lambda a=arguments: function(*sx.tree.map_structure(sx.Tensor, list(a))),
                lambda f=flat: graph.run(*f),
                lambda f=flat: run_graph(graph, *f),
            ):
                reset(owner)
                results.append([np.asarray(x) for x in sx.tree.flatten(run())])
            runs.append(tuple(results))
    return runs


def specs_of(program: Program, function: Any) -> list[Any]:
    """Specs of the arguments; the batch of models and the axes that are `free` have no known size."""
    free = program.free or ({0: 0} if isinstance(function, sx.Model) else {})

    def spec(place: int, x: np.ndarray) -> sx.TensorSpec:
        sizes = tuple(f"size_of_{place}" if free.get(place) == axis else size for axis, size in enumerate(x.shape))
        return sx.TensorSpec(sizes, x.dtype)

    return [sx.tree.map_structure(lambda x, i=i: spec(i, x), value) for i, value in enumerate(program.inputs[0])]


def differences(runs: list[Any], tolerance: float) -> list[str]:
    """What differs, in words; empty when all three agree on every input."""
    found = []
    for i, (eager, on_numpy, on_runtime) in enumerate(runs):
        for name, results in (("graph on NumPy", on_numpy), ("onnxruntime", on_runtime)):
            if len(results) != len(eager):
                found.append(f"input {i}: {name} gives {len(results)} results, Python {len(eager)}")
                continue
            for expected, result in zip(eager, results, strict=True):
                scale = max(1.0, float(np.abs(expected).max(initial=0)))
                same = expected.shape == result.shape and np.allclose(result, expected, tolerance, tolerance * scale)
                if not same:
                    found.append(f"input {i}: {name} gives {result!r}, Python {expected!r}")
    return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what programs print."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def lines_not_reached(program: Program) -> dict[str, list[int]]:
    """Lines of the covered functions, those inside them included, that no input reaches when Python runs them."""
    wanted: dict[CodeType, set[int]] = {}
    for function in program.covers:
        for code in _codes(function.__code__):
            wanted[code] = {line for _, _, line in code.co_lines() if line and line != code.co_firstlineno}

    def watch(frame: Any, event: str, _: Any) -> Any:
        if frame.f_code not in wanted:
            return None
        if event == "line":
            wanted[frame.f_code].discard(frame.f_lineno)
        return watch

    made = prepared(program)
    before = sys.gettrace()
    sys.settrace(watch)
    try:
        with quiet():
            for arguments in program.inputs:
                made(*sx.tree.map_structure(sx.Tensor, list(arguments)))
    finally:
        sys.settrace(before)
    return {code.co_qualname: sorted(lines) for code, lines in wanted.items() if lines}


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for part in code.co_consts:
        if isinstance(part, CodeType) and part.co_name not in ("<lambda>", "<genexpr>", "<listcomp>", "<dictcomp>"):
            yield from _codes(part)
