"""Memory for large results of kernels, taken again as soon as nobody holds it.

A training step makes arrays of the same sizes over and over. The system's allocator gives large ones back to the
operating system, which then clears every page before it hands it out again: up to a fifth of a step's time.
"""

from __future__ import annotations

import sys
import threading
from math import prod

import numpy as np

SMALLEST = 1 << 17
"""Bytes below which the system's allocator keeps memory itself."""
PAGE = 4096
"""Arrays start at multiples of this many bytes.

What is stored at one address seems to the processor to be what it loads next from another with almost the same last
12 bits, and it waits, up to eight times as long; with the same bits, loads and stores of a kernel keep step.
"""
SWEEP = 4096
"""Requests after which memory that served none of them is given back."""


class _Buffers:
    """Buffers of one size, where in each an array starts, and which of them served lately."""

    __slots__ = ("arrays", "offsets", "used")

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self.offsets: list[int] = []
        self.used: list[bool] = []

    def sweep(self) -> None:
        """Let go of buffers that have not served since the last sweep."""
        kept = [i for i, used in enumerate(self.used) if used]
        self.arrays = [self.arrays[i] for i in kept]
        self.offsets = [self.offsets[i] for i in kept]
        self.used = [False] * len(kept)


class _Pool(threading.local):
    """Buffers of one thread by size; only this thread hands them out, whoever lets go of them."""

    def __init__(self) -> None:
        self.sizes: dict[int, _Buffers] = {}
        self.requests = 0


_pool = _Pool()
_probe = [np.empty(1, np.uint8)]
_IDLE = sys.getrefcount(_probe[0])
"""References to a buffer that only its list holds, as this version of Python counts them."""


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array with undefined contents, as `numpy.empty`, in memory that an earlier one has left.

    An array, and each of its views, refers to its buffer: a buffer to which only the pool refers is free.
    """
    count = prod(shape) * dtype.itemsize
    if count < SMALLEST or dtype.hasobject:
        return np.empty(shape, dtype)
    step = 1 << (count.bit_length() - 4)
    size = -(-count // step) * step
    pool = _pool
    pool.requests += 1
    if pool.requests >= SWEEP:
        _sweep(pool)
    buffers = pool.sizes.get(size)
    if buffers is None:
        buffers = pool.sizes[size] = _Buffers()
    arrays = buffers.arrays
    for i in range(len(arrays)):
        if sys.getrefcount(arrays[i]) == _IDLE:
            buffers.used[i] = True
            return np.ndarray(shape, dtype, arrays[i], buffers.offsets[i])
    memory = np.empty(size + PAGE, np.uint8)
    arrays.append(memory)
    buffers.offsets.append(-memory.ctypes.data % PAGE)
    buffers.used.append(True)
    return np.ndarray(shape, dtype, memory, buffers.offsets[-1])


def give_back() -> None:
    """Let go of all buffers of this thread: where another engine takes over, nobody would ask for them again."""
    _pool.sizes = {}
    _pool.requests = 0


def tiled(vector: np.ndarray, times: int) -> np.ndarray:
    """A vector repeated, as `numpy.tile`, at the start of a page."""
    memory = np.empty(vector.nbytes * times + PAGE, np.uint8)
    out = np.ndarray((times, vector.size), vector.dtype, memory, -memory.ctypes.data % PAGE)
    out[...] = vector
    return out.reshape(-1)


def _sweep(pool: _Pool) -> None:
    pool.requests = 0
    for buffers in pool.sizes.values():
        buffers.sweep()
    pool.sizes = {size: buffers for size, buffers in pool.sizes.items() if buffers.arrays}
