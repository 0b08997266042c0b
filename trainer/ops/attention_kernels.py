"""NumPy kernels of attention: one sample at a time, whose scores stay in the cache from product to product."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .broadcast import ones_row
from .memory import empty
from .parallel import run_blocks


def lowest(dtype: Any) -> float:
    """What a masked score becomes: finite, so that a row with everything masked is uniform and not NaN."""
    return float(-0.7 * np.finfo(dtype).max)


def _totals(x: np.ndarray) -> np.ndarray:
    """Sums over the last axis, kept: as a matrix product, several times faster for short rows."""
    return (x.reshape(-1, x.shape[-1]) @ ones_row(x.shape[-1], x.dtype)).reshape(*x.shape[:-1], 1)


def _work(scores: tuple[int, ...], count: int) -> float:
    """Microseconds that samples with so many scores take, roughly."""
    return prod(scores) * count / 200


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
    shape = heads, steps, key.shape[1]

    def attend(i: int, own: np.ndarray | None) -> None:
        scores: Any = own if kept is None else kept[i]
        np.matmul(query[i].transpose(1, 0, 2) * dtype.type(scale), key[i].transpose(1, 2, 0), out=scores)
        if bias is not None:
            scores += bias[i if len(bias) > 1 else 0]
        if ceiling is not None:
            np.minimum(scores, ceiling[i if len(ceiling) > 1 else 0], out=scores)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= _totals(scores)
        result[i] = np.matmul(scores, value[i].transpose(1, 0, 2)).transpose(1, 0, 2)

    run_blocks(attend, batch, _work(shape, batch), lambda: np.empty(shape, dtype) if kept is None else None)
    return result


def backward(
    gradient: np.ndarray, query: np.ndarray, key: np.ndarray, value: np.ndarray, result: np.ndarray,
    weights: np.ndarray, seen: np.ndarray | None, scale: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Gradients of query, key and value from the result and the weights (batch, heads, time, key time) forwards."""
    d_query, d_key, d_value = (empty(x.shape, x.dtype) for x in (query, key, value))
    factor = query.dtype.type(scale)

    def differentiate(i: int, slopes: np.ndarray) -> None:
        share, g = weights[i], gradient[i].transpose(1, 0, 2)
        d_value[i] = np.matmul(share.transpose(0, 2, 1), g).transpose(1, 0, 2)
        np.matmul(g, value[i].transpose(1, 2, 0), out=slopes)
        # the mean of the slopes, weighted by the shares
        slopes -= _totals(gradient[i] * result[i]).transpose(1, 0, 2)
        slopes *= share
        if seen is not None:
            slopes *= seen[i if len(seen) > 1 else 0]
        d = np.matmul(slopes, key[i].transpose(1, 0, 2)).transpose(1, 0, 2)
        np.multiply(d, factor, out=d_query[i])
        d = np.matmul(slopes.transpose(0, 2, 1), query[i].transpose(1, 0, 2)).transpose(1, 0, 2)
        np.multiply(d, factor, out=d_key[i])

    count, shape = len(query), weights.shape[1:]
    run_blocks(differentiate, count, 2 * _work(shape, count), lambda: np.empty(shape, weights.dtype))
    return d_query, d_key, d_value
