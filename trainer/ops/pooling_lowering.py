"""Max-pooling over windows that lie side by side, and its gradient in comparisons instead of positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.dims import Shape, Size, is_static, product
from ..core.emitter import Emitter, Value
from ..core.spec import TensorSpec
from .convolution_lowering import crop, pad_image
from .lowering import BOOL
from .windows import Padding, pads_of

WIDEST = 4
"""Cells of a window along an axis up to which comparisons were measured to be faster than scattering by positions."""


def lies_side_by_side(x: Value, pool: Shape, strides: Shape, padding: Padding) -> bool:
    """Whether `spread_side_by_side` serves: windows of few cells that neither overlap nor begin outside the image."""
    sizes = x.shape[2:]
    if pool != strides or not is_static(sizes) or 0 in sizes or x.dtype.char not in "fd":
        return False
    lows = [low for low, _ in pads_of(padding, sizes, pool, strides, (1,) * len(pool))]
    return not any(lows) and all(isinstance(k, int) and k <= WIDEST for k in pool)


def spread_side_by_side(emit: Emitter, dy: Value, x: Value, pool: Any) -> Value:
    """Each window's gradient at its first largest cell (channels first); see `lies_side_by_side`.

    Along the first axis a window's gradient goes to the first of its slices that holds the largest cell, within this
    one along the next axis to the first row that does, and so on. Slices are taken, and put back, along one axis at a
    time, the last axis first: a copy each.
    """
    image, shapes, levels, _ = _levels(emit, x, dy.shape[2:], pool)
    gradient = dy
    for slices, shape in zip(reversed(levels), shapes, strict=True):
        gradient = _handed_down(emit, gradient, slices, shape)
    return _cut_back(emit, emit.reshape(gradient, image.shape), x.shape[2:])


def largest_side_by_side(emit: Emitter, x: Value, spec: TensorSpec, pool: Any) -> Value:
    """The largest cell of each window, of the very slices that the gradient compares; see `lies_side_by_side`."""
    return emit.reshape(_levels(emit, x, spec.shape[2:], pool)[3], spec.shape)


def _levels(
    emit: Emitter, x: Value, outer: Shape, pool: Any
) -> tuple[Value, list[tuple[Size, ...]], list[list[Value]], Value]:
    """The cells under windows, their shape for each axis, the slices for each axis from the last on, the largest."""
    image = _covered(emit, x, [n * k for n, k in zip(outer, pool, strict=True)])
    shapes = _shapes(image, pool)
    levels: list[list[Value]] = []
    value = image
    for axis in reversed(range(len(pool))):
        slices = _split(emit, value, shapes[axis], pool[axis])
        levels.append(slices)
        value = slices[0] if len(slices) == 1 else emit("Max", *slices)
    return image, shapes, levels, value


def _shapes(image: Value, pool: Sequence[int]) -> list[tuple[Size, ...]]:
    """For each axis, the image with this axis's cells of a window in the middle, the axes behind already pooled."""
    found: list[tuple[Size, ...]] = []
    for axis, cells in enumerate(pool):
        behind = [n // k for n, k in zip(image.shape[axis + 3 :], pool[axis + 1 :], strict=True)]
        found.append((product([*image.shape[: axis + 2], image.shape[axis + 2] // cells]), cells, product(behind)))
    return found


def _split(emit: Emitter, value: Value, shape: tuple[Size, ...], cells: int) -> list[Value]:
    """The cells of windows along the middle axis of the value in this shape, each by itself."""
    if cells == 1:
        return [emit.reshape(value, shape)]
    spec = TensorSpec((shape[0], 1, shape[2]), value.dtype)
    parts = emit.constant([1] * cells, np.int64)
    return list(emit.many("Split", emit.reshape(value, shape), parts, specs=(spec,) * cells, axis=1))


def _handed_down(emit: Emitter, gradient: Value, slices: list[Value], shape: tuple[Size, ...]) -> Value:
    """The gradient of the largest of slices, given to the first of them that holds it."""
    rest = emit.reshape(gradient, slices[0].shape)
    if len(slices) == 1:
        return rest
    largest = slices[1] if len(slices) == 2 else emit("Max", *slices)
    shares: list[Value] = []
    for cells in slices[:-1]:
        has_it = emit("GreaterOrEqual", cells, largest, spec=TensorSpec(cells.shape, BOOL))
        shares.append(emit("Mul", rest, emit.cast(has_it, gradient.dtype)))
        rest = emit("Sub", rest, shares[-1])
    return emit("Concat", *shares, rest, axis=1, spec=TensorSpec(shape, gradient.dtype))


def _covered(emit: Emitter, x: Value, covered: list[Size]) -> Value:
    """The cells under windows; those that lie behind the image are smaller than any other."""
    sizes = x.shape[2:]
    behind = [max(0, m - n) for n, m in zip(sizes, covered, strict=True)]  # pyright: ignore
    if any(behind):
        amounts = emit.constant([0] * (2 + len(sizes) + 2) + behind, np.int64)
        shape = (*x.shape[:2], *[n + more for n, more in zip(sizes, behind, strict=True)])
        lowest = emit.constant(-np.inf, x.dtype)
        x = emit("Pad", x, amounts, lowest, spec=TensorSpec(shape, x.dtype))
    return crop(emit, x, (0,) * len(sizes), covered)


def _cut_back(emit: Emitter, found: Value, sizes: Shape) -> Value:
    """The image in its own sizes, zero where no window was."""
    kept = [min(n, m) for n, m in zip(sizes, found.shape[2:], strict=True)]  # pyright: ignore
    found = crop(emit, found, (0,) * len(sizes), kept)
    behind = [(0, n - m) for n, m in zip(sizes, kept, strict=True)]
    return pad_image(emit, found, behind) if any(high for _, high in behind) else found
