"""Layer calls: which layer was called on which tensors, inside which other call."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..trainer.core import tree
from ..trainer.core.graph import next_index
from ..trainer.core.tensor import Tensor

if TYPE_CHECKING:
    from .layer import Layer


class LayerCall:
    """One call of a layer on symbolic tensors: the scope of the nodes made inside it."""

    __slots__ = ("args", "index", "kwargs", "layer", "outputs", "parent", "path")

    def __init__(self, layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any], parent: LayerCall | None) -> None:
        self.layer = layer
        self.args = args
        self.kwargs = kwargs
        self.parent = parent
        self.path = f"{parent.path}/{layer.name}" if parent is not None and parent.path else layer.name
        self.outputs: Any = None
        self.index = next_index()

    def input_tensors(self) -> list[Tensor]:
        """Tensors among the arguments, in order."""
        leaves = [*tree.flatten(list(self.args)), *tree.flatten(self.kwargs)]
        return [x for x in leaves if isinstance(x, Tensor)]

    def output_tensors(self) -> list[Tensor]:
        """Tensors among the results, in order."""
        return [x for x in tree.flatten(self.outputs) if isinstance(x, Tensor)]

    def ancestors(self) -> Iterator[LayerCall]:
        """This call and the ones around it, innermost first."""
        call: LayerCall | None = self
        while call is not None:
            yield call
            call = call.parent

    def __repr__(self) -> str:
        return f"<LayerCall {self.path} ({type(self.layer).__name__})>"


class NamedScope:
    """A scope that is no call: while weights are made outside of one, they are named after their layer."""

    __slots__ = ("layer", "parent", "path")

    def __init__(self, path: str, layer: Layer) -> None:
        self.path = path
        self.layer = layer
        self.parent = None


class CallContext:
    """What an outer layer call passes to the calls inside it: the training mode, and where losses are collected."""

    __slots__ = ("losses", "training")

    def __init__(self, training: bool | None, losses: list[Any]) -> None:
        self.training = training
        self.losses = losses


class _Contexts(threading.local):
    def __init__(self) -> None:
        self.stack: list[CallContext] = []


contexts = _Contexts()
