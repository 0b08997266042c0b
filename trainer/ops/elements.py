"""Elements picked along one axis by an index for each, and added back: what the gradients of sorting need."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dims import Shape
from ..core.emitter import Emitter, Value
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .lowering import BOOL, INT32


def _gather_lower(emit: Emitter, x: Value, indices: Value, *, axis: int) -> Value:
    number = emit.cast(x, INT32) if x.dtype == BOOL else x
    picked = emit("GatherElements", number, indices, axis=axis, spec=TensorSpec(indices.shape, number.dtype))
    return emit.cast(picked, x.dtype)


gather_elements_primitive = Primitive(
    name="gather_elements",
    run=lambda x, indices, *, axis: np.take_along_axis(x, indices, axis),
    infer=lambda x, indices, *, axis: TensorSpec(indices.shape, x.dtype),
    lower=_gather_lower,
    vjp=(lambda g, out, x, indices, *, axis: scatter_elements(g, indices, axis, x.shape), None),
    residuals="inputs",
)


def _scatter_run(values: np.ndarray, indices: np.ndarray, *, axis: int, shape: Shape) -> np.ndarray:
    """Adds up through one flat bincount: np.add.at is an order of magnitude slower."""
    sizes = tuple([size.__index__() for size in shape])
    grid = list(np.ogrid[tuple([slice(0, size) for size in indices.shape])])
    grid[axis] = indices
    flat = np.ravel_multi_index(tuple(np.broadcast_arrays(*grid)), sizes).reshape(-1)
    total = np.bincount(flat, weights=values.reshape(-1), minlength=int(np.prod(sizes)))
    return total.astype(values.dtype).reshape(sizes)


def _scatter_lower(emit: Emitter, values: Value, indices: Value, *, axis: int, shape: Shape) -> Value:
    zeros = emit("Expand", emit.constant(0, values.dtype), emit.shape(shape), spec=TensorSpec(shape, values.dtype))
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
    """`x` at non-negative positions along an axis; the other sizes are those of `x` (ONNX: GatherElements)."""
    return gather_elements_primitive(x, indices, axis=axis)


def scatter_elements(values: Any, indices: Any, axis: int, shape: Shape) -> Tensor:
    """Zeros of a shape to which values are added at positions along an axis (ONNX: ScatterElements)."""
    return scatter_elements_primitive(values, indices, axis=axis, shape=shape)
