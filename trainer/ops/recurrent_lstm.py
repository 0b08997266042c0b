"""LSTM over a whole sequence: kernels, primitives and their ONNX forms (Hochreiter and Schmidhuber 1997).

Inside, arrays are feature-major, (features, batch), so that a gate is a contiguous block of rows; gates stand in the
order o, i, f, g. One product and one tanh a step: sigmoid(z) = tanh(z / 2) / 2 + 1 / 2, the half sits in the weights.
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
from .recurrent_steps import lower_as_operations, lstm_backwards, lstm_sequence, lstm_steps

__all__: list[str] = []

ONNX_ORDER = (0, 3, 1, 2)  # i, o, f, c of Keras's i, f, c, o


def stacked_weights(kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """All weights as one matrix that is applied to [x; 1; h]: rows o, i, f (halved) and g."""
    features, units = kernel.shape[0], recurrent.shape[0]
    weights = np.empty((4 * units, features + 1 + units), kernel.dtype)
    for rows, columns in ((slice(0, units), slice(3 * units, None)), (slice(units, None), slice(0, 3 * units))):
        weights[rows, :features] = kernel[:, columns].T
        weights[rows, features] = 0 if bias is None else bias[columns]
        weights[rows, features + 1 :] = recurrent[:, columns].T
    weights[: 3 * units] *= 0.5
    return weights


def _forward(
    x: np.ndarray, h: np.ndarray | None, c: np.ndarray | None, kernel: np.ndarray, recurrent: np.ndarray,
    bias: np.ndarray | None, mask: np.ndarray | None, keep: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Sequence (batch, time, units), gates (time, 4 * units, batch) and cells (time + 1, units, batch)."""
    batch, steps, features = x.shape
    units, dtype = recurrent.shape[0], x.dtype
    weights = stacked_weights(kernel, recurrent, bias)
    stack = np.empty((steps + 1, features + 1 + units, batch), dtype)
    stack[:steps, :features] = time_major(x)
    stack[:, features] = 1
    states = stack[:, features + 1 :]
    states[0] = 0 if h is None else h.T
    # for inference two places suffice for the cells and one for the gates
    gates = np.empty((steps if keep else 1, 4 * units, batch), dtype)
    cells = np.empty((steps + 1 if keep else 2, units, batch), dtype)
    cells[0] = 0 if c is None else c.T
    masked, scratch = mask_steps(mask, dtype), np.empty((units, batch), dtype)
    for t in range(steps):
        z, before, after = gates[t if keep else 0], cells[t if keep else t % 2], cells[t + 1 if keep else (t + 1) % 2]
        np.matmul(weights, stack[t], out=z)
        np.tanh(z, out=z)
        sigmoids = z[: 3 * units]
        sigmoids *= 0.5
        sigmoids += 0.5
        np.multiply(z[2 * units : 3 * units], before, out=after)
        np.multiply(z[units : 2 * units], z[3 * units :], out=scratch)
        after += scratch
        np.tanh(after, out=scratch)
        np.multiply(z[:units], scratch, out=states[t + 1])
        if masked is not None:
            kept, held = masked[0][t], masked[1][t]
            after *= kept
            after += before * held
            states[t + 1] *= kept
            states[t + 1] += states[t] * held
    return batch_major(states[1:]), gates, cells if keep else cells[steps % 2 : steps % 2 + 1]


def last_state(sequence: np.ndarray, start: np.ndarray | None) -> np.ndarray:
    """The state after the last step; the first one where there are no steps."""
    if sequence.shape[1]:
        return sequence[:, -1].copy()
    return np.zeros_like(sequence, shape=(sequence.shape[0], sequence.shape[2])) if start is None else start


@in_single_precision
def _run(x: Any, h: Any, c: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any) -> tuple[np.ndarray, ...]:
    sequence, _, cells = _forward(x, h, c, kernel, recurrent, bias, mask, keep=False)
    return sequence, last_state(sequence, h), cells[-1].T.copy()


@in_single_precision
def _run_training(x: Any, h: Any, c: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any) -> tuple[np.ndarray, ...]:
    sequence, gates, cells = _forward(x, h, c, kernel, recurrent, bias, mask, keep=True)
    return sequence, last_state(sequence, h), cells[-1].T.copy(), gates, cells


@in_single_precision
def _run_gradient(
    d_sequence: np.ndarray, d_h: np.ndarray, d_c: np.ndarray, x: np.ndarray, h: Any, c: Any, kernel: np.ndarray,
    recurrent: np.ndarray, bias: Any, mask: Any, sequence: np.ndarray, gates: np.ndarray, cells: np.ndarray,
    by_x: bool = True,
) -> tuple[Any, ...]:  # fmt: skip
    """All derivatives of gates and cells at once, then what depends on the step after, then the weights at once."""
    batch, steps, _ = x.shape
    units, dtype = recurrent.shape[0], x.dtype
    o, i, f, g = (gates[:, k * units : (k + 1) * units] for k in range(4))
    slopes = np.empty_like(gates)  # of o by h; of i, f, g by c
    squashed = np.tanh(cells[1:])
    through = 1 - squashed * squashed  # of h by c
    through *= o
    np.multiply(gates[:, : 3 * units], 1 - gates[:, : 3 * units], out=slopes[:, : 3 * units])
    slopes[:, :units] *= squashed
    slopes[:, units : 2 * units] *= g
    slopes[:, 2 * units : 3 * units] *= cells[:-1]
    np.multiply(g, g, out=slopes[:, 3 * units :])
    np.subtract(1, slopes[:, 3 * units :], out=slopes[:, 3 * units :])
    slopes[:, 3 * units :] *= i
    masked = mask_steps(mask, dtype)
    if masked is not None:
        slopes *= masked[0]
        through *= masked[0]
        f = f * masked[0] + masked[1]
    turned = np.concatenate([recurrent[:, 3 * units :], recurrent[:, : 3 * units]], axis=1)
    incoming = np.ascontiguousarray(time_major(d_sequence))
    dh, dc = np.ascontiguousarray(d_h.T), np.array(d_c.T, order="C")
    scratch = np.empty_like(dc)
    for t in range(steps - 1, -1, -1):
        dh = dh + incoming[t]
        np.multiply(dh, through[t], out=scratch)
        dc += scratch
        slope = slopes[t]
        slope[:units] *= dh
        inner = slope[units:].reshape(3, units, batch)
        inner *= dc
        dc *= f[t]
        held = dh * masked[1][t] if masked is not None else None
        dh = turned @ slope
        if held is not None:
            dh += held
    flat = np.empty((batch, steps, 4 * units), dtype)
    flat[:, :, : 3 * units] = slopes[:, units:].transpose(2, 0, 1)
    flat[:, :, 3 * units :] = slopes[:, :units].transpose(2, 0, 1)
    found = weight_gradients(x, previous_states(sequence, h), flat, kernel, by_x)
    return found[0], np.ascontiguousarray(dh.T), np.ascontiguousarray(dc.T), *found[1:]


def _infer(x: Any, h: Any, c: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any) -> tuple[TensorSpec, ...]:
    units = check_inputs(x, (h, c), kernel, recurrent, bias, mask, 4, (4,))
    state = TensorSpec((x.shape[0], units), x.dtype)
    return TensorSpec((*x.shape[:2], units), x.dtype), state, state


def _infer_training(x: TensorSpec, *rest: Any) -> tuple[TensorSpec, ...]:
    outputs = _infer(x, *rest)
    (batch, steps, _), units = x.shape, outputs[1].shape[1]
    gates, cells = (steps, 4 * units, batch), (steps + 1, units, batch)
    return (*outputs, TensorSpec(gates, x.dtype), TensorSpec(cells, x.dtype))


def _infer_gradient(d_sequence: Any, d_h: Any, d_c: Any, x: Any, h: Any, c: Any, kernel: Any, recurrent: Any,
                    *rest: Any) -> tuple[TensorSpec, ...]:  # fmt: skip
    shapes = (x.shape, d_h.shape, d_h.shape, kernel.shape, recurrent.shape, (kernel.shape[1],))
    return tuple(TensorSpec(shape, x.dtype) for shape in shapes)


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


def _lower_gradient(emit: Emitter, *values: Value | None) -> tuple[Value, ...]:
    return lower_as_operations(emit, lstm_backwards, *values)


def _vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any) -> list[Tensor | None]:
    return _vjp_training(gradients, lstm_training_primitive(*inputs), inputs, needed)


def _vjp_training(gradients: Any, outputs: Any, inputs: Any, needed: Any) -> list[Tensor | None]:
    sequence, _, _, gates, cells = outputs
    if not needed[0] and (arrays := kernel_arrays((*gradients[:3], *inputs, sequence, gates, cells))) is not None:
        found = [None if array is None else Tensor(array) for array in _run_gradient(*arrays, by_x=False)]
        return [None if x is None else g for x, g in zip(inputs, [*found, None], strict=True)]
    found = lstm_gradient_primitive(*gradients[:3], *inputs, sequence, gates, cells)
    return [None if x is None else g for x, g in zip(inputs, [*found, None], strict=True)]


def _vjp_gradient(gradients: Sequence[Tensor], outputs: Any, inputs: Any, needed: Any) -> list[Tensor | None]:
    """Second order: the gradient as operations of gradients and inputs; what was kept forwards follows from them."""
    return vjp_of_gradient(lstm_sequence, 3, gradients, inputs)


def vjp_of_gradient(
    sequence: Any, results: int, gradients: Sequence[Tensor], inputs: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """Gradients of the inputs of a gradient primitive: gradients of results, the layer's inputs, what was kept."""
    own = list(inputs[: results + len(gradients) + 1])
    present = [k for k, x in enumerate(own) if x is not None and x.dtype.kind == "f"]
    sources = [k - results for k in present if k >= results]

    def gradient(*tensors: Tensor) -> list[Tensor]:
        given = dict(zip(present, tensors, strict=True))
        arguments = [given.get(k, own[k]) for k in range(results, len(own))]

        def forwards(*chosen: Tensor) -> Any:
            replaced = dict(zip(sources, chosen, strict=True))
            return sequence(*[replaced.get(k, x) for k, x in enumerate(arguments)])

        chosen = [arguments[k] for k in sources]
        cotangents = [given[k] for k in range(results)]
        return FUNCTIONS["function_vjp"](forwards, chosen, cotangents, range(len(chosen)))

    tensors = [own[k] for k in present]
    found = FUNCTIONS["function_vjp"](gradient, tensors, [gradients[k] for k in sources], range(len(tensors)))
    answer: list[Tensor | None] = [None] * len(inputs)
    for k, g in zip(present, found, strict=True):
        answer[k] = g
    return answer


lstm_primitive = Primitive("lstm", _run, _infer, _lower, joint_vjp=_vjp, residuals="inputs")
lstm_training_primitive = Primitive(
    "lstm_training", _run_training, _infer_training, _lower_training, joint_vjp=_vjp_training
)
lstm_gradient_primitive = Primitive(
    "lstm_gradient", _run_gradient, _infer_gradient, _lower_gradient, joint_vjp=_vjp_gradient, residuals="inputs"
)
