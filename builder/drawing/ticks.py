"""Axes: where a value lies in the picture, and round numbers along the way."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Axis:
    """The values from ``low`` to ``high`` on the pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """The pixel of a value."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def linear_ticks(low: float, high: float, count: int = 5, whole: bool = False) -> list[float]:
    """About ``count`` round numbers within [low, high]; only integers when ``whole``.

    >>> linear_ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    rough = (high - low) / max(count, 1)
    if not rough > 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in _STEPS if factor * power >= 0.75 * rough)
    if whole:
        step = max(1.0, float(math.ceil(step - _TINY)))
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    # Dividing by the inverse keeps 0.3 from becoming 0.30000000000000004.
    return [index * step if step >= 1 else index / round(1 / step, 12) for index in range(first, last + 1)]


def log_ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Powers of ten within [low, high], or also their double and fivefold when there are few of them.

    >>> log_ticks(0.01, 1.0)
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    """
    first, last = math.floor(math.log10(low) + _TINY), math.ceil(math.log10(high) - _TINY)
    every = max(1, math.ceil((last - first + 1) / (count + 2)))
    factors = (1, 2, 5) if math.log10(high) - math.log10(low) <= 2.2 else (1,)
    ticks = [float(f"{factor}e{power}") for power in range(first, last + 1, every) for factor in factors]
    inside = [tick for tick in ticks if low * (1 - _TINY) <= tick <= high * (1 + _TINY)]
    return inside if len(inside) > 1 else [tick for tick in linear_ticks(low, high) if tick > 0]


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """The ticks as short texts, all with the decimals that tell neighbours apart.

    >>> tick_texts([0.0, 0.25, 0.5])
    ['0.00', '0.25', '0.50']
    """
    largest = max(map(abs, ticks), default=0.0)
    if largest >= 1e6 or 0 < largest < 1e-3:
        return [_short(tick) for tick in ticks]
    for decimals in range(9):
        texts = [f"{tick:.{decimals}f}" for tick in ticks]
        scale = largest or 1.0
        if all(abs(float(text) - tick) <= 1e-6 * scale for text, tick in zip(texts, ticks, strict=True)):
            return texts
    return [_short(tick) for tick in ticks]


def log_tick_texts(ticks: Sequence[float]) -> list[str]:
    """Each tick by itself: 0.001, 0.01, 0.1, 1, 10, 1e5."""
    return [_short(tick) for tick in ticks]


def _short(number: float) -> str:
    if number == 0 or 1e-3 <= abs(number) < 1e5:
        return f"{number:.6g}"
    mantissa, exponent = f"{number:.4e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def check_size(who: str, width: float, height: float) -> None:
    """Raises ValueError when a chart of this size has no room for its data."""
    if not (width >= 160 and height >= 120):
        raise ValueError(f"{who}: a chart needs at least 160 x 120 pixels, got {width} x {height}.")
