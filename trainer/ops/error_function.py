"""NumPy kernels of the error function, its complement and its inverse: NumPy has none of them."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from .blocks import in_blocks

# erf(x) / x on |x| <= 3.95 as a quotient of polynomials in x**2: least squares with Lawson's weights, relative error
# 2e-8 before rounding, 4e-7 in float32
_NUMERATOR = (2.02582737e-06, 0.000284678551, 0.00380807328, 0.0528751786, 0.191549255, 1.12837914)
_DENOMINATOR = (3.78304728e-05, 0.00117069028, 0.0150549293, 0.114559068, 0.503088785, 1.0)
_LIMIT = 3.95
_CENTRE = 3.75
_TERMS = 30


def erf(x: np.ndarray) -> np.ndarray:
    """erf(x); to 4e-7 in float32, to rounding in float64."""
    if x.dtype == np.float64:
        return in_blocks(lambda out, part: np.copyto(out, _erf_double(part)), x)
    if x.dtype == np.float16:
        return erf(x.astype(np.float32)).astype(np.float16)
    return in_blocks(_erf_single, x)


def _erf_single(out: np.ndarray, x: np.ndarray) -> None:
    clipped = np.minimum(x, np.float32(_LIMIT))
    np.maximum(clipped, np.float32(-_LIMIT), out=clipped)
    squared = clipped * clipped
    _horner(_NUMERATOR, squared, out)
    denominator = np.empty_like(squared)
    _horner(_DENOMINATOR, squared, denominator)
    out *= clipped
    out /= denominator
    np.minimum(out, np.float32(1), out=out)
    np.maximum(out, np.float32(-1), out=out)


def _horner(coefficients: tuple[float, ...], x: np.ndarray, out: np.ndarray) -> None:
    kind = x.dtype.type
    np.multiply(x, kind(coefficients[0]), out=out)
    for coefficient in coefficients[1:-1]:
        out += kind(coefficient)
        out *= x
    out += kind(coefficients[-1])


def _erf_double(x: np.ndarray) -> np.ndarray:
    small = np.abs(x) < 0.5
    tail = np.copysign(1.0 - _erfc_positive(np.abs(x)), x)
    near = np.where(small, x, 0.0)
    squared, series = near * near, np.zeros_like(x)
    for n in range(14, -1, -1):
        series = series * squared + (-1) ** n / (math.factorial(n) * (2 * n + 1))
    return np.where(small, near * series * (2 / math.sqrt(math.pi)), tail)


def erfc(x: np.ndarray) -> np.ndarray:
    """1 - erf(x) without cancellation for large x."""
    if x.dtype != np.float64:
        return erfc(x.astype(np.float64)).astype(x.dtype)

    def kernel(out: np.ndarray, part: np.ndarray) -> None:
        positive = _erfc_positive(np.abs(part))
        np.copyto(out, np.where(part < 0, 2.0 - positive, positive))

    return in_blocks(kernel, x)


def _erfc_positive(x: np.ndarray) -> np.ndarray:
    """erfc for x >= 0: exp(-x**2) / (1 + 2x) times a Chebyshev series in (x - 3.75) / (x + 3.75).

    Shepherd and Laframboise, Chebyshev approximation of (1 + 2x) exp(x**2) erfc x in 0 <= x < inf (1981).
    """
    x = np.minimum(x, 30.0)
    position = 2.0 * (x - _CENTRE) / (x + _CENTRE)
    before, last = np.zeros_like(x), np.zeros_like(x)
    coefficients = _chebyshev()
    for coefficient in coefficients[:0:-1]:
        before, last = last, position * last - before + coefficient
    series = 0.5 * position * last - before + coefficients[0]
    return series * np.exp(-x * x) / (1.0 + 2.0 * x)


@cache
def _chebyshev() -> tuple[float, ...]:
    def scaled(t: float) -> float:
        x = _CENTRE * (1 + t) / (1 - t)
        return (1 + 2 * x) * _scaled_complement(x)

    nodes = [math.cos(math.pi * (k + 0.5) / _TERMS) for k in range(_TERMS)]
    values = [scaled(t) for t in nodes]
    sums = [
        sum(v * math.cos(math.pi * j * (k + 0.5) / _TERMS) for k, v in enumerate(values)) * 2 / _TERMS
        for j in range(_TERMS)
    ]
    return (sums[0] / 2, *sums[1:])


def _scaled_complement(x: float) -> float:
    """exp(x**2) erfc(x), by its continued fraction where the product would lose digits."""
    if x < 3:
        return math.exp(x * x) * math.erfc(x)
    fraction = x
    for k in range(200, 0, -1):
        fraction = x + 0.5 * k / fraction
    return 1.0 / (fraction * math.sqrt(math.pi))


# Giles, Approximating the erfinv function (2010): single precision, in w = -log(1 - x**2), below and above 5
CENTRAL = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
           -0.00417768164, 0.246640727, 1.50140941)  # fmt: skip
TAIL = (-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
        1.00167406, 2.83297682)  # fmt: skip


def erfinv(x: np.ndarray) -> np.ndarray:
    """The number whose erf is x: Giles's polynomials, then Newton's method in float64."""
    wide = x.astype(np.float64)
    outside = np.abs(wide) > 1
    inner = np.clip(wide, -1 + 2.0**-53, 1 - 2.0**-53)
    w = -np.log1p(-inner * inner)
    central, tail = np.empty_like(w), np.empty_like(w)
    _horner(CENTRAL, w - 2.5, central)
    _horner(TAIL, np.sqrt(w) - 3.0, tail)
    guess = np.where(w < 5, central, tail) * inner
    for _ in range(2):
        # the complement keeps the digits that erf itself loses near 1
        error = np.where(np.abs(inner) < 0.5, _erf_double(guess) - inner, _complement_error(guess, inner))
        step = error * np.exp(guess * guess) * (math.sqrt(math.pi) / 2)
        guess = guess - step / (1.0 + guess * step)
    guess = np.where(np.abs(wide) == 1, np.copysign(np.inf, wide), guess)
    return np.where(outside | np.isnan(wide), np.nan, guess).astype(x.dtype)


def _complement_error(guess: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.copysign(1.0, x) * ((1.0 - np.abs(x)) - _erfc_positive(np.abs(guess)))


