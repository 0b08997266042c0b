"""Counting how often values occur."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dims import Size, fresh
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .comparison import greater_equal, less_equal, logical_and
from .convert import cast, convert_to_tensor, to_float
from .create import ones_like
from .elements import gather_elements, scatter_elements
from .lowering import INT64, emit_reduce
from .reduce import max as largest
from .reduce import min as smallest
from .selection import where
from .sorting import searchsorted

__all__ = ["bincount", "histogram"]


def _bincount_run(x: np.ndarray, weights: np.ndarray, *, minlength: int) -> np.ndarray:
    _check(x, weights)
    if x.size and x.min() < 0:
        raise ValueError(f"bincount: expected values of 0 and more, got {x.min()}")
    length = max(int(x.max()) + 1 if x.size else 0, minlength)
    rows = int(np.prod(x.shape[:-1]))
    # one count over all rows, each with bins of its own
    shifted = x.reshape(rows, x.shape[-1]).astype(np.int64) + length * np.arange(rows)[:, None]
    counts = np.bincount(shifted.reshape(-1), weights.reshape(-1), minlength=rows * length)
    return counts.astype(weights.dtype).reshape(*x.shape[:-1], length)


def _check(x: Any, weights: Any) -> None:
    if x.dtype.kind not in "iu":
        raise DtypeError(f"expected integers, got {x.dtype.name}")
    if x.ndim not in (1, 2) or x.shape != weights.shape:
        raise ShapeError(
            "expected x of one axis or two and weights of the same shape, got "
            f"{format_shape(x.shape)} and {format_shape(weights.shape)}"
        )


def _bincount_infer(x: TensorSpec, weights: TensorSpec, *, minlength: int) -> TensorSpec:
    _check(x, weights)
    return TensorSpec((*x.shape[:-1], fresh("bins")), weights.dtype)


def _bincount_lower(emit: Emitter, x: Value, weights: Value, *, minlength: int) -> Value:
    """Weights added up at their values; as many bins as the largest value asks for."""
    spec = _bincount_infer(x.spec, weights.spec, minlength=minlength)
    vector = TensorSpec((1,), INT64)
    flat = emit("Reshape", emit.cast(x, INT64), emit.constant([-1], INT64), spec=TensorSpec((fresh("values"),), INT64))
    guarded = emit("Concat", flat, emit.constant([minlength - 1], INT64), axis=0)
    highest = emit_reduce(emit, "ReduceMax", guarded, (0,), vector)
    length = emit("Add", highest, emit.constant([1], INT64))
    if x.rank == 2:
        size: Size = x.shape[0]
        length = emit("Concat", emit.shape((size,)), length, axis=0, spec=TensorSpec((2,), INT64))
    zeros = emit("Expand", emit.constant(0, weights.dtype), length, spec=spec)
    return emit("ScatterElements", zeros, x, weights, axis=x.rank - 1, reduction="add", spec=spec)


bincount_primitive = Primitive(
    name="bincount",
    run=_bincount_run,
    infer=_bincount_infer,
    lower=_bincount_lower,
    vjp=(None, lambda g, out, x, weights, *, minlength: gather_elements(g, x, len(x.shape) - 1)),
    residuals="inputs",
)


def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """How often each integer from 0 occurs (int32), or the sum of the weights where it does; row by row.

    x: integers of 0 and more, `(values,)` or `(batch, values)`; the result has `max(x) + 1` bins, at least `minlength`:
    in a model a size that is known when it runs. Raises `ValueError` for negative values and for `sparse=True`.

    >>> import sardonyx as sx
    >>> sx.ops.bincount([0, 2, 2], minlength=4).numpy().tolist()
    [1, 0, 2, 0]
    """
    if sparse:
        raise ValueError("bincount: sparse=True is not available; the result is dense")
    values = convert_to_tensor(x)
    counted = ones_like(values, "int32") if weights is None else convert_to_tensor(weights)
    return bincount_primitive(values, counted, minlength=int(minlength))


def histogram(x: Any, bins: int = 10, range: tuple[float, float] | None = None) -> tuple[Tensor, Tensor]:
    """How many elements fall into each of `bins` equal parts of `range` (smallest to largest unless given), and edges.

    Returns int32 counts `(bins,)` and edges `(bins + 1,)`; the last part includes its upper edge.
    Raises `ValueError` for fewer than one bin or a range that is not ascending.

    >>> import sardonyx as sx
    >>> counts, edges = sx.ops.histogram([0.0, 1.0, 1.5, 2.0], bins=2)
    >>> counts.numpy().tolist(), edges.numpy().tolist()
    ([1, 3], [0.0, 1.0, 2.0])
    """
    if not isinstance(bins, (int, np.integer)) or bins < 1:
        raise ValueError(f"histogram: expected at least one bin, got {bins!r}")
    if range is not None and not (len(range) == 2 and range[0] < range[1]):
        raise ValueError(f"histogram: expected an ascending range (low, high), got {range!r}")
    number = convert_to_tensor(to_float(x)).flatten()
    low, high = (smallest(number), largest(number)) if range is None else range
    if range is None:
        empty = low == high
        low, high = where(empty, low - 0.5, low), where(empty, high + 0.5, high)
    steps = np.arange(bins + 1).astype(number.dtype) / number.dtype.type(bins)
    edges = convert_to_tensor(low + (high - low) * convert_to_tensor(steps))
    # all parts but the last are open above, so the last edge is left out of the search
    place = searchsorted(edges[:-1], number, side="right") - 1
    inside = cast(logical_and(greater_equal(number, low), less_equal(number, high)), "int32")
    return scatter_elements(inside, where(cast(inside, "bool"), place, 0), 0, (int(bins),)), edges
