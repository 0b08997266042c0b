"""Bodies of control flow: a Python function becomes a graph whose captured tensors are explicit inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core import tree
from ..core.dims import Dim, dim, evaluate_tree, names
from ..core.emitter import Emitter, Value
from ..core.errors import ShapeError
from ..core.graph import Graph, bind_sizes
from ..core.spec import TensorSpec, same_shape
from ..core.state import state
from ..core.tensor import Tensor
from ..core.trace import Trace, symbolic_input
from ..core.variable import Variable
from .convert import convert_to_tensor

__all__: list[str] = []


class Body(NamedTuple):
    """A traced function: results (flat), their structure, and the variables it assigned with their new values."""

    results: list[Tensor]
    structure: Any
    assigned: dict[Variable, Tensor]


def placeholders(specs: Sequence[TensorSpec]) -> list[Tensor]:
    """Tensors that stand for the inputs of a body."""
    return [symbolic_input(TensorSpec(s.shape, s.dtype), f"input_{i}") for i, s in enumerate(specs)]


def trace_body(function: Callable[..., Any], *arguments: Any) -> Body:
    """Run a function on placeholders; its effects on variables become results instead of assignments.

    Open tapes do not see the inside: a gradient passes through the operation as a whole.
    """
    tapes, state.tapes = state.tapes, []
    try:
        with Trace() as effects:
            structure = tree.map_structure(_result, function(*arguments))
    finally:
        state.tapes = tapes
    return Body([leaf for leaf in tree.flatten(structure) if leaf is not None], structure, effects.assigned)


def _result(leaf: Any) -> Any:
    if leaf is None or isinstance(leaf, Tensor):
        return leaf
    return leaf.read() if isinstance(leaf, Variable) else convert_to_tensor(leaf)


def captured(graph: Graph) -> list[Tensor]:
    """Tensors from outside that a body reads: symbolic ones, variables, and eager ones that an open tape watches."""
    own = {id(x) for x in graph.inputs} | {id(x) for node in graph.nodes for x in node.outputs}
    read = [x for node in graph.nodes for x in node.inputs if x is not None] + graph.results
    outer = [x for x in read if id(x) not in own and (x.array is None or _is_watched(x))]
    return list({id(x): x for x in outer}.values())


def _is_watched(tensor: Tensor) -> bool:
    return tensor.key != 0 and any(tensor.key in tape.tracked for tape in state.tapes)


def outer_value(tensor: Tensor) -> Tensor:
    """What a captured tensor is outside: a variable as it stands now, after assignments made so far."""
    variable = tensor.symbol.variable if tensor.symbol is not None else None
    return tensor if variable is None else variable.read()


def size_names(*graphs: Graph) -> tuple[Dim, ...]:
    """All named sizes that the shapes inside graphs depend on."""
    shapes = [s.shape for g in graphs for node in g.nodes for s in node.specs]
    shapes += [x.shape for g in graphs for x in [*g.inputs, *g.results]]
    found = {name for shape in shapes for size in shape for name in names(size)}
    return tuple(dim(name) for name in sorted(found))


def known_sizes(graph: Graph, sizes: Sequence[Any]) -> dict[str, int]:
    """Values of the sizes of `size_names` by name, those left out that are symbolic still."""
    pairs = zip(size_names(graph), sizes, strict=True)
    return {str(name): size for name, size in pairs if isinstance(size, int)}


def replay(graph: Graph, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Apply a graph's operations to other inputs, eager or symbolic; open tapes see each of them."""
    known: dict[int, Tensor] = {id(x): y for x, y in zip(graph.inputs, inputs, strict=True)}
    for node in graph.nodes:
        arguments = [None if x is None else known.get(id(x), x) for x in node.inputs]
        outputs = node.primitive(*arguments, **node.attributes)
        for x, y in zip(node.outputs, outputs if isinstance(outputs, tuple) else (outputs,), strict=True):
            known[id(x)] = y
    return [known.get(id(x), x) for x in graph.results]


def compile_body(graph: Graph, arrays: Sequence[np.ndarray], sizes: dict[str, int]) -> Callable[..., list[np.ndarray]]:
    """A fast runner of a body: attributes evaluated and places of values found once, for many runs."""
    sizes = {**sizes, **bind_sizes([x.spec for x in graph.inputs], arrays)}
    slots: dict[int, int] = {id(x): i for i, x in enumerate(graph.inputs)}
    start: list[Any] = [None] * len(slots)
    steps = []

    def slot(x: Tensor | None) -> int:
        key = id(x)
        if key not in slots:
            slots[key] = len(start)
            variable = x.symbol.variable if x is not None and x.symbol is not None else None
            start.append(None if x is None else variable.array if variable is not None else x.array)
        return slots[key]

    for node in graph.nodes:
        attributes = {key: evaluate_tree(value, sizes) for key, value in node.attributes.items()}
        places = [slot(x) for x in node.inputs]
        steps.append((node.primitive.run, places, attributes, [slot(x) for x in node.outputs]))
    outputs = [slot(x) for x in graph.results]

    def run(*values: np.ndarray) -> list[np.ndarray]:
        memory = list(start)
        memory[: len(values)] = values
        for kernel, places, attributes, targets in steps:
            results = kernel(*[memory[i] for i in places], **attributes)
            if type(results) is tuple:
                for target, result in zip(targets, results, strict=True):
                    memory[target] = result
            else:
                memory[targets[0]] = results
        return [np.asarray(memory[i]) for i in outputs]

    return run


def bind(emit: Emitter, tensors: Sequence[Tensor], values: Sequence[Value]) -> None:
    """Let subgraphs that are written next read outer values where a body reads captured tensors."""
    emit.graph(Graph(list(tensors), []), *values)


def check_alike(what: str, before: Sequence[Any], after: Sequence[Any]) -> None:
    """Raises `ShapeError` unless specs agree in number, shape and dtype."""
    if len(before) != len(after):
        raise ShapeError(f"{what}: expected {len(before)} tensors, got {len(after)}")
    for i, (a, b) in enumerate(zip(before, after, strict=True)):
        if a.dtype != b.dtype or not same_shape(a.shape, b.shape):
            old, new = TensorSpec(a.shape, a.dtype), TensorSpec(b.shape, b.dtype)
            raise ShapeError(f"{what}: tensor {i} is {old} on one side and {new} on the other; they must agree")


def is_symbolic(*values: Any) -> bool:
    """Whether any tensor in structures has no value yet."""
    return any(_lacks_value(leaf) for leaf in tree.flatten(list(values)))


def _lacks_value(leaf: Any) -> bool:
    if isinstance(leaf, Variable):
        return bool(state.traces)
    return isinstance(leaf, (Tensor, Dim)) and getattr(leaf, "array", None) is None
