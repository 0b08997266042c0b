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
from .parallel import run_blocks

Sizes = tuple[int, ...]
BLOCK_BYTES = 1 << 20
"""Size of the runs of all phases of a block together."""
LONG_ROW = 8192
"""Elements of a repeated row of weights: NumPy is slow at the ends of rows."""
RATE = 3000.0
"""Products with weights that are summed in a microsecond, roughly."""
CHUNKS = 4
"""Sums of weights' gradients that are made apart, and added up in order."""
TAPS = "abc"
"""Letters of a kernel's axes in sums."""


def correlate_depthwise(
    x: np.ndarray, weights: np.ndarray, multiplier: int, strides: Sizes, dilation: Sizes, lows: Sizes, sizes: Sizes
) -> np.ndarray:
    """Each channel with its own `multiplier` kernels; weights: (*taps, channels * multiplier)."""
    taps = weights.shape[:-1]
    shape = _Shape(x, multiplier, taps, strides, dilation, lows, sizes)
    out = empty((x.shape[0], *sizes, shape.depth), x.dtype)
    rows = _repeated(weights, shape.row // shape.depth)
    letters = TAPS[: len(taps)]

    def scratch() -> tuple[_Runs, np.ndarray, np.ndarray]:
        return _Runs(x, shape), empty((shape.most,), x.dtype), empty((shape.most,), x.dtype)

    def run(group: int, room: tuple[_Runs, np.ndarray, np.ndarray]) -> None:
        runs, total, more = room
        for images, slab, count in runs.group(group):
            target, part = (a[: count * shape.row].reshape(count, shape.row) for a in (total, more))
            for i, phase in enumerate(runs.phases):
                seen = runs.seen(phase, slab, count)
                np.einsum(f"{letters}ij,{letters}j->ij", seen, rows[phase.taps], out=part if i else target)
                if i:
                    target += part
            out[images, slab] = shape.grid(total, images, slab)

    run_blocks(run, shape.groups, out.size * prod(taps) / RATE, scratch)
    return out


def correlate_depthwise_kernel(
    x: np.ndarray, dy: np.ndarray, multiplier: int, taps: Sizes, strides: Sizes, dilation: Sizes, lows: Sizes
) -> np.ndarray:
    """Adjoint of `correlate_depthwise` to its weights: (*taps, channels * multiplier)."""
    shape = _Shape(x, multiplier, taps, strides, dilation, lows, dy.shape[1:-1])
    share = -(-shape.groups // CHUNKS)
    chunks = [range(i, min(i + share, shape.groups)) for i in range(0, shape.groups, max(1, share))]
    sums = empty((len(chunks), *taps, shape.row), dy.dtype)
    letters = TAPS[: len(taps)]

    def run(chunk: int, room: tuple[_Runs, np.ndarray]) -> None:
        (runs, gradient), total = room, sums[chunk]
        parts = (block for group in chunks[chunk] for block in runs.group(group))
        for number, (images, slab, count) in enumerate(parts):
            here = dy[images, slab]
            if here.shape[:2] != (shape.images, shape.slabs):
                gradient[...] = 0  # of the block before
            shape.grid(gradient, images, slab)[...] = here
            part = gradient[: count * shape.row].reshape(count, shape.row)
            for phase in runs.phases:
                seen = runs.seen(phase, slab, count)
                if number:
                    total[phase.taps] += np.einsum(f"{letters}ij,ij->{letters}j", seen, part)
                else:
                    np.einsum(f"{letters}ij,ij->{letters}j", seen, part, out=total[phase.taps])

    time = dy.size * prod(taps) / RATE
    run_blocks(run, len(chunks), time, lambda: (_Runs(x, shape), _zeros(shape.most, dy.dtype)))
    return sums.sum(0).reshape(*taps, -1, shape.depth).sum(-2)


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


class _Shape:
    """How framed images are cut into blocks, which lie in one run of memory a phase.

    Results are computed for the cells of the frame too, and left out at the end: long runs are worth more.
    """

    def __init__(
        self, x: np.ndarray, multiplier: int, taps: Sizes, strides: Sizes, dilation: Sizes, lows: Sizes, sizes: Sizes
    ) -> None:
        self.multiplier, self.sizes = multiplier, sizes
        self.depth = x.shape[-1] * multiplier
        axes = [_Axis(*one) for one in zip(taps, strides, dilation, lows, x.shape[1:-1], sizes, strict=True)]
        self.lengths = tuple(axis.length for axis in axes)
        few = x.shape[0] * prod(self.lengths) * self.depth // 8
        self.row = self.depth * max(1, min(LONG_ROW, few) // self.depth)
        self.cells = [prod(self.lengths[i + 1 :]) * self.depth for i in range(len(taps))]
        self.line = self.cells[0]
        self.parts = list(product(*[axis.residues for axis in axes]))
        lines = max(1, BLOCK_BYTES // max(1, len(self.parts) * self.line * x.itemsize))
        self.images = max(1, min(x.shape[0], lines // self.lengths[0]))
        self.groups = -(-x.shape[0] // self.images)
        self.slabs = min(sizes[0], lines)
        # zeros for one block, and what a run may reach beyond it
        beyond = self.line * (1 + max(axis.surplus for axis in axes)) + self.row
        self.most = self.images * self.lengths[0] * self.line + beyond

    def grid(self, run: np.ndarray, images: slice, slab: slice) -> np.ndarray:
        """Results within a run: (images, *sizes, channels)."""
        count = images.stop - images.start
        whole = run[: count * self.lengths[0] * self.line].reshape(count, *self.lengths, self.depth)
        return whole[(slice(None), slice(0, slab.stop - slab.start), *[slice(0, n) for n in self.sizes[1:]])]


class _Runs:
    """Frames of one thread: groups of images come into them one after the other."""

    def __init__(self, x: np.ndarray, shape: _Shape) -> None:
        self.x, self.shape = x, shape
        self.phases = [self._phase(part) for part in shape.parts]

    def _phase(self, parts: tuple[_Residue, ...]) -> _Phase:
        cells = self.shape.cells
        return _Phase(
            tuple(part.taps for part in parts),
            tuple(part.count for part in parts),
            sum(part.first * c for part, c in zip(parts, cells, strict=True)),
            tuple(part.step * c for part, c in zip(parts, cells, strict=True)),
            _zeros(self.shape.most, self.x.dtype),
            (slice(None), *[part.inner for part in parts]),
            (slice(None), *[part.source for part in parts]),
        )

    def group(self, number: int) -> Iterator[tuple[slice, slice, int]]:
        """Images of a group, slab of each, and how many rows a run has; the frames hold the images."""
        shape = self.shape
        size = shape.lengths[0] * shape.line
        images = slice(number * shape.images, min((number + 1) * shape.images, self.x.shape[0]))
        count = images.stop - images.start
        for phase in self.phases:
            framed = phase.frame[: count * size].reshape(count, *shape.lengths, shape.depth)
            cells = self.x[images][phase.source]
            framed[phase.inner] = cells if shape.multiplier == 1 else np.repeat(cells, shape.multiplier, axis=-1)
        for top in range(0, shape.sizes[0], shape.slabs):
            slab = slice(top, min(top + shape.slabs, shape.sizes[0]))
            reach = (count - 1) * size + (slab.stop - top) * shape.line
            yield images, slab, -(-reach // shape.row)

    def seen(self, phase: _Phase, slab: slice, rows: int) -> np.ndarray:
        """The runs that the taps of a phase see, as matrices: (*taps, rows, row)."""
        one, row = self.x.itemsize, self.shape.row
        steps = (*[s * one for s in phase.steps], row * one, one)
        start = (slab.start * self.shape.line + phase.offset) * one
        return np.ndarray((*phase.counts, rows, row), self.x.dtype, phase.frame, start, steps)
