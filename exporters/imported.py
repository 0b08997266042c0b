"""From an ONNX model to a graph of our primitives, its weights variables that can be trained."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..trainer.core.constants import own_constant
from ..trainer.core.dims import Size, dim, fresh, parse
from ..trainer.core.graph import Graph
from ..trainer.core.spec import TensorSpec
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import Trace, symbolic_input
from ..trainer.core.variable import Variable
from .importer import Program
from .operators import Sizes, UnsupportedOperatorError
from .protos import element_type, tensor_array

STATISTICS = {"BatchNormalization": (3, 4)}
"""Inputs that are measured, not learned."""

UNLEARNED = {
    "QuantizeLinear": (1, 2), "DequantizeLinear": (1, 2), "Resize": (1, 2), "Upsample": (1,), "Clip": (1, 2),
    "Pad": (2,), "Dropout": (1,), "OneHot": (2,), "Range": (0, 1, 2), "NonMaxSuppression": (2, 3, 4),
    "QLinearConv": tuple(range(1, 8)), "QLinearMatMul": tuple(range(1, 8)), "ConstantOfShape": (0,),
}  # fmt: skip
"""Inputs that say what an operator does."""

UNPACKED = ("DequantizeLinear", "Cast", "Identity")
"""Operators behind which exporters keep weights in a narrower type."""


@dataclass(frozen=True)
class Imported:
    """A file as a graph.

    graph: with the inputs and results in the file's order
    input_names, output_names: their names in the file
    weights: by their names in the file; those that the graph reads
    """

    graph: Graph
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    weights: Mapping[str, Variable]


def import_graph(
    model: Any,
    shapes: Mapping[str, Any] | None = None,
    trainable: bool = True,
    make_input: Callable[[TensorSpec, str], Tensor] = symbolic_input,
) -> Imported:
    """The graph of a `ModelProto`: sizes without a number are symbolic, floating-point weights are variables.

    shapes: other shapes than the file's for inputs by name
    trainable: False makes all variables fixed
    make_input: makes the symbolic tensor of an input from its spec and name

    Raises `UnsupportedOperatorError` naming the node for what cannot be computed, or is only known when it runs.
    """
    weights = find_weights(model, trainable)
    program = Program(model, weights)
    names = DimensionNames()
    inputs = [make_input(input_spec(x, names, (shapes or {}).get(x.name)), clean_name(x.name)) for x in program.inputs]
    keys = [x.name for x in program.inputs]
    with Trace() as effects:
        found = program(dict(zip(keys, inputs, strict=True)))
        results = [_result(name, x) for name, x in zip(program.outputs, found, strict=True)]
    graph = Graph(inputs, results, effects.assigned)
    read = set(graph.variables)
    kept = {name: variable for name, variable in weights.items() if variable in read}
    return Imported(graph, tuple(keys), tuple(program.outputs), kept)


def _result(name: str, value: Any) -> Tensor:
    if isinstance(value, Variable):
        value = value.read()
    if isinstance(value, Sizes):
        value = value.tensor()
    if not isinstance(value, Tensor):
        raise UnsupportedOperatorError(
            f"the output '{name}' is {'nothing' if value is None else 'a sequence'}; a model's outputs are tensors. "
            "Take an output before it, or run the file with exporters.backend."
        )
    own_constant(value)
    if value.symbol is not None and value.symbol.node is not None:
        value.symbol.name = clean_name(name)
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
    dtype = element_type(tensor.elem_type)
    if shape is not None:
        return TensorSpec(tuple(names.size(s) if isinstance(s, str) else s for s in shape), dtype)
    if not tensor.HasField("shape"):
        raise ValueError(
            f"the input '{proto.name}' has no shape in the file; give it: shapes={{'{proto.name}': ('batch', 3)}}"
        )
    return TensorSpec(tuple(_size(entry, names) for entry in tensor.shape.dim), dtype)


def _size(entry: Any, names: DimensionNames) -> Size:
    if entry.HasField("dim_param") and entry.dim_param:
        return names.size(entry.dim_param)
    if entry.HasField("dim_value") and entry.dim_value >= 0:
        return int(entry.dim_value)
    return fresh()


def clean_name(name: str) -> str:
    """A name from a file without what separates scopes here."""
    return name.replace("/", ".").strip(".") or "unnamed"


def find_weights(model: Any, trainable: bool = True) -> dict[str, Variable]:
    """The floating-point weights of a model by name: initializers, constants, and what is unpacked from narrow types.

    Single numbers stay constants; so does what says what an operator does, such as scales of a Resize.
    """
    nodes = model.graph.node
    arrays: dict[str, np.ndarray] = {x.name: tensor_array(x) for x in model.graph.initializer}
    for node in nodes:
        if node.op_type == "Constant" and not node.domain and node.attribute[0].name == "value":
            arrays[node.output[0]] = tensor_array(node.attribute[0].t)
    packed: set[str] = set()
    for node in nodes:
        if node.op_type in UNPACKED and not node.domain and all(name in arrays for name in node.input if name):
            found = _unpacked(model, node, arrays)
            if found is not None:
                arrays[node.output[0]] = found
                packed.update(node.input)
    fixed, unlearned = _roles(nodes, STATISTICS), _roles(nodes, UNLEARNED)
    used = {name for node in nodes for name in node.input} - packed
    return {
        name: weight_variable(name, array, trainable and name not in fixed)
        for name, array in arrays.items()
        if array.dtype.kind == "f" and array.dtype.num < 256 and array.ndim and name not in unlearned
        and (name not in packed or name in used)
    }  # fmt: skip


def _roles(nodes: Any, table: Mapping[str, tuple[int, ...]]) -> set[str]:
    return {
        node.input[i] for node in nodes if not node.domain for i in table.get(node.op_type, ()) if i < len(node.input)
    }


def _unpacked(model: Any, node: Any, arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """The value of a node whose inputs are all constants; None where it is no tensor of floats."""
    program = Program(type(model)(opset_import=model.opset_import))
    scope: dict[str, Any] = {name: Tensor(arrays[name]) for name in node.input if name}
    program.run_node(node, scope, program.opsets, {})
    found = scope[node.output[0]]
    array = found.array if isinstance(found, Tensor) else None
    return array if array is not None and array.dtype.kind == "f" else None


def weight_variable(name: str, array: np.ndarray, trainable: bool) -> Variable:
    """A variable under the file's name."""
    variable = Variable(array, trainable=trainable, name=clean_name(name).rsplit(".", 1)[-1] or "weight")
    variable.path = name
    return variable
