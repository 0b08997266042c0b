"""NumPy kernels of pooling, channels-last: one axis after the other, in blocks of images that stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import numpy as np

from .memory import empty
from .windows import frame_slices

Sizes = tuple[int, ...]
BLOCK_BYTES = 1 << 18


def image_blocks(x: np.ndarray) -> Iterator[slice]:
    """Ranges of images that fit the cache together."""
    count = max(1, BLOCK_BYTES // max(1, x[:1].nbytes))
    return (slice(i, min(i + count, x.shape[0])) for i in range(0, x.shape[0], count))


def lowest(dtype: np.dtype) -> Any:
    """The value that no maximum chooses over another."""
    return -np.inf if dtype.kind == "f" else False if dtype.kind == "b" else np.iinfo(dtype).min


def lengths_of(pool: Sizes, strides: Sizes, sizes: Sizes) -> Sizes:
    """Cells that all windows together reach over."""
    return tuple((n - 1) * s + k for n, s, k in zip(sizes, strides, pool, strict=True))


def framed(x: np.ndarray, lows: Sizes, lengths: Sizes, fill: Any) -> np.ndarray:
    """The part of the images that windows see, surrounded by `fill`; a view where nothing is outside."""
    inner, source = frame_slices(x.shape[1:-1], lows, lengths)
    if all(s.start == 0 and s.stop == n for s, n in zip(inner[1:], lengths, strict=True)):
        return x[source]
    out = np.full((x.shape[0], *lengths, x.shape[-1]), fill, x.dtype)
    out[inner] = x[source]
    return out


def tap(axis: int, offset: int, stride: int, size: int) -> tuple[slice, ...]:
    """Index of the cells `offset + stride * i` for i in range(size) along one axis."""
    return (*[slice(None)] * axis, slice(offset, offset + (size - 1) * stride + 1, stride))


def _reduce(x: np.ndarray, combine: np.ufunc, pool: Sizes, strides: Sizes, sizes: Sizes) -> np.ndarray:
    """Combine the cells of each window, along one axis after the other."""
    for axis, (k, s, n) in enumerate(zip(pool, strides, sizes, strict=True), 1):
        if k == 1:
            x = x if s == 1 else x[tap(axis, 0, s, n)]
            continue
        total = combine(x[tap(axis, 0, s, n)], x[tap(axis, 1, s, n)])
        for t in range(2, k):
            combine(total, x[tap(axis, t, s, n)], out=total)
        x = total
    return x


def max_pool(x: np.ndarray, pool: Sizes, strides: Sizes, lows: Sizes, sizes: Sizes) -> np.ndarray:
    """The largest cell of each window."""
    out = empty((x.shape[0], *sizes, x.shape[-1]), x.dtype)
    lengths = lengths_of(pool, strides, sizes)
    for images in image_blocks(x):
        source = framed(x[images], lows, lengths, lowest(x.dtype))
        out[images] = _reduce(source, np.maximum, pool, strides, sizes)
    return out


def _chosen(
    source: np.ndarray, pool: Sizes, strides: Sizes, sizes: Sizes
) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """For each cell of the windows, in reading order: its index, and where it is the first largest of its window."""
    best = _reduce(source, np.maximum, pool, strides, sizes)
    free = np.ones(best.shape, bool)
    for offsets in product(*map(range, pool)):
        index = (
            slice(None),
            *[slice(t, t + (n - 1) * s + 1, s) for t, n, s in zip(offsets, sizes, strides, strict=True)],
        )
        first = source[index] == best
        first &= free
        free ^= first
        yield index, first


def max_pool_gradient(dy: np.ndarray, x: np.ndarray, pool: Sizes, strides: Sizes, lows: Sizes) -> np.ndarray:
    """Each window's gradient goes to its first largest cell."""
    sizes = dy.shape[1:-1]
    lengths = lengths_of(pool, strides, sizes)
    if pool == strides == (2, 2) and not any(lows) and all(a <= n for a, n in zip(lengths, x.shape[1:-1], strict=True)):
        return _halving_gradient(dy, x)
    dx = np.zeros(x.shape, dy.dtype)
    inner, origin = frame_slices(x.shape[1:-1], lows, lengths)
    for images in image_blocks(x):
        source = framed(x[images], lows, lengths, lowest(x.dtype))
        spread = np.zeros(source.shape, dy.dtype)
        part = dy[images]
        for index, first in _chosen(source, pool, strides, sizes):
            spread[index] += part * first
        dx[images][origin] = spread[inner]
    return dx


def _halving_gradient(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Windows of 2x2 side by side: the second of two cells gets what the first did not."""
    _, high, wide, _ = dy.shape
    dx = np.zeros(x.shape, dy.dtype) if x.shape[1:3] != (2 * high, 2 * wide) else empty(x.shape, dy.dtype)
    for images in image_blocks(x):
        part = dy[images]
        cells, target = x[images][:, : 2 * high, : 2 * wide], dx[images][:, : 2 * high, : 2 * wide]
        left, right = cells[:, :, 0::2], cells[:, :, 1::2]
        rows = np.maximum(left, right)
        upper = part * (rows[:, 0::2] >= rows[:, 1::2])
        for start, gradient in ((0, upper), (1, part - upper)):
            chosen = gradient * (left[:, start::2] >= right[:, start::2])
            target[:, start::2, 0::2] = chosen
            np.subtract(gradient, chosen, out=target[:, start::2, 1::2])
    return dx


def max_pool_select(g: np.ndarray, x: np.ndarray, pool: Sizes, strides: Sizes, lows: Sizes, sizes: Sizes) -> np.ndarray:
    """From each window the element of `g` that lies where `x` has its first largest cell."""
    out = np.zeros((x.shape[0], *sizes, x.shape[-1]), g.dtype)
    lengths = lengths_of(pool, strides, sizes)
    for images in image_blocks(x):
        source = framed(x[images], lows, lengths, lowest(x.dtype))
        values = framed(g[images], lows, lengths, 0)
        for index, first in _chosen(source, pool, strides, sizes):
            out[images] += values[index] * first
    return out


def cell_counts(in_sizes: Sizes, pool: Sizes, strides: Sizes, lows: Sizes, sizes: Sizes) -> list[np.ndarray]:
    """For each axis, how many cells of each window lie within the image."""
    counts = []
    for n, k, s, low, m in zip(in_sizes, pool, strides, lows, sizes, strict=True):
        starts = np.arange(m) * s - low
        counts.append(np.minimum(starts + k, n) - np.maximum(starts, 0))
    return counts


def mean_weights(
    in_sizes: Sizes, pool: Sizes, strides: Sizes, lows: Sizes, sizes: Sizes, dtype: Any
) -> np.ndarray | np.floating[Any]:
    """One over the number of cells of each window: one number where all windows are full, else (*sizes, 1)."""
    counts = cell_counts(in_sizes, pool, strides, lows, sizes)
    if all((c == k).all() for c, k in zip(counts, pool, strict=True)):
        return np.dtype(dtype).type(1.0 / prod(pool))
    total = np.ones((*sizes, 1))
    for axis, count in enumerate(counts):
        total *= count.reshape(-1, *[1] * (len(sizes) - axis))
    return (1.0 / total).astype(dtype)


def average_pool(x: np.ndarray, pool: Sizes, strides: Sizes, lows: Sizes, sizes: Sizes) -> np.ndarray:
    """The mean of the cells of each window that lie within the image."""
    out = empty((x.shape[0], *sizes, x.shape[-1]), x.dtype)
    lengths = lengths_of(pool, strides, sizes)
    weights = mean_weights(x.shape[1:-1], pool, strides, lows, sizes, x.dtype)
    for images in image_blocks(x):
        source = framed(x[images], lows, lengths, 0)
        np.multiply(_reduce(source, np.add, pool, strides, sizes), weights, out=out[images])
    return out


def average_pool_gradient(dy: np.ndarray, in_sizes: Sizes, pool: Sizes, strides: Sizes, lows: Sizes) -> np.ndarray:
    """Adjoint of `average_pool`: each cell gets its share of every window that it lies in."""
    sizes = dy.shape[1:-1]
    dx = np.zeros((dy.shape[0], *in_sizes, dy.shape[-1]), dy.dtype)
    lengths = lengths_of(pool, strides, sizes)
    weights = mean_weights(in_sizes, pool, strides, lows, sizes, dy.dtype)
    inner, origin = frame_slices(in_sizes, lows, lengths)
    for images in image_blocks(dx):
        part = dy[images] * weights
        for axis, (k, s, n, length) in enumerate(zip(pool, strides, sizes, lengths, strict=True), 1):
            if k == s == 1:
                continue
            wider = np.zeros((*part.shape[:axis], length, *part.shape[axis + 1 :]), dy.dtype)
            for t in range(k):
                wider[tap(axis, t, s, n)] += part
            part = wider
        dx[images][origin] = part[inner]
    return dx
