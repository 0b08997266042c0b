"""Convolution, transposed convolution and pooling as plain loops: slow, and too simple to be wrong."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np


def tuple_of(value: Any, rank: int) -> tuple[int, ...]:
    """One value an axis."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


def same_pads(size: int, reach: int, stride: int) -> tuple[int, int]:
    """Cells before and after, TensorFlow's rule for "same"."""
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def pads_of(
    padding: str, sizes: tuple[int, ...], reaches: list[int], strides: tuple[int, ...]
) -> list[tuple[int, int]]:
    """Cells before and after each axis."""
    if padding == "causal":
        return [(r - 1, 0) for r in reaches]
    if padding == "valid":
        return [(0, 0)] * len(sizes)
    return [same_pads(*one) for one in zip(sizes, reaches, strides, strict=True)]


def convolution(
    x: np.ndarray, kernel: np.ndarray, bias: Any = None, strides: Any = 1, padding: str = "valid", dilation: Any = 1
) -> np.ndarray:
    """Channels-last convolution, one product a window."""
    rank = x.ndim - 2
    strides, dilation = tuple_of(strides, rank), tuple_of(dilation, rank)
    taps, (depth, filters) = kernel.shape[:-2], kernel.shape[-2:]
    reaches = [(k - 1) * d + 1 for k, d in zip(taps, dilation, strict=True)]
    pads = pads_of(padding, x.shape[1:-1], reaches, strides)
    x = np.pad(x, [(0, 0), *pads, (0, 0)])
    groups = x.shape[-1] // depth
    width = filters // groups
    sizes = [(n - r) // s + 1 for n, r, s in zip(x.shape[1:-1], reaches, strides, strict=True)]
    out = np.zeros((x.shape[0], *sizes, filters), x.dtype)
    for o in product(*map(range, sizes)):
        for t in product(*map(range, taps)):
            cell = x[(slice(None), *[i * s + k * d for i, s, k, d in zip(o, strides, t, dilation, strict=True)])]
            for g in range(groups):
                columns = slice(g * width, (g + 1) * width)
                out[(slice(None), *o, columns)] += cell[:, g * depth : (g + 1) * depth] @ kernel[t][:, columns]
    return out if bias is None else out + bias


def transposed_convolution(
    x: np.ndarray,
    kernel: np.ndarray,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    dilation: Any = 1,
) -> np.ndarray:
    """Channels-last: every cell stamps the kernel onto the result; then the result is cut to its documented size."""
    rank = x.ndim - 2
    strides, dilation = tuple_of(strides, rank), tuple_of(dilation, rank)
    extra = output_padding if isinstance(output_padding, tuple) else (output_padding,) * rank
    taps, filters = kernel.shape[:-2], kernel.shape[-2]
    reaches = [(k - 1) * d + 1 for k, d in zip(taps, dilation, strict=True)]
    room = [(n - 1) * s + r + s for n, s, r in zip(x.shape[1:-1], strides, reaches, strict=True)]
    whole = np.zeros((x.shape[0], *room, filters), x.dtype)
    for i in product(*map(range, x.shape[1:-1])):
        for t in product(*map(range, taps)):
            at = tuple(a * s + k * d for a, s, k, d in zip(i, strides, t, dilation, strict=True))
            whole[(slice(None), *at)] += x[(slice(None), *i)] @ kernel[t].T
    cut = [slice(None)]
    for n, s, r, e in zip(x.shape[1:-1], strides, reaches, extra, strict=True):
        if padding == "valid":
            low, size = 0, (n - 1) * s + (max(r, s) if e is None else r + e)
        else:
            size = n * s if e is None else (n - 1) * s + r % 2 + e
            total = s + r - 2 if e is None else r + r % 2 - 2 + e
            low = r - 1 - min(total - total // 2, r - 1)
        cut.append(slice(low, low + size))
    return whole[tuple(cut)]


def pooling(
    reduce: Callable[..., Any], x: np.ndarray, pool: Any, strides: Any = None, padding: str = "valid"
) -> np.ndarray:
    """Channels-last pooling: `reduce` over the cells of each window that lie within the image."""
    rank = x.ndim - 2
    pool = tuple_of(pool, rank)
    strides = pool if strides is None else tuple_of(strides, rank)
    pads = pads_of(padding, x.shape[1:-1], list(pool), strides)
    sizes = [(n + a + b - k) // s + 1 for n, (a, b), k, s in zip(x.shape[1:-1], pads, pool, strides, strict=True)]
    out = np.zeros((x.shape[0], *sizes, x.shape[-1]), x.dtype)
    for o in product(*map(range, sizes)):
        window = [
            slice(max(i * s - low, 0), max(i * s - low + k, 0))
            for i, s, k, (low, _) in zip(o, strides, pool, pads, strict=True)
        ]
        cells = x[(slice(None), *window)]
        out[(slice(None), *o)] = reduce(cells.reshape(x.shape[0], -1, x.shape[-1]), axis=1)
    return out


def channels_first(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """The same on images with channels first."""

    def wrapped(x: np.ndarray, *arguments: Any, **keywords: Any) -> np.ndarray:
        return np.moveaxis(function(np.moveaxis(x, 1, -1), *arguments, **keywords), -1, 1)

    return wrapped
