"""Tensors inside a nested model, found again where another model calls it.

`outer.get_layer("encoder/conv").output` is the tensor in the encoder's own graph. A cut of the outer model means the
same result inside the outer graph, so it is looked for among the layer's other calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..trainer.core import tree
from ..trainer.core.errors import ShapeError
from ..trainer.core.tensor import Tensor
from .call import LayerCall


def follow_into_graph(inputs: Any, outputs: Any) -> Any:
    """The outputs, each that does not come from the inputs replaced by the same layer's result that does.

    Raises `ShapeError` where several calls of the layer would do.
    """
    known = {id(x) for x in tree.flatten(inputs) if x is not None}
    return tree.map_structure(lambda x: x if x is None or comes_from(x, known) else _twin(x, known), outputs)


def comes_from(tensor: Tensor, known: set[int]) -> bool:
    """Whether a symbolic tensor depends on the known tensors, constants and variables alone."""
    pending, seen = [tensor], set(known)
    while pending:
        x = pending.pop()
        if x.symbol is None or id(x) in seen or x.symbol.variable is not None:
            continue
        if x.symbol.node is None:
            return False
        seen.update(id(made) for made in x.symbol.node.outputs)
        pending.extend(source for source in x.symbol.node.inputs if source is not None)
    return True


def _twin(x: Tensor, known: set[int]) -> Tensor:
    for call in _calls_that_give(x):
        place = next(i for i, made in enumerate(call.output_tensors()) if made is x)
        others = [other for other in call.layer.calls if other is not call]
        found = _distinct([made[place] for o in others if place < len(made := o.output_tensors())], known)
        if len(found) == 1:
            return found[0]
        if found:
            raise ShapeError(
                f"layer '{call.layer.name}' is called {len(found)} times between these inputs and outputs; say which "
                "result is meant: layer.calls[i].outputs"
            )
    return x


def _calls_that_give(x: Tensor) -> list[LayerCall]:
    node = x.symbol.node if x.symbol is not None else None
    if node is None or not isinstance(node.scope, LayerCall):
        return []
    return [call for call in node.scope.ancestors() if any(made is x for made in call.output_tensors())]


def _distinct(tensors: Sequence[Tensor], known: set[int]) -> list[Tensor]:
    return [x for x in {id(x): x for x in tensors}.values() if comes_from(x, known)]
