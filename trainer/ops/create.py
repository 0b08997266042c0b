"""Tensors from a shape and a value: constants, identity and triangle matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.dims import Shape, Size
from ..core.dtypes import as_dtype
from ..core.emitter import Emitter, Value
from ..core.primitive import Primitive
from ..core.spec import TensorSpec, as_shape
from ..core.tensor import Tensor
from ..core.variable import Variable
from .broadcast import as_sizes, broadcast_to
from .convert import convert_to_tensor

__all__ = [
    "empty", "empty_like", "eye", "full", "full_like", "identity", "ones", "ones_like", "tri", "zeros", "zeros_like",
]  # fmt: skip


def _constant_run(*, shape: Shape, value: Any, dtype: np.dtype) -> np.ndarray:
    sizes = tuple([size.__index__() for size in shape])
    return np.zeros(sizes, dtype) if value == 0 else np.full(sizes, value, dtype)


def _constant_lower(emit: Emitter, *, shape: Shape, value: Any, dtype: np.dtype) -> Value:
    return emit("ConstantOfShape", emit.shape(shape), value=np.asarray([value], dtype), spec=TensorSpec(shape, dtype))


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


def empty(shape: Sequence[Any] | int, dtype: Any = None) -> Tensor:
    """A tensor whose values do not matter: zeros, so that every run gives the same."""
    return _full(shape, 0, dtype)


def _full(shape: Any, value: Any, dtype: Any) -> Tensor:
    return constant_of_shape(shape=as_shape(as_sizes(shape)), value=value, dtype=as_dtype(dtype))


def full(shape: Sequence[Any] | int, fill_value: Any, dtype: Any = None) -> Tensor:
    """A shape filled with a value (a number, or a tensor that broadcasts to the shape).

    >>> import sardonyx as sx
    >>> sx.ops.full((2,), 7, dtype="int32").numpy().tolist()
    [7, 7]
    """
    if isinstance(fill_value, (bool, int, float)):
        return _full(shape, fill_value, dtype if dtype is not None else _type_of(fill_value))
    return broadcast_to(convert_to_tensor(fill_value, dtype), shape)


def _type_of(value: bool | int | float) -> Any:
    return "bool" if isinstance(value, bool) else "int32" if isinstance(value, int) else None


def _like(x: Any) -> Any:
    return x if isinstance(x, (Tensor, Variable)) else convert_to_tensor(x)


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros with the shape and, unless given, the dtype of `x`."""
    model = _like(x)
    return _full(model.shape, 0, dtype or model.dtype)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Ones with the shape and, unless given, the dtype of `x`."""
    model = _like(x)
    return _full(model.shape, 1, dtype or model.dtype)


def empty_like(x: Any, dtype: Any = None) -> Tensor:
    """A tensor like `x` whose values do not matter: zeros."""
    return zeros_like(x, dtype)


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """A tensor filled with a value, with the shape and, unless given, the dtype of `x`."""
    model = _like(x)
    return full(model.shape, fill_value, dtype or model.dtype)


def _eye_run(*, rows: Size, columns: Size, k: int, dtype: np.dtype) -> np.ndarray:
    return np.eye(rows.__index__(), columns.__index__(), k, dtype)


def _eye_lower(emit: Emitter, *, rows: Size, columns: Size, k: int, dtype: np.dtype) -> Value:
    kind = dtype if dtype.kind in "f" else np.dtype(np.int32)
    spec = TensorSpec((rows, columns), kind)
    blank = emit("ConstantOfShape", emit.shape((rows, columns)), value=np.zeros(1, kind), spec=spec)
    return emit.cast(emit("EyeLike", blank, k=k), dtype)


eye_primitive = Primitive(
    name="eye",
    run=_eye_run,
    infer=lambda *, rows, columns, k, dtype: TensorSpec((rows, columns), dtype),
    lower=_eye_lower,
)


def eye(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Tensor:
    """A matrix of N rows and M columns (N when None) with ones on diagonal `k`, zeros elsewhere (ONNX: EyeLike).

    >>> import sardonyx as sx
    >>> sx.ops.eye(2, 3, k=1).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    rows, columns = _matrix_sizes(N, M)
    return eye_primitive(rows=rows, columns=columns, k=int(k), dtype=as_dtype(dtype))


def _matrix_sizes(rows: Any, columns: Any) -> tuple[Size, Size]:
    first, second = as_shape(as_sizes((rows, rows if columns is None else columns)))
    return first, second


def identity(n: Any, dtype: Any = None) -> Tensor:
    """The square matrix with ones on the diagonal (ONNX: EyeLike)."""
    return eye(n, dtype=dtype)


def _tri_lower(emit: Emitter, *, rows: Size, columns: Size, k: int, dtype: np.dtype) -> Value:
    kind = dtype if dtype.char in "fd" else np.dtype(np.int64)
    spec = TensorSpec((rows, columns), kind)
    filled = emit("ConstantOfShape", emit.shape((rows, columns)), value=np.ones(1, kind), spec=spec)
    return emit.cast(emit("Trilu", filled, emit.constant(k, np.int64), upper=0), dtype)


tri_primitive = Primitive(
    name="tri",
    run=lambda *, rows, columns, k, dtype: np.tri(rows.__index__(), columns.__index__(), k, dtype),
    infer=lambda *, rows, columns, k, dtype: TensorSpec((rows, columns), dtype),
    lower=_tri_lower,
)


def tri(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Tensor:
    """A matrix of N rows and M columns (N when None) with ones on and below diagonal `k` (ONNX: Trilu).

    >>> import sardonyx as sx
    >>> sx.ops.tri(2, dtype="int32").tolist()
    [[1, 0], [1, 1]]
    """
    rows, columns = _matrix_sizes(N, M)
    return tri_primitive(rows=rows, columns=columns, k=int(k), dtype=as_dtype(dtype))
