"""Layers around another layer: Wrapper, TimeDistributed."""

from __future__ import annotations

from typing import Any

from ...trainer import ops
from ...trainer.core.dims import Dim, equal
from ...trainer.core.errors import ShapeError, format_shape
from ...trainer.ops.seed import SeedGenerator
from ..input_spec import InputSpec
from ..layer import Layer
from ..signature import call_signature
from ..tracking import owned
from .registry import LAYERS


@LAYERS.register()
class Wrapper(Layer):
    """Base of layers around another one, which is built with it and found in `layer`.

    Raises `ValueError` for anything but a layer.

    >>> import sardonyx as sx
    >>> sx.layers.Wrapper(sx.layers.Dense(3)).layer.units
    3
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise ValueError(f"{type(self).__name__}: layer must be a layer such as Dense(3), got {layer!r}")
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        """Build the wrapped layer."""
        if not self.layer.built:
            with self.layer._scope():
                self.layer.build(input_shape)
            self.layer.built = True


@LAYERS.register()
class TimeDistributed(Wrapper):
    """A layer applied to every step of a sequence: (batch, time, ...) to (batch, time, ...), with the same weights.

    Steps are folded into the batch, so the layer runs once; only a layer that computes statistics of its batch in
    training, such as BatchNormalization, runs step by step. Steps that differ in their random numbers stay so.

    >>> import sardonyx as sx
    >>> sx.layers.TimeDistributed(sx.layers.Conv2D(4, 3))(sx.ops.ones((2, 5, 8, 8, 3))).shape
    (2, 5, 6, 6, 4)
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True
        self.input_spec = InputSpec(min_ndim=3)

    def build(self, input_shape: Any) -> None:
        """Build the layer for one step."""
        super().build((input_shape[0], *input_shape[2:]))

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The layer on every step."""
        if mask is not None:
            self._check_mask(inputs, mask)
        if training and self._learns_from_batches():
            return self._step_by_step(inputs, mask)
        batch, time = inputs.shape[:2]
        folded = ops.reshape(inputs, (batch * time, *inputs.shape[2:]))
        outputs = self._apply(folded, None if mask is None else ops.reshape(mask, (batch * time, *mask.shape[2:])),
        training)
        return ops.reshape(outputs, (batch, time, *outputs.shape[1:]))

    def _apply(self, x: Any, mask: Any, training: bool | None) -> Any:
        signature = call_signature(type(self.layer))
        options: dict[str, Any] = {}
        if mask is not None and signature.mask_names and "mask" in signature.names:
            options["mask"] = mask
        if signature.takes_training:
            options["training"] = training
        return self.layer(x, **options)

    def _learns_from_batches(self) -> bool:
        """Whether the layer keeps numbers that are not trained: statistics of batches."""
        generators = {id(g.state) for layer in self.layer.walk_layers() for g in owned(layer, SeedGenerator)}
        trained = {id(v) for layer in self.layer.walk_layers() for v in layer.own_variables() if v.trainable}
        return any(id(v) not in generators | trained for v in self.layer.variables)

    def _step_by_step(self, inputs: Any, mask: Any) -> Any:
        steps = inputs.shape[1]
        if isinstance(steps, Dim):
            raise ShapeError(
                f"training '{self.layer.name}' ({type(self.layer).__name__}) step by step needs a number of steps; fix "
                "the time axis in Input(shape=...)"
            )
        outputs = [self._apply(inputs[:, t], None if mask is None else mask[:, t], True) for t in range(steps)]
        return ops.stack(outputs, axis=1)

    def _check_mask(self, inputs: Any, mask: Any) -> None:
        fits = len(mask.shape) >= 2 and all(
            equal(a, b) is not False for a, b in zip(mask.shape[:2], inputs.shape[:2], strict=True)
        )
        if not fits:
            raise ShapeError(
                f"expected a mask (batch, time) = {format_shape(inputs.shape[:2])}, got {format_shape(mask.shape)}"
            )
