"""NumPy kernels of convolution: everything is one sliding product, `correlate`, and its adjoint to the kernel.

Images are channels-last. Patches are copied into a block that fits the cache and multiplied there, so that no call
ever holds the columns of a whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import gcd, prod
from typing import Any

import numpy as np

from .broadcast import sum_primitive
from .convolution_finish import Finish
from .depthwise_kernels import correlate_depthwise, correlate_depthwise_kernel
from .matrix_pieces import matrix_product
from .memory import empty
from .parallel import run_blocks
from .windows import frame_slices
from .winograd import correlate_3x3, correlate_3x3_gradients, suits_winograd

Sizes = tuple[int, ...]
RATE = 2.5e4
"""Products with their sums that a core does in a microsecond, roughly, patches being copied."""
CHUNKS = 8
"""Ranges of images that threads share, and whose sums are added up in order."""
MOST_SUMS = 1 << 24
"""Bytes of these sums together."""
BLOCK_BYTES = 1 << 19
"""Size of a block of patches: about the second-level cache of one core."""
MANY_ROWS = 256
"""Fewer rows than this in a block would leave the matrix product waiting for its other operand."""
FEW_CHANNELS = 4
"""Up to here, runs of memory within a patch are so short that patches are better laid out tap by tap."""


def correlate(
    x: np.ndarray,
    kernel: np.ndarray,
    strides: Sizes,
    dilation: Sizes,
    lows: Sizes,
    sizes: Sizes,
    groups: int = 1,
    finish: Finish | None = None,
) -> np.ndarray:
    """`out[n, o, :] = sum over t of x[n, o*stride + t*dilation - low, :] @ kernel[t]`, zero outside of x.

    Lows may be negative (cells skipped). Kernel: (*taps, channels / groups, filters). Sizes: the result's spatial ones.
    What is to `finish` is done block by block.
    """
    finish = finish or Finish()
    taps, (depth, filters) = kernel.shape[:-2], kernel.shape[-2:]
    if depth == 1 and groups > 1:
        return finish(correlate_depthwise(x, kernel[..., 0, :], filters // groups, strides, dilation, lows, sizes))
    if groups == 1 and suits_winograd(taps, strides, dilation, depth, filters, sizes, x.dtype):
        return correlate_3x3(x, kernel, lows, sizes, finish)
    out = empty((x.shape[0], *sizes, filters), x.dtype)
    if not out.size:
        return out
    rows = out.reshape(-1, filters)
    if prod(taps) == 1:
        _multiply_pointwise(x, kernel.reshape(depth, filters), strides, lows, sizes, groups, rows)
        return finish(out)
    width = filters // groups
    for g in range(groups):
        columns = slice(g * width, (g + 1) * width)
        source = x if groups == 1 else x[..., g * depth : (g + 1) * depth]
        patches = _Patches(source, taps, strides, dilation, lows, sizes)
        patches.multiply(kernel[..., columns].reshape(-1, width), rows[:, columns], finish if groups == 1 else None)
    return out if groups == 1 else finish(out)


def _multiply_pointwise(
    x: np.ndarray, kernel: np.ndarray, strides: Sizes, lows: Sizes, sizes: Sizes, groups: int, out: np.ndarray
) -> None:
    """Kernels of one tap are matrix products over channels."""
    picked = strided(x, strides, lows, sizes)
    depth, width = kernel.shape[0], kernel.shape[1] // groups
    for g in range(groups):
        columns = slice(g * width, (g + 1) * width)
        source = picked if groups == 1 else picked[..., g * depth : (g + 1) * depth]
        matrix_product(source.reshape(-1, depth), kernel[:, columns], out=out[:, columns])


def strided(x: np.ndarray, strides: Sizes, lows: Sizes, sizes: Sizes) -> np.ndarray:
    """`x[n, o*stride - low]` for all o: a view where it lies within x."""
    lengths = tuple((n - 1) * s + 1 for n, s in zip(sizes, strides, strict=True))
    framed = frame(x, lows, lengths)
    return framed[(slice(None), *[slice(None, n, s) for n, s in zip(lengths, strides, strict=True)])]


def frame(x: np.ndarray, lows: Sizes, lengths: Sizes) -> np.ndarray:
    """`x[n, p - low]` for p in range(length) on each spatial axis, zero outside of x; a view if nothing is outside."""
    sizes = x.shape[1:-1]
    if all(low <= 0 and length - low <= n for low, length, n in zip(lows, lengths, sizes, strict=True)):
        return x[(slice(None), *[slice(-low, length - low) for low, length in zip(lows, lengths, strict=True)])]
    out = np.zeros((x.shape[0], *lengths, x.shape[-1]), x.dtype)
    inner, source = frame_slices(sizes, lows, lengths)
    out[inner] = x[source]
    return out


class _Patches:
    """Patches as rows of matrices (rows, taps * channels), block by block; threads share ranges of images."""

    def __init__(
        self, x: np.ndarray, taps: Sizes, strides: Sizes, dilation: Sizes, lows: Sizes, sizes: Sizes, sum_bytes: int = 0
    ) -> None:
        self.x, self.taps, self.strides, self.dilation, self.lows, self.sizes = x, taps, strides, dilation, lows, sizes
        self.columns = prod(taps) * x.shape[-1]
        self.images, self.slabs = block_shape(x.shape[0], sizes, self.columns, x.itemsize)
        reaches = zip(sizes, strides, taps, dilation, strict=True)
        self.lengths = tuple((n - 1) * s + (k - 1) * d + 1 for n, s, k, d in reaches)
        self.inner = prod(sizes[1:])
        count = max(1, min(CHUNKS, MOST_SUMS // sum_bytes)) if sum_bytes else CHUNKS
        step = self.images * max(1, -(-x.shape[0] // (self.images * count)))
        self.chunks = [range(i, min(i + step, x.shape[0]), self.images) for i in range(0, x.shape[0], step)]

    def room(self) -> tuple[np.ndarray, FrameBuffer]:
        """What a thread works in."""
        buffer = empty((self.images * self.slabs * self.inner * self.columns,), self.x.dtype)
        return buffer, FrameBuffer(self.x, self.lows, self.lengths, self.images)

    def blocks(self, chunk: range, room: tuple[np.ndarray, FrameBuffer]) -> Iterator[tuple[int, int, np.ndarray]]:
        """First row, last row + 1 and matrix of each block; the matrix is overwritten by the next one."""
        (buffer, framed), by_tap = room, self.x.shape[-1] <= FEW_CHANNELS
        for first in chunk:
            source = framed.block(first, min(first + self.images, self.x.shape[0]))
            view = patch_view(source, self.taps, self.strides, self.dilation, self.sizes)
            for top in range(0, self.sizes[0], self.slabs):
                part = view[:, top : top + self.slabs]
                count = part.shape[0] * part.shape[1] * self.inner
                start = (first * self.sizes[0] + top) * self.inner
                yield start, start + count, _gather(part, buffer, count, self.columns, by_tap)

    def multiply(self, kernel: np.ndarray, out: np.ndarray, finish: Finish | None) -> None:
        """All patches times a kernel (taps * channels, filters)."""

        def run(i: int, room: tuple[np.ndarray, FrameBuffer]) -> None:
            for start, stop, matrix in self.blocks(self.chunks[i], room):
                np.matmul(matrix, kernel, out=out[start:stop])
                if finish is not None:
                    finish(out[start:stop])

        run_blocks(run, len(self.chunks), len(out) * kernel.size / RATE, self.room)

    def sum_products(self, slopes: np.ndarray) -> np.ndarray:
        """All patches, turned, times slopes (rows, filters)."""
        sums = np.zeros((len(self.chunks), self.columns, slopes.shape[1]), self.x.dtype)

        def run(i: int, room: tuple[np.ndarray, FrameBuffer]) -> None:
            for start, stop, matrix in self.blocks(self.chunks[i], room):
                sums[i] += matrix.T @ slopes[start:stop]

        run_blocks(run, len(self.chunks), slopes.size * self.columns / RATE, self.room)
        return sums.sum(0)


def _gather(view: np.ndarray, buffer: np.ndarray, count: int, columns: int, by_tap: bool) -> np.ndarray:
    """Copy patches (images, *positions, *taps, channels) into the buffer as a matrix of one patch a row."""
    flat = buffer[: count * columns]
    if not by_tap:
        np.copyto(flat.reshape(view.shape), view)
        return flat.reshape(count, columns)
    rank = (view.ndim - 2) // 2
    order = (*range(rank + 1, view.ndim), *range(rank + 1))
    turned = view.transpose(order)
    np.copyto(flat.reshape(turned.shape), turned)
    return flat.reshape(columns, count).T


def block_shape(batch: int, sizes: Sizes, columns: int, itemsize: int) -> tuple[int, int]:
    """How many images, and how many slabs (indices of the first spatial axis) of each, make a block."""
    rows = max(MANY_ROWS, BLOCK_BYTES // (columns * itemsize))
    per_image = max(1, prod(sizes))
    if per_image <= rows:
        return max(1, min(batch, rows // per_image)), sizes[0]
    return 1, max(1, min(sizes[0], rows // max(1, prod(sizes[1:]))))


def patch_view(x: np.ndarray, taps: Sizes, strides: Sizes, dilation: Sizes, sizes: Sizes) -> np.ndarray:
    """View (images, *positions, *taps, channels) of framed images."""
    steps = x.strides[1:-1]
    shape = (x.shape[0], *sizes, *taps, x.shape[-1])
    jumps = tuple(a * s for a, s in zip(steps, strides, strict=True))
    hops = tuple(a * d for a, d in zip(steps, dilation, strict=True))
    return np.lib.stride_tricks.as_strided(x, shape, (x.strides[0], *jumps, *hops, x.strides[-1]), writeable=False)


class FrameBuffer:
    """Blocks of images, framed in one buffer that is zeroed once; views of the images where no frame is needed."""

    def __init__(self, x: np.ndarray, lows: Sizes, lengths: Sizes, images: int) -> None:
        self.x = x
        self.inner, self.source = frame_slices(x.shape[1:-1], lows, lengths)
        whole = all(s.start == 0 and s.stop == n for s, n in zip(self.inner[1:], lengths, strict=True))
        self.buffer = None if whole else np.zeros((images, *lengths, x.shape[-1]), x.dtype)

    def block(self, start: int, stop: int) -> np.ndarray:
        """The framed images from `start` to `stop`."""
        part = self.x[start:stop][self.source]
        if self.buffer is None:
            return part
        framed = self.buffer[: stop - start]
        framed[self.inner] = part
        return framed


def correlate_kernel(
    x: np.ndarray, dy: np.ndarray, taps: Sizes, strides: Sizes, dilation: Sizes, lows: Sizes, groups: int = 1
) -> np.ndarray:
    """Adjoint of `correlate` to its kernel: `dk[t] = sum of x[n, o*stride + t*dilation - low].T @ dy[n, o]`."""
    sizes, filters, depth = dy.shape[1:-1], dy.shape[-1], x.shape[-1] // groups
    dy = np.ascontiguousarray(dy)
    if depth == 1 and groups > 1:
        found = correlate_depthwise_kernel(x, dy, filters // groups, taps, strides, dilation, lows)
        return found[..., None, :]
    if groups == 1 and suits_winograd(taps, strides, dilation, depth, filters, sizes, x.dtype):
        return correlate_3x3_gradients(x, dy, None, lows).kernel
    rows = dy.reshape(-1, filters)
    if prod(taps) == 1 and groups == 1:
        picked = strided(x, strides, lows, sizes).reshape(-1, depth)
        return matrix_product(picked.T, rows).reshape(*taps, depth, filters)
    width, height = filters // groups, prod(taps) * depth
    out = np.empty((height, filters), x.dtype)
    for g in range(groups):
        columns = slice(g * width, (g + 1) * width)
        source = x if groups == 1 else x[..., g * depth : (g + 1) * depth]
        patches = _Patches(source, taps, strides, dilation, lows, sizes, height * width * x.itemsize)
        out[:, columns] = patches.sum_products(rows[:, columns])
    return out.reshape(*taps, depth, filters)


def correlate_input(
    dy: np.ndarray, kernel: np.ndarray, strides: Sizes, dilation: Sizes, lows: Sizes, sizes: Sizes, groups: int = 1
) -> np.ndarray:
    """Adjoint of `correlate` to its image, of spatial sizes `sizes`.

    Cells of one residue modulo the stride meet the same taps: each such phase is a convolution of stride 1.
    """
    taps = kernel.shape[:-2]
    turned = _turned(kernel, groups)
    if all(s == 1 for s in strides):
        starts = tuple((k - 1) * d - low for k, d, low in zip(taps, dilation, lows, strict=True))
        flipped = turned[(slice(None, None, -1),) * len(taps)]
        return _correlate_turned(dy, flipped, dilation, starts, sizes, groups, kernel.shape[-2])
    out = np.zeros((dy.shape[0], *sizes, kernel.shape[-2] * groups), dy.dtype)
    axes = [_phases(*one) for one in zip(taps, strides, dilation, lows, sizes, strict=True)]
    for phase in product(*axes):
        taken = tuple(p[1] for p in phase)
        part = turned[taken][(slice(None, None, -1),) * len(taps)]
        step, low, count = tuple(p[2] for p in phase), tuple(p[3] for p in phase), tuple(p[4] for p in phase)
        target = (slice(None), *[slice(p[0], None, s) for p, s in zip(phase, strides, strict=True)])
        out[target] = _correlate_turned(dy, part, step, low, count, groups, kernel.shape[-2])
    return out


def correlate_gradients(
    x: np.ndarray,
    dy: np.ndarray,
    kernel: np.ndarray,
    strides: Sizes,
    dilation: Sizes,
    lows: Sizes,
    groups: int = 1,
    with_bias: bool = False,
) -> tuple[np.ndarray, ...]:
    """Adjoints of `correlate` to its image and to its kernel, and with a bias to that."""
    taps, (depth, filters) = kernel.shape[:-2], kernel.shape[-2:]
    dy = np.ascontiguousarray(dy)
    if groups == 1 and suits_winograd(taps, strides, dilation, depth, filters, dy.shape[1:-1], x.dtype):
        found: Any = correlate_3x3_gradients(x, dy, kernel, lows, None, with_bias)
        return found if with_bias else found[:2]
    dx = correlate_input(dy, kernel, strides, dilation, lows, x.shape[1:-1], groups)
    dk = correlate_kernel(x, dy, taps, strides, dilation, lows, groups)
    if not with_bias:
        return dx, dk
    return dx, dk, sum_primitive.run(dy, axes=tuple(range(dy.ndim - 1)), keepdims=False)


def _phases(taps: int, stride: int, dilation: int, low: int, size: int) -> list[tuple[int, slice, int, int, int]]:
    """For each residue of cells that meets taps: first cell, its taps, step between them, low of the window, cells."""
    found = []
    common = gcd(stride, dilation)
    for first in range(min(stride, size)):
        position = first + low
        tap = next((t for t in range(taps) if (position - t * dilation) % stride == 0), None)
        if tap is None:
            continue
        picked = slice(tap, None, stride // common)
        count, step = len(range(tap, taps, stride // common)), dilation // common
        origin = (position - tap * dilation) // stride
        found.append((first, picked, step, (count - 1) * step - origin, -(-(size - first) // stride)))
    return found


def _turned(kernel: np.ndarray, groups: int) -> np.ndarray:
    """The kernel with channels and filters exchanged within each group."""
    taps, (depth, filters) = kernel.shape[:-2], kernel.shape[-2:]
    if groups == 1:
        return np.swapaxes(kernel, -1, -2)
    split = kernel.reshape(*taps, depth, groups, filters // groups)
    return np.ascontiguousarray(np.swapaxes(split, -1, -3)).reshape(*taps, filters // groups, groups * depth)


def _correlate_turned(
    dy: np.ndarray, kernel: np.ndarray, dilation: Sizes, lows: Sizes, sizes: Sizes, groups: int, depth: int
) -> np.ndarray:
    ones = (1,) * len(sizes)
    multiplier = kernel.shape[-2]
    if depth == 1 and groups > 1 and multiplier > 1:
        weights = np.swapaxes(kernel, -1, -2).reshape(*kernel.shape[:-2], groups * multiplier)
        wide = correlate_depthwise(dy, weights, 1, ones, dilation, lows, sizes)
        return wide.reshape(*wide.shape[:-1], groups, multiplier).sum(-1)
    return correlate(dy, np.ascontiguousarray(kernel), ones, dilation, lows, sizes, groups)
