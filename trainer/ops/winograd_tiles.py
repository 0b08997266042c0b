"""Tiles of images: how they are cut into blocks, and where the cells of tiles lie among those of images.

Runs of channels are moved between images and tiles by `take` with indices made once for a kind of block, which is
twice as fast as copying between views: NumPy spends more on starting a run than on moving one.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .memory import empty

Sizes = tuple[int, ...]
TILE = 4
REACH = 6
"""Cells that a tile of results depends on, along each axis: 4 + 3 - 1."""
BLOCK_BYTES = 5 << 17
"""Size of the largest matrix of a block: with smaller ones, products are too short to be fast."""
FEWEST_TILES = 192
"""Tiles of a block of many channels: what is read and added up once a block is shared, and long products are faster."""
CHUNKS = 4
"""Runs of blocks that several threads share among them, and sums of which are added up at the end."""


def tiles(sizes: Sizes) -> tuple[int, int]:
    """How many tiles cover the result, along each axis."""
    return -(-sizes[0] // TILE), -(-sizes[1] // TILE)


class Block(NamedTuple):
    """Some images, or some rows of tiles of one image."""

    images: slice
    top: int
    rows: int
    place: int
    """Tiles before this block."""
    count: int
    """Tiles in this block."""


class Plan:
    """How tiles are cut into blocks, and these into chunks of whole images that do not depend on each other."""

    def __init__(self, batch: int, sizes: Sizes, tile_bytes: int, chunks: int = CHUNKS) -> None:
        self.high, self.wide = tiles(sizes)
        budget = max(1, max(FEWEST_TILES, BLOCK_BYTES // tile_bytes) // self.wide)
        self.images, self.rows = max(1, min(batch, budget // self.high)), min(self.high, budget)
        self.most = self.images * self.rows * self.wide
        self.chunks: list[list[Block]] = []
        groups = -(-batch // self.images)
        share = max(1, -(-groups // chunks))
        for start in range(0, groups, share):
            firsts = range(start * self.images, min((start + share) * self.images, batch), self.images)
            self.chunks.append([block for first in firsts for block in self._blocks(first, batch)])

    def _blocks(self, first: int, batch: int) -> list[Block]:
        images = slice(first, min(first + self.images, batch))
        found = []
        for top in range(0, self.high, self.rows):
            rows = min(self.rows, self.high - top)
            place = (first * self.high + top) * self.wide
            found.append(Block(images, top, rows, place, (images.stop - first) * rows * self.wide))
        return found


class Scratch:
    """Room for one matrix, of at most so many elements a tile."""

    def __init__(self, plan: Plan, width: int, dtype: np.dtype) -> None:
        self.memory = empty((plan.most * width,), dtype)
        self.known: dict[tuple[int, ...], np.ndarray] = {}

    def __call__(self, *shape: int) -> np.ndarray:
        found = self.known.get(shape)
        if found is None:
            found = self.known[shape] = self.memory[: prod(shape)].reshape(shape)
        return found


@lru_cache(maxsize=128)
def _window_cells(
    shape: Sizes, tiled: Sizes, side: int, step: int, first: Sizes
) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
    """Where cells of tiles, in the order of `Cells`, lie in images (images, lines, columns).

    Also which of them lie outside, where the indices point elsewhere. first: where the first tile begins
    """
    index: Any = np.arange(shape[0]).reshape(1, 1, -1, 1, 1)
    outside: list[tuple[Any, ...]] = []
    whole = slice(None)
    for axis in range(2):
        length, count = shape[1 + axis], tiled[axis]
        cells = np.arange(side)[:, None] + step * np.arange(count) + first[axis]
        spread = (side, 1, 1, count, 1) if axis == 0 else (1, side, 1, 1, count)
        index = index * length + cells.clip(0, length - 1).reshape(spread)
        for a, found in enumerate((cells >= 0) & (cells < length)):
            for part in _gaps(found):
                of_axis = (a % 2, whole, a // 2, whole) if side == REACH else (a, whole)
                outside.append((*of_axis, whole, part) if axis == 0 else (whole, *of_axis[:-1], whole, whole, part))
    cells = np.broadcast_to(index, (side, side, shape[0], *tiled))
    if side == REACH:
        cells = cells.reshape(3, 2, 3, 2, *cells.shape[2:]).transpose(1, 3, 0, 2, 4, 5, 6)
    return np.ascontiguousarray(cells).reshape(-1), outside


@lru_cache(maxsize=128)
def _tile_cells(
    shape: Sizes, tiled: Sizes, side: int, step: int, first: Sizes
) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
    """Where cells of images (images, lines, columns) lie in tiles in the order of `Cells`; each in its last tile.

    Also which of them lie in no tile. first: where the images begin among the cells of tiles
    """
    index: list[Any] = []
    outside: list[tuple[Any, ...]] = []
    for axis in range(2):
        cells = np.arange(shape[1 + axis]) + first[axis]
        tile = (cells // step).clip(0, tiled[axis] - 1)
        within = cells - step * tile
        outside += [(slice(None),) * (axis + 1) + (part,) for part in _gaps((within >= 0) & (within < side))]
        index += [tile, within.clip(0, side - 1)]
    high, above, wide, left = index
    images = np.arange(shape[0]).reshape(-1, 1, 1)
    cell = above[:, None] * side + left
    if side == REACH:
        cell = (above % 2 * 18 + above // 2 * 3)[:, None] + left % 2 * 9 + left // 2
    cell = cell * shape[0] + images
    return ((cell * tiled[0] + high[:, None]) * tiled[1] + wide).reshape(-1), outside


def _gaps(found: np.ndarray) -> list[slice]:
    """What lies before and behind the one run of what is found."""
    inside = np.flatnonzero(found)
    begin, end = (int(inside[0]), int(inside[-1]) + 1) if inside.size else (0, 0)
    return [part for part in (slice(0, begin), slice(end, found.size)) if part.start < part.stop]


def _move(source: np.ndarray, cells: np.ndarray, outside: list[tuple[Any, ...]], target: np.ndarray) -> None:
    """Runs of channels from where the indices point; zeros outside."""
    depth = source.shape[-1]
    source.reshape(-1, depth).take(cells, 0, target.reshape(-1, depth), "clip")
    for part in outside:
        target[part] = 0


class Cells:
    """Cells of images (images, lines, columns, channels) and of tiles (side, side, images, rows, columns, channels).

    Tiles begin `step` cells apart, the first of them `lows` cells before the images. Those of 6x6 cells have even and
    odd lines and columns apart, as their transform wants them: (2, 2, 3, 3, images, rows, columns, channels).
    """

    def __init__(self, plan: Plan, side: int, step: int, lows: Sizes = (0, 0)) -> None:
        self.plan, self.side, self.step, self.lows = plan, side, step, lows

    def _tiled(self, block: Block) -> Sizes:
        return block.rows, self.plan.wide

    def shape(self, block: Block, depth: int) -> tuple[int, ...]:
        """The shape of a block's tiles."""
        within = (2, 2, 3, 3) if self.side == REACH else (self.side, self.side)
        return *within, block.images.stop - block.images.start, *self._tiled(block), depth

    def gather(self, images: np.ndarray, block: Block, out: np.ndarray) -> None:
        """The cells of a block's tiles, zero outside of the images; out: (side * side, tiles * channels)."""
        target, length, low = out.reshape(self.shape(block, images.shape[-1])), images.shape[1], self.lows[0]
        if not images.size:
            out[...] = 0
            return
        start, stop = 0, length
        if block.rows < self.plan.high:
            start = min(max(self.step * block.top - low, 0), length - 1)
            reach = self.step * (block.top + block.rows - 1) + self.side - low
            stop = max(min(reach, length), start + 1)
        part = images[block.images, start:stop]
        first = self.step * block.top - low - start, -self.lows[1]
        _move(part, *_window_cells(part.shape[:3], self._tiled(block), self.side, self.step, first), target)

    def scatter(self, found: np.ndarray, block: Block, images: np.ndarray) -> None:
        """A block's tiles as cells of images: each cell from its last tile, 0 where there is none."""
        length, low = images.shape[1], self.lows[0]
        start, stop = 0, length
        if block.top:
            start = min(max(self.step * block.top - low, 0), length)
        if block.top + block.rows < self.plan.high:
            stop = min(max(self.step * (block.top + block.rows) - low, 0), length)
        target = images[block.images, start:stop]
        if not target.size:
            return
        first = start + low - self.step * block.top, self.lows[1]
        source = found.reshape(self.shape(block, images.shape[-1]))
        _move(source, *_tile_cells(target.shape[:3], self._tiled(block), self.side, self.step, first), target)


class Windows:
    """Max-pooling of results by windows of 2x2 side by side, while a block of tiles is in the cache.

    chosen: (12, tiles * filters): for the 4 windows of each tile whether the left cell is the first largest of the
    upper row, then the same of the lower row, then whether the largest of all is in the upper row; None if not wanted
    """

    def __init__(self, plan: Plan, filters: int, dtype: np.dtype, chosen: np.ndarray | None) -> None:
        self.filters, self.chosen = filters, chosen
        self.largest, self.pooled = (Scratch(plan, n * filters, dtype) for n in (8, 4))

    def _masks(self, block: Block) -> np.ndarray:
        """The masks of a block: (3, 2, 2, its tiles * filters)."""
        start, count = block.place * self.filters, block.count * self.filters
        return self.chosen[:, start : start + count].reshape(3, 2, 2, count)  # pyright: ignore[reportOptionalSubscript]

    def pool(self, results: np.ndarray, block: Block) -> np.ndarray:
        """Results (16, tiles * filters) pooled: (4, tiles * filters)."""
        count = results.shape[1]
        cells = results.reshape(2, 2, 2, 2, count)
        left, right = cells[:, :, :, 0], cells[:, :, :, 1]
        rows = np.maximum(left, right, out=self.largest(2, 2, 2, count))
        upper, lower = rows[:, 0], rows[:, 1]
        if self.chosen is not None:
            masks = self._masks(block)
            np.greater_equal(left[:, 0], right[:, 0], out=masks[0])
            np.greater_equal(left[:, 1], right[:, 1], out=masks[1])
            np.greater_equal(upper, lower, out=masks[2])
        return np.maximum(upper, lower, out=self.pooled(2, 2, count)).reshape(4, count)

    def spread(self, cells: Cells, dy: np.ndarray, block: Block, out: np.ndarray) -> None:
        """Gradients of windows to those of results (16, tiles * filters): to each first largest cell."""
        count = out.shape[1]
        gradients = self.pooled(2, 2, count)
        cells.gather(dy, block, gradients)
        masks, found, rows = self._masks(block), out.reshape(2, 2, 2, 2, count), self.largest(2, 2, 2, count)
        np.multiply(gradients, masks[2], out=rows[0])
        np.subtract(gradients, rows[0], out=rows[1])
        for i in range(2):
            left = np.multiply(rows[i], masks[i], out=found[:, i, :, 0])
            np.subtract(rows[i], left, out=found[:, i, :, 1])
