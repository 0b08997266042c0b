"""What the recurrent primitives share: shape rules, layouts, and the ONNX forms of states and weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.dims import agree
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.spec import TensorSpec, same_shape
from .blocks import BLOCK
from .matrix_pieces import matrix_product
from .memory import empty

__all__: list[str] = []

BOOL = np.dtype(bool)
INT64 = np.dtype(np.int64)


def check_inputs(
    x: TensorSpec, states: tuple[TensorSpec | None, ...], kernel: TensorSpec, recurrent: TensorSpec,
    bias: TensorSpec | None, mask: TensorSpec | None, gates: int, bias_shape: tuple[int, ...],
) -> int:  # fmt: skip
    """The number of units; raises `ShapeError` or `DtypeError` where the inputs do not fit each other."""
    if x.rank != 3:
        raise ShapeError(f"expected inputs of shape (batch, time, features), got {format_shape(x.shape)}")
    for name, spec in (("kernel", kernel), ("recurrent_kernel", recurrent), ("bias", bias), ("inputs", x)):
        if spec is not None and (spec.dtype != x.dtype or spec.dtype.kind != "f"):
            raise DtypeError(
                f"{name} is {spec.dtype.name}, inputs are {x.dtype.name}; expected one floating-point dtype"
            )
    units = recurrent.shape[0] if recurrent.rank == 2 else None
    if not isinstance(units, int) or recurrent.shape[1] != gates * units:
        raise ShapeError(
            f"expected a recurrent_kernel of shape (units, {gates} * units), got {format_shape(recurrent.shape)}"
        )
    if kernel.rank != 2 or not agree(kernel.shape[0], x.shape[2]) or kernel.shape[1] != gates * units:
        raise ShapeError(
            f"expected a kernel of shape ({x.shape[2]}, {gates * units}) for inputs {format_shape(x.shape)} and "
            f"{units} units, got {format_shape(kernel.shape)}"
        )
    wanted = (*bias_shape[:-1], bias_shape[-1] * units)
    if bias is not None and bias.shape != wanted:
        raise ShapeError(f"expected a bias of shape {format_shape(wanted)}, got {format_shape(bias.shape)}")
    for state in states:
        if state is not None and not same_shape(state.shape, (x.shape[0], units)):
            expected = format_shape((x.shape[0], units))
            raise ShapeError(f"expected an initial state of shape {expected}, got {format_shape(state.shape)}")
        if state is not None and state.dtype != x.dtype:
            raise DtypeError(f"expected an initial state of {x.dtype.name}, got {state.dtype.name}")
    if mask is not None and (not same_shape(mask.shape, x.shape[:2]) or mask.dtype != BOOL):
        expected = format_shape(x.shape[:2])
        raise ShapeError(
            f"expected a boolean mask of shape {expected}, got {mask.dtype.name} {format_shape(mask.shape)}"
        )
    return units


def in_single_precision(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that computes half precision in single precision: NumPy has no fast half-precision products."""

    def run(*arrays: np.ndarray | None, **attributes: Any) -> Any:
        first = next(a for a in arrays if a is not None and a.dtype.kind == "f")
        if first.dtype.itemsize >= 4:
            return kernel(*arrays, **attributes)
        wide = [a.astype(np.float32) if a is not None and a.dtype.kind == "f" else a for a in arrays]
        results = kernel(*wide, **attributes)
        return tuple(None if r is None else r.astype(first.dtype) for r in results)

    return run


def time_major(x: np.ndarray) -> np.ndarray:
    """(batch, time, features) as (time, features, batch), a view."""
    return x.transpose(1, 2, 0)


def batch_major(x: np.ndarray) -> np.ndarray:
    """(time, features, batch) as a contiguous (batch, time, features)."""
    return np.ascontiguousarray(x.transpose(2, 0, 1))


def mask_steps(mask: np.ndarray | None, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray] | None:
    """A mask (batch, time) as 0 and 1 of shape (time, 1, batch), and its complement."""
    if mask is None:
        return None
    kept = np.ascontiguousarray(mask.T[:, None, :]).astype(dtype)
    return kept, 1 - kept


def previous_states(sequence: np.ndarray, start: np.ndarray | None) -> np.ndarray:
    """The state before every step: (batch, time, units)."""
    before = np.empty_like(sequence)
    before[:, 1:] = sequence[:, :-1]
    before[:, :1] = 0 if start is None else start[:, None]
    return before


def steps_at_once(size: int) -> int:
    """Steps whose arrays of `size` elements stay in the cache from pass to pass."""
    return max(1, 2 * BLOCK // max(1, size))


def weight_gradients(
    x: np.ndarray, sequence: np.ndarray, start: np.ndarray | None, slopes: np.ndarray, kernel: np.ndarray | None
) -> tuple[Any, ...]:
    """Gradients of inputs (left out where kernel is None), kernel, recurrent kernel and bias, in one product.

    slopes: (gates, time * batch); sequence: the states after each step; start: the one before the first
    """
    batch, steps, features = x.shape
    units = sequence.shape[2]
    rows = empty((steps, batch, features + units + 1), x.dtype)
    rows[:, :, :features] = x.transpose(1, 0, 2)
    rows[1:, :, features:-1] = sequence[:, :-1].transpose(1, 0, 2)
    rows[:1, :, features:-1] = 0 if start is None else start
    rows[:, :, -1] = 1
    product = np.ascontiguousarray(matrix_product(slopes, rows.reshape(steps * batch, -1)).T)
    found = product[:features], product[features:-1], product[-1]
    if kernel is None:
        return found
    d_x = matrix_product(slopes.T, kernel.T).reshape(steps, batch, features)
    return np.ascontiguousarray(d_x.transpose(1, 0, 2)), *found


def emit_weight(emit: Emitter, weight: Value, order: tuple[int, ...]) -> Value:
    """A Keras kernel (inputs, gates * units) as ONNX's (1, gates * units, inputs), gates in ONNX's order."""
    turned = emit.transpose(weight, (1, 0))
    ordered = _reorder(emit, turned, order, axis=0)
    return emit.reshape(ordered, (1, *ordered.shape))


def emit_bias(emit: Emitter, bias: Value | None, order: tuple[int, ...]) -> Value | None:
    """A Keras bias, of the inputs alone or of inputs and states (2 rows), as ONNX's (1, 2 * gates * units)."""
    if bias is None:
        return None
    size: Any = bias.shape[-1]
    if bias.rank == 1:
        ordered = _reorder(emit, bias, order, axis=0)
        zeros = emit.constant(np.zeros(size, bias.dtype))
        both = emit("Concat", ordered, zeros, axis=0, spec=TensorSpec((2 * size,), bias.dtype))
    else:
        both = _reorder(emit, bias, order, axis=1)
    return emit.reshape(both, (1, 2 * size))


def _reorder(emit: Emitter, value: Value, order: tuple[int, ...], axis: int) -> Value:
    if order == tuple(range(len(order))):
        return value
    units: Any = value.shape[axis] // len(order)
    index = np.concatenate([np.arange(units) + gate * units for gate in order])
    return emit("Gather", value, emit.constant(index.astype(np.int64)), axis=axis)


def emit_state(emit: Emitter, state: Value | None) -> Value | None:
    """A state (batch, units) as ONNX's (1, batch, units)."""
    return None if state is None else emit.reshape(state, (1, *state.shape))


def emit_recurrent(
    emit: Emitter, operator: str, x: Value, weights: tuple[Value | None, ...], states: tuple[Value | None, ...],
    units: int, **attributes: Any,
) -> tuple[Value, ...]:  # fmt: skip
    """One LSTM, GRU or RNN: the sequence (batch, time, units) and the last states (batch, units)."""
    batch, steps, _ = x.shape
    last = TensorSpec((1, batch, units), x.dtype)
    specs = (TensorSpec((steps, 1, batch, units), x.dtype), *[last] * len(states))
    start = [emit_state(emit, s) for s in states]
    inputs = [emit.transpose(x, (1, 0, 2)), *weights, None, *start]
    whole, *ends = emit.many(operator, *inputs, hidden_size=units, specs=specs, **attributes)
    sequence = emit.transpose(emit.reshape(whole, (steps, batch, units)), (1, 0, 2))
    return sequence, *[emit.reshape(end, (batch, units)) for end in ends]
