"""Updates in place on NumPy arrays, block by block: the same numbers as `update_step`, without its intermediate arrays.

Every kernel takes one-dimensional parts: the gradient, the variable, its state, and two arrays to work in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..core.variable import Variable
from ..ops.blocks import BLOCK

Update = Callable[[np.ndarray, Variable], None]
"""Updates a variable and its state from a gradient of its shape and dtype."""


def update_in_place(
    kernel: Callable[..., None], gradient: np.ndarray, variables: Sequence[Variable], *numbers: float
) -> None:
    """Run `kernel(gradient, *variables, work, work, *numbers)` over arrays of one shape and dtype."""
    flat = [np.ascontiguousarray(gradient).reshape(-1), *[v.writable().reshape(-1) for v in variables]]
    size = gradient.size
    work = np.empty((2, min(size, BLOCK)), gradient.dtype)
    if size <= BLOCK:
        kernel(*flat, work[0], work[1], *numbers)
        return
    for start in range(0, size, BLOCK):
        parts = [a[start : start + BLOCK] for a in flat]
        length = len(parts[0])
        kernel(*parts, work[0, :length], work[1, :length], *numbers)


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
