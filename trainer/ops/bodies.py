"""Bodies of control flow: a Python function becomes a graph whose captured tensors are explicit inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core import tree
from ..core.dims import Dim, Size, contains_dim, dim, evaluate_tree, names, substitute_tree
from ..core.emitter import Emitter, Value
from ..core.errors import ShapeError, SymbolicValueError, user_line
from ..core.graph import Graph, Node, array_of, bind_sizes, names_in, next_index, run_node
from ..core.spec import TensorSpec, same_shape
from ..core.state import state
from ..core.tensor import Tensor
from ..core.trace import Trace, symbolic_input
from ..core.variable import Variable
from .convert import convert_to_tensor

__all__: list[str] = []

DEEPEST = 24
"""Branches and loops inside one another; more are a function that calls itself without end."""


class Body(NamedTuple):
    """A traced function: results (flat), their structure, the variables it assigned with their new values, and the
    place in the order of creation from which on nodes belong to it."""

    results: list[Tensor]
    structure: Any
    assigned: dict[Variable, Tensor]
    start: int


def placeholders(specs: Sequence[TensorSpec]) -> list[Tensor]:
    """Tensors that stand for the inputs of a body."""
    return [symbolic_input(TensorSpec(s.shape, s.dtype), f"input_{i}") for i, s in enumerate(specs)]


def trace_body(function: Callable[..., Any], *arguments: Any) -> Body:
    """Run a function on placeholders; its effects on variables become results instead of assignments.

    Open tapes do not see the inside: a gradient passes through the operation as a whole.
    """
    if len(state.traces) > DEEPEST:
        line = user_line(2)
        raise SymbolicValueError(
            "a function calls itself, and a tensor decides when that ends: tracing it would never end."
            + (f"\n  {line}" if line else "")
            + "\n  Write it as a loop with a stack of its own: while, ops.while_loop or ops.scan."
        )
    tapes, state.tapes = state.tapes, []
    start = next_index()
    try:
        with Trace() as effects:
            structure = tree.map_structure(_result, function(*arguments))
    finally:
        state.tapes = tapes
    return Body([leaf for leaf in tree.flatten(structure) if leaf is not None], structure, effects.assigned, start)


def _result(leaf: Any) -> Any:
    if leaf is None or isinstance(leaf, Tensor):
        return leaf
    return leaf.read() if isinstance(leaf, Variable) else convert_to_tensor(leaf)


def captured(inputs: Sequence[Tensor], results: Sequence[Tensor], start: int) -> list[Tensor]:
    """Tensors from outside that a body reads: symbolic ones, variables, and eager ones that an open tape watches.

    What was made before the body (`start`) is outside: it is computed once, not in every step.
    """
    own = {id(x) for x in inputs}
    nodes: dict[int, Node] = {}
    pending = list(results)
    while pending:
        x = pending.pop()
        node = None if x.symbol is None or id(x) in own else x.symbol.node
        if node is not None and node.index >= start and node.index not in nodes:
            nodes[node.index] = node
            own.update(id(made) for made in node.outputs)
            pending += [source for source in [*node.inputs, *node.measures] if source is not None]
    ordered = [nodes[index] for index in sorted(nodes)]
    read = [x for node in ordered for x in [*node.inputs, *node.measures] if x is not None]
    outer = [x for x in [*read, *results] if id(x) not in own and (x.array is None or is_watched(x))]
    return list({id(x): x for x in outer}.values())


def is_watched(tensor: Tensor) -> bool:
    """Whether an open tape watches a tensor."""
    return tensor.key != 0 and any(tensor.key in tape.tracked for tape in state.tapes)


def outer_value(tensor: Tensor) -> Tensor:
    """What a captured tensor is outside: a variable as it stands now, after assignments made so far."""
    variable = tensor.symbol.variable if tensor.symbol is not None else None
    return tensor if variable is None else variable.read()


def size_names(*graphs: Graph) -> tuple[Dim, ...]:
    """All named sizes that graphs depend on, those left out that they make themselves."""
    found: set[str] = set()
    made: set[str] = set()
    for graph in graphs:
        for x in [*graph.inputs, *graph.results]:
            found |= names_in(x.shape)
        for node in graph.nodes:
            found |= names_in([*node.attributes.values(), *[spec.shape for spec in node.specs]])
        made |= made_sizes(graph)
    return tuple(dim(name) for name in sorted(found - made))


def made_sizes(graph: Graph) -> frozenset[str]:
    """Names of the sizes that are known only while the graph runs, such as how many elements a mask selects."""
    makers = [node for node in graph.nodes if node.primitive.tags.get("makes_sizes")]
    found = [names_in(x.shape) for node in makers for x in node.outputs]
    given = [names_in(x.shape) for x in graph.inputs]
    return frozenset().union(*found) - frozenset().union(*given)


def known_sizes(graph: Graph, sizes: Sequence[Any]) -> dict[str, int]:
    """Values of the sizes of `size_names` by name, those left out that are symbolic still."""
    pairs = zip(size_names(graph), sizes, strict=True)
    return {str(name): size for name, size in pairs if isinstance(size, int)}


def replay(graph: Graph, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Apply a graph's operations to other inputs, eager or symbolic; open tapes see each of them.

    Sizes have the names, or the values, that they have in the shapes of the new tensors.
    """
    known: dict[int, Tensor] = {}
    sizes: dict[str, Size] = {}

    def keep(old: Tensor, new: Tensor) -> None:
        known[id(old)] = new
        for size, actual in zip(old.shape, new.shape, strict=True):
            if isinstance(size, Dim) and size != actual and names(size) == {str(size)}:
                sizes[str(size)] = actual

    for x, y in zip(graph.inputs, inputs, strict=True):
        keep(x, y)
    for node in graph.nodes:
        arguments = [None if x is None else known.get(id(x), x) for x in node.inputs]
        attributes = node.attributes
        if sizes and contains_dim(tuple(attributes.values())):
            attributes = {name: substitute_tree(value, sizes) for name, value in attributes.items()}
        outputs = node.primitive(*arguments, **attributes)
        for x, y in zip(node.outputs, outputs if isinstance(outputs, tuple) else (outputs,), strict=True):
            keep(x, y)
    return [known.get(id(x), x) for x in graph.results]


def compile_body(graph: Graph, arrays: Sequence[np.ndarray], sizes: dict[str, int]) -> Callable[..., list[np.ndarray]]:
    """A fast runner of a body: attributes evaluated and places of values found once, for many runs."""
    sizes = {**sizes, **bind_sizes([x.spec for x in graph.inputs], arrays)}
    if made_sizes(graph):
        return lambda *values: _run_once(graph, values, dict(sizes))
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


def _run_once(graph: Graph, values: Sequence[np.ndarray], sizes: dict[str, int]) -> list[np.ndarray]:
    """Run a body in which sizes differ from run to run."""
    arrays = {id(x): value for x, value in zip(graph.inputs, values, strict=True)}
    for node in graph.nodes:
        run_node(node, arrays, sizes)
    return [np.asarray(array_of(x, arrays)) for x in graph.results]


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
