"""Winograd's minimal filtering F(4x4, 3x3) for NumPy: 3x3 convolutions of stride 1 with a quarter of the products.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016). Interpolation points are 0, ±1/√2,
±√2 and infinity, whose transforms are the best conditioned in single precision. Both transforms of a tile are one
product with a Kronecker matrix, so that everything runs inside matrix products.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from .convolution_finish import Finish
from .memory import empty
from .windows import frame_slices

Sizes = tuple[int, ...]
TILE = 4
OVERLAP = 2
REACH = 6
"""Cells that a tile of results depends on, along each axis: 4 + 3 - 1."""
BLOCK_BYTES = 5 << 17
"""Size of the largest matrix of a block: with smaller ones, products are too short to be fast."""
FEWEST_TILES = 96
"""Tiles of a block of many channels: what is read and added up once a block costs as much as that many tiles."""
FEWEST_CHANNELS = 16
MOST_WASTE = 1.6


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
    """Kronecker matrices of the transforms: image tile, kernel, result tile."""

    image: np.ndarray
    kernel: np.ndarray
    result: np.ndarray


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
    return Transforms(*[np.ascontiguousarray(np.kron(m, m), dtype) for m in (image, kernel, result)])


def tiles(sizes: tuple[int, ...]) -> tuple[int, int]:
    """How many tiles cover the result, along each axis."""
    return -(-sizes[0] // TILE), -(-sizes[1] // TILE)


class _Block(NamedTuple):
    images: slice
    top: int
    rows: int
    count: int
    """Tiles in this block."""
    transformed: np.ndarray
    """Image tiles after their transform: (36, tiles, channels)."""


class _Plan:
    """How tiles are cut into blocks: some images, or some rows of tiles of one image, at a time."""

    def __init__(self, batch: int, sizes: Sizes, tile_bytes: int) -> None:
        self.batch, self.sizes = batch, sizes
        self.high, self.wide = tiles(sizes)
        self.lengths = (self.high * TILE + 2, self.wide * TILE + 2)
        budget = max(1, max(FEWEST_TILES, BLOCK_BYTES // tile_bytes) // self.wide)
        self.images, self.rows = max(1, min(batch, budget // self.high)), min(self.high, budget)
        self.most = self.images * self.rows * self.wide

    def __iter__(self) -> Iterator[tuple[slice, int, int]]:
        """Images, first row of tiles and how many of these, for each block."""
        for first in range(0, self.batch, self.images):
            for top in range(0, self.high, self.rows):
                yield slice(first, min(first + self.images, self.batch)), top, min(self.rows, self.high - top)


class _Scratch:
    """Room for one matrix, of at most so many elements a tile."""

    def __init__(self, plan: _Plan, width: int, dtype: np.dtype) -> None:
        self.memory = empty((plan.most * width,), dtype)
        self.known: dict[tuple[int, ...], np.ndarray] = {}

    def __call__(self, *shape: int) -> np.ndarray:
        found = self.known.get(shape)
        if found is None:
            found = self.known[shape] = self.memory[: prod(shape)].reshape(shape)
        return found


def _blocks(x: np.ndarray, lows: Sizes, plan: _Plan, gathered: _Scratch, kept: np.ndarray | None) -> Iterator[_Block]:
    """Transformed image tiles, block by block, and kept if there is room; else the caller may use theirs after use."""
    depth = x.shape[-1]
    inner, source = frame_slices(x.shape[1:-1], lows, plan.lengths)
    framed = np.zeros((plan.images, *plan.lengths, depth), x.dtype)
    transformed = _Scratch(plan, REACH * REACH * depth, x.dtype)
    matrix = transforms(x.dtype).image
    place = 0
    for images, top, rows in plan:
        part = framed[: images.stop - images.start]
        if not top:
            part[inner] = x[images][source]
        view = _tile_view(part, top, rows, plan.wide)
        count = len(part) * rows * plan.wide
        patches = gathered(REACH * REACH, count * depth)
        np.copyto(patches.reshape(view.shape), view)
        target = transformed(*patches.shape) if kept is None else kept[:, place : place + count * depth]
        result = np.matmul(matrix, patches, out=target)
        place += count * depth
        yield _Block(images, top, rows, count, result.reshape(REACH * REACH, count, depth))


def _kept_blocks(kept: np.ndarray, plan: _Plan, depth: int) -> Iterator[_Block]:
    """The blocks that were kept."""
    place = 0
    for images, top, rows in plan:
        count = (images.stop - images.start) * rows * plan.wide
        part = kept[:, place : place + count * depth]
        place += count * depth
        yield _Block(images, top, rows, count, part.reshape(REACH * REACH, count, depth))


def _tile_view(framed: np.ndarray, top: int, rows: int, columns: int) -> np.ndarray:
    """View (6, 6, images, rows, columns, channels) of overlapping tiles."""
    image, line, cell, channel = framed.strides
    shape = (REACH, REACH, framed.shape[0], rows, columns, framed.shape[-1])
    steps = (line, cell, image, TILE * line, TILE * cell, channel)
    # as `as_strided`, ten times as fast
    return np.ndarray(shape, framed.dtype, framed, top * TILE * line, steps)


def _result_tiles(image: np.ndarray, block: _Block, wide: int, side: int = TILE) -> np.ndarray:
    """View (side, side, images, rows, columns, channels) of a block's tiles in results that tiles fill."""
    part = image[block.images, block.top * side : (block.top + block.rows) * side]
    split = part.reshape(part.shape[0], block.rows, side, wide, side, image.shape[-1])
    return split.transpose(2, 4, 0, 1, 3, 5)


def _tiled(dy: np.ndarray, plan: _Plan, side: int) -> np.ndarray:
    """The results' gradient with zeros to whole tiles."""
    high, wide = dy.shape[1:-1]
    covered = plan.high * side, plan.wide * side
    if covered == (high, wide):
        return dy
    padded = empty((dy.shape[0], *covered, dy.shape[-1]), dy.dtype)
    padded[:, high:] = 0
    padded[:, :high, wide:] = 0
    padded[:, :high, :wide] = dy
    return padded


class Windows:
    """Max-pooling of results by windows of 2x2 side by side, while a block of tiles is in the cache.

    chosen: (12, tiles * filters): for the 4 windows of each tile whether the left cell is the first largest of the
    upper row, then the same of the lower row, then whether the largest of all is in the upper row; None if not wanted
    """

    def __init__(self, plan: _Plan, filters: int, dtype: np.dtype, chosen: np.ndarray | None) -> None:
        self.chosen = chosen
        self.largest, self.pooled = (_Scratch(plan, n * filters, dtype) for n in (8, 4))
        self.place = 0

    def _masks(self, count: int) -> np.ndarray:
        """The masks of the next block: (3, 2, 2, its tiles * filters)."""
        part = self.chosen[:, self.place : self.place + count]  # pyright: ignore[reportOptionalSubscript]
        self.place += count
        return part.reshape(3, 2, 2, count)

    def pool(self, results: np.ndarray) -> np.ndarray:
        """Results (16, tiles * filters) pooled: (4, tiles * filters)."""
        count = results.shape[1]
        cells = results.reshape(2, 2, 2, 2, count)
        left, right = cells[:, :, :, 0], cells[:, :, :, 1]
        rows = np.maximum(left, right, out=self.largest(2, 2, 2, count))
        upper, lower = rows[:, 0], rows[:, 1]
        if self.chosen is not None:
            masks = self._masks(count)
            np.greater_equal(left[:, 0], right[:, 0], out=masks[0])
            np.greater_equal(left[:, 1], right[:, 1], out=masks[1])
            np.greater_equal(upper, lower, out=masks[2])
        return np.maximum(upper, lower, out=self.pooled(2, 2, count)).reshape(4, count)

    def spread(self, tiles: np.ndarray, out: np.ndarray) -> None:
        """Gradients of windows (2, 2, ...) to those of results (16, tiles * filters): to each first largest cell."""
        count = out.shape[1]
        gradients = self.pooled(2, 2, count)
        np.copyto(gradients.reshape(tiles.shape), tiles)
        masks, cells, rows = self._masks(count), out.reshape(2, 2, 2, 2, count), self.largest(2, 2, 2, count)
        np.multiply(gradients, masks[2], out=rows[0])
        np.subtract(gradients, rows[0], out=rows[1])
        for i in range(2):
            left = np.multiply(rows[i], masks[i], out=cells[:, i, :, 0])
            np.subtract(rows[i], left, out=cells[:, i, :, 1])


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
    depth, filters = kernel.shape[-2:]
    plan = _Plan(x.shape[0], sizes, REACH * REACH * max(depth, filters) * x.itemsize)
    return _correlate(x, kernel, lows, plan, finish, None, sizes, kept)


def correlate_3x3_pooled(
    x: np.ndarray, kernel: np.ndarray, lows: Sizes, sizes: Sizes, finish: Finish, choose: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """`correlate_3x3`, then max-pooling by windows of 2x2; and the choice of each window, as `Windows` has it."""
    depth, filters = kernel.shape[-2:]
    plan = _Plan(x.shape[0], sizes, REACH * REACH * max(depth, filters) * x.itemsize)
    count = x.shape[0] * plan.high * plan.wide * filters
    chosen = empty((12, count), np.dtype(bool)) if choose else None
    windows = Windows(plan, filters, x.dtype, chosen)
    return _correlate(x, kernel, lows, plan, finish, windows, (sizes[0] // 2, sizes[1] // 2)), chosen


def _correlate(
    x: np.ndarray,
    kernel: np.ndarray,
    lows: Sizes,
    plan: _Plan,
    finish: Finish | None,
    windows: Windows | None,
    sizes: Sizes,
    kept: np.ndarray | None = None,
) -> np.ndarray:
    depth, filters = kernel.shape[-2:]
    form = transforms(x.dtype)
    weights = (form.kernel @ kernel.reshape(9, -1)).reshape(REACH * REACH, depth, filters)
    side = TILE if windows is None else TILE // 2
    out = empty((x.shape[0], plan.high * side, plan.wide * side, filters), x.dtype)
    # patches are done with when their transform is there, and products when the results are
    patches, products = (_Scratch(plan, REACH * REACH * n, x.dtype) for n in (max(depth, filters), filters))
    for block in _blocks(x, lows, plan, patches, kept):
        found = np.matmul(block.transformed, weights, out=products(REACH * REACH, block.count, filters))
        target = _result_tiles(out, block, plan.wide, side)
        results = patches(TILE * TILE, block.count * filters)
        np.matmul(form.result, found.reshape(REACH * REACH, -1), out=results)
        if finish is not None:
            finish(results.reshape(-1, filters))
        if windows is not None:
            results = windows.pool(results)
        np.copyto(target, results.reshape(target.shape))
    if out.shape[1:-1] == sizes:
        return out
    return np.ascontiguousarray(out[:, : sizes[0], : sizes[1]])


def correlate_3x3_kernel(x: np.ndarray, dy: np.ndarray, lows: Sizes) -> np.ndarray:
    """Adjoint of `correlate_3x3` to its kernel."""
    return _gradients(x, dy, None, lows)[1]


def correlate_3x3_gradients(
    x: np.ndarray, dy: np.ndarray, kernel: np.ndarray, lows: Sizes, kept: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Adjoints of `correlate_3x3` to its image and to its kernel, which share the transform of the gradient."""
    return _gradients(x, dy, kernel, lows, kept=kept)  # pyright: ignore[reportReturnType]


def correlate_3x3_pooled_gradients(
    x: np.ndarray, dy: np.ndarray, chosen: np.ndarray, kernel: np.ndarray, lows: Sizes, sizes: Sizes
) -> tuple[np.ndarray, np.ndarray]:
    """Adjoints of `correlate_3x3` and the pooling of its results (of spatial sizes `sizes`), whose gradient is dy."""
    return _gradients(x, dy, kernel, lows, sizes, chosen)  # pyright: ignore[reportReturnType]


def _gradients(
    x: np.ndarray,
    dy: np.ndarray,
    kernel: np.ndarray | None,
    lows: Sizes,
    sizes: Sizes | None = None,
    chosen: np.ndarray | None = None,
    kept: np.ndarray | None = None,
) -> tuple[np.ndarray | None, np.ndarray]:
    depth, filters = x.shape[-1], dy.shape[-1]
    form = transforms(x.dtype)
    spread = np.ascontiguousarray(form.result.T)
    plan = _Plan(x.shape[0], sizes or dy.shape[1:-1], REACH * REACH * max(depth, filters) * x.itemsize)
    windows = None if chosen is None else Windows(plan, filters, x.dtype, chosen)
    side = TILE if windows is None else TILE // 2
    dy = _tiled(dy, plan, side)
    room, gradients = (_Scratch(plan, REACH * REACH * n, x.dtype) for n in (max(depth, filters), filters))
    total = np.zeros((REACH * REACH, depth, filters), x.dtype)
    scratch = np.empty_like(total)
    images = None if kernel is None else _ImageGradient(x, kernel, lows, plan, kept is not None)
    for block in _blocks(x, lows, plan, room, None) if kept is None else _kept_blocks(kept, plan, depth):
        tiles_of_dy = _result_tiles(dy, block, plan.wide, side)
        gathered = room(TILE * TILE, block.count * filters)
        if windows is None:
            np.copyto(gathered.reshape(tiles_of_dy.shape), tiles_of_dy)
        else:
            windows.spread(tiles_of_dy, gathered)
        found = np.matmul(spread, gathered, out=gradients(REACH * REACH, block.count * filters))
        found = found.reshape(REACH * REACH, block.count, filters)
        np.matmul(block.transformed.transpose(0, 2, 1), found, out=scratch)
        total += scratch
        if images is not None:
            images.add(block, found, room)
    dk = (form.kernel.T @ total.reshape(REACH * REACH, -1)).reshape(3, 3, depth, filters)
    return None if images is None else images.dx, dk


def _columns(lines: np.ndarray, wide: int) -> np.ndarray:
    """View (lines, 4, images, columns, channels) of some lines of images (images, lines, cells, channels)."""
    split = lines.reshape(*lines.shape[:2], wide, TILE, lines.shape[-1])
    return split.transpose(1, 3, 0, 2, 4)


class _ImageGradient:
    """The adjoint of the transform of overlapping tiles, and their sum where they overlap."""

    def __init__(self, x: np.ndarray, kernel: np.ndarray, lows: Sizes, plan: _Plan, keeps: bool) -> None:
        form = transforms(x.dtype)
        depth, filters = kernel.shape[-2:]
        turned = np.ascontiguousarray(kernel.swapaxes(2, 3)).reshape(9, -1)
        self.weights = (form.kernel @ turned).reshape(REACH * REACH, filters, depth)
        self.matrix = np.ascontiguousarray(form.image.T)
        self.plan, self.dx = plan, empty(x.shape, x.dtype)
        self.products = _Scratch(plan, REACH * REACH * depth, x.dtype) if keeps else None
        self.inner, self.source = frame_slices(x.shape[1:-1], lows, plan.lengths)
        self.framed = empty((plan.images, *plan.lengths, depth), x.dtype)
        # with room beside the frame for cells of no window
        whole = all(s.stop - s.start == n for s, n in zip(self.source[1:], x.shape[1:-1], strict=True))
        if not whole:
            self.dx[...] = 0

    def add(self, block: _Block, gradients: np.ndarray, room: _Scratch) -> None:
        """Add one block; images are complete with their last one. A transform that is not kept is overwritten."""
        depth = self.dx.shape[-1]
        target = block.transformed if self.products is None else self.products(*block.transformed.shape)
        products = np.matmul(gradients, self.weights, out=target)
        parts = room(REACH * REACH, block.count * depth)
        np.matmul(self.matrix, products.reshape(REACH * REACH, -1), out=parts)
        high, wide, top = block.rows, self.plan.wide, block.top * TILE
        framed = self.framed[: block.images.stop - block.images.start]
        tiled = parts.reshape(REACH, REACH, len(framed), high, wide, depth)
        # what reaches into the next tile is added to it here, where neighbours are long runs of memory
        tiled[:, :OVERLAP, :, :, 1:] += tiled[:, TILE:, :, :, :-1]
        tiled[:OVERLAP, :, :, 1:] += tiled[TILE:, :, :, :-1]
        if top:
            carried = framed[:, top : top + OVERLAP]
            tiled[:OVERLAP, :TILE, :, 0] += _columns(carried[:, :, : wide * TILE], wide)
            tiled[:OVERLAP, TILE:, :, 0, -1] += carried[:, :, wide * TILE :].transpose(1, 2, 0, 3)
        bottom, right = top + high * TILE, slice(wide * TILE, None)
        np.copyto(_tile_view(framed, block.top, high, wide)[:TILE, :TILE], tiled[:TILE, :TILE])
        edge = framed[:, top:bottom, right].reshape(len(framed), high, TILE, OVERLAP, depth)
        np.copyto(edge, tiled[:TILE, TILE:, :, :, -1].transpose(2, 3, 0, 1, 4))
        below = framed[:, bottom : bottom + OVERLAP]
        np.copyto(_columns(below[:, :, : wide * TILE], wide), tiled[TILE:, :TILE, :, -1])
        np.copyto(below[:, :, right], tiled[TILE:, TILE:, :, -1, -1].transpose(2, 0, 1, 3))
        if block.top + block.rows == self.plan.high:
            self.dx[block.images][self.source] = framed[self.inner]
