"""Graphs of primitives: what a traced function or a model is, and how NumPy runs one."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np

from . import tree
from .dims import Dim, contains_dim, evaluate_tree, names, solve
from .dtypes import dtype_name
from .errors import DtypeError, ShapeError, SourceLine, format_shape
from .spec import TensorSpec
from .state import state
from .tensor import Tensor

if TYPE_CHECKING:
    from .primitive import Primitive
    from .variable import Variable

_creation = itertools.count()


def next_index() -> int:
    """Place of a new node or layer call in the order of creation."""
    return next(_creation)


class Node:
    """One application of a primitive to symbolic tensors."""

    __slots__ = ("attributes", "index", "inputs", "measures", "outputs", "primitive", "scope", "source", "specs")

    def __init__(
        self,
        primitive: Primitive,
        inputs: tuple[Tensor | None, ...],
        attributes: dict[str, Any],
        specs: tuple[TensorSpec, ...],
        source: SourceLine | None,
    ) -> None:
        self.primitive = primitive
        self.inputs = inputs
        self.attributes = attributes
        self.specs = specs
        self.source = source
        self.scope: Any = state.scopes[-1] if state.scopes else None
        self.index = next_index()
        self.outputs: tuple[Tensor, ...] = ()
        self.measures: tuple[Tensor, ...] = ()

    @property
    def path(self) -> str:
        """Path of the layer call in which the node was made; empty outside of layers."""
        return self.scope.path if self.scope is not None else ""

    def __repr__(self) -> str:
        sources = ", ".join("-" if x is None else format_shape(x.shape) for x in self.inputs)
        return f"<Node {self.primitive.name}({sources}) in {self.path or 'no layer'}>"


_measured: WeakValueDictionary[str, Tensor] = WeakValueDictionary()


def note_sizes(node: Node) -> None:
    """Keep what measures the sizes that a node uses and that no input has, such as how many elements a mask selects.

    A gradient may need such a size without needing the result whose shape it is. Primitives that make such sizes carry
    the tag `makes_sizes`.
    """
    if node.primitive.tags.get("makes_sizes"):
        given = names_in([x.shape for x in node.inputs if x is not None])
        for tensor in node.outputs:
            for name in names_in(tensor.shape) - given:
                _measured[name] = tensor
    elif _measured:
        used = names_in([*node.attributes.values(), *[spec.shape for spec in node.specs]])
        node.measures = tuple(x for name in sorted(used) if (x := _measured.get(name)) is not None)


def names_in(value: Any) -> frozenset[str]:
    """The named sizes inside tuples and lists."""
    if isinstance(value, (tuple, list)):
        return frozenset().union(*map(names_in, value))
    return names(value) if isinstance(value, Dim) else frozenset()


class Graph:
    """Inputs, nodes in order, outputs (any structure) and assignments to variables.

    Nodes are found from the outputs and assigned values; what neither needs is not part of the graph, nor is what made
    the tensors `outside`, which a body of control flow finds in the graph around it.
    """

    def __init__(
        self,
        inputs: Sequence[Tensor],
        outputs: Any,
        assigns: Mapping[Variable, Tensor] | None = None,
        outside: Sequence[Tensor] = (),
    ) -> None:
        self.inputs = list(inputs)
        self.outside = tuple(outside)
        self.outputs = outputs
        self.assigns = dict(assigns or {})

    @cached_property
    def results(self) -> list[Tensor]:
        """The output tensors in the order of `tree.flatten`, None left out."""
        return [leaf for leaf in tree.flatten(self.outputs) if leaf is not None]

    @cached_property
    def nodes(self) -> list[Node]:
        """Nodes that the outputs and assignments need, in order of creation."""
        found: dict[int, Node] = {}
        known = {id(x) for x in [*self.inputs, *self.outside]}
        pending = [*self.results, *self.assigns.values()]
        while pending:
            tensor = pending.pop()
            symbol = tensor.symbol
            if symbol is None or symbol.node is None or id(tensor) in known or symbol.node.index in found:
                continue
            found[symbol.node.index] = symbol.node
            pending.extend(x for x in symbol.node.inputs if x is not None)
            pending.extend(symbol.node.measures)
        return [found[index] for index in sorted(found)]

    @cached_property
    def variables(self) -> list[Variable]:
        """Variables whose value the graph reads, in order of first use."""
        leaves = [x for node in self.nodes for x in node.inputs if x is not None]
        read = [x.symbol.variable for x in [*leaves, *self.results, *self.assigns.values()] if x.symbol is not None]
        return list(dict.fromkeys(v for v in read if v is not None))

    @cached_property
    def missing_inputs(self) -> list[Tensor]:
        """Symbolic tensors the graph needs that are neither inputs, variables nor results of its nodes."""
        made = {id(x) for x in [*self.inputs, *self.outside]} | {id(x) for node in self.nodes for x in node.outputs}
        needed = [x for node in self.nodes for x in node.inputs if x is not None] + self.results
        loose = [x for x in needed if x.symbol is not None and x.symbol.variable is None and id(x) not in made]
        return list({id(x): x for x in loose}.values())

    def run(self, *values: Any) -> Any:
        """Execute with NumPy; assignments to variables take effect. Returns arrays in the structure of `outputs`."""
        from_input = [np.asarray(v) for v in values]
        sizes = bind_sizes([x.spec for x in self.inputs], from_input)
        arrays: dict[int, np.ndarray] = {id(x): a for x, a in zip(self.inputs, from_input, strict=True)}
        uses = Counter(id(x) for node in self.nodes for x in node.inputs if x is not None)
        uses.update(id(x) for x in [*self.results, *self.assigns.values(), *self.inputs])
        for node in self.nodes:
            run_node(node, arrays, sizes)
            for x in node.inputs:
                if x is not None:
                    uses[id(x)] -= 1
                    if not uses[id(x)]:
                        arrays.pop(id(x), None)
        outputs = tree.map_structure(lambda x: None if x is None else array_of(x, arrays), self.outputs)
        for variable, tensor in [(v, array_of(t, arrays)) for v, t in self.assigns.items()]:
            variable.assign(tensor)
        return outputs

    def __repr__(self) -> str:
        counts = Counter(node.primitive.name for node in self.nodes)
        return f"<Graph {len(self.inputs)} inputs, {len(self.nodes)} nodes: {dict(counts.most_common(5))}>"


def run_node(node: Node, arrays: dict[int, np.ndarray], sizes: dict[str, int]) -> None:
    """Run one node's kernel and store its results by the identity of its output tensors."""
    inputs = [None if x is None else array_of(x, arrays) for x in node.inputs]
    attributes = {name: evaluate_tree(value, sizes) for name, value in node.attributes.items()}
    results = node.primitive.run(*inputs, **attributes)
    for tensor, result in zip(node.outputs, results if type(results) is tuple else (results,), strict=True):
        array = arrays[id(tensor)] = np.asarray(result)
        for size, actual in zip(tensor.shape, array.shape, strict=True):
            if contains_dim(size) and not names(size) <= sizes.keys():
                solve(size, actual, sizes)


def array_of(tensor: Tensor, arrays: Mapping[int, np.ndarray]) -> np.ndarray:
    """The value of a tensor: its own, its variable's, or what a node computed."""
    if tensor.array is not None:
        return tensor.array
    if tensor.symbol is not None and tensor.symbol.variable is not None:
        return tensor.symbol.variable.array
    return arrays[id(tensor)]


def bind_sizes(specs: Sequence[TensorSpec], arrays: Sequence[Any]) -> dict[str, int]:
    """The values of symbolic sizes that make the specs fit actual arrays; raises where they cannot."""
    if len(specs) != len(arrays):
        raise ShapeError(f"expected {len(specs)} inputs, got {len(arrays)}")
    sizes: dict[str, int] = {}
    retry: list[tuple[Any, int, TensorSpec, Any]] = []
    for spec, array in zip(specs, arrays, strict=True):
        label = f"input '{spec.name}'" if spec.name else "input"
        if len(array.shape) != len(spec.shape):
            raise ShapeError(f"{label}: expected shape {format_shape(spec.shape)}, got {format_shape(array.shape)}")
        if array.dtype != spec.dtype:
            raise DtypeError(f"{label}: expected {dtype_name(spec.dtype)}, got {dtype_name(array.dtype)}")
        retry += [(size, actual, spec, array) for size, actual in zip(spec.shape, array.shape, strict=True)]
    retry.sort(key=lambda item: len(names(item[0])))
    for size, actual, spec, array in retry:
        if not solve(size, actual, sizes):
            label = f"input '{spec.name}'" if spec.name else "input"
            known = ", ".join(f"{name} = {value}" for name, value in sizes.items() if name in names(size))
            raise ShapeError(
                f"{label}: expected shape {format_shape(spec.shape)}, got {format_shape(array.shape)}"
                + (f" where {known}" if known else "")
            )
    return sizes
