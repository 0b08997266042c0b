"""What passes share: the graph at hand, the outermost one with the weights, fresh names, and rewriting in one sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ...trainer.core.spec import TensorSpec
from ..ir import CONTROL, OnnxGraph, OnnxNode
from ..origins import Origin

SMALL = 4096
"""Bytes up to which equal constants are found by comparing their contents."""


class Shared:
    """Belongs to a whole model: the outermost graph, names in use, initializers derived from others.

    With `keep_weights`, nothing is done after which a variable could not be read back from the file.
    """

    def __init__(self, root: OnnxGraph, opset: int, keep_weights: bool = False) -> None:
        self.root = root
        self.opset = opset
        self.keep_weights = keep_weights
        self.names: set[str] = _all_names(root)
        self.numbers: dict[str, int] = {}
        self.derived: dict[tuple[Any, ...], str] = {}
        self.sources: dict[str, str] = {}

    def unique(self, name: str) -> str:
        """The name itself, or the name with a number when it is taken."""
        candidate = name
        while candidate in self.names:
            self.numbers[name] = count = self.numbers.get(name, 0) + 1
            candidate = f"{name}_{count}"
        self.names.add(candidate)
        return candidate

    def initializer(self, name: str, array: np.ndarray, origin: Origin | None) -> str:
        """Add an initializer under the name, or the name with a number; returns its name."""
        name = self.unique(name)
        self.root.initializers[name] = array
        self.root.specs[name] = TensorSpec(array.shape, array.dtype)
        if origin is not None:
            self.root.origins[name] = origin
        return name

    def constant(self, array: Any, dtype: Any = None) -> str:
        """A constant, shared with equal ones made here."""
        value = np.asarray(array, dtype)
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self.derived:
            self.derived[key] = self.initializer("constant", value, None)
        return self.derived[key]

    def derive(self, name: str, kind: str, values: tuple[int, ...]) -> str:
        """The initializer `name` transposed or reshaped: made once, a view where NumPy allows it."""
        array = self.root.initializers[name]
        if (kind == "transpose" and values == tuple(range(array.ndim))) or (
            kind == "reshape" and values == array.shape
        ):
            return name
        key = (name, kind, values)
        if key not in self.derived:
            changed = array.transpose(values) if kind == "transpose" else array.reshape(values)
            source = self.sources.get(name, name)
            first = self.root.initializers.get(source)
            if first is not None and _same_view(first, changed):
                return source
            origin = self.root.origins.get(name)
            self.derived[key] = self.initializer(
                f"{name}:{kind}", changed, None if origin is None else origin.then(kind, values, array.shape)
            )
            self.sources[self.derived[key]] = source
        return self.derived[key]


class Scope:
    """One graph, the outermost or one inside If, Loop or Scan, and what can be seen from it."""

    def __init__(self, shared: Shared, graph: OnnxGraph, outer: Scope | None = None) -> None:
        self.shared = shared
        self.graph = graph
        self.outer = outer

    def array(self, name: str) -> np.ndarray | None:
        """The array of an initializer; None for what is computed when the model runs."""
        return self.shared.root.initializers.get(name)

    def spec(self, name: str) -> TensorSpec | None:
        """What is known of a value."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.graph.specs:
                return scope.graph.specs[name]
            scope = scope.outer
        return None

    def inner(self) -> list[Scope]:
        """The scopes of the graphs inside this one's nodes."""
        nodes = [node for node in self.graph.nodes if node.operator in CONTROL]
        return [Scope(self.shared, graph, self) for node in nodes for graph in node.subgraphs()]


Rule = Callable[["Sweep", OnnxNode], "list[OnnxNode] | None"]


class Sweep:
    """One pass over the nodes in order. A rule sees a node whose inputs are up to date and everything made before it;
    it returns None to keep the node, or the nodes that take its place (they must make the same outputs, or the rule
    must have `replace`d these)."""

    def __init__(self, scope: Scope, count_uses: bool = False) -> None:
        self.scope = scope
        self.shared = scope.shared
        self.counts_uses = count_uses
        self.uses: Counter[str] | None = None
        self.outputs = set(scope.graph.outputs)
        self.made: dict[str, OnnxNode] | None = None
        self.replaced: dict[str, str] = {}
        self.changed = False

    def run(self, rule: Rule, operators: Iterable[str] | None = None, beside: Iterable[str] | None = None) -> bool:
        """Rewrite all nodes (of these operators) by a rule; whether anything changed.

        beside: operators of which one must be in the graph, too, or the rule has nothing to find
        """
        nodes = self.scope.graph.nodes
        wanted = None if operators is None else frozenset(operators)
        present = {node.operator for node in nodes}
        if any(group is not None and present.isdisjoint(group) for group in (wanted, beside)):
            return False
        self.uses = self.scope.graph.uses() if self.counts_uses else None
        result: list[OnnxNode] = []
        for node in nodes:
            if self.replaced:
                self.update(node)
            new = rule(self, node) if wanted is None or node.operator in wanted else None
            if new is None:
                result.append(node)
            else:
                self._put(node, new)
                result += new
        self.scope.graph.nodes = result
        return self.changed

    def _put(self, old: OnnxNode, new: list[OnnxNode]) -> None:
        self.changed = True
        made = self._made()
        for node in new:
            made.update((name, node) for name in node.outputs)
        if self.uses is not None:
            self.uses.subtract(old.inputs)
            for node in new:
                self.uses.update(node.inputs)

    def _made(self) -> dict[str, OnnxNode]:
        """The node that makes each value; nodes that were rewritten have their successors in it."""
        if self.made is None:
            self.made = self.scope.graph.producers()
        return self.made

    def update(self, node: OnnxNode) -> None:
        """Let a node read the values that stand for replaced ones."""
        replaced = self.replaced
        if not replaced.keys().isdisjoint(node.inputs):
            node.inputs = [replaced.get(name, name) for name in node.inputs]
        if node.operator in CONTROL:
            for graph in node.subgraphs():
                graph.rename(replaced)

    def replace(self, old: str, new: str) -> None:
        """From here on, read `new` for `old`, which must not be an output of the graph."""
        self.replaced[old] = new
        if self.uses is not None:
            self.uses[new] += self.uses[old]

    def maker(self, name: str, *operators: str) -> OnnxNode | None:
        """The node that makes a value, if it is one of these operators and made before, in this graph."""
        node = self._made().get(name) if name else None
        return node if node is not None and node.operator in operators else None

    def only_use(self, name: str) -> bool:
        """Whether a value is read once, and not from outside (of a sweep that counts uses)."""
        return self.uses is not None and self.uses[name] == 1 and name not in self.outputs

    def array(self, name: str) -> np.ndarray | None:
        """The array of an initializer."""
        return self.scope.array(name)

    def spec(self, name: str) -> TensorSpec | None:
        """What is known of a value."""
        return self.scope.spec(name)


def _same_view(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays are one: the same memory, read in the same way."""
    return first.__array_interface__ == second.__array_interface__


def _all_names(graph: OnnxGraph) -> set[str]:
    names = {*graph.inputs, *graph.outputs, *graph.initializers, *graph.protos}
    for node in graph.nodes:
        names.update((node.name, *node.inputs, *node.outputs))
        for inner in node.subgraphs():
            names |= _all_names(inner) | {inner.name}
    return names
