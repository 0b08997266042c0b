"""Windows that slide over the spatial axes of images: sizes and padding, for convolutions and pooling alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ..core.dims import Shape, Size, maximum
from ..core.errors import ShapeError, format_shape

Pads = tuple[tuple[int, int], ...]
Padding = Literal["same", "valid"] | Pads
"""How an image is framed: `"valid"` (not at all), `"same"` (output = input / stride, rounded up), or cells per side."""


def standard_data_format(data_format: str | None, operation: str) -> str:
    """`channels_last` or `channels_first`; None is `channels_last`, as in Keras."""
    if data_format is None:
        return "channels_last"
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f'{operation}: data_format must be "channels_last" or "channels_first", got {data_format!r}')
    return data_format


def per_axis(value: Any, rank: int, name: str, operation: str) -> tuple[int, ...]:
    """One positive integer for each of `rank` spatial axes, from one integer or as many as there are axes."""
    values = (value,) * rank if isinstance(value, (int, np.integer)) else tuple(value)
    if len(values) != rank:
        raise ValueError(f"{operation}: {name} needs one integer, or {rank} (one a spatial axis), got {value!r}")
    for v in values:
        if isinstance(v, bool) or not isinstance(v, (int, np.integer)) or v < 1:
            raise ValueError(f"{operation}: {name} must be whole numbers of at least 1, got {value!r}")
    return tuple(int(v) for v in values)


def standard_padding(padding: Any, operation: str, allowed: Sequence[str] = ("valid", "same"), rank: int = 0) -> Any:
    """The padding's name in lower case, or cells before and after each of `rank` axes as pairs of integers.

    Raises `ValueError` for anything else.
    """
    if isinstance(padding, (tuple, list)) and rank:
        pairs = [tuple(pair) if isinstance(pair, (tuple, list)) else (pair, pair) for pair in padding]
        if len(pairs) == rank and all(len(p) == 2 and all(_is_count(n) for n in p) for p in pairs):
            return tuple((int(low), int(high)) for low, high in pairs)
    name = padding.lower() if isinstance(padding, str) else padding
    if isinstance(name, (tuple, list)) or name not in allowed:
        pairs_too = f", or {rank} pairs of cells (before, after)" if rank else ""
        raise ValueError(
            f"{operation}: padding must be {' or '.join(repr(a) for a in allowed)}{pairs_too}, got {padding!r}"
        )
    return name


def _is_count(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) >= 0


def extent(kernel: Any, dilation: Any) -> Any:
    """Cells from the first to the last tap of a dilated kernel, both included."""
    return (kernel - 1) * dilation + 1


def pads_of(
    padding: Padding, sizes: Shape, kernel: Shape, strides: Shape, dilation: Shape
) -> tuple[tuple[Size, Size], ...]:
    """Cells before and after each spatial axis; expressions of symbolic sizes where they depend on them."""
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding != "same":
        return padding  # pyright: ignore[reportReturnType]
    pads: list[tuple[Size, Size]] = []
    for n, k, s, d in zip(sizes, kernel, strides, dilation, strict=True):
        total = (-(-n // s) - 1) * s + extent(k, d) - n
        total = max(total, 0) if isinstance(total, int) else maximum(total, 0)
        pads.append((total // 2, total - total // 2))
    return tuple(pads)


def output_sizes(padding: Padding, sizes: Shape, kernel: Shape, strides: Shape, dilation: Shape, what: str) -> Shape:
    """Spatial sizes of the result; raises `ShapeError` where the window is larger than the framed image."""
    if padding == "same":
        return tuple(-(-n // s) for n, s in zip(sizes, strides, strict=True))
    result: list[Size] = []
    pads = pads_of(padding, sizes, kernel, strides, dilation)
    for n, k, s, d, (low, high) in zip(sizes, kernel, strides, dilation, pads, strict=True):
        free = n + low + high - extent(k, d)
        if isinstance(free, int) and free < 0:
            raise ShapeError(
                f"the {what} covers {extent(k, d)} cells of a spatial axis of only {n + low + high} "
                f"(spatial sizes {format_shape(sizes)}, {what} {format_shape(kernel)}, "
                f"dilation {format_shape(dilation)}); "
                'use a larger input, a smaller window, or padding="same"'
            )
        result.append(free // s + 1)
    return tuple(result)


def spatial(shape: Shape, channels_last: bool) -> Shape:
    """The spatial sizes of an image's shape."""
    return tuple(shape[1:-1]) if channels_last else tuple(shape[2:])


def channels(shape: Shape, channels_last: bool) -> Size:
    """The number of channels of an image's shape."""
    return shape[-1] if channels_last else shape[1]


def image_shape(batch: Size, sizes: Shape, channel: Size, channels_last: bool) -> Shape:
    """An image's shape from its parts."""
    return (batch, *sizes, channel) if channels_last else (batch, channel, *sizes)


def to_channels_last(x: np.ndarray, channels_last: bool) -> np.ndarray:
    """The array with channels last in memory, as the kernels want it."""
    return x if channels_last else np.ascontiguousarray(np.moveaxis(x, 1, -1))


def from_channels_last(x: np.ndarray, channels_last: bool) -> np.ndarray:
    """The array with its channels back where the caller has them (a view)."""
    return x if channels_last else np.moveaxis(x, -1, 1)


def check_image_rank(shape: Shape, operation: str, ranks: Sequence[int] = (3, 4, 5)) -> int:
    """The number of spatial axes; raises `ShapeError` when the input is no batch of images."""
    if len(shape) not in ranks:
        raise ShapeError(
            f"{operation}: expected a batch of signals, images or volumes of rank "
            f"{' or '.join(str(r) for r in ranks)} (batch, spatial axes, channels), got shape {format_shape(shape)}"
        )
    return len(shape) - 2


def frame_slices(
    sizes: tuple[int, ...], lows: tuple[int, ...], lengths: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where the image lies within its frame, and which part of the image that is."""
    inner, source = [slice(None)], [slice(None)]
    for n, low, length in zip(sizes, lows, lengths, strict=True):
        start, stop = max(low, 0), max(min(low + n, length), low, 0)
        inner.append(slice(start, stop))
        source.append(slice(start - low, stop - low))
    return tuple(inner), tuple(source)
