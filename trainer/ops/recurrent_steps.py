"""Recurrent layers in plain operations: for any activation, for derivatives, for ONNX where its operators do not fit.

Feature-major like the kernels; gates stand in the kernels' order, so that what one side keeps the other can read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.emitter import Emitter, Value
from ..core.graph import Graph
from ..core.tensor import Tensor
from .activation import sigmoid
from .axes import expand_dims, transpose
from .bodies import placeholders, trace_body
from .broadcast import reshape
from .control import scan
from .convert import cast
from .create import ones, zeros
from .join import concatenate, split, stack
from .linalg import matmul
from .rectifier import relu
from .trigonometry import tanh

__all__: list[str] = []

Activation = Callable[[Any], Any]


def lower_as_operations(emit: Emitter, function: Callable[..., Any], *values: Value | None) -> tuple[Value, ...]:
    """The operations of a function in place; absent inputs stay None."""
    present = [v for v in values if v is not None]
    inputs = placeholders([v.spec for v in present])
    rest = iter(inputs)
    traced = trace_body(lambda: function(*[None if v is None else next(rest) for v in values]))
    return emit.graph(Graph(inputs, traced.results), *present)


def steps_first(x: Any) -> Tensor:
    """(batch, time, features) as (time, features, batch)."""
    return transpose(x, (1, 2, 0))


def batch_first(x: Any) -> Tensor:
    """(time, features, batch) as (batch, time, features)."""
    return transpose(x, (2, 0, 1))


def start_state(state: Any, x: Any, units: Any) -> Tensor:
    """An initial state (batch, units) as (units, batch), zeros where there is none."""
    return zeros((units, x.shape[0]), x.dtype) if state is None else transpose(state, (1, 0))


def step_mask(mask: Any, dtype: Any) -> Tensor | None:
    """A mask (batch, time) as 0 and 1, (time, 1, batch)."""
    return None if mask is None else expand_dims(transpose(cast(mask, dtype), (1, 0)), 1)


def project(x: Any, kernel: Any, bias: Any) -> Tensor:
    """The inputs' part of every gate: (time, gates, batch) from (batch, time, features)."""
    return _shift(matmul(transpose(kernel, (1, 0)), steps_first(x)), bias)


def _shift(z: Tensor, bias: Any) -> Tensor:
    return z if bias is None else z + expand_dims(bias, -1)


def _hold(new: Tensor, old: Tensor, kept: Any) -> Tensor:
    """The new state where a step counts, the old one where it is masked."""
    return new if kept is None else old + (new - old) * kept


def _output_gate_first(weight: Any) -> Tensor:
    i, f, g, o = split(weight, 4, axis=-1)
    return concatenate([o, i, f, g], axis=-1)


def _output_gate_last(slopes: Tensor) -> Tensor:
    o, i, f, g = split(slopes, 4, axis=-1)
    return concatenate([i, f, g, o], axis=-1)


def lstm_steps(
    x: Any, h: Any, c: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any,
    activation: Activation = tanh, recurrent_activation: Activation = sigmoid,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Sequence (batch, time, units), last h and c, gates (time, 4 * units, batch), cells (time + 1, units, batch), and
    the squashed ones after each step (time, units, batch)."""
    units = recurrent.shape[0]
    weights = transpose(_output_gate_first(recurrent), (1, 0))
    projected = project(x, _output_gate_first(kernel), None if bias is None else _output_gate_first(bias))
    starts = start_state(h, x, units), start_state(c, x, units)
    masks = step_mask(mask, x.dtype)

    def step(carry: Any, xs: Any) -> Any:
        before, cell = carry
        part, kept = xs
        o, i, f, g = split(part + matmul(weights, before), 4, axis=0)
        o, i, f, g = recurrent_activation(o), recurrent_activation(i), recurrent_activation(f), activation(g)
        after = f * cell + i * g
        bent = activation(after)
        out = _hold(o * bent, before, kept)
        after = _hold(after, cell, kept)
        return (out, after), (out, concatenate([o, i, f, g], axis=0), after, bent)

    (last, cell), (states, gates, cells, squashed) = scan(step, starts, (projected, masks))
    cells = concatenate([expand_dims(starts[1], 0), cells], axis=0)
    return batch_first(states), transpose(last, (1, 0)), transpose(cell, (1, 0)), gates, cells, squashed


def lstm_sequence(*arguments: Any) -> tuple[Tensor, ...]:
    """`lstm_steps` without what is kept for the gradient."""
    return lstm_steps(*arguments)[:3]


def before_steps(sequence: Any, start: Any) -> Tensor:
    """The state before each step (time, units, batch) from the sequence (batch, time, units) and the first state."""
    return concatenate([expand_dims(start, 0), steps_first(sequence)], axis=0)[:-1]


def sequence_weights(x: Any, before: Any, slopes: Any, kernel: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of inputs, kernel, recurrent kernel and bias from those of the gates, (time, gates, batch).

    Those of all weights are one product, with rows of input, state before and 1.
    """
    (batch, steps, features), units = x.shape, before.shape[1]
    flat = reshape(transpose(slopes, (0, 2, 1)), (-1, slopes.shape[1]))
    d_x = transpose(reshape(matmul(flat, transpose(kernel, (1, 0))), (steps, batch, features)), (1, 0, 2))
    parts = [transpose(x, (1, 0, 2)), transpose(before, (0, 2, 1)), ones((steps, batch, 1), x.dtype)]
    rows = reshape(concatenate(parts, axis=2), (-1, features + units + 1))
    d_kernel, d_recurrent, d_bias = split(matmul(transpose(rows, (1, 0)), flat), [features, features + units], axis=0)
    return d_x, d_kernel, d_recurrent, reshape(d_bias, (slopes.shape[1],))


def _arriving(d_sequence: Any) -> Tensor | None:
    """What arrives at the state after each step from the sequence; None: nothing."""
    return None if d_sequence is None else steps_first(d_sequence)


def _plus(total: Tensor, more: Any) -> Tensor:
    return total if more is None else total + more


def lstm_backwards(
    d_sequence: Any, d_h: Any, d_c: Any, x: Any, h: Any, c: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any,
    sequence: Any, gates: Any, cells: Any, squashed: Any,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Gradients of x, h, c, kernel, recurrent kernel, bias; derivatives for all steps first, then a scan backwards."""
    units = recurrent.shape[0]
    o, i, f, g = split(gates, 4, axis=1)
    through = o * (1 - squashed * squashed)
    factors = [squashed * o * (1 - o), g * i * (1 - i), cells[:-1] * f * (1 - f), i * (1 - g * g)]
    gate_slopes = concatenate(factors, axis=1)
    kept = step_mask(mask, x.dtype)
    if kept is not None:
        through, gate_slopes, f = through * kept, gate_slopes * kept, f * kept + (1 - kept)
    weights = _output_gate_first(recurrent)

    def step(carry: Any, xs: Any) -> Any:
        dh, dc = carry
        incoming, through_t, slopes_t, f_t, kept_t = xs
        dh = _plus(dh, incoming)
        dc = dc + dh * through_t
        slopes = concatenate([dh, dc, dc, dc], axis=0) * slopes_t
        back = matmul(weights, slopes)
        return (back if kept_t is None else back + dh * (1 - kept_t), dc * f_t), slopes

    last = start_state(d_h, x, units), start_state(d_c, x, units)
    streams = (_arriving(d_sequence), through, gate_slopes, f, kept)
    (dh, dc), slopes = scan(step, last, streams, reverse=True)
    before = before_steps(sequence, start_state(h, x, units))
    d_x, d_kernel, d_recurrent, d_bias = sequence_weights(x, before, slopes, _output_gate_first(kernel))
    return (
        d_x, transpose(dh, (1, 0)), transpose(dc, (1, 0)), _output_gate_last(d_kernel), _output_gate_last(d_recurrent),
        _output_gate_last(d_bias),
    )  # fmt: skip


def gru_steps(
    x: Any, h: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any, reset_after: bool,
    activation: Activation = tanh, recurrent_activation: Activation = sigmoid,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Sequence (batch, time, units), last state, gates z, r, h and the state's part of h (time, 4 * units, batch)."""
    units = recurrent.shape[0]
    weights = transpose(recurrent, (1, 0))
    open_weights, candidate = split(weights, [2 * units], axis=0)
    input_bias, state_bias = (bias, None) if bias is None or not reset_after else (bias[0], expand_dims(bias[1], -1))
    start, masks = start_state(h, x, units), step_mask(mask, x.dtype)

    def step(before: Any, xs: Any) -> Any:
        part, kept = xs
        by_input = split(part, 3, axis=0)
        if reset_after:
            product = matmul(weights, before)
            z, r, inner = split(product if state_bias is None else product + state_bias, 3, axis=0)
        else:
            z, r = split(matmul(open_weights, before), 2, axis=0)
            inner = None
        z, r = recurrent_activation(by_input[0] + z), recurrent_activation(by_input[1] + r)
        inner = matmul(candidate, r * before) if inner is None else inner
        new = activation(by_input[2] + (r * inner if reset_after else inner))
        out = _hold(new + z * (before - new), before, kept)
        return out, (out, concatenate([z, r, new, inner], axis=0))

    last, (states, gates) = scan(step, start, (project(x, kernel, input_bias), masks))
    return batch_first(states), transpose(last, (1, 0)), gates


def gru_backwards(
    d_sequence: Any, d_h: Any, x: Any, h: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any, sequence: Any,
    gates: Any, reset_after: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Gradients of x, h, kernel, recurrent kernel and bias."""
    units = recurrent.shape[0]
    z, r, new, inner = split(gates, 4, axis=1)
    before = before_steps(sequence, start_state(h, x, units))
    by_z, by_new = (before - new) * z * (1 - z), (1 - z) * (1 - new * new)
    by_r = (inner if reset_after else before) * r * (1 - r)
    kept = step_mask(mask, x.dtype)
    if kept is not None:
        by_z, by_new, z = by_z * kept, by_new * kept, z * kept + (1 - kept)
    open_weights, candidate = split(recurrent, [2 * units], axis=1)

    def step(dh: Any, xs: Any) -> Any:
        incoming, by_z_t, by_new_t, by_r_t, z_t, r_t = xs
        dh = _plus(dh, incoming)
        d_z, d_new = dh * by_z_t, dh * by_new_t
        if reset_after:
            d_r, d_inner = d_new * by_r_t, d_new * r_t
            back = matmul(recurrent, concatenate([d_z, d_r, d_inner], axis=0))
        else:
            d_reset = matmul(candidate, d_new)
            d_r, d_inner = d_reset * by_r_t, d_new
            back = matmul(open_weights, concatenate([d_z, d_r], axis=0)) + d_reset * r_t
        return dh * z_t + back, (d_z, d_r, d_inner, d_new)

    streams = (_arriving(d_sequence), by_z, by_new, by_r, z, r)
    dh, (d_z, d_r, d_inner, d_new) = scan(step, start_state(d_h, x, units), streams, reverse=True)
    # of z, of r, of the candidate as the state sees it and as the input sees it
    open_kernel, new_kernel = split(kernel, [2 * units], axis=1)
    wide = concatenate([open_kernel, zeros((kernel.shape[0], units), kernel.dtype), new_kernel], axis=1)
    slopes = concatenate([d_z, d_r, d_inner, d_new], axis=1)
    d_x, d_kernel, d_recurrent, d_bias = sequence_weights(x, before, slopes, wide)
    d_kernel, bias_by_input = _without_inner(d_kernel, units), _without_inner(d_bias, units)
    both, inner = split(d_recurrent, [2 * units, 3 * units], axis=1)[:2]
    if not reset_after:
        inner = _outer_sum(before * r, d_new)
    biases = stack([bias_by_input, split(d_bias, [3 * units])[0]]) if reset_after else bias_by_input
    return d_x, transpose(dh, (1, 0)), d_kernel, concatenate([both, inner], axis=1), biases


def _without_inner(gradient: Tensor, units: Any) -> Tensor:
    """The columns of z, r and the candidate as the input sees it."""
    open_gates, _, new = split(gradient, [2 * units, 3 * units], axis=-1)
    return concatenate([open_gates, new], axis=-1)


def _outer_sum(first: Tensor, second: Tensor) -> Tensor:
    """Sum over steps and batch of the outer products of two (time, units, batch): (units, units)."""
    rows = transpose(first, (1, 0, 2))
    columns = transpose(second, (1, 0, 2))
    return matmul(reshape(rows, (rows.shape[0], -1)), transpose(reshape(columns, (columns.shape[0], -1)), (1, 0)))


SIMPLE_ACTIVATIONS: dict[str, Activation] = {"tanh": tanh, "relu": relu, "sigmoid": sigmoid}


def simple_rnn_steps(
    x: Any, h: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any, activation: Activation
) -> tuple[Tensor, Tensor]:
    """Sequence (batch, time, units) and last state."""
    weights = transpose(recurrent, (1, 0))

    def step(before: Any, xs: Any) -> Any:
        part, kept = xs
        out = _hold(activation(part + matmul(weights, before)), before, kept)
        return out, out

    start = start_state(h, x, recurrent.shape[0])
    last, states = scan(step, start, (project(x, kernel, bias), step_mask(mask, x.dtype)))
    return batch_first(states), transpose(last, (1, 0))


def simple_rnn_backwards(
    d_sequence: Any, d_h: Any, x: Any, h: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any, sequence: Any,
    activation: str,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Gradients of x, h, kernel, recurrent kernel and bias."""
    out = steps_first(sequence)
    slope = {
        "tanh": lambda: 1 - out * out,
        "sigmoid": lambda: out * (1 - out),
        "relu": lambda: cast(out > 0, out.dtype),
    }[activation]()
    kept = step_mask(mask, x.dtype)

    def step(dh: Any, xs: Any) -> Any:
        incoming, slope_t, kept_t = xs
        dh = _plus(dh, incoming)
        slopes = dh * slope_t if kept_t is None else dh * slope_t * kept_t
        back = matmul(recurrent, slopes)
        return back if kept_t is None else back + dh * (1 - kept_t), slopes

    streams = (_arriving(d_sequence), slope, kept)
    dh, slopes = scan(step, start_state(d_h, x, recurrent.shape[0]), streams, reverse=True)
    before = before_steps(sequence, start_state(h, x, recurrent.shape[0]))
    d_x, d_kernel, d_recurrent, d_bias = sequence_weights(x, before, slopes, kernel)
    return d_x, transpose(dh, (1, 0)), d_kernel, d_recurrent, d_bias
