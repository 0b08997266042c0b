"""Between element types."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from ..lazy import onnx
from ..protos import element_code, element_type, text_array
from .table import Call, operator
from .values import Sizes, fixed, is_native, is_string


@operator("Cast", raw=True)
def cast(call: Call, x: Any) -> Tensor:
    """The elements in another type; narrow floating-point types saturate unless told not to."""
    code = call.get("to")
    if isinstance(code, str):  # version 1 has the type's name
        code = onnx.TensorProto.DataType.Value(code)
    return _cast(call, x.tensor() if isinstance(x, Sizes) else x, code)


@operator("CastLike", raw=True)
def cast_like(call: Call, x: Tensor, like: Tensor) -> Tensor:
    """The elements in the type of another tensor."""
    return _cast(call, x, element_code(like.dtype))


def _cast(call: Call, x: Tensor, code: int) -> Tensor:
    dtype = element_type(code)
    if is_native(x.dtype) and is_native(dtype):
        return x if x.dtype == dtype else ops.cast(x, dtype)
    array = fixed(call, x, "what becomes an element type that NumPy does not have")
    if is_string(x):
        return Tensor(_from_text(array, dtype))
    if dtype.kind == "O":
        return Tensor(text_array([_text(v, array.dtype) for v in array.reshape(-1)], array.shape))
    return Tensor(narrow(array, code, call))


def narrow(array: np.ndarray, code: int, call: Call) -> np.ndarray:
    """An array in a type that NumPy itself does not have."""
    dtype, types = element_type(code), onnx.TensorProto
    wide = array if is_native(array.dtype) else array.astype(np.float32)
    if code == types.FLOAT8E8M0:
        return onnx.numpy_helper.to_float8e8m0(
            wide.astype(np.float32), bool(call.get("saturate", 1)), call.get("round_mode", "up")
        )
    float8 = (types.FLOAT8E4M3FN, types.FLOAT8E4M3FNUZ, types.FLOAT8E5M2, types.FLOAT8E5M2FNUZ)
    if call.get("saturate", 1) and code in float8:
        return onnx.numpy_helper.saturate_cast(wide, dtype)
    return wide.astype(dtype)


def _from_text(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "O":
        return array
    if dtype.kind in "iu":
        return array.astype(np.float64).astype(dtype)
    return array.astype(str).astype(np.float64).astype(dtype)


def _text(value: Any, dtype: np.dtype) -> str:
    return str(value) if is_native(dtype) else str(np.float32(value))


@operator("BitCast", raw=True)
def bit_cast(call: Call, x: Tensor) -> Tensor:
    """The same bits as another type of the same width."""
    dtype = element_type(call.get("to"))
    if is_native(x.dtype) and is_native(dtype):
        return ops.view(x, dtype)
    return Tensor(fixed(call, x, "what is read as another type").view(dtype))
