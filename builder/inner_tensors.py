"""Tensors inside a nested model, found again where another model calls it.

`outer.get_layer("encoder/conv").output` is the tensor in the encoder's own graph. A cut of the outer model means the
same result inside the outer graph, so it is looked for among the layer's other calls; what was built upon it is built
again upon the result found. (Keras says "graph disconnected" here.)
"""

from __future__ import annotations

from typing import Any

from ..trainer.core import tree
from ..trainer.core.errors import ShapeError
from ..trainer.core.graph import Graph
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import Trace
from .call import LayerCall
from .plan import Plan


def plan_between(inputs: Any, outputs: Any) -> Plan:
    """The plan between tensors; outputs that hang on a nested model's own graph follow its call between these inputs.

    Raises `ShapeError` for outputs that do not depend on the inputs alone, or on one of several calls of a layer.
    """
    try:
        return Plan(inputs, outputs)
    except ShapeError:
        found = _Followed(inputs).outputs(outputs)
        if found is None:
            raise
        return Plan(inputs, found)


class _Followed:
    """The search for the counterparts of tensors among those that come from the inputs."""

    def __init__(self, inputs: Any) -> None:
        self.connected = {id(x) for x in tree.flatten(inputs) if x is not None}
        self.foreign: set[int] = set()

    def outputs(self, outputs: Any) -> Any:
        """The outputs inside the graph of the inputs; None if nothing of them is found there."""
        flat = [x for x in tree.flatten(outputs) if x is not None]
        twins = self._frontier(flat)
        if not twins:
            return None
        loose = [x for x in flat if not self._comes_from_inputs(x) and id(x) not in twins]
        found = {key: twin for key, (_, twin) in twins.items()}
        if loose:
            upon = Plan([x for x, _ in twins.values()], loose)
            for call in upon.layer_calls():
                if call in call.layer.calls:
                    call.layer._calls.remove(call)
            with Trace(records=True):
                again = upon.run([twin for _, twin in twins.values()])
            found.update({id(x): result for x, result in zip(loose, again, strict=True)})
        return tree.map_structure(lambda x: found.get(id(x), x), outputs)

    def _frontier(self, outputs: list[Tensor]) -> dict[int, tuple[Tensor, Tensor]]:
        """Tensors nearest to the outputs that are not of the graph and have a counterpart there; or are of it."""
        found: dict[int, tuple[Tensor, Tensor]] = {}
        seen: set[int] = set()
        pending = list(outputs)
        while pending:
            x = pending.pop()
            if id(x) in seen or x.symbol is None or x.symbol.variable is not None:
                continue
            seen.add(id(x))
            twin = x if self._comes_from_inputs(x) else self._twin(x)
            if twin is not None:
                found[id(x)] = x, twin
            elif x.symbol.node is not None:
                pending.extend(source for source in x.symbol.node.inputs if source is not None)
        return found if any(x is not twin for x, twin in found.values()) else {}

    def _comes_from_inputs(self, x: Tensor) -> bool:
        if id(x) in self.connected or id(x) in self.foreign:
            return id(x) in self.connected
        for node in Graph([], [x]).nodes:
            sources = [s for s in node.inputs if s is not None and s.symbol is not None and s.symbol.variable is None]
            connected = all(id(s) in self.connected for s in sources)
            (self.connected if connected else self.foreign).update(id(made) for made in node.outputs)
        return id(x) in self.connected

    def _twin(self, x: Tensor) -> Tensor | None:
        for call in _calls_that_give(x):
            place = next(i for i, made in enumerate(call.output_tensors()) if made is x)
            others = [other.output_tensors() for other in call.layer.calls if other is not call]
            places = {id(made[place]): made[place] for made in others if place < len(made)}
            found = [tensor for tensor in places.values() if self._comes_from_inputs(tensor)]
            if len(found) == 1:
                return found[0]
            if found:
                raise ShapeError(
                    f"layer '{call.layer.name}' is called {len(found)} times between these inputs and outputs; say "
                    "which result is meant: layer.calls[i].outputs"
                )
        return None


def _calls_that_give(x: Tensor) -> list[LayerCall]:
    node = x.symbol.node if x.symbol is not None else None
    if node is None or not isinstance(node.scope, LayerCall):
        return []
    return [call for call in node.scope.ancestors() if any(made is x for made in call.output_tensors())]
