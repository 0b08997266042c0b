"""NumPy kernels of gelu in single precision: values, and slopes with them, of which most of the work is the same."""

from __future__ import annotations

import math

import numpy as np

from .blocks import zeros_row
from .memory import empty
from .parallel import block_size, run_blocks

BLOCK = 16384
TIME = 100.0
"""Microseconds that a block takes, roughly."""
_FURTHEST = np.float32(13)
"""Beyond it, the tails of the normal distribution are 0 in single precision."""

# The upper tail of the normal distribution at a >= 0: exp(-a**2 / 2) times a polynomial in 1 / (1 + p * a), to 2e-7.
# Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 7.1.26, for erfc(a / sqrt(2)) / 2
_P = np.float32(0.3275911 * math.sqrt(0.5))
_TAIL = tuple(np.float32(0.5 * c) for c in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592))
_DENSITY = np.float32(1 / math.sqrt(2 * math.pi))
_LINEAR = np.float32(math.sqrt(2 / math.pi))
_CUBIC = np.float32(0.044715 * math.sqrt(2 / math.pi))
_HALF, _ONE = np.float32(0.5), np.float32(1)


def _exact(x: np.ndarray, out: np.ndarray, slope: np.ndarray | None, work: np.ndarray) -> None:
    """`max(x, 0) - |x| * tail(|x|)`; the slope is the distribution function plus x times the density."""
    size, part, tail = work
    np.absolute(x, out=size)
    np.minimum(size, _FURTHEST, out=size)
    np.multiply(size, _P, out=part)
    part += _ONE
    np.reciprocal(part, out=part)
    np.multiply(part, _TAIL[0], out=tail)
    for coefficient in _TAIL[1:]:
        tail += coefficient
        tail *= part
    np.multiply(size, size, out=part)
    part *= -_HALF
    np.exp(part, out=part)
    tail *= part
    if slope is not None:
        np.subtract(_HALF, tail, out=slope)
        part *= _DENSITY
        part *= size
        np.add(slope, part, out=slope)
        np.copysign(slope, x, out=slope)  # what stands besides the half is an odd function, positive where x is
        np.add(slope, _HALF, out=slope)
    tail *= size
    np.maximum(x, zeros_row(x.size, x.dtype), out=out)
    out -= tail


def _by_tanh(x: np.ndarray, out: np.ndarray, slope: np.ndarray | None, work: np.ndarray) -> None:
    """`x * (1 + tanh(u)) / 2` with `u = x * (linear + cubic * x**2)`."""
    squared, bent, part = work
    np.multiply(x, x, out=squared)
    squared *= _CUBIC
    np.add(squared, _LINEAR, out=bent)
    bent *= x
    np.tanh(bent, out=bent)
    np.multiply(x, _HALF, out=part)
    if slope is not None:
        np.multiply(bent, bent, out=slope)
        np.subtract(_ONE, slope, out=slope)
        slope *= part
        squared *= np.float32(3)
        squared += _LINEAR
        slope *= squared
    bent += _ONE
    np.multiply(bent, part, out=out)
    if slope is not None:
        bent *= _HALF
        slope += bent


def gelu_and_slope(x: np.ndarray, *, approximate: bool, with_slope: bool = True) -> tuple[np.ndarray, ...]:
    """gelu of a float32 array and, unless left out, its derivative; in blocks that stay in the cache."""
    kernel = _by_tanh if approximate else _exact
    flat = np.ascontiguousarray(x).reshape(-1)
    results = [empty(flat.shape, flat.dtype) for _ in range(1 + with_slope)]

    time = flat.size / BLOCK * TIME
    size = block_size(flat.size, BLOCK, time)

    def run(i: int, work: np.ndarray) -> None:
        out, *slope = [a[i * size : (i + 1) * size] for a in results]
        part = flat[i * size : (i + 1) * size]
        kernel(part, out, slope[0] if slope else None, work[:, : part.size])

    with np.errstate(under="ignore", over="ignore"):
        run_blocks(run, -(-flat.size // size), time, lambda: empty((3, min(flat.size, size)), flat.dtype))
    return tuple(a.reshape(x.shape) for a in results)
