"""Products of two matrices, large ones in pieces of rows on several threads.

A piece is a product of its own, and BLAS is free to add up its terms in another order than within the whole. With the
kernels of OpenBLAS it does not where pieces begin at multiples of the rows that these take at once; whether that holds
for the BLAS at hand is tried once for each shape, and a product whose bits would change is left whole.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np

from .parallel import run_blocks, threads_for

Order = Literal["C", "F"] | None

UNIT = 12
"""Pieces begin at multiples of so many rows: OpenBLAS takes 4 or 12 columns of its matrices at once, our rows."""
RATE = 3.5e4
"""Products with their sums that a core does in a microsecond, roughly."""
WAKING = 60.0
"""Microseconds until another thread begins, roughly."""
STACKS = 2
"""Pieces of a stack of matrices for each thread."""


def matrix_product(x: np.ndarray, y: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """`x @ y` of two matrices, the same bits for any number of threads."""
    time = x.size * y.shape[1] / RATE
    threads = threads_for(time)
    if threads > 1:
        edges = edges_of(x.shape[0], threads, time)
        # a matrix times its own transpose is another routine of BLAS
        if not np.may_share_memory(x, y) and keeps_bits(
            x.shape, y.shape, _order(x), _order(y), x.dtype, y.dtype, edges
        ):
            return _in_pieces(x, y, out, edges)
    return np.matmul(x, y, out=out)


def stacked_product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`x @ y` of two stacks of matrices, which NumPy multiplies one by one."""
    time = x.size * y.shape[-1] / RATE
    threads = threads_for(time)
    if threads == 1 or x.shape[:-2] != y.shape[:-2] or x.dtype != y.dtype:
        return np.matmul(x, y)
    result = np.empty((*x.shape[:-1], y.shape[-1]), x.dtype)
    step = -(-len(x) // (STACKS * threads))
    starts = range(0, len(x), step)

    def multiply(i: int) -> None:
        part = slice(starts[i], starts[i] + step)
        np.matmul(x[part], y[part], out=result[part])

    run_blocks(multiply, len(starts), time)
    return result


def _in_pieces(x: np.ndarray, y: np.ndarray, out: np.ndarray | None, edges: tuple[int, ...]) -> np.ndarray:
    result = np.empty((x.shape[0], y.shape[1]), x.dtype) if out is None else out

    def multiply(i: int) -> None:
        part = slice(edges[i], edges[i + 1])
        np.matmul(x[part], y, out=result[part])

    run_blocks(multiply, len(edges) - 1, x.size * y.shape[1] / RATE)
    return result


def edges_of(rows: int, threads: int, microseconds: float) -> tuple[int, ...]:
    """Where pieces of rows begin, and the end: in multiples of the unit, the first piece for who need not wake up."""
    first = max(1, round(rows * (1 + (threads - 1) * WAKING / microseconds) / threads / UNIT)) * UNIT
    if first >= rows:
        return 0, rows
    step = max(1, round((rows - first) / (threads - 1) / UNIT)) * UNIT
    return (0, *range(first, rows, step)[: threads - 1], rows)


def _order(x: np.ndarray) -> Order:
    """How a matrix lies in memory, as BLAS takes it without a copy: by rows or by columns; None if neither."""
    down, along = x.strides
    if along == x.itemsize and down >= x.shape[1] * along:
        return "C"
    return "F" if down == x.itemsize and along >= x.shape[0] * down else None


@lru_cache(maxsize=1024)
def keeps_bits(
    left: tuple[int, int], right: tuple[int, int], x_order: Order, y_order: Order, x_type: np.dtype,
    y_type: np.dtype, edges: tuple[int, ...],
) -> bool:  # fmt: skip
    """Whether this BLAS makes the same bits in pieces: tried with random numbers."""
    if x_type != y_type or x_type.char not in "fd" or x_order is None or y_order is None or len(edges) < 3:
        return False
    draw = np.random.default_rng(0)
    x = np.asarray(draw.standard_normal(left, x_type), order=x_order)
    y = np.asarray(draw.standard_normal(right, x_type), order=y_order)
    whole = x @ y
    return all(np.array_equal(x[a:b] @ y, whole[a:b]) for a, b in pairwise(edges))
