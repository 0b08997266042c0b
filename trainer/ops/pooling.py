"""Pooling over one to three spatial axes, by windows of one size or by so many windows (names of `keras.ops`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dims import product
from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from .arithmetic import divide
from .axes import transpose
from .broadcast import reshape, sum_axes
from .convert import cast, convert_to_tensor, to_float
from .join import concatenate
from .linalg import matmul
from .pooling_primitives import average_pool_primitive, max_pool_primitive
from .reduce import amax
from .windows import check_image_rank, per_axis, standard_data_format, standard_padding

__all__ = ["adaptive_average_pool", "adaptive_max_pool", "average_pool", "max_pool"]


def _windows(operation: str, x: Tensor, pool_size: Any, strides: Any, padding: Any, data_format: Any) -> dict[str, Any]:
    """Checked attributes of a pooling primitive."""
    rank = check_image_rank(x.shape, operation)
    pool = per_axis(pool_size, rank, "pool_size", operation)
    return {
        "pool": pool,
        "strides": pool if strides is None else per_axis(strides, rank, "strides", operation),
        "padding": standard_padding(padding, operation, rank=rank),
        "channels_last": standard_data_format(data_format, operation) == "channels_last",
    }


def max_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: Any = "valid", data_format: str | None = None
) -> Tensor:
    """The largest cell of each window (ONNX: MaxPool). Of equal cells the first, row by row, receives the gradient.

    inputs: (batch, *sizes, channels), or (batch, channels, *sizes) with `data_format="channels_first"`
    pool_size, strides: cells, one integer or one a spatial axis; strides default to the pool size
    padding: "valid", or "same", which adds cells that are never the largest; or pairs of cells, one pair an axis

    >>> import sardonyx as sx
    >>> sx.ops.max_pool(sx.ops.reshape(sx.ops.cast([1, 5, 2, 4], "float32"), (1, 4, 1)), 2).numpy().ravel().tolist()
    [5.0, 4.0]
    """
    x = convert_to_tensor(inputs)
    return max_pool_primitive(x, **_windows("max_pool", x, pool_size, strides, padding, data_format))


def average_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: Any = "valid", data_format: str | None = None
) -> Tensor:
    """The mean of each window; cells that "same" adds do not count (ONNX: AveragePool).

    Parameters as in `max_pool`.

    >>> import sardonyx as sx
    >>> x = sx.ops.reshape(sx.ops.cast([1, 5, 3], "float32"), (1, 3, 1))
    >>> sx.ops.average_pool(x, 2, padding="same").numpy().ravel()
    array([3., 3.], dtype=float32)
    """
    x = to_float(inputs)
    return average_pool_primitive(x, **_windows("average_pool", x, pool_size, strides, padding, data_format))


def _adaptive_axes(operation: str, x: Tensor, output_size: Any, data_format: Any) -> list[tuple[int, int]]:
    """(axis, windows wanted) for each spatial axis; None keeps the size."""
    rank = check_image_rank(x.shape, operation)
    last = standard_data_format(data_format, operation) == "channels_last"
    first = 1 if last else 2
    given = (output_size,) * rank if isinstance(output_size, (int, np.integer)) else tuple(output_size)
    if len(given) != rank:
        raise ValueError(f"{operation}: output_size needs one integer, or {rank}, got {output_size!r}")
    wanted = [(first + i, n) for i, n in enumerate(given) if n is not None]
    for axis, n in wanted:
        if not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(f"{operation}: output_size must be whole numbers of at least 1, got {output_size!r}")
        if x.shape[axis] == 0:
            raise ShapeError(f"{operation}: axis {axis} of {format_shape(x.shape)} is empty: no window has a cell")
    return [(axis, int(n)) for axis, n in wanted]


def _bounds(size: Any, windows: int) -> list[tuple[Any, Any]]:
    """First cell and end of each window; neighbours share cells where the size is no multiple."""
    return [(i * size // windows, -(-(i + 1) * size // windows)) for i in range(windows)]


def _regular(x: Tensor, axes: list[tuple[int, int]]) -> tuple[int, ...] | None:
    """The window's sizes where every axis divides evenly."""
    spatial = len(x.shape) - 2
    if len(axes) < spatial or any(not isinstance(x.shape[a], int) or x.shape[a] % n for a, n in axes):
        return None
    return tuple(x.shape[a] // n for a, n in axes)


def adaptive_average_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Tensor:
    """The means of so many windows that the result has the wanted sizes.

    Window i of n reaches from `floor(i * size / n)` to `ceil((i + 1) * size / n)`, also of an axis of unknown size.

    >>> import sardonyx as sx
    >>> sx.ops.adaptive_average_pool(sx.ops.ones((1, 7, 5, 3)), (3, 2)).shape
    (1, 3, 2, 3)
    """
    x = to_float(inputs)
    axes = _adaptive_axes("adaptive_average_pool", x, output_size, data_format)
    pool = _regular(x, axes)
    if pool is not None and all(n != 1 for _, n in axes):
        return average_pool(x, pool, data_format=data_format)
    whole = tuple(a for a, n in axes if n == 1)
    if whole:
        count = product([x.shape[a] for a in whole])
        x = divide(sum_axes(x, whole, True), cast(convert_to_tensor(count), x.dtype))
    for axis, n in axes:
        if n != 1 and n != x.shape[axis]:
            x = _average_axis(x, axis, n)
    return x


def _average_axis(x: Tensor, axis: int, windows: int) -> Tensor:
    """Means along one axis as a product with a matrix of weights; of a size that is not known, window by window."""
    size: Any = x.shape[axis]
    if not isinstance(size, int):
        cut = [(x[(*[slice(None)] * axis, slice(a, b))], b - a) for a, b in _bounds(size, windows)]
        means = [divide(sum_axes(part, (axis,), True), cast(convert_to_tensor(n), x.dtype)) for part, n in cut]
        return concatenate(means, axis=axis)
    weights = np.zeros((size, windows), x.dtype)
    for i, (start, stop) in enumerate(_bounds(size, windows)):
        weights[start:stop, i] = 1.0 / (stop - start)
    rank = len(x.shape)
    order = [a for a in range(rank) if a != axis]
    mixed = matmul(transpose(x, (*order, axis)), weights)
    back = sorted(range(rank), key=lambda a: [*order, axis][a])
    return transpose(mixed, back)


def adaptive_max_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Tensor:
    """The largest cells of so many windows that the result has the wanted sizes; windows as in `adaptive_average_pool`.

    >>> import sardonyx as sx
    >>> sx.ops.adaptive_max_pool(sx.ops.ones((1, 7, 5, 3)), (3, 2)).shape
    (1, 3, 2, 3)
    """
    x = convert_to_tensor(inputs)
    axes = _adaptive_axes("adaptive_max_pool", x, output_size, data_format)
    for axis, n in axes:
        x = _max_axis(x, axis, n)
    return x


def _max_axis(x: Tensor, axis: int, windows: int) -> Tensor:
    """Maxima along one axis: the image as (before, axis, after), its windows laid side by side."""
    size = x.shape[axis]
    if size == windows:
        return x
    if not isinstance(size, int):
        cut = [x[(*[slice(None)] * axis, slice(a, b))] for a, b in _bounds(size, windows)]
        return concatenate([amax(part, axis, True) for part in cut], axis=axis)
    before, after = product(x.shape[:axis]), product(x.shape[axis + 1 :])
    flat = reshape(x, (before, size, after))
    reach: Any = size
    if windows != 1:
        bounds = _bounds(size, windows)
        reach = max(stop - start for start, stop in bounds)
        flat = flat if size == reach * windows else _side_by_side(flat, bounds, reach)
    options: dict[str, Any] = {"pool": (reach,), "strides": (reach,), "padding": "valid", "channels_last": True}
    pooled = max_pool_primitive(flat, **options)
    return reshape(pooled, (*x.shape[:axis], windows, *x.shape[axis + 1 :]))


def _side_by_side(x: Tensor, bounds: list[tuple[int, int]], reach: int) -> Tensor:
    """The cells (axis 1) of one window after the other. A shorter window repeats its last cell: that changes neither
    the maximum nor which cell is the first to have it."""
    parts: list[Any] = []
    for start, stop in bounds:
        parts += [x[:, start:stop]] + [x[:, stop - 1 : stop]] * (reach - (stop - start))
    return concatenate(parts, axis=1)
