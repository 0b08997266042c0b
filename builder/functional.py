"""Functional models: the graph between symbolic inputs and outputs."""

from __future__ import annotations

from typing import Any

from ..trainer.core import tree
from ..trainer.core.errors import describe_received
from ..trainer.core.tensor import Tensor
from .matching import match_inputs, named_like_inputs
from .model import FUNCTIONAL_CLASS, Model
from .model_config import functional_config, functional_from_config
from .model_registry import MODELS


@MODELS.register()
class Functional(Model):
    """A model from symbolic inputs to outputs, both of any structure (Keras name: `Model(inputs, outputs)`).

    >>> import sardonyx as sx
    >>> x = sx.Input((8,), name="x")
    >>> h = sx.layers.Dense(4, activation="relu")(x)
    >>> sx.Model(x, {"a": sx.layers.Dense(1)(h), "b": h * 2}).output_shape
    {'a': (None, 1), 'b': (None, 4)}
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        check_symbolic(inputs, outputs, name or "Model")
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        self.autocast = False  # data becomes what the inputs are; each layer casts for itself

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Run the layers of the graph in order."""
        return self.plan.run(match_inputs(self.plan, inputs, mask))

    def compute_output_shape(self, *input_shapes: Any, **named_shapes: Any) -> Any:
        """Shapes of the output for shapes of the input (with the batch); None for sizes not known."""
        return super().compute_output_shape(*named_like_inputs(self.plan, input_shapes), **named_shapes)

    def get_config(self) -> dict[str, Any]:
        """Layers, their calls, inputs and outputs, as JSON-able values."""
        return functional_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """The model that `get_config` described, with new weights."""
        return functional_from_config(cls, config, custom_objects)


FUNCTIONAL_CLASS.append(Functional)


def check_symbolic(inputs: Any, outputs: Any, name: str) -> None:
    """Raise `TypeError` unless all inputs and outputs are symbolic tensors."""
    for what, structure in (("inputs", inputs), ("outputs", outputs)):
        for leaf in tree.flatten(structure):
            if leaf is None and what == "inputs":
                continue
            if not isinstance(leaf, Tensor) or leaf.array is not None:
                raise TypeError(
                    f"{name}: {what} must be symbolic tensors that come from Input(...), got {describe_received(leaf)}"
                )
    seen: set[int] = set()
    for leaf in tree.flatten(inputs):
        if id(leaf) in seen:
            raise ValueError(f"{name}: the input {leaf!r} is given twice")
        seen.add(id(leaf))
