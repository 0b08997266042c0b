"""NumPy kernels of normalisations: several passes over blocks that stay in the cache, sums as matrix products.

Per sample (layer and RMS normalisation): rows of a matrix. Per channel (batch and group normalisation): images as
(sets, rows, channels); statistics belong to a set, and to a channel or a group of neighbouring channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from .memory import empty, tiled

BLOCK_BYTES = 1 << 21
FAR = 64.0
"""Mean square against variance from which on the variance is computed in two passes: 5 of 24 bits are lost there."""
LONG_ROW = 1024
"""Elements of a row long enough that what NumPy spends on starting an inner loop is forgotten."""


@lru_cache(maxsize=256)
def ones(count: int, dtype: np.dtype) -> np.ndarray:
    """A shared row of ones: `ones @ x` sums rows several times faster than NumPy's own sum."""
    row = np.ones(count, dtype)
    row.flags.writeable = False
    return row


def block_rows(rows: int, row_bytes: int) -> int:
    """How many rows fit the cache together, at least one."""
    return max(1, min(rows, BLOCK_BYTES // max(1, row_bytes)))


def blocks(rows: int, row_bytes: int) -> Iterator[slice]:
    """Ranges of rows that fit the cache together."""
    step = block_rows(rows, row_bytes)
    return (slice(i, min(i + step, rows)) for i in range(0, rows, step))


def repeats(rows: int, width: int) -> int:
    """How many short rows to treat as one long one: a divisor of the number of rows."""
    wanted = max(1, min(rows, LONG_ROW // max(1, width)))
    return next((n for n in range(wanted, 0, -1) if rows % n == 0), 1)


def _deviations(x: np.ndarray, epsilon: float, centered: bool) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Rows, their means and one over their deviations; rows far from zero come back centred, with no means.

    `E x² - (E x)²` spares a pass, and loses digits only where the mean is large against the deviation.
    """
    width = x.shape[1]
    square = np.vecdot(x, x)
    square *= x.dtype.type(1.0 / width)
    mean = None
    if centered:
        mean = x @ ones(width, x.dtype)
        mean *= x.dtype.type(1.0 / width)
        shift = mean * mean
        square -= shift
        if is_far(shift, square):
            x, mean = x - mean[:, None], None
            square = np.vecdot(x, x)
            square *= x.dtype.type(1.0 / width)
    square += x.dtype.type(epsilon)
    np.sqrt(square, out=square)
    np.reciprocal(square, out=square)
    return x, mean, square


def is_far(squared_mean: np.ndarray, variance: np.ndarray) -> bool:
    """Whether some mean is so large against its deviation that `E x² - (E x)²` has lost digits."""
    return bool((squared_mean > FAR * variance).any())


def normalize_rows(
    x: np.ndarray, scale: np.ndarray | None, bias: np.ndarray | None, epsilon: float, centered: bool
) -> np.ndarray:
    """Each row of a matrix standardised, then scaled and shifted element by element.

    `y = x * (r scale) + (-mean r) scale + bias`: what varies with row and column are products of thin matrices.
    """
    out = empty(x.shape, x.dtype)
    width = x.shape[1]
    columns = np.zeros((2, width), x.dtype)
    columns[0] = 1.0 if scale is None else scale
    if bias is not None:
        columns[1] = bias
    factors = np.stack([columns[0], np.zeros_like(columns[0])])
    scratch = empty((block_rows(x.shape[0], 3 * width * x.itemsize), width), x.dtype)
    for part in blocks(x.shape[0], 3 * width * x.itemsize):
        target = out[part]
        rows, mean, inverse = _deviations(x[part], epsilon, centered)
        # NumPy hands only products of at least two columns to BLAS: the second one is zero
        sides = np.ones((len(inverse), 2), x.dtype)
        sides[:, 0] = inverse
        np.matmul(sides, factors, out=target)
        target *= rows
        if mean is None and bias is None:
            continue
        sides[:, 0] = 0.0 if mean is None else -mean * inverse
        target += np.matmul(sides, columns, out=scratch[: len(inverse)])
    return out


def normalize_rows_gradient(
    dy: np.ndarray, x: np.ndarray, scale: np.ndarray | None, epsilon: float, centered: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `normalize_rows` for x, scale and bias.

    With G = dy * scale, r one over the deviation and m the mean of G times the standardised x:
    `dx = dy * (r scale) - x * (r² m) + (r² m mean - r mean(G))`.
    """
    width = x.shape[1]
    dx = empty(x.shape, x.dtype)
    sums = np.zeros((2, width), x.dtype)
    weights = ones(width, x.dtype) if scale is None else scale
    # see normalize_rows: a column of numbers is spread over a row by a product of two columns, the second one zero
    factors = np.stack([weights, np.zeros(width, x.dtype)])
    plain_factors = np.stack([ones(width, x.dtype), np.zeros(width, x.dtype)])
    share = x.dtype.type(1.0 / width)
    scratch = empty((block_rows(x.shape[0], 4 * width * x.itemsize), width), x.dtype)
    for part in blocks(x.shape[0], 4 * width * x.itemsize):
        g, block = dy[part], dx[part]
        rows, mean, inverse = _deviations(x[part], epsilon, centered)
        product = np.multiply(g, rows, out=scratch[: len(g)])
        plain, along = g @ weights, product @ weights
        sums[0] += inverse @ product
        sums[1] += ones(len(g), x.dtype) @ g
        if mean is not None:
            along -= mean * plain
            sums[0] -= (mean * inverse) @ g
        slope = along * inverse * inverse * inverse * share
        shift = np.zeros_like(slope) if mean is None else mean * slope
        if centered:
            shift -= plain * inverse * share
        sides = np.ones((len(g), 2), x.dtype)
        sides[:, 0] = inverse
        np.matmul(sides, factors, out=block)
        block *= g
        sides[:, 0] = -slope
        np.matmul(sides, plain_factors, out=product)
        product *= rows
        block += product
        if centered:
            sides[:, 0] = shift
            block += np.matmul(sides, plain_factors, out=product)
    return dx, sums[0], sums[1]


def sum_squares(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Sum of the squared deviations of a matrix's rows from `mean`."""
    times = repeats(*x.shape)
    long, shift = x.reshape(-1, times * x.shape[1]), tiled(mean, times)
    total = np.zeros(long.shape[1], x.dtype)
    for part in blocks(long.shape[0], 2 * long.shape[1] * x.itemsize):
        deviation = long[part] - shift
        deviation *= deviation
        total += ones(len(deviation), x.dtype) @ deviation
    return total.reshape(times, -1).sum(0)


def sums_and_squares(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of a matrix's rows and of their squares, in one pass."""
    times = repeats(*x.shape)
    long = x.reshape(-1, times * x.shape[1])
    total = np.zeros((2, long.shape[1]), x.dtype)
    row_bytes = 2 * long.shape[1] * x.itemsize
    scratch = empty((block_rows(long.shape[0], row_bytes), long.shape[1]), x.dtype)
    for part in blocks(long.shape[0], row_bytes):
        block = long[part]
        row = ones(len(block), x.dtype)
        total[0] += row @ block
        total[1] += row @ np.multiply(block, block, out=scratch[: len(block)])
    plain, square = total.reshape(2, times, -1).sum(1)
    return plain, square


def scale_rows(x: np.ndarray, scale: np.ndarray, bias: np.ndarray, out: np.ndarray) -> None:
    """`out = x * scale + bias` for a matrix, element by element of a row."""
    times = repeats(*x.shape)
    shape = (-1, times * x.shape[1])
    long, target = x.reshape(shape), out.reshape(shape)
    first, second = tiled(scale, times), tiled(bias, times)
    for part in blocks(long.shape[0], 2 * long.shape[1] * x.itemsize):
        block = target[part]
        np.multiply(long[part], first, out=block)
        block += second


def grouped(values: np.ndarray, width: int) -> np.ndarray:
    """Sums over groups of `width` neighbouring channels, given back to each channel."""
    return values if width == 1 else np.repeat(values.reshape(-1, width).sum(1), width)


def channel_statistics(x: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of a matrix's columns, over groups of `width` neighbouring columns."""
    count = x.shape[0] * width
    plain, square = sums_and_squares(x)
    mean = grouped(plain, width) / count
    shift = mean * mean
    variance = grouped(square, width) / count - shift
    if is_far(shift, variance):
        variance = grouped(sum_squares(x, mean), width) / count
    return mean, variance


def normalize_channels(
    x: np.ndarray, scale: np.ndarray, bias: np.ndarray, epsilon: float, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(sets, rows, channels) standardised per set and group of channels; also means and variances (sets, channels)."""
    out = empty(x.shape, x.dtype)
    mean, variance = np.empty((2, x.shape[0], x.shape[2]), x.dtype)
    for i in range(x.shape[0]):
        mean[i], variance[i] = channel_statistics(x[i], width)
        factor = scale / np.sqrt(variance[i] + x.dtype.type(epsilon))
        scale_rows(x[i], factor, bias - mean[i] * factor, out[i])
    return out, mean, variance


def normalize_channels_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    scale: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    epsilon: float,
    width: int,
    dmean: np.ndarray | None = None,
    dvariance: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `normalize_channels` for x, scale and bias; dmean and dvariance are those of the statistics."""
    dx = empty(x.shape, x.dtype)
    dscale, dbias = np.zeros((2, x.shape[2]), x.dtype)
    count = x.shape[1] * width
    for i in range(x.shape[0]):
        inverse = 1.0 / np.sqrt(variance[i] + x.dtype.type(epsilon))
        shift = mean[i] if is_far(mean[i] * mean[i], variance[i]) else None
        along, plain = _channel_sums(dy[i], x[i], shift)
        if shift is None:
            along -= mean[i] * plain
        along *= inverse
        dscale += along
        dbias += plain
        # dx = dy * a + (x - mean) * b + c, each one number a channel
        a = scale * inverse
        b = -grouped(scale * along, width) / count * inverse * inverse
        c = -grouped(scale * plain, width) / count * inverse
        if dmean is not None:
            c = c + dmean / count
        if dvariance is not None:
            b = b + dvariance * (2.0 / count)
        _affine_pair(dy[i], x[i], a, b, c if shift is not None else c - mean[i] * b, shift, dx[i])
    return dx, dscale, dbias


def _channel_sums(dy: np.ndarray, x: np.ndarray, shift: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Sums over rows of `dy * (x - shift)` and of `dy`."""
    times = repeats(*x.shape)
    shape = (-1, times * x.shape[1])
    long, gradient = x.reshape(shape), dy.reshape(shape)
    away = None if shift is None else tiled(shift, times)
    total = np.zeros((2, long.shape[1]), x.dtype)
    row_bytes = 3 * long.shape[1] * x.itemsize
    scratch = empty((block_rows(long.shape[0], row_bytes), long.shape[1]), x.dtype)
    for part in blocks(long.shape[0], row_bytes):
        g, product = gradient[part], scratch[: len(gradient[part])]
        if away is None:
            np.multiply(long[part], g, out=product)
        else:
            np.subtract(long[part], away, out=product)
            product *= g
        row = ones(len(g), x.dtype)
        total[0] += row @ product
        total[1] += row @ g
    along, plain = total.reshape(2, times, -1).sum(1)
    return along, plain


def _affine_pair(
    dy: np.ndarray,
    x: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    shift: np.ndarray | None,
    out: np.ndarray,
) -> None:
    """`out = dy * a + (x - shift) * b + c`; x far from zero is centred first, so that its mean costs no digits."""
    times = repeats(*x.shape)
    shape = (-1, times * x.shape[1])
    long, gradient, target = x.reshape(shape), dy.reshape(shape), out.reshape(shape)
    first, second, third = (tiled(v.astype(x.dtype, copy=False), times) for v in (a, b, c))
    away = None if shift is None else tiled(shift, times)
    row_bytes = 4 * long.shape[1] * x.itemsize
    scratch = empty((block_rows(long.shape[0], row_bytes), long.shape[1]), x.dtype)
    for part in blocks(long.shape[0], row_bytes):
        block = target[part]
        if away is None:
            np.multiply(long[part], second, out=block)
        else:
            np.subtract(long[part], away, out=block)
            block *= second
        block += np.multiply(gradient[part], first, out=scratch[: len(block)])
        block += third
