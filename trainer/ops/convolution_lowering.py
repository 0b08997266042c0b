"""How convolutions and the gradients of their images are written in ONNX: Conv and ConvTranspose, channels first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.dims import Shape, Size, is_static
from ..core.emitter import Emitter, Value
from ..core.spec import TensorSpec
from .windows import Padding, channels, extent, output_sizes, pads_of, spatial

FLOAT32 = np.dtype(np.float32)


def in_float32(lower: Callable[..., Value]) -> Callable[..., Value]:
    """A lowering that computes float64 in float32: onnxruntime's CPU has convolution and pooling in float32 only."""

    def wrapped(emit: Emitter, *values: Value | None, **attributes: Any) -> Value:
        first = next(v for v in values if v is not None)
        if first.dtype != np.float64:
            return lower(emit, *values, **attributes)
        narrow = [None if v is None else emit.cast(v, FLOAT32) if v.dtype == np.float64 else v for v in values]
        return emit.cast(lower(emit, *narrow, **attributes), np.float64)

    return wrapped


def channels_first(emit: Emitter, x: Value, channels_last: bool) -> Value:
    """The image with channels first, as ONNX has it."""
    return emit.transpose(x, (0, x.rank - 1, *range(1, x.rank - 1))) if channels_last else x


def channels_back(emit: Emitter, x: Value, channels_last: bool) -> Value:
    """The image with its channels back where they came from."""
    return emit.transpose(x, (0, *range(2, x.rank), 1)) if channels_last else x


def kernel_first(emit: Emitter, kernel: Value) -> Value:
    """(*taps, channels, filters) to (filters, channels, *taps)."""
    rank = kernel.rank
    return emit.transpose(kernel, (rank - 1, rank - 2, *range(rank - 2)))


def flat_pads(pads: Sequence[tuple[Size, Size]]) -> list[Size]:
    """ONNX's order: all befores, then all afters."""
    return [low for low, _ in pads] + [high for _, high in pads]


def framed(
    emit: Emitter, x: Value, padding: Padding, taps: Shape, strides: Shape, dilation: Shape
) -> tuple[Value, dict[str, Any], tuple[tuple[Size, Size], ...]]:
    """The image (channels first), the padding attributes for the operator that follows, and the pads these stand for.

    Pads that depend on sizes unknown so far are left to `auto_pad`; with dilation, which onnxruntime's `auto_pad`
    refuses, and strides beyond the kernel, where its pads become negative, they are computed and applied before.
    """
    sizes = x.shape[2:]
    pads = pads_of(padding, sizes, taps, strides, dilation)
    if is_static(flat_pads(pads)):
        return x, ({"pads": flat_pads(pads)} if any(flat_pads(pads)) else {}), pads
    if all(d == 1 for d in dilation) and all(s <= k for s, k in zip(strides, taps, strict=True)):
        return x, {"auto_pad": "SAME_UPPER"}, pads
    return pad_image(emit, x, pads), {}, ((0, 0),) * len(taps)


def pad_image(emit: Emitter, x: Value, pads: Sequence[tuple[Size, Size]]) -> Value:
    """Zeros around the spatial axes of an image with channels first."""
    amounts = emit.shape(tuple(flat_pads([(0, 0), (0, 0), *pads])))
    sizes = [n + low + high for n, (low, high) in zip(x.shape[2:], pads, strict=True)]
    return emit("Pad", x, amounts, spec=TensorSpec((*x.shape[:2], *sizes), x.dtype))


def crop(emit: Emitter, x: Value, starts: Sequence[Size], sizes: Sequence[Size], first: int = 2) -> Value:
    """A window of the axes from `first` on; the value itself where it is the whole."""
    axes = list(range(first, first + len(starts)))
    if all(isinstance(s, int) and s == 0 for s in starts) and tuple(x.shape[a] for a in axes) == tuple(sizes):
        return x
    stops = tuple(start + size for start, size in zip(starts, sizes, strict=True))
    shape = list(x.shape)
    shape[first : first + len(starts)] = sizes
    bounds = emit.shape(tuple(starts)), emit.shape(stops), emit.constant(axes, np.int64)
    return emit("Slice", x, *bounds, spec=TensorSpec(shape, x.dtype))


@in_float32
def lower_convolution(
    emit: Emitter,
    x: Value,
    kernel: Value,
    bias: Value | None = None,
    *,
    strides: Shape,
    padding: Padding,
    dilation: Shape,
    groups: int,
    channels_last: bool,
) -> Value:
    """One Conv."""
    taps = kernel.shape[:-2]
    image = channels_first(emit, x, channels_last)
    sizes = output_sizes(padding, image.shape[2:], taps, strides, dilation, "kernel")
    image, attributes, _ = framed(emit, image, padding, taps, strides, dilation)
    spec = TensorSpec((image.shape[0], kernel.shape[-1], *sizes), x.dtype)
    weights = kernel_first(emit, kernel)
    out = emit("Conv", image, weights, bias, spec=spec, **steps(strides, dilation, groups), **attributes)
    return channels_back(emit, out, channels_last)


def steps(strides: Shape, dilation: Shape, groups: int) -> dict[str, Any]:
    """Attributes that are not at their default."""
    found: dict[str, Any] = {}
    if any(s != 1 for s in strides):
        found["strides"] = list(strides)
    if any(d != 1 for d in dilation):
        found["dilations"] = list(dilation)
    if groups != 1:
        found["group"] = groups
    return found


@in_float32
def lower_input_gradient(
    emit: Emitter,
    dy: Value,
    kernel: Value,
    bias: Value | None = None,
    *,
    sizes: Shape,
    strides: Shape,
    padding: Padding,
    dilation: Shape,
    groups: int,
    channels_last: bool,
) -> Value:
    """One ConvTranspose; where the result's size is known only at run time, a larger one and a Slice.

    A kernel of one cell is turned around for a Conv, which is faster by a quarter.
    """
    taps = kernel.shape[:-2]
    image = channels_first(emit, dy, channels_last)
    pads = pads_of(padding, sizes, taps, strides, dilation)
    if groups == 1 and all(n == 1 for n in (*taps, *strides)) and not any(low or high for low, high in pads):
        turned = emit.transpose(kernel, (kernel.rank - 2, kernel.rank - 1, *range(kernel.rank - 2)))
        spec = TensorSpec((image.shape[0], kernel.shape[-2], *sizes), dy.dtype)
        return channels_back(emit, emit("Conv", image, turned, bias, spec=spec), channels_last)
    full = [(n - 1) * s + extent(k, d) for n, s, k, d in zip(image.shape[2:], strides, taps, dilation, strict=True)]
    excess = [f - low - n for f, (low, _), n in zip(full, pads, sizes, strict=True)]
    head = (image.shape[0], kernel.shape[-2] * groups)
    weights = kernel_first(emit, kernel)
    attributes = steps(strides, dilation, groups)
    lows = [low for low, _ in pads]
    if is_static(lows) and is_static(excess):
        ends = [max(e, 0) for e in excess]  # pyright: ignore[reportArgumentType]
        extra = [max(-e, 0) for e in excess]  # pyright: ignore[reportArgumentType]
        if any(lows) or any(ends):
            attributes["pads"] = lows + ends
        if any(extra):
            attributes["output_padding"] = extra
        spec = TensorSpec((*head, *sizes), dy.dtype)
        out = emit("ConvTranspose", image, weights, bias, spec=spec, **attributes)
    else:
        extra = [s - 1 for s in strides]
        spec = TensorSpec((*head, *[f + e for f, e in zip(full, extra, strict=True)]), dy.dtype)
        whole = emit("ConvTranspose", image, weights, bias, spec=spec, output_padding=extra, **attributes)
        out = crop(emit, whole, lows, sizes)
    return channels_back(emit, out, channels_last)


__all__ = [
    "channels",
    "channels_back",
    "channels_first",
    "crop",
    "in_float32",
    "lower_convolution",
    "lower_input_gradient",
    "pad_image",
    "spatial",
]
