"""LSTM, GRU and RNN with all options: directions, layouts, lengths, peepholes, clipping, activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from .table import Call, UnsupportedOperatorError, operator
from .values import scalar_like

Activation = Callable[[Tensor], Tensor]

DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
SLOPES = {"leakyrelu": 0.01, "thresholdedrelu": 1.0, "elu": 1.0, "hardsigmoid": 0.2, "affine": 1.0, "scaledtanh": 1.0}
SHIFTS = {"hardsigmoid": 0.5, "affine": 0.0, "scaledtanh": 1.0}


def activation_of(call: Call, name: str, alpha: Any, beta: Any) -> Activation:
    """The function of one gate."""
    low = name.lower()
    a = SLOPES.get(low, 1.0) if alpha is None else alpha
    b = SHIFTS.get(low, 0.0) if beta is None else beta
    table: dict[str, Activation] = {
        "sigmoid": ops.sigmoid, "tanh": ops.tanh, "relu": ops.relu, "softplus": ops.softplus, "softsign": ops.softsign,
        "leakyrelu": lambda x: ops.leaky_relu(x, a), "elu": lambda x: ops.elu(x, a),
        "thresholdedrelu": lambda x: ops.threshold(x, a, 0.0),
        "hardsigmoid": lambda x: ops.clip(x * scalar_like(a, x) + scalar_like(b, x), 0.0, 1.0),
        "affine": lambda x: x * scalar_like(a, x) + scalar_like(b, x),
        "scaledtanh": lambda x: ops.tanh(x * scalar_like(b, x)) * scalar_like(a, x),
    }  # fmt: skip
    if low not in table:
        raise UnsupportedOperatorError(f"{call.label}: the activation {name} is not known; known: {', '.join(table)}")
    return table[low]


class Recurrence:
    """What the three operators share: inputs batch first, one direction at a time, results as the layout asks."""

    def __init__(self, call: Call, x: Tensor, w: Tensor, lengths: Any) -> None:
        self.call = call
        self.batch_first = bool(call.get("layout", 0))
        self.x = x if self.batch_first else ops.swapaxes(x, 0, 1)
        self.directions = int(w.shape[0])  # pyright: ignore[reportArgumentType]
        self.units: int = call.get("hidden_size") or int(w.shape[1]) // {"LSTM": 4, "GRU": 3, "RNN": 1}[call.operator]  # pyright: ignore
        self.mask = None
        if lengths is not None:
            steps = ops.arange(self.x.shape[1], dtype="int64")
            self.mask = ops.less(steps[None], ops.cast(lengths, np.int64)[:, None])
        count = len(DEFAULTS[call.operator])
        names = call.get("activations") or DEFAULTS[call.operator] * self.directions
        self.names = [names[i * count : (i + 1) * count] for i in range(self.directions)]
        self.is_standard = names == DEFAULTS[call.operator] * self.directions and not call.get("clip")

    def backwards(self, direction: int) -> bool:
        """Whether a direction runs from the end."""
        return direction == 1 or self.call.get("direction", "forward") == "reverse"

    def activations(self, direction: int) -> list[Activation]:
        """The functions of a direction's gates."""
        alphas, betas = list(self.call.get("activation_alpha") or []), list(self.call.get("activation_beta") or [])
        found = []
        for i, names in enumerate(self.names):
            for name in names:
                alpha = alphas.pop(0) if alphas and name.lower() in SLOPES else None
                beta = betas.pop(0) if betas and name.lower() in SHIFTS else None
                if i == direction:
                    found.append(activation_of(self.call, name, alpha, beta))
        return found

    def state(self, given: Any, direction: int) -> Any:
        """The first state of a direction, (batch, units)."""
        if given is None:
            return None
        return given[:, direction] if self.batch_first else given[direction]

    def clipped(self, x: Tensor) -> Tensor:
        """What enters an activation, within the bounds of `clip`."""
        bound = self.call.get("clip")
        return ops.clip(x, -bound, bound) if bound else x

    def steps(self, direction: int, function: Any, states: list[Any], projected: Tensor) -> tuple[Any, list[Any]]:
        """Run step by step: `function(states, x) -> states`, the first state is the output."""
        zero = ops.zeros((self.x.shape[0], self.units), self.x.dtype)
        states = [zero if s is None else s for s in states]
        streams = [ops.swapaxes(projected, 0, 1)]
        if self.mask is not None:
            streams.append(ops.cast(ops.swapaxes(self.mask, 0, 1), self.x.dtype)[:, :, None])

        def step(carry: Any, xs: Any) -> Any:
            new = function(carry, xs[0])
            if self.mask is not None:
                new = [ops.add(old, (n - old) * xs[1]) for n, old in zip(new, carry, strict=True)]
                return new, new[0] * xs[1]
            return new, new[0]

        last, made = ops.scan(step, states, streams, reverse=self.backwards(direction))
        return ops.swapaxes(made, 0, 1), last

    def results(self, sequences: list[Any], *lasts: list[Any]) -> tuple[Any, ...]:
        """Directions put together: (time, directions, batch, units), or batch first."""
        sequences = [ops.flip(s, 1) if flipped else s for s, flipped in sequences]
        axis = 2 if self.batch_first else 1
        whole = ops.stack([s if self.batch_first else ops.swapaxes(s, 0, 1) for s in sequences], axis=axis)
        return (whole, *[ops.stack(last, axis=1 if self.batch_first else 0) for last in lasts])


def _reordered(w: Any, order: list[int], axis: int = 0) -> Any:
    """Blocks of gates in another order."""
    parts = ops.split(w, len(order), axis=axis)
    return ops.concatenate([parts[i] for i in order], axis=axis)


@operator("LSTM")
def lstm(
    call: Call, x: Tensor, w: Tensor, r: Tensor, b: Any = None, lengths: Any = None, h: Any = None, c: Any = None,
    p: Any = None,
) -> tuple[Any, ...]:  # fmt: skip
    """Long short-term memory; gates in the file's order i, o, f, c."""
    run = Recurrence(call, x, w, lengths)
    sequences, hs, cs = [], [], []
    plain = run.is_standard and p is None and not call.get("input_forget", 0)
    for d in range(run.directions):
        bias = None if b is None else ops.add(*ops.split(b[d], 2))
        states = [run.state(h, d), run.state(c, d)]
        if plain:
            kernel, recurrent = (ops.transpose(_reordered(v[d], [0, 2, 3, 1])) for v in (w, r))
            bias = None if bias is None else _reordered(bias, [0, 2, 3, 1])
            made, last, cell = ops.lstm(
                run.x, states[0], states[1], run.mask, kernel, recurrent, bias, go_backwards=run.backwards(d),
                zero_output_for_mask=True,
            )  # fmt: skip
            sequences.append((made, run.backwards(d)))
        else:
            made, (last, cell) = _lstm_steps(run, d, w[d], r[d], bias, states, None if p is None else p[d])
            sequences.append((made, False))
        hs.append(last)
        cs.append(cell)
    return run.results(sequences, hs, cs)


def _lstm_steps(run: Recurrence, d: int, w: Any, r: Any, bias: Any, states: Any, p: Any) -> Any:
    gate, squash, leave = run.activations(d)
    projected = ops.matmul(run.x, ops.transpose(w))
    projected = projected if bias is None else ops.add(projected, bias)
    peep = [None, None, None] if p is None else ops.split(p, 3)
    recurrent = ops.transpose(r)

    def seen(z: Any, weight: Any, cell: Any) -> Any:
        return gate(run.clipped(z if weight is None else ops.add(z, weight * cell)))

    def step(carry: Any, z: Any) -> Any:
        before, cell = carry
        i, o, f, g = ops.split(ops.add(z, ops.matmul(before, recurrent)), 4, axis=-1)
        i = seen(i, peep[0], cell)
        f = 1 - i if run.call.get("input_forget", 0) else seen(f, peep[2], cell)
        new = f * cell + i * squash(run.clipped(g))
        return [seen(o, peep[1], new) * leave(new), new]

    return run.steps(d, step, states, projected)


@operator("GRU")
def gru(
    call: Call, x: Tensor, w: Tensor, r: Tensor, b: Any = None, lengths: Any = None, h: Any = None
) -> tuple[Any, ...]:
    """Gated recurrent unit; gates in the order z, r, h."""
    run = Recurrence(call, x, w, lengths)
    sequences, hs = [], []
    after = bool(call.get("linear_before_reset", 0))
    for d in range(run.directions):
        state = run.state(h, d)
        if run.is_standard:
            bias = None if b is None else ops.reshape(b[d], (2, -1)) if after else ops.add(*ops.split(b[d], 2))
            made, last = ops.gru(
                run.x, state, run.mask, ops.transpose(w[d]), ops.transpose(r[d]), bias, go_backwards=run.backwards(d),
                reset_after=after, zero_output_for_mask=True,
            )  # fmt: skip
            sequences.append((made, run.backwards(d)))
        else:
            made, (last,) = _gru_steps(run, d, w[d], r[d], None if b is None else b[d], state)
            sequences.append((made, False))
        hs.append(last)
    return run.results(sequences, hs)


def _gru_steps(run: Recurrence, d: int, w: Any, r: Any, b: Any, state: Any) -> Any:
    gate, squash = run.activations(d)
    own = ops.zeros((6 * run.units,), run.x.dtype) if b is None else b
    b_x, b_h = ops.split(own, 2)
    projected = ops.add(ops.matmul(run.x, ops.transpose(w)), b_x)
    recurrent, after, u = ops.transpose(r), run.call.get("linear_before_reset", 0), run.units

    def step(carry: Any, x: Any) -> Any:
        before = carry[0]
        inner = ops.matmul(before, recurrent[:, : 2 * u]) + b_h[: 2 * u]
        z = gate(run.clipped(x[:, :u] + inner[:, :u]))
        reset = gate(run.clipped(x[:, u : 2 * u] + inner[:, u:]))
        weight, shift = recurrent[:, 2 * u :], b_h[2 * u :]
        own = reset * (ops.matmul(before, weight) + shift) if after else ops.matmul(reset * before, weight) + shift
        new = squash(run.clipped(x[:, 2 * u :] + own))
        return [(1 - z) * new + z * before]

    return run.steps(d, step, [state], projected)


@operator("RNN")
def rnn(
    call: Call, x: Tensor, w: Tensor, r: Tensor, b: Any = None, lengths: Any = None, h: Any = None
) -> tuple[Any, ...]:
    """Fully connected recurrence."""
    run = Recurrence(call, x, w, lengths)
    sequences, hs = [], []
    for d in range(run.directions):
        squash, kernel, recurrent = run.activations(d)[0], ops.transpose(w[d]), ops.transpose(r[d])
        bias = None if b is None else ops.add(*ops.split(b[d], 2))

        def clipped(z: Tensor, squash: Activation = squash) -> Tensor:
            return squash(run.clipped(z))

        made, last = ops.simple_rnn(
            run.x, run.state(h, d), run.mask, kernel, recurrent, bias,
            activation=clipped if call.get("clip") else squash, go_backwards=run.backwards(d),
            zero_output_for_mask=True,
        )  # fmt: skip
        sequences.append((made, run.backwards(d)))
        hs.append(last)
    return run.results(sequences, hs)
