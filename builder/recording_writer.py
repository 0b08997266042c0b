"""Writes the steps of one recorded computation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..trainer.core import tree
from ..trainer.core.dims import Dim, UndecidableSize, evaluate, names, solve
from ..trainer.core.graph import Graph, Node
from ..trainer.core.tensor import Tensor
from ..trainer.core.variable import Variable
from ..trainer.ops.custom import custom_gradient_primitive
from .call import LayerCall
from .graph_config import GraphWriter, Tagged
from .recorder import Effect
from .sharing import number_of
from .specs_config import spec_config
from .stored_arrays import stored


class ProgramWriter(GraphWriter):
    """Writes inputs, steps and results of one computation; large constants are kept apart.

    unreachable: what to do about a tensor that neither an input nor a step gives
    """

    def __init__(
        self, model_name: str, variable: Callable[[Variable], Tagged], unreachable: Callable[[Tensor], Tagged]
    ) -> None:
        super().__init__(model_name, variable)
        self.unreachable = unreachable
        self.masks: dict[int, tuple[int, int]] = {}
        self.sizes: set[str] = set()
        self.wanted_sizes: list[Dim] = []

    def inner(self) -> ProgramWriter:
        """The writer of a body."""
        return ProgramWriter(self.model_name, self.variable, self.unreachable)

    def add(self, outputs: list[Any]) -> None:
        """Number the outputs of the next step, and the masks they carry."""
        for i, x in enumerate(outputs):
            mask = x.mask if isinstance(x, Tensor) else None
            if isinstance(mask, Tensor):
                self.masks.setdefault(id(mask), (self.steps, i))
        super().add(outputs)

    def input(self, x: Tensor) -> list[Any]:
        """Number an input; gives its description: shape, element type, whether it carries a mask."""
        self.add([x])
        for size in x.shape:
            if isinstance(size, Dim):
                self.sizes.add(str(size))
                found: dict[str, int] = {}
                with suppress(UndecidableSize):  # 2*time tells what time is, time//2 does not
                    solve(size, evaluate(size, dict.fromkeys(names(size), 9)), found)
                self.sizes.update(found)
        return [*spec_config(x)[:2], x.mask is not None]

    def value(self, x: Any) -> Any:
        """One argument, attribute, or structure of them."""
        if isinstance(x, Dim):
            self.wanted_sizes.append(x)
        elif isinstance(x, slice):
            self.wanted_sizes += [size for size in (x.start, x.stop, x.step) if isinstance(size, Dim)]
        kept = None if isinstance(x, Variable) else stored(x)
        return super().value(x) if kept is None else kept

    def missing(self, x: Tensor) -> Tagged:
        """A mask is found by what carries it."""
        if id(x) in self.masks:
            return {"class_name": "__mask__", "config": list(self.masks[id(x)])}
        return self.unreachable(x)

    def _graph(self, graph: Graph) -> Tagged:
        wanted = self.wanted_sizes
        try:
            return super()._graph(graph)
        finally:
            self.wanted_sizes = wanted  # sizes inside a body come with the operation's attribute `sizes`

    def node(self, node: Node, training: bool) -> Tagged | None:
        """One operation; None for one of which only the gradient differs, where there is none."""
        if node.primitive is custom_gradient_primitive and not training:
            for source, result in zip(node.inputs[node.attributes["count"] :], node.outputs, strict=True):
                if id(source) in self.places:
                    self.places[id(result)] = self.places[id(source)]
            if all(id(x) in self.places for x in node.outputs):
                return None
        entry = self.operation(node)
        if not entry["attributes"]:
            del entry["attributes"]
        return self.with_new_sizes(entry, list(node.outputs))

    def call(self, call: LayerCall) -> Tagged:
        """One call of a layer."""
        entry: Tagged = {"layer": number_of(call.layer), "arguments": [self.value(x) for x in call.args]}
        if call.kwargs:
            entry["keywords"] = {key: self.value(x) for key, x in call.kwargs.items()}
        outputs = tree.flatten(call.outputs)
        self.add(outputs)
        return self.with_new_sizes(entry, outputs)

    def with_new_sizes(self, entry: Tagged, outputs: list[Any]) -> Tagged:
        """Note the shapes of results that have sizes of which no input tells, such as how many elements were found."""
        tensors = [x for x in outputs if isinstance(x, Tensor) and x.array is None]
        sizes = [size for x in tensors for size in x.shape if isinstance(size, Dim)]
        if any(name not in self.sizes for size in sizes for name in names(size) if str(size) == name):
            entry["shapes"] = [spec_config(x)[0] if isinstance(x, Tensor) else None for x in outputs]
            self.sizes.update(str(size) for size in sizes)
        return entry

    def effect(self, effect: Effect) -> Tagged:
        """An assignment, or a term of the loss."""
        entry: Tagged = {"loss": self.value(effect.value)}
        if effect.variable is not None:
            entry = {"assign": self.variable(effect.variable)["config"], "value": self.value(effect.value)}
        self.add([])
        return entry

    def read(self, variable: Variable, result: Tensor) -> Tagged:
        """The value of a variable at this point."""
        self.add([result])
        return {"read": self.variable(variable)["config"]}

    def unknown_sizes(self) -> list[Dim]:
        """Sizes that steps use, but that neither inputs nor steps tell."""
        return [d for d in self.wanted_sizes if str(d) not in self.sizes and not names(d) <= self.sizes]
