"""Pieces of a file that are one layer: a node, with those before it that only say how it works.

Sizes that a node computes (Shape, Gather, Concat before a Reshape), weights that are transposed or unpacked, sequences:
these are no tensors between layers, so the nodes that make them belong to each piece that needs them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..trainer.core.tensor import Tensor
from ..trainer.core.variable import Variable
from .importer import Program
from .lazy import onnx
from .mapped import filled
from .operators import Sizes
from .source import Source


class Fragment:
    """Nodes of a file from tensors to tensors.

    model: a `ModelProto` of these nodes; its graph's inputs and outputs have names only, its initializers are constants
    weights: variables by the names, in the file, of initializers or of results of nodes for which they stand
    source: the file, shared by all its fragments
    """

    def __init__(self, model: Any, weights: Mapping[str, Variable], source: Source | None = None) -> None:
        self.model = model
        self.weights = dict(weights)
        self.source = source
        self.inputs = tuple(x.name for x in model.graph.input)
        self.outputs = tuple(x.name for x in model.graph.output)

    @property
    def main(self) -> Any:
        """The node after which the fragment is named: the last one."""
        return self.model.graph.node[-1]

    @property
    def is_living(self) -> bool:
        """Whether a node does something else in training."""
        return any(node.op_type in ("BatchNormalization", "Dropout") for node in self.model.graph.node)

    @cached_property
    def program(self) -> Program:
        """The nodes, to be run."""
        given: dict[str, Any] = dict.fromkeys(self.inputs)
        return Program(self.model, {**given, **self.weights})

    def run(self, values: Sequence[Any], training: bool = False, seed: Any = None) -> list[Any]:
        """The results for values of the inputs: tensors, or whatever else the nodes make."""
        program = self.program
        program.training, program.seed = training, seed
        given = {**self.weights, **dict(zip(self.inputs, values, strict=True))}
        return program(given)

    def tensors(self, values: Sequence[Any], training: bool = False, seed: Any = None) -> list[Any]:
        """The results as `run` gives them, sizes as tensors."""
        return [x.tensor() if isinstance(x, Sizes) else x for x in self.run(values, training, seed)]

    def to_bytes(self) -> bytes:
        """The nodes as a small file of their own, weights left out."""
        model = type(self.model)()
        model.CopyFrom(self.model)
        return filled(model, self.source.mappings if self.source is not None else None).SerializeToString(
            deterministic=True
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Fragment:
        return Fragment(self.model, copy.deepcopy(self.weights, memo), self.source)


@dataclass(frozen=True)
class Entry:
    """A value while a file is read, and what it takes to make it from tensors and weights.

    value: a tensor, sizes, a sequence, a weight
    is_tensor: whether it goes from layer to layer as it is
    nodes: places of the nodes that make it of `tensors` and `leaves` (initializers, weights), none for a tensor
    """

    value: Any
    is_tensor: bool = False
    nodes: frozenset[int] = frozenset()
    tensors: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()


class Pieces:
    """Cuts fragments out of a file."""

    def __init__(self, source: Source, weights: Mapping[str, Variable]) -> None:
        self.source = source
        self.weights = weights
        self.nodes = list(source.frame.graph.node)
        graph = source.frame.graph
        self.constants = {x.name: x for x in graph.initializer}
        self.sparse = {x.values.name: x for x in graph.sparse_initializer}
        self.owned: set[str] = set()
        self.packing = self._packing()

    def _packing(self) -> dict[str, int]:
        """For weights that a node makes of constants, the place of the node."""
        return {
            node.output[0]: i for i, node in enumerate(self.nodes) if node.output and node.output[0] in self.weights
        }

    def cut(self, entry: Entry, outputs: Sequence[str]) -> tuple[Fragment, list[str]]:
        """The fragment that makes values of an entry's tensors and leaves, and the names of what enters it: tensors,
        and weights that belong to a fragment before."""
        own = [x for x in entry.leaves if x in self.weights and x not in self.owned]
        shared = [x for x in entry.leaves if x in self.weights and x in self.owned]
        self.owned.update(own)
        packing = [self.packing[x] for x in own if x in self.packing]
        places = self._with_constants(packing)
        frame = self.source.frame
        model = onnx.ModelProto(ir_version=frame.ir_version, opset_import=frame.opset_import)
        graph = model.graph
        graph.name = "fragment"
        entering = [*entry.tensors, *shared]
        graph.input.extend(onnx.ValueInfoProto(name=x) for x in entering)
        graph.output.extend(onnx.ValueInfoProto(name=x) for x in outputs)
        kept = [self.nodes[i] for i in sorted({*places, *entry.nodes})]
        graph.node.extend(kept)
        read = [*entry.leaves, *(name for i in places for name in self.nodes[i].input)]
        for name in dict.fromkeys(read):
            if name in self.constants and name not in self.weights:
                graph.initializer.append(self.constants[name])
            elif name in self.sparse:
                graph.sparse_initializer.append(self.sparse[name])
        called = {(node.domain, node.op_type) for node in kept}
        functions = frame.functions
        if any((f.domain, f.name) in called for f in functions) or any(_has_graphs(node) for node in kept):
            model.functions.extend(functions)
        return Fragment(model, {name: self.weights[name] for name in own}, self.source), entering

    def _with_constants(self, places: Sequence[int]) -> set[int]:
        """Nodes that unpack weights, with the Constant nodes that they read."""
        found, pending = set(places), list(places)
        while pending:
            for name in self.nodes[pending.pop()].input:
                maker = self.makers.get(name)
                if maker is not None and maker not in found:
                    found.add(maker)
                    pending.append(maker)
        return found

    @cached_property
    def makers(self) -> dict[str, int]:
        """For each result of a node, the place of the node."""
        return {name: i for i, node in enumerate(self.nodes) for name in node.output}


def _has_graphs(node: Any) -> bool:
    return any(attribute.HasField("g") for attribute in node.attribute)


def is_symbolic(value: Any) -> bool:
    """Whether a value is a tensor without a value yet."""
    return isinstance(value, Tensor) and value.array is None
