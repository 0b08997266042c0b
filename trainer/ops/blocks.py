"""Kernels of several passes, run block by block so that what one pass writes is still in the cache for the next."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from .memory import empty
from .parallel import block_size, run_blocks

BLOCK = 32768
USUAL = 40.0
"""Microseconds that a kernel of a few passes takes for a block, roughly."""


def in_blocks(kernel: Callable[..., None], *arrays: np.ndarray) -> np.ndarray:
    """Run an elementwise `kernel(out, *arrays)` over arrays of one shape and dtype, in blocks where they are large."""
    first = arrays[0]
    out = empty(first.shape, first.dtype)
    if not first.ndim:
        # of arrays without axes NumPy makes scalars, which no kernel can write into
        kernel(out.reshape(1), *[a.reshape(1) for a in arrays])
        return out
    if first.size <= BLOCK:
        kernel(out, *arrays)
        return out
    flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
    result = out.reshape(-1)

    time = first.size / BLOCK * USUAL
    size = block_size(first.size, BLOCK, time)

    def run(i: int) -> None:
        part = slice(i * size, (i + 1) * size)
        kernel(result[part], *[a[part] for a in flat])

    run_blocks(run, -(-first.size // size), time)
    return out


@lru_cache(maxsize=64)
def zeros_row(length: int, dtype: np.dtype) -> np.ndarray:
    """A shared row of zeros: comparing with a row is twice as fast in NumPy as comparing with a number."""
    row = np.zeros(length, dtype)
    row.flags.writeable = False
    return row
