"""Activations with corners: relu and its kin, shrinkage, and the piecewise linear forms of sigmoid, silu and tanh."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.emitter import Emitter, Value
from ..core.primitive import Primitive, Residuals
from ..core.tensor import Tensor
from .arithmetic import absolute, add, multiply, square, subtract
from .blocks import BLOCK, in_blocks, zeros_row
from .comparison import greater, less, logical_not
from .convert import apply_float, as_number, cast, convert_to_tensor, to_float
from .lowering import FLOAT32, INT32, float32_operator, in_dtypes
from .rules import infer_float, infer_same
from .selection import clip, gate, where

__all__ = [
    "celu",
    "elu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "relu",
    "relu6",
    "selu",
    "soft_shrink",
    "sparse_plus",
    "sparse_sigmoid",
    "threshold",
]

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _relu_kernel(out: np.ndarray, x: np.ndarray) -> None:
    np.maximum(x.reshape(-1), zeros_row(x.size, x.dtype), out=out.reshape(-1))


def _relu_run(x: np.ndarray) -> np.ndarray:
    if x.size < 512:
        return np.maximum(x, x.dtype.type(0))
    if x.size <= BLOCK and not x.flags.c_contiguous:
        x = np.ascontiguousarray(x)
    return in_blocks(_relu_kernel, x)


def _relu_lower(emit: Emitter, x: Value) -> Value:
    return emit.cast(emit("Relu", in_dtypes(emit, x, "efdib", INT32)), x.dtype)


relu_primitive = Primitive(
    name="relu",
    run=_relu_run,
    infer=infer_same,
    lower=_relu_lower,
    vjp=(lambda g, out, x: gate(g, greater(out, 0)),),
    residuals="outputs",
)


def _bent(
    name: str, run: Callable[..., Any], lower: Any, vjp: Callable[..., Tensor], residuals: Residuals = "inputs"
) -> Primitive:
    return Primitive(name, run, infer_float, lower, (vjp,), residuals=residuals)


def _leaky_run(x: np.ndarray, *, negative_slope: float) -> np.ndarray:
    slope = x.dtype.type(negative_slope)
    if 0 <= negative_slope <= 1:
        return in_blocks(lambda out, part: np.maximum(part, np.multiply(part, slope, out=out), out=out), x)
    zero = x.dtype.type(0)
    return np.maximum(x, zero) + np.minimum(x, zero) * slope


def _leaky_vjp(g: Tensor, out: Tensor, x: Tensor, *, negative_slope: float) -> Tensor:
    steeper = multiply(cast(greater(x, 0), g.dtype), 1.0 - negative_slope)
    return multiply(g, add(steeper, negative_slope))


leaky_relu_primitive = _bent(
    "leaky_relu",
    _leaky_run,
    lambda emit, x, *, negative_slope: float32_operator("LeakyRelu")(emit, x, alpha=float(negative_slope)),
    _leaky_vjp,
)


def _elu_kernel(out: np.ndarray, x: np.ndarray, scale: float, alpha: float, width: float) -> None:
    """scale * x above 0, scale * alpha * expm1(x / width) below."""
    kind = x.dtype.type
    np.minimum(x, kind(0), out=out)
    if width != 1:
        out /= kind(width)
    np.expm1(out, out=out)
    out *= kind(alpha * scale)
    above = np.maximum(x, kind(0))
    above *= kind(scale)
    out += above


def _elu_run(x: np.ndarray, scale: float, alpha: float, width: float) -> np.ndarray:
    return in_blocks(lambda out, part: _elu_kernel(out, part, scale, alpha, width), x)


def _exponential_vjp(g: Tensor, out: Tensor, x: Tensor, scale: float, alpha: float, width: float) -> Tensor:
    positive = greater(x, 0)
    below = multiply(add(out, alpha * scale), 1.0 / width)
    return add(multiply(gate(g, positive), scale), multiply(gate(g, logical_not(positive)), below))


elu_primitive = _bent(
    "elu",
    lambda x, *, alpha: _elu_run(x, 1.0, alpha, 1.0),
    lambda emit, x, *, alpha: float32_operator("Elu")(emit, x, alpha=alpha),
    lambda g, out, x, *, alpha: _exponential_vjp(g, out, x, 1.0, alpha, 1.0),
    "all",
)
selu_primitive = _bent(
    "selu",
    lambda x: _elu_run(x, _SELU_SCALE, _SELU_ALPHA, 1.0),
    float32_operator("Selu"),
    lambda g, out, x: _exponential_vjp(g, out, x, _SELU_SCALE, _SELU_ALPHA, 1.0),
    "all",
)
celu_primitive = _bent(
    "celu",
    lambda x, *, alpha: _elu_run(x, 1.0, alpha, alpha),
    lambda emit, x, *, alpha: emit.cast(emit("Celu", in_dtypes(emit, x, "f", FLOAT32), alpha=alpha), x.dtype),
    lambda g, out, x, *, alpha: _exponential_vjp(g, out, x, 1.0, alpha, alpha),
    "all",
)


def _hard_sigmoid_run(x: np.ndarray) -> np.ndarray:
    def kernel(out: np.ndarray, part: np.ndarray) -> None:
        kind = part.dtype.type
        np.multiply(part, kind(1 / 6), out=out)
        out += kind(0.5)
        np.minimum(np.maximum(out, kind(0), out=out), kind(1), out=out)

    return in_blocks(kernel, x)


def _sloped(x: Tensor) -> Tensor:
    """Where hard_sigmoid is neither 0 nor 1."""
    return less(absolute(x), 3.0)


hard_sigmoid_primitive = _bent(
    "hard_sigmoid",
    _hard_sigmoid_run,
    float32_operator("HardSigmoid", alpha=1 / 6, beta=0.5),
    lambda g, out, x: gate(multiply(g, 1 / 6), _sloped(x)),
)
hard_silu_primitive = _bent(
    "hard_silu",
    lambda x: x * _hard_sigmoid_run(x),
    float32_operator("HardSwish"),
    lambda g, out, x: multiply(g, add(hard_sigmoid(x), gate(multiply(x, 1 / 6), _sloped(x)))),
)


def _shrink_run(x: np.ndarray, *, threshold: float, bias: float) -> np.ndarray:
    result = x * (np.abs(x) > threshold)
    return result - np.clip(x, -bias, bias).astype(x.dtype) * (result != 0) if bias else result


def _shrink_lower(emit: Emitter, x: Value, *, threshold: float, bias: float) -> Value:
    return emit("Shrink", x, lambd=threshold, bias=bias)


shrink_primitive = _bent(
    "shrink",
    _shrink_run,
    _shrink_lower,
    lambda g, out, x, *, threshold, bias: gate(g, greater(absolute(x), threshold)),
)


def relu(x: Any) -> Tensor:
    """`max(x, 0)`; its gradient at 0 is 0 (ONNX: Relu)."""
    return relu_primitive(as_number(x))


def relu6(x: Any) -> Tensor:
    """`min(max(x, 0), 6)` (ONNX: Clip)."""
    return clip(to_float(x), 0.0, 6.0)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """`x` above 0, `negative_slope * x` below (ONNX: LeakyRelu)."""
    return leaky_relu_primitive(to_float(x), negative_slope=float(negative_slope))


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """`x` above 0, `alpha * (exp(x) - 1)` below (ONNX: Elu)."""
    return elu_primitive(to_float(x), alpha=float(alpha))


def selu(x: Any) -> Tensor:
    """`elu` with the scales that keep mean 0 and variance 1 through layers (ONNX: Selu; Klambauer et al., 2017)."""
    return apply_float(selu_primitive, x)


def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """`x` above 0, `alpha * (exp(x / alpha) - 1)` below (ONNX: Celu). Raises `ValueError` when `alpha` is 0."""
    if alpha == 0:
        raise ValueError("celu: alpha divides x, so it must not be 0")
    return celu_primitive(to_float(x), alpha=float(alpha))


def hard_sigmoid(x: Any) -> Tensor:
    """`x / 6 + 0.5` held between 0 and 1 (ONNX: HardSigmoid)."""
    return apply_float(hard_sigmoid_primitive, x)


def hard_silu(x: Any) -> Tensor:
    """`x * hard_sigmoid(x)`, also called hard swish (ONNX: HardSwish)."""
    return apply_float(hard_silu_primitive, x)


hard_swish = hard_silu


def hard_tanh(x: Any) -> Tensor:
    """`x` held between -1 and 1 (ONNX: Clip)."""
    return clip(x, -1, 1)


def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """0 within `threshold` of 0, `x` elsewhere (ONNX: Shrink).

    >>> import sardonyx as sx
    >>> sx.ops.hard_shrink([-1.0, 0.3]).numpy().tolist()
    [-1.0, 0.0]
    """
    return shrink_primitive(to_float(x), threshold=float(threshold), bias=0.0)


def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """0 within `threshold` of 0, `x` moved by `threshold` towards 0 elsewhere (ONNX: Shrink).

    >>> import sardonyx as sx
    >>> sx.ops.soft_shrink([-1.0, 0.3]).numpy().tolist()
    [-0.5, 0.0]
    """
    return shrink_primitive(to_float(x), threshold=float(threshold), bias=float(threshold))


def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """`x` above `threshold`, `default_value` elsewhere.

    >>> import sardonyx as sx
    >>> sx.ops.threshold([0.5, 2.0], 1.0, -1.0).numpy().tolist()
    [-1.0, 2.0]
    """
    tensor = convert_to_tensor(x)
    return where(greater(tensor, threshold), tensor, default_value)


def sparse_plus(x: Any) -> Tensor:
    """0 below -1, `x` above 1, `(x + 1)**2 / 4` between (Martins and Astudillo, 2016)."""
    number = to_float(x)
    return add(multiply(square(add(clip(number, -1.0, 1.0), 1.0)), 0.25), relu(subtract(number, 1.0)))


def sparse_sigmoid(x: Any) -> Tensor:
    """`(x + 1) / 2` held between 0 and 1: the slope of `sparse_plus`."""
    return clip(multiply(add(to_float(x), 1.0), 0.5), 0.0, 1.0)
