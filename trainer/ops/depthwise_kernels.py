"""NumPy kernels of depthwise convolution: shifted images, multiplied and added, in blocks that stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod

import numpy as np

from .memory import empty, tiled
from .windows import frame_slices

Sizes = tuple[int, ...]
BLOCK_BYTES = 1 << 18
RUN_BYTES = 1 << 20
LONG_ROW = 8192
"""Elements of a repeated row of weights: NumPy is slow at the ends of rows."""


def _widened(x: np.ndarray, multiplier: int) -> np.ndarray:
    return x if multiplier == 1 else np.repeat(x, multiplier, axis=-1)


def correlate_depthwise(
    x: np.ndarray, weights: np.ndarray, multiplier: int, strides: Sizes, dilation: Sizes, lows: Sizes, sizes: Sizes
) -> np.ndarray:
    """Each channel with its own `multiplier` kernels; weights: (*taps, channels * multiplier)."""
    taps, depth = weights.shape[:-1], weights.shape[-1]
    if all(s == 1 for s in strides):
        return _correlate_runs(x, weights, _Runs(x, multiplier, taps, dilation, lows, sizes))
    out = empty((x.shape[0], *sizes, depth), x.dtype)
    blocks = _Blocks(x, multiplier, taps, strides, dilation, lows, sizes)
    rows = [tiled(weights[tap], blocks.repeats) for tap in blocks.taps]
    for images, slab, views in blocks:
        target = blocks.flat(out[images, slab])
        scratch = blocks.scratch(target.shape)
        for i, (view, row) in enumerate(zip(views, rows, strict=True)):
            if i == 0:
                np.multiply(view, row, out=target)
            else:
                np.multiply(view, row, out=scratch)
                target += scratch
    return out


def correlate_depthwise_kernel(
    x: np.ndarray, dy: np.ndarray, multiplier: int, taps: Sizes, strides: Sizes, dilation: Sizes, lows: Sizes
) -> np.ndarray:
    """Adjoint of `correlate_depthwise` to its weights: (*taps, channels * multiplier)."""
    depth, sizes = dy.shape[-1], dy.shape[1:-1]
    if all(s == 1 for s in strides):
        return _correlate_runs_kernel(dy, taps, _Runs(x, multiplier, taps, dilation, lows, sizes))
    blocks = _Blocks(x, multiplier, taps, strides, dilation, lows, sizes)
    sums = np.zeros((prod(taps), blocks.repeats * depth), x.dtype)
    for images, slab, views in blocks:
        part = blocks.flat(dy[images, slab])
        scratch = blocks.scratch(part.shape)
        ones = np.ones(prod(part.shape[:-1]), x.dtype)
        for i, view in enumerate(views):
            np.multiply(view, part, out=scratch)
            sums[i] += ones @ scratch.reshape(-1, part.shape[-1])
    return sums.reshape(prod(taps), blocks.repeats, depth).sum(1).reshape(*taps, depth)


class _Runs:
    """Blocks of framed images as one run of memory each: without strides, every tap sees the same run, some cells on.

    Results are computed for the cells of the frame too, and left out at the end: long runs are worth more.
    """

    def __init__(self, x: np.ndarray, multiplier: int, taps: Sizes, dilation: Sizes, lows: Sizes, sizes: Sizes) -> None:
        self.x, self.multiplier, self.sizes = x, multiplier, sizes
        self.depth = x.shape[-1] * multiplier
        self.lengths = tuple(n + (k - 1) * d for n, k, d in zip(sizes, taps, dilation, strict=True))
        self.inner, self.source = frame_slices(x.shape[1:-1], lows, self.lengths)
        few = x.shape[0] * prod(self.lengths) * self.depth // 8
        self.row = self.depth * max(1, min(LONG_ROW, few) // self.depth)
        cells = [prod(self.lengths[i + 1 :]) * self.depth for i in range(len(taps))]
        self.line = cells[0]
        steps = [d * c for d, c in zip(dilation, cells, strict=True)]
        self.offsets = [sum(t * s for t, s in zip(tap, steps, strict=True)) for tap in product(*map(range, taps))]
        lines = max(1, RUN_BYTES // max(1, self.line * x.itemsize))
        self.images = max(1, min(x.shape[0], lines // self.lengths[0]))
        self.slabs = min(sizes[0], lines)
        self.frame = self.room()

    def room(self) -> np.ndarray:
        """Zeros for one block, and what a run may reach beyond it."""
        return np.zeros(self.images * self.lengths[0] * self.line + self.line + self.row, self.x.dtype)

    def __iter__(self) -> Iterator[tuple[slice, slice, int]]:
        """Images, slab of each, and how many rows a run has; the frame holds the images."""
        size = self.lengths[0] * self.line
        for first in range(0, self.x.shape[0], self.images):
            images = slice(first, min(first + self.images, self.x.shape[0]))
            count = images.stop - first
            framed = self.frame[: count * size].reshape(count, *self.lengths, self.depth)
            framed[self.inner] = _widened(self.x[images][self.source], self.multiplier)
            for top in range(0, self.sizes[0], self.slabs):
                slab = slice(top, min(top + self.slabs, self.sizes[0]))
                reach = (count - 1) * size + (slab.stop - top) * self.line
                yield images, slab, -(-reach // self.row)

    def seen(self, slab: slice, rows: int, offset: int) -> np.ndarray:
        """The run that a tap sees, as a matrix."""
        start = slab.start * self.line + offset
        return self.frame[start : start + rows * self.row].reshape(rows, self.row)

    def grid(self, run: np.ndarray, images: slice, slab: slice) -> np.ndarray:
        """Results within a run: (images, *sizes, channels)."""
        count = images.stop - images.start
        whole = run[: count * self.lengths[0] * self.line].reshape(count, *self.lengths, self.depth)
        return whole[(slice(None), slice(0, slab.stop - slab.start), *[slice(0, n) for n in self.sizes[1:]])]


def _correlate_runs(x: np.ndarray, weights: np.ndarray, runs: _Runs) -> np.ndarray:
    out = empty((x.shape[0], *runs.sizes, runs.depth), x.dtype)
    rows = [tiled(weight, runs.row // runs.depth) for weight in weights.reshape(-1, runs.depth)]
    total, scratch = empty(runs.frame.shape, x.dtype), empty(runs.frame.shape, x.dtype)
    for images, slab, count in runs:
        target, products = (a[: count * runs.row].reshape(count, runs.row) for a in (total, scratch))
        np.multiply(runs.seen(slab, count, 0), rows[0], out=target)
        for offset, row in zip(runs.offsets[1:], rows[1:], strict=True):
            np.multiply(runs.seen(slab, count, offset), row, out=products)
            target += products
        out[images, slab] = runs.grid(total, images, slab)
    return out


def _correlate_runs_kernel(dy: np.ndarray, taps: Sizes, runs: _Runs) -> np.ndarray:
    sums = np.zeros((len(runs.offsets), runs.row), dy.dtype)
    gradient, scratch = runs.room(), empty(runs.frame.shape, dy.dtype)
    for images, slab, count in runs:
        here = dy[images, slab]
        if here.shape[:2] != (runs.images, runs.slabs):
            gradient[...] = 0  # of the block before
        runs.grid(gradient, images, slab)[...] = here
        part, products = (a[: count * runs.row].reshape(count, runs.row) for a in (gradient, scratch))
        ones = np.ones(count, dy.dtype)
        for total, offset in zip(sums, runs.offsets, strict=True):
            np.multiply(runs.seen(slab, count, offset), part, out=products)
            total += ones @ products
    return sums.reshape(len(runs.offsets), -1, runs.depth).sum(1).reshape(*taps, runs.depth)


class _Blocks:
    """Blocks of images or of slabs of one image, and in each the image as every tap sees it.

    Without stride along the last spatial axis, that axis and the channels are one run of memory: `repeats` is how often
    the weights are repeated to cover it.
    """

    def __init__(
        self, x: np.ndarray, multiplier: int, taps: Sizes, strides: Sizes, dilation: Sizes, lows: Sizes, sizes: Sizes
    ) -> None:
        self.x, self.multiplier, self.sizes, self.lows = x, multiplier, sizes, lows
        self.strides, self.dilation = strides, dilation
        self.taps = list(product(*[range(k) for k in taps]))
        self.depth = x.shape[-1] * multiplier
        self.repeats = sizes[-1] if strides[-1] == 1 else 1
        self.lengths = tuple(
            (n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(sizes, strides, taps, dilation, strict=True)
        )
        slab_bytes = max(1, prod(sizes[1:]) * self.depth * x.itemsize)
        slabs = max(1, BLOCK_BYTES // slab_bytes)
        self.images = max(1, min(x.shape[0], slabs // max(1, sizes[0])))
        self.slabs = min(sizes[0], slabs)
        self._scratch = empty((self.images * self.slabs * prod(sizes[1:]) * self.depth,), x.dtype)

    def scratch(self, shape: Sizes) -> np.ndarray:
        """Room for one product."""
        return self._scratch[: prod(shape)].reshape(shape)

    def flat(self, part: np.ndarray) -> np.ndarray:
        """A block of the result with its last spatial axis and channels as one axis where that helps."""
        return part if self.repeats == 1 else part.reshape(*part.shape[:-2], -1)

    def __iter__(self):
        from_frame = _Framed(self)
        for first in range(0, self.x.shape[0], self.images):
            images = slice(first, min(first + self.images, self.x.shape[0]))
            framed = from_frame(images)
            for top in range(0, self.sizes[0], self.slabs):
                slab = slice(top, min(top + self.slabs, self.sizes[0]))
                yield images, slab, [self._view(framed, slab, tap) for tap in self.taps]

    def _view(self, framed: np.ndarray, slab: slice, tap: Sizes) -> np.ndarray:
        ranges = [(slab.start, slab.stop), *[(0, n) for n in self.sizes[1:]]]
        starts = [t * d for t, d in zip(tap, self.dilation, strict=True)]
        cut = [
            slice(at + a * s, at + (b - 1) * s + 1, s)
            for at, (a, b), s in zip(starts, ranges, self.strides, strict=True)
        ]
        if self.repeats == 1:
            return framed[(slice(None), *cut)]
        lines = framed.reshape(*framed.shape[:-2], -1)
        last = slice(cut[-1].start * self.depth, cut[-1].stop * self.depth)
        return lines[(slice(None), *cut[:-1], last)]


class _Framed:
    """The images of a block, widened and framed in a buffer that is zeroed once."""

    def __init__(self, blocks: _Blocks) -> None:
        self.blocks = blocks
        self.buffer = np.zeros((blocks.images, *blocks.lengths, blocks.depth), blocks.x.dtype)
        self.inner, self.source = frame_slices(blocks.x.shape[1:-1], blocks.lows, blocks.lengths)

    def __call__(self, images: slice) -> np.ndarray:
        framed = self.buffer[: images.stop - images.start]
        framed[self.inner] = _widened(self.blocks.x[images][self.source], self.blocks.multiplier)
        return framed
