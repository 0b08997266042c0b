"""Small variables that are updated alike are updated together: their state side by side, one operator for all.

An optimizer's update of a small variable costs the calls of its operators more than their arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from ...trainer.core.spec import TensorSpec
from ..ir import OnnxGraph, OnnxNode
from .scope import Shared

ELEMENTWISE = frozenset(("Add", "Sub", "Mul", "Div", "Sqrt", "Abs", "Sign", "Neg", "Max", "Min", "Reciprocal"))
LARGEST = 16384
"""Elements up to which a variable is put beside others: above, laying its gradient there costs more than is saved."""


@dataclass
class FlatRow:
    """State inputs of a graph that were laid side by side in one vector, in order."""

    states: list[str]
    name: str

    @property
    def new_name(self) -> str:
        """Name of the output with the next values."""
        return f"{self.name}/next"


@dataclass
class _Update:
    """The elementwise nodes that make the next values of one variable and of its state, with what they read.

    leaves: values of the variable's shape that come from elsewhere, the state of the moment excepted
    """

    shape: tuple[int, ...]
    states: list[str]
    results: list[str]
    nodes: list[OnnxNode]
    leaves: list[str]
    key: Any = None


def flatten_updates(
    graph: OnnxGraph, opset: int, state: Mapping[str, str], largest: int = LARGEST, unit: int = 1
) -> list[FlatRow]:
    """Before: any valid graph. After: updates of small variables that differ in shapes only are one update of vectors,
    which are new inputs and outputs in the place of the variables' own; variables that are read elsewhere stay inputs.

    state: for inputs, the output with their next value
    largest: elements up to which a variable is small
    unit: of how many elements a variable has to be a multiple, so that its neighbours start where they should
    """
    groups: dict[Any, list[_Update]] = {}
    for update in _Finder(graph, state, largest, unit).updates():
        groups.setdefault(update.key, []).append(update)
    shared = Shared(graph, opset)
    rows: list[FlatRow] = []
    for group in groups.values():
        if len(group) > 1:
            rows += _join(graph, shared, group)
    if rows:
        uses = graph.uses()
        gone = {name for row in rows for name in row.states if not uses[name]}
        graph.inputs = [name for name in graph.inputs if name not in gone]
    return rows


class _Component:
    """Elementwise nodes that hang together, by their places, and the places of the outputs that they make."""

    def __init__(self, outputs: list[int], nodes: set[int]) -> None:
        self.outputs = outputs
        self.nodes = nodes


class _Finder:
    """Finds updates: elementwise nodes that nothing reads but the next values they lead to."""

    def __init__(self, graph: OnnxGraph, state: Mapping[str, str], largest: int, unit: int) -> None:
        self.graph = graph
        self.largest = largest
        self.unit = unit
        self.made = graph.producers()
        self.place = {id(node): i for i, node in enumerate(graph.nodes)}
        self.uses = graph.uses()
        self.state = {new: old for old, new in state.items()}

    def updates(self) -> list[_Update]:
        """All updates of small variables, in the order of the graph's outputs."""
        components: dict[int, _Component] = {}  # by the place of each of its nodes
        for place, name in enumerate(self.graph.outputs):
            spec = self.graph.specs.get(name)
            if name not in self.state or spec is None or not self._is_small(spec):
                continue
            nodes = self._elementwise(name, spec, set())
            joined = {id(c): c for c in [components[i] for i in nodes if i in components]}.values()
            outputs = [place, *[x for c in joined for x in c.outputs]]
            whole = _Component(outputs, nodes.union(*[c.nodes for c in joined]))
            components.update(dict.fromkeys(whole.nodes, whole))
        found = sorted([sorted(c.outputs) for c in {id(c): c for c in components.values()}.values()])
        updates = [self._update([self.graph.outputs[i] for i in outputs]) for outputs in found]
        return [update for update in updates if update is not None]

    def _is_small(self, spec: TensorSpec) -> bool:
        if not all(isinstance(n, int) for n in spec.shape):
            return False
        count = prod(spec.shape)
        return 1 < count <= self.largest and count % self.unit == 0

    def _elementwise(self, name: str, spec: TensorSpec, cut: set[str]) -> set[int]:
        """Places of the elementwise nodes behind a value, as far as all is of its shape."""
        found: set[int] = set()
        open_names = [name]
        while open_names:
            node = self.made.get(current := open_names.pop())
            if node is None or current in cut or self.place[id(node)] in found or not self._fits(node, spec):
                continue
            found.add(self.place[id(node)])
            open_names += node.inputs
        return found

    def _fits(self, node: OnnxNode, spec: TensorSpec) -> bool:
        return node.operator in ELEMENTWISE and self._is_like(node.outputs[0], spec) and all(
            self._is_like(x, spec) or self._is_number(x, spec) for x in node.inputs
        )  # fmt: skip

    def _is_like(self, name: str, spec: TensorSpec) -> bool:
        known = self.graph.specs.get(name)
        return known is not None and tuple(known.shape) == tuple(spec.shape) and known.dtype == spec.dtype

    def _is_number(self, name: str, spec: TensorSpec) -> bool:
        known = self.graph.specs.get(name)
        return known is not None and known.rank == 0 and known.dtype == spec.dtype

    def _update(self, results: list[str]) -> _Update | None:
        """The update that makes these next values; values that others read too are left to them."""
        spec = self.graph.specs[results[0]]
        cut: set[str] = set()
        while True:
            places = sorted(set().union(*[self._elementwise(name, spec, cut) for name in results]))
            nodes = [self.graph.nodes[i] for i in places]
            read = [x for node in nodes for x in node.inputs]
            outside = {x for n in nodes for x in n.outputs if self.uses[x] != read.count(x) + (x in results)}
            if not outside:
                break
            if outside & set(results) or not nodes:
                return None
            cut |= outside
        if {x for node in nodes for x in node.outputs} < set(results):
            return None
        return self._described(spec, results, nodes)

    def _described(self, spec: TensorSpec, results: list[str], nodes: list[OnnxNode]) -> _Update:
        states = [self.state[name] for name in results]
        codes: dict[str, Any] = {name: ("state", i) for i, name in enumerate(states)}
        leaves: list[str] = []
        written: list[Any] = []
        for i, node in enumerate(nodes):
            for name in node.inputs:
                if name not in codes and self._is_like(name, spec):
                    codes[name] = ("leaf", len(leaves))
                    leaves.append(name)
            inputs = tuple([codes.get(name, name) for name in node.inputs])
            written.append((node.operator, tuple(sorted(node.attributes.items())), inputs))
            codes[node.outputs[0]] = ("node", i)
        key = spec.dtype.str, tuple(written), tuple([codes[name] for name in results])
        shape = tuple([n for n in spec.shape if isinstance(n, int)])
        return _Update(shape, states, results, nodes, leaves, key)


def _join(graph: OnnxGraph, shared: Shared, group: list[_Update]) -> list[FlatRow]:
    """Put one update of vectors in the place of those of a group; returns the rows of its state."""
    first = group[0]
    dtype = graph.specs[first.results[0]].dtype
    spec = TensorSpec((sum(prod(update.shape) for update in group),), dtype)
    rows = [
        FlatRow([update.states[i] for update in group], shared.unique(f"flat/{name}"))
        for i, name in enumerate(first.states)
    ]
    names = dict(zip(first.states, [row.name for row in rows], strict=True))
    names.update(zip(first.results, [row.new_name for row in rows], strict=True))
    new: list[OnnxNode] = []
    for i, leaf in enumerate(first.leaves):
        names[leaf] = _side_by_side(graph, shared, new, [(u.leaves[i], u.shape) for u in group], spec)
    for node in first.nodes:
        made = node.outputs[0]
        names[made] = names.get(made) or shared.unique(f"flat/{made}")
        inputs = [names.get(x, x) for x in node.inputs]
        title = shared.unique(f"flat/{node.name}")
        new.append(OnnxNode(node.operator, inputs, [names[made]], dict(node.attributes), title, source=node.source))
        graph.specs[names[made]] = spec
    gone = {id(node) for update in group for node in update.nodes}
    results = {name for update in group for name in update.results}
    graph.nodes = [*[node for node in graph.nodes if id(node) not in gone], *new]
    graph.outputs = [*[name for name in graph.outputs if name not in results], *[row.new_name for row in rows]]
    for row in rows:
        graph.specs[row.name] = spec
        graph.inputs.append(row.name)
    return rows


def _side_by_side(
    graph: OnnxGraph, shared: Shared, new: list[OnnxNode], parts: list[tuple[str, tuple[int, ...]]], spec: TensorSpec
) -> str:
    """The name of values laid side by side; the nodes that do it are added to `new`."""
    vectors: list[str] = []
    for name, shape in parts:
        vector = name
        if len(shape) != 1:
            vector = shared.unique(f"flat/{name}")
            new.append(OnnxNode("Reshape", [name, shared.constant([-1], "int64")], [vector], {}, vector))
            graph.specs[vector] = TensorSpec((prod(shape),), spec.dtype)
        vectors.append(vector)
    joined = shared.unique("flat/gradient")
    new.append(OnnxNode("Concat", vectors, [joined], {"axis": 0}, joined))
    graph.specs[joined] = spec
    return joined
