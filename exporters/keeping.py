"""Pieces of somebody's file written as they were: the same nodes, names, attributes and doc strings.

To the passes such a node is an operator that they do not know, so that they leave it alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..trainer.core.emitter import Value
from ..trainer.core.graph import Graph, Node
from ..trainer.core.tensor import Tensor
from ..trainer.core.variable import Variable
from .fragments import Fragment
from .importer import opset_versions
from .ir import OnnxNode
from .limits import subgraphs
from .meaning import means_the_same
from .node_reading import ReadNode, plain_domain
from .origins import same_bits
from .weights import stored_weights

KEPT = "kept:"
"""Before the operator of a node that is written as it was."""


@dataclass(eq=False)
class Part:
    """One call of a layer that is a piece of a file, in a graph to be exported.

    arguments: what entered it, tensors and variables, in the order of the fragment's inputs
    results: its tensors, in the order of the fragment's outputs
    name: of the layer, where that was changed since
    values: weights of the file by name that the layer holds in another layout, as they are now
    """

    fragment: Fragment
    arguments: Sequence[Any]
    results: Sequence[Tensor]
    name: str | None = None
    values: Mapping[str, np.ndarray] = field(default_factory=dict)


class KeptNode:
    """The `NodeProto` of a node, and the names that it reads, captured ones included, in the order of the inputs."""

    def __init__(self, proto: Any, reads: list[str], name: str | None) -> None:
        self.proto = proto
        self.reads = reads
        self.name = name

    def to_proto(self, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
        """The node with other names of values."""
        node = type(self.proto)()
        node.CopyFrom(self.proto)
        names = dict(zip(self.reads, inputs, strict=True))
        renamed = {old: new for old, new in names.items() if old != new}
        if renamed:
            node.input[:] = [renamed.get(x, x) for x in node.input]
            for graph in subgraphs(node):
                _rename(graph, renamed)
        node.output[:] = list(outputs)
        if self.name is not None:
            node.name = self.name
        return node


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Other names for values of an outer graph inside of a graph, where it does not make values of these names."""
    made = {x.name for x in (*graph.input, *graph.initializer)} | {name for n in graph.node for name in n.output}
    outer = {old: new for old, new in names.items() if old not in made}
    for node in graph.node:
        node.input[:] = [outer.get(x, x) for x in node.input]
        for inner in subgraphs(node):
            _rename(inner, outer)


class Keeper:
    """Which nodes of a graph belong to parts that can be written as they were.

    opsets: versions of the domains in the file to be written
    """

    def __init__(self, parts: Sequence[tuple[Part, Sequence[Node]]], graph: Graph, opsets: Mapping[str, int]) -> None:
        self.parts: dict[int, Part] = {}
        self.done: set[int] = set()
        self.made: dict[tuple[Any, ...], list[str]] = {}
        self.stored: dict[int, dict[str, np.ndarray]] = {}
        readers = _readers(graph)
        for part, nodes in parts:
            inside = {id(node) for node in nodes}
            results = {id(x) for x in part.results}
            private = all(
                readers.get(id(x), set()) <= inside for node in nodes for x in node.outputs if id(x) not in results
            )
            own = opset_versions(part.fragment.model)
            if private and all(means_the_same(node, own, opsets) for node in part.fragment.model.graph.node):
                self.parts.update((id(node), part) for node in nodes)

    def keeps_all(self, graph: Graph) -> bool:
        """Whether every node of the graph is written as it was."""
        return all(id(node) in self.parts for node in graph.nodes)

    def write(self, writer: Any, node: Node) -> bool:
        """Write the part that a node belongs to, once; whether it belongs to one."""
        part = self.parts.get(id(node))
        if part is not None and id(part) not in self.done:
            self.done.add(id(part))
            _Writing(self, writer, part).run()
        return part is not None

    def original(self, fragment: Fragment) -> dict[str, np.ndarray]:
        """The weights of a fragment as its own nodes make them of constants."""
        if id(fragment) not in self.stored:
            self.stored[id(fragment)] = stored_weights(fragment.model)
        return self.stored[id(fragment)]


OUTSIDE = -1


def _readers(graph: Graph) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for node in graph.nodes:
        for x in node.inputs:
            if x is not None:
                found.setdefault(id(x), set()).add(id(node))
    for x in [*graph.results, *graph.assigns.values()]:
        found.setdefault(id(x), set()).add(OUTSIDE)
    return found


class _Writing:
    """One part while it is written. `names` are those in the file to be written, by those in the file of the part."""

    def __init__(self, keeper: Keeper, writer: Any, part: Part) -> None:
        self.keeper = keeper
        self.writer = writer
        self.part = part
        self.names: dict[str, str] = {}

    def run(self) -> None:
        """Inputs, weights, constants, nodes, results."""
        fragment, writer = self.part.fragment, self.writer
        for name, x in zip(fragment.inputs, self.part.arguments, strict=True):
            self.names[name] = self._entering(x).name
        self._weights()
        graph = fragment.model.graph
        sparse = [(x.values.name, x) for x in graph.sparse_initializer]
        for name, tensor in [*[(x.name, x) for x in graph.initializer], *sparse]:
            if name not in self.names:
                self.names[name] = writer.root.proto(name, tensor, id(fragment.source))
        opsets = opset_versions(fragment.model)
        for proto in graph.node:
            if not (proto.output and proto.output[0] in self.names):
                self._node(ReadNode(proto, opsets))
        for name, x in zip(fragment.outputs, self.part.results, strict=True):
            value = Value(self.names[name], x.spec)
            writer.values[id(x)] = value
            writer.onnx.specs[value.name] = x.spec
            writer.sources.add(value)

    def _entering(self, x: Any) -> Value:
        return self.writer.weight(x) if isinstance(x, Variable) else self.writer.value_of(x)

    def _weights(self) -> None:
        """Give weights their names; those that nodes make of constants are left to these while they are unchanged."""
        fragment, writer = self.part.fragment, self.writer
        made = {name for node in fragment.model.graph.node for name in node.output}
        for name, variable in fragment.weights.items():
            value = self.part.values.get(name)
            if name in made and variable not in writer.root.variables:
                original = self.keeper.original(fragment).get(name)
                if original is not None and same_bits(original, variable.array if value is None else value):
                    continue
            if value is None:
                self.names[name] = writer.weight(variable, name).name
            else:
                self.names[name] = writer.root.array(name, value)

    def _node(self, node: ReadNode) -> None:
        """A node, unless a part before wrote it with the same inputs."""
        reads = list(dict.fromkeys([*[x for x in node.inputs if x], *node.reads()]))
        inputs = [self.names[x] for x in reads]
        key = (id(self.part.fragment.source), tuple(node.outputs), node.operator, tuple(inputs))
        outputs = self.keeper.made.get(key)
        if outputs is None:
            writer = self.writer
            outputs = [writer.unique(x) if x else "" for x in node.outputs]
            self.keeper.made[key] = outputs
            is_main = node.proto is self.part.fragment.main or node.outputs[0] in self.part.fragment.outputs
            kept = KeptNode(node.proto, reads, self.part.name if is_main else None)
            domain = plain_domain(node.domain)
            named = writer.unique(node.call.name) if node.call.name else ""
            if kept.name is None and named != node.call.name:
                kept.name = named
            operator = f"{KEPT}{node.operator}"
            writer.onnx.nodes.append(OnnxNode(operator, inputs, list(outputs), {"kept": kept}, named, domain))
        self.names.update((a, b) for a, b in zip(node.outputs, outputs, strict=True) if a)
