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
from .recurrent_lstm import last_state, vjp_of_gradient
from .recurrent_rules import (
    batch_major,
    check_inputs,
    emit_bias,
    emit_recurrent,
    emit_weight,
    in_single_precision,
    kernel_arrays,
    mask_steps,
    previous_states,
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
    d_sequence: np.ndarray, d_h: np.ndarray, x: np.ndarray, h: Any, kernel: np.ndarray, recurrent: np.ndarray,
    bias: Any, mask: Any, sequence: np.ndarray, gates: np.ndarray, *, reset_after: bool,
    by_x: bool = True,
) -> tuple[Any, ...]:  # fmt: skip
    batch, steps, _ = x.shape
    units, dtype = recurrent.shape[0], x.dtype
    z, r, new, inner = (gates[:, k * units : (k + 1) * units] for k in range(4))
    before = previous_states(sequence, h)
    earlier = np.ascontiguousarray(time_major(before))
    by_z, by_new = (earlier - new) * z * (1 - z), (1 - z) * (1 - new * new)
    by_r = (inner if reset_after else earlier) * r * (1 - r)
    masked = mask_steps(mask, dtype)
    if masked is not None:
        by_z *= masked[0]
        by_new *= masked[0]
        z = z * masked[0] + masked[1]
    incoming, dh = np.ascontiguousarray(time_major(d_sequence)), np.ascontiguousarray(d_h.T)
    # rows: of z, of r, of the candidate as the state sees it, of the candidate as the input sees it
    slopes = np.empty((steps, 4 * units, batch), dtype)
    open_weights, candidate = np.ascontiguousarray(recurrent[:, : 2 * units]), recurrent[:, 2 * units :]
    for t in range(steps - 1, -1, -1):
        dh = dh + incoming[t]
        s = slopes[t]
        d_new, d_inner = s[3 * units :], s[2 * units : 3 * units]
        np.multiply(dh, by_z[t], out=s[:units])
        np.multiply(dh, by_new[t], out=d_new)
        dh *= z[t]
        if reset_after:
            np.multiply(d_new, by_r[t], out=s[units : 2 * units])
            np.multiply(d_new, r[t], out=d_inner)
            dh += recurrent @ s[: 3 * units]
        else:
            d_inner[...] = d_new
            d_reset = candidate @ d_new
            np.multiply(d_reset, by_r[t], out=s[units : 2 * units])
            d_reset *= r[t]
            dh += d_reset
            dh += open_weights @ s[: 2 * units]
    by_state = np.ascontiguousarray(slopes[:, : 3 * units].transpose(2, 0, 1))
    by_input = by_state.copy()
    by_input[:, :, 2 * units :] = slopes[:, 3 * units :].transpose(2, 0, 1)
    d_x, d_kernel, d_recurrent, d_bias = weight_gradients(x, before, by_input, kernel, by_x)
    flat = by_state.reshape(-1, 3 * units)
    if reset_after:
        d_recurrent = before.reshape(-1, units).T @ flat
        d_bias = np.stack([d_bias, flat.sum(0)])
    else:
        reset = (earlier * r).transpose(2, 0, 1).reshape(-1, units)
        d_recurrent[:, 2 * units :] = reset.T @ flat[:, 2 * units :]
    return d_x, np.ascontiguousarray(dh.T), d_kernel, d_recurrent, d_bias


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
                    reset_after: bool) -> tuple[TensorSpec, ...]:  # fmt: skip
    bias = (2, kernel.shape[1]) if reset_after else (kernel.shape[1],)
    shapes = (x.shape, d_h.shape, kernel.shape, recurrent.shape, bias)
    return tuple(TensorSpec(shape, x.dtype) for shape in shapes)


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


def _lower_gradient(emit: Emitter, *values: Value | None, reset_after: bool) -> tuple[Value, ...]:
    return lower_as_operations(emit, lambda *a: gru_backwards(*a, reset_after=reset_after), *values)


def _vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any, *, reset_after: bool) -> list[Tensor | None]:
    again = gru_training_primitive(*inputs, reset_after=reset_after)
    return _vjp_training(gradients, again, inputs, needed, reset_after=reset_after)


def _vjp_training(gradients: Any, outputs: Any, inputs: Any, needed: Any, *, reset_after: bool) -> list[Tensor | None]:
    if not needed[0] and (arrays := kernel_arrays((*gradients[:2], *inputs, outputs[0], outputs[2]))) is not None:
        results = _run_gradient(*arrays, reset_after=reset_after, by_x=False)
        found = [None if array is None else Tensor(array) for array in results]
        return [None if x is None else g for x, g in zip(inputs, [*found, None], strict=True)]
    found = gru_gradient_primitive(*gradients[:2], *inputs, outputs[0], outputs[2], reset_after=reset_after)
    return [None if x is None else g for x, g in zip(inputs, [*found, None], strict=True)]


def _vjp_gradient(gradients: Any, outputs: Any, inputs: Any, needed: Any, *, reset_after: bool) -> list[Tensor | None]:
    return vjp_of_gradient(_sequence(reset_after), 2, gradients, inputs)


gru_primitive = Primitive("gru", _run, _infer, _lower, joint_vjp=_vjp, residuals="inputs")
gru_training_primitive = Primitive(
    "gru_training", _run_training, _infer_training, _lower_training, joint_vjp=_vjp_training
)
gru_gradient_primitive = Primitive(
    "gru_gradient", _run_gradient, _infer_gradient, _lower_gradient, joint_vjp=_vjp_gradient, residuals="inputs"
)
