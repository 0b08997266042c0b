"""Fourier transforms and what goes with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from ..protos import element_type
from .table import Call, operator
from .values import axis_in, number, scalar_like


def _matrix(count: int, length: int, inverse: bool, dtype: Any) -> tuple[Tensor, Tensor]:
    """Cosines and sines (count, length) of the discrete Fourier transform."""
    turns = (np.arange(count)[:, None] * np.arange(length) % length) * (2 * np.pi / length)
    sign = 1 if inverse else -1
    return Tensor(np.cos(turns).astype(dtype)), Tensor((sign * np.sin(turns)).astype(dtype))


def transform(x: Tensor, length: int, inverse: bool, onesided: bool) -> Tensor:
    """The transform along the axis before the last, which holds real (and imaginary) parts."""
    whole = length // 2 + 1 if onesided and not inverse else length
    if inverse and onesided:
        x = _mirrored(x, length)
    size: Any = x.shape[-2]
    if size > length:
        x = x[..., :length, :]
    elif size < length:
        x = ops.pad(x, [(0, 0)] * (len(x.shape) - 2) + [(0, length - size), (0, 0)])
    cosine, sine = _matrix(whole, length, inverse, x.dtype)
    real = x[..., 0:1]
    if x.shape[-1] == 1:
        parts = [ops.matmul(cosine, real), ops.matmul(sine, real)]
    else:
        other = x[..., 1:2]
        parts = [
            ops.matmul(cosine, real) - ops.matmul(sine, other), ops.matmul(sine, real) + ops.matmul(cosine, other)
        ]  # fmt: skip
    if inverse:
        parts = [part * scalar_like(1 / length, part) for part in parts]
    if inverse and onesided:
        return parts[0]
    return ops.concatenate(parts, axis=-1)


def _mirrored(x: Tensor, length: int) -> Tensor:
    """The full spectrum of real numbers from its first half."""
    half = length // 2 + 1
    size: Any = x.shape[-2]
    if size < half:
        x = ops.pad(x, [(0, 0)] * (len(x.shape) - 2) + [(0, half - size), (0, 0)])
    x = x[..., :half, :]
    back = ops.flip(x[..., 1 : length - half + 1, :], -2)
    return ops.concatenate([x, ops.concatenate([back[..., 0:1], -back[..., 1:2]], axis=-1)], axis=-2)


@operator("DFT")
def discrete_fourier(call: Call, x: Tensor, length: Any = None, axis: Any = None) -> Tensor:
    """Discrete Fourier transform along an axis; the last axis holds real and imaginary parts."""
    default = 1 if call.version < 20 else -2
    along = call.get("axis", default) if call.version < 20 else number(call, axis, "the axis", default)
    rank = len(x.shape)
    along = axis_in(call, along, rank)
    moved = ops.moveaxis(x, along, -2)
    inverse, onesided = bool(call.get("inverse", 0)), bool(call.get("onesided", 0))
    own: Any = moved.shape[-2]
    count = number(call, length, "the length", 2 * (own - 1) if inverse and onesided else own)
    return ops.moveaxis(transform(moved, int(count), inverse, onesided), -2, along)


@operator("STFT")
def short_time_fourier(call: Call, x: Tensor, step: Any, window: Any = None, length: Any = None) -> Tensor:
    """Fourier transforms of frames: (batch, frames, frequencies, 2)."""
    if len(x.shape) == 2:
        x = ops.expand_dims(x, -1)
    size: Any = window.shape[0] if length is None else number(call, length, "the frame's length")  # pyright: ignore
    hop, total = number(call, step, "the step"), x.shape[1]
    frames = (total - size) // hop + 1
    starts = ops.multiply(ops.expand_dims(ops.arange(frames, dtype="int64"), 1), np.int64(hop))
    cut = ops.take(x, ops.add(starts, np.arange(size)), axis=1)
    if window is not None:
        cut = ops.multiply(cut, ops.reshape(window, (-1, 1)))
    return transform(cut, int(size), False, bool(call.get("onesided", 1)))


@operator("MelWeightMatrix")
def mel_weights(call: Call, bands: Any, length: Any, rate: Any, low: Any, high: Any) -> Tensor:
    """Triangles, equally spaced in mel, over the frequencies of a transform."""
    count, size = (int(number(call, v, "a size")) for v in (bands, length))
    sampling, bottom, top = (float(number(call, v, "a frequency")) for v in (rate, low, high))
    lowest, highest = (2595 * np.log10(1 + hz / 700) for hz in (bottom, top))
    mel = np.arange(count + 2) * ((highest - lowest) / (count + 2)) + lowest
    bins = ((size + 1) * (700 * (10 ** (mel / 2595) - 1)) // sampling).astype(int)
    found = np.zeros((size // 2 + 1, count))
    for i in range(count):
        start, middle, end = bins[i], bins[i + 1], bins[i + 2]
        if middle == start:
            found[middle, i] = 1
        else:
            found[start : middle + 1, i] = (np.arange(start, middle + 1) - start) / (middle - start)
        if end > middle:
            found[middle:end, i] = (end - np.arange(middle, end)) / (end - middle)
    return Tensor(found.astype(element_type(call.get("output_datatype", 1))))
