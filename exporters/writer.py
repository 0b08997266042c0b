"""From a graph of primitives to ONNX operators: the emitter that lowerings write to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..trainer.core.dims import Dim, Shape, Size, fold, is_static, names, promised
from ..trainer.core.dtypes import as_dtype
from ..trainer.core.emitter import Value
from ..trainer.core.graph import Graph, Node
from ..trainer.core.spec import TensorSpec
from ..trainer.core.tensor import Tensor
from ..trainer.core.variable import Variable
from .ir import OnnxGraph, OnnxNode
from .origins import Origin, same_bits
from .pooled_gradients import with_pooled_gradients
from .sizes import SizeSources

INT64 = np.dtype(np.int64)


class Keeper(Protocol):
    """What writes parts of a graph in its own way."""

    def write(self, writer: Writer, node: Node) -> bool:
        """Write the part that a node belongs to, once; whether it belongs to one."""
        ...


BROADCASTING = frozenset(("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mean", "Sum", "Mod", "And", "Or", "Xor"))
"""Operators whose result may be larger than their first input."""


def _broadcast(shapes: list[Shape]) -> Shape:
    """The shape of operands stretched over each other, which are known to fit."""
    rank = max(map(len, shapes))
    result: list[Size] = [1] * rank
    for shape in shapes:
        for axis, size in enumerate(shape, rank - len(shape)):
            if result[axis] == 1:
                result[axis] = size
    return tuple(result)


class Writer:
    """Lowers graphs node by node into an `OnnxGraph`; see `trainer.core.emitter.Emitter` for what lowerings may call.

    Values carry the scope of the layer call that made them; initializers the path of their variable.
    """

    def __init__(
        self,
        name: str,
        opset: int,
        parent: Writer | None = None,
        weight_names: Mapping[Variable, str] | None = None,
        on_gpu: bool = False,
    ) -> None:
        self.opset = opset
        self.on_gpu = parent.on_gpu if parent else on_gpu
        self.weight_names: Mapping[Variable, str] = weight_names or {}
        self.onnx = OnnxGraph(name)
        self.parent = parent
        self.taken: set[str] = parent.taken if parent else set()
        self.numbers: dict[str, int] = parent.numbers if parent else {}
        self.values: dict[int, Value] = {}
        self.kept: list[Any] = parent.kept if parent else []
        self.variables: dict[Variable, str] = parent.variables if parent else {}
        self.constants: dict[tuple[Any, ...], Value] = parent.constants if parent else {}
        self.sources = SizeSources(parent.sources if parent else None)
        self.sizes: dict[Size, Value] = {}
        self.node: Node | None = None
        self.keeper: Keeper | None = None

    @property
    def root(self) -> Writer:
        """The writer of the outermost graph, which holds all constants and weights."""
        return self.parent.root if self.parent else self

    def unique(self, name: str) -> str:
        """The name itself, or the name with a number when it is taken."""
        candidate = name
        while candidate in self.taken:
            self.numbers[name] = count = self.numbers.get(name, 0) + 1
            candidate = f"{name}_{count}"
        self.taken.add(candidate)
        return candidate

    def __call__(
        self, operator: str, *inputs: Value | None, spec: TensorSpec | None = None, **attributes: Any
    ) -> Value:
        first = next((x for x in inputs if x is not None), None)
        known = spec if spec is not None else first.spec if first is not None else None
        if spec is None and known is not None and operator in BROADCASTING:
            known = TensorSpec(_broadcast([x.shape for x in inputs if x is not None]), known.dtype)
        if known is None:
            raise ValueError(f"lowering to {operator}: an operator without inputs needs `spec=`")
        return self.many(operator, *inputs, specs=(known,), **attributes)[0]

    def many(
        self, operator: str, *inputs: Value | None, specs: tuple[TensorSpec | None, ...], **attributes: Any
    ) -> tuple[Value, ...]:
        """One operator with several outputs."""
        path = self.node.path if self.node is not None else ""
        name = self.unique(f"{path}/{operator}" if path else operator)
        many = len(specs) > 1
        outputs = [
            "" if spec is None else self.unique(f"{name}:{i}") if many else self.unique(f"{name}:0")
            for i, spec in enumerate(specs)
        ]
        sources = [x.name if x is not None else "" for x in inputs]
        while sources and not sources[-1]:
            sources.pop()
        source = str(self.node.source) if self.node is not None and self.node.source else ""
        plain = {key: value for key, value in attributes.items() if value is not None}
        self.onnx.nodes.append(OnnxNode(operator, sources, outputs, plain, name, source=source))
        for output, spec in zip(outputs, specs, strict=True):
            if spec is not None:
                self.onnx.specs[output] = spec
        return tuple(
            Value(o, s if s is not None else TensorSpec((), None)) for o, s in zip(outputs, specs, strict=True)
        )

    def constant(self, array: Any, dtype: Any = None) -> Value:
        """A constant, shared with equal ones."""
        value = np.asarray(array, None if dtype is None else as_dtype(dtype))
        key = (value.dtype.str, value.shape, value.tobytes()) if value.nbytes <= 4096 else (id(value),)
        if key not in self.constants:
            self.kept.append(value)
            name = self.root.unique("constant")
            self.root.onnx.initializers[name] = value
            self.constants[key] = Value(name, TensorSpec(value.shape, value.dtype))
            self.root.onnx.specs[name] = self.constants[key].spec
        return self.constants[key]

    def known(self, value: Value) -> np.ndarray | None:
        """The array of a constant or weight; None for what is computed when the model runs."""
        return self.root.onnx.initializers.get(value.name)

    def vector(self, size: Size) -> Value:
        """A size as an int64 vector of one element."""
        if isinstance(size, int):
            return self.constant([size], INT64)
        if size not in self.sizes:
            self.sizes[size] = fold(
                size,
                leaf=lambda name: self.sources.emit(self, name),
                constant=lambda number: self.constant([number], INT64),
                add=lambda a, b: self("Add", a, b),
                multiply=lambda a, b: self("Mul", a, b),
                floor_divide=self._floor_divide,
                maximum=lambda a, b: self("Max", a, b),
                minimum=lambda a, b: self("Min", a, b),
            )
        return self.sizes[size]

    def _floor_divide(self, a: Value, b: Value) -> Value:
        """Division rounding down: ONNX's Div truncates, which differs for negative numerators such as -(-n // 2)."""
        remainder = self("Mod", a, b)
        return self("Div", self("Sub", a, remainder), b)

    def size(self, size: Size) -> Value:
        """A size as an int64 scalar."""
        if isinstance(size, int):
            return self.constant(size, INT64)
        return self.reshape(self.vector(size), ())

    def shape(self, sizes: Shape) -> Value:
        """Sizes as an int64 vector."""
        if is_static(sizes):
            return self.constant(list(sizes), INT64)
        parts: list[Value] = []
        run: list[int] = []
        for size in (*sizes, None):
            if isinstance(size, int):
                run.append(size)
                continue
            if run:
                parts.append(self.constant(run, INT64))
                run = []
            if isinstance(size, Dim):
                parts.append(self.vector(size))
        return parts[0] if len(parts) == 1 else self("Concat", *parts, axis=0, spec=TensorSpec((len(sizes),), INT64))

    def cast(self, value: Value, dtype: Any) -> Value:
        """The value in another element type."""
        wanted = as_dtype(dtype)
        if value.dtype == wanted:
            return value
        return self("Cast", value, to=wanted, spec=TensorSpec(value.shape, wanted))

    def transpose(self, value: Value, axes: tuple[int, ...]) -> Value:
        """The value with permuted axes."""
        if axes == tuple(range(value.rank)):
            return value
        return self("Transpose", value, perm=list(axes), spec=TensorSpec([value.shape[a] for a in axes], value.dtype))

    def reshape(self, value: Value, shape: Shape) -> Value:
        """The value in another shape; sizes that Reshape can work out itself are not computed."""
        shape = tuple(shape)
        if shape == value.shape:
            return value
        spec = TensorSpec(shape, value.dtype)
        plain: list[Size] = []
        for i, size in enumerate(shape):
            copies = isinstance(size, Dim) and i < value.rank and value.shape[i] == size
            plain.append(0 if copies else size)
        unknown = [i for i, size in enumerate(plain) if isinstance(size, Dim)]
        has_zero = any(size == 0 for size in shape)
        if len(unknown) <= 1 and not has_zero:
            target = self.constant([-1 if isinstance(size, Dim) else size for size in plain], INT64)
            return self("Reshape", value, target, spec=spec)
        return self("Reshape", value, self.shape(shape), spec=spec, allowzero=1 if has_zero else None)

    def input(self, tensor: Tensor, name: str) -> Value:
        """Declare an input of the graph."""
        value = Value(self.unique(name), tensor.spec)
        self.onnx.inputs.append(value.name)
        self.onnx.specs[value.name] = tensor.spec
        self.values[id(tensor)] = value
        self.sources.add(value)
        return value

    def value_of(self, tensor: Tensor | None) -> Value | None:
        """The ONNX value of a tensor: computed, weight, or constant."""
        if tensor is None:
            return None
        writer: Writer | None = self
        while writer is not None:
            if id(tensor) in writer.values:
                return writer.values[id(tensor)]
            writer = writer.parent
        if tensor.array is not None:
            return self.constant(tensor.array)
        if tensor.symbol is not None and tensor.symbol.variable is not None:
            return self.weight(tensor.symbol.variable)
        raise ValueError(
            f"export: {tensor!r} is neither an input of the model nor computed from one; "
            "it comes from another model or trace"
        )

    def weight(self, variable: Variable, wanted: str | None = None) -> Value:
        """The initializer of a variable, named as wanted if it is new."""
        if variable not in self.variables:
            name = wanted or self.root.weight_names.get(variable) or variable.path or variable.name
            name = self.root.unique(name)
            self.root.onnx.initializers[name] = variable.array
            self.root.onnx.origins[name] = Origin(name)
            self.root.onnx.specs[name] = TensorSpec(variable.shape, variable.dtype)
            self.variables[variable] = name
        name = self.variables[variable]
        return Value(name, self.root.onnx.specs[name])

    def proto(self, name: str, tensor: Any, file: int) -> str:
        """The name of an initializer that is written as it stood in a file, told from others by a number."""
        key = ("proto", file, name)
        if key not in self.constants:
            unique = self.root.unique(name)
            self.root.onnx.protos[unique] = tensor
            self.constants[key] = Value(unique, TensorSpec((), None))
        return self.constants[key].name

    def array(self, name: str, array: np.ndarray) -> str:
        """The name of an initializer for a weight as a file has it; one of this name and value serves all who ask."""
        before = self.constants.get(("array", name))
        if before is not None and same_bits(self.root.onnx.initializers[before.name], array):
            return before.name
        unique = self.root.unique(name)
        self.root.onnx.initializers[unique] = array
        self.root.onnx.origins[unique] = Origin(unique, None)
        spec = self.root.onnx.specs[unique] = TensorSpec(array.shape, array.dtype)
        self.constants.setdefault(("array", name), Value(unique, spec))
        return unique

    def lower(self, nodes: list[Node]) -> None:
        """Write nodes in order."""
        outer = self.node
        for node in nodes:
            self.node = node
            if self.keeper is not None and self.keeper.write(self, node):
                continue
            inputs = [self.value_of(x) for x in node.inputs]
            result = node.primitive.lower(self, *inputs, **node.attributes)
            results = (result,) if isinstance(result, Value) else tuple(result)
            for tensor, value in zip(node.outputs, results, strict=True):
                self.values[id(tensor)] = Value(value.name, tensor.spec)
                if value.name in self.onnx.specs and self.onnx.specs[value.name].shape != tensor.spec.shape:
                    self.onnx.specs[value.name] = tensor.spec
                if not is_static(tensor.shape) and not all(names(x) <= self.sources.known() for x in tensor.shape):
                    self.sources.add(Value(value.name, tensor.spec))
        self.node = outer

    def graph(self, graph: Graph, *inputs: Value) -> tuple[Value, ...]:
        """The nodes of another graph in place, its inputs replaced by values."""
        self.kept.append(graph)  # values are found by the identity of tensors, which must not be handed out again
        for tensor, value in zip(graph.inputs, inputs, strict=True):
            self.values[id(tensor)] = value
            self.sources.add(Value(value.name, tensor.spec))
        self.lower(graph.nodes)
        return tuple(v for v in (self.value_of(x) for x in graph.results) if v is not None)

    def subgraph(self, graph: Graph, name: str) -> OnnxGraph:
        """A graph as an attribute of If, Loop or Scan; it may read values of the graph around it."""
        self.kept.append(graph)
        inner = Writer(self.root.unique(name), self.opset, self)
        for i, tensor in enumerate(graph.inputs):
            inner.input(tensor, f"{inner.onnx.name}/{tensor.name or f'input_{i}'}")
        inner.lower(graph.nodes)
        inner.declare_outputs(graph.results, [f"{inner.onnx.name}/output_{i}" for i in range(len(graph.results))])
        return inner.onnx

    def declare_outputs(self, tensors: Sequence[Tensor], wanted: Sequence[str]) -> None:
        """Declare the outputs; a value that has another role keeps its name and is copied.

        An output has the wanted name even where a value inside, such as one of a file, has it too.
        """
        made = {name for node in self.onnx.nodes for name in node.outputs}
        renamed: dict[str, str] = {}
        outputs: list[str] = []
        given: set[str] = set()
        of_nodes = self._names_of_nodes(made)
        for tensor, name in zip(tensors, wanted, strict=True):
            value = self.value_of(tensor)
            if value is None:
                raise ValueError("export: an output of the model is None")
            if value.name not in made or value.name in renamed:
                value = self("Identity", value)
            if name in made and name not in renamed and name != value.name:
                renamed[name] = self.unique(name)
            is_free = name not in given and (name == value.name or name in renamed or name in of_nodes)
            outputs.append(name if is_free else self.unique(name))
            given.add(outputs[-1])
            renamed[value.name] = outputs[-1]
        self.onnx.rename(renamed)
        self.onnx.outputs += outputs
        self.onnx.specs.update((name, x.spec) for name, x in zip(outputs, tensors, strict=True))
        for key, value in self.values.items():
            if value.name in renamed:
                self.values[key] = Value(renamed[value.name], value.spec)

    def _names_of_nodes(self, made: set[str]) -> set[str]:
        """Names that nodes have and no value: an output may have them, too."""
        graph = self.onnx
        if any(node.subgraphs() for node in graph.nodes):
            return set()  # values inside of them are not looked through
        return {node.name for node in graph.nodes} - made - {*graph.inputs, *graph.initializers, *graph.protos}


def lower_graph(
    graph: Graph,
    input_names: Sequence[str],
    output_names: Sequence[str],
    opset: int,
    name: str = "sardonyx",
    weight_names: Mapping[Variable, str] | None = None,
    keeper: Keeper | None = None,
    on_gpu: bool = False,
) -> OnnxGraph:
    """Lower a whole graph; inputs, outputs and weights get the given names. Nothing is improved yet."""
    return write_graph(graph, input_names, output_names, opset, name, weight_names, keeper, on_gpu).onnx


def write_graph(
    graph: Graph,
    input_names: Sequence[str],
    output_names: Sequence[str],
    opset: int,
    name: str = "sardonyx",
    weight_names: Mapping[Variable, str] | None = None,
    keeper: Keeper | None = None,
    on_gpu: bool = False,
) -> Writer:
    """Lower a whole graph; the writer knows under which name each tensor stands in it.

    keeper: writes parts of the graph itself
    on_gpu: what a GPU runs fastest, where that differs
    """
    writer = Writer(name, opset, weight_names=weight_names, on_gpu=on_gpu)
    writer.keeper = keeper
    for tensor, input_name in zip(graph.inputs, input_names, strict=True):
        writer.input(tensor, input_name)
    nodes = with_pooled_gradients(graph)
    writer.kept.append(nodes)
    with promised():  # what the sizes have to be was checked when the graph was traced
        writer.lower(nodes)
    writer.declare_outputs(graph.results, output_names)
    return writer
