"""A graph of an ONNX file as patterns see it: who makes a value, who reads it, what is constant."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...trainer.core.variable import Variable
from ..limits import subgraphs
from ..protos import attribute_value, tensor_array

OUTSIDE = -1
"""The reader of a value that leaves the graph, or is read inside a branch or loop."""

Settle = Callable[..., "dict[str, Any] | None"]
Step = tuple[str, tuple[int, ...]]


class Source(NamedTuple):
    """Where a layer's weight comes from: a value of the file by name, and what is done to it.

    steps: `transpose` (the axes), `reshape` (the shape), `take` (a permutation of the last axis), `part` (an element
        of the first axis), `halves` (the sum of both)
    """

    name: str
    steps: tuple[Step, ...] = ()


@dataclass
class Found:
    """Nodes that are one layer.

    kind: the layer's class
    nodes: their places in the file
    inputs, outputs: names of the tensors that enter, and of those that leave
    config: arguments of the layer
    weights: by the names that the layer has for them, where each comes from
    settle: more arguments for the tensors that enter, or None where they make it another layer; known when shapes are
    extra: names of values that `settle` needs besides
    as_list: whether the layer takes its inputs as one list
    apply: calls the layer on the inputs, where that is more than a call; gives the outputs
    crowded: names of weights that something else reads, too
    name: of the layer
    """

    kind: str
    nodes: tuple[int, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    config: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Source] = field(default_factory=dict)
    settle: Settle | None = None
    extra: tuple[str, ...] = ()
    as_list: bool = False
    apply: Callable[..., tuple[Any, ...]] | None = None
    crowded: tuple[str, ...] = ()
    name: str = ""


def sharing_key(layer: Found) -> str:
    """What two calls of one layer have in common."""
    weights = {k: list(s) for k, s in layer.weights.items()}
    return json.dumps([layer.kind, layer.config, weights or layer.nodes], default=str)


class GraphView:
    """Nodes, constants and readers of a file's outermost graph."""

    def __init__(self, model: Any, weights: Mapping[str, Variable]) -> None:
        graph = model.graph
        self.nodes: Sequence[Any] = graph.node
        self.version = next((x.version for x in model.opset_import if x.domain in ("", "ai.onnx")), 1)
        self.functions = {(f.domain, f.name) for f in model.functions}
        self.makers: dict[str, int] = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
        self.readers: dict[str, list[int]] = {}
        for i, node in enumerate(graph.node):
            for name in node.input:
                self.readers.setdefault(name, []).append(i)
            for inner in subgraphs(node):
                for name in _read_inside(inner):
                    self.readers.setdefault(name, []).append(OUTSIDE)
        for x in graph.output:
            self.readers.setdefault(x.name, []).append(OUTSIDE)
        self.weights = weights
        given = {x.name for x in graph.input}
        self.tensors = {x.name: x for x in graph.initializer if x.name not in given}
        for node in graph.node:
            if node.op_type == "Constant" and not node.domain and node.attribute[0].name == "value":
                self.tensors[node.output[0]] = node.attribute[0].t
        self.others = {
            node.output[0]: node.attribute[0] for node in graph.node
            if node.op_type == "Constant" and not node.domain and node.attribute[0].name.startswith("value_")
        }  # fmt: skip
        self._arrays: dict[str, np.ndarray | None] = {}

    def operator(self, i: int) -> str:
        """The operator of a node of ONNX's own domain; empty for others, and for functions of the file."""
        node = self.nodes[i]
        is_own = node.domain in ("", "ai.onnx") and (node.domain, node.op_type) not in self.functions
        return node.op_type if is_own else ""

    def array(self, name: str) -> np.ndarray | None:
        """The value of a constant; None for what is computed when the model runs."""
        if name not in self._arrays:
            self._arrays[name] = self._read(name)
        return self._arrays[name]

    def _read(self, name: str) -> np.ndarray | None:
        if name in self.weights:
            return self.weights[name].array
        if name in self.tensors:
            return tensor_array(self.tensors[name])
        if name in self.others:
            return np.asarray(attribute_value(self.others[name], None))
        root = self.root(name)
        return None if root == name else self.array(root)

    def attributes(self, i: int) -> dict[str, Any]:
        """Attributes of a node without graphs."""
        return {a.name: attribute_value(a, None) for a in self.nodes[i].attribute if not a.HasField("g")}

    def only_reader(self, name: str) -> int | None:
        """The one node that reads a value, where nothing else does."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and readers[0] != OUTSIDE else None

    def is_private(self, nodes: Sequence[int], outputs: Sequence[str]) -> bool:
        """Whether nothing outside of some nodes reads what they make, except their outputs."""
        own = set(nodes)
        return all(
            reader in own
            for i in nodes for name in self.nodes[i].output if name and name not in outputs
            for reader in self.readers.get(name, ())
        )  # fmt: skip

    def given(self, i: int, place: int) -> str:
        """The name of a node's input; empty where it is left out."""
        inputs = self.nodes[i].input
        return inputs[place] if place < len(inputs) else ""

    def carried(self, name: str) -> tuple[Source, np.ndarray, tuple[int, ...]] | None:
        """A weight, or what Reshape, Transpose and their like make of one alone: where it comes from, its value, and
        the nodes that nobody else needs."""
        array = self.weight(name)
        if array is not None:
            return self.source(name), array, ()
        i = self.makers.get(name)
        if i is None or self.operator(i) not in ("Reshape", "Transpose", "Unsqueeze", "Squeeze"):
            return None
        before = self.carried(self.nodes[i].input[0])
        if before is None:
            return None
        source, array, nodes = before
        if self.operator(i) == "Transpose":
            axes = tuple(int(a) for a in self.attributes(i).get("perm", range(array.ndim)[::-1]))
            step, array = ("transpose", axes), array.transpose(axes)
        else:
            shape = self._shape_of(i, array)
            if shape is None:
                return None
            step, array = ("reshape", shape), array.reshape(shape)
        own = (*nodes, i) if self.only_reader(name) is not None else nodes
        return Source(source.name, (*source.steps, step)), array, own

    def _shape_of(self, i: int, array: np.ndarray) -> tuple[int, ...] | None:
        """The shape that a node gives to a constant."""
        operator, axes = self.operator(i), self.attributes(i).get("axes")
        if axes is None and self.given(i, 1):
            told = self.array(self.given(i, 1))
            axes = None if told is None else told.reshape(-1).tolist()
        if axes is None:
            return None
        if operator == "Unsqueeze":
            return np.expand_dims(array, tuple(int(a) for a in axes)).shape
        if operator == "Squeeze":
            return np.squeeze(array, tuple(int(a) for a in axes)).shape
        return array.reshape([array.shape[k] if n == 0 else int(n) for k, n in enumerate(axes)]).shape

    def root(self, name: str) -> str:
        """The name of the value that Identity nodes pass on."""
        i = self.makers.get(name)
        return self.root(self.nodes[i].input[0]) if i is not None and self.operator(i) == "Identity" else name

    def weight(self, name: str) -> np.ndarray | None:
        """The value of a weight: a floating-point constant of one axis or more."""
        name = self.root(name)
        return self.weights[name].array if name in self.weights else None

    def source(self, name: str, *steps: Step) -> Source:
        """Where a layer's weight comes from."""
        return Source(self.root(name), tuple(steps))

    def users(self, name: str) -> list[int]:
        """The nodes that read a weight, by itself or through Identity."""
        found: list[int] = []
        for i in self.readers.get(name, ()):
            passes = i != OUTSIDE and self.operator(i) == "Identity" and self.weight(name) is not None
            found += self.users(self.nodes[i].output[0]) if passes else [i]
        return found


def _read_inside(graph: Any) -> set[str]:
    found = {name for node in graph.node for name in node.input} | {x.name for x in graph.output}
    for node in graph.node:
        for inner in subgraphs(node):
            found |= _read_inside(inner)
    return found


def brought(array: np.ndarray, steps: Sequence[Step]) -> np.ndarray:
    """The weight of a layer from the initializer's array; a view where NumPy allows it."""
    for kind, values in steps:
        if kind == "transpose":
            array = array.transpose(values)
        elif kind == "take":
            array = np.take(array, values, axis=-1)
        elif kind == "part":
            array = array[values[0]]
        elif kind == "halves":
            array = np.add(*np.split(array, 2))
        else:
            array = array.reshape(values)
    return array


def put_back(array: np.ndarray, steps: Sequence[Step], value: np.ndarray) -> np.ndarray:
    """The initializer's array in which a layer's weight has a value; `array` is what it was before."""
    if not steps:
        return value
    (kind, values), rest = steps[0], steps[1:]
    inner = put_back(brought(array, steps[:1]), rest, value)
    if kind == "transpose":
        return inner.transpose(np.argsort(values))
    if kind == "take":
        return np.take(inner, np.argsort(values), axis=-1)
    if kind == "part":
        whole = array.copy()
        whole[values[0]] = inner
        return whole
    if kind == "halves":
        second = np.split(array, 2)[1]
        return np.concatenate([inner - second, second])
    return inner.reshape(array.shape)
