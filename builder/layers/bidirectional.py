"""A recurrent layer in both directions of time."""

from __future__ import annotations

from typing import Any

from ...trainer import ops
from ...trainer.core.errors import ShapeError
from ..layer import Layer
from ..signature import call_signature
from .checks import one_of
from .registry import LAYERS, deserialize, serialize

MERGE_MODES = ("sum", "mul", "ave", "concat", None)


@LAYERS.register()
class Bidirectional(Layer):
    """A recurrent layer forwards and a copy of it backwards, their outputs merged (Schuster and Paliwal, 1997).

    merge_mode: "concat", "sum", "mul", "ave", or None for both outputs; backward_layer: another layer for the way back
    (with `go_backwards`); weights: initial values,
    those of the forward layer first. `initial_state` holds the states of
    the forward layer, then those of the backward layer. Raises `ValueError` where the two layers do not go together.

    >>> import sardonyx as sx
    >>> sx.layers.Bidirectional(sx.layers.LSTM(3, return_sequences=True))(sx.ops.ones((2, 5, 4))).shape
    (2, 5, 6)
    """

    def __init__(
        self, layer: Any, merge_mode: str | None = "concat", weights: Any = None, backward_layer: Any = None,
        **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(value, Layer) and not (value is None and name == "backward_layer"):
                raise ValueError(f"Bidirectional: {name} must be a recurrent layer such as LSTM(8), got {value!r}")
            if value is not None and not hasattr(value, "go_backwards"):
                raise ValueError(f"Bidirectional: {name} needs go_backwards, as recurrent layers have; got {value!r}")
        self.merge_mode = one_of("Bidirectional", "merge_mode", merge_mode, MERGE_MODES)
        self.forward_layer = _copy(layer, "forward")
        self.backward_layer = backward_layer
        if backward_layer is None:
            self.backward_layer = _copy(layer, "backward", go_backwards=True)
        _check_pair(self.forward_layer, self.backward_layer)
        for part in (self.forward_layer, self.backward_layer):
            if hasattr(part, "zero_output_for_mask"):
                # outputs of masked steps add nothing to those of the other direction
                part.zero_output_for_mask = part.return_sequences
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec
        self._initial_weights = weights

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Build both layers."""
        for part in (self.forward_layer, self.backward_layer):
            if not part.built:
                with part._scope():
                    part.build(sequences_shape)
                part.built = True
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)

    def reset_state(self) -> None:
        """Set the kept states of both layers to zero."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def reset_states(self) -> None:
        """The same as `reset_state`."""
        self.reset_state()

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = None) -> Any:
        """Both directions, merged."""
        starts: tuple[Any, Any] = (None, None)
        if initial_state is not None:
            if not isinstance(initial_state, (list, tuple)) or len(initial_state) % 2:
                raise ShapeError("expected initial_state as a list: the forward layer's states, then as many more")
            half = len(initial_state) // 2
            starts = list(initial_state[:half]), list(initial_state[half:])
        forward, *states = self._one_way(self.forward_layer, sequences, starts[0], mask, training)
        backward, *more = self._one_way(self.backward_layer, sequences, starts[1], mask, training)
        if self.return_sequences:
            backward = ops.flip(backward, axis=1)
        outputs = self._merge(forward, backward)
        if self.return_state:
            return (*outputs, *states, *more)
        return outputs[0] if len(outputs) == 1 else outputs

    def _one_way(self, part: Any, sequences: Any, state: Any, mask: Any, training: bool | None) -> tuple[Any, ...]:
        signature = call_signature(type(part))
        options = {"training": training} if signature.takes_training else {}
        if mask is not None and "mask" in signature.names:
            options["mask"] = mask
        if state is not None:
            options["initial_state"] = state
        result = part(sequences, **options)
        return tuple(result) if self.return_state else (result,)

    def _merge(self, forward: Any, backward: Any) -> tuple[Any, ...]:
        if self.merge_mode is None:
            return forward, backward
        if self.merge_mode == "concat":
            return (ops.concatenate([forward, backward], axis=-1),)
        if self.merge_mode == "mul":
            return (forward * backward,)
        total = forward + backward
        return (total if self.merge_mode == "sum" else total / 2,)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the input for sequences; none for last outputs and states."""
        mask = previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        masks = [mask if self.return_sequences else None] * (2 if self.merge_mode is None else 1)
        if self.return_state:
            count = sum(len(part.state_size) for part in (self.forward_layer, self.backward_layer))
            return [*masks, *[None] * count]
        return masks if len(masks) > 1 else masks[0]

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor; weights are stored apart."""
        config = super().get_config()
        parts = {"layer": serialize(self.forward_layer), "backward_layer": serialize(self.backward_layer)}
        return {**config, **parts, "weights": None}


def _copy(layer: Any, prefix: str, **changes: Any) -> Any:
    """A layer of the same configuration, without the weights."""
    config = serialize(layer)
    name = f"{prefix}_{layer.name.removeprefix(prefix + '_')}"
    return deserialize({**config, "config": {**config["config"], **changes, "name": name}})


def _check_pair(forward: Any, backward: Any) -> None:
    if forward.go_backwards == backward.go_backwards:
        raise ValueError(
            "Bidirectional: the layers must go in different directions, both have go_backwards="
            f"{forward.go_backwards}"
        )
    for name in ("stateful", "return_sequences", "return_state"):
        pair = getattr(forward, name), getattr(backward, name)
        if pair[0] != pair[1]:
            raise ValueError(f"Bidirectional: {name} is {pair[0]} in the forward layer, {pair[1]} in the backward one")
