"""Updates in place on NumPy arrays, block by block: the same numbers as `update_step`, without its intermediate arrays.

Every kernel takes one-dimensional parts: the gradient, the variable, its state, and two arrays to work in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..core.variable import Variable
from ..ops.blocks import BLOCK, USUAL
from ..ops.parallel import block_size, run_blocks


class InPlace(NamedTuple):
    """How variables are updated in place: `kernel(gradient, variable, *state, work, work, *numbers)` on flat arrays.

    state: one list for each kind of state, in the optimizer's order of variables
    """

    kernel: Callable[..., None]
    state: tuple[Sequence[Variable], ...]
    numbers: tuple[float, ...]


def update_in_place(update: InPlace, gradient: np.ndarray, variable: Variable, place: int) -> None:
    """Update one variable and its state, which stands at `place`, from a gradient of its shape and dtype."""
    variables = [variable, *[state[place] for state in update.state]]
    flat = [np.ascontiguousarray(gradient).reshape(-1), *[v.writable().reshape(-1) for v in variables]]
    run_in_blocks(update.kernel, flat, update.numbers)


def run_in_blocks(kernel: Callable[..., None], flat: Sequence[np.ndarray], numbers: Sequence[float]) -> None:
    """Run a kernel over flat arrays of one length and dtype, block by block."""
    size, dtype = flat[0].size, flat[0].dtype
    if size <= BLOCK:
        work = _work(dtype, BLOCK)
        kernel(*flat, work[0, :size], work[1, :size], *numbers)
        return
    time = size / BLOCK * USUAL
    step = block_size(size, BLOCK, time)

    def run(i: int, work: np.ndarray) -> None:
        parts = [a[i * step : (i + 1) * step] for a in flat]
        length = len(parts[0])
        kernel(*parts, work[0, :length], work[1, :length], *numbers)

    run_blocks(run, -(-size // step), time, lambda: _work(dtype, step))


class _Work(threading.local):
    def __init__(self) -> None:
        self.arrays: dict[np.dtype, np.ndarray] = {}


_kept_work = _Work()


def _work(dtype: np.dtype, size: int) -> np.ndarray:
    """Two blocks to work in, the same ones again and again."""
    kept = _kept_work.arrays.get(dtype)
    if kept is None or kept.shape[1] < size:
        kept = _kept_work.arrays[dtype] = np.empty((2, size), dtype)
    return kept


def descend(g: np.ndarray, w: np.ndarray, step: np.ndarray, _: np.ndarray, rate: float) -> None:
    """Gradient descent without momentum."""
    w -= np.multiply(g, rate, out=step)


def descend_with_momentum(
    g: np.ndarray, w: np.ndarray, velocity: np.ndarray, step: np.ndarray, _: np.ndarray, rate: float, momentum: float
) -> None:
    """Gradient descent with momentum."""
    velocity *= momentum
    velocity -= np.multiply(g, rate, out=step)
    w += velocity


def descend_with_nesterov(
    g: np.ndarray, w: np.ndarray, velocity: np.ndarray, step: np.ndarray, ahead: np.ndarray, rate: float,
    momentum: float,
) -> None:  # fmt: skip
    """Gradient descent with Nesterov's momentum."""
    velocity *= momentum
    velocity -= np.multiply(g, rate, out=step)
    np.multiply(velocity, momentum, out=ahead)
    ahead -= step
    w += ahead


def adam(
    g: np.ndarray, w: np.ndarray, m: np.ndarray, v: np.ndarray, step: np.ndarray, scale: np.ndarray,
    rate: float, share_1: float, share_2: float, epsilon: float,
) -> None:  # fmt: skip
    """Adam; `rate` with the bias correction, shares `1 - beta`."""
    np.subtract(g, m, out=step)
    step *= share_1
    m += step
    np.multiply(g, g, out=scale)
    scale -= v
    scale *= share_2
    v += scale
    np.sqrt(v, out=scale)
    scale += epsilon
    np.multiply(m, rate, out=step)
    step /= scale
    w -= step
