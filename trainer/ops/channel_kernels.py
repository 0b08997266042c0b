"""NumPy kernels of batch and group normalisation: images as (sets, rows, channels), in blocks that stay in the cache.

Statistics belong to a set, and to a channel or a group of neighbouring channels. Many short rows are treated as one
long one; sums of blocks are added up in order, whichever thread has made them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .blocks import zeros_row
from .memory import empty, tiled
from .normalization_kernels import block_rows, blocks, is_far, ones, repeats
from .parallel import run_blocks

SHORT = 64
"""Elements of a row below which `einsum` spends more on starting its sums than on them."""


def _long(*arrays: np.ndarray) -> tuple[int, list[np.ndarray]]:
    """How many rows make a long one, and matrices of one shape as such."""
    times = repeats(*arrays[0].shape)
    return times, [a.reshape(-1, times * a.shape[1]) for a in arrays]


def _each_block(run: Callable[[int, slice], None], x: np.ndarray, arrays: int) -> int:
    """Run over blocks of a matrix's rows that fit the cache as often as there are arrays; returns how many."""
    parts = list(blocks(x.shape[0], arrays * x.shape[1] * x.itemsize))
    run_blocks(lambda i: run(i, parts[i]), len(parts), arrays * x.size / 4e3)
    return len(parts)


def _count(x: np.ndarray, arrays: int) -> int:
    return len(list(blocks(x.shape[0], arrays * x.shape[1] * x.itemsize)))


def _sum_of_products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sums over rows of `x * y`, in one pass where rows are long enough."""
    return np.einsum("ij,ij->j", x, y) if x.shape[1] >= SHORT else ones(len(x), x.dtype) @ (x * y)


def sum_squares(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Sum of the squared deviations of a matrix's rows from `mean`."""
    times, (long,) = _long(x)
    shift = tiled(mean, times)
    totals = np.zeros((_count(long, 2), long.shape[1]), x.dtype)

    def run(i: int, part: slice) -> None:
        deviation = long[part] - shift
        totals[i] = _sum_of_products(deviation, deviation)

    _each_block(run, long, 2)
    return totals.sum(0).reshape(times, -1).sum(0)


def sums_and_squares(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of a matrix's rows and of their squares, in one pass."""
    times, (long,) = _long(x)
    totals = np.zeros((_count(long, 2), 2, long.shape[1]), x.dtype)

    def run(i: int, part: slice) -> None:
        block = long[part]
        totals[i, 0] = ones(len(block), x.dtype) @ block
        totals[i, 1] = _sum_of_products(block, block)

    _each_block(run, long, 2)
    plain, square = totals.sum(0).reshape(2, times, -1).sum(1)
    return plain, square


def scale_rows(
    x: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
    out: np.ndarray,
    rectified: bool = False,
    added: np.ndarray | None = None,
) -> None:
    """`out = x * scale + bias` for a matrix, element by element of a row; with what is `added`, and relu if wanted."""
    times, (long, target) = _long(x, out)
    more = None if added is None else added.reshape(long.shape)
    first, second = tiled(scale, times), tiled(bias, times)
    zeros = zeros_row(long.shape[1], x.dtype)

    def run(i: int, part: slice) -> None:
        block = np.multiply(long[part], first, out=target[part])
        block += second
        if more is not None:
            block += more[part]
        if rectified:
            np.maximum(block, zeros, out=block)

    _each_block(run, long, 2)


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
    x: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
    epsilon: float,
    width: int,
    rectified: bool = False,
    added: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(sets, rows, channels) standardised per set and group of channels; also means and variances (sets, channels).

    What is `added` has the shape of x, and is rectified with the results if these are.
    """
    out = empty(x.shape, x.dtype)
    mean, variance = np.empty((2, x.shape[0], x.shape[2]), x.dtype)
    for i in range(x.shape[0]):
        mean[i], variance[i] = channel_statistics(x[i], width)
        factor = scale / np.sqrt(variance[i] + x.dtype.type(epsilon))
        more = None if added is None else added[i]
        scale_rows(x[i], factor, bias - mean[i] * factor, out[i], rectified, more)
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
    times, (long, gradient) = _long(x, dy)
    away = None if shift is None else tiled(shift, times)
    totals = np.zeros((_count(long, 3), 2, long.shape[1]), x.dtype)

    def run(i: int, part: slice) -> None:
        g, seen = gradient[part], long[part]
        totals[i, 0] = _sum_of_products(seen if away is None else seen - away, g)
        totals[i, 1] = ones(len(g), x.dtype) @ g

    _each_block(run, long, 3)
    along, plain = totals.sum(0).reshape(2, times, -1).sum(1)
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
    times, (long, gradient, target) = _long(x, dy, out)
    first, second, third = (tiled(v.astype(x.dtype, copy=False), times) for v in (a, b, c))
    away = None if shift is None else tiled(shift, times)

    def scratch() -> np.ndarray:
        return empty((block_rows(long.shape[0], 4 * long.shape[1] * x.itemsize), long.shape[1]), x.dtype)

    parts = list(blocks(long.shape[0], 4 * long.shape[1] * x.itemsize))

    def run(i: int, room: np.ndarray) -> None:
        part = parts[i]
        block = np.multiply(gradient[part], first, out=target[part])
        if away is None:
            moved = np.multiply(long[part], second, out=room[: len(block)])
        else:
            moved = np.subtract(long[part], away, out=room[: len(block)])
            moved *= second
        block += moved
        block += third

    run_blocks(run, len(parts), x.size / 1e3, scratch)
