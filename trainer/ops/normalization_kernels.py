"""NumPy kernels of normalisations: several passes over blocks that stay in the cache, sums as matrix products.

Per sample (layer and RMS normalisation): rows of a matrix. Per channel (batch and group normalisation): images as
(sets, rows, channels); statistics belong to a set, and to a channel or a group of neighbouring channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

BLOCK_BYTES = 1 << 18
LONG_ROW = 2048
"""Elements of a row long enough that what NumPy spends on starting an inner loop is forgotten."""


@lru_cache(maxsize=256)
def ones(count: int, dtype: np.dtype) -> np.ndarray:
    """A shared row of ones: `ones @ x` sums rows several times faster than NumPy's own sum."""
    row = np.ones(count, dtype)
    row.flags.writeable = False
    return row


def blocks(rows: int, row_bytes: int) -> Iterator[slice]:
    """Ranges of rows that fit the cache together."""
    step = max(1, BLOCK_BYTES // max(1, row_bytes))
    return (slice(i, min(i + step, rows)) for i in range(0, rows, step))


def repeats(rows: int, width: int) -> int:
    """How many short rows to treat as one long one: a divisor of the number of rows."""
    wanted = max(1, min(rows, LONG_ROW // max(1, width)))
    return next((n for n in range(wanted, 0, -1) if rows % n == 0), 1)


def _standardize(x: np.ndarray, epsilon: float, centered: bool, out: np.ndarray) -> np.ndarray:
    """Rows with mean 0 (if centered) and mean square 1, into `out`; returns one over the rows' deviations."""
    width = x.shape[1]
    if centered:
        mean = x @ ones(width, x.dtype)
        mean *= x.dtype.type(1.0 / width)
        np.subtract(x, mean[:, None], out=out)
    square = np.einsum("ij,ij->i", out if centered else x, out if centered else x)
    inverse = 1.0 / np.sqrt(square / width + epsilon)
    inverse = inverse.astype(x.dtype, copy=False)
    np.multiply(out if centered else x, inverse[:, None], out=out)
    return inverse


def normalize_rows(
    x: np.ndarray, scale: np.ndarray | None, bias: np.ndarray | None, epsilon: float, centered: bool
) -> np.ndarray:
    """Each row of a matrix standardised, then scaled and shifted element by element."""
    out = np.empty(x.shape, x.dtype)
    for part in blocks(x.shape[0], x.shape[1] * x.itemsize):
        block = out[part]
        _standardize(x[part], epsilon, centered, block)
        times = repeats(*block.shape)
        long = block.reshape(-1, times * block.shape[1])
        if scale is not None:
            long *= np.tile(scale, times)
        if bias is not None:
            long += np.tile(bias, times)
    return out


def normalize_rows_gradient(
    dy: np.ndarray, x: np.ndarray, scale: np.ndarray | None, epsilon: float, centered: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `normalize_rows` for x, scale and bias."""
    width = x.shape[1]
    dx = np.empty(x.shape, x.dtype)
    sums = np.zeros((2, width), x.dtype)
    share = x.dtype.type(1.0 / width)
    for part in blocks(x.shape[0], 3 * width * x.itemsize):
        g, block = dy[part], dx[part]
        standard = np.empty(block.shape, x.dtype)
        inverse = _standardize(x[part], epsilon, centered, standard)
        row = ones(len(g), x.dtype)
        np.multiply(g, standard, out=block)
        sums[0] += row @ block
        sums[1] += row @ g
        if scale is not None:
            times = repeats(*block.shape)
            shape = (-1, times * width)
            np.multiply(g.reshape(shape), np.tile(scale, times), out=block.reshape(shape))
        else:
            np.copyto(block, g)
        along = np.einsum("ij,ij->i", block, standard)
        along *= share
        if centered:
            mean = block @ ones(width, x.dtype)
            mean *= share
            block -= mean[:, None]
        standard *= along[:, None]
        block -= standard
        block *= inverse[:, None]
    return dx, sums[0], sums[1]


def sum_rows(x: np.ndarray) -> np.ndarray:
    """Sum of a matrix's rows."""
    times = repeats(*x.shape)
    long = x.reshape(-1, times * x.shape[1])
    total = np.zeros(long.shape[1], x.dtype)
    for part in blocks(long.shape[0], long.shape[1] * x.itemsize):
        total += ones(part.stop - part.start, x.dtype) @ long[part]
    return total.reshape(times, -1).sum(0)


def sum_squares(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Sum of the squared deviations of a matrix's rows from `mean`; in two passes, since `E x² - (E x)²` loses digits."""
    times = repeats(*x.shape)
    long, shift = x.reshape(-1, times * x.shape[1]), np.tile(mean, times)
    total = np.zeros(long.shape[1], x.dtype)
    for part in blocks(long.shape[0], 2 * long.shape[1] * x.itemsize):
        deviation = long[part] - shift
        deviation *= deviation
        total += ones(len(deviation), x.dtype) @ deviation
    return total.reshape(times, -1).sum(0)


def scale_rows(x: np.ndarray, scale: np.ndarray, bias: np.ndarray, out: np.ndarray) -> None:
    """`out = x * scale + bias` for a matrix, element by element of a row."""
    times = repeats(*x.shape)
    shape = (-1, times * x.shape[1])
    long, target = x.reshape(shape), out.reshape(shape)
    first, second = np.tile(scale, times), np.tile(bias, times)
    for part in blocks(long.shape[0], 2 * long.shape[1] * x.itemsize):
        np.multiply(long[part], first, out=target[part])
        target[part] += second


def grouped(values: np.ndarray, width: int) -> np.ndarray:
    """Sums over groups of `width` neighbouring channels, given back to each channel."""
    return values if width == 1 else np.repeat(values.reshape(-1, width).sum(1), width)


def channel_statistics(x: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of a matrix's columns, over groups of `width` neighbouring columns."""
    count = x.shape[0] * width
    mean = grouped(sum_rows(x), width) / count
    return mean, grouped(sum_squares(x, mean), width) / count


def normalize_channels(
    x: np.ndarray, scale: np.ndarray, bias: np.ndarray, epsilon: float, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(sets, rows, channels) standardised per set and group of channels; also means and variances (sets, channels)."""
    out = np.empty(x.shape, x.dtype)
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
    dx = np.empty(x.shape, x.dtype)
    dscale, dbias = np.zeros((2, x.shape[2]), x.dtype)
    count = x.shape[1] * width
    for i in range(x.shape[0]):
        inverse = 1.0 / np.sqrt(variance[i] + x.dtype.type(epsilon))
        along, plain = _channel_sums(dy[i], x[i], mean[i])
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
        _affine_pair(dy[i], x[i], a, b, c, mean[i], dx[i])
    return dx, dscale, dbias


def _channel_sums(dy: np.ndarray, x: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums over rows of `dy * (x - mean)` and of `dy`."""
    times = repeats(*x.shape)
    shape = (-1, times * x.shape[1])
    long, gradient, shift = x.reshape(shape), dy.reshape(shape), np.tile(mean, times)
    total = np.zeros((2, long.shape[1]), x.dtype)
    for part in blocks(long.shape[0], 3 * long.shape[1] * x.itemsize):
        product = long[part] - shift
        product *= gradient[part]
        row = ones(len(product), x.dtype)
        total[0] += row @ product
        total[1] += row @ gradient[part]
    along, plain = total.reshape(2, times, -1).sum(1)
    return along, plain


def _affine_pair(
    dy: np.ndarray, x: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray, mean: np.ndarray, out: np.ndarray
) -> None:
    """`out = dy * a + (x - mean) * b + c`; x is centred first, so that a large mean costs no digits."""
    times = repeats(*x.shape)
    shape = (-1, times * x.shape[1])
    long, gradient, target = x.reshape(shape), dy.reshape(shape), out.reshape(shape)
    first, second, third, shift = (np.tile(v.astype(x.dtype, copy=False), times) for v in (a, b, c, mean))
    for part in blocks(long.shape[0], 4 * long.shape[1] * x.itemsize):
        block = target[part]
        np.subtract(long[part], shift, out=block)
        block *= second
        block += third
        block += gradient[part] * first
