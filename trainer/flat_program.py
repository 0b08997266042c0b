"""A graph of fixed sizes as a flat list of calls of NumPy on memory laid out once: no tape, no tensors, no dispatch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .core.dims import is_static
from .core.graph import Graph, Node
from .core.tensor import Tensor
from .core.variable import Variable
from .flat_fusion import fused_nodes
from .flat_kernels import Place, form_of
from .flat_slots import Memory, Slot, fill, fill_all
from .ops.linalg import matmul_primitive

ALWAYS = 1 << 60
"""When a result dies: never."""
LARGE = 1 << 16
"""Bytes from which an array of a run is let go of as soon as it can be."""


class FlatProgram:
    """Runs a graph again and again on arrays of the sizes it was traced with.

    results: the tensors that `run` makes, in the order of `graph.results`; their slots hold them until the next run
    into: for results by number, arrays into which they are to be written

    What is assigned to variables is theirs only with `commit`. Raises `NotImplementedError` for sizes known only by
    name. Not to be run by two threads at once.
    """

    def __init__(self, graph: Graph, into: Mapping[int, np.ndarray] | None = None) -> None:
        if not all(is_static(spec.shape) for node in graph.nodes for spec in node.specs):
            raise NotImplementedError("a flat program has sizes that are numbers")
        self.memory = Memory()
        self.calls: list[Callable[[], Any]] = []
        self.varying: list[Slot] = []
        self._slots: dict[int, Slot] = {}
        self._kept: list[Any] = []
        self.inputs = [self._varying(x) for x in graph.inputs]
        self.read: list[tuple[Variable, Slot]] = []
        nodes = fused_nodes(graph)
        last = last_uses(graph, nodes)
        self._factors = factors(graph, nodes)
        self._found: dict[Any, np.ndarray] = {}
        for number, target in (into or {}).items():
            tensor = graph.results[number]
            if tensor.symbol is not None and tensor.symbol.node is not None and id(tensor) not in self._slots:
                self._slots[id(tensor)] = Slot(tensor.spec, target)
        ends: dict[int, list[Slot]] = {}
        for place, node in enumerate(nodes):
            self._add(place, node, last, ends)
        self.results = [self._slot(x) for x in graph.results]
        self.assigned = [(variable, self._slot(x)) for variable, x in graph.assigns.items()]
        kept = {id(slot) for slot in [*self.results, *[slot for _, slot in self.assigned]]}
        self._passing = [slot for slot in self.varying if id(slot) not in kept]
        self._slots = {}
        self._kept = []

    def _varying(self, tensor: Tensor) -> Slot:
        slot = self._slots[id(tensor)] = Slot(tensor.spec)
        self.varying.append(slot)
        return slot

    def _slot(self, tensor: Tensor) -> Slot:
        """The slot of a tensor: a node's result, an input, a variable's value or a constant."""
        slot = self._slots.get(id(tensor))
        if slot is None:
            if tensor.array is not None:
                slot = self._slots[id(tensor)] = Slot(tensor.spec, tensor.array)
                self._kept.append(tensor)
            elif tensor.symbol is not None and tensor.symbol.variable is not None:
                slot = self._varying(tensor)
                self.read.append((tensor.symbol.variable, slot))
            else:
                raise NotImplementedError(f"a flat program cannot reach {tensor!r}")
        return slot

    def _add(self, number: int, node: Node, last: Mapping[int, int], ends: dict[int, list[Slot]]) -> None:
        """The calls of one node, in its form or of its kernel."""
        inputs = [None if x is None else self._slot(x) for x in node.inputs]
        outputs = [self._slots.get(id(x)) or Slot(x.spec) for x in node.outputs]
        dying = [slot for slot in ends.get(number, []) if slot.owned]
        given = [slot.array for slot in outputs]
        is_factor = id(node.outputs[0]) in self._factors
        place = Place(node.primitive, node.attributes, inputs, outputs, self.memory, dying, is_factor, self._found)
        form = form_of(node.primitive)
        if form is not None and form(place):
            self.calls += place.calls
        else:
            self._add_kernel(node, inputs, outputs, given)
        for tensor, slot in zip(node.outputs, outputs, strict=True):
            self._slots[id(tensor)] = slot
            ends.setdefault(last[id(tensor)], []).append(slot)
        for slot in ends.pop(number, []):
            if slot.owned:
                self.memory.give(slot.array)
                slot.owned = False
            elif not slot.is_fixed and slot.nbytes >= LARGE:
                self.calls.append(slot.clear)

    def _add_kernel(
        self, node: Node, inputs: Sequence[Slot | None], outputs: Sequence[Slot], given: Sequence[Any]
    ) -> None:
        """The primitive's own kernel: its results are new arrays, copied where they are wanted in a place of theirs."""
        made = [Slot(slot.spec) for slot in outputs]
        for slot, own, target in zip(outputs, made, given, strict=True):
            slot.array, slot.is_fixed, slot.owned = target, target is not None, False
            if target is None:
                self.varying.append(slot)
            else:
                self.varying.append(own)
        targets = [own if slot.is_fixed else slot for slot, own in zip(outputs, made, strict=True)]
        run = node.primitive.run
        if len(targets) == 1:
            self.calls.append(fill(targets[0], run, inputs, node.attributes))
        else:
            self.calls.append(fill_all(targets, run, inputs, node.attributes))
        for slot, own in zip(outputs, made, strict=True):
            if slot.is_fixed:
                self.calls.append(lambda slot=slot, own=own: np.copyto(slot.array, own.array))

    def run(self, arrays: Sequence[np.ndarray]) -> None:
        """Compute all results and the next values of variables; afterwards nothing holds the arrays of variables.

        An array that is held cannot be updated in place.
        """
        for slot, array in zip(self.inputs, arrays, strict=True):
            slot.array = array
        for variable, slot in self.read:
            slot.array = variable.array
        for step in self.calls:
            step()
        for slot in self._passing:
            slot.array = None

    def commit(self) -> None:
        """Give the variables their next values."""
        for variable, slot in self.assigned:
            variable.renew(slot.array.copy())

    def clear(self) -> None:
        """Let go of the arrays of a run."""
        for slot in self.varying:
            slot.array = None


def last_uses(graph: Graph, nodes: Sequence[Node]) -> dict[int, int]:
    """For each tensor of a graph's nodes, the number of the last node that may read its memory.

    What a kernel returns may be a view of what it was given, so that each result keeps the inputs of its node.
    """
    last: dict[int, int] = {id(x): ALWAYS for x in [*graph.results, *graph.assigns.values()]}
    for number in range(len(nodes) - 1, -1, -1):
        node = nodes[number]
        own = [last.setdefault(id(x), number) for x in node.outputs]
        until = number if has_own_memory(node) else max(own)
        for x in node.inputs:
            if x is not None:
                last[id(x)] = max(last.get(id(x), 0), until)
    return last


def factors(graph: Graph, nodes: Sequence[Node]) -> set[int]:
    """Transposed matrices that nothing but products of two matrices read."""
    found = {id(node.outputs[0]) for node in nodes if node.attributes.get("axes") == (1, 0)}
    found -= {id(x) for x in [*graph.results, *graph.assigns.values()]}
    for node in nodes:
        given = [x for x in node.inputs if x is not None]
        if node.primitive is not matmul_primitive or any(len(x.shape) != 2 or x.dtype.kind != "f" for x in given):
            found -= {id(x) for x in given}
    return found


def has_own_memory(node: Node) -> bool:
    """Whether a node's results are never views of its inputs."""
    return isinstance(node.primitive.run, np.ufunc) or node.primitive.name in OWN_MEMORY


OWN_MEMORY = frozenset({
    "average_pool", "average_pool_gradient", "batch_normalization_gradient", "batch_normalization_training",
    "convolution", "convolution_gradients", "convolution_input_gradient", "convolution_kernel_gradient",
    "convolution_relu", "gate", "keeping_convolution", "kept_convolution_gradients", "matmul", "max_pool",
    "max_pool_gradient", "mean", "pooled_convolution", "pooled_convolution_gradients", "rectified_normalization",
    "relu", "sparse_softmax_cross_entropy",
    "sparse_softmax_cross_entropy_gradient", "sum",
})  # fmt: skip
"""Primitives whose kernels make an array of their own."""
