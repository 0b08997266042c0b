"""Cells: one step of a recurrent network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from ...trainer import activations, constraints, initializers, ops, regularizers
from ...trainer.ops import random
from ...trainer.ops.seed import SeedGenerator
from ..layer import Layer
from ..signature import call_signature
from .checks import fraction, positive_integer
from .registry import LAYERS


class RecurrentCell(Layer):
    """Base of the cells with a kernel for inputs, one for states and a bias; `gates` blocks of `units` columns each.

    `call(inputs, states, training)` takes (batch, features) and a list of states and returns the output and new states.
    """

    gates = 1

    def __init__(
        self, units: int, activation: Any = "tanh", use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None, bias_regularizer: Any = None, kernel_constraint: Any = None,
        recurrent_constraint: Any = None, bias_constraint: Any = None, dropout: float = 0.0,
        recurrent_dropout: float = 0.0, seed: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        kind = type(self).__name__
        self.units = positive_integer(kind, "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = fraction(kind, "dropout", dropout)
        self.recurrent_dropout = fraction(kind, "recurrent_dropout", recurrent_dropout)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self._masks: Any = None
        self.state_size: Any = self.units
        self.output_size = self.units
        self.bias: Any = None

    @property
    def bias_shape(self) -> tuple[int, ...]:
        """Shape of the bias."""
        return (self.gates * self.units,)

    def make_bias(self) -> Any:
        """The initializer of the bias."""
        return self.bias_initializer

    def build(self, input_shape: Any) -> None:
        """Make kernel, recurrent kernel and bias."""
        columns = self.gates * self.units
        self.kernel = self.add_weight(
            (input_shape[-1], columns), self.kernel_initializer, regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint, name="kernel",
        )  # fmt: skip
        self.recurrent_kernel = self.add_weight(
            (self.units, columns), self.recurrent_initializer, regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint, name="recurrent_kernel",
        )  # fmt: skip
        if self.use_bias:
            self.bias = self.add_weight(
                self.bias_shape, self.make_bias(), regularizer=self.bias_regularizer, constraint=self.bias_constraint,
                name="bias"
            )

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros for each state."""
        sizes = self.state_size if isinstance(self.state_size, (list, tuple)) else [self.state_size]
        return [ops.zeros((batch_size, size), self.compute_dtype) for size in sizes]

    def draw_masks(self, batch_size: Any, features: int) -> tuple[Any, Any]:
        """Dropout of inputs and of states as factors, None where nothing is dropped."""
        rates = ((self.dropout, features), (self.recurrent_dropout, self.units))
        ones = [ops.ones((batch_size, size), self.compute_dtype) if rate else None for rate, size in rates]
        first, second = (
            None if x is None else random.dropout(x, rate, seed=self.seed_generator)
            for x, (rate, _) in zip(ones, rates, strict=True)
        )
        return first, second

    @contextmanager
    def one_draw(self, batch_size: Any, features: int) -> Iterator[None]:
        """Inside, all steps drop the same units (Gal and Ghahramani, 2016)."""
        self._masks = self.draw_masks(batch_size, features)
        try:
            yield
        finally:
            self._masks = None

    def drop(self, inputs: Any, state: Any, training: bool | None) -> tuple[Any, Any]:
        """Inputs and state with dropout in training."""
        if not training or not (self.dropout or self.recurrent_dropout):
            return inputs, state
        first, second = self._masks or self.draw_masks(inputs.shape[0], inputs.shape[-1])
        return inputs if first is None else inputs * first, state if second is None else state * second

    def product(self, inputs: Any, kernel: Any, bias: Any) -> Any:
        """`inputs @ kernel + bias`."""
        x = ops.matmul(inputs, kernel)
        return x if bias is None else ops.add(x, bias)


@LAYERS.register()
class SimpleRNNCell(RecurrentCell):
    """`activation(x @ kernel + h @ recurrent_kernel + bias)` (Elman, 1990)."""

    def call(self, sequence: Any, states: Any, training: bool | None = False) -> Any:
        """One step."""
        state = states[0] if isinstance(states, (list, tuple)) else states
        inputs, state = self.drop(sequence, state, training)
        output = self.activation(ops.matmul(state, self.recurrent_kernel) + self.product(inputs, self.kernel,
        self.bias))
        return output, [output] if isinstance(states, (list, tuple)) else output


class GatedCell(RecurrentCell):
    """Base of the cells with gates: a second activation for them."""

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, **kwargs
        )
        self.recurrent_activation = activations.get(recurrent_activation)


@LAYERS.register()
class LSTMCell(GatedCell):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997); gates in the order input, forget, cell, output."""

    gates = 4

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", unit_forget_bias: bool = True, kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None, bias_regularizer: Any = None, kernel_constraint: Any = None,
        recurrent_constraint: Any = None, bias_constraint: Any = None, dropout: float = 0.0,
        recurrent_dropout: float = 0.0, seed: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer,
            kernel_regularizer=kernel_regularizer, recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer, kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint, bias_constraint=bias_constraint, dropout=dropout,
            recurrent_dropout=recurrent_dropout, seed=seed, **kwargs,
        )  # fmt: skip
        self.unit_forget_bias = unit_forget_bias
        self.state_size = [self.units, self.units]

    def make_bias(self) -> Any:
        """The given initializer, but ones for the forget gate, so that a new cell remembers."""
        if not self.unit_forget_bias:
            return self.bias_initializer

        def fill(shape: Any, dtype: Any = None) -> np.ndarray:
            parts = [self.bias_initializer((n,), dtype) for n in (self.units, 2 * self.units)]
            first, rest = (np.asarray(p) for p in parts)
            return np.concatenate([first, np.ones(self.units, first.dtype), rest])

        return fill

    def call(self, inputs: Any, states: Any, training: bool | None = False) -> Any:
        """One step."""
        hidden, cell = states
        inputs, hidden = self.drop(inputs, hidden, training)
        gates = self.product(inputs, self.kernel, self.bias) + ops.matmul(hidden, self.recurrent_kernel)
        i, f, c, o = ops.split(gates, 4, axis=-1)
        cell = self.recurrent_activation(f) * cell + self.recurrent_activation(i) * self.activation(c)
        hidden = self.recurrent_activation(o) * self.activation(cell)
        return hidden, [hidden, cell]


@LAYERS.register()
class GRUCell(GatedCell):
    """Gated recurrent unit (Cho et al., 2014); gates in the order update, reset, new; `reset_after` as in cuDNN."""

    gates = 3

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, recurrent_regularizer: Any = None,
        bias_regularizer: Any = None, kernel_constraint: Any = None, recurrent_constraint: Any = None,
        bias_constraint: Any = None, dropout: float = 0.0, recurrent_dropout: float = 0.0, reset_after: bool = True,
        seed: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer,
            kernel_regularizer=kernel_regularizer, recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer, kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint, bias_constraint=bias_constraint, dropout=dropout,
            recurrent_dropout=recurrent_dropout, seed=seed, **kwargs,
        )  # fmt: skip
        self.reset_after = reset_after

    @property
    def bias_shape(self) -> tuple[int, ...]:
        """One bias, or one for inputs and one for states."""
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def call(self, inputs: Any, states: Any, training: bool | None = False) -> Any:
        """One step."""
        before = states[0] if isinstance(states, (list, tuple)) else states
        inputs, hidden = self.drop(inputs, before, training)
        bias = self.bias
        if self.reset_after:
            own, other = (None, None) if bias is None else (bias[0], bias[1])
            xz, xr, xh = ops.split(self.product(inputs, self.kernel, own), 3, axis=-1)
            hz, hr, hh = ops.split(self.product(hidden, self.recurrent_kernel, other), 3, axis=-1)
            z, r = self.recurrent_activation(xz + hz), self.recurrent_activation(xr + hr)
            new = self.activation(xh + r * hh)
        else:
            xz, xr, xh = ops.split(self.product(inputs, self.kernel, bias), 3, axis=-1)
            units = self.units
            hz, hr = ops.split(ops.matmul(hidden, self.recurrent_kernel[:, : 2 * units]), 2, axis=-1)
            z, r = self.recurrent_activation(xz + hz), self.recurrent_activation(xr + hr)
            new = self.activation(xh + ops.matmul(r * hidden, self.recurrent_kernel[:, 2 * units :]))
        output = z * before + (1.0 - z) * new
        return output, [output] if isinstance(states, (list, tuple)) else output


@LAYERS.register()
class StackedRNNCells(Layer):
    """Several cells as one: each works on the output of the one before."""

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for cell in cells:
            if not hasattr(cell, "call") or not hasattr(cell, "state_size"):
                raise ValueError(f"StackedRNNCells: every cell needs call() and state_size, got {cell!r}")
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        """State sizes of the cells, one entry a cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> Any:
        """Output size of the last cell."""
        return output_size(self.cells[-1])

    def build(self, input_shape: Any) -> None:
        """Build each cell for the output of the one before."""
        shape = tuple(input_shape)
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                with cell._scope():
                    cell.build(shape)
                cell.built = True
            shape = (shape[0], output_size(cell))

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Initial states, one entry a cell."""
        return [initial_state(cell, batch_size, self.compute_dtype) for cell in self.cells]

    @contextmanager
    def one_draw(self, batch_size: Any, features: int) -> Iterator[None]:
        """Inside, all steps drop the same units."""
        with ExitStack() as stack:
            for cell in self.cells:
                if hasattr(cell, "one_draw"):
                    stack.enter_context(cell.one_draw(batch_size, features))
                features = output_size(cell)
            yield

    def call(self, inputs: Any, states: Any, training: bool | None = False) -> Any:
        """One step of every cell."""
        after: list[Any] = []
        for cell, own in zip(self.cells, states, strict=True):
            inputs, new = run_cell(cell, inputs, _as_list(own), training)
            after.append(new if isinstance(own, (list, tuple)) else new[0])
        return inputs, after


def run_cell(cell: Any, inputs: Any, states: list[Any], training: bool | None) -> tuple[Any, list[Any]]:
    """One step of a cell, a layer or any object with `call`; the states after it as a list."""
    if isinstance(cell, Layer):
        takes = call_signature(type(cell)).takes_training
        output, after = cell(inputs, states, **({"training": training} if takes else {}))
    else:
        output, after = cell.call(inputs, states)
    return output, _as_list(after)


def initial_state(cell: Any, batch_size: Any, dtype: str) -> list[Any]:
    """What the states of a cell begin with: its own choice, zeros by default."""
    if hasattr(cell, "get_initial_state"):
        return _as_list(cell.get_initial_state(batch_size=batch_size))
    return [ops.zeros((batch_size, size), dtype) for size in _as_list(cell.state_size)]


def output_size(cell: Any) -> int:
    """Features of a cell's output: those of its first state unless it says so."""
    given = getattr(cell, "output_size", None)
    return _as_list(cell.state_size)[0] if given is None else given


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
