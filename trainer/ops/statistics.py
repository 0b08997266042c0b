"""Variance, moments, weighted averages, quantiles and normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.dims import equal as same_size
from ..core.dims import product
from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from .arithmetic import add, divide, multiply, square, subtract
from .axes import transpose
from .broadcast import broadcast_to, reshape
from .comparison import not_equal
from .convert import cast, convert_to_tensor, promote, size_value, to_float
from .elements import gather_elements
from .norm import norm
from .power import sqrt
from .reduce import Axis, axes_of, mean
from .reduce import max as largest
from .reduce import min as smallest
from .reduce import sum as total
from .rounding import ceil, floor, round
from .selection import maximum
from .sorting import sort_primitive

__all__ = [
    "average",
    "median",
    "moments",
    "normalize",
    "percentile",
    "ptp",
    "quantile",
    "std",
    "var",
]

METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Mean squared distance from the mean over axes (population variance).

    >>> import sardonyx as sx
    >>> float(sx.ops.var([1.0, 3.0]))
    1.0
    """
    number = convert_to_tensor(to_float(x))
    return mean(square(subtract(number, mean(number, axis, True))), axis, keepdims)


def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Standard deviation over axes: the square root of `var`."""
    return sqrt(var(x, axis, keepdims))


def moments(x: Any, axes: Axis, keepdims: bool = False, synchronized: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and variance over axes; half precision is computed in float32. `synchronized` is for several devices.

    Raises `NotImplementedError` for `synchronized=True`: there is one device here.

    >>> import sardonyx as sx
    >>> [float(m) for m in sx.ops.moments([1.0, 3.0], axes=0)]
    [2.0, 1.0]
    """
    if synchronized:
        raise NotImplementedError("moments: synchronized=True needs several devices; leave it out on one")
    number = convert_to_tensor(to_float(x))
    wide = cast(number, "float32") if number.dtype == "float16" else number
    centre = mean(wide, axes, True)
    variance = mean(square(subtract(wide, centre)), axes, keepdims)
    if not keepdims:
        centre = reshape(centre, variance.shape)
    return cast(centre, number.dtype), cast(variance, number.dtype)


def average(x: Any, axis: Axis = None, weights: Any = None) -> Tensor:
    """Mean over axes, weighted if `weights` are given: of the shape of `x`, or of the size of the one axis.

    Raises `ShapeError` when the weights fit neither.

    >>> import sardonyx as sx
    >>> float(sx.ops.average([1.0, 4.0], weights=[2.0, 1.0]))
    2.0
    """
    if weights is None:
        return mean(x, axis)
    number, share = promote(to_float(x), to_float(weights))
    if len(share.shape) == 1 and len(number.shape) != 1:
        axes = axes_of("average", axis, len(number.shape))
        if axis is None or len(axes) != 1 or same_size(share.shape[0], number.shape[axes[0]]) is False:
            raise ShapeError(
                f"average: weights {format_shape(share.shape)} fit neither x {format_shape(number.shape)} "
                f"nor axis {axis}"
            )
        share = reshape(share, tuple(-1 if i == axes[0] else 1 for i in range(len(number.shape))))
    weighted = multiply(number, share)
    return divide(total(weighted, axis), total(broadcast_to(share, number.shape), axis))


def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element less the smallest, over axes ("peak to peak")."""
    return subtract(largest(x, axis, keepdims), smallest(x, axis, keepdims))


def median(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The middle element in order over axes, the mean of the middle two for an even number.

    >>> import sardonyx as sx
    >>> float(sx.ops.median([3.0, 1.0, 2.0, 10.0]))
    2.5
    """
    return quantile(x, 0.5, axis, "linear", keepdims)


def percentile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """`ops.quantile` with `q` in percent, 0 to 100."""
    return quantile(x, _scaled_percent(q), axis, method, keepdims)


def _scaled_percent(q: Any) -> Any:
    return q / 100.0 if isinstance(q, (int, float)) else divide(q, 100.0)


def quantile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """The element below which a share `q` (0 to 1) of the elements lies, over axes; between two as `method` says.

    `q`: a number or a vector, which becomes the result's first axis. `method`: "linear", "lower", "higher",
    "midpoint" or "nearest". Raises `ValueError` for another method or a `q` outside of [0, 1].

    >>> import sardonyx as sx
    >>> sx.ops.quantile([0.0, 1.0, 2.0, 3.0], [0.5, 1.0]).numpy().tolist()
    [1.5, 3.0]
    """
    if method not in METHODS:
        raise ValueError(f"quantile: expected a method of {', '.join(METHODS)}, got {method!r}")
    number = convert_to_tensor(to_float(x))
    rank = len(number.shape)
    share = cast(q, number.dtype)
    if share.array is not None and ((share.array < 0) | (share.array > 1)).any():
        raise ValueError(f"quantile: expected shares between 0 and 1, got {share.array.tolist()}")
    if len(share.shape) > 1:
        raise ShapeError(f"quantile: expected q as a number or a vector, got shape {format_shape(share.shape)}")
    axes = axes_of("quantile", axis, rank)
    kept = [i for i in range(rank) if i not in axes]
    outer = tuple(number.shape[i] for i in kept)
    count = product([number.shape[i] for i in axes])
    rows = reshape(transpose(number, (*kept, *axes)), (*outer, count))
    values = _interpolated(sort_primitive(rows, axis=len(outer)), share, count, method)
    values = transpose(values, (len(outer), *range(len(outer))))
    shape = tuple(1 if i in axes else number.shape[i] for i in range(rank)) if keepdims else outer
    return reshape(values, (*share.shape, *shape))


def _interpolated(ordered: Tensor, share: Tensor, count: Any, method: str) -> Tensor:
    """Elements of the last, ordered axis at the places `share * (count - 1)`: that axis becomes the shares."""
    last = count - 1 if isinstance(count, int) else size_value(size=count - 1, dtype=ordered.dtype)
    place = multiply(reshape(share, (-1,)), last)
    if method == "nearest":
        return _picked(ordered, round(place))
    below, above = floor(place), ceil(place)
    if method in ("lower", "higher"):
        return _picked(ordered, below if method == "lower" else above)
    low, high = _picked(ordered, below), _picked(ordered, above)
    weight = subtract(place, below) if method == "linear" else cast(not_equal(below, above), ordered.dtype) * 0.5
    return add(low, multiply(subtract(high, low), weight))


def _picked(ordered: Tensor, places: Tensor) -> Tensor:
    axis = len(ordered.shape) - 1
    indices = broadcast_to(cast(places, "int32"), (*ordered.shape[:axis], places.shape[0]))
    return gather_elements(ordered, indices, axis)


def normalize(x: Any, axis: int | Sequence[int] | None = -1, order: Any = 2, epsilon: float | None = None) -> Tensor:
    """`x` divided by its norm along an axis, or by `epsilon` (1e-7, or the dtype's least) where that is larger.

    >>> import sardonyx as sx
    >>> print(sx.ops.normalize([3.0, 4.0]).numpy())
    [0.6 0.8]
    """
    number = convert_to_tensor(to_float(x))
    least = 1e-7 if epsilon is None else epsilon
    if not isinstance(order, (int, float)) or not order > 0:
        raise ValueError(f"normalize: order must be a number above 0, got {order!r}")
    if number.shape == ():
        number = reshape(number, (1,))
    if order == 2:
        squared = total(square(number), axis, keepdims=True)
        return divide(number, sqrt(maximum(squared, least * least)))
    return divide(number, maximum(norm(number, order, axis, keepdims=True), least))


