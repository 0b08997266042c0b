"""Batch normalisation, what is added to it, and relu as one kernel.

For programs of fixed sizes alone, whose graphs are rewritten to it (`trainer/flat_fusion.py`); it has no gradient rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.primitive import Primitive, unsupported_lowering
from ..core.spec import TensorSpec
from .channel_kernels import normalize_channels
from .channel_normalization import infer_training

__all__: list[str] = []


def suits(x: TensorSpec, axis: int) -> bool:
    """Whether there are kernels: channels last."""
    return axis == x.rank - 1 and x.dtype == np.float32


def _rows(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x).reshape(1, -1, x.shape[-1])


def _run(
    x: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
    added: np.ndarray | None = None,
    *,
    axis: int,
    epsilon: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    more = None if added is None else _rows(added)
    out, mean, variance = normalize_channels(_rows(x), scale, bias, epsilon, 1, True, more)
    return out.reshape(x.shape), mean[0], variance[0]


def _infer(
    x: TensorSpec, scale: TensorSpec, bias: TensorSpec, added: TensorSpec | None = None, **attributes: Any
) -> tuple[TensorSpec, TensorSpec, TensorSpec]:
    return infer_training(x, scale, bias, **attributes)


rectified_normalization_primitive = Primitive(
    "rectified_normalization", _run, _infer, unsupported_lowering("rectified_normalization")
)
"""The rectified results, the sum with another tensor rectified if there is one; mean and variance of the batch."""
