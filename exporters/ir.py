"""The ONNX graph while it is written and improved: plain nodes, arrays by name, specs by name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..trainer.core.spec import TensorSpec


class Step(NamedTuple):
    """One invertible change of an array: `transpose` (axes), `reshape` (shape), `take` (axis, a permutation of it),
    `extend` (axis, elements put before, elements put after); with the shape that the array had before it."""

    kind: str
    values: tuple[int, ...]
    before: tuple[int, ...]


class Origin(NamedTuple):
    """How an initializer comes from a variable: by invertible steps, or (`None`) so that it cannot be undone."""

    variable: str
    steps: tuple[Step, ...] | None = ()


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
        """Graphs among the attributes (of If, Loop, Scan)."""
        return [value for value in self.attributes.values() if isinstance(value, OnnxGraph)]


@dataclass(slots=True)
class OnnxGraph:
    """Nodes in order of execution, with the names of inputs and outputs, the initializers, and what is known of values."""

    name: str
    nodes: list[OnnxNode] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    initializers: dict[str, np.ndarray] = field(default_factory=dict)
    specs: dict[str, TensorSpec] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)

    def producers(self) -> dict[str, OnnxNode]:
        """The node that makes each value."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    def uses(self) -> Counter[str]:
        """How often each value is read, by nodes (those of subgraphs too) and as an output."""
        counts: Counter[str] = Counter(self.outputs)
        for node in self.nodes:
            counts.update(name for name in node.inputs if name)
            for graph in node.subgraphs():
                counts.update(graph.uses())
        return counts

    def rename(self, old: str, new: str) -> None:
        """Give a value another name everywhere, subgraphs included."""
        for node in self.nodes:
            node.inputs = [new if name == old else name for name in node.inputs]
            node.outputs = [new if name == old else name for name in node.outputs]
            for graph in node.subgraphs():
                graph.rename(old, new)
        self.outputs = [new if name == old else name for name in self.outputs]
        for mapping in (self.initializers, self.specs):
            if old in mapping:
                mapping[new] = mapping.pop(old)

    def operators(self) -> list[str]:
        """Operator names in order, those of subgraphs after their node."""
        found: list[str] = []
        for node in self.nodes:
            found.append(node.operator)
            for graph in node.subgraphs():
                found.extend(graph.operators())
        return found
