"""NumPy kernels of depthwise convolution: shifted images, multiplied and added, in blocks that stay in the cache."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

from .memory import empty
from .windows import frame_slices

Sizes = tuple[int, ...]
BLOCK_BYTES = 1 << 17


def _widened(x: np.ndarray, multiplier: int) -> np.ndarray:
    return x if multiplier == 1 else np.repeat(x, multiplier, axis=-1)


def correlate_depthwise(
    x: np.ndarray, weights: np.ndarray, multiplier: int, strides: Sizes, dilation: Sizes, lows: Sizes, sizes: Sizes
) -> np.ndarray:
    """Each channel with its own `multiplier` kernels; weights: (*taps, channels * multiplier)."""
    taps, depth = weights.shape[:-1], weights.shape[-1]
    out = empty((x.shape[0], *sizes, depth), x.dtype)
    blocks = _Blocks(x, multiplier, taps, strides, dilation, lows, sizes)
    rows = [np.tile(weights[tap], blocks.repeats) for tap in blocks.taps]
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
