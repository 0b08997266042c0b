"""Class numbers as vectors of zeros and ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.dtypes import as_dtype
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .axes import axis_of
from .convert import cast, convert_to_tensor
from .reduce import max as max_over

__all__ = ["multi_hot", "one_hot"]


def _one_hot_infer(x: TensorSpec, *, count: int, axis: int, dtype: np.dtype) -> TensorSpec:
    if x.dtype.kind not in "iu":
        raise DtypeError(f"expected integers, got {x.dtype.name}; convert them with ops.cast(x, 'int32')")
    return TensorSpec((*x.shape[:axis], count, *x.shape[axis:]), dtype)


def _one_hot_run(x: np.ndarray, *, count: int, axis: int, dtype: np.dtype) -> np.ndarray:
    if x.dtype.kind not in "iu":
        raise DtypeError(f"expected integers, got {x.dtype.name}")
    inner = math.prod(x.shape[axis:])
    flat = x.reshape(-1).astype(np.int64, copy=False)
    rows = np.arange(flat.size)
    places = (rows // inner * count + flat) * inner + rows % inner if inner != 1 else rows * count + flat
    if flat.size and (flat.min() < 0 or flat.max() >= count):
        places = places[(flat >= 0) & (flat < count)]
    result = np.zeros(flat.size * count, dtype)
    result[places] = 1
    return result.reshape(*x.shape[:axis], count, *x.shape[axis:])


def _one_hot_lower(emit: Emitter, x: Value, *, count: int, axis: int, dtype: np.dtype) -> Value:
    """A comparison with all class numbers: ONNX's OneHot would count negative ones from the end."""
    spec = _one_hot_infer(x.spec, count=count, axis=axis, dtype=dtype)
    numbers = x if x.dtype.name in ("int32", "int64") else emit.cast(x, np.int64)
    thin = TensorSpec((*x.shape[:axis], 1, *x.shape[axis:]), numbers.dtype)
    numbers = emit("Unsqueeze", numbers, emit.constant([axis], np.int64), spec=thin)
    classes = np.arange(count, dtype=numbers.dtype).reshape((count,) + (1,) * (x.rank - axis))
    same = emit("Equal", numbers, emit.constant(classes), spec=TensorSpec(spec.shape, np.dtype(bool)))
    return emit.cast(same, dtype)


one_hot_primitive = Primitive(
    name="one_hot", run=_one_hot_run, infer=_one_hot_infer, lower=_one_hot_lower, residuals="none"
)


def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Tensor:
    """A 1 at the place of each integer along a new axis of `num_classes`, 0 elsewhere; all 0 for other integers.

    Raises `DtypeError` unless `x` holds integers.

    >>> import sardonyx as sx
    >>> sx.ops.one_hot([0, 2, -1], 3, dtype="int32").tolist()
    [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    """
    if sparse:
        raise ValueError("one_hot: sparse=True is not supported; tensors are dense here")
    if not isinstance(num_classes, (int, np.integer)) or num_classes < 1:
        raise ShapeError(f"one_hot: num_classes must be a positive integer, got {num_classes!r}")
    tensor = convert_to_tensor(x)
    place = axis_of(axis, len(tensor.shape) + 1, "one_hot")
    return one_hot_primitive(tensor, count=int(num_classes), axis=place, dtype=as_dtype(dtype))


def multi_hot(
    inputs: Any, num_classes: int | None = None, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Tensor:
    """For each sample (row) of integers a vector with ones at all of them: the largest of their one-hot vectors.

    >>> import sardonyx as sx
    >>> sx.ops.multi_hot([[0, 2], [1, 1]], 3).tolist()
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    if num_classes is None:
        raise ValueError("multi_hot: num_classes must be given")
    tensor = cast(inputs, "int32")
    encoded = one_hot(tensor, num_classes, axis=axis, dtype=dtype, sparse=sparse)
    return max_over(encoded, axis=1 if len(tensor.shape) > 1 else 0)
