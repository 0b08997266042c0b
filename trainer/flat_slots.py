"""What a flat program works on: slots that hold one array each, and memory that is laid out once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .core.spec import TensorSpec
from .ops.matrix_pieces import RATE, matrix_product
from .ops.memory import PAGE
from .ops.parallel import SHARE


class Slot:
    """The place of one tensor: an array that stays the same in every run, or (`is_fixed` false) one of each run.

    `owned`: the memory is the program's own and holds nothing but this tensor
    `turned`: the slot of the matrix that this one is the transpose of, where no array of its own is made
    """

    __slots__ = ("array", "is_fixed", "owned", "spec", "turned")

    def __init__(self, spec: TensorSpec, array: np.ndarray | None = None, owned: bool = False) -> None:
        self.spec = spec
        self.array: Any = array
        self.is_fixed = array is not None
        self.owned = owned
        self.turned: Slot | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of its array."""
        shape: Any = self.spec.shape
        return math.prod(shape) * self.spec.dtype.itemsize

    def clear(self) -> None:
        """Let go of the array of this run."""
        self.array = None


class Memory:
    """Arrays for results, taken again for others of the same number of bytes once nobody needs them."""

    def __init__(self) -> None:
        self.free: dict[int, list[np.ndarray]] = {}

    def take(self, shape: Any, dtype: Any) -> np.ndarray:
        """A C-contiguous array with undefined contents."""
        kind = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        kept = self.free.get(size)
        memory = kept.pop() if kept else _aligned(size)
        return memory.view(kind).reshape(tuple(shape)) if size else np.empty(tuple(shape), kind)

    def give(self, array: np.ndarray) -> None:
        """Let the memory of an array be taken again."""
        if array.nbytes:
            self.free.setdefault(array.nbytes, []).append(array.reshape(-1).view(np.uint8))


def _aligned(size: int) -> np.ndarray:
    """Bytes that start at a page where there are many of them, else at a line of the cache."""
    unit = PAGE if size >= PAGE else 64
    memory = np.empty(size + unit, np.uint8)
    start = -memory.ctypes.data % unit
    return memory[start : start + size]


def call(function: Callable[..., Any], inputs: Sequence[Slot], *more: Any, **named: Any) -> Callable[[], Any]:
    """A call of `function` on the arrays of slots, and on what stays the same, without a frame of Python if it can."""
    if all(slot.is_fixed for slot in inputs):
        return partial(function, *[slot.array for slot in inputs], *more, **named)
    if len(inputs) == 1:
        (only,) = inputs
        return lambda: function(only.array, *more, **named)
    if len(inputs) == 2 and not more:
        first, second = inputs
        return lambda: function(first.array, second.array, **named)
    return lambda: function(*[slot.array for slot in inputs], *more, **named)


def product(x: Slot, y: Slot, out: np.ndarray) -> Callable[[], Any]:
    """A product of two matrices, of which either may be the transpose of another slot's."""
    first, second = x.turned, y.turned
    rows: Any = x.spec.shape
    multiply = matrix_product if math.prod(rows) * y.spec.shape[1] / RATE >= 2 * SHARE else np.matmul
    if first is None and second is None:
        return call(multiply, [x, y], out=out)
    if first is None:
        assert second is not None
        return lambda: multiply(x.array, second.array.T, out=out)
    if second is None:
        return lambda: multiply(first.array.T, y.array, out=out)
    return lambda: multiply(first.array.T, second.array.T, out=out)


def fill(target: Slot, function: Callable[..., Any], inputs: Sequence[Slot | None], attributes: Any) -> Any:
    """A call whose result is the target's array of this run."""

    def run() -> None:
        result = function(*[None if slot is None else slot.array for slot in inputs], **attributes)
        target.array = result if type(result) is np.ndarray else np.asarray(result)

    return run


def fill_all(
    targets: Sequence[Slot], function: Callable[..., Any], inputs: Sequence[Slot | None], attributes: Any
) -> Any:
    """A call with several results."""

    def run() -> None:
        results = function(*[None if slot is None else slot.array for slot in inputs], **attributes)
        for target, result in zip(targets, results, strict=True):
            target.array = np.asarray(result)

    return run
