"""GRU over a whole sequence: kernels, primitives and their ONNX forms (Cho et al. 2014).

Feature-major as in `recurrent_lstm`. The inputs' part of all gates is one product for the whole sequence; gates stand
in Keras's order z, r, h; the fourth block that is kept is the state's part of the candidate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.emitter import Emitter, Value
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .memory import empty
from .recurrent_lstm import TAGS, gradients_of_inputs, last_state, vjp_of_gradient
from .recurrent_rules import (
    batch_major,
    check_inputs,
    emit_bias,
    emit_recurrent,
    emit_weight,
    in_single_precision,
    mask_steps,
    previous_states,
    steps_at_once,
    time_major,
    weight_gradients,
)
from .recurrent_steps import gru_backwards, gru_steps, lower_as_operations

__all__: list[str] = []


def _with_bias(kernel: np.ndarray, bias: Any, units: int) -> np.ndarray:
    """Rows z, r (halved: a sigmoid is a tanh of the half) and h; the last column is the bias."""
    weights = np.empty((3 * units, kernel.shape[0] + 1), kernel.dtype)
    weights[:, :-1] = kernel.T
    weights[:, -1] = bias
    weights[: 2 * units] *= 0.5
    return weights


def _forward(
    x: np.ndarray, h: Any, kernel: np.ndarray, recurrent: np.ndarray, bias: Any, mask: Any, reset_after: bool,
    keep: bool,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Sequence (batch, time, units) and gates (time, 4 * units, batch)."""
    batch, steps, features = x.shape
    units, dtype = recurrent.shape[0], x.dtype
    biases = (0, 0) if bias is None else bias if reset_after else (bias, 0)
    stacked = np.empty((steps, features + 1, batch), dtype)
    stacked[:, :features], stacked[:, features] = time_major(x), 1
    projected = np.matmul(_with_bias(kernel, biases[0], units), stacked)
    weights = _with_bias(recurrent, biases[1], units)
    candidate, gate_weights = weights[2 * units :, :-1], weights[: 2 * units] if not reset_after else weights
    states = np.empty((steps + 1, units + 1, batch), dtype)
    states[:, units] = 1
    states[0, :units] = 0 if h is None else h.T
    gates = np.empty((steps if keep else 1, 4 * units, batch), dtype)
    part, masked = np.empty((gate_weights.shape[0], batch), dtype), mask_steps(mask, dtype)
    for t in range(steps):
        z, before, after = gates[t if keep else 0], states[t, :units], states[t + 1, :units]
        np.matmul(gate_weights, states[t], out=part)
        open_gates, new, inner = z[: 2 * units], z[2 * units : 3 * units], z[3 * units :]
        np.add(part[: 2 * units], projected[t, : 2 * units], out=open_gates)
        np.tanh(open_gates, out=open_gates)
        open_gates *= 0.5
        open_gates += 0.5
        reset = z[units : 2 * units]
        if reset_after:
            inner[...] = part[2 * units :]
            np.multiply(inner, reset, out=new)
        else:
            np.matmul(candidate, before * reset, out=inner)
            new[...] = inner
        new += projected[t, 2 * units :]
        np.tanh(new, out=new)
        np.subtract(before, new, out=after)
        after *= z[:units]
        after += new
        if masked is not None:
            after *= masked[0][t]
            after += before * masked[1][t]
    return batch_major(states[1:, :units]), gates


@in_single_precision
def _run(
    x: Any, h: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any, *, reset_after: bool
) -> tuple[np.ndarray, ...]:
    sequence, _ = _forward(x, h, kernel, recurrent, bias, mask, reset_after, keep=False)
    return sequence, last_state(sequence, h)


@in_single_precision
def _run_training(
    x: Any, h: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any, *, reset_after: bool
) -> tuple[np.ndarray, ...]:
    sequence, gates = _forward(x, h, kernel, recurrent, bias, mask, reset_after, keep=True)
    return sequence, last_state(sequence, h), gates


@in_single_precision
def _run_gradient(
    d_sequence: Any, d_h: Any, x: np.ndarray, h: Any, kernel: np.ndarray, recurrent: np.ndarray, bias: Any, mask: Any,
    sequence: np.ndarray, gates: np.ndarray, *, reset_after: bool, by_x: bool = True,
) -> tuple[Any, ...]:  # fmt: skip
    """Some steps at a time, which stay in the cache: all their derivatives, then what depends on the step after."""
    steps, width, batch = gates.shape
    units = width // 4
    earlier = np.ascontiguousarray(time_major(previous_states(sequence, h)))
    incoming = None if d_sequence is None else np.ascontiguousarray(time_major(d_sequence))
    dh = np.zeros((units, batch), x.dtype) if d_h is None else np.array(d_h.T, order="C")
    weights = recurrent if reset_after else np.ascontiguousarray(recurrent[:, : 2 * units])
    # rows: of z, of r, of the candidate as the state sees it, of the candidate as the input sees it
    flat = empty((width, steps, batch), x.dtype)
    masked, count = mask_steps(mask, x.dtype), steps_at_once(width * batch)
    slopes = np.empty((min(count, steps), width, batch), x.dtype)
    for first in range((steps - 1) // count * count, -1, -count):
        part = slice(first, min(first + count, steps))
        size = part.stop - first
        kept = None if masked is None else (masked[0][part], masked[1][part])
        update = _derivatives(gates[part], earlier[part], kept, slopes[:size], reset_after)
        arriving = None if incoming is None else incoming[part]
        reset = gates[part, units : 2 * units]
        if reset_after:
            dh = _step_back(slopes[:size], update, reset, weights, arriving, dh)
        else:
            dh = _step_back_before(slopes[:size], update, reset, weights, recurrent[:, 2 * units :], arriving, dh)
        flat[:, part] = slopes[:size].transpose(1, 0, 2)
    rows = flat.reshape(width, -1)
    wide = np.concatenate([kernel[:, : 2 * units], np.zeros_like(recurrent, shape=(len(kernel), units)),
                           kernel[:, 2 * units :]], axis=1) if by_x else None  # fmt: skip
    *d_x, d_kernel, d_recurrent, d_bias = weight_gradients(x, sequence, h, rows, wide)
    by_input = np.concatenate([d_kernel[:, : 2 * units], d_kernel[:, 3 * units :]], axis=1)
    bias_by_input = np.concatenate([d_bias[: 2 * units], d_bias[3 * units :]])
    by_state = d_recurrent[:, : 3 * units].copy()
    if not reset_after:
        reset = (earlier * gates[:, units : 2 * units]).transpose(1, 0, 2).reshape(units, -1)
        by_state[:, 2 * units :] = reset @ rows[2 * units : 3 * units].T
    biases = np.stack([bias_by_input, d_bias[: 3 * units]]) if reset_after else bias_by_input
    return *d_x, np.ascontiguousarray(dh.T), by_input, by_state, biases


def _derivatives(
    gates: np.ndarray, earlier: np.ndarray, kept: Any, slopes: np.ndarray, reset_after: bool
) -> np.ndarray:  # fmt: skip
    """Of steps: slopes of z by the state, of r by the candidate's inner part, of the candidate by the state (last);
    returns the share of the state before that stays."""
    units = earlier.shape[1]
    z, r, new, inner = (gates[:, k * units : (k + 1) * units] for k in range(4))
    by_z, by_r, rest, by_new = (slopes[:, k * units : (k + 1) * units] for k in range(4))
    np.subtract(1, z, out=rest)
    np.subtract(earlier, new, out=by_z)
    by_z *= z
    by_z *= rest
    np.multiply(new, new, out=by_new)
    np.subtract(1, by_new, out=by_new)
    by_new *= rest
    np.subtract(1, r, out=by_r)
    by_r *= r
    by_r *= inner if reset_after else earlier
    if kept is None:
        return z
    by_z *= kept[0]
    by_new *= kept[0]
    return z * kept[0] + kept[1]


def _step_back(
    slopes: np.ndarray, update: np.ndarray, reset: np.ndarray, weights: np.ndarray, incoming: np.ndarray | None,
    dh: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Steps from the last to the first, the reset gate after the product; the gradient of the state before them."""
    units, back = len(dh), np.empty_like(dh)
    for t in range(len(slopes) - 1, -1, -1):
        if incoming is not None:
            dh += incoming[t]
        s = slopes[t]
        d_new = s[3 * units :]
        s[:units] *= dh
        d_new *= dh
        s[units : 2 * units] *= d_new
        np.multiply(d_new, reset[t], out=s[2 * units : 3 * units])
        np.matmul(weights, s[: 3 * units], out=back)
        dh *= update[t]
        dh += back
    return dh


def _step_back_before(
    slopes: np.ndarray, update: np.ndarray, reset: np.ndarray, weights: np.ndarray, candidate: np.ndarray,
    incoming: np.ndarray | None, dh: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The same with the reset gate before the product."""
    units = len(dh)
    back, d_reset = np.empty_like(dh), np.empty_like(dh)
    for t in range(len(slopes) - 1, -1, -1):
        if incoming is not None:
            dh += incoming[t]
        s = slopes[t]
        d_new = s[3 * units :]
        s[:units] *= dh
        d_new *= dh
        s[2 * units : 3 * units] = d_new
        np.matmul(candidate, d_new, out=d_reset)
        s[units : 2 * units] *= d_reset
        d_reset *= reset[t]
        np.matmul(weights, s[: 2 * units], out=back)
        dh *= update[t]
        dh += d_reset
        dh += back
    return dh


def _bias_shape(reset_after: bool) -> tuple[int, ...]:
    return (2, 3) if reset_after else (3,)


def _infer(
    x: Any, h: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any, *, reset_after: bool
) -> tuple[TensorSpec, ...]:
    units = check_inputs(x, (h,), kernel, recurrent, bias, mask, 3, _bias_shape(reset_after))
    return TensorSpec((*x.shape[:2], units), x.dtype), TensorSpec((x.shape[0], units), x.dtype)


def _infer_training(x: TensorSpec, *rest: Any, reset_after: bool) -> tuple[TensorSpec, ...]:
    outputs = _infer(x, *rest, reset_after=reset_after)
    return (*outputs, TensorSpec((x.shape[1], 4 * outputs[1].shape[1], x.shape[0]), x.dtype))


def _infer_gradient(d_sequence: Any, d_h: Any, x: Any, h: Any, kernel: Any, recurrent: Any, *rest: Any,
                    reset_after: bool, by_x: bool) -> tuple[TensorSpec, ...]:  # fmt: skip
    bias = (2, kernel.shape[1]) if reset_after else (kernel.shape[1],)
    shapes = (x.shape, (x.shape[0], recurrent.shape[0]), kernel.shape, recurrent.shape, bias)
    return tuple(TensorSpec(shape, x.dtype) for shape in shapes[not by_x :])


def _lower(
    emit: Emitter, x: Value, h: Value | None, kernel: Value, recurrent: Value, bias: Value | None, mask: Value | None,
    *, reset_after: bool,
) -> tuple[Value, ...]:  # fmt: skip
    if mask is not None:
        return lower_as_operations(emit, _sequence(reset_after), x, h, kernel, recurrent, bias, mask)
    order = (0, 1, 2)
    weights = (emit_weight(emit, kernel, order), emit_weight(emit, recurrent, order), emit_bias(emit, bias, order))
    units: Any = recurrent.shape[0]
    return emit_recurrent(emit, "GRU", x, weights, (h,), units, linear_before_reset=int(reset_after))


def _sequence(reset_after: bool) -> Any:
    return lambda *arguments: gru_steps(*arguments, reset_after=reset_after)[:2]


def _lower_training(emit: Emitter, *values: Value | None, reset_after: bool) -> tuple[Value, ...]:
    return lower_as_operations(emit, lambda *a: gru_steps(*a, reset_after=reset_after), *values)


def _lower_gradient(emit: Emitter, *values: Value | None, reset_after: bool, by_x: bool) -> tuple[Value, ...]:
    return lower_as_operations(emit, lambda *a: gru_backwards(*a, reset_after=reset_after)[not by_x :], *values)


def _vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any, *, reset_after: bool) -> list[Tensor | None]:
    again = gru_training_primitive(*inputs, reset_after=reset_after)
    return _vjp_training(gradients, again, inputs, needed, reset_after=reset_after)


def _vjp_training(gradients: Any, outputs: Any, inputs: Any, needed: Any, *, reset_after: bool) -> list[Tensor | None]:
    kept = outputs[0], outputs[2]
    found = gru_gradient_primitive(*gradients[:2], *inputs, *kept, reset_after=reset_after, by_x=needed[0])
    return gradients_of_inputs(inputs, found, needed[0])


def _vjp_gradient(
    gradients: Any, outputs: Any, inputs: Any, needed: Any, *, reset_after: bool, by_x: bool
) -> list[Tensor | None]:
    return vjp_of_gradient(_sequence(reset_after), 2, gradients, inputs, by_x)


gru_primitive = Primitive("gru", _run, _infer, _lower, joint_vjp=_vjp, residuals="inputs", tags=TAGS)
gru_training_primitive = Primitive(
    "gru_training", _run_training, _infer_training, _lower_training, joint_vjp=_vjp_training, tags=TAGS
)
gru_gradient_primitive = Primitive(
    "gru_gradient", _run_gradient, _infer_gradient, _lower_gradient, joint_vjp=_vjp_gradient, residuals="inputs"
)
