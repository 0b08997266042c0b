"""The ONNX graph while it is written and improved: plain nodes, arrays by name, specs by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..trainer.core.spec import TensorSpec
from .origins import Origin

CONTROL = frozenset(("If", "Loop", "Scan"))
"""The operators that have graphs as attributes."""


@dataclass(slots=True)
class OnnxNode:
    """One operator: inputs and outputs are names ("" for an omitted one); attributes are plain Python values."""

    operator: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    domain: str = ""
    source: str = ""

    def subgraphs(self) -> list[OnnxGraph]:
        """Graphs among the attributes of If, Loop and Scan."""
        if self.operator not in CONTROL:
            return []
        return [value for value in self.attributes.values() if isinstance(value, OnnxGraph)]

    def reads(self) -> set[str]:
        """Names that the node reads: its inputs, and what its subgraphs read (their own values included)."""
        found = {name for name in self.inputs if name}
        for graph in self.subgraphs():
            found.update(graph.uses())
        return found


@dataclass(slots=True)
class OnnxGraph:
    """Nodes in order of execution, with the names of inputs and outputs, the initializers, and what is known of values.

    Names are unique over a graph and its subgraphs; initializers stand in the outermost graph only. `origins` tells of
    each initializer that holds a variable, or was computed from one, how it comes from it. `protos` are initializers
    that are written as they stood in a file; passes know nothing of them. `domains` are versions of operators that are
    not ONNX's own.
    """

    name: str
    nodes: list[OnnxNode] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    initializers: dict[str, np.ndarray] = field(default_factory=dict)
    specs: dict[str, TensorSpec] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    domains: dict[str, int] = field(default_factory=dict)
    protos: dict[str, Any] = field(default_factory=dict)

    def producers(self) -> dict[str, OnnxNode]:
        """The node that makes each value."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    def uses(self) -> Counter[str]:
        """How often each value is read, by nodes (those of subgraphs too) and as an output."""
        counts = Counter([*self.outputs, *[name for node in self.nodes for name in node.inputs if name]])
        for node in self.nodes:
            if node.operator in CONTROL:
                for graph in node.subgraphs():
                    counts.update(graph.uses())
        return counts

    def rename(self, names: Mapping[str, str]) -> None:
        """Give values other names everywhere, subgraphs included, except to inputs; one pass over the graph."""
        if not names:
            return
        for node in self.nodes:
            node.inputs = [names.get(name, name) for name in node.inputs]
            node.outputs = [names.get(name, name) for name in node.outputs]
            for graph in node.subgraphs():
                graph.rename(names)
        self.outputs = [names.get(name, name) for name in self.outputs]
        _rename_keys(self.initializers, names)
        _rename_keys(self.specs, names)
        _rename_keys(self.origins, names)
        _rename_keys(self.protos, names)

    def sources(self) -> dict[str, str]:
        """For nodes by name, the user's line that they come from, where it is known."""
        found = {node.name: node.source for node in self.nodes if node.source}
        for node in self.nodes:
            for graph in node.subgraphs():
                found.update(graph.sources())
        return found

    def operators(self) -> list[str]:
        """Operator names in order, those of subgraphs after their node."""
        found: list[str] = []
        for node in self.nodes:
            found.append(node.operator)
            for graph in node.subgraphs():
                found.extend(graph.operators())
        return found


def _rename_keys(mapping: dict[str, Any], names: Mapping[str, str]) -> None:
    moved = {new: mapping.pop(old) for old, new in names.items() if old in mapping}
    mapping.update(moved)
