"""What lowerings share: casts around operators that onnxruntime has for some element types only, and short formulas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.dims import Shape
from ..core.emitter import Emitter, Value
from ..core.spec import TensorSpec

FLOAT32 = np.dtype(np.float32)
INT32 = np.dtype(np.int32)
INT64 = np.dtype(np.int64)
BOOL = np.dtype(bool)


def in_dtypes(emit: Emitter, value: Value, allowed: str, otherwise: np.dtype) -> Value:
    """The value itself when its dtype's character is among `allowed`, else cast to `otherwise`."""
    return value if value.dtype.char in allowed else emit.cast(value, otherwise)


def float32_operator(operator: str, **fixed: Any) -> Callable[..., Value]:
    """A lowering to an operator that onnxruntime has in float32 and float16 alone: float64 passes through float32."""

    def lower(emit: Emitter, x: Value, **attributes: Any) -> Value:
        return emit.cast(emit(operator, in_dtypes(emit, x, "fe", FLOAT32), **fixed, **attributes), x.dtype)

    return lower


def like(emit: Emitter, value: float, x: Value) -> Value:
    """A scalar constant of the element type of `x`."""
    return emit.constant(value, x.dtype)


def boolean(emit: Emitter, operator: str, *values: Value, shape: Shape | None = None) -> Value:
    """An operator with a boolean result of the given shape (that of the first value unless given)."""
    return emit(operator, *values, spec=TensorSpec(values[0].shape if shape is None else shape, BOOL))


def select(emit: Emitter, condition: Value, x: Value, y: Value) -> Value:
    """ONNX Where with the shape of the condition."""
    return emit("Where", condition, x, y, spec=TensorSpec(condition.shape, x.dtype))


def emit_reduce(
    emit: Emitter, operator: str, x: Value, axes: Sequence[int], spec: TensorSpec, keepdims: bool = True
) -> Value:
    """A reduction; its axes are an attribute before opset 18 (ReduceSum: 13) and an input since."""
    if emit.opset >= 18 or operator == "ReduceSum":
        return emit(operator, x, emit.constant(np.asarray(axes, np.int64)), keepdims=int(keepdims), spec=spec)
    return emit(operator, x, axes=list(axes), keepdims=int(keepdims), spec=spec)
