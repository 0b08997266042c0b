"""How the gradient of a convolution's kernel is written in ONNX, which has no operator for it.

Which form is fastest depends on the processor. A GPU has no fast convolution with kernels as large as an image: there
the cells that each tap sees are laid side by side and multiplied with the gradient (a hundred times as fast for 64
images of 26x26x32). On a processor that costs more memory traffic than it saves, unless the image has few channels.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..core.dims import Shape, Size, is_static, product
from ..core.emitter import Emitter, Value
from ..core.spec import TensorSpec
from .convolution_lowering import channels_first, crop, flat_pads, framed, in_float32, pad_image, steps
from .windows import Padding, extent

__all__: list[str] = []

FEW = range(1, 5)
"""Channels with which a processor, too, is faster with the cells of all taps side by side."""


@in_float32
def lower_kernel_gradient(
    emit: Emitter,
    x: Value,
    dy: Value,
    *,
    taps: Shape,
    strides: Shape,
    padding: Padding,
    dilation: Shape,
    groups: int,
    channels_last: bool,
) -> Value:
    """A Conv of the image with the gradient as its kernel, strides and dilation in each other's place; or products."""
    image = channels_first(emit, x, channels_last)
    gradient = channels_first(emit, dy, channels_last)
    source, attributes, pads = framed(emit, image, padding, taps, strides, dilation)
    if "auto_pad" in attributes:
        source, attributes = pad_image(emit, image, pads), {}
        pads = ((0, 0),) * len(taps)
    found = [
        (n + low + high - extent(k, s)) // d + 1
        for n, (low, high), k, s, d in zip(source.shape[2:], pads, gradient.shape[2:], strides, dilation, strict=True)
    ]
    if is_static((*source.shape[1:], *gradient.shape[1:])) and (emit.on_gpu or _is_thin(source, taps, groups)):
        return _as_patches(emit, source, gradient, taps, strides, pads, dilation, groups)
    many = _as_volume if groups == 1 and len(taps) <= 2 else _as_batch
    if len(taps) == 2 and groups > 1 and source.shape[1] == groups and _is_narrow(source.shape[3], gradient.shape[3]):
        many = _as_products
    return many(emit, source, gradient, found, taps, strides, pads, dilation, groups)


def _is_thin(x: Value, taps: Shape, groups: int) -> bool:
    """Whether the cells of all taps are little memory."""
    return groups == 1 and (x.shape[1] in FEW or all(k == 1 for k in taps))


def _as_volume(
    emit: Emitter,
    x: Value,
    dy: Value,
    found: list[Size],
    taps: Shape,
    strides: Shape,
    pads: Any,
    dilation: Shape,
    groups: int,
) -> Value:
    """Images as channels, channels as one more spatial axis: (1, N, *sizes, C) with the kernel (O, N, *sizes, 1)."""
    rank = len(taps)
    depth, filters = x.shape[1], dy.shape[1]
    volume = emit.transpose(x, (0, *range(2, rank + 2), 1))
    volume = emit.reshape(volume, (1, *volume.shape))
    weights = emit.transpose(dy, (1, 0, *range(2, rank + 2)))
    weights = emit.reshape(weights, (*weights.shape, 1))
    spec = TensorSpec((1, filters, *found, depth), x.dtype)
    attributes = steps((*dilation, 1), (*strides, 1), 1)
    if any(low or high for low, high in pads):
        attributes["pads"] = flat_pads([*pads, (0, 0)])
    out = crop(emit, emit("Conv", volume, weights, spec=spec, **attributes), (0,) * rank, taps)
    out = emit.reshape(out, (filters, *taps, depth))
    return emit.transpose(out, (*range(1, rank + 2), 0))


def _as_one_product(emit: Emitter, patches: Value, dy: Value, rows: int, filters: int) -> Value:
    """The product over cells and images at once: where one for each image would be larger than what is multiplied."""
    cells = product((patches.shape[0], patches.shape[3]))
    left = emit.reshape(emit.transpose(patches, (2, 1, 0, 3)), (rows, cells))
    right = emit.reshape(emit.transpose(dy, (1, 0, *range(2, dy.rank))), (filters, cells))
    return emit("MatMul", left, emit.transpose(right, (1, 0)), spec=TensorSpec((rows, filters), dy.dtype))


WIDEST = 64
"""Cells of a line of results up to which products of whole lines are faster than grouped convolutions."""


def _is_narrow(wide: Size, result: Size) -> bool:
    return isinstance(wide, int) and isinstance(result, int) and result <= WIDEST


def _as_products(
    emit: Emitter,
    x: Value,
    dy: Value,
    found: list[Size],
    taps: Shape,
    strides: Shape,
    pads: Any,
    dilation: Shape,
    groups: int,
) -> Value:
    """Depthwise: for each row of taps, products of lines of the image with lines of the gradient, summed over lines.

    That gives every pair of their cells; those that lie as far apart as a tap says are added up by a constant matrix.
    Padding is left out: lines outside of the image give nothing, and cells outside are in no pair.
    """
    rows = _rows_inside(x.shape[2], dy.shape[2], taps[0], strides[0], dilation[0], pads[0][0])
    if rows is None:
        x = pad_image(emit, x, [pads[0], (0, 0)])
        rows = [(0, dy.shape[2], tap * dilation[0]) for tap in range(taps[0])]
    batch, width, (high, narrow) = x.shape[0], dy.shape[1] // groups, dy.shape[2:]
    planes = emit.transpose(x, (1, 0, 2, 3))
    split = emit.reshape(dy, (batch, groups, width, high, narrow))
    lines = emit.reshape(emit.transpose(split, (1, 0, 3, 2, 4)), (groups, batch, high, width * narrow))
    wide = x.shape[3]
    pairs = []
    for first, count, start in rows:
        seen = _lines(emit, planes, start, count, strides[0])
        given = emit.reshape(_lines(emit, lines, first, count, 1), (groups, batch * count, width * narrow))
        turned = emit.transpose(emit.reshape(seen, (groups, batch * count, wide)), (0, 2, 1))
        product = emit("MatMul", turned, given, spec=TensorSpec((groups, wide, width * narrow), x.dtype))
        pairs.append(emit.reshape(product, (1, groups, wide, width, narrow)))
    every = emit("Concat", *pairs, axis=0, spec=TensorSpec((taps[0], groups, wide, width, narrow), x.dtype))
    every = emit.reshape(emit.transpose(every, (0, 1, 3, 2, 4)), (taps[0] * groups * width, wide * narrow))
    apart = np.zeros((wide, narrow, taps[1]), x.dtype)  # pyright: ignore[reportArgumentType, reportCallIssue]
    for cell, tap in np.ndindex(narrow, taps[1]):  # pyright: ignore[reportArgumentType, reportCallIssue]
        place = cell * strides[1] + tap * dilation[1] - pads[1][0]
        if 0 <= place < wide:
            apart[place, cell, tap] = 1
    matrix = emit.constant(apart.reshape(-1, taps[1]))
    spec = TensorSpec((taps[0] * groups * width, taps[1]), x.dtype)
    sums = emit.reshape(emit("MatMul", every, matrix, spec=spec), (taps[0], groups * width, taps[1], 1))
    return emit.transpose(sums, (0, 2, 3, 1))


def _rows_inside(
    size: Size, result: Size, taps: Any, stride: Any, dilation: Any, low: Size
) -> list[tuple[Size, Size, Size]] | None:
    """For each row of taps, the first line of the result for which it lies in the image, how many there are, and where
    it then lies; None where sizes are unknown or a row never lies in the image."""
    if not is_static((size, result, low)):
        return None
    found: list[tuple[Size, Size, Size]] = []
    for tap in range(taps):
        shift = tap * dilation - low
        first = max(0, -(shift // stride))
        count = min(result, (size - 1 - shift) // stride + 1) - first  # pyright: ignore
        if count <= 0:
            return None
        found.append((first, count, first * stride + shift))
    return found


def _lines(emit: Emitter, images: Value, start: Size, count: Size, stride: Any) -> Value:
    """Lines of images (axis 2) from the first to be seen on."""
    if stride == 1 and isinstance(start, int) and start == 0 and count == images.shape[2]:
        return images
    bounds = emit.shape((start,)), emit.shape((start + (count - 1) * stride + 1,))
    spec = TensorSpec((*images.shape[:2], count, *images.shape[3:]), images.dtype)
    return emit("Slice", images, *bounds, emit.constant([2], np.int64), emit.constant([stride], np.int64), spec=spec)


def _as_batch(
    emit: Emitter,
    x: Value,
    dy: Value,
    found: list[Size],
    taps: Shape,
    strides: Shape,
    pads: Any,
    dilation: Shape,
    groups: int,
) -> Value:
    """Channels of a group as images, images as channels of the groups: (C / G, G * N, *sizes)."""
    rank = len(taps)
    spaces = tuple(range(2, rank + 2))
    batch, depth, filters = x.shape[0], x.shape[1], dy.shape[1]
    inner = depth // groups
    grouped = emit.reshape(x, (batch, groups, inner, *x.shape[2:]))
    turned = emit.transpose(grouped, (2, 1, 0, *[a + 1 for a in spaces]))
    turned = emit.reshape(turned, (inner, groups * batch, *x.shape[2:]))
    weights = emit.transpose(dy, (1, 0, *spaces))
    attributes = steps(dilation, strides, groups)
    if any(low or high for low, high in pads):
        attributes["pads"] = flat_pads(pads)
    spec = TensorSpec((inner, filters, *found), x.dtype)
    out = crop(emit, emit("Conv", turned, weights, spec=spec, **attributes), (0,) * rank, taps)
    return emit.transpose(out, (*spaces, 0, 1))


def _as_patches(
    emit: Emitter, x: Value, dy: Value, taps: Shape, strides: Shape, pads: Any, dilation: Shape, groups: int
) -> Value:
    """The cells that each tap sees, side by side, times the gradient; summed over images."""
    if any(low or high for low, high in pads):
        x = pad_image(emit, x, pads)
    batch, cells = x.shape[0], prod(dy.shape[2:])
    inner, filters = x.shape[1] // groups, dy.shape[1] // groups
    # groups by themselves: also a bound for the pass that settles layouts, so that channels come first, in long pieces
    images = emit.reshape(x, (batch, groups, inner, *x.shape[2:]))
    axes, every = emit.constant([*range(3, images.rank)], np.int64), emit.constant(strides, np.int64)
    seen = []
    for tap in np.ndindex(*taps):
        starts = [t * d for t, d in zip(tap, dilation, strict=True)]
        stops = [start + (n - 1) * s + 1 for start, n, s in zip(starts, dy.shape[2:], strides, strict=True)]
        bounds = emit.constant(starts, np.int64), emit.constant(stops, np.int64)
        spec = TensorSpec((*images.shape[:3], *dy.shape[2:]), x.dtype)
        is_whole = x.shape[2:] == dy.shape[2:]
        seen.append(images if is_whole else emit("Slice", images, *bounds, axes, every, spec=spec))
    rows = len(seen) * inner
    spec = TensorSpec((batch, groups, rows, *dy.shape[2:]), x.dtype)
    joined = emit("Concat", *seen, axis=2, spec=spec) if len(seen) > 1 else seen[0]
    patches = emit.reshape(joined, (batch, groups, rows, cells))
    if groups == 1 and rows * filters > (rows + filters) * cells:
        return emit.reshape(_as_one_product(emit, patches, dy, rows, filters), (*taps, inner, filters))
    gradient = emit.transpose(emit.reshape(dy, (batch, groups, filters, cells)), (0, 1, 3, 2))
    products = emit("MatMul", patches, gradient, spec=TensorSpec((batch, groups, rows, filters), x.dtype))
    spec = TensorSpec(products.shape[1:], x.dtype)
    total = emit("ReduceSum", products, emit.constant([0], np.int64), keepdims=0, spec=spec)
    if groups == 1:
        return emit.reshape(total, (*taps, inner, filters))
    total = emit.transpose(emit.reshape(total, (groups, len(seen), inner, filters)), (1, 2, 0, 3))
    return emit.reshape(total, (*taps, inner, groups * filters))
