"""What is known of a tensor before it has a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .dims import Shape, Size, agree, as_size, dim
from .dtypes import as_dtype, dtype_name
from .errors import ShapeError, format_shape


class TensorSpec:
    """Shape (integers and symbolic sizes), element type and, for inputs, a name.

    `None` in `shape` makes a fresh named size; a string names one, or an expression over names.

    >>> import sardonyx as sx
    >>> sx.TensorSpec(("batch", 28, 28, 1), "float32")
    TensorSpec((batch, 28, 28, 1), float32)
    """

    __slots__ = ("dtype", "name", "shape")

    def __init__(self, shape: Sequence[Any], dtype: Any = None, name: str | None = None) -> None:
        self.shape: Shape = as_shape(shape, name)
        self.dtype: np.dtype = as_dtype(dtype)
        self.name = name

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    ndim = rank

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorSpec) and self.shape == other.shape and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        name = f", name={self.name!r}" if self.name else ""
        return f"TensorSpec({format_shape(self.shape)}, {dtype_name(self.dtype)}{name})"


def as_shape(shape: Sequence[Any], name: str | None = None) -> Shape:
    """A tuple of sizes from integers, `None`, names and symbolic sizes."""
    if type(shape) is tuple:
        for size in shape:
            if type(size) is not int or size < 0:
                break
        else:
            return shape
    if isinstance(shape, (int, str)):
        raise ShapeError(f"a shape is a tuple such as ({shape!r},), got {shape!r}")
    prefix = f"{name}_size" if name and name.isidentifier() else "size"
    return tuple(size if type(size) is int and size >= 0 else as_size(size, prefix) for size in shape)


def with_batch(shape: Sequence[Any], batch_size: int | None = None, name: str | None = None) -> Shape:
    """The shape of a batch of samples: a symbolic size `batch`, or a fixed one, in front."""
    return (dim("batch") if batch_size is None else batch_size, *as_shape(shape, name))


def same_shape(first: Shape, second: Shape) -> bool:
    """Whether two shapes are equal for every value of their symbolic sizes, or promised to be."""
    return len(first) == len(second) and all(agree(a, b) for a, b in zip(first, second, strict=True))


def normalize_axis(axis: int, rank: int, what: str = "axis") -> int:
    """A non-negative axis; raises `ShapeError` when the tensor has no such axis."""
    if not -rank <= axis < rank:
        raise ShapeError(f"{what} {axis} is out of range for a tensor of rank {rank}; expected {-rank} to {rank - 1}")
    return axis + rank if axis < 0 else axis


def normalize_axes(axis: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Sorted non-negative axes; None means all of them. Raises `ShapeError` for repeated or missing axes."""
    if axis is None:
        return tuple(range(rank))
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    normal = tuple(sorted(normalize_axis(int(a), rank) for a in axes))
    if len(set(normal)) != len(normal):
        raise ShapeError(f"axis {axis} names one axis twice")
    return normal


__all__ = ["Shape", "Size", "TensorSpec", "as_shape", "normalize_axes", "normalize_axis", "same_shape", "with_batch"]
