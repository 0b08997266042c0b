"""From an ONNX file to layers: each node that gives a tensor becomes one, the others belong to those they serve."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..trainer.core.constants import own_constant
from ..trainer.core.dims import Size, dim, fresh, parse
from ..trainer.core.spec import TensorSpec
from ..trainer.core.tensor import Tensor
from ..trainer.core.variable import Variable
from .fragments import Entry, Fragment, Pieces, is_symbolic
from .importer import Program
from .node_reading import ReadNode
from .operators import Sizes, UnsupportedOperatorError
from .protos import element_type, tensor_array
from .source import Source
from .weights import clean_name, find_weights

LIGHT = frozenset(("Shape", "Size", "SequenceConstruct", "SequenceInsert", "SplitToSequence", "SequenceLength"))
"""Operators whose result is no tensor between layers, whatever they read."""


class Placed(Protocol):
    """What makes a layer of a fragment and calls it: the results, or None where they are not all symbolic tensors."""

    def __call__(self, fragment: Fragment, values: Sequence[Any], name: str) -> list[Tensor] | None:
        """Values: symbolic tensors, and variables that belong to a layer before."""
        ...


@dataclass(frozen=True)
class Imported:
    """A file as layers.

    inputs, outputs: symbolic tensors in the file's order
    weights: by their names in the file
    source: the file itself
    """

    inputs: list[Tensor]
    outputs: list[Tensor]
    weights: Mapping[str, Variable]
    source: Source


class Importer:
    """Reads the nodes of a file in order.

    place: makes the layers
    make_input: makes the symbolic tensor of an input from its spec and name
    shapes: other shapes than the file's for inputs by name
    trainable: False makes all variables fixed
    """

    def __init__(
        self,
        source: Source,
        place: Placed,
        make_input: Callable[[TensorSpec, str], Tensor],
        shapes: Mapping[str, Any] | None = None,
        trainable: bool = True,
    ) -> None:
        self.source = source
        self.place = place
        self.make_input = make_input
        self.shapes = dict(shapes or {})
        self.weights = find_weights(source.frame, trainable)
        self.pieces = Pieces(source, self.weights)
        frame = source.frame
        self.program = Program(type(frame)(opset_import=frame.opset_import, functions=frame.functions))
        self.entries: dict[str, Entry] = {}
        self.names: set[str] = set()

    def run(self) -> Imported:
        """The file as layers. Raises `UnsupportedOperatorError` naming the node for what cannot be computed, or is only
        known when it runs; `ValueError` for shapes of inputs that the file does not have, and for a damaged file."""
        graph = self.source.frame.graph
        inputs = self._inputs()
        for tensor in graph.initializer:
            value = self.weights.get(tensor.name)
            self.entries[tensor.name] = Entry(tensor if value is None else value, leaves=(tensor.name,))
        for sparse in graph.sparse_initializer:
            name = sparse.values.name
            self.entries[name] = Entry(Tensor(tensor_array(sparse)), leaves=(name,))
        for i, proto in enumerate(self.pieces.nodes):
            if proto.output and proto.output[0] in self.weights:
                name = proto.output[0]
                self.entries[name] = Entry(self.weights[name], leaves=(name,))
            else:
                self.read(i, ReadNode(proto, self.program.opsets))
        outputs = [self._output(x.name) for x in graph.output]
        return Imported(inputs, outputs, self.weights, self.source)

    def _inputs(self) -> list[Tensor]:
        names = DimensionNames()
        given = {x.name: x for x in self.source.frame.graph.input if x.name in self.source.inputs}
        unknown = [name for name in self.shapes if name not in given]
        if unknown:
            raise ValueError(
                f"shapes: the file has no input {unknown[0]!r}; its inputs are {', '.join(given) or 'none'}"
            )
        made: list[Tensor] = []
        for name, proto in given.items():
            x = self.make_input(input_spec(proto, names, self.shapes.get(name)), self.unique(name))
            self.entries[name] = Entry(x, is_tensor=True, tensors=(name,))
            made.append(x)
        return made

    def unique(self, name: str) -> str:
        """A name for a layer, with a number where it is taken; taken from now on."""
        found = self.free_name(name)
        self.names.add(found)
        return found

    def free_name(self, name: str) -> str:
        """A name for a layer, with a number where it is taken."""
        base = found = clean_name(name)
        count = 1
        while found in self.names:
            found, count = f"{base}_{count}", count + 1
        return found

    def value(self, name: str) -> Any:
        """The value of a name; contents of constants are read when they are first needed."""
        entry = self.entries[name]
        if entry.value is not None and not isinstance(entry.value, (Tensor, Sizes, Variable, list)):
            entry = self.entries[name] = Entry(Tensor(tensor_array(entry.value)), leaves=entry.leaves)
        return entry.value

    def read(self, i: int, node: ReadNode) -> None:
        """One node: a layer, or a value that belongs to the layers that need it."""
        names = node.reads()
        missing = [name for name in names if name not in self.entries]
        if missing:
            raise ValueError(
                f"{node.call.label}: the file names '{missing[0]}' as an input of {node.operator}, but no node, input "
                "or initializer before gives it"
            )
        whole = self._joined(i, [self.entries[name] for name in names])
        wanted = [name for name in node.outputs if name]
        is_light = node.operator in LIGHT and not node.domain
        is_layer = whole.tensors and not is_light
        if is_layer and any(self.entries[x].is_tensor for x in names) and self._as_layer(whole, node, wanted):
            return
        scope = {name: self.value(name) for name in names}
        self.program.run_node(node, scope, {})
        results = [scope.get(name) for name in wanted]
        if is_layer and results and all(map(is_symbolic, results)) and self._as_layer(whole, node, wanted):
            return
        for name, result in zip(wanted, results, strict=True):
            self.entries[name] = Entry(result, False, whole.nodes, whole.tensors, whole.leaves)

    def _joined(self, i: int, entries: Sequence[Entry]) -> Entry:
        nodes = frozenset({i}).union(*[entry.nodes for entry in entries])
        tensors = tuple(dict.fromkeys(name for entry in entries for name in entry.tensors))
        leaves = tuple(dict.fromkeys(name for entry in entries for name in entry.leaves))
        return Entry(None, False, nodes, tensors, leaves)

    def _as_layer(self, whole: Entry, node: ReadNode, wanted: Sequence[str]) -> bool:
        """Whether a node could be made a layer."""
        owned = set(self.pieces.owned)
        fragment, entering = self.pieces.cut(whole, wanted)
        values = [self.entries[name].value for name in entering]
        results = self.place(fragment, values, node.call.name or wanted[0])
        if results is None:
            self.pieces.owned = owned
            return False
        for name, result in zip(wanted, results, strict=True):
            self.entries[name] = Entry(result, True, tensors=(name,))
        return True

    def _output(self, name: str) -> Tensor:
        if name not in self.entries:
            raise ValueError(
                f"the file names '{name}' as an output of the graph, but no node, input or initializer before gives it"
            )
        entry, value = self.entries[name], self.value(name)
        if not entry.is_tensor and entry.tensors and isinstance(value, (Sizes, Tensor)):
            fragment, entering = self.pieces.cut(entry, [name])
            results = self.place(fragment, [self.entries[x].value for x in entering], name)
            value = results[0] if results else value
        if isinstance(value, Variable):
            value = value.read()
        if isinstance(value, Sizes):
            value = value.tensor()
        if not isinstance(value, Tensor):
            raise UnsupportedOperatorError(
                f"the output '{name}' is {'nothing' if value is None else 'a sequence'}; a model's outputs are "
                "tensors. Take an output before it, or run the file with exporters.backend."
            )
        own_constant(value)
        if value.symbol is not None and value.symbol.node is not None:
            value.symbol.name = name
        return value


class DimensionNames:
    """Names of sizes in a file, and the symbolic sizes that they are here."""

    def __init__(self) -> None:
        self.known: dict[str, Size] = {}

    def size(self, text: str) -> Size:
        """The size that a name, or an expression over names, stands for."""
        if text not in self.known:
            try:
                self.known[text] = parse(text)
            except ValueError:
                plain = re.sub(r"\W+", "_", text).strip("_")
                self.known[text] = dim(plain) if plain.isidentifier() and plain.isascii() else fresh()
        return self.known[text]


def input_spec(proto: Any, names: DimensionNames, shape: Any = None) -> TensorSpec:
    """Shape and element type of an input. Raises `UnsupportedOperatorError` for what is no tensor of numbers."""
    if not proto.type.HasField("tensor_type"):
        kind = proto.type.WhichOneof("value") or "no type"
        raise UnsupportedOperatorError(
            f"the input '{proto.name}' is {kind.replace('_type', '')}, and a model's inputs are tensors here. Run the "
            "file with exporters.backend, which takes sequences and optionals."
        )
    tensor = proto.type.tensor_type
    try:
        dtype = element_type(tensor.elem_type)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"the input '{proto.name}' has the unknown element type {tensor.elem_type}") from None
    if shape is not None:
        return _given_spec(proto, names, shape, dtype)
    if not tensor.HasField("shape"):
        raise ValueError(
            f"the input '{proto.name}' has no shape in the file; give it: shapes={{'{proto.name}': ('batch', 3)}}"
        )
    return TensorSpec(tuple(_size(entry, names) for entry in tensor.shape.dim), dtype)


def _given_spec(proto: Any, names: DimensionNames, shape: Any, dtype: Any) -> TensorSpec:
    """The user's shape instead of the file's: numbers, names, None for any size."""
    if isinstance(shape, str) or not isinstance(shape, Sequence):
        raise TypeError(f"shapes: expected a tuple of sizes for the input '{proto.name}', got {shape!r}")
    rank = len(proto.type.tensor_type.shape.dim)
    if proto.type.tensor_type.HasField("shape") and rank != len(shape):
        raise ValueError(f"shapes: the input '{proto.name}' has {rank} axes in the file, got {len(shape)}: {shape!r}")
    sizes = [names.size(s) if isinstance(s, str) else fresh() if s is None else s for s in shape]
    return TensorSpec(tuple(sizes), dtype)


def _size(entry: Any, names: DimensionNames) -> Size:
    if entry.HasField("dim_param") and entry.dim_param:
        return names.size(entry.dim_param)
    if entry.HasField("dim_value") and entry.dim_value > 0:
        return int(entry.dim_value)
    return 0 if entry.HasField("dim_value") and entry.dim_value == 0 else fresh()
