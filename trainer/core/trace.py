"""Tracing: a Python function of tensors becomes a graph, effects on variables included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import tree
from .constants import own_constant
from .draws import Draws
from .errors import SymbolicValueError
from .graph import Graph
from .operators import FUNCTIONS
from .spec import TensorSpec
from .state import state
from .tensor import Symbol, Tensor
from .variable import Variable


class Trace:
    """What a trace has seen of variables: which are read, and what they are assigned.

    With `records`, layers remember the calls made inside it, as they do while a model is put together.
    """

    def __init__(self, records: bool = False) -> None:
        self.assigned: dict[Variable, Tensor] = {}
        self.records = records
        self.calls: list[Any] = []
        self.draws: Draws | None = None
        self.refused: SymbolicValueError | None = None

    def read(self, variable: Variable) -> Tensor:
        """The symbolic value of a variable at this point of the program."""
        assigned = self.assigned.get(variable)
        return variable.symbol() if assigned is None else assigned

    def assign(self, variable: Variable, value: Tensor) -> None:
        """Note an assignment: an effect of the graph."""
        self.assigned[variable] = value

    def __enter__(self) -> Trace:
        if not state.traces:
            self.draws = Draws()
        state.traces.append(self)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        state.traces.remove(self)
        if self.draws is not None and kind is None:
            if self.refused is not None:
                raise self.refused  # what follows a caught refusal is not what Python would have computed
            self.draws.check()


def symbolic_input(spec: TensorSpec, name: str | None = None) -> Tensor:
    """A tensor that stands for an input of a graph."""
    return Tensor(None, Symbol(spec, name=name or spec.name))


def trace(function: Callable[..., Any], *specs: Any, **keyword_specs: Any) -> Graph:
    """The graph of a function: arguments are structures of `TensorSpec` (other leaves pass through unchanged).

    Python's `if`, `while` and `for` on tensors become If, Loop and Scan (`trainer/conversion`).

    >>> import sardonyx as sx
    >>> graph = sx.trace(lambda x: sx.ops.relu(x) + 1, sx.TensorSpec(("batch", 3)))
    >>> [node.primitive.name for node in graph.nodes]
    ['relu', 'add']
    """
    inputs: list[Tensor] = []

    def placeholder(leaf: Any) -> Any:
        if isinstance(leaf, TensorSpec):
            inputs.append(symbolic_input(leaf, leaf.name or f"input_{len(inputs)}"))
            return inputs[-1]
        return leaf

    function = FUNCTIONS["converted"](function)
    arguments = tree.map_structure(placeholder, list(specs))
    keywords = tree.map_structure(placeholder, keyword_specs)
    with Trace() as effects:
        result = function(*arguments, **keywords)
        outputs = tree.map_structure(_output, result)
    return Graph(inputs, outputs, effects.assigned)


def _output(leaf: Any) -> Any:
    """Graph outputs are tensors: variables are read, numbers become constants; None stays."""
    if leaf is None:
        return None
    if isinstance(leaf, Variable):
        return leaf.read()
    tensor = leaf if isinstance(leaf, Tensor) else FUNCTIONS["convert_to_tensor"](leaf)
    own_constant(tensor)
    return tensor
