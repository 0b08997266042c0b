"""Recurrent layers over whole sequences (Keras's backend names: `lstm`, `gru`, `rnn`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive, with_operation
from ..core.spec import TensorSpec
from ..core.state import state
from ..core.tensor import Tensor
from ..core.variable import Variable
from .activation import sigmoid
from .convert import cast, convert_to_tensor
from .rectifier import relu
from .recurrent_gru import gru_primitive, gru_training_primitive
from .recurrent_lstm import lstm_primitive, lstm_training_primitive
from .recurrent_simple import simple_rnn_primitive
from .recurrent_steps import gru_steps, lstm_steps, simple_rnn_steps
from .trigonometry import tanh

__all__ = ["gru", "lstm", "simple_rnn"]

Activation = str | Callable[[Any], Any] | None
_KNOWN: dict[str, Callable[[Any], Any]] = {
    "tanh": tanh,
    "sigmoid": sigmoid,
    "relu": relu,
    "linear": lambda x: x,
}


def _activation(name: str, value: Activation) -> Callable[[Any], Any]:
    if value is None:
        return _KNOWN["linear"]
    if callable(value):
        return value
    if value not in _KNOWN:
        raise ValueError(f"{name}: expected a function or one of {', '.join(_KNOWN)} as activation, got {value!r}")
    return _KNOWN[value]


def _prepare(name: str, x: Any, mask: Any, go_backwards: bool) -> tuple[Any, Any]:
    """Inputs and mask in the order in which they are processed."""
    inputs = _tensor(x)
    if len(inputs.shape) != 3:
        raise ShapeError(f"{name}: expected inputs of shape (batch, time, features), got {format_shape(inputs.shape)}")
    kept = None if mask is None else cast(mask, bool)
    if go_backwards:
        inputs, kept = inputs[:, ::-1], None if kept is None else kept[:, ::-1]
    return inputs, kept


def _tensor(x: Any) -> Any:
    return x if x is None or isinstance(x, (Tensor, Variable)) else convert_to_tensor(x)


def _zero_masked(sequence: Tensor, mask: Any, zero: bool) -> Tensor:
    if mask is None or not zero:
        return sequence
    return sequence * cast(mask, sequence.dtype)[:, :, None]


def lstm(
    inputs: Any, initial_state_h: Any, initial_state_c: Any, mask: Any, kernel: Any, recurrent_kernel: Any, bias: Any,
    activation: Activation = "tanh", recurrent_activation: Activation = "sigmoid", go_backwards: bool = False,
    zero_output_for_mask: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Long short-term memory over (batch, time, features): the sequence (batch, time, units), and the last h and c.

    Gates in Keras's order i, f, c, o: kernel (features, 4 * units), recurrent kernel (units, 4 * units), bias
    (4 * units,) or None. Initial states (batch, units) or None: zeros. Where `mask` (batch, time) is False the states
    stay, and the output stays or is zero (`zero_output_for_mask`). `go_backwards` starts at the last step and returns
    outputs in the order of processing. Raises `ShapeError` where sizes do not fit. ONNX: LSTM; with a mask or other
    activations than tanh and sigmoid, Scan. Source: Hochreiter and Schmidhuber 1997.

    >>> import sardonyx as sx
    >>> one = sx.ops.ones
    >>> sequence, h, c = sx.ops.lstm(one((2, 5, 3)), None, None, None, one((3, 16)), one((4, 16)), None)
    >>> sequence.shape, h.shape
    ((2, 5, 4), (2, 4))
    """
    x, kept = _prepare("lstm", inputs, mask, go_backwards)
    squash, gate = _activation("lstm", activation), _activation("lstm", recurrent_activation)
    arguments = [x, *[_tensor(v) for v in (initial_state_h, initial_state_c, kernel, recurrent_kernel, bias)], kept]
    _check(lstm_primitive, arguments)
    if squash is tanh and gate is sigmoid:
        # with a tape open, what the gradient needs is kept; the file of a model without one holds a plain LSTM
        sequence, h, c = (lstm_training_primitive if state.tapes else lstm_primitive)(*arguments)[:3]
    else:
        sequence, h, c = lstm_steps(*arguments, activation=squash, recurrent_activation=gate)[:3]
    return _zero_masked(sequence, kept, zero_output_for_mask), h, c


def _check(primitive: Primitive, arguments: list[Any], **attributes: Any) -> None:
    """Raises what does not fit: kernels broadcast, and would take a bias or a mask of a wrong shape."""
    specs = [None if v is None else TensorSpec(v.shape, v.dtype) for v in arguments]
    try:
        primitive.infer(*specs, **attributes)
    except (ShapeError, DtypeError) as error:
        raise with_operation(error, primitive, specs) from None


def gru(
    inputs: Any, initial_state: Any, mask: Any, kernel: Any, recurrent_kernel: Any, bias: Any,
    activation: Activation = "tanh", recurrent_activation: Activation = "sigmoid", go_backwards: bool = False,
    reset_after: bool = True, zero_output_for_mask: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Gated recurrent unit over (batch, time, features): the sequence (batch, time, units) and the last state.

    Gates in Keras's order z, r, h: kernel (features, 3 * units), recurrent kernel (units, 3 * units); bias
    (2, 3 * units) with `reset_after` (one for inputs, one for states), else (3 * units,), or None. The rest as in
    `lstm`. ONNX: GRU or Scan. Source: Cho et al. 2014.
    """
    x, kept = _prepare("gru", inputs, mask, go_backwards)
    squash, gate = _activation("gru", activation), _activation("gru", recurrent_activation)
    arguments = [x, *[_tensor(v) for v in (initial_state, kernel, recurrent_kernel, bias)], kept]
    _check(gru_primitive, arguments, reset_after=reset_after)
    if squash is tanh and gate is sigmoid:
        primitive = gru_training_primitive if state.tapes else gru_primitive
        sequence, h = primitive(*arguments, reset_after=reset_after)[:2]
    else:
        sequence, h = gru_steps(
            *arguments, reset_after=reset_after, activation=squash, recurrent_activation=gate
        )[:2]  # fmt: skip
    return _zero_masked(sequence, kept, zero_output_for_mask), h


def simple_rnn(
    inputs: Any, initial_state: Any, mask: Any, kernel: Any, recurrent_kernel: Any, bias: Any,
    activation: Activation = "tanh", go_backwards: bool = False, zero_output_for_mask: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Fully connected recurrence over (batch, time, features): the sequence (batch, time, units) and the last state.

    kernel (features, units), recurrent kernel (units, units), bias (units,) or None. The rest as in `lstm`.
    ONNX: RNN or Scan. Source: Elman 1990.
    """
    x, kept = _prepare("simple_rnn", inputs, mask, go_backwards)
    squash = _activation("simple_rnn", activation)
    arguments = [x, *[_tensor(v) for v in (initial_state, kernel, recurrent_kernel, bias)], kept]
    _check(simple_rnn_primitive, arguments, activation="tanh")
    name = next((name for name in ("tanh", "relu", "sigmoid") if _KNOWN[name] is squash), None)
    if name is not None:
        sequence, h = simple_rnn_primitive(*arguments, activation=name)
    else:
        sequence, h = simple_rnn_steps(*arguments, activation=squash)
    return _zero_masked(sequence, kept, zero_output_for_mask), h
