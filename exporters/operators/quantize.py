"""Quantization: integers, or narrow floating-point numbers, with scale and zero point."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from ..lazy import onnx
from ..protos import element_code, element_type
from .cast import narrow
from .convolution import conv
from .linear import centred
from .table import Call, operator
from .values import back_to, fixed, is_native, scalar_like

_WIDE = np.dtype(np.float32)


def _wide(x: Tensor) -> Tensor:
    """Narrow types, which NumPy does not have, in float32."""
    return Tensor(x.value("quantization").astype(_WIDE)) if not is_native(x.dtype) else x


def _along(call: Call, v: Tensor, x: Tensor) -> Tensor:
    """A scale or zero point laid along the tensor: one number, one for each place of an axis, or one a block."""
    if not v.shape or (len(v.shape) == 1 and v.shape[0] == 1 and len(x.shape) != 1):
        return ops.reshape(v, ())
    axis = call.get("axis", 1) % len(x.shape)
    if len(v.shape) == 1 and not call.get("block_size", 0):
        return ops.reshape(v, [-1 if i == axis else 1 for i in range(len(x.shape))])
    block = call.get("block_size", 0) or -(-int(x.shape[axis]) // int(v.shape[axis]))  # pyright: ignore
    repeated = ops.repeat(v, block, axis)
    return repeated[(*[slice(None)] * axis, slice(None, x.shape[axis]))]


SMALL = {"INT4": (-8, 7), "UINT4": (0, 15), "INT2": (-2, 1), "UINT2": (0, 3)}
"""Limits of types that NumPy lacks; by name, for older versions of onnx do not have them all."""


def _limits(code: int) -> tuple[int, int]:
    name = onnx.TensorProto.DataType.Name(code)  # pyright: ignore[reportArgumentType]
    if name in SMALL:
        return SMALL[name]
    info = np.iinfo(element_type(code))
    return info.min, info.max


def _target(call: Call, zero: Any) -> int:
    if zero is not None:
        return element_code(zero.dtype)
    return call.get("output_dtype") or onnx.TensorProto.UINT8


def quantized(call: Call, x: Tensor, scale: Tensor, zero: Any, code: int) -> Tensor:
    """x / scale, rounded to the nearest (even), plus the zero point, within the type's limits."""
    scale = _along(call, _wide(scale), x)
    x = _wide(x)
    precision = element_type(call.get("precision")) if call.get("precision") else None
    if precision is not None and is_native(precision):
        x, scale = ops.cast(x, precision), ops.cast(scale, precision)
    elif x.dtype != scale.dtype:
        x, scale = ops.cast(x, _WIDE), ops.cast(scale, _WIDE)
    found = ops.divide(x, scale)
    dtype = element_type(code)
    if not is_native(dtype) and "float" in dtype.name:
        shifted = found if zero is None else ops.add(found, back_to(_along(call, _wide(zero), x), found.dtype))
        return Tensor(narrow(fixed(call, shifted, "the tensor"), code, call))
    whole = ops.round(found)
    if zero is not None:
        whole = ops.add(ops.cast(whole, np.float64), ops.cast(_along(call, _wide(zero), x), np.float64))
    low, high = _limits(code)
    whole = ops.minimum(ops.maximum(whole, scalar_like(low, whole)), scalar_like(high, whole))
    if is_native(dtype):
        return ops.cast(whole, dtype)
    return Tensor(fixed(call, whole, "the tensor").astype(np.int8 if low < 0 else np.uint8).astype(dtype))


@operator("QuantizeLinear", raw=True)
def quantize(call: Call, x: Tensor, scale: Tensor, zero: Any = None) -> Tensor:
    """Floating-point numbers as integers."""
    return quantized(call, x, scale, zero, _target(call, zero))


@operator("DequantizeLinear", raw=True)
def dequantize(call: Call, x: Tensor, scale: Tensor, zero: Any = None) -> Tensor:
    """(x - zero point) * scale."""
    target = element_type(call.get("output_dtype")) if call.get("output_dtype") else scale.dtype
    wide = ops.cast(_wide(x), _WIDE)
    if zero is not None:
        wide = ops.subtract(wide, ops.cast(_along(call, _wide(zero), x), _WIDE))
    found = ops.multiply(wide, ops.cast(_along(call, _wide(scale), x), _WIDE))
    if is_native(target):
        return back_to(found, target)
    return Tensor(fixed(call, found, "the tensor").astype(target))


@operator("DynamicQuantizeLinear")
def dynamic_quantize(call: Call, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """uint8 with scale and zero point from the tensor's own range."""
    zero = scalar_like(0, x)
    low, high = ops.minimum(ops.amin(x), zero), ops.maximum(ops.amax(x), zero)
    scale = ops.divide(ops.subtract(high, low), scalar_like(255, x))
    point = ops.clip(ops.round(ops.divide(ops.negative(low), scale)), 0, 255)
    found = ops.clip(ops.add(ops.round(ops.divide(x, scale)), point), 0, 255)
    return ops.cast(found, np.uint8), scale, ops.cast(point, np.uint8)


def _requantized(product: Tensor, factor: Tensor, zero: Tensor) -> Tensor:
    info = np.iinfo(zero.dtype)
    whole = ops.add(ops.round(ops.multiply(product, factor)), ops.cast(zero, np.float64))
    return ops.cast(ops.clip(whole, info.min, info.max), zero.dtype)


@operator("QLinearMatMul")
def matmul(
    call: Call, a: Tensor, a_scale: Tensor, a_zero: Tensor, b: Tensor, b_scale: Tensor, b_zero: Tensor,
    y_scale: Tensor, y_zero: Tensor,
) -> Tensor:  # fmt: skip
    """A product of quantized matrices, quantized again."""
    found = ops.matmul(centred(a, a_zero, -2), centred(b, b_zero, -1))
    scale = [ops.cast(_wide(v), np.float64) for v in (a_scale, b_scale, y_scale)]
    if len(scale[0].shape) == 1 and scale[0].shape[0] != 1:
        scale[0] = ops.expand_dims(scale[0], -1)
    return _requantized(found, ops.divide(ops.multiply(scale[0], scale[1]), scale[2]), y_zero)


@operator("QLinearConv")
def quantized_conv(
    call: Call, x: Tensor, x_scale: Tensor, x_zero: Tensor, w: Tensor, w_scale: Tensor, w_zero: Tensor,
    y_scale: Tensor, y_zero: Tensor, bias: Any = None,
) -> Tensor:  # fmt: skip
    """A convolution of quantized tensors, quantized again."""
    wide = None if bias is None else ops.cast(bias, np.float64)
    found = conv(call, centred(x, x_zero), centred(w, w_zero, 0), wide)
    scales = ops.cast(w_scale, np.float64)
    if len(scales.shape) == 1:
        scales = ops.reshape(scales, (-1, *[1] * (len(x.shape) - 2)))
    factor = ops.divide(ops.multiply(ops.cast(x_scale, np.float64), scales), ops.cast(y_scale, np.float64))
    return _requantized(found, factor, y_zero)
