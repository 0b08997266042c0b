"""Graphs with effects as functions of their state: variables go in, their next values come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..trainer.core.graph import Graph
from ..trainer.core.variable import Variable
from .convert import DEFAULT_OPSET, to_graph
from .passes.repeated import average_early
from .passes.running import suit_runtime


class StateGraph:
    """A graph whose variables are inputs, and the values assigned to them further outputs."""

    def __init__(self, graph: Graph, names: Mapping[Variable, str] | None = None) -> None:
        self.variables = list(dict.fromkeys([*graph.variables, *graph.assigns]))
        self.assigned = list(graph.assigns)
        self.names = unique_names(self.variables, names or {})
        self.inputs = [x.name or f"input_{i}" for i, x in enumerate(graph.inputs)]
        self.outputs = [f"output_{i}" for i in range(len(graph.results))]
        state = [v.symbol() for v in self.variables]
        self.graph = Graph([*graph.inputs, *state], [*graph.results, *graph.assigns.values()])

    def new_name(self, variable: Variable) -> str:
        """Name of the output that holds a variable's next value."""
        return f"{self.names[variable]}/next"

    def lower(self, opset: int = DEFAULT_OPSET, on_gpu: bool = False) -> Any:
        """The ONNX graph."""
        inputs = [*self.inputs, *[self.names[v] for v in self.variables]]
        outputs = [*self.outputs, *[self.new_name(v) for v in self.assigned]]
        lowered = to_graph(self.graph, inputs, outputs, opset, on_gpu=on_gpu)
        average_early(lowered, opset)
        if not on_gpu:
            suit_runtime(lowered, opset)
        return lowered


def unique_names(variables: Sequence[Variable], given: Mapping[Variable, str]) -> dict[Variable, str]:
    """A name for each variable: as given, or its path, with a number where it is taken."""
    names: dict[Variable, str] = {}
    taken: set[str] = set()
    for variable in variables:
        base = name = given.get(variable) or variable.path or variable.name
        count = 1
        while name in taken:
            name, count = f"{base}_{count}", count + 1
        taken.add(name)
        names[variable] = name
    return names
