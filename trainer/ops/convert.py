"""From Python and NumPy values to tensors, and between element types."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..core.dims import Dim, product
from ..core.dtypes import as_dtype, default_float, dtype_name, result_type
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec, same_shape
from ..core.tensor import Tensor
from ..core.variable import Variable

__all__ = [
    "array", "cast", "convert_to_numpy", "convert_to_tensor", "dtype", "is_tensor", "ndim", "shape", "size",
]  # fmt: skip

_scalar_types = (bool, int, float)


def _cast_infer(x: TensorSpec, *, dtype: np.dtype) -> TensorSpec:
    return TensorSpec(x.shape, dtype)


def _cast_lower(emit: Emitter, x: Value, *, dtype: np.dtype) -> Value:
    return emit.cast(x, dtype)


def _cast_vjp(gradient: Tensor, output: Tensor, x: Tensor, *, dtype: np.dtype) -> Tensor | None:
    return cast(gradient, x.dtype) if x.dtype.kind == "f" and dtype.kind == "f" else None


cast_primitive = Primitive(
    name="cast",
    run=lambda x, *, dtype: x.astype(dtype),
    infer=_cast_infer,
    lower=_cast_lower,
    vjp=(_cast_vjp,),
    residuals="none",
)

size_value = Primitive(
    name="size_value",
    run=lambda *, size, dtype: np.asarray(size.__index__(), dtype),
    infer=lambda *, size, dtype: TensorSpec((), dtype),
    lower=lambda emit, *, size, dtype: emit.cast(emit.size(size), dtype),
)


@lru_cache(maxsize=4096)
def _scalar(value: Any, kind: type, dtype: np.dtype) -> Tensor:
    return Tensor(np.asarray(value, dtype))


def scalar(value: bool | int | float, dtype: np.dtype) -> Tensor:
    """A Python number as a constant tensor of the given type (shared between calls: never write into it)."""
    return _scalar(value, type(value), dtype)


def convert_to_tensor(x: Any, dtype: Any = None, sparse: bool | None = None) -> Tensor:
    """A tensor of anything array-like: arrays, numbers, nested lists, variables, symbolic sizes, tensors themselves.

    Python floats become the default float, Python integers int32, as in Keras.
    Raises `DtypeError` for what is no array of numbers.

    >>> import sardonyx as sx
    >>> sx.ops.convert_to_tensor([1, 2, 3]).dtype.name
    'int32'
    """
    wanted = None if dtype is None else as_dtype(dtype)
    if isinstance(x, Tensor):
        return x if wanted is None or x.dtype == wanted else cast(x, wanted)
    if isinstance(x, Variable):
        tensor = x.value
        return tensor if wanted is None or tensor.dtype == wanted else cast(tensor, wanted)
    if isinstance(x, Dim):
        return size_value(size=x, dtype=wanted or np.dtype("int32"))
    if isinstance(x, _scalar_types):
        return Tensor(np.asarray(x, wanted or result_type(type(x))))
    if isinstance(x, (list, tuple)) and _has_tensors(x):
        return _stack_nested(x, wanted)
    array = np.asarray(x)
    if array.dtype.kind not in "biufc" and array.dtype.kind not in "OSU":
        raise DtypeError(f"convert_to_tensor: expected numbers, got an array of dtype {array.dtype}")
    if array.dtype.kind == "O" and wanted is None and not all(isinstance(v, str) for v in array.flat):
        raise DtypeError(f"convert_to_tensor: expected numbers or nested lists of one shape, got {x!r:.200}")
    if wanted is None and not hasattr(x, "dtype") and not hasattr(x, "__array__"):
        wanted = {"f": default_float(), "i": np.dtype("int32")}.get(array.dtype.kind)
    return Tensor(array if wanted is None else array.astype(wanted, copy=False))


def _has_tensors(values: Any) -> bool:
    return any(
        isinstance(v, (Tensor, Variable, Dim)) or (isinstance(v, (list, tuple)) and _has_tensors(v)) for v in values
    )


def _stack_nested(values: Any, dtype: np.dtype | None) -> Tensor:
    rows = [convert_to_tensor(v) for v in values]
    common = dtype or result_type(*(row.dtype for row in rows))
    return stack_primitive(*[cast(row, common) for row in rows], axis=0)


def _stack_infer(*rows: TensorSpec, axis: int) -> TensorSpec:
    for row in rows[1:]:
        if row.dtype != rows[0].dtype:
            raise DtypeError(f"expected tensors of one dtype, got {rows[0].dtype.name} and {row.dtype.name}")
        if not same_shape(row.shape, rows[0].shape):
            raise ShapeError(
                f"expected tensors of one shape, got {format_shape(rows[0].shape)} and {format_shape(row.shape)}"
            )
    shape = rows[0].shape
    return TensorSpec((*shape[:axis], len(rows), *shape[axis:]), rows[0].dtype)


def _stack_lower(emit: Emitter, *rows: Value, axis: int) -> Value:
    shape = rows[0].shape
    thin = TensorSpec((*shape[:axis], 1, *shape[axis:]), rows[0].dtype)
    parts = [emit("Unsqueeze", row, emit.constant([axis], np.int64), spec=thin) for row in rows]
    if len(parts) == 1:
        return parts[0]
    return emit("Concat", *parts, axis=axis, spec=_stack_infer(*[row.spec for row in rows], axis=axis))


stack_primitive = Primitive(
    name="stack",
    run=lambda *rows, axis: np.stack(rows, axis),
    infer=_stack_infer,
    lower=_stack_lower,
    joint_vjp=lambda gradients, outputs, inputs, needed, *, axis: unstack_primitive(gradients[0], axis=axis),
    residuals="none",
)


def _unstack_infer(x: TensorSpec, *, axis: int) -> tuple[TensorSpec, ...]:
    part = TensorSpec((*x.shape[:axis], *x.shape[axis + 1 :]), x.dtype)
    return (part,) * x.shape[axis].__index__()


def _unstack_lower(emit: Emitter, x: Value, *, axis: int) -> tuple[Value, ...]:
    specs = _unstack_infer(x.spec, axis=axis)
    where = emit.constant([axis], np.int64)
    thin = TensorSpec((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype)
    parts = (x,)
    if len(specs) > 1:
        parts = emit.many("Split", x, emit.constant([1] * len(specs), np.int64), axis=axis, specs=(thin,) * len(specs))
    return tuple(emit("Squeeze", part, where, spec=spec) for part, spec in zip(parts, specs, strict=True))


unstack_primitive = Primitive(
    name="unstack",
    run=lambda x, *, axis: tuple(np.moveaxis(x, axis, 0) if axis else x),
    infer=_unstack_infer,
    lower=_unstack_lower,
    joint_vjp=lambda gradients, outputs, inputs, needed, *, axis: (stack_primitive(*gradients, axis=axis),),
    residuals="none",
)


def cast(x: Any, dtype: Any) -> Tensor:
    """Convert to another element type; a no-op when it has it. Gradients pass between floating-point types.

    >>> import sardonyx as sx
    >>> sx.ops.cast([1.7, -1.2], "int32").numpy().tolist()
    [1, -1]
    """
    wanted = as_dtype(dtype)
    tensor = x if isinstance(x, Tensor) else convert_to_tensor(x)
    return tensor if tensor.dtype == wanted else cast_primitive(tensor, dtype=wanted)


def promote(x: Any, y: Any) -> tuple[Any, Any]:
    """Two operands brought to one element type; Python numbers are weak. The fast path: equal types already."""
    if type(x) is Tensor:
        own = x.dtype if x.array is None else x.array.dtype
        if type(y) is Tensor:
            if (y.dtype if y.array is None else y.array.dtype) == own:
                return x, y
        elif isinstance(y, _scalar_types):
            dtype = own if own.kind == "f" else result_type(own, type(y))
            return (x if own == dtype else cast(x, dtype)), _scalar(y, type(y), dtype)
        elif isinstance(y, Variable) and own == y.dtype:
            return x, y
    elif isinstance(x, _scalar_types) and not isinstance(y, _scalar_types):
        second, first = promote(y, x)
        return first, second
    first = x if isinstance(x, (Tensor, Variable)) else convert_to_tensor(x)
    if isinstance(y, _scalar_types):
        return promote(first, y) if isinstance(first, Tensor) else (first, scalar(y, result_type(first.dtype, type(y))))
    second = y if isinstance(y, (Tensor, Variable)) else convert_to_tensor(y)
    dtype = result_type(first.dtype, second.dtype)
    return (
        first if first.dtype == dtype else cast(first, dtype),
        second if second.dtype == dtype else cast(second, dtype),
    )


def apply_promoted(primitive: Primitive, x: Any, y: Any) -> Any:
    """A primitive of two operands of one element type; two eager tensors of equal type go straight to the kernel."""
    if type(x) is Tensor and type(y) is Tensor:
        first, second = x.array, y.array
        if first is not None and second is not None and first.dtype == second.dtype:
            return primitive.apply_arrays((first, second), (x, y), {})
    return primitive(*promote(x, y))


def apply_float(primitive: Primitive, x: Any) -> Any:
    """A primitive of one floating-point operand; integers and booleans become the default float."""
    if type(x) is Tensor and x.array is not None and x.array.dtype.kind in "fc":
        return primitive.apply_arrays((x.array,), (x,), {})
    return primitive(to_float(x))


def as_number(x: Any) -> Any:
    """The operand with booleans as int32."""
    tensor = x if isinstance(x, (Tensor, Variable)) else convert_to_tensor(x)
    return cast(tensor, "int32") if tensor.dtype.kind == "b" else tensor


def promote_all(*values: Any) -> list[Any]:
    """Any number of operands brought to one element type. The fast path: tensors of equal types already."""
    if values and all(type(v) is Tensor for v in values):
        common = values[0].dtype
        if all(v.dtype == common for v in values):
            return list(values)
    tensors = [v if isinstance(v, (Tensor, Variable)) else convert_to_tensor(v) for v in values]
    strong = [t.dtype for t, v in zip(tensors, values, strict=True) if not isinstance(v, _scalar_types)]
    weak = [type(v) for v in values if isinstance(v, _scalar_types)]
    dtype = result_type(*strong, *weak)
    return [t if t.dtype == dtype else cast(t, dtype) for t in tensors]


def to_float(x: Any) -> Any:
    """The operand as floating-point: integers and booleans become the default float."""
    tensor = x if isinstance(x, (Tensor, Variable)) else convert_to_tensor(x)
    return tensor if tensor.dtype.kind in "fc" else cast(tensor, default_float())


def is_tensor(x: Any) -> bool:
    """Whether a value is a tensor of this library (eager or symbolic)."""
    return isinstance(x, Tensor)


def dtype(x: Any) -> str:
    """Name of the element type of anything array-like (Keras name: `ops.dtype`)."""
    return dtype_name(convert_to_tensor(x).dtype)


def shape(x: Any) -> tuple[Any, ...]:
    """Sizes of anything array-like: integers, symbolic sizes where unknown (Keras name: `ops.shape`)."""
    return x.shape if isinstance(x, (Tensor, Variable)) else convert_to_tensor(x).shape


def ndim(x: Any) -> int:
    """Number of axes of anything array-like."""
    return len(shape(x))


def size(x: Any) -> Any:
    """Number of elements of anything array-like: an integer, or a symbolic size.

    >>> import sardonyx as sx
    >>> sx.ops.size([[1, 2, 3], [4, 5, 6]])
    6
    """
    return product(shape(x))


def array(x: Any, dtype: Any = None) -> Tensor:
    """A tensor of anything array-like, as `convert_to_tensor`."""
    return convert_to_tensor(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    """The value as a NumPy array; raises `SymbolicValueError` on a symbolic tensor."""
    return np.asarray(x)
