"""Reductions over axes: sum, product, mean, extremes, logic, and where the extremes are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.dims import Shape, product
from ..core.emitter import Emitter, Value
from ..core.errors import ShapeError
from ..core.primitive import Primitive, plain_arrays
from ..core.spec import TensorSpec, normalize_axes
from ..core.tensor import Tensor
from .arithmetic import divide, multiply, subtract
from .broadcast import expand_reduced, infer_reduced, reduced_shape, reshape, sum_axes, sum_primitive
from .comparison import equal, isclose, logical_and
from .convert import cast, convert_to_tensor, size_value, to_float
from .elementwise import exp
from .lowering import BOOL, INT32, INT64, emit_reduce, in_dtypes
from .rules import infer_float
from .selection import gate, maximum, minimum, where

__all__ = [
    "all",
    "allclose",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "logsumexp",
    "max",
    "mean",
    "min",
    "prod",
    "sum",
]

Axis = int | Sequence[int] | None


def axes_of(name: str, axis: Axis, rank: int) -> tuple[int, ...]:
    """Normalised axes; the message of the error for a bad one opens with the operation's name."""
    try:
        return normalize_axes(axis, rank)
    except ShapeError as error:
        raise ShapeError(f"{name}: {error}") from None


def count_of(shape: Shape, axes: tuple[int, ...], dtype: Any) -> Any:
    """Number of elements along axes: a Python number, a tensor where a size is symbolic."""
    count = product([shape[a] for a in axes])
    return count if isinstance(count, int) else size_value(size=count, dtype=np.dtype(dtype))


def _lower(operator: str) -> Callable[..., Value]:
    def lower(emit: Emitter, x: Value, *, axes: tuple[int, ...], keepdims: bool) -> Value:
        spec = infer_reduced(x.spec, axes=axes, keepdims=keepdims)
        number = in_dtypes(emit, x, "efdil" if operator in ("ReduceProd", "ReduceMean") else "efdilbB", INT32)
        reduced = emit_reduce(emit, operator, number, axes, TensorSpec(spec.shape, number.dtype), keepdims)
        return emit.cast(reduced, x.dtype)

    return lower


def _mean_run(x: np.ndarray, *, axes: tuple[int, ...], keepdims: bool) -> np.ndarray:
    count = math.prod([x.shape[a] for a in axes])
    if x.dtype == np.float16 or not count:
        return x.mean(axis=axes, keepdims=keepdims)
    total = sum_primitive.run(x, axes=axes, keepdims=keepdims)
    return total * x.dtype.type(1.0 / count)


def _infer_mean(x: TensorSpec, *, axes: tuple[int, ...], keepdims: bool) -> TensorSpec:
    return infer_reduced(infer_float(x), axes=axes, keepdims=keepdims)


def _mean_vjp(g: Tensor, out: Tensor, x: Tensor, *, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    if len(axes) == len(x.shape) and (arrays := plain_arrays((g,))) is not None and arrays[0].ndim == 0:
        return Tensor(np.full(x.shape, arrays[0] / arrays[0].dtype.type(math.prod(x.shape))))
    return expand_reduced(divide(g, count_of(x.shape, axes, x.dtype)), x.shape, axes, keepdims)


mean_primitive = Primitive("mean", _mean_run, _infer_mean, _lower("ReduceMean"), (_mean_vjp,), residuals="none")


def _extreme_vjp(g: Tensor, out: Tensor, x: Tensor, *, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """Shared evenly by the elements that tie."""
    reached = equal(x, expand_reduced(out, x.shape, axes, keepdims))
    ties = sum_axes(cast(reached, g.dtype), axes, keepdims)
    return gate(expand_reduced(divide(g, ties), x.shape, axes, keepdims), reached)


def _extreme_infer(x: TensorSpec, *, axes: tuple[int, ...], keepdims: bool) -> TensorSpec:
    for axis in axes:
        if x.shape[axis] == 0:
            raise ShapeError(f"axis {axis} is empty, and an empty axis has no largest or smallest element")
    return infer_reduced(x, axes=axes, keepdims=keepdims)


def _extreme(name: str, method: Callable[..., Any], operator: str) -> Primitive:
    def run(x: np.ndarray, *, axes: tuple[int, ...], keepdims: bool) -> np.ndarray:
        return method(x, axis=axes, keepdims=keepdims)

    return Primitive(name, run, _extreme_infer, _lower_extreme(operator), (_extreme_vjp,))


def _lower_extreme(operator: str) -> Callable[..., Value]:
    plain = _lower(operator)

    def lower(emit: Emitter, x: Value, *, axes: tuple[int, ...], keepdims: bool) -> Value:
        # booleans only since opset 20
        number = emit.cast(x, INT32) if x.dtype == BOOL and emit.opset < 20 else x
        if x.dtype.char == "?" and number is x:
            spec = infer_reduced(x.spec, axes=axes, keepdims=keepdims)
            return emit_reduce(emit, operator, x, axes, spec, keepdims)
        return emit.cast(plain(emit, number, axes=axes, keepdims=keepdims), x.dtype)

    return lower


max_primitive = _extreme("max", np.maximum.reduce, "ReduceMax")
min_primitive = _extreme("min", np.minimum.reduce, "ReduceMin")


def _truth(name: str, method: Callable[..., Any], operator: str) -> Primitive:
    plain = _lower_extreme(operator)

    def run(x: np.ndarray, *, axes: tuple[int, ...], keepdims: bool) -> np.ndarray:
        return method(x, axis=axes, keepdims=keepdims)

    def lower(emit: Emitter, x: Value, *, axes: tuple[int, ...], keepdims: bool) -> Value:
        sizes = [size if isinstance(size := x.shape[axis], int) else 0 for axis in axes]
        if math.prod(sizes):
            return plain(emit, x, axes=axes, keepdims=keepdims)
        # onnxruntime has no largest or smallest of nothing: count, which is 0 then
        counted = emit("Not", x) if name == "all" else x
        spec = TensorSpec(infer_reduced(x.spec, axes=axes, keepdims=keepdims).shape, INT32)
        found = emit.cast(emit_reduce(emit, "ReduceSum", emit.cast(counted, INT32), axes, spec, keepdims), BOOL)
        return emit("Not", found) if name == "all" else found

    return Primitive(name, run, infer_reduced, lower, residuals="none")


all_primitive = _truth("all", np.logical_and.reduce, "ReduceMin")
any_primitive = _truth("any", np.logical_or.reduce, "ReduceMax")


def _prod_vjp(g: Tensor, out: Tensor, x: Tensor, *, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """The product of the other elements, also where elements are 0."""
    zero = equal(x, 0)
    zeros = sum_axes(cast(zero, x.dtype), axes, True)
    filled = where(zero, 1, x)
    rest = multiply(prod_primitive(filled, axes=axes, keepdims=True), g if keepdims else _kept(g, x.shape, axes))
    others = gate(divide(rest, filled), logical_and(equal(zeros, 0), equal(zero, False)))
    return where(zero, gate(rest, equal(zeros, 1)), others)


def _kept(g: Tensor, shape: Shape, axes: tuple[int, ...]) -> Tensor:
    return reshape(g, tuple(1 if i in axes else size for i, size in enumerate(shape)))


prod_primitive = Primitive(
    name="prod",
    run=lambda x, *, axes, keepdims: np.multiply.reduce(x, axis=axes, keepdims=keepdims, dtype=x.dtype),
    infer=infer_reduced,
    lower=_lower("ReduceProd"),
    vjp=(_prod_vjp,),
    residuals="inputs",
)


def _logsumexp_run(x: np.ndarray, *, axes: tuple[int, ...], keepdims: bool) -> np.ndarray:
    top = np.maximum.reduce(x, axis=axes, keepdims=True)
    top = np.where(np.isfinite(top), top, 0).astype(x.dtype, copy=False)
    with np.errstate(divide="ignore"):
        result = np.log(np.add.reduce(np.exp(x - top), axis=axes, keepdims=True)) + top
    return result if keepdims else result.reshape([s for i, s in enumerate(x.shape) if i not in axes])


def _logsumexp_lower(emit: Emitter, x: Value, *, axes: tuple[int, ...], keepdims: bool) -> Value:
    spec = infer_reduced(x.spec, axes=axes, keepdims=keepdims)
    return emit_reduce(emit, "ReduceLogSumExp", x, axes, spec, keepdims)


def _logsumexp_vjp(g: Tensor, out: Tensor, x: Tensor, *, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    share = exp(subtract(x, expand_reduced(out, x.shape, axes, keepdims)))
    return multiply(expand_reduced(g, x.shape, axes, keepdims), share)


logsumexp_primitive = Primitive("logsumexp", _logsumexp_run, _infer_mean, _logsumexp_lower, (_logsumexp_vjp,))


def _position_infer(x: TensorSpec, *, axis: int, keepdims: bool) -> TensorSpec:
    _extreme_infer(x, axes=(axis,), keepdims=keepdims)
    return TensorSpec(reduced_shape(x, (axis,), keepdims), INT32)


def _position(name: str, method: Callable[..., Any], operator: str) -> Primitive:
    def run(x: np.ndarray, *, axis: int, keepdims: bool) -> np.ndarray:
        return np.asarray(method(x, axis=axis, keepdims=keepdims)).astype(np.int32)

    def lower(emit: Emitter, x: Value, *, axis: int, keepdims: bool) -> Value:
        spec = TensorSpec(reduced_shape(x.spec, (axis,), keepdims), INT64)
        number = in_dtypes(emit, x, "efdilbB", INT32)
        return emit.cast(emit(operator, number, axis=axis, keepdims=int(keepdims), spec=spec), INT32)

    return Primitive(name, run, _position_infer, lower, residuals="none")


argmax_primitive = _position("argmax", np.argmax, "ArgMax")
argmin_primitive = _position("argmin", np.argmin, "ArgMin")


def _apply(primitive: Primitive, x: Tensor, axis: Axis, keepdims: bool) -> Tensor:
    axes = axes_of(primitive.name, axis, len(x.shape))
    return primitive(x, axes=axes, keepdims=bool(keepdims)) if axes else x


def as_accumulator(x: Any) -> Tensor:
    """The tensor in the type in which elements are added up: small integers and booleans become 32 bits wide."""
    tensor = x if type(x) is Tensor else convert_to_tensor(x)
    kind = tensor.dtype
    if kind.kind in "bi" and kind.itemsize < 4:
        return cast(tensor, "int32")
    return cast(tensor, "uint32") if kind.kind == "u" and kind.itemsize < 4 else tensor


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over axes (all of them when None); small integers are added as 32 bits (ONNX: ReduceSum).

    >>> import sardonyx as sx
    >>> sx.ops.sum([[1, 2], [3, 4]], axis=0).numpy().tolist()
    [4, 6]
    """
    return _apply(sum_primitive, as_accumulator(x), axis, keepdims)


def prod(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """Product over axes; its gradient is right where elements are 0 (ONNX: ReduceProd).

    >>> import sardonyx as sx
    >>> int(sx.ops.prod([2, 3, 4]))
    24
    """
    return _apply(prod_primitive, as_accumulator(x) if dtype is None else cast(x, dtype), axis, keepdims)


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over axes; integers become the default float (ONNX: ReduceMean).

    >>> import sardonyx as sx
    >>> float(sx.ops.mean([1, 2, 6]))
    3.0
    """
    return _apply(mean_primitive, convert_to_tensor(to_float(x)), axis, keepdims)


def max(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The largest element over axes, at least `initial`; ties share the gradient evenly (ONNX: ReduceMax)."""
    tensor = convert_to_tensor(x)
    if initial is not None and any_empty(tensor.shape):
        return maximum(_full_of(tensor, axis, keepdims, initial), initial)
    result = _apply(max_primitive, tensor, axis, keepdims)
    return result if initial is None else maximum(result, initial)


def min(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The smallest element over axes, at most `initial`; ties share the gradient evenly (ONNX: ReduceMin)."""
    tensor = convert_to_tensor(x)
    if initial is not None and any_empty(tensor.shape):
        return minimum(_full_of(tensor, axis, keepdims, initial), initial)
    result = _apply(min_primitive, tensor, axis, keepdims)
    return result if initial is None else minimum(result, initial)


def any_empty(shape: Shape) -> bool:
    """Whether a size is 0."""
    return 0 in [size for size in shape if isinstance(size, int)]


def _full_of(x: Tensor, axis: Axis, keepdims: bool, value: Any) -> Tensor:
    """What a reduction of nothing leaves: its start value in the reduced shape."""
    total = sum_axes(x, axes_of("max", axis, len(x.shape)), bool(keepdims))
    return where(True, value, total)


def amax(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over axes; ties share the gradient evenly (ONNX: ReduceMax)."""
    return max(x, axis, keepdims)


def amin(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over axes; ties share the gradient evenly (ONNX: ReduceMin)."""
    return min(x, axis, keepdims)


def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over axes are true (numbers: not 0)."""
    return _apply(all_primitive, cast(x, "bool"), axis, keepdims)


def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether at least one element over axes is true (numbers: not 0)."""
    return _apply(any_primitive, cast(x, "bool"), axis, keepdims)


def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether all elements are close, as `ops.isclose` defines it."""
    return all(isclose(x1, x2, rtol, atol, equal_nan))


def count_nonzero(x: Any, axis: Axis = None) -> Tensor:
    """Number of elements over axes that are not 0, as int32."""
    return sum(cast(cast(x, "bool"), "int32"), axis)


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`log(sum(exp(x)))` over axes without overflow (ONNX: ReduceLogSumExp).

    >>> import sardonyx as sx
    >>> float(sx.ops.logsumexp([1000.0, -1000.0]))
    1000.0
    """
    return _apply(logsumexp_primitive, convert_to_tensor(to_float(x)), axis, keepdims)


def _index(primitive: Primitive, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    tensor = convert_to_tensor(x)
    rank = len(tensor.shape)
    if axis is None:
        flat = primitive(reshape(tensor, (-1,)), axis=0, keepdims=False)
        return reshape(flat, (1,) * rank) if keepdims else flat
    return primitive(tensor, axis=axes_of(primitive.name, axis, rank)[0], keepdims=bool(keepdims))


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the largest element along an axis (of the flattened tensor when None), the first of equals, int32.

    >>> import sardonyx as sx
    >>> int(sx.ops.argmax([1.0, 5.0, 5.0]))
    1
    """
    return _index(argmax_primitive, x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the smallest element along an axis (of the flattened tensor when None), the first of equals, int32."""
    return _index(argmin_primitive, x, axis, keepdims)
