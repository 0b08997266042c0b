"""NumPy core against onnxruntime: the same inputs through a graph and through its file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..trainer.core.graph import Graph, bind_sizes, run_node
from ..trainer.core.tensor import Tensor
from .lazy import onnx
from .passes.layout import original_value
from .read import read_model
from .runtime import session
from .writer import write_graph


@dataclass(frozen=True)
class Difference:
    """One value, compared: its name, the node that makes it ("operator at path"), and how far the results are apart."""

    name: str
    node: str
    shape: tuple[int, ...]
    largest: float
    allowed: bool


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; true when all outputs agree. `first` is the first differing node in order of execution."""

    outputs: list[Difference]
    first: Difference | None
    compared: int
    relative: float
    absolute: float

    def __bool__(self) -> bool:
        return all(output.allowed for output in self.outputs)

    @property
    def largest(self) -> float:
        """The largest difference of any output."""
        return max((output.largest for output in self.outputs), default=0.0)

    def __str__(self) -> str:
        rows = [("output", "shape", "largest difference", "")]
        rows += [
            (o.name, str(o.shape), f"{o.largest:.2e}", "equal" if o.allowed else "DIFFERENT") for o in self.outputs
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.append(
            f"tolerance: {self.absolute:g} + {self.relative:g} * |value|; {self.compared} values inside compared"
        )
        if self.first is not None:
            lines.append(f"first difference: {self.first.node}, value '{self.first.name}', {self.first.largest:.2e}")
        return "\n".join(lines)


class HasGraph(Protocol):
    """A model: what can say which graph it is."""

    def graph(self) -> Graph:
        """The inference graph."""
        ...


def compare(
    model: Graph | HasGraph,
    file: str | os.PathLike[str] | bytes | Any,
    inputs: Mapping[str, Any] | Sequence[Any] | np.ndarray,
    relative: float = 1e-4,
    absolute: float = 1e-5,
) -> Comparison:
    """Run a model (or a graph) on NumPy and its ONNX file (a path, bytes or `ModelProto`) in onnxruntime, and compare
    all outputs and every value between that both have.

    inputs: arrays by the names of the file's inputs, in the order of the model's inputs, or the only one
    relative, absolute: a difference up to `absolute + relative * |value|` is none

    Raises `ValueError` when the file has other inputs or outputs than the graph, or than the names given.
    """
    graph = model if isinstance(model, Graph) else model.graph()
    proto = _model(file)
    names = [[value.name for value in values] for values in (proto.graph.input, proto.graph.output)]
    _check_roles(graph, names)
    arrays = [np.asarray(x) for x in _in_order(inputs, names[0])]
    expected = _known_values(graph, arrays, names, proto)
    makers = {output: node for node in proto.graph.node for output in node.output}
    inside = [name for name in makers if name in expected and name not in names[1]]
    results = _run(proto, names[0], [*names[1], *inside], arrays)
    found = {
        name: _difference(name, makers.get(name), expected[name], results[name], relative, absolute)
        for name in results
        if name in expected
    }
    outputs = [found[name] for name in names[1]]
    wrong = (found[name] for name in makers if name in found and not found[name].allowed)
    return Comparison(outputs, next(wrong, None), len(inside), relative, absolute)


def _in_order(inputs: Any, names: Sequence[str]) -> Sequence[Any]:
    """One array for each input of the file."""
    if not isinstance(inputs, Mapping):
        return inputs if isinstance(inputs, (list, tuple)) else [inputs]
    if set(inputs) != set(names):
        raise ValueError(f"compare: the file's inputs are {', '.join(names)}; got {', '.join(inputs)}")
    return [inputs[name] for name in names]


def _model(file: Any) -> Any:
    if isinstance(file, bytes):
        return onnx.load_model_from_string(file)
    return read_model(file) if isinstance(file, (str, os.PathLike)) else file


def _check_roles(graph: Graph, names: list[list[str]]) -> None:
    for what, own, others in (("inputs", graph.inputs, names[0]), ("outputs", graph.results, names[1])):
        if len(own) != len(others):
            raise ValueError(
                f"compare: the graph has {len(own)} {what}, the file has {len(others)} ({', '.join(others)})"
            )


def _known_values(graph: Graph, arrays: list[np.ndarray], names: list[list[str]], model: Any) -> dict[str, np.ndarray]:
    """What NumPy computes, under the names that the file gives to the same values."""
    opset = next((entry.version for entry in model.opset_import if not entry.domain), 0)
    writer = write_graph(graph, names[0], names[1], opset)
    computed = _run_keeping(graph, arrays)
    known = {writer.values[key].name: array for key, array in computed.items() if key in writer.values}
    known.update((name, _array(x, computed)) for name, x in zip(names[1], graph.results, strict=True))
    for node in reversed(writer.onnx.nodes):
        if node.operator == "Transpose" and node.outputs[0] in known:
            known.setdefault(node.inputs[0], known[node.outputs[0]].transpose(np.argsort(node.attributes["perm"])))
    for node in model.graph.node:
        for name in node.output:
            _learn_moved(name, known)
    return known


def _learn_moved(name: str, known: dict[str, np.ndarray]) -> None:
    """Know a value that the layout pass moved, from the one that it stands for."""
    moved = original_value(name)
    if moved is None or name in known:
        return
    value, axes = moved
    _learn_moved(value, known)
    if value in known and known[value].ndim == len(axes):
        known[name] = known[value].transpose(np.argsort(axes))


def _run_keeping(graph: Graph, inputs: list[np.ndarray]) -> dict[int, np.ndarray]:
    """Run with NumPy and keep every value, by the identity of its tensor."""
    sizes = bind_sizes([x.spec for x in graph.inputs], inputs)
    arrays = {id(x): a for x, a in zip(graph.inputs, inputs, strict=True)}
    for node in graph.nodes:
        run_node(node, arrays, sizes)
    return arrays


def _array(tensor: Tensor, arrays: dict[int, np.ndarray]) -> np.ndarray:
    if tensor.array is not None:
        return tensor.array
    variable = tensor.symbol.variable if tensor.symbol is not None else None
    return variable.array if variable is not None else arrays[id(tensor)]


def _run(model: Any, inputs: list[str], wanted: list[str], arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Run the file in onnxruntime with more outputs, its operators as they stand."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    known = {value.name for value in extended.graph.output}
    extended.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in known)
    running = session(extended.SerializeToString(), optimize=False, device="cpu")
    return dict(zip(wanted, running.run(wanted, dict(zip(inputs, arrays, strict=True))), strict=True))


def _difference(
    name: str, node: Any, ours: np.ndarray, theirs: np.ndarray, relative: float, absolute: float
) -> Difference:
    where = f"{node.op_type} at '{node.name}'" if node is not None else "no node"
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return Difference(name, f"{where} ({ours.dtype} {ours.shape} on NumPy)", theirs.shape, float("inf"), False)
    if ours.dtype.kind not in "fiub":
        equal = bool(np.array_equal(ours, theirs))
        return Difference(name, where, theirs.shape, 0.0 if equal else float("inf"), equal)
    left, right = ours.astype(np.float64), theirs.astype(np.float64)
    allowed = bool(np.allclose(right, left, rtol=relative, atol=absolute, equal_nan=True))
    with np.errstate(invalid="ignore"):
        apart = np.abs(left - right)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    apart = np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))
    return Difference(name, where, theirs.shape, float(apart.max(initial=0.0)), allowed)
