"""The layer that is a piece of somebody's ONNX file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ..exporters.fragments import Fragment
from ..exporters.limits import check_file
from ..exporters.weights import clean_name
from ..trainer.core.dims import promised
from ..trainer.core.tensor import Tensor
from ..trainer.core.variable import Variable
from ..trainer.ops.seed import SeedGenerator
from ..trainer.registry import Registry
from .call import contexts
from .layer import Layer

PIECES = Registry("piece of a file", "pieces", None, functions=False)


@PIECES.register()
class OnnxOperator(Layer):
    """A node of an ONNX file, with its weights; `models.load_model` makes them, one for each node that gives a tensor.

    fragment: the node, and those before it that only say how it works
    weights: of a layer read from a configuration: name, shape, element type and whether it is trained
    first_name: the name that the layer had at first; a layer with another one gives it to the node in exported files

    Called on the tensors that enter the node, in the file's order. BatchNormalization and Dropout live in training.
    """

    UNTRACKED: ClassVar[frozenset[str]] = Layer.UNTRACKED

    def __init__(
        self,
        fragment: Fragment | str,
        weights: Sequence[Sequence[Any]] = (),
        trainable: bool = True,
        name: str | None = None,
        first_name: str | None = None,
    ) -> None:
        piece = fragment if isinstance(fragment, Fragment) else _read(fragment, weights)
        own = clean_name(piece.main.name or piece.outputs[0])
        super().__init__(name=name or own, trainable=trainable, autocast=False)
        self.fragment = piece
        self.first_name = first_name or self.name
        self._weights = list(piece.weights.values())
        is_dropping = any(node.op_type == "Dropout" for node in piece.model.graph.node)
        self.seed_generator = SeedGenerator() if is_dropping else None
        self.built = True

    @property
    def operator(self) -> str:
        """The operator's name, after the name of its domain if it is not ONNX's own."""
        node = self.fragment.main
        return f"{node.domain}.{node.op_type}" if node.domain else node.op_type

    def call(self, *inputs: Any, training: bool | None = None) -> Any:
        """The node's results: one tensor, or a list."""
        mode = contexts.stack[-1].training if training is None and contexts.stack else training
        living = bool(mode) and self.trainable and self.fragment.is_living
        with promised():
            results = self.fragment.tensors(inputs, living, self.seed_generator if living else None)
        if not all(isinstance(x, (Tensor, Variable)) for x in results):
            raise NotTensorsError(results)
        return results[0] if len(results) == 1 else results

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        results = super().__call__(*args, **kwargs)
        made = results if isinstance(results, list) else [results]
        for name, x in zip(self.fragment.outputs, made, strict=True):
            if isinstance(x, Tensor) and x.array is None and x.symbol is not None:
                x.symbol.name = name
        return results

    def get_config(self) -> dict[str, Any]:
        """The piece of the file as text, and what its weights are."""
        text = base64.b64encode(self.fragment.to_bytes()).decode("ascii")
        weights = [[k, list(v.shape), v.dtype.name, v.trainable] for k, v in self.fragment.weights.items()]
        config = {"fragment": text, "weights": weights, "trainable": self.trainable, "name": self.name}
        return config if self.first_name == self.name else {**config, "first_name": self.first_name}


class NotTensorsError(Exception):
    """A node gives something else than tensors."""

    def __init__(self, results: list[Any]) -> None:
        super().__init__()
        self.results = results


def _read(text: str, weights: Sequence[Sequence[Any]]) -> Fragment:
    """The piece of a file from a configuration. Raises `ValueError` for a damaged one."""
    try:
        content = base64.b64decode(text, validate=True)
        model = check_file(content)
        found = {str(name): _variable(str(name), shape, dtype, trainable) for name, shape, dtype, trainable in weights}
    except (TypeError, ValueError) as error:
        raise ValueError(f"configuration of OnnxOperator: its piece of a file is damaged ({error})") from None
    return Fragment(model, found)


def _variable(name: str, shape: Any, dtype: str, trainable: bool) -> Variable:
    array = np.broadcast_to(np.zeros((), np.dtype(dtype)), tuple(shape))  # the values come later
    variable = Variable.holding(array, bool(trainable), clean_name(name).rsplit(".", 1)[-1])
    variable.path = name
    return variable
