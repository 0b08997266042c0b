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

from .windows import frame_slices

TILE = 4
REACH = 6
"""Cells that a tile of results depends on, along each axis: 4 + 3 - 1."""
BLOCK_BYTES = 1 << 19
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
    transformed: np.ndarray
    """Image tiles after their transform: (36, tiles, channels)."""


def _blocks(x: np.ndarray, lows: tuple[int, ...], sizes: tuple[int, ...], width: int) -> Iterator[_Block]:
    """Transformed image tiles, some images or some rows of tiles of one image at a time."""
    high, wide = tiles(sizes)
    depth = x.shape[-1]
    lengths = (high * TILE + 2, wide * TILE + 2)
    per_row = max(1, REACH * REACH * wide * max(depth, width) * x.itemsize)
    budget = max(1, BLOCK_BYTES // per_row)
    images, rows = max(1, min(x.shape[0], budget // high)), min(high, budget)
    inner, source = frame_slices(x.shape[1:-1], lows, lengths)
    framed = np.zeros((images, *lengths, depth), x.dtype)
    room = images * rows * wide * depth
    gathered, transformed = np.empty((2, REACH * REACH * room), x.dtype)
    matrix = transforms(x.dtype).image
    for first in range(0, x.shape[0], images):
        chosen = slice(first, min(first + images, x.shape[0]))
        count = chosen.stop - first
        framed[:count][inner] = x[chosen][source]
        for top in range(0, high, rows):
            here = min(rows, high - top)
            view = _tile_view(framed[:count], top, here, wide)
            size = count * here * wide * depth
            patches = gathered[: REACH * REACH * size].reshape(REACH * REACH, size)
            np.copyto(patches.reshape(view.shape), view)
            result = transformed[: REACH * REACH * size].reshape(REACH * REACH, size)
            np.matmul(matrix, patches, out=result)
            yield _Block(chosen, top, here, result.reshape(REACH * REACH, -1, depth))


def _tile_view(framed: np.ndarray, top: int, rows: int, columns: int) -> np.ndarray:
    """View (6, 6, images, rows, columns, channels) of overlapping tiles."""
    image, line, cell, channel = framed.strides
    shape = (REACH, REACH, framed.shape[0], rows, columns, framed.shape[-1])
    steps = (line, cell, image, TILE * line, TILE * cell, channel)
    return np.lib.stride_tricks.as_strided(framed[:, top * TILE :], shape, steps, writeable=False)


def correlate_3x3(x: np.ndarray, kernel: np.ndarray, lows: tuple[int, ...], sizes: tuple[int, ...]) -> np.ndarray:
    """`out[n, i, j] = sum over a, b of x[n, i + a - low, j + b - low] @ kernel[a, b]`."""
    depth, filters = kernel.shape[-2:]
    form = transforms(x.dtype)
    weights = (form.kernel @ kernel.reshape(9, -1)).reshape(REACH * REACH, depth, filters)
    high, wide = tiles(sizes)
    out = np.empty((x.shape[0], high * TILE, wide * TILE, filters), x.dtype)
    scratch: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for block in _blocks(x, lows, sizes, filters):
        count = block.transformed.shape[1]
        if count not in scratch:
            scratch[count] = (
                np.empty((REACH * REACH, count, filters), x.dtype),
                np.empty((TILE * TILE, count * filters), x.dtype),
            )
        products, results = scratch[count]
        np.matmul(block.transformed, weights, out=products)
        np.matmul(form.result, products.reshape(REACH * REACH, -1), out=results)
        target = out[block.images, block.top * TILE : (block.top + block.rows) * TILE]
        split = target.reshape(target.shape[0], block.rows, TILE, wide, TILE, filters)
        split[...] = results.reshape(TILE, TILE, target.shape[0], block.rows, wide, filters).transpose(2, 3, 0, 4, 1, 5)
    if (high * TILE, wide * TILE) == sizes:
        return out
    return np.ascontiguousarray(out[:, : sizes[0], : sizes[1]])


def correlate_3x3_kernel(x: np.ndarray, dy: np.ndarray, lows: tuple[int, ...]) -> np.ndarray:
    """Adjoint of `correlate_3x3` to its kernel."""
    depth, filters, sizes = x.shape[-1], dy.shape[-1], dy.shape[1:-1]
    form = transforms(x.dtype)
    spread = np.ascontiguousarray(form.result.T)
    high, wide = tiles(sizes)
    if (high * TILE, wide * TILE) != sizes:
        padded = np.zeros((dy.shape[0], high * TILE, wide * TILE, filters), dy.dtype)
        padded[:, : sizes[0], : sizes[1]] = dy
        dy = padded
    total = np.zeros((REACH * REACH, depth, filters), x.dtype)
    scratch = np.empty_like(total)
    for block in _blocks(x, lows, sizes, filters):
        part = dy[block.images, block.top * TILE : (block.top + block.rows) * TILE]
        split = part.reshape(part.shape[0], block.rows, TILE, wide, TILE, filters).transpose(2, 4, 0, 1, 3, 5)
        gathered = np.ascontiguousarray(split).reshape(TILE * TILE, -1)
        gradients = (spread @ gathered).reshape(REACH * REACH, -1, filters)
        np.matmul(block.transformed.transpose(0, 2, 1), gradients, out=scratch)
        total += scratch
    return (form.kernel.T @ total.reshape(REACH * REACH, -1)).reshape(3, 3, depth, filters)
