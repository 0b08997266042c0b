"""The parts of a file that only onnxruntime can run: operators that we do not know, or cannot differentiate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .frozen_source import captured
from .lazy import onnx
from .limits import subgraphs
from .node_reading import plain_domain
from .operators import find

WHOLE_NUMBERS = frozenset((
    "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear",
))  # fmt: skip
"""Operators of whole numbers, through which no gradient goes."""

BETWEEN = frozenset(("QuantizeLinear", "DequantizeLinear"))
"""Operators that belong to those beside them."""


@dataclass(frozen=True)
class FrozenRun:
    """Nodes one after the other.

    nodes: their places in the file
    inputs: what they read of the file before, weights and constants included
    outputs: what is read of theirs after
    """

    nodes: tuple[int, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def find_frozen_runs(model: Any) -> list[FrozenRun]:
    """The runs of nodes of a `ModelProto` that are to be frozen, each as long as it can be."""
    nodes = model.graph.node
    functions = {(plain_domain(f.domain), f.name): f for f in model.functions}
    versions = {plain_domain(x.domain): x.version for x in model.opset_import}
    chosen = {i for i, node in enumerate(nodes) if _is_unsupported(node, functions, versions)}
    chosen |= _beside(nodes, chosen)
    return [_run(model, run) for run in _consecutive(nodes, chosen)]


def _is_unsupported(node: Any, functions: dict[Any, Any], versions: dict[str, int]) -> bool:
    domain = plain_domain(node.domain)
    if (domain, node.op_type) in functions:
        body = functions[domain, node.op_type]
        own = {plain_domain(x.domain): x.version for x in body.opset_import}
        return any(_is_unsupported(inner, functions, own) for inner in body.node)
    if any(_is_unsupported(inner, functions, versions) for graph in subgraphs(node) for inner in graph.node):
        return True
    if not domain and node.op_type in WHOLE_NUMBERS:
        return True
    version = versions.get(domain, 1)
    return find(domain, node.op_type, version) is None and not _is_function(domain, node.op_type, version)


def _is_function(domain: str, name: str, version: int) -> bool:
    """Whether ONNX defines an operator by others."""
    try:
        schema = onnx.defs.get_schema(name, version, domain)
    except onnx.defs.SchemaError:
        return False
    return schema.has_function or schema.has_context_dependent_function


def _beside(nodes: Sequence[Any], chosen: set[int]) -> set[int]:
    """What quantizes for, or unpacks what comes out of, chosen nodes."""
    made = {name for i in chosen for name in nodes[i].output}
    read = {name for i in chosen for name in nodes[i].input}
    return {
        i for i, node in enumerate(nodes)
        if node.op_type in BETWEEN and (set(node.output) & read or set(node.input) & made)
    }  # fmt: skip


def _consecutive(nodes: Sequence[Any], chosen: set[int]) -> list[tuple[int, ...]]:
    """Chosen nodes that follow each other; Constant nodes do not part them."""
    runs: list[list[int]] = []
    last = -2
    for i, node in enumerate(nodes):
        if i in chosen:
            if last == i - 1:
                runs[-1].append(i)
            else:
                runs.append([i])
            last = i
        elif node.op_type == "Constant" and last == i - 1:
            last = i
    return [tuple(run) for run in runs]


def _run(model: Any, run: tuple[int, ...]) -> FrozenRun:
    nodes = model.graph.node
    own = [nodes[i] for i in run]
    made = [name for node in own for name in node.output if name]
    inside = set(made)
    read = dict.fromkeys(name for node in own for name in captured(node) if name and name not in inside)
    outside = {x.name for x in model.graph.output}
    for i, node in enumerate(nodes):
        if i not in run:
            outside.update(captured(node))
    return FrozenRun(run, tuple(read), tuple(name for name in made if name in outside))
