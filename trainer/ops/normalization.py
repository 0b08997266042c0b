"""Normalisations by mean and variance, and by root mean square (names of `keras.ops`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.dims import agree, product
from ..core.errors import ShapeError, format_shape
from ..core.spec import normalize_axes, normalize_axis
from ..core.tensor import Tensor
from .axes import transpose
from .broadcast import reshape
from .channel_normalization import batch_normalization_primitive, batch_normalization_training_primitive
from .convert import convert_to_tensor, to_float
from .create import ones, zeros
from .group_normalization import group_normalization_primitive
from .sample_normalization import layer_normalization_primitive, rms_normalization_primitive

__all__ = ["batch_normalization", "layer_normalization", "rms_normalization"]

EPSILON = 1e-7
"""Keras's `config.epsilon()`."""

Axis = int | Sequence[int]


def _weight(value: Any, x: Tensor, shape: tuple[Any, ...], operation: str, name: str) -> Tensor | None:
    """Scale or bias in the input's dtype and in the shape of the normalised axes."""
    if value is None:
        return None
    tensor = convert_to_tensor(value, x.dtype)
    if not agree(product(tensor.shape), product(shape)):
        raise ShapeError(
            f"{operation}: {name} needs one element for each of the normalised sizes {format_shape(shape)}, "
            f"got shape {format_shape(tensor.shape)}"
        )
    return reshape(tensor, shape)


def _over_last(primitive: Any, operation: str, x: Tensor, axis: Axis, epsilon: Any, weights: dict[str, Any]) -> Tensor:
    """Apply a normalisation of the last axes to any axes: others are moved there and back."""
    rank = len(x.shape)
    axes = normalize_axes(axis, rank)
    first = rank - len(axes)
    order = (*[a for a in range(rank) if a not in axes], *axes)
    moved = transpose(x, order)
    ready = [_weight(w, x, moved.shape[first:], operation, name) for name, w in weights.items()]
    while ready and ready[-1] is None:
        ready.pop()
    out = primitive(moved, *ready, first=first, epsilon=float(EPSILON if epsilon is None else epsilon))
    return transpose(out, tuple(int(i) for i in np.argsort(order)))


def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: Axis = -1, epsilon: float | None = None
) -> Tensor:
    """Each sample to mean 0 and variance 1 over `axis`, times `gamma`, plus `beta` (ONNX: LayerNormalization).

    gamma, beta: one element for each cell of the normalised axes; epsilon: added to the variance, 1e-7 by default.

    >>> import sardonyx as sx
    >>> sx.ops.layer_normalization([[1.0, 2.0, 3.0]]).numpy().round(3)
    array([[-1.225,  0.   ,  1.225]], dtype=float32)
    """
    weights = {"gamma": gamma, "beta": beta}
    return _over_last(layer_normalization_primitive, "layer_normalization", to_float(x), axis, epsilon, weights)


def rms_normalization(x: Any, scale: Any = None, axis: Axis = -1, epsilon: float | None = None) -> Tensor:
    """Each sample divided by the root of its mean square over `axis`, times `scale` (ONNX: RMSNormalization).

    Source: Zhang and Sennrich, "Root Mean Square Layer Normalization" (2019).

    >>> import sardonyx as sx
    >>> sx.ops.rms_normalization([[3.0, 4.0, 0.0, 0.0]]).numpy().round(3)
    array([[1.2, 1.6, 0. , 0. ]], dtype=float32)
    """
    return _over_last(rms_normalization_primitive, "rms_normalization", to_float(x), axis, epsilon, {"scale": scale})


def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> Tensor:
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset`, each a vector along `axis` (ONNX: BatchNormalization).

    >>> import sardonyx as sx
    >>> sx.ops.batch_normalization([[1.0, 2.0]], [0.0, 1.0], [1.0, 4.0], -1, epsilon=0.0).numpy().tolist()
    [[1.0, 0.5]]
    """
    x = to_float(x)
    position = normalize_axis(axis, len(x.shape))
    given = {"mean": mean, "variance": variance, "scale": scale, "offset": offset}
    vectors = [_weight(v, x, x.shape[position : position + 1], "batch_normalization", k) for k, v in given.items()]
    while vectors[-1] is None:
        vectors.pop()
    return batch_normalization_primitive(x, *vectors, axis=position, epsilon=float(epsilon))


def batch_normalization_training(
    x: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor]:
    """Batch normalisation by the batch's own statistics: (result, mean, variance), the last two vectors along `axis`.

    The variance is the biased one, as Keras's. Beyond `keras.ops`: what the layer needs while training, in one pass.
    """
    x = to_float(x)
    position = normalize_axis(axis, len(x.shape))
    size = x.shape[position : position + 1]
    factor = ones(size, x.dtype) if scale is None else _weight(scale, x, size, "batch_normalization", "scale")
    shift = zeros(size, x.dtype) if offset is None else _weight(offset, x, size, "batch_normalization", "offset")
    return batch_normalization_training_primitive(x, factor, shift, axis=position, epsilon=float(epsilon))


def group_normalization(
    x: Any, groups: int, axis: int = -1, gamma: Any = None, beta: Any = None, epsilon: float = 1e-3
) -> Tensor:
    """Groups of neighbouring channels of each sample to mean 0 and variance 1 (ONNX: GroupNormalization).

    gamma, beta: one element a channel. Beyond `keras.ops`: what Keras's GroupNormalization layer computes.
    Raises `ShapeError` when the channels cannot be split evenly.
    """
    x = to_float(x)
    position = normalize_axis(axis, len(x.shape))
    size: Any = x.shape[position]
    if position == 0:
        raise ShapeError("group_normalization: axis 0 is the batch, not the channels; give the channels' axis")
    if not isinstance(size, int) or groups < 1 or size % groups:
        raise ShapeError(
            f"group_normalization: {size} channels (axis {position} of {format_shape(x.shape)}) cannot be split into "
            f"{groups} groups of one size; choose a number of groups that divides the channels"
        )
    factor = ones((size,), x.dtype) if gamma is None else _weight(gamma, x, (size,), "group_normalization", "gamma")
    shift = zeros((size,), x.dtype) if beta is None else _weight(beta, x, (size,), "group_normalization", "beta")
    return group_normalization_primitive(x, factor, shift, groups=int(groups), axis=position, epsilon=float(epsilon))
