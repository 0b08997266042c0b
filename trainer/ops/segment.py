"""Reductions over segments: rows that share a number are combined (Keras names: `ops.segment_sum`, ...)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dims import Shape
from ..core.errors import DtypeError, ShapeError, SymbolicValueError, format_shape
from ..core.spec import same_shape
from ..core.tensor import Tensor
from .axes import expand_dims
from .convert import convert_to_tensor
from .create import full
from .gather import scatter_add_primitive
from .scatter import scatter_update_primitive

__all__ = ["segment_max", "segment_min", "segment_prod", "segment_sum"]


def _prepared(name: str, data: Any, segment_ids: Any, num_segments: int | None) -> tuple[Tensor, Tensor, Shape]:
    values, ids = convert_to_tensor(data), convert_to_tensor(segment_ids)
    if ids.dtype.kind not in "iu":
        raise DtypeError(f"{name}: expected integer segment ids, got {ids.dtype.name}")
    if len(ids.shape) != 1 or not values.shape or not same_shape(ids.shape, values.shape[:1]):
        raise ShapeError(
            f"{name}: expected one segment id for each row of data {format_shape(values.shape)}, "
            f"got ids of shape {format_shape(ids.shape)}"
        )
    if num_segments is None:
        if ids.is_symbolic:
            raise SymbolicValueError(
                f"{name}: num_segments must be given when segment_ids is symbolic: it decides the result's shape"
            )
        found = np.asarray(ids)
        num_segments = int(found.max()) + 1 if found.size else 0
    return values, expand_dims(ids, 1), (num_segments, *values.shape[1:])


def segment_sum(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The sums of rows that share a segment id; 0 for ids that do not occur (ONNX: ScatterND).

    `num_segments`: the highest id + 1 when None. Raises `IndexError` for ids outside of it.

    >>> import sardonyx as sx
    >>> sx.ops.segment_sum([1, 2, 3], [0, 0, 2], 3).tolist()
    [3, 0, 3]
    """
    values, places, shape = _prepared("segment_sum", data, segment_ids, num_segments)
    return scatter_add_primitive(places, values, shape=shape)


def segment_max(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The largest of rows that share a segment id; the least number of the dtype (-inf) for ids that do not occur."""
    return _reduced("segment_max", "max", data, segment_ids, num_segments)


def segment_min(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The least of rows that share a segment id; the largest number of the dtype (inf) for ids that do not occur."""
    return _reduced("segment_min", "min", data, segment_ids, num_segments)


def segment_prod(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The products of rows that share a segment id; 1 for ids that do not occur."""
    return _reduced("segment_prod", "mul", data, segment_ids, num_segments)


def _reduced(name: str, reduction: str, data: Any, segment_ids: Any, num_segments: int | None) -> Tensor:
    values, places, shape = _prepared(name, data, segment_ids, num_segments)
    start = full(shape, _neutral(reduction, values.dtype), values.dtype)
    return scatter_update_primitive(start, places, values, reduction=reduction)


def _neutral(reduction: str, dtype: np.dtype) -> Any:
    if reduction == "mul":
        return 1
    if dtype.kind == "f":
        return float("-inf") if reduction == "max" else float("inf")
    limits = np.iinfo(dtype)
    return int(limits.min if reduction == "max" else limits.max)
