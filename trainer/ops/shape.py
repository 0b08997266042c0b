"""Transposition and other rearrangements of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.errors import ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec, normalize_axis
from ..core.tensor import Tensor
from .convert import convert_to_tensor

__all__ = ["transpose"]


def _transpose_infer(x: TensorSpec, *, axes: tuple[int, ...]) -> TensorSpec:
    if sorted(axes) != list(range(x.rank)):
        raise ShapeError(f"axes {axes} are no permutation of the {x.rank} axes of {format_shape(x.shape)}")
    return TensorSpec(tuple(x.shape[a] for a in axes), x.dtype)


transpose_primitive = Primitive(
    name="transpose",
    run=lambda x, *, axes: x.transpose(axes),
    infer=_transpose_infer,
    lower=lambda emit, x, *, axes: emit.transpose(x, axes),
    vjp=(lambda g, out, x, *, axes: transpose(g, tuple(int(i) for i in np.argsort(axes))),),
    residuals="none",
)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """Permute the axes; reversed when `axes` is None (ONNX: Transpose).

    >>> import sardonyx as sx
    >>> sx.ops.transpose(sx.ops.zeros((2, 3, 4)), (1, 0, 2)).shape
    (3, 2, 4)
    """
    tensor = convert_to_tensor(x)
    rank = len(tensor.shape)
    order = tuple(range(rank))[::-1] if axes is None else tuple(normalize_axis(int(a), rank) for a in axes)
    return tensor if order == tuple(range(rank)) else transpose_primitive(tensor, axes=order)
