"""Convolutions by tiles that keep the transform of their image for the gradients.

For programs of fixed sizes alone, whose graphs are rewritten to it (`trainer/flat_fusion.py`); it has no gradient rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.primitive import Primitive, unsupported_lowering
from ..core.spec import TensorSpec
from .convolution_finish import Finish
from .memory import empty
from .pooled_convolution import infer_gradients, is_tiled, lows_of, result_sizes
from .winograd import REACH, correlate_3x3, correlate_3x3_gradients, tiles

__all__: list[str] = []

MOST_FILTERS = REACH * REACH
"""Up to here, transforming a tile costs more products than all filters, and is worth its 2.25 times the memory."""


def suits(x: TensorSpec, kernel: TensorSpec, convolution: Mapping[str, Any]) -> bool:
    """Whether keeping saves time."""
    filters: Any = kernel.shape[-1]
    return is_tiled(x, kernel, convolution) and filters <= MOST_FILTERS


def _kept_shape(x: Any, sizes: Any) -> tuple[int, int]:
    high, wide = tiles(sizes)
    return REACH * REACH, x[0] * high * wide * x[-1]


def _run(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None = None, *, rectified: bool, **convolution: Any
) -> tuple[np.ndarray, np.ndarray]:
    sizes: Any = result_sizes(x.shape, kernel.shape, convolution)
    kept = empty(_kept_shape(x.shape, sizes), x.dtype)
    lows = lows_of(x.shape, convolution["padding"])
    return correlate_3x3(x, kernel, lows, sizes, Finish(bias, rectified), kept), kept


def _infer(
    x: TensorSpec, kernel: TensorSpec, bias: TensorSpec | None = None, **convolution: Any
) -> tuple[TensorSpec, TensorSpec]:
    sizes = result_sizes(x.shape, kernel.shape, convolution)
    out = TensorSpec((x.shape[0], *sizes, kernel.shape[-1]), x.dtype)
    return out, TensorSpec(_kept_shape(x.shape, sizes), x.dtype)


def _gradients_run(
    x: np.ndarray, dy: np.ndarray, kept: np.ndarray, kernel: np.ndarray, *, with_bias: bool, **convolution: Any
) -> tuple[Any, ...]:
    lows = lows_of(x.shape, convolution["padding"])
    found = correlate_3x3_gradients(x, dy, kernel, lows, kept, with_bias)
    return found if with_bias else found[:2]


def _gradients_infer(
    x: TensorSpec, dy: TensorSpec, kept: TensorSpec, kernel: TensorSpec, *, with_bias: bool, **convolution: Any
) -> tuple[TensorSpec, ...]:
    return infer_gradients(x, kernel, with_bias)


keeping_convolution_primitive = Primitive(
    "keeping_convolution", _run, _infer, unsupported_lowering("keeping_convolution")
)
"""The convolution, rectified if asked to, and the transform of its image."""
kept_convolution_gradients = Primitive(
    "kept_convolution_gradients", _gradients_run, _gradients_infer, unsupported_lowering("kept_convolution_gradients")
)
"""Gradients to image and kernel, and to a bias if there is one."""
