"""ONNX's own test cases on the NumPy core: all pass but those listed here, each with a reason."""

import numpy as np
import onnx
import pytest
from onnx_cases import Case, cases, difference

from sardonyx.exporters import backend, run_graph
from sardonyx.exporters.importer import Program
from sardonyx.exporters.operators import Sizes, UnsupportedOperatorError
from sardonyx.trainer.core import tree
from sardonyx.trainer.core.constants import own_constant
from sardonyx.trainer.core.graph import Graph
from sardonyx.trainer.core.tensor import Tensor
from sardonyx.trainer.core.trace import Trace, symbolic_input

RANDOM = "random numbers, which every implementation draws in its own way"
ROUNDING = "expects 1.9e-7, a rounding error, where zero is exact, and allows 1e-7"

EXCEPTIONS = {
    **dict.fromkeys([f"test_bernoulli{kind}{form}" for kind in ("", "_double", "_seed") for form in ("", "_expanded")],
                    RANDOM),
    **dict.fromkeys([f"test_training_dropout{kind}{form}" for kind in ("", "_default") for form in ("", "_mask")],
                    RANDOM),
    "test_dft_inverse": ROUNDING,
    "test_dft_inverse_opset19": ROUNDING,
}  # fmt: skip

PASSED = {"node": 1835, "simple": 21, "pytorch-operator": 35, "pytorch-converted": 82}
"""How many cases of ONNX's own domain pass with onnx 1.23."""


AS_GRAPHS = {"node": 1292, "simple": 13, "pytorch-operator": 34, "pytorch-converted": 80}
"""How many of them give the same as graphs, their floating-point inputs symbolic; the others need some as constants."""

EXPORTED = 17
"""One graph of so many is written to a file, too, and run by onnxruntime."""

NO_FILE = {
    **dict.fromkeys(
        ("test_bitcast_float32_to_int32", "test_bitcast_float64_to_int64", "test_bitcast_2d_float32_to_int32",
         "test_bitcast_scalar_float32_to_int32"), "no operator of the exported opset gives the bits of a number"),
    "test_mod_float_edge_cases_fmod_0_float16": "the sign of a remainder of zero",
    "test_mod_float_edge_cases_fmod_0_float32": "the sign of a remainder of zero",
    "test_mod_float_edge_cases_fmod_0_float64": "the sign of a remainder of zero",
}
"""Graphs whose files give something else, with what."""


def graph_of(model: onnx.ModelProto, inputs: list) -> tuple[Graph, list[np.ndarray]] | None:
    """A model's graph between symbolic floating-point inputs; None where there is nothing to compute."""
    program = Program(model)
    values = dict.fromkeys((x.name for x in program.inputs), None)
    symbols, arrays = [], []
    for name, x in zip([x.name for x in program.inputs], inputs, strict=False):
        value = backend.to_value(x)
        if isinstance(value, Tensor) and value.dtype.kind == "f" and value.dtype.num < 256:
            arrays.append(value.numpy())
            value = symbolic_input(value.spec, name)
            symbols.append(value)
        values[name] = value
    with Trace():
        results = tree.map_structure(lambda x: x.tensor() if isinstance(x, Sizes) else x, program(values))
        for x in tree.flatten(results):
            if x is not None:
                own_constant(x)
    symbolic = any(x is not None and x.is_symbolic for x in tree.flatten(results))
    return (Graph(symbols, results), arrays) if symbolic else None


def problem_as_graph(case: Case, in_runtime: bool) -> str | None:
    """What goes wrong with a case as a graph; None where it has none, or only with constants."""
    inputs, outputs = case.data[0]
    try:
        found = graph_of(case.model, inputs)
    except UnsupportedOperatorError:
        return None
    if found is None:
        return None
    graph, arrays = found
    wrong = difference(outputs, graph.run(*arrays), case.rtol, case.atol)
    is_plain = all(isinstance(x, Tensor) and x.is_symbolic for x in graph.outputs)
    if wrong or not in_runtime or not is_plain or case.name in NO_FILE:
        return wrong
    return difference(outputs, run_graph(graph, *arrays), case.rtol, max(case.atol, 1e-5))


def problem(case: Case) -> str:
    """What goes wrong with a case; an empty text for nothing."""
    for inputs, outputs in case.data:
        try:
            found = backend.run_model(case.model, inputs)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        wrong = difference(outputs, found, case.rtol, case.atol)
        if wrong:
            return wrong
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("kind", PASSED)
def test_cases_of_onnx_pass(kind: str):
    with np.errstate(all="ignore"):
        own = [case for case in cases(kind) if not case.domains]
        results = {case.name: problem(case) for case in own}
        graphs = {
            case.name: problem_as_graph(case, i % EXPORTED == 0)
            for i, case in enumerate(own) if not results[case.name]
        }  # fmt: skip
    failed = {name: text for name, text in results.items() if text and name not in EXCEPTIONS}
    assert not failed, "\n".join(f"{name}: {text}" for name, text in failed.items())
    needless = [name for name in EXCEPTIONS if name in results and not results[name]]
    assert not needless, f"these pass and need no exception: {needless}"
    if onnx.__version__.startswith("1.23."):
        assert sum(not text for text in results.values()) == PASSED[kind]
        assert sum(text == "" for text in graphs.values()) == AS_GRAPHS[kind]
    assert sum(not text for text in results.values()) >= 0.95 * len(results)
    wrong = {name: text for name, text in graphs.items() if text}
    assert not wrong, "as graphs:\n" + "\n".join(f"{name}: {text}" for name, text in wrong.items())
