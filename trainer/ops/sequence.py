"""Evenly spaced numbers, and the grids that they span."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.dims import Dim, Size, ceil_divide, maximum
from ..core.dtypes import as_dtype, default_float, result_type
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, SymbolicValueError
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .arithmetic import add, multiply, subtract
from .axes import axis_of, expand_dims, moveaxis
from .broadcast import broadcast_to, reshape
from .comparison import less
from .convert import cast, convert_to_tensor, promote_all
from .elementwise import exp, log
from .power import power

__all__ = ["arange", "geomspace", "linspace", "logspace", "meshgrid"]

_INT64 = np.dtype(np.int64)


def _range_run(*, start: Size, stop: Size, step: Size, dtype: np.dtype) -> np.ndarray:
    bounds = [b if isinstance(b, float) else b.__index__() for b in (start, stop, step)]
    return np.arange(*bounds).astype(dtype, copy=False)


def _range_infer(*, start: Any, stop: Any, step: Any, dtype: np.dtype) -> TensorSpec:
    if isinstance(start, float) or isinstance(stop, float) or isinstance(step, float):
        return TensorSpec((max(math.ceil((stop - start) / step), 0),), dtype)
    if isinstance(step, Dim):
        raise ShapeError(f"the step must be a number, got the symbolic size {step}")
    span = ceil_divide(stop - start, step) if step > 0 else ceil_divide(start - stop, -step)
    return TensorSpec((maximum(span, 0),), dtype)


def _range_lower(emit: Emitter, *, start: Any, stop: Any, step: Any, dtype: np.dtype) -> Value:
    bounds = [emit.size(b) for b in (start, stop, step)]
    length = _range_infer(start=start, stop=stop, step=step, dtype=dtype).shape
    return emit.cast(emit("Range", *bounds, spec=TensorSpec(length, _INT64)), dtype)


range_primitive = Primitive(name="arange", run=_range_run, infer=_range_infer, lower=_range_lower)


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Tensor:
    """Numbers from `start` (0 when `stop` is None) up to but not including `stop`, `step` apart (ONNX: Range).

    Bounds are numbers or symbolic sizes; int32 for integers, the default float else. Raises `SymbolicValueError` for
    symbolic tensors, whose values would decide the result's shape.

    >>> import sardonyx as sx
    >>> sx.ops.arange(2, 8, 3).tolist()
    [2, 5]
    """
    start, stop = (0, start) if stop is None else (start, stop)
    bounds = [_bound(b) for b in (start, stop, 1 if step is None else step)]
    if bounds[2] == 0:
        raise ShapeError("arange: step must not be 0")
    real = any(isinstance(b, float) for b in bounds)
    if real and any(isinstance(b, Dim) for b in bounds):
        raise DtypeError(f"arange: symbolic sizes go with integers only, got start={start}, stop={stop}, step={step}")
    kind = as_dtype(dtype) if dtype is not None else default_float() if real else np.dtype(np.int32)
    return range_primitive(start=bounds[0], stop=bounds[1], step=bounds[2], dtype=kind)


def _bound(value: Any) -> Any:
    if isinstance(value, Tensor) and value.is_symbolic:
        raise SymbolicValueError(
            "arange: a symbolic tensor as bound would decide the result's shape by its value; "
            "use a number or a size such as x.shape[1], or mask a range of fixed length"
        )
    return value if isinstance(value, (int, float, Dim)) else np.asarray(value).item()


def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0
) -> Any:
    """`num` evenly spaced numbers from `start` to `stop`, which may be tensors; along a new axis.

    With `retstep`, also the distance between neighbours. Without `endpoint`, `stop` is left out.

    >>> import sardonyx as sx
    >>> sx.ops.linspace(0, 1, 5).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    count = num.__index__()
    if count < 0:
        raise ShapeError(f"linspace: num must not be negative, got {num}")
    first, last = promote_all(start, stop)
    kind = result_type(first.dtype, float)
    first, last = cast(first, kind), cast(last, kind)
    gaps = count - 1 if endpoint else count
    step = multiply(subtract(last, first), 1.0 / gaps if gaps > 0 else float("nan"))
    rank = max(len(first.shape), len(last.shape))
    fractions = np.arange(count, dtype=kind) / kind.type(max(gaps, 1))
    weights = reshape(Tensor(fractions.astype(kind)), (count,) + (1,) * rank)
    # weighted so that the last number is exactly `stop`
    result = add(multiply(first, subtract(1.0, weights)), multiply(last, weights))
    if axis_of(axis, rank + 1, "linspace"):
        result = moveaxis(result, 0, axis)
    wanted = result if dtype is None else cast(result, dtype)
    return (wanted, step) if retstep else wanted


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10, dtype: Any = None, axis: int = 0
) -> Tensor:
    """`base` to the powers of `linspace(start, stop)`.

    >>> import sardonyx as sx
    >>> sx.ops.logspace(0, 2, 3).tolist()
    [1.0, 10.0, 100.0]
    """
    result = power(base, linspace(start, stop, num, endpoint=endpoint, axis=axis))
    return result if dtype is None else cast(result, dtype)


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Tensor:
    """`num` numbers from `start` to `stop` of which each is a constant multiple of the one before.

    Both ends have one sign and are not 0. Raises `ValueError` where that can be seen to fail.

    >>> import sardonyx as sx
    >>> [round(x, 4) for x in sx.ops.geomspace(1, 8, 4).tolist()]
    [1.0, 2.0, 4.0, 8.0]
    """
    first, last = (convert_to_tensor(b) for b in (start, stop))
    if not first.is_symbolic and not last.is_symbolic and not np.all(np.asarray(first) * np.asarray(last) > 0):
        raise ValueError("geomspace: start and stop must have one sign and must not be 0")
    first, last = promote_all(start, stop)
    first, last = (cast(b, result_type(first.dtype, float)) for b in (first, last))
    sign = subtract(1.0, multiply(2.0, cast(less(first, 0), first.dtype)))
    exponents = linspace(log(multiply(first, sign)), log(multiply(last, sign)), num, endpoint=endpoint, axis=0)
    result = multiply(exp(exponents), sign)
    if axis_of(axis, len(result.shape), "geomspace"):
        result = moveaxis(result, 0, axis)
    return result if dtype is None else cast(result, dtype)


def meshgrid(*x: Any, indexing: str = "xy") -> list[Tensor]:
    """For vectors, the coordinates of all points of the grid that they span, one tensor a vector.

    `indexing`: "xy" (the first two axes exchanged) or "ij".

    >>> import sardonyx as sx
    >>> [grid.tolist() for grid in sx.ops.meshgrid([1, 2], [3, 4])]
    [[[1, 2], [1, 2]], [[3, 3], [4, 4]]]
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f'meshgrid: indexing must be "xy" or "ij", got {indexing!r}')
    vectors = [reshape(v, (-1,)) for v in x]
    order = list(range(len(vectors)))
    if indexing == "xy" and len(order) > 1:
        order[:2] = [1, 0]
    shape = tuple(vectors[i].shape[0] for i in order)
    grids = []
    for i, vector in enumerate(vectors):
        place = order.index(i)
        others = tuple(a for a in range(len(order)) if a != place)
        grids.append(broadcast_to(expand_dims(vector, others), shape))
    return grids
