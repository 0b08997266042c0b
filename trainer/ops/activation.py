"""Activations that bend smoothly: sigmoid, softplus, silu, gelu and their kin; kernels stay in the cache."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.dims import equal
from ..core.emitter import Emitter, Value
from ..core.errors import ShapeError, format_shape
from ..core.operators import FUNCTIONS
from ..core.primitive import Primitive, Residuals
from ..core.state import state
from ..core.tensor import Tensor
from .arithmetic import absolute, add, multiply, negative, square, subtract
from .axes import axis_of
from .blocks import in_blocks
from .convert import apply_float, convert_to_tensor, to_float
from .elementwise import erf, exp
from .error_function import erf as erf_kernel
from .gelu_kernels import gelu_and_slope
from .join import split
from .lowering import float32_operator, like
from .power import sqrt
from .rules import infer_float
from .trigonometry import tanh

__all__ = [
    "gelu",
    "glu",
    "log_sigmoid",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "squareplus",
    "swish",
    "tanh_shrink",
]

_SQRT_HALF, _SQRT_2_OVER_PI = math.sqrt(0.5), math.sqrt(2.0 / math.pi)
_CUBIC = 0.044715


def _smooth(
    name: str, kernel: Callable[..., None], lower: Any, vjp: Callable[..., Tensor], residuals: Residuals
) -> Primitive:
    """A primitive whose kernel `(out, x, **attributes)` writes block by block."""

    def run(x: np.ndarray, **attributes: Any) -> np.ndarray:
        with np.errstate(over="ignore"):
            return in_blocks(lambda out, part: kernel(out, part, **attributes), x)

    return Primitive(name, run, infer_float, lower, (vjp,), residuals=residuals)


def _sigmoid_kernel(out: np.ndarray, x: np.ndarray) -> None:
    """1 / (1 + exp(-x)): where exp overflows, the quotient is the 0 that it should be."""
    np.negative(x, out=out)
    np.exp(out, out=out)
    out += x.dtype.type(1)
    np.reciprocal(out, out=out)


sigmoid_primitive = _smooth(
    "sigmoid",
    _sigmoid_kernel,
    lambda emit, x: emit("Sigmoid", x),
    lambda g, out, x: multiply(g, multiply(out, subtract(1.0, out))),
    "outputs",
)


def _log1p_of_exp(out: np.ndarray, x: np.ndarray) -> None:
    """log(1 + exp(x)) for x <= 0; log1p itself is ten times slower in NumPy than log with a correction."""
    small = np.exp(x)
    np.add(small, x.dtype.type(1), out=out)
    small -= out - x.dtype.type(1)
    small /= out
    np.log(out, out=out)
    out += small


def _softplus_kernel(out: np.ndarray, x: np.ndarray) -> None:
    _log1p_of_exp(out, -np.abs(x))
    out += np.maximum(x, x.dtype.type(0))


softplus_primitive = _smooth(
    "softplus", _softplus_kernel, float32_operator("Softplus"), lambda g, out, x: multiply(g, sigmoid(x)), "inputs"
)


def _silu_kernel(out: np.ndarray, x: np.ndarray) -> None:
    _sigmoid_kernel(out, x)
    out *= x


def _silu_lower(emit: Emitter, x: Value) -> Value:
    return emit("Swish", x) if emit.opset >= 24 else emit("Mul", x, emit("Sigmoid", x))


def _silu_vjp(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    gate = sigmoid(x)
    return multiply(g, add(gate, multiply(out, subtract(1.0, gate))))


silu_primitive = _smooth("silu", _silu_kernel, _silu_lower, _silu_vjp, "all")


def _mish_kernel(out: np.ndarray, x: np.ndarray) -> None:
    _softplus_kernel(out, x)
    np.tanh(out, out=out)
    out *= x


_mish_operator, _softplus_operator = float32_operator("Mish"), float32_operator("Softplus")


def _mish_lower(emit: Emitter, x: Value) -> Value:
    if emit.opset >= 18:
        return _mish_operator(emit, x)
    return emit("Mul", x, emit("Tanh", _softplus_operator(emit, x)))


def _mish_vjp(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    bent = tanh(softplus(x))
    return multiply(g, add(bent, multiply(multiply(x, sigmoid(x)), subtract(1.0, square(bent)))))


mish_primitive = _smooth("mish", _mish_kernel, _mish_lower, _mish_vjp, "inputs")


def _softsign_kernel(out: np.ndarray, x: np.ndarray) -> None:
    np.absolute(x, out=out)
    out += x.dtype.type(1)
    np.divide(x, out, out=out)


softsign_primitive = _smooth(
    "softsign",
    _softsign_kernel,
    float32_operator("Softsign"),
    lambda g, out, x: multiply(g, square(subtract(1.0, absolute(out)))),
    "outputs",
)


def _gelu_kernel(out: np.ndarray, x: np.ndarray, *, approximate: bool) -> None:
    kind = x.dtype.type
    if approximate:
        np.multiply(x, x, out=out)
        out *= kind(_CUBIC * _SQRT_2_OVER_PI)
        out += kind(_SQRT_2_OVER_PI)
        out *= x
        np.tanh(out, out=out)
    else:
        np.copyto(out, erf_kernel(x * kind(_SQRT_HALF)))
    out += kind(1)
    out *= kind(0.5)
    out *= x


def _gelu_lower(emit: Emitter, x: Value, *, approximate: bool) -> Value:
    if emit.opset >= 20:
        return float32_operator("Gelu", approximate="tanh" if approximate else "none")(emit, x)
    if approximate:
        cubic = emit("Mul", emit("Mul", x, x), like(emit, _CUBIC * _SQRT_2_OVER_PI, x))
        bent = emit("Tanh", emit("Mul", emit("Add", cubic, like(emit, _SQRT_2_OVER_PI, x)), x))
    else:
        bent = float32_operator("Erf")(emit, emit("Mul", x, like(emit, _SQRT_HALF, x)))
    return emit("Mul", emit("Mul", x, like(emit, 0.5, x)), emit("Add", bent, like(emit, 1, x)))


def _gelu_slope(x: Any, *, approximate: bool) -> Tensor:
    """The derivative of gelu in operations."""
    if not approximate:
        below = multiply(add(erf(multiply(x, _SQRT_HALF)), 1.0), 0.5)
        density = multiply(exp(multiply(square(x), -0.5)), 0.5 * _SQRT_HALF * 2.0 / math.sqrt(math.pi))
        return add(below, multiply(x, density))
    squared = square(x)
    bent = tanh(multiply(x, add(multiply(squared, _CUBIC * _SQRT_2_OVER_PI), _SQRT_2_OVER_PI)))
    inner = add(multiply(squared, 3.0 * _CUBIC * _SQRT_2_OVER_PI), _SQRT_2_OVER_PI)
    slope = multiply(multiply(x, inner), subtract(1.0, square(bent)))
    return multiply(add(add(bent, 1.0), slope), 0.5)


def _gelu_vjp(g: Tensor, out: Tensor, x: Tensor, *, approximate: bool) -> Tensor:
    return multiply(g, _gelu_slope(x, approximate=approximate))


def _gelu_run(x: np.ndarray, *, approximate: bool) -> np.ndarray:
    if x.dtype == np.float32 and x.ndim:
        return gelu_and_slope(x, approximate=approximate, with_slope=False)[0]
    with np.errstate(over="ignore"):
        return in_blocks(lambda out, part: _gelu_kernel(out, part, approximate=approximate), x)


gelu_primitive = Primitive("gelu", _gelu_run, infer_float, _gelu_lower, (_gelu_vjp,), residuals="inputs")


def _gelu_training_lower(emit: Emitter, x: Value, *, approximate: bool) -> tuple[Value, Value]:
    """Value and slope in operators, each in as few passes as they share."""
    return (_tanh_gelu if approximate else _erf_gelu)(emit, x)


def _erf_gelu(emit: Emitter, x: Value) -> tuple[Value, Value]:
    """With `u = x / sqrt(2)`: `x * share`, and `share + u exp(-u u) / sqrt(pi)`, where `share = (1 + erf(u)) / 2`."""
    inner = emit("Mul", x, like(emit, _SQRT_HALF, x))
    bent = float32_operator("Erf")(emit, inner)
    if x.dtype == np.float32:  # a line between 0 and 1, in one pass
        share = emit("HardSigmoid", bent, alpha=0.5, beta=0.5)
    else:
        share = emit("Mul", emit("Add", bent, like(emit, 1, x)), like(emit, 0.5, x))
    # where exp is infinite, the quotient is 0
    density = emit("Div", inner, emit("Exp", emit("Mul", inner, inner)))
    slope = emit("Add", emit("Mul", density, like(emit, 1 / math.sqrt(math.pi), x)), share)
    return emit("Mul", x, share), slope


def _tanh_gelu(emit: Emitter, x: Value) -> tuple[Value, Value]:
    """With `share = sigmoid(x (c x x + b))`: `x * share`, and `share + x share (1 - share) (3 c x x + b)`."""
    squared, linear = emit("Mul", x, x), like(emit, 2 * _SQRT_2_OVER_PI, x)
    cubic = 2 * _CUBIC * _SQRT_2_OVER_PI
    inner = emit("Add", emit("Mul", squared, like(emit, cubic, x)), linear)
    share = emit("Sigmoid", emit("Mul", inner, x))
    out = emit("Mul", x, share)
    steep = emit("Add", emit("Mul", squared, like(emit, 3 * cubic, x)), linear)
    steep = emit("Mul", steep, emit("Sub", like(emit, 1, x), share))
    return out, emit("Add", emit("Mul", steep, out), share)


def _gelu_training_vjp(
    gradients: Any, outputs: Any, inputs: Any, needed: Any, *, approximate: bool
) -> list[Tensor | None]:
    """By the slope that was kept; the slope's own gradient, for derivatives of higher order, in operations."""
    (g, bent), x = gradients, inputs[0]
    found = None if g is None else multiply(g, outputs[1])
    if bent is not None:
        more = FUNCTIONS["function_vjp"](lambda v: [_gelu_slope(v, approximate=approximate)], [x], [bent], range(1))[0]
        found = more if found is None else add(found, more)
    return [found]


gelu_training_primitive = Primitive(
    "gelu_training",
    gelu_and_slope,
    lambda x, *, approximate: (x, x),
    _gelu_training_lower,
    joint_vjp=_gelu_training_vjp,
    tags={"takes_missing_gradients": True},
)


def sigmoid(x: Any) -> Tensor:
    """`1 / (1 + exp(-x))` (ONNX: Sigmoid)."""
    return apply_float(sigmoid_primitive, x)


def log_sigmoid(x: Any) -> Tensor:
    """`log(sigmoid(x))` without underflow: `-softplus(-x)`.

    >>> import sardonyx as sx
    >>> float(sx.ops.log_sigmoid(-400.0))
    -400.0
    """
    return negative(softplus(negative(to_float(x))))


def softplus(x: Any) -> Tensor:
    """`log(1 + exp(x))` without overflow (ONNX: Softplus)."""
    return apply_float(softplus_primitive, x)


def softsign(x: Any) -> Tensor:
    """`x / (1 + |x|)` (ONNX: Softsign)."""
    return apply_float(softsign_primitive, x)


def silu(x: Any) -> Tensor:
    """`x * sigmoid(x)`, also called swish (ONNX: Swish from opset 24, Sigmoid and Mul before)."""
    return apply_float(silu_primitive, x)


swish = silu


def mish(x: Any) -> Tensor:
    """`x * tanh(softplus(x))` (ONNX: Mish; Misra, 2019)."""
    return apply_float(mish_primitive, x)


def gelu(x: Any, approximate: bool = True) -> Tensor:
    """`x` times the normal distribution function of `x`, or its approximation by tanh (ONNX: Gelu from opset 20).

    >>> import sardonyx as sx
    >>> round(float(sx.ops.gelu(1.0, approximate=False)), 4)
    0.8413
    """
    number = to_float(x)
    if state.tapes and number.dtype == np.float32 and number.shape:
        # with a tape open, the slope is kept; the file of a model without one holds a plain Gelu
        return gelu_training_primitive(number, approximate=bool(approximate))[0]
    return gelu_primitive(number, approximate=bool(approximate))


def squareplus(x: Any, b: Any = 4) -> Tensor:
    """`(x + sqrt(x**2 + b)) / 2`, a smooth relu without exponentials (Barron, 2021)."""
    number = to_float(x)
    return multiply(add(number, sqrt(add(square(number), b))), 0.5)


def tanh_shrink(x: Any) -> Tensor:
    """`x - tanh(x)`."""
    number = to_float(x)
    return subtract(number, tanh(number))


def glu(x: Any, axis: int = -1) -> Tensor:
    """Gated linear unit: the first half of an axis times the sigmoid of the second half.

    Raises `ShapeError` when the size of the axis is odd or not known to be even.

    >>> import sardonyx as sx
    >>> sx.ops.glu([1.0, 2.0, 0.0, 0.0]).numpy().tolist()
    [0.5, 1.0]
    """
    tensor = convert_to_tensor(to_float(x))
    where = axis_of(axis, len(tensor.shape), "glu")
    size = tensor.shape[where]
    if equal(size % 2, 0) is not True:
        raise ShapeError(f"glu: expected an even size on axis {axis}, got {size} in {format_shape(tensor.shape)}")
    value, gate = split(tensor, 2, axis=where)
    return multiply(value, sigmoid(gate))
