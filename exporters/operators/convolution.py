"""Convolutions: images are (batch, channels, *sizes), kernels (filters, channels, *taps) in the file."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.dims import Dim, maximum
from ...trainer.core.spec import TensorSpec
from ...trainer.core.tensor import Tensor
from ...trainer.ops.convolution_primitives import convolution_input_gradient, convolution_primitive
from .linear import centred
from .opaque import opaque
from .table import Call, operator
from .values import fixed, integers


def spatial_attributes(call: Call, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Strides and dilations, 1 by default."""
    return tuple(call.get("strides") or [1] * rank), tuple(call.get("dilations") or [1] * rank)


def frame(call: Call, sizes: Any, taps: Any, strides: Any, dilations: Any) -> Any:
    """Cells before and after each spatial axis, by `auto_pad` or `pads`."""
    mode, rank = call.get("auto_pad", "NOTSET"), len(taps)
    if mode == "VALID":
        return ((0, 0),) * rank
    if mode == "SAME_UPPER":
        return "same"
    if mode == "SAME_LOWER":
        pairs: list[tuple[Any, Any]] = []
        for n, k, s, d in zip(sizes, taps, strides, dilations, strict=True):
            total = maximum((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
            pairs.append((total - total // 2, total // 2))
        return tuple(pairs)
    pads = call.get("pads") or [0] * (2 * rank)
    return tuple(zip(pads[:rank], pads[rank:], strict=True))


@operator("Conv")
def conv(call: Call, x: Tensor, kernel: Tensor, bias: Any = None) -> Tensor:
    """Convolution over one to three spatial axes."""
    rank = len(kernel.shape) - 2
    strides, dilations = spatial_attributes(call, rank)
    taps = kernel.shape[2:]
    turned = ops.transpose(kernel, (*range(2, rank + 2), 1, 0))
    pads = frame(call, x.shape[2:], taps, strides, dilations)
    if isinstance(pads, tuple) and any(isinstance(w, Dim) or w < 0 for pair in pads for w in pair):
        x, pads = _cropped(x, pads), "valid"
    return convolution_primitive(
        x, turned, *([] if bias is None else [bias]), strides=strides, padding=pads, dilation=dilations,
        groups=call.get("group", 1), channels_last=False,
    )  # fmt: skip


def _cropped(x: Tensor, pads: Any) -> Tensor:
    """The image with its frame laid on or cut off beforehand."""
    cut = [slice(-min(a, 0) if isinstance(a, int) else 0, min(b, 0) or None if isinstance(b, int) else None)
           for a, b in pads]  # fmt: skip
    wide = [(max(a, 0) if isinstance(a, int) else a, max(b, 0) if isinstance(b, int) else b) for a, b in pads]
    return ops.pad(x[(slice(None), slice(None), *cut)], [(0, 0), (0, 0), *wide])


@operator("ConvTranspose")
def conv_transpose(call: Call, x: Tensor, kernel: Tensor, bias: Any = None) -> Tensor:
    """Transposed convolution; kernels are (channels, filters / groups, *taps)."""
    rank = len(kernel.shape) - 2
    strides, dilations = spatial_attributes(call, rank)
    extra = call.get("output_padding") or [0] * rank
    reach = [(k - 1) * d + 1 for k, d in zip(kernel.shape[2:], dilations, strict=True)]
    whole = [s * (n - 1) + e + k for n, s, e, k in zip(x.shape[2:], strides, extra, reach, strict=True)]
    sizes, lows = _enlarged(call, x, whole, strides)
    pads = tuple(
        (low, high if isinstance(high := (n - 1) * s + k - size - low, int) and high > 0 else 0)
        for n, s, k, size, low in zip(x.shape[2:], strides, reach, sizes, lows, strict=True)
    )
    turned = ops.transpose(kernel, (*range(2, rank + 2), 1, 0))
    return convolution_input_gradient(
        x, turned, *([] if bias is None else [bias]), sizes=tuple(sizes), strides=strides, padding=pads,
        dilation=dilations, groups=call.get("group", 1), channels_last=False,
    )  # fmt: skip


def _enlarged(call: Call, x: Tensor, whole: list[Any], strides: Any) -> tuple[list[Any], list[Any]]:
    """Sizes of a transposed convolution's result, and the cells cut off before them."""
    rank, mode = len(whole), call.get("auto_pad", "NOTSET")
    wanted = call.get("output_shape")
    if mode.startswith("SAME") and not wanted:
        wanted = [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
    if not wanted:
        pads = call.get("pads") or [0] * (2 * rank)
        return [w - a - b for w, a, b in zip(whole, pads[:rank], pads[rank:], strict=True)], list(pads[:rank])
    wanted = wanted[-rank:]
    totals = [w - size for w, size in zip(whole, wanted, strict=True)]
    totals = [max(t, 0) if isinstance(t, int) else t for t in totals]
    return list(wanted), [t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in totals]


@operator("ConvInteger")
def conv_integer(call: Call, x: Tensor, kernel: Tensor, x_zero: Any = None, kernel_zero: Any = None) -> Tensor:
    """Convolution of integers minus their zero points, in int32."""
    return ops.cast(conv(call, centred(x, x_zero), centred(kernel, kernel_zero, 0)), np.int32)


@operator("Col2Im")
def columns_to_image(call: Call, x: Tensor, image_shape: Any, block_shape: Any) -> Tensor:
    """Blocks laid back onto an image, added where they overlap."""
    sizes = tuple(integers(call, image_shape, "the image's shape"))
    block: Any = integers(call, block_shape, "the block's shape")
    rank, count = len(block), int(np.prod(block))
    strides, dilations = spatial_attributes(call, rank)
    pads = frame(call, sizes, block, strides, dilations)
    n, depth = x.shape[0], x.shape[1] // count
    steps = [
        (size + low + high - ((k - 1) * d + 1)) // s + 1
        for size, (low, high), k, d, s in zip(sizes, pads, block, dilations, strides, strict=True)
    ]
    columns = ops.reshape(x, (n * depth, count, *steps))
    kernel = np.eye(count, dtype=x.dtype).reshape(*block, 1, count)
    image = convolution_input_gradient(
        columns, ops.convert_to_tensor(kernel), sizes=sizes, strides=strides, padding=pads, dilation=dilations,
        groups=1, channels_last=False,
    )  # fmt: skip
    return ops.reshape(image, (n, depth, *sizes))


def _deformed(call: Call, x: TensorSpec, kernel: TensorSpec, offset: TensorSpec, *rest: Any) -> TensorSpec:
    return TensorSpec((x.shape[0], kernel.shape[0], *offset.shape[2:]), x.dtype)


@opaque("DeformConv", _deformed)
def deformable_conv(
    call: Call, x: Tensor, kernel: Tensor, offset: Tensor, bias: Any = None, mask: Any = None
) -> Tensor:
    """Convolution whose taps read the image at places that are moved by `offset`, between cells (images of 2 axes)."""
    if len(kernel.shape) != 4:
        raise ValueError(f"{call.label}: expected a kernel of 2 spatial axes, got {len(kernel.shape) - 2}")
    array, where = fixed(call, x, "the image"), fixed(call, offset, "the offsets")
    taps = kernel.shape[2:]
    strides, dilations = spatial_attributes(call, 2)
    pads = frame(call, x.shape[2:], taps, strides, dilations)
    groups, (n, depth), (oh, ow) = call.get("offset_group", 1), array.shape[:2], where.shape[2:]
    moves = where.reshape(n, groups, taps[0] * taps[1], 2, oh, ow)
    weights = None if mask is None else fixed(call, mask, "the mask").reshape(n, groups, -1, oh, ow)
    columns = np.zeros((n, depth, taps[0] * taps[1], oh, ow), array.dtype)
    rows, cells = np.arange(oh)[:, None] * strides[0] - pads[0][0], np.arange(ow) * strides[1] - pads[1][0]
    for i in range(n):
        for g in range(groups):
            part = slice(g * depth // groups, (g + 1) * depth // groups)
            for tap in range(taps[0] * taps[1]):
                y = rows + tap // taps[1] * dilations[0] + moves[i, g, tap, 0]
                z = cells + tap % taps[1] * dilations[1] + moves[i, g, tap, 1]
                found = _between(array[i, part], y, z)
                columns[i, part, tap] = found if weights is None else found * weights[i, g, tap]
    flat = columns.reshape(n, call.get("group", 1), -1, oh * ow)
    matrix = fixed(call, kernel, "the kernel").reshape(call.get("group", 1), -1, flat.shape[2])
    out = np.einsum("gok,ngkp->ngop", matrix, flat).reshape(n, -1, oh, ow)
    return Tensor(out if bias is None else out + fixed(call, bias, "the bias")[:, None, None])


def _between(image: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Values of (channels, height, width) between cells; zero outside."""
    total = np.zeros((image.shape[0], *y.shape), image.dtype)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    for i in (0, 1):
        for j in (0, 1):
            row, cell = top + i, left + j
            share = (1 - np.abs(y - row)) * (1 - np.abs(x - cell))
            inside = (row >= 0) & (row < image.shape[1]) & (cell >= 0) & (cell < image.shape[2])
            found = image[:, np.clip(row, 0, image.shape[1] - 1), np.clip(cell, 0, image.shape[2] - 1)]
            total += (found * (share * inside)).astype(image.dtype)
    return total
