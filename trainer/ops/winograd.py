"""Winograd's minimal filtering F(4x4, 3x3) for NumPy: 3x3 convolutions of stride 1 with a quarter of the products.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016). Interpolation points are 0, ±1/√2,
±√2 and infinity, whose transforms are the best conditioned in single precision. The transform of a tile is one product
with a Kronecker matrix, so that everything runs inside products; that of an image's tile takes even and odd cells
apart, whose shares of opposite points differ in sign alone: a quarter of the products, then sums and differences.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .convolution_finish import Finish
from .memory import empty
from .normalization_kernels import ones
from .parallel import run_blocks
from .winograd_tiles import CHUNKS, REACH, TILE, Block, Cells, Plan, Scratch, Sizes, Windows, tiles

FEWEST_CHANNELS = 16
MOST_WASTE = 1.6
MOST_TOTALS = 1 << 25
"""Bytes of sums that chunks of blocks may have together."""


def suits_winograd(
    taps: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    depth: int,
    filters: int,
    sizes: tuple[int, ...],
    dtype: np.dtype,
) -> bool:
    """Whether tiles save time: 3x3, stride 1, enough channels to pay for the transforms, tiles mostly filled."""
    if taps != (3, 3) or strides != (1, 1) or dilation != (1, 1) or dtype != np.float32:
        return False
    if depth < FEWEST_CHANNELS or filters < FEWEST_CHANNELS or not prod(sizes):
        return False
    rows, columns = tiles(sizes)
    return rows * columns * TILE * TILE <= MOST_WASTE * prod(sizes)


class Transforms(NamedTuple):
    """Kronecker matrices of the transforms: image tile, kernel, result tile.

    Points are in the order of `SLOTS`, along either axis: (2, 2, 3, 3).
    """

    image: np.ndarray
    """(4, 9, 9): of even and odd lines and columns; `combine` follows, or precedes the adjoint."""
    kernel: np.ndarray
    result: np.ndarray


SLOTS = np.array([[0, 1, 3], [2, 4, 5]])
"""Interpolation points where `combine` leaves them: 0, 1/√2, √2 and their opposites, infinity."""


def combine(found: np.ndarray) -> None:
    """From the shares of even and odd cells in each point (36, count), their sums and differences, in place."""
    parts = found.reshape(2, 2, 3, 3, -1)
    for even, odd in ((parts[0, :, 1:], parts[1, :, :2]), (parts[:, 0, :, 1:], parts[:, 1, :, :2])):
        even += odd
        odd *= -2
        odd += even


@lru_cache(maxsize=2)
def transforms(dtype: np.dtype) -> Transforms:
    """The matrices by Toom and Cook's construction: evaluate, multiply, interpolate, transposed."""
    root = np.sqrt(2.0)
    points = [0.0, 1 / root, -1 / root, root, -root]
    result, kernel, image = np.zeros((TILE, REACH)), np.zeros((REACH, 3)), np.zeros((REACH, REACH))
    for i, p in enumerate(points):
        others = [q for q in points if q != p]
        result[:, i] = p ** np.arange(TILE)
        kernel[i] = p ** np.arange(3) / np.prod([p - q for q in others])
        image[i, : REACH - 1] = np.poly(others)[::-1]
    result[-1, -1] = kernel[-1, -1] = 1.0
    image[-1] = np.poly(points)[::-1]
    shares = image[np.ix_(SLOTS[0], [0, 2, 4])], image[np.ix_([1, 3, 5], [1, 3, 5])]
    blocks = np.stack([np.kron(a, b) for a in shares for b in shares])
    order = (SLOTS[:, None, :, None] * REACH + SLOTS[None, :, None, :]).reshape(-1)
    matrices = blocks, np.kron(kernel, kernel)[order], np.kron(result, result)[:, order]
    return Transforms(*[np.ascontiguousarray(m, dtype) for m in matrices])


def correlate_3x3(
    x: np.ndarray,
    kernel: np.ndarray,
    lows: Sizes,
    sizes: Sizes,
    finish: Finish | None = None,
    kept: np.ndarray | None = None,
) -> np.ndarray:
    """`out[n, i, j] = sum over a, b of x[n, i + a - low, j + b - low] @ kernel[a, b]`.

    kept: room (36, tiles * channels) for the transform of the image, which the gradients need again
    """
    return _correlate(x, kernel, lows, _plan(x, kernel, sizes), finish, sizes, kept=kept)


def correlate_3x3_pooled(
    x: np.ndarray, kernel: np.ndarray, lows: Sizes, sizes: Sizes, finish: Finish, choose: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """`correlate_3x3`, then max-pooling by windows of 2x2; and the choice of each window, as `Windows` has it."""
    plan = _plan(x, kernel, sizes)
    count = x.shape[0] * plan.high * plan.wide * kernel.shape[-1]
    chosen = empty((12, count), np.dtype(bool)) if choose else None
    return _correlate(x, kernel, lows, plan, finish, (sizes[0] // 2, sizes[1] // 2), True, chosen), chosen


def _plan(x: np.ndarray, kernel: np.ndarray, sizes: Sizes) -> Plan:
    return Plan(x.shape[0], sizes, REACH * REACH * max(kernel.shape[-2:]) * x.itemsize)


def _microseconds(plan: Plan, depth: int, filters: int) -> float:
    """Of a pass over all tiles: products and the transforms of both sides."""
    tiles_in_all = sum(block.count for blocks in plan.chunks for block in blocks)
    return tiles_in_all * REACH * REACH * (depth * filters + 36 * depth + 16 * filters) * 2 / 60e3


class _Images:
    """Transformed image tiles, block by block: (36, tiles, channels); kept if there is room for all of them."""

    def __init__(self, x: np.ndarray, lows: Sizes, plan: Plan, kept: np.ndarray | None, is_made: bool = False) -> None:
        self.x, self.kept, self.is_made = np.ascontiguousarray(x), kept, is_made
        self.cells = Cells(plan, REACH, TILE, lows)
        self.matrix = transforms(x.dtype).image

    def __call__(self, block: Block, patches: Scratch, room: Scratch) -> np.ndarray:
        """A block's; the caller may use the memory of what is not kept."""
        depth = self.x.shape[-1]
        width = block.count * depth
        start = block.place * depth
        kept = None if self.kept is None else self.kept[:, start : start + width]
        out = room(REACH * REACH, width) if kept is None else kept
        if not self.is_made:
            gathered = patches(REACH * REACH, width)
            self.cells.gather(self.x, block, gathered)
            np.matmul(self.matrix, gathered.reshape(4, 9, width), out=out.reshape(4, 9, width))
            combine(out)
        return out.reshape(REACH * REACH, block.count, depth)


def _correlate(
    x: np.ndarray,
    kernel: np.ndarray,
    lows: Sizes,
    plan: Plan,
    finish: Finish | None,
    sizes: Sizes,
    pools: bool = False,
    chosen: np.ndarray | None = None,
    kept: np.ndarray | None = None,
) -> np.ndarray:
    depth, filters = kernel.shape[-2:]
    form = transforms(x.dtype)
    weights = (form.kernel @ kernel.reshape(9, -1)).reshape(REACH * REACH, depth, filters)
    side = TILE // 2 if pools else TILE
    out = empty((x.shape[0], *sizes, filters), x.dtype)
    images, results = _Images(x, lows, plan, kept), Cells(plan, side, side)

    def scratch() -> tuple[Any, ...]:
        # patches are done with when their transform is there, and products when the results are
        widths = max(depth, filters), depth if kept is None else 0, filters
        rooms = [Scratch(plan, REACH * REACH * width, x.dtype) for width in widths]
        return *rooms, Windows(plan, filters, x.dtype, chosen) if pools else None

    def run(chunk: int, rooms: tuple[Any, ...]) -> None:
        patches, transformed, products, windows = rooms
        for block in plan.chunks[chunk]:
            given = images(block, patches, transformed)
            found = np.matmul(given, weights, out=products(REACH * REACH, block.count, filters))
            cells = patches(TILE * TILE, block.count * filters)
            np.matmul(form.result, found.reshape(REACH * REACH, -1), out=cells)
            if finish is not None:
                finish(cells.reshape(-1, filters))
            results.scatter(cells if windows is None else windows.pool(cells, block), block, out)

    run_blocks(run, len(plan.chunks), _microseconds(plan, depth, filters), scratch)
    return out


class Gradients(NamedTuple):
    """Adjoints of `correlate_3x3` to its image, to its kernel and to a bias; None what was not asked for."""

    image: np.ndarray | None
    kernel: np.ndarray
    bias: np.ndarray | None


def correlate_3x3_gradients(
    x: np.ndarray,
    dy: np.ndarray,
    kernel: np.ndarray | None,
    lows: Sizes,
    kept: np.ndarray | None = None,
    with_bias: bool = False,
) -> Gradients:
    """Adjoints, which share the transform of the gradient; without a kernel none to the image."""
    return _gradients(x, dy, kernel, lows, dy.shape[1:-1], None, kept, with_bias)


def correlate_3x3_pooled_gradients(
    x: np.ndarray,
    dy: np.ndarray,
    chosen: np.ndarray,
    kernel: np.ndarray,
    lows: Sizes,
    sizes: Sizes,
    with_bias: bool = False,
) -> Gradients:
    """Adjoints of `correlate_3x3` and the pooling of its results (of spatial sizes `sizes`), whose gradient is dy."""
    return _gradients(x, dy, kernel, lows, sizes, chosen, None, with_bias)


def _gradients(
    x: np.ndarray,
    dy: np.ndarray,
    kernel: np.ndarray | None,
    lows: Sizes,
    sizes: Sizes,
    chosen: np.ndarray | None,
    kept: np.ndarray | None,
    with_bias: bool,
) -> Gradients:
    depth, filters, dtype = x.shape[-1], dy.shape[-1], x.dtype
    form = transforms(dtype)
    spread = np.ascontiguousarray(form.result.T)
    total_bytes = REACH * REACH * depth * filters * x.itemsize
    chunks = max(1, min(CHUNKS, MOST_TOTALS // total_bytes))
    plan = Plan(x.shape[0], sizes, REACH * REACH * max(depth, filters) * x.itemsize, chunks)
    side = TILE if chosen is None else TILE // 2
    dy, results = np.ascontiguousarray(dy), Cells(plan, side, side)
    images = _Images(x, lows, plan, kept, kept is not None)
    image = None if kernel is None else _ImageGradient(x, kernel, lows, plan)
    totals = np.zeros((len(plan.chunks), REACH * REACH, depth, filters), dtype)
    sums = np.zeros((len(plan.chunks), filters), dtype)

    def scratch() -> tuple[Any, ...]:
        rooms = [Scratch(plan, REACH * REACH * width, dtype) for width in (max(depth, filters), depth, filters)]
        windows = None if chosen is None else Windows(plan, filters, dtype, chosen)
        carried = None if image is None else image.room()
        return *rooms, windows, np.empty(totals.shape[1:], dtype), carried

    def run(chunk: int, rooms: tuple[Any, ...]) -> None:
        patches, transformed, gradients, windows, product, carried = rooms
        for block in plan.chunks[chunk]:
            given = images(block, patches, transformed)
            cells = patches(TILE * TILE, block.count * filters)
            if windows is None:
                results.gather(dy, block, cells)
            else:
                windows.spread(results, dy, block, cells)
            if with_bias:
                rows = cells.reshape(-1, filters)
                sums[chunk] += ones(len(rows), dtype) @ rows
            found = gradients(REACH * REACH, block.count, filters)
            np.matmul(spread, cells, out=found.reshape(REACH * REACH, -1))
            totals[chunk] += np.matmul(given.transpose(0, 2, 1), found, out=product)
            if image is not None:
                image.add(block, found, transformed, patches, carried)

    microseconds = _microseconds(plan, depth, filters) * (2 if kernel is None else 3)
    run_blocks(run, len(plan.chunks), microseconds, scratch)
    dk = (form.kernel.T @ totals.sum(0).reshape(REACH * REACH, -1)).reshape(3, 3, depth, filters)
    return Gradients(None if image is None else image.dx, dk, sums.sum(0) if with_bias else None)


class _ImageGradient:
    """The adjoint of the transform of overlapping tiles, and their sum where they overlap."""

    def __init__(self, x: np.ndarray, kernel: np.ndarray, lows: Sizes, plan: Plan) -> None:
        form = transforms(x.dtype)
        depth, filters = kernel.shape[-2:]
        turned = np.ascontiguousarray(kernel.swapaxes(2, 3)).reshape(9, -1)
        self.weights = (form.kernel @ turned).reshape(REACH * REACH, filters, depth)
        self.matrix = np.ascontiguousarray(form.image.swapaxes(1, 2))
        self.plan, self.dx = plan, empty(x.shape, x.dtype)
        self.cells = Cells(plan, REACH, TILE, lows)

    def room(self) -> np.ndarray:
        """For what a block adds to the first lines of the next one: (2, 2, 3, images, columns, channels)."""
        return np.empty((2, 2, 3, self.plan.images, self.plan.wide, self.dx.shape[-1]), self.dx.dtype)

    def add(self, block: Block, gradients: np.ndarray, room: Scratch, parts: Scratch, carried: np.ndarray) -> None:
        """Write the lines of images that are complete with this block."""
        depth = self.dx.shape[-1]
        products = np.matmul(gradients, self.weights, out=room(REACH * REACH, block.count, depth))
        combine(products.reshape(REACH * REACH, -1))
        found = parts(4, 9, block.count * depth)
        np.matmul(self.matrix, products.reshape(found.shape), out=found)
        tiled = found.reshape(self.cells.shape(block, depth))
        # what reaches into the next tile is added to it here, where neighbours are long runs of memory
        tiled[:, :, :, 0, :, :, 1:] += tiled[:, :, :, 2, :, :, :-1]
        tiled[:, :, 0, :, :, 1:] += tiled[:, :, 2, :, :, :-1]
        if block.top:
            tiled[:, :, 0, :, :, 0] += carried
        if block.top + block.rows < self.plan.high:
            carried[...] = tiled[:, :, 2, :, :, -1]
        self.cells.scatter(found, block, self.dx)
