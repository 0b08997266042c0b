"""NumPy kernels of depthwise convolution: every tap sees the same run of memory, some cells on, and all are summed.

Images are framed and, with strides, split into phases: cells of one residue modulo the stride. In a phase the cells
that a tap meets lie side by side, so that the sum over taps is one `einsum` over views of a run: one pass of products
and sums in registers, twice as fast as products and sums of arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import gcd, prod
from typing import NamedTuple

import numpy as np

from .memory import empty

Sizes = tuple[int, ...]
BLOCK_BYTES = 1 << 20
"""Size of the runs of all phases of a block together."""
LONG_ROW = 8192
"""Elements of a repeated row of weights: NumPy is slow at the ends of rows."""
TAPS = "abc"
"""Letters of a kernel's axes in sums."""


def correlate_depthwise(
    x: np.ndarray, weights: np.ndarray, multiplier: int, strides: Sizes, dilation: Sizes, lows: Sizes, sizes: Sizes
) -> np.ndarray:
    """Each channel with its own `multiplier` kernels; weights: (*taps, channels * multiplier)."""
    taps = weights.shape[:-1]
    runs = _Runs(x, multiplier, taps, strides, dilation, lows, sizes)
    out = empty((x.shape[0], *sizes, runs.depth), x.dtype)
    rows = _repeated(weights, runs.row // runs.depth)
    letters = TAPS[: len(taps)]
    total, scratch = empty((runs.most,), x.dtype), empty((runs.most,), x.dtype)
    for images, slab, count in runs:
        target, part = (a[: count * runs.row].reshape(count, runs.row) for a in (total, scratch))
        for i, phase in enumerate(runs.phases):
            seen = runs.seen(phase, slab, count)
            np.einsum(f"{letters}ij,{letters}j->ij", seen, rows[phase.taps], out=part if i else target)
            if i:
                target += part
        out[images, slab] = runs.grid(total, images, slab)
    return out


def correlate_depthwise_kernel(
    x: np.ndarray, dy: np.ndarray, multiplier: int, taps: Sizes, strides: Sizes, dilation: Sizes, lows: Sizes
) -> np.ndarray:
    """Adjoint of `correlate_depthwise` to its weights: (*taps, channels * multiplier)."""
    runs = _Runs(x, multiplier, taps, strides, dilation, lows, dy.shape[1:-1])
    sums = np.zeros((*taps, runs.row), dy.dtype)
    letters = TAPS[: len(taps)]
    gradient = _zeros(runs.most, dy.dtype)
    for images, slab, count in runs:
        here = dy[images, slab]
        if here.shape[:2] != (runs.images, runs.slabs):
            gradient[...] = 0  # of the block before
        runs.grid(gradient, images, slab)[...] = here
        part = gradient[: count * runs.row].reshape(count, runs.row)
        for phase in runs.phases:
            seen = runs.seen(phase, slab, count)
            sums[phase.taps] += np.einsum(f"{letters}ij,ij->{letters}j", seen, part)
    return sums.reshape(*taps, -1, runs.depth).sum(-2)


def _zeros(count: int, dtype: np.dtype) -> np.ndarray:
    """Zeros from the start of a page on."""
    out = empty((count,), dtype)
    out[...] = 0
    return out


def _repeated(weights: np.ndarray, times: int) -> np.ndarray:
    """Weights (*taps, channels) with the channels repeated."""
    rows = empty((*weights.shape[:-1], times, weights.shape[-1]), weights.dtype)
    rows[...] = weights[..., None, :]
    return rows.reshape(*weights.shape[:-1], -1)


class _Residue(NamedTuple):
    """Along one axis, the taps that meet cells of one residue modulo the stride, and these cells in their frame."""

    taps: slice
    count: int
    first: int
    """Where the first of these taps lies, in cells of that residue."""
    step: int
    inner: slice
    source: slice


class _Axis:
    """One spatial axis: its taps by residue, and how many cells of a frame it takes."""

    def __init__(self, taps: int, stride: int, dilation: int, low: int, size: int, result: int) -> None:
        common = gcd(stride, dilation)
        apart = stride // common
        reach = result + (taps - 1) * dilation // stride
        self.residues: list[_Residue] = []
        self.length = result
        for t in range(min(apart, taps)):
            # cell q of the frame is cell q * stride + shift of the image
            shift = t * dilation % stride - low
            start = max(0, -(shift // stride))
            stop = max(start, min(reach, -((shift - size) // stride)))
            source = slice(start * stride + shift, max(0, (stop - 1) * stride + shift + 1), stride)
            self.residues.append(
                _Residue(
                    slice(t, None, apart), len(range(t, taps, apart)), t * dilation // stride, dilation // common,
                    slice(start, stop), source if stop > start else slice(0, 0),
                )
            )  # fmt: skip
            # zeros before a line serve as zeros behind the line before it too
            self.length = max(self.length, stop, reach - start)
        self.surplus = reach - self.length


class _Phase(NamedTuple):
    """A kernel's taps that meet cells of one phase, and the framed cells of that phase."""

    taps: tuple[slice, ...]
    counts: Sizes
    offset: int
    """Where the first tap's run starts, in elements."""
    steps: Sizes
    """Elements from tap to tap, along each axis."""
    frame: np.ndarray
    inner: tuple[slice, ...]
    source: tuple[slice, ...]


class _Runs:
    """Blocks of framed images as one run of memory a phase.

    Results are computed for the cells of the frame too, and left out at the end: long runs are worth more.
    """

    def __init__(
        self, x: np.ndarray, multiplier: int, taps: Sizes, strides: Sizes, dilation: Sizes, lows: Sizes, sizes: Sizes
    ) -> None:
        self.x, self.multiplier, self.sizes = x, multiplier, sizes
        self.depth = x.shape[-1] * multiplier
        axes = [_Axis(*one) for one in zip(taps, strides, dilation, lows, x.shape[1:-1], sizes, strict=True)]
        self.lengths = tuple(axis.length for axis in axes)
        few = x.shape[0] * prod(self.lengths) * self.depth // 8
        self.row = self.depth * max(1, min(LONG_ROW, few) // self.depth)
        cells = [prod(self.lengths[i + 1 :]) * self.depth for i in range(len(taps))]
        self.line = cells[0]
        parts = list(product(*[axis.residues for axis in axes]))
        lines = max(1, BLOCK_BYTES // max(1, len(parts) * self.line * x.itemsize))
        self.images = max(1, min(x.shape[0], lines // self.lengths[0]))
        self.slabs = min(sizes[0], lines)
        # zeros for one block, and what a run may reach beyond it
        beyond = self.line * (1 + max(axis.surplus for axis in axes)) + self.row
        self.most = self.images * self.lengths[0] * self.line + beyond
        self.phases = [self._phase(part, cells) for part in parts]

    def _phase(self, parts: tuple[_Residue, ...], cells: list[int]) -> _Phase:
        return _Phase(
            tuple(part.taps for part in parts),
            tuple(part.count for part in parts),
            sum(part.first * c for part, c in zip(parts, cells, strict=True)),
            tuple(part.step * c for part, c in zip(parts, cells, strict=True)),
            _zeros(self.most, self.x.dtype),
            (slice(None), *[part.inner for part in parts]),
            (slice(None), *[part.source for part in parts]),
        )

    def __iter__(self) -> Iterator[tuple[slice, slice, int]]:
        """Images, slab of each, and how many rows a run has; the frames hold the images."""
        size = self.lengths[0] * self.line
        for first in range(0, self.x.shape[0], self.images):
            images = slice(first, min(first + self.images, self.x.shape[0]))
            count = images.stop - first
            for phase in self.phases:
                framed = phase.frame[: count * size].reshape(count, *self.lengths, self.depth)
                cells = self.x[images][phase.source]
                framed[phase.inner] = cells if self.multiplier == 1 else np.repeat(cells, self.multiplier, axis=-1)
            for top in range(0, self.sizes[0], self.slabs):
                slab = slice(top, min(top + self.slabs, self.sizes[0]))
                reach = (count - 1) * size + (slab.stop - top) * self.line
                yield images, slab, -(-reach // self.row)

    def seen(self, phase: _Phase, slab: slice, rows: int) -> np.ndarray:
        """The runs that the taps of a phase see, as matrices: (*taps, rows, row)."""
        one = self.x.itemsize
        steps = (*[s * one for s in phase.steps], self.row * one, one)
        start = (slab.start * self.line + phase.offset) * one
        return np.ndarray((*phase.counts, rows, self.row), self.x.dtype, phase.frame, start, steps)

    def grid(self, run: np.ndarray, images: slice, slab: slice) -> np.ndarray:
        """Results within a run: (images, *sizes, channels)."""
        count = images.stop - images.start
        whole = run[: count * self.lengths[0] * self.line].reshape(count, *self.lengths, self.depth)
        return whole[(slice(None), slice(0, slab.stop - slab.start), *[slice(0, n) for n in self.sizes[1:]])]
