"""Dropout: elements set to zero at random, the others scaled up. The gradient reuses the mask, one byte an element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.dims import Shape, equal
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec, as_shape
from ..core.tensor import Tensor
from .convert import convert_to_tensor
from .create import zeros_like
from .random_samples import mask_primitive
from .rules import broadcast_shapes
from .seed import draw_seed

__all__: list[str] = []

BLOCK = 1 << 15


def _run(x: np.ndarray, mask: np.ndarray, *, scale: float) -> np.ndarray:
    factor = x.dtype.type(scale)
    if mask.shape != x.shape:
        return x * (mask * factor)
    if not (x.flags.c_contiguous and mask.flags.c_contiguous):
        return x * mask * factor
    # in blocks, so that the second product finds its numbers in the cache
    out, flat, kept = np.empty(x.size, x.dtype), x.reshape(-1), mask.reshape(-1)
    for start in range(0, x.size, BLOCK):
        part = out[start : start + BLOCK]
        np.multiply(flat[start : start + BLOCK], kept[start : start + BLOCK], out=part)
        part *= factor
    return out.reshape(x.shape)


def _infer(x: TensorSpec, mask: TensorSpec, *, scale: float) -> TensorSpec:
    if x.dtype.kind != "f":
        raise DtypeError(f"expected a floating-point tensor, got {x.dtype.name}")
    if broadcast_shapes(x.shape, mask.shape) != x.shape:
        raise ShapeError(
            f"noise_shape {format_shape(mask.shape)} does not broadcast to the input, {format_shape(x.shape)}"
        )
    return TensorSpec(x.shape, x.dtype)


def _lower(emit: Emitter, x: Value, mask: Value, *, scale: float) -> Value:
    factor = emit.constant(np.array(scale, x.dtype))
    if mask.shape != x.shape:
        return emit("Mul", x, emit("Mul", emit.cast(mask, x.dtype), factor))
    return emit("Mul", emit("Mul", x, emit.cast(mask, x.dtype)), factor)


# The gradient reads the mask alone; the input is kept with it, and is the result of the layer before, kept anyway.
masked_scale_primitive = Primitive(
    name="dropout",
    run=_run,
    infer=_infer,
    lower=_lower,
    vjp=(lambda g, out, x, mask, *, scale: masked_scale_primitive(g, mask, scale=scale), None),
    residuals="inputs",
)


def dropout(inputs: Any, rate: float, noise_shape: Sequence[Any] | None = None, seed: Any = None) -> Tensor:
    """Each element is zero with probability `rate` and divided by `1 - rate` otherwise (Keras name: `random.dropout`).

    `noise_shape` broadcasts to the input: along its axes of size 1 (or None: the input's size) elements fall together.
    The probability is kept to 2**-16. Raises `ValueError` for a rate outside of [0, 1], `DtypeError` for integers,
    `ShapeError` for a noise shape that does not broadcast. Source: Srivastava et al. 2014.

    >>> import sardonyx as sx
    >>> sorted(set(sx.random.dropout(sx.ops.ones((100,)), 0.5, seed=1).tolist()))
    [0.0, 2.0]
    """
    if not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise ValueError(f"dropout: expected a rate between 0 and 1, got {rate!r}")
    x = convert_to_tensor(inputs)
    if x.dtype.kind != "f":
        raise DtypeError(f"dropout: expected a floating-point tensor, got {x.dtype.name}")
    shape = x.shape if noise_shape is None else _noise_shape(noise_shape, x.shape)
    words = draw_seed(seed)
    if rate == 0:
        return x
    if rate == 1:
        return zeros_like(x)
    mask = mask_primitive(words, shape=shape, threshold=min(max(round(rate * 65536), 1), 65535))
    return masked_scale_primitive(x, mask, scale=1.0 / (1.0 - rate))


def _noise_shape(noise_shape: Sequence[Any], shape: Shape) -> Shape:
    """The shape of the mask: None stands for the input's size."""
    if len(noise_shape) != len(shape):
        raise ShapeError(
            f"dropout: noise_shape {format_shape(tuple(noise_shape))} has {len(noise_shape)} axes, the input "
            f"{format_shape(shape)} has {len(shape)}; expected one size (1 or None) per axis"
        )
    filled = as_shape([own if size is None else size for size, own in zip(noise_shape, shape, strict=True)])
    for size, own in zip(filled, shape, strict=True):
        if size != 1 and equal(size, own) is not True:
            raise ShapeError(
                f"dropout: noise_shape {format_shape(filled)} does not broadcast to the input, {format_shape(shape)}; "
                "expected 1 or the input's size on every axis"
            )
    return filled
