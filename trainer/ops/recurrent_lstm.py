"""LSTM over a whole sequence: kernels, primitives and their ONNX forms (Hochreiter and Schmidhuber 1997).

Inside, arrays are feature-major, (features, batch), so that a gate is a contiguous block of rows; gates stand in the
order o, i, f, g. One product and one exp a step: tanh(z) = 2 / (1 + exp(-2 z)) - 1, the factors sit in the weights.
NumPy's exp takes half the time of its tanh.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.emitter import Emitter, Value
from ..core.operators import FUNCTIONS
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .memory import empty
from .recurrent_rules import (
    batch_major,
    check_inputs,
    emit_bias,
    emit_recurrent,
    emit_weight,
    in_single_precision,
    mask_steps,
    steps_at_once,
    time_major,
    weight_gradients,
)
from .recurrent_steps import lower_as_operations, lstm_backwards, lstm_sequence, lstm_steps

__all__: list[str] = []

ONNX_ORDER = (0, 3, 1, 2)  # i, o, f, c of Keras's i, f, c, o


def stacked_weights(kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """All weights as one matrix that is applied to [x; 1; h]: rows o, i, f (negative) and g (twice that)."""
    features, units = kernel.shape[0], recurrent.shape[0]
    weights = np.empty((4 * units, features + 1 + units), kernel.dtype)
    for rows, columns in ((slice(0, units), slice(3 * units, None)), (slice(units, None), slice(0, 3 * units))):
        weights[rows, :features] = kernel[:, columns].T
        weights[rows, features] = 0 if bias is None else bias[columns]
        weights[rows, features + 1 :] = recurrent[:, columns].T
    weights[: 3 * units] *= -1
    weights[3 * units :] *= -2
    return weights


@np.errstate(over="ignore")
def _forward(
    x: np.ndarray, h: np.ndarray | None, c: np.ndarray | None, kernel: np.ndarray, recurrent: np.ndarray,
    bias: np.ndarray | None, mask: np.ndarray | None, keep: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Sequence (batch, time, units), gates (time, 4 * units, batch), the cells before the first step and after each
    (time + 1, units, batch), and those after each squashed (time, units, batch)."""
    batch, steps, features = x.shape
    units, dtype = recurrent.shape[0], x.dtype
    weights = stacked_weights(kernel, recurrent, bias)
    stack = empty((steps + 1, features + 1 + units, batch), dtype)
    stack[:steps, :features] = time_major(x)
    stack[:, features] = 1
    states = stack[:, features + 1 :]
    states[0] = 0 if h is None else h.T
    # for inference two places suffice for the cells and one for the rest
    gates = empty((steps if keep else 1, 4 * units, batch), dtype)
    cells = empty((steps + 1 if keep else 2, units, batch), dtype)
    squashed = empty((steps if keep else 1, units, batch), dtype)
    cells[0] = 0 if c is None else c.T
    masked, scratch = mask_steps(mask, dtype), np.empty((units, batch), dtype)
    for t in range(steps):
        z, before, after = gates[t if keep else 0], cells[t if keep else t % 2], cells[t + 1 if keep else (t + 1) % 2]
        np.matmul(weights, stack[t], out=z)
        np.exp(z, out=z)  # infinite where the gate is 0
        z += 1
        np.reciprocal(z, out=z)
        new = z[3 * units :]
        new *= 2
        new -= 1
        np.multiply(z[2 * units : 3 * units], before, out=after)
        np.multiply(z[units : 2 * units], z[3 * units :], out=scratch)
        after += scratch
        bent = np.tanh(after, out=squashed[t if keep else 0])
        np.multiply(z[:units], bent, out=states[t + 1])
        if masked is not None:
            kept, held = masked[0][t], masked[1][t]
            after *= kept
            after += before * held
            states[t + 1] *= kept
            states[t + 1] += states[t] * held
    return batch_major(states[1:]), gates, cells if keep else cells[steps % 2 : steps % 2 + 1], squashed


def last_state(sequence: np.ndarray, start: np.ndarray | None) -> np.ndarray:
    """The state after the last step; the first one where there are no steps."""
    if sequence.shape[1]:
        return sequence[:, -1].copy()
    return np.zeros_like(sequence, shape=(sequence.shape[0], sequence.shape[2])) if start is None else start


@in_single_precision
def _run(x: Any, h: Any, c: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any) -> tuple[np.ndarray, ...]:
    sequence, _, cells, _ = _forward(x, h, c, kernel, recurrent, bias, mask, keep=False)
    return sequence, last_state(sequence, h), cells[-1].T.copy()


@in_single_precision
def _run_training(x: Any, h: Any, c: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any) -> tuple[np.ndarray, ...]:
    sequence, gates, cells, squashed = _forward(x, h, c, kernel, recurrent, bias, mask, keep=True)
    return sequence, last_state(sequence, h), cells[-1].T.copy(), gates, cells, squashed


@in_single_precision
def _run_gradient(
    d_sequence: Any, d_h: Any, d_c: Any, x: np.ndarray, h: Any, c: Any, kernel: np.ndarray, recurrent: np.ndarray,
    bias: Any, mask: Any, sequence: np.ndarray, gates: np.ndarray, cells: np.ndarray, squashed: np.ndarray, *,
    by_x: bool = True,
) -> tuple[Any, ...]:  # fmt: skip
    """Some steps at a time, which stay in the cache: all their derivatives, then what depends on the step after."""
    steps, width, batch = gates.shape
    units = width // 4
    turned = _output_first(recurrent)
    incoming = None if d_sequence is None else np.ascontiguousarray(time_major(d_sequence))
    dh, dc = (np.zeros((units, batch), x.dtype) if d is None else np.array(d.T, order="C") for d in (d_h, d_c))
    flat = empty((width, steps, batch), x.dtype)
    masked, count = mask_steps(mask, x.dtype), steps_at_once(width * batch)
    slopes, through = (np.empty((min(count, steps), n, batch), x.dtype) for n in (width, units))
    for first in range((steps - 1) // count * count, -1, -count):
        part = slice(first, min(first + count, steps))
        size = part.stop - first
        _derivatives(gates[part], cells[part], squashed[part], slopes[:size], through[:size])
        forget = gates[part, 2 * units : 3 * units]
        if masked is not None:
            slopes[:size] *= masked[0][part]
            through[:size] *= masked[0][part]
            forget = forget * masked[0][part] + masked[1][part]
        held = None if masked is None else masked[1][part]
        arriving = None if incoming is None else incoming[part]
        dh, dc = _step_back(slopes[:size], through, forget, turned, arriving, held, dh, dc)
        flat[:, part] = slopes[:size].transpose(1, 0, 2)
    found = weight_gradients(x, sequence, h, flat.reshape(width, -1), _output_first(kernel) if by_x else None)
    return *found[:-3], np.ascontiguousarray(dh.T), np.ascontiguousarray(dc.T), *[_output_last(d) for d in found[-3:]]


def _output_first(weights: np.ndarray) -> np.ndarray:
    """Columns i, f, g, o as the kernels have gates: o, i, f, g."""
    units = weights.shape[-1] // 4
    return np.concatenate([weights[..., 3 * units :], weights[..., : 3 * units]], axis=-1)


def _output_last(gradient: np.ndarray) -> np.ndarray:
    """Columns o, i, f, g in Keras's order."""
    units = gradient.shape[-1] // 4
    return np.concatenate([gradient[..., units:], gradient[..., :units]], axis=-1)


def _derivatives(
    gates: np.ndarray, before: np.ndarray, squashed: np.ndarray, slopes: np.ndarray, through: np.ndarray
) -> None:
    """Of steps: slopes of o by h and of i, f, g by c; through, of h by c."""
    units = through.shape[1]
    o, i, f, g = (slice(k * units, (k + 1) * units) for k in range(4))
    np.multiply(squashed, squashed, out=through)
    np.subtract(1, through, out=through)
    through *= gates[:, o]
    sigmoids = slopes[:, : 3 * units]
    np.subtract(1, gates[:, : 3 * units], out=sigmoids)
    sigmoids *= gates[:, : 3 * units]
    slopes[:, o] *= squashed
    slopes[:, i] *= gates[:, g]
    slopes[:, f] *= before
    last = slopes[:, g]
    np.multiply(gates[:, g], gates[:, g], out=last)
    np.subtract(1, last, out=last)
    last *= gates[:, i]


def _step_back(
    slopes: np.ndarray, through: np.ndarray, forget: np.ndarray, turned: np.ndarray, incoming: np.ndarray | None,
    held: np.ndarray | None, dh: np.ndarray, dc: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Steps from the last to the first: slopes become gradients of the gates; those of h and c before the first."""
    units, batch = dh.shape
    back, scratch = np.empty_like(dh), np.empty_like(dh)
    for t in range(len(slopes) - 1, -1, -1):
        if incoming is not None:
            dh += incoming[t]
        np.multiply(dh, through[t], out=scratch)
        dc += scratch
        slope = slopes[t]
        outer, inner = slope[:units], slope[units:].reshape(3, units, batch)
        outer *= dh
        inner *= dc
        dc *= forget[t]
        np.matmul(turned, slope, out=back)
        if held is not None:
            dh *= held[t]
            back += dh
        dh, back = back, dh
    return dh, dc


def _infer(x: Any, h: Any, c: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any) -> tuple[TensorSpec, ...]:
    units = check_inputs(x, (h, c), kernel, recurrent, bias, mask, 4, (4,))
    state = TensorSpec((x.shape[0], units), x.dtype)
    return TensorSpec((*x.shape[:2], units), x.dtype), state, state


def _infer_training(x: TensorSpec, *rest: Any) -> tuple[TensorSpec, ...]:
    outputs = _infer(x, *rest)
    (batch, steps, _), units = x.shape, outputs[1].shape[1]
    kept = (steps, 4 * units, batch), (steps + 1, units, batch), (steps, units, batch)
    return (*outputs, *[TensorSpec(shape, x.dtype) for shape in kept])


def _infer_gradient(d_sequence: Any, d_h: Any, d_c: Any, x: Any, h: Any, c: Any, kernel: Any, recurrent: Any,
                    *rest: Any, by_x: bool) -> tuple[TensorSpec, ...]:  # fmt: skip
    state = (x.shape[0], recurrent.shape[0])
    shapes = (x.shape, state, state, kernel.shape, recurrent.shape, (kernel.shape[1],))
    return tuple(TensorSpec(shape, x.dtype) for shape in shapes[not by_x :])


def _lower(
    emit: Emitter, x: Value, h: Value | None, c: Value | None, kernel: Value, recurrent: Value, bias: Value | None,
    mask: Value | None,
) -> tuple[Value, ...]:  # fmt: skip
    if mask is not None:
        # LSTM's sequence_lens holds only for masks that end a sequence; a mask may have gaps
        return lower_as_operations(emit, lstm_sequence, x, h, c, kernel, recurrent, bias, mask)
    weights = (emit_weight(emit, kernel, ONNX_ORDER), emit_weight(emit, recurrent, ONNX_ORDER))
    biases = emit_bias(emit, bias, ONNX_ORDER)
    units: Any = recurrent.shape[0]
    return emit_recurrent(emit, "LSTM", x, (*weights, biases), (h, c), units)


def _lower_training(emit: Emitter, *values: Value | None) -> tuple[Value, ...]:
    return lower_as_operations(emit, lstm_steps, *values)


def _lower_gradient(emit: Emitter, *values: Value | None, by_x: bool) -> tuple[Value, ...]:
    return lower_as_operations(emit, lambda *a: lstm_backwards(*a)[not by_x :], *values)


def _vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any) -> list[Tensor | None]:
    return _vjp_training(gradients, lstm_training_primitive(*inputs), inputs, needed)


def _vjp_training(gradients: Any, outputs: Any, inputs: Any, needed: Any) -> list[Tensor | None]:
    found = lstm_gradient_primitive(*gradients[:3], *inputs, outputs[0], *outputs[3:], by_x=needed[0])
    return gradients_of_inputs(inputs, found, needed[0])


def gradients_of_inputs(inputs: Any, found: Any, by_x: bool) -> list[Tensor | None]:
    """What a gradient primitive has found, in the places of the layer's inputs; the last, the mask, has none."""
    each = [*found, None] if by_x else [None, *found, None]
    return [None if x is None else g for x, g in zip(inputs, each, strict=True)]


def _vjp_gradient(
    gradients: Sequence[Tensor], outputs: Any, inputs: Any, needed: Any, *, by_x: bool
) -> list[Tensor | None]:
    """Second order: the gradient as operations of gradients and inputs; what was kept forwards follows from them."""
    return vjp_of_gradient(lstm_sequence, 3, gradients, inputs, by_x)


def vjp_of_gradient(
    sequence: Any, results: int, gradients: Sequence[Tensor], inputs: Sequence[Tensor | None], by_x: bool
) -> list[Tensor | None]:
    """Gradients of the inputs of a gradient primitive: gradients of results, the layer's inputs, what was kept."""
    cotangents = [*gradients] if by_x else [None, *gradients]
    own = list(inputs[: results + len(cotangents) + 1])
    present = [k for k, x in enumerate(own) if x is not None and x.dtype.kind == "f"]
    sources = [k - results for k in present if k >= results]

    def gradient(*tensors: Tensor) -> list[Tensor]:
        given = dict(zip(present, tensors, strict=True))
        arguments = [given.get(k, own[k]) for k in range(results, len(own))]

        def forwards(*chosen: Tensor) -> Any:
            replaced = dict(zip(sources, chosen, strict=True))
            return sequence(*[replaced.get(k, x) for k, x in enumerate(arguments)])

        chosen = [arguments[k] for k in sources]
        return FUNCTIONS["function_vjp"](forwards, chosen, [given.get(k) for k in range(results)], range(len(chosen)))

    tensors = [own[k] for k in present]
    found = FUNCTIONS["function_vjp"](gradient, tensors, [cotangents[k] for k in sources], range(len(tensors)))
    answer: list[Tensor | None] = [None] * len(inputs)
    for k, g in zip(present, found, strict=True):
        answer[k] = g
    return answer


TAGS = {"takes_missing_gradients": True}
"""Of the sequence and the last states, most models use one."""

lstm_primitive = Primitive("lstm", _run, _infer, _lower, joint_vjp=_vjp, residuals="inputs", tags=TAGS)
lstm_training_primitive = Primitive(
    "lstm_training", _run_training, _infer_training, _lower_training, joint_vjp=_vjp_training, tags=TAGS
)
lstm_gradient_primitive = Primitive(
    "lstm_gradient", _run_gradient, _infer_gradient, _lower_gradient, joint_vjp=_vjp_gradient, residuals="inputs"
)
