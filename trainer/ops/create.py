"""Tensors from a shape and a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.dims import Shape
from ..core.dtypes import as_dtype
from ..core.emitter import Emitter, Value
from ..core.primitive import Primitive
from ..core.spec import TensorSpec, as_shape
from ..core.tensor import Tensor
from .broadcast import broadcast_to
from .convert import convert_to_tensor

__all__ = ["full", "full_like", "ones", "ones_like", "zeros", "zeros_like"]


def _constant_run(*, shape: Shape, value: Any, dtype: np.dtype) -> np.ndarray:
    sizes = tuple([size.__index__() for size in shape])
    return np.zeros(sizes, dtype) if value == 0 else np.full(sizes, value, dtype)


def _constant_lower(emit: Emitter, *, shape: Shape, value: Any, dtype: np.dtype) -> Value:
    return emit(
        "ConstantOfShape", emit.shape(shape), value=np.asarray([value], dtype), spec=TensorSpec(shape, dtype)
    )


constant_of_shape = Primitive(
    name="constant_of_shape",
    run=_constant_run,
    infer=lambda *, shape, value, dtype: TensorSpec(shape, dtype),
    lower=_constant_lower,
)


def zeros(shape: Sequence[Any] | int, dtype: Any = None) -> Tensor:
    """Zeros of a shape (sizes may be symbolic); the default float unless `dtype` says otherwise."""
    return _full(shape, 0, dtype)


def ones(shape: Sequence[Any] | int, dtype: Any = None) -> Tensor:
    """Ones of a shape (sizes may be symbolic); the default float unless `dtype` says otherwise."""
    return _full(shape, 1, dtype)


def _full(shape: Any, value: Any, dtype: Any) -> Tensor:
    sizes = as_shape((shape,) if isinstance(shape, (int, np.integer)) else shape)
    return constant_of_shape(shape=sizes, value=value, dtype=as_dtype(dtype))


def full(shape: Sequence[Any] | int, fill_value: Any, dtype: Any = None) -> Tensor:
    """A shape filled with a value (a number, or a tensor that broadcasts to the shape).

    >>> import sardonyx as sx
    >>> sx.ops.full((2,), 7, dtype="int32").numpy().tolist()
    [7, 7]
    """
    if isinstance(fill_value, (bool, int, float)):
        return _full(shape, fill_value, dtype if dtype is not None else type(fill_value))
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else shape
    return broadcast_to(convert_to_tensor(fill_value, dtype), sizes)


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros with the shape and, unless given, the dtype of `x`."""
    tensor = convert_to_tensor(x)
    return _full(tensor.shape, 0, dtype or tensor.dtype)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Ones with the shape and, unless given, the dtype of `x`."""
    tensor = convert_to_tensor(x)
    return _full(tensor.shape, 1, dtype or tensor.dtype)


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """A tensor filled with a value, with the shape and, unless given, the dtype of `x`."""
    tensor = convert_to_tensor(x)
    return full(tensor.shape, fill_value, dtype or tensor.dtype)
