"""The simple recurrent layer over a whole sequence: kernels, primitives and their ONNX forms (Elman 1990)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.emitter import Emitter, Value
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .recurrent_lstm import TAGS, gradients_of_inputs, last_state, vjp_of_gradient
from .recurrent_rules import (
    batch_major,
    check_inputs,
    emit_bias,
    emit_recurrent,
    emit_weight,
    in_single_precision,
    mask_steps,
    time_major,
    weight_gradients,
)
from .recurrent_steps import SIMPLE_ACTIVATIONS as OPERATIONS
from .recurrent_steps import lower_as_operations, simple_rnn_backwards, simple_rnn_steps

__all__: list[str] = []


def _squash(z: np.ndarray, activation: str) -> None:
    if activation == "tanh":
        np.tanh(z, out=z)
    elif activation == "relu":
        np.maximum(z, 0, out=z)
    else:
        z *= 0.5
        np.tanh(z, out=z)
        z *= 0.5
        z += 0.5


def _slope(out: np.ndarray, activation: str) -> np.ndarray:
    """The derivative of the activation, from its result."""
    if activation == "tanh":
        return 1 - out * out
    return (out > 0).astype(out.dtype) if activation == "relu" else out * (1 - out)


@in_single_precision
def _run(
    x: Any, h: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any, *, activation: str
) -> tuple[np.ndarray, ...]:
    batch, steps, features = x.shape
    units, dtype = recurrent.shape[0], x.dtype
    weights = np.empty((units, features + 1 + units), dtype)
    weights[:, :features], weights[:, features + 1 :] = kernel.T, recurrent.T
    weights[:, features] = 0 if bias is None else bias
    stack = np.empty((steps + 1, features + 1 + units, batch), dtype)
    stack[:steps, :features] = time_major(x)
    stack[:, features] = 1
    states = stack[:, features + 1 :]
    states[0] = 0 if h is None else h.T
    masked = mask_steps(mask, dtype)
    for t in range(steps):
        after = states[t + 1]
        np.matmul(weights, stack[t], out=after)
        _squash(after, activation)
        if masked is not None:
            after *= masked[0][t]
            after += states[t] * masked[1][t]
    sequence = batch_major(states[1:])
    return sequence, last_state(sequence, h)


@in_single_precision
def _run_gradient(
    d_sequence: Any, d_h: Any, x: np.ndarray, h: Any, kernel: np.ndarray, recurrent: np.ndarray, bias: Any, mask: Any,
    sequence: np.ndarray, *, activation: str, by_x: bool = True,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    slopes = np.ascontiguousarray(time_major(_slope(sequence, activation)))
    masked = mask_steps(mask, x.dtype)
    if masked is not None:
        slopes *= masked[0]
    incoming = None if d_sequence is None else np.ascontiguousarray(time_major(d_sequence))
    dh = np.zeros(recurrent.shape[:1] + x.shape[:1], x.dtype) if d_h is None else np.array(d_h.T, order="C")
    back = np.empty_like(dh)
    for t in range(x.shape[1] - 1, -1, -1):
        if incoming is not None:
            dh += incoming[t]
        slopes[t] *= dh
        np.matmul(recurrent, slopes[t], out=back)
        if masked is not None:
            dh *= masked[1][t]
            back += dh
        dh, back = back, dh
    flat = slopes.transpose(1, 0, 2).reshape(len(dh), -1)
    found = weight_gradients(x, sequence, h, flat, kernel if by_x else None)
    return *found[:-3], np.ascontiguousarray(dh.T), *found[-3:]


def _infer(
    x: Any, h: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any, *, activation: str
) -> tuple[TensorSpec, ...]:
    units = check_inputs(x, (h,), kernel, recurrent, bias, mask, 1, (1,))
    return TensorSpec((*x.shape[:2], units), x.dtype), TensorSpec((x.shape[0], units), x.dtype)


def _infer_gradient(d_sequence: Any, d_h: Any, x: Any, h: Any, kernel: Any, recurrent: Any, *rest: Any,
                    activation: str, by_x: bool) -> tuple[TensorSpec, ...]:  # fmt: skip
    shapes = (x.shape, (x.shape[0], recurrent.shape[0]), kernel.shape, recurrent.shape, (kernel.shape[1],))
    return tuple(TensorSpec(shape, x.dtype) for shape in shapes[not by_x :])


def _lower(
    emit: Emitter, x: Value, h: Value | None, kernel: Value, recurrent: Value, bias: Value | None, mask: Value | None,
    *, activation: str,
) -> tuple[Value, ...]:  # fmt: skip
    if mask is not None:
        return lower_as_operations(emit, _sequence(activation), x, h, kernel, recurrent, bias, mask)
    weights = (emit_weight(emit, kernel, (0,)), emit_weight(emit, recurrent, (0,)), emit_bias(emit, bias, (0,)))
    units: Any = recurrent.shape[0]
    return emit_recurrent(emit, "RNN", x, weights, (h,), units, activations=[activation.capitalize()])


def _sequence(activation: str) -> Any:
    return lambda *arguments: simple_rnn_steps(*arguments, activation=OPERATIONS[activation])


def _lower_gradient(emit: Emitter, *values: Value | None, activation: str, by_x: bool) -> tuple[Value, ...]:
    return lower_as_operations(emit, lambda *a: simple_rnn_backwards(*a, activation=activation)[not by_x :], *values)


def _vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any, *, activation: str) -> list[Tensor | None]:
    found = simple_rnn_gradient_primitive(*gradients, *inputs, outputs[0], activation=activation, by_x=needed[0])
    return gradients_of_inputs(inputs, found, needed[0])


def _vjp_gradient(
    gradients: Any, outputs: Any, inputs: Any, needed: Any, *, activation: str, by_x: bool
) -> list[Tensor | None]:
    return vjp_of_gradient(_sequence(activation), 2, gradients, inputs, by_x)


simple_rnn_primitive = Primitive("simple_rnn", _run, _infer, _lower, joint_vjp=_vjp, tags=TAGS)
simple_rnn_gradient_primitive = Primitive(
    "simple_rnn_gradient", _run_gradient, _infer_gradient, _lower_gradient, joint_vjp=_vjp_gradient, residuals="inputs"
)
