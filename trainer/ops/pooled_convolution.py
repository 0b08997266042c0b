"""Convolution, bias, relu and max-pooling as one kernel, and its adjoint: results lie in the cache until pooled.

For programs of fixed sizes alone, whose graphs are rewritten to it (`trainer/flat_fusion.py`); it has no gradient rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.dims import Shape, is_static
from ..core.primitive import Primitive, unsupported_lowering
from ..core.spec import TensorSpec
from .convolution_finish import Finish
from .windows import Padding, output_sizes, pads_of
from .winograd import TILE, correlate_3x3_pooled, correlate_3x3_pooled_gradients, suits_winograd, tiles

__all__: list[str] = []

PAIRS = (2, 2)


def suits(x: TensorSpec, kernel: TensorSpec, convolution: Mapping[str, Any], pooling: Mapping[str, Any]) -> bool:
    """Whether there is one kernel for a convolution and the pooling of its rectified results."""
    if pooling["pool"] != PAIRS or pooling["strides"] != PAIRS or pooling["padding"] != "valid":
        return False
    return pooling["channels_last"] and is_tiled(x, kernel, convolution, 2)


def is_tiled(x: TensorSpec, kernel: TensorSpec, convolution: Mapping[str, Any], least: int = 1) -> bool:
    """Whether a convolution is computed by tiles, and its results have at least so many cells along each axis."""
    if not convolution["channels_last"] or convolution["groups"] != 1 or kernel.rank != 4:
        return False
    if not is_static((*x.shape, *kernel.shape)):
        return False
    sizes: Any = result_sizes(x.shape, kernel.shape, convolution)
    settings = convolution["strides"], convolution["dilation"]
    depth, filters = kernel.shape[2:]
    return min(sizes) >= least and suits_winograd(kernel.shape[:2], *settings, depth, filters, sizes, x.dtype)  # pyright: ignore[reportArgumentType]


def result_sizes(x: Shape, kernel: Shape, convolution: Mapping[str, Any]) -> Shape:
    """Spatial sizes of a convolution's results."""
    settings = convolution["strides"], convolution["dilation"]
    return output_sizes(convolution["padding"], x[1:-1], kernel[:2], *settings, "kernel")


def lows_of(x: Shape, padding: Padding) -> tuple[Any, ...]:
    """Cells before each axis of the image, for kernels of 3x3."""
    return tuple(low for low, _ in pads_of(padding, x[1:-1], (3, 3), (1, 1), (1, 1)))


def _run(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None = None, *, choose: bool, **convolution: Any) -> Any:
    sizes: Any = result_sizes(x.shape, kernel.shape, convolution)
    lows = lows_of(x.shape, convolution["padding"])
    out, chosen = correlate_3x3_pooled(x, kernel, lows, sizes, Finish(bias, True), choose)
    return out if chosen is None else (out, chosen)


def _infer(
    x: TensorSpec, kernel: TensorSpec, bias: TensorSpec | None = None, *, choose: bool, **convolution: Any
) -> Any:
    sizes: Any = result_sizes(x.shape, kernel.shape, convolution)
    filters: Any = kernel.shape[-1]
    out = TensorSpec((x.shape[0], sizes[0] // 2, sizes[1] // 2, filters), x.dtype)
    high, wide = tiles(sizes)
    return (out, TensorSpec((3 * TILE, x.shape[0] * high * wide * filters), np.bool_)) if choose else out


def _gradients_run(
    x: np.ndarray, dy: np.ndarray, chosen: np.ndarray, kernel: np.ndarray, *, with_bias: bool, **convolution: Any
) -> tuple[Any, ...]:
    sizes: Any = result_sizes(x.shape, kernel.shape, convolution)
    lows = lows_of(x.shape, convolution["padding"])
    found = correlate_3x3_pooled_gradients(x, dy, chosen, kernel, lows, sizes, with_bias)
    return found if with_bias else found[:2]


def infer_gradients(x: TensorSpec, kernel: TensorSpec, with_bias: bool) -> tuple[TensorSpec, ...]:
    """Gradients to image and kernel, and to a bias if there is one."""
    bias = [TensorSpec(kernel.shape[-1:], x.dtype)] * with_bias
    return TensorSpec(x.shape, x.dtype), TensorSpec(kernel.shape, x.dtype), *bias


def _gradients_infer(
    x: TensorSpec, dy: TensorSpec, chosen: TensorSpec, kernel: TensorSpec, *, with_bias: bool, **convolution: Any
) -> tuple[TensorSpec, ...]:
    return infer_gradients(x, kernel, with_bias)


pooled_convolution_primitive = Primitive("pooled_convolution", _run, _infer, unsupported_lowering("pooled_convolution"))
"""Pooled results; with `choose` also which cell of each window is the largest."""
pooled_convolution_gradients = Primitive(
    "pooled_convolution_gradients",
    _gradients_run,
    _gradients_infer,
    unsupported_lowering("pooled_convolution_gradients"),
)
"""Gradients to image, kernel and bias (if there is one) for that of the pooled results, 0 where these are."""
