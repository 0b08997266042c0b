"""Widths and paddings that the mobile networks have in common."""

from __future__ import annotations

from ..trainer.core.tensor import Tensor


def divisible(width: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to a width, but never below nine tenths of it (MobileNetV2, 2018)."""
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * width else rounded


def padding_before_stride(x: Tensor, kernel: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Padding after which a convolution of stride 2 gives half the size, with the odd row and column at the end.

    A size that is not known is taken for an odd one.
    """
    half = kernel // 2
    (top, left) = (half - (1 - size % 2) if isinstance(size, int) else half for size in x.shape[1:3])
    return (top, half), (left, half)
