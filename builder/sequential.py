"""Sequential models: a stack of layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..trainer.core.spec import TensorSpec
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import Trace
from .input import InputLayer
from .layer import Layer
from .matching import match_inputs, named_like_inputs
from .model import Model
from .model_config import sequential_config, sequential_from_config
from .model_registry import MODELS


@MODELS.register()
class Sequential(Model):
    """Layers, each called on the output of the one before.

    With an `Input` in front the weights are made at once; without, at the first call or `build`.
    Raises `ValueError` for two layers of one name, `TypeError` for what is no layer.

    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((784,)), sx.layers.Dense(10, activation="softmax")])
    >>> model.output_shape
    (None, 10)
    """

    def __init__(self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(trainable=trainable, name=name)
        self.autocast = False  # data becomes what the input is; each layer casts for itself
        self._stack: list[Layer] = []
        names: set[str] = set()
        for layer in layers or []:
            self._put(layer, names)
            names.add(layer.name)
        self._rebuild()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer on top; `Input(...)` is allowed at the bottom only."""
        self._put(layer, {other.name for other in self._stack})
        if rebuild:
            self._rebuild_or(lambda: self._take_back(layer))

    def _put(self, layer: Any, names: set[str]) -> None:
        """Put a layer on top of those of the given names."""
        if isinstance(layer, Tensor) and layer.symbol is not None and layer.symbol.node is None:
            layer = InputLayer(input_tensor=layer, name=layer.name)
        if not isinstance(layer, Layer):
            raise TypeError(f"Sequential '{self.name}': expected a layer, got {layer!r:.80} ({type(layer).__name__})")
        if isinstance(layer, InputLayer):
            if self._stack or self._input_layers:
                raise ValueError(f"Sequential '{self.name}': Input must come first, before any layer")
            self._input_layers = [layer]
        else:
            if layer.name in names:
                raise ValueError(
                    f"Sequential '{self.name}': there is a layer named '{layer.name}' already; names must be unique"
                )
            if not self._stack and not self._input_layers and getattr(layer, "_input_shape_argument", None) is not None:
                self._input_layers = [InputLayer(shape=layer._input_shape_argument)]
            self._stack.append(layer)

    def _rebuild_or(self, undo: Callable[[], None]) -> None:
        """Rebuild; where the layers do not fit, the model stays as it was."""
        try:
            if self._only_top_is_new():
                self._extend()
            else:
                self._rebuild()
        except Exception:
            undo()
            self._rebuild()
            raise

    def _take_back(self, layer: Layer) -> None:
        if isinstance(layer, InputLayer):
            self._input_layers = []
        else:
            self._stack.remove(layer)

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the top layer off and return it."""
        if not self._stack:
            raise ValueError(f"Sequential '{self.name}': there is no layer to pop")
        layer = self._stack.pop()
        if rebuild:
            self._rebuild()
        return layer

    def _only_top_is_new(self) -> bool:
        """Whether the plan holds every layer but the top one."""
        return self._plan is not None and [call.layer for call in self.plan.layer_calls()] == self._stack[:-1]

    def _extend(self) -> None:
        """Call the top layer on what those below it made: a stack that grows layer by layer calls each once."""
        plan, self._view = self.plan, None
        with Trace(records=True) as trace:
            outputs = self._stack[-1](plan.outputs)
        self._recorded = [*self._recorded, *trace.calls]
        self._follow(plan.going_on(outputs))

    def _rebuild(self) -> None:
        """Call the layers on the symbolic input again, if there is one."""
        self._plan = None
        self._view = None
        if self._input_layers and self._stack:
            x: Any = self._input_layers[0].tensor
            inputs = x
            self._forget_recorded()
            with Trace(records=True) as trace:
                for layer in self._stack:
                    x = layer(x)
            self._recorded = trace.calls
            self._set_plan(inputs, x)
        elif self._input_layers:
            self._signature = None

    def build(self, input_shape: Any = None) -> None:
        """Build all weights for an input shape with the batch."""
        if self._plan is None and input_shape is not None and self._stack:
            spec = self._input_spec_for(tuple(input_shape))
            self._build_for(spec)
        self.built = True

    def _build_for(self, spec: TensorSpec) -> None:
        self._input_layers = [InputLayer(batch_shape=spec.shape, dtype=spec.dtype)]
        self._rebuild()

    def build_from_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Learn the input's shape from a first call: the batch free, other sizes as seen."""
        x = args[0] if args else next(iter(kwargs.values()))
        if isinstance(x, Tensor) and self._stack:
            self._build_for(TensorSpec(("batch", *x.shape[1:]), x.dtype))
        self.built = True
        return True

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Call the layers in order."""
        if self._plan is not None:
            return self._plan.run(match_inputs(self._plan, inputs, mask))
        x = inputs
        for layer in self._stack:
            x = layer(x)
        return x

    def compute_output_shape(self, *input_shapes: Any, **named_shapes: Any) -> Any:
        """Shapes of the output for shapes of the input (with the batch); None for sizes not known."""
        shapes = input_shapes if self._plan is None else named_like_inputs(self._plan, input_shapes)
        return super().compute_output_shape(*shapes, **named_shapes)

    def child_layers(self) -> list[Layer]:
        """The layers of the stack."""
        return list(self._stack)

    @property
    def layers(self) -> list[Layer]:
        """The layers of the stack, without the input, so that `layers[0]` is the first that computes."""
        return self.child_layers()

    def get_config(self) -> dict[str, Any]:
        """Name and layers, as JSON-able values."""
        return sequential_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """The model that `get_config` described, with new weights."""
        return sequential_from_config(cls, config, custom_objects)


