"""Elements picked along one axis by an index for each, and added back: what the gradients of sorting need."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.dims import Shape
from ..core.emitter import Emitter, Value
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from . import accumulate
from .lowering import BOOL, INT32, INT64


def _gather_run(x: np.ndarray, indices: np.ndarray, *, axis: int) -> np.ndarray:
    return x.reshape(-1).take(accumulate.elements_along(indices, x.shape, axis)).reshape(indices.shape)


def _gather_lower(emit: Emitter, x: Value, indices: Value, *, axis: int) -> Value:
    number = emit.cast(x, INT32) if x.dtype == BOOL else x
    indices = indices if indices.dtype in (INT32, INT64) else emit.cast(indices, INT64)
    picked = emit("GatherElements", number, indices, axis=axis, spec=TensorSpec(indices.shape, number.dtype))
    return emit.cast(picked, x.dtype)


gather_elements_primitive = Primitive(
    name="gather_elements",
    run=_gather_run,
    infer=lambda x, indices, *, axis: TensorSpec(indices.shape, x.dtype),
    lower=_gather_lower,
    vjp=(lambda g, out, x, indices, *, axis: scatter_elements(g, indices, axis, x.shape), None),
    residuals="inputs",
)


def _scatter_run(values: np.ndarray, indices: np.ndarray, *, axis: int, shape: Shape) -> np.ndarray:
    sizes = tuple([size.__index__() for size in shape])
    flat = accumulate.elements_along(indices, sizes, axis)
    return accumulate.add_rows(flat, values.reshape(-1, 1), math.prod(sizes)).reshape(sizes)


def _scatter_lower(emit: Emitter, values: Value, indices: Value, *, axis: int, shape: Shape) -> Value:
    zeros = emit("Expand", emit.constant(0, values.dtype), emit.shape(shape), spec=TensorSpec(shape, values.dtype))
    indices = indices if indices.dtype in (INT32, INT64) else emit.cast(indices, INT64)
    return emit("ScatterElements", zeros, indices, values, axis=axis, reduction="add")


scatter_elements_primitive = Primitive(
    name="scatter_elements",
    run=_scatter_run,
    infer=lambda values, indices, *, axis, shape: TensorSpec(shape, values.dtype),
    lower=_scatter_lower,
    vjp=(lambda g, out, values, indices, *, axis, shape: gather_elements(g, indices, axis), None),
    residuals="inputs",
)


def gather_elements(x: Any, indices: Any, axis: int) -> Tensor:
    """`x` at positions along an axis; the other sizes are those of `x` (ONNX: GatherElements)."""
    return gather_elements_primitive(x, indices, axis=axis)


def scatter_elements(values: Any, indices: Any, axis: int, shape: Shape) -> Tensor:
    """Zeros of a shape to which values are added at positions along an axis (ONNX: ScatterElements)."""
    return scatter_elements_primitive(values, indices, axis=axis, shape=shape)
