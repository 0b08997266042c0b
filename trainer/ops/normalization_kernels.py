"""NumPy kernels of normalisations: several passes over blocks that stay in the cache, sums as matrix products.

Per sample (layer and RMS normalisation): rows of a matrix. What is per channel stands in `channel_kernels.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from .memory import empty
from .parallel import run_blocks

BLOCK_BYTES = 1 << 21
FAR = 64.0
"""Mean square against variance from which on the variance is computed in two passes: 5 of 24 bits are lost there."""
RATE = 600.0
"""Elements that are normalised in a microsecond, roughly; of gradients half as many."""
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
    parts = _parts(x.shape[0], 3 * width * x.itemsize)

    def run(i: int, scratch: np.ndarray) -> None:
        part = parts[i]
        target = out[part]
        rows, mean, inverse = _deviations(x[part], epsilon, centered)
        # NumPy hands only products of at least two columns to BLAS: the second one is zero
        sides = np.ones((len(inverse), 2), x.dtype)
        sides[:, 0] = inverse
        np.matmul(sides, factors, out=target)
        target *= rows
        if mean is None and bias is None:
            return
        sides[:, 0] = 0.0 if mean is None else -mean * inverse
        target += np.matmul(sides, columns, out=scratch[: len(inverse)])

    run_blocks(run, len(parts), x.size / RATE, lambda: _room(x, parts))
    return out


def _parts(rows: int, row_bytes: int) -> list[slice]:
    """Ranges of rows that fit the cache together, as even as can be, for several threads to share."""
    count = -(-rows // block_rows(rows, row_bytes)) if rows else 0
    step = -(-rows // max(1, count))
    return [slice(i, min(i + step, rows)) for i in range(0, rows, max(1, step))]


def _room(x: np.ndarray, parts: list[slice]) -> np.ndarray:
    """Memory for the rows of a part."""
    return empty((parts[0].stop, x.shape[1]), x.dtype)


def normalize_rows_gradient(
    dy: np.ndarray, x: np.ndarray, scale: np.ndarray | None, epsilon: float, centered: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `normalize_rows` for x, scale and bias.

    With G = dy * scale, r one over the deviation and m the mean of G times the standardised x:
    `dx = dy * (r scale) - x * (r² m) + (r² m mean - r mean(G))`.
    """
    width = x.shape[1]
    dx = empty(x.shape, x.dtype)
    weights = ones(width, x.dtype) if scale is None else scale
    # see normalize_rows: a column of numbers is spread over a row by a product of two columns, the second one zero
    factors = np.stack([weights, np.zeros(width, x.dtype)])
    plain_factors = np.stack([ones(width, x.dtype), np.zeros(width, x.dtype)])
    share = x.dtype.type(1.0 / width)
    parts = _parts(x.shape[0], 4 * width * x.itemsize)
    sums = np.zeros((len(parts), 2, width), x.dtype)

    def run(i: int, scratch: np.ndarray) -> None:
        part = parts[i]
        g, block = dy[part], dx[part]
        rows, mean, inverse = _deviations(x[part], epsilon, centered)
        product = np.multiply(g, rows, out=scratch[: len(g)])
        plain, along = g @ weights, product @ weights
        sums[i] = inverse @ product, ones(len(g), x.dtype) @ g
        if mean is not None:
            along -= mean * plain
            sums[i, 0] -= (mean * inverse) @ g
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

    run_blocks(run, len(parts), 2 * x.size / RATE, lambda: _room(x, parts))
    d_scale, d_bias = sums.sum(0)
    return dx, d_scale, d_bias
