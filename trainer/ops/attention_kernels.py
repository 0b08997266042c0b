"""NumPy kernels of attention: a few samples at a time, whose scores stay in the cache from product to product."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .broadcast import ones_row
from .memory import empty
from .parallel import run_blocks

GROUP = 1 << 16
"""Scores that are computed at once, at most, but for those of one sample."""
RATE = 200.0
"""Scores that a core computes in a microsecond, roughly."""
ROWS, COLUMNS, TURNED = (0, 2, 1, 3), (0, 2, 3, 1), (0, 1, 3, 2)
"""Orders of axes: (batch, time, heads, depth) with heads first, also turned; matrices of a stack turned."""


def lowest(dtype: Any) -> float:
    """What a masked score becomes: finite, so that a row with everything masked is uniform and not NaN."""
    return float(-0.7 * np.finfo(dtype).max)


def _totals(x: np.ndarray) -> np.ndarray:
    """Sums over the last axis, kept: as a matrix product, several times faster for short rows."""
    return (x.reshape(-1, x.shape[-1]) @ ones_row(x.shape[-1], x.dtype)).reshape(*x.shape[:-1], 1)


def _group(scores: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """How many samples are done at once, and the shape of their scores."""
    size = max(1, GROUP // max(1, prod(scores)))
    return size, (size, *scores)


def visible(steps: int, others: int, mask: Any, causal: bool) -> np.ndarray | None:
    """What may be seen, broadcasting to (batch, heads, time, key time); None where everything may."""
    if not causal:
        return mask
    earlier = np.tri(steps, others, dtype=bool)[None, None]
    return earlier if mask is None else mask & earlier


def forward(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, bias: Any, mask: Any, *, scale: float, causal: bool,
    kept: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Attention of (batch, time, heads, depth); `kept` (batch, heads, time, key time) receives the weights."""
    batch, steps, heads, _ = query.shape
    dtype, seen = query.dtype, visible(steps, key.shape[1], mask, causal)
    result = empty((batch, steps, heads, value.shape[3]), dtype)
    # as a minimum with a matrix: several times faster than assigning through a mask
    ceiling = None if seen is None else np.where(seen, np.finfo(dtype).max, dtype.type(lowest(dtype)))
    size, shape = _group((heads, steps, key.shape[1]))

    def attend(i: int, own: np.ndarray) -> None:
        part = slice(i * size, (i + 1) * size)
        scores: Any = own[: batch - i * size] if kept is None else kept[part]
        np.matmul(query[part].transpose(ROWS) * dtype.type(scale), key[part].transpose(COLUMNS), out=scores)
        if bias is not None:
            scores += bias[part] if len(bias) > 1 else bias
        if ceiling is not None:
            np.minimum(scores, ceiling[part] if len(ceiling) > 1 else ceiling, out=scores)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= _totals(scores)
        result[part] = np.matmul(scores, value[part].transpose(ROWS)).transpose(ROWS)

    time = batch * prod(shape[1:]) / RATE
    run_blocks(attend, -(-batch // size), time, lambda: np.empty(shape if kept is None else 0, dtype))
    return result


def backward(
    gradient: np.ndarray, query: np.ndarray, key: np.ndarray, value: np.ndarray, result: np.ndarray,
    weights: np.ndarray, seen: np.ndarray | None, scale: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Gradients of query, key and value from the result and the weights (batch, heads, time, key time) forwards."""
    d_query, d_key, d_value = (empty(x.shape, x.dtype) for x in (query, key, value))
    factor = query.dtype.type(scale)

    count, (size, shape) = len(query), _group(weights.shape[1:])

    def differentiate(i: int, work: np.ndarray) -> None:
        part, slopes = slice(i * size, (i + 1) * size), work[: count - i * size]
        share, g = weights[part], gradient[part].transpose(ROWS)
        d_value[part] = np.matmul(share.transpose(TURNED), g).transpose(ROWS)
        np.matmul(g, value[part].transpose(COLUMNS), out=slopes)
        # the mean of the slopes, weighted by the shares
        slopes -= _totals(gradient[part] * result[part]).transpose(ROWS)
        slopes *= share
        if seen is not None:
            slopes *= seen[part] if len(seen) > 1 else seen
        d = np.matmul(slopes, key[part].transpose(ROWS)).transpose(ROWS)
        np.multiply(d, factor, out=d_query[part])
        d = np.matmul(slopes.transpose(TURNED), query[part].transpose(ROWS)).transpose(ROWS)
        np.multiply(d, factor, out=d_key[part])

    time = 2 * count * prod(shape[1:]) / RATE
    run_blocks(differentiate, -(-count // size), time, lambda: np.empty(shape, weights.dtype))
    return d_query, d_key, d_value
