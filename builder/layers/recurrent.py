"""Recurrent layers: a cell over the steps of a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core import tree
from ...trainer.core.dims import Dim, equal
from ...trainer.core.errors import ShapeError, format_shape
from ...trainer.core.state import state as open_state
from ...trainer.core.variable import Variable
from ...trainer.ops import random
from ..input_spec import InputSpec
from ..layer import Layer
from .recurrent_cells import (
    GRUCell,
    LSTMCell,
    SimpleRNNCell,
    StackedRNNCells,
    initial_state,
    output_size,
    run_cell,
)
from .registry import LAYERS

LONGEST_UNROLLED = 64
"""Steps up to which a sequence of known length is written out in a graph; longer ones are a Scan."""


@LAYERS.register()
class RNN(Layer):
    """Any cell over time: (batch, time, features) to the last output, or with `return_sequences` to all of them.

    A cell has `state_size` (a number or list), and `call(inputs, states)` returning `(output, new_states)`.
    return_state: return the last states too; go_backwards: from the last step to the first; stateful: begin where the
    last batch ended (needs a fixed batch size); zero_output_for_mask: zeros where masked, not the last output.
    """

    def __init__(
        self, cell: Any, return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False,
        stateful: bool = False, unroll: bool = False, zero_output_for_mask: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        if not hasattr(cell, "call") or not hasattr(cell, "state_size"):
            raise ValueError(f"RNN: a cell needs call(inputs, states) and state_size; got {cell!r}")
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self.input_spec = InputSpec(min_ndim=3)
        sizes = cell.state_size
        self.state_size = list(sizes) if isinstance(sizes, (list, tuple)) else [sizes]
        self._kept = KeptStates()

    @property
    def states(self) -> list[Any] | None:
        """The variables a stateful layer keeps between calls; None before it is built, or where it is not stateful."""
        return self._kept.states

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Make the cell's weights, and the kept states of a stateful layer."""
        if isinstance(self.cell, Layer) and not self.cell.built:
            with self.cell._scope():
                self.cell.build((sequences_shape[0], *sequences_shape[2:]))
            self.cell.built = True
        if not self.stateful or self.states is not None:
            return
        if sequences_shape[0] is None:
            raise ShapeError("a stateful layer needs a fixed batch size: Input(..., batch_size=32)")
        with self._scope():
            self._kept.states = tree.map_structure(
                lambda x: Variable(np.asarray(x), dtype=self.dtype, trainable=False, name="rnn_state"),
                self.get_initial_state(sequences_shape[0]),
            )

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """What the states begin with: the cell's own choice, zeros by default."""
        return initial_state(self.cell, batch_size, self.compute_dtype)

    def reset_state(self) -> None:
        """Set kept states to zero."""
        for kept in tree.flatten(self.states or []):
            kept.assign(np.zeros(kept.shape, kept.dtype))

    def reset_states(self) -> None:
        """The same as `reset_state`."""
        self.reset_state()

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = False) -> Any:
        """Run over the sequence."""
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        if mask is not None:
            mask = ops.cast(mask, bool)
        outputs, last = self.run(sequences, self._start(sequences, initial_state), mask, training)
        if self.states is not None:
            for kept, value in zip(tree.flatten(self.states), tree.flatten(last), strict=True):
                kept.assign(value)
        result = outputs if self.return_sequences else self.last_output(outputs, last)
        return (result, *last) if self.return_state else result

    def last_output(self, outputs: Any, last: list[Any]) -> Any:
        """The output of the last step."""
        return outputs[:, -1]

    def _start(self, sequences: Any, initial_state: Any) -> list[Any]:
        batch = sequences.shape[0]
        if self.states is not None:
            expected = tree.flatten(self.states)[0].shape[0]
            if equal(batch, expected) is False:
                raise ShapeError(f"the kept states are those of a batch of {expected}, got a batch of {batch}")
        if initial_state is None:
            if self.states is not None:
                return tree.map_structure(lambda kept: kept.read(), self.states)
            return self.get_initial_state(batch)
        states = list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
        if len(states) != len(self.state_size):
            raise ShapeError(f"expected {len(self.state_size)} initial states, got {len(states)}")
        for given, size in zip(states, self.state_size, strict=True):
            if isinstance(size, int) and hasattr(given, "shape") and equal(given.shape[-1], size) is False:
                raise ShapeError(f"an initial state must have shape (batch, {size}), got {format_shape(given.shape)}")
        return tree.map_structure(ops.convert_to_tensor, states)

    def run(self, sequences: Any, states: list[Any], mask: Any, training: bool | None) -> tuple[Any, list[Any]]:
        """The outputs of all steps in the order of processing, and the last states."""
        if training and hasattr(self.cell, "one_draw"):
            with self.cell.one_draw(sequences.shape[0], sequences.shape[-1]):
                return self._step_by_step(sequences, states, mask, training)
        return self._step_by_step(sequences, states, mask, training)

    def _step_by_step(
        self, sequences: Any, states: list[Any], mask: Any, training: bool | None
    ) -> tuple[Any, list[Any]]:
        steps = sequences.shape[1]
        if isinstance(steps, Dim):
            if self.unroll:
                raise ShapeError("unroll=True needs a number of steps; leave it False, or fix the time axis in Input")
            return self._scan(sequences, states, mask, training)
        if open_state.traces and not self.unroll and steps > LONGEST_UNROLLED:
            return self._scan(sequences, states, mask, training)
        outputs: list[Any] = []
        for t in reversed(range(steps)) if self.go_backwards else range(steps):
            before = outputs[-1] if outputs else None
            output, states = self._step(sequences[:, t], states, None if mask is None else mask[:, t], before, training)
            outputs.append(output)
        return ops.stack(outputs, axis=1), states

    def _step(self, x: Any, states: list[Any], kept: Any, before: Any, training: bool | None) -> tuple[Any, list[Any]]:
        """One step of the cell; where masked, states stay, and so does the output (or it is zero)."""
        output, after = run_cell(self.cell, x, states, training)
        if kept is None:
            return output, after
        hold = ops.zeros_like(output) if before is None or self.zero_output_for_mask else before
        return _choose(kept, output, hold), tree.map_structure(lambda new, old: _choose(kept, new, old), after, states)

    def _scan(self, sequences: Any, states: list[Any], mask: Any, training: bool | None) -> tuple[Any, list[Any]]:
        """The same as a Scan of the graph."""
        xs = [ops.swapaxes(x, 0, 1) for x in (sequences, mask) if x is not None]
        # what stands in the place of the output before the first
        start = ops.zeros((sequences.shape[0], output_size(self.cell)), sequences.dtype)

        def body(carry: Any, items: Any) -> Any:
            before, own = carry[0], tree.pack_sequence_as(states, carry[1:])
            output, after = self._step(items[0], own, items[1] if len(items) > 1 else None, before, training)
            return [output, *tree.flatten(after)], output

        (_, *last), outputs = ops.scan(body, [start, *tree.flatten(states)], xs, reverse=self.go_backwards)
        outputs = ops.flip(outputs, 0) if self.go_backwards else outputs
        return ops.swapaxes(outputs, 0, 1), tree.pack_sequence_as(states, last)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the input for sequences, none otherwise."""
        mask = previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        result = mask if self.return_sequences else None
        return [result, *[None] * len(tree.flatten(self.state_size))] if self.return_state else result


class KeptStates:
    """Holds the states of a stateful layer out of sight of its weights: they are no parameters."""

    def __init__(self) -> None:
        self.states: list[Any] | None = None


def _choose(kept: Any, new: Any, old: Any) -> Any:
    """New where the mask is set, old elsewhere."""
    for _ in range(len(new.shape) - 1):
        kept = ops.expand_dims(kept, -1)
    return ops.where(kept, new, old)


class FusedRNN(RNN):
    """Base of SimpleRNN, LSTM and GRU: one operation for the whole sequence unless recurrent dropout forbids it."""

    def __init__(self, cell: Any, options: dict[str, Any], layer_options: dict[str, Any]) -> None:
        super().__init__(cell, **options, **layer_options)
        self.seed_generator = cell.seed_generator

    def __getattr__(self, name: str) -> Any:
        """Arguments of the cell are arguments of the layer."""
        if name.startswith("_") or "cell" not in self.__dict__ or name not in type(self).forwarded:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute {name!r}")
        return getattr(self.__dict__["cell"], name)

    forwarded: frozenset[str] = frozenset({
        "units", "activation", "recurrent_activation", "use_bias", "kernel_initializer", "recurrent_initializer",
        "bias_initializer", "unit_forget_bias", "kernel_regularizer", "recurrent_regularizer", "bias_regularizer",
        "kernel_constraint", "recurrent_constraint", "bias_constraint", "dropout", "recurrent_dropout", "reset_after",
        "seed", "kernel", "recurrent_kernel", "bias",
    })  # fmt: skip

    def run(self, sequences: Any, states: list[Any], mask: Any, training: bool | None) -> tuple[Any, list[Any]]:
        """All steps in one operation."""
        if training and self.cell.recurrent_dropout:
            return super().run(sequences, states, mask, training)
        if training and self.cell.dropout:
            shape = (sequences.shape[0], 1, sequences.shape[2])
            sequences = random.dropout(sequences, self.cell.dropout, shape, self.cell.seed_generator)
        return self.fused(sequences, states, mask)

    def fused(self, sequences: Any, states: list[Any], mask: Any) -> tuple[Any, list[Any]]:
        """The operation; to be written by subclasses."""
        raise NotImplementedError(f"{type(self).__name__} does not define fused()")

    def last_output(self, outputs: Any, last: list[Any]) -> Any:
        """The last hidden state is the last output."""
        return outputs[:, -1] if self.zero_output_for_mask else last[0]


def split_options(kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keyword arguments of the RNN, and those of the base layer."""
    names = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")
    options = {name: kwargs.pop(name) for name in names if name in kwargs}
    if kwargs.pop("implementation", 2) not in (0, 1, 2):
        raise ValueError("implementation must be 0, 1 or 2; all are computed the same way here")
    return options, kwargs


@LAYERS.register()
class SimpleRNN(FusedRNN):
    """Fully connected recurrence over time (ONNX: RNN).

    >>> import sardonyx as sx
    >>> sx.layers.SimpleRNN(4)(sx.ops.ones((2, 5, 3))).shape
    (2, 4)
    """

    def __init__(
        self, units: int, activation: Any = "tanh", use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        kernel_constraint: Any = None, recurrent_constraint: Any = None, bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0, return_sequences: bool = False, return_state: bool = False,
        go_backwards: bool = False, stateful: bool = False, unroll: bool = False, seed: int | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        options, rest = split_options(kwargs)
        cell = SimpleRNNCell(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer,
            recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint, bias_constraint, dropout,
            recurrent_dropout, seed, name="simple_rnn_cell", dtype=rest.get("dtype"),
        )  # fmt: skip
        options |= {
            "return_sequences": return_sequences, "return_state": return_state, "go_backwards": go_backwards,
            "stateful": stateful, "unroll": unroll,
        }  # fmt: skip
        super().__init__(cell, options, {**rest, "activity_regularizer": activity_regularizer})

    def fused(self, sequences: Any, states: list[Any], mask: Any) -> tuple[Any, list[Any]]:
        """ONNX's RNN."""
        cell = self.cell
        outputs, last = ops.simple_rnn(
            sequences, states[0], mask, cell.kernel, cell.recurrent_kernel, cell.bias, cell.activation,
            self.go_backwards,
            self.zero_output_for_mask,
        )  # fmt: skip
        return outputs, [last]


@LAYERS.register()
class LSTM(FusedRNN):
    """Long short-term memory over time (Hochreiter and Schmidhuber, 1997; ONNX: LSTM).

    >>> import sardonyx as sx
    >>> sequence, h, c = sx.layers.LSTM(4, return_sequences=True, return_state=True)(sx.ops.ones((2, 5, 3)))
    >>> sequence.shape, h.shape, c.shape
    ((2, 5, 4), (2, 4), (2, 4))
    """

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", unit_forget_bias: bool = True, kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        kernel_constraint: Any = None, recurrent_constraint: Any = None, bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0, seed: int | None = None, return_sequences: bool = False,
        return_state: bool = False, go_backwards: bool = False, stateful: bool = False, unroll: bool = False,
        use_cudnn: Any = "auto", **kwargs: Any,
    ) -> None:  # fmt: skip
        options, rest = split_options(kwargs)
        cell = LSTMCell(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer,
            unit_forget_bias, kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
            recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed, name="lstm_cell",
            dtype=rest.get("dtype"),
        )  # fmt: skip
        options |= {
            "return_sequences": return_sequences, "return_state": return_state, "go_backwards": go_backwards,
            "stateful": stateful, "unroll": unroll,
        }  # fmt: skip
        super().__init__(cell, options, {**rest, "activity_regularizer": activity_regularizer})

    def fused(self, sequences: Any, states: list[Any], mask: Any) -> tuple[Any, list[Any]]:
        """ONNX's LSTM."""
        cell = self.cell
        outputs, hidden, memory = ops.lstm(
            sequences, states[0], states[1], mask, cell.kernel, cell.recurrent_kernel, cell.bias, cell.activation,
            cell.recurrent_activation, self.go_backwards, self.zero_output_for_mask,
        )  # fmt: skip
        return outputs, [hidden, memory]


@LAYERS.register()
class GRU(FusedRNN):
    """Gated recurrent unit over time (Cho et al., 2014; ONNX: GRU).

    >>> import sardonyx as sx
    >>> sx.layers.GRU(4, return_sequences=True)(sx.ops.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, recurrent_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        recurrent_constraint: Any = None, bias_constraint: Any = None, dropout: float = 0.0,
        recurrent_dropout: float = 0.0, seed: int | None = None, return_sequences: bool = False,
        return_state: bool = False, go_backwards: bool = False, stateful: bool = False, unroll: bool = False,
        reset_after: bool = True, use_cudnn: Any = "auto", **kwargs: Any,
    ) -> None:  # fmt: skip
        options, rest = split_options(kwargs)
        cell = GRUCell(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint,
            bias_constraint, dropout, recurrent_dropout, reset_after, seed, name="gru_cell", dtype=rest.get("dtype"),
        )  # fmt: skip
        options |= {
            "return_sequences": return_sequences, "return_state": return_state, "go_backwards": go_backwards,
            "stateful": stateful, "unroll": unroll,
        }  # fmt: skip
        super().__init__(cell, options, {**rest, "activity_regularizer": activity_regularizer})

    def fused(self, sequences: Any, states: list[Any], mask: Any) -> tuple[Any, list[Any]]:
        """ONNX's GRU."""
        cell = self.cell
        outputs, last = ops.gru(
            sequences, states[0], mask, cell.kernel, cell.recurrent_kernel, cell.bias, cell.activation,
            cell.recurrent_activation, self.go_backwards, cell.reset_after, self.zero_output_for_mask,
        )  # fmt: skip
        return outputs, [last]
