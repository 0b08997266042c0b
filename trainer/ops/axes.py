"""Permutation, insertion and removal of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.dims import agree, equal
from ..core.emitter import Emitter, Value
from ..core.errors import ShapeError, format_shape
from ..core.primitive import Primitive, at_user_line
from ..core.spec import TensorSpec, normalize_axis
from ..core.tensor import Tensor
from .broadcast import reshape
from .convert import convert_to_tensor

__all__ = ["expand_dims", "moveaxis", "ravel", "squeeze", "swapaxes", "transpose"]

Axes = int | Sequence[int]


def axis_of(axis: Any, rank: int, name: str) -> int:
    """A non-negative axis; the error message opens with the operation's name."""
    try:
        return normalize_axis(int(axis), rank)
    except ShapeError as error:
        raise ShapeError(f"{name}: {error}") from None


def axes_of(axes: Any, rank: int, name: str) -> tuple[int, ...]:
    """Non-negative axes in the given order, none of them twice."""
    given = (axes,) if isinstance(axes, (int, np.integer)) else tuple(axes)
    found = tuple(axis_of(a, rank, name) for a in given)
    if len(set(found)) != len(found):
        raise ShapeError(f"{name}: axes {given} name one axis of {rank} twice")
    return found


def inverse_permutation(axes: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes another."""
    inverse = [0] * len(axes)
    for i, axis in enumerate(axes):
        inverse[axis] = i
    return tuple(inverse)


def _transpose_infer(x: TensorSpec, *, axes: tuple[int, ...]) -> TensorSpec:
    if sorted(axes) != list(range(x.rank)):
        raise ShapeError(f"axes {axes} are no permutation of the {x.rank} axes of {format_shape(x.shape)}")
    return TensorSpec(tuple(x.shape[a] for a in axes), x.dtype)


transpose_primitive = Primitive(
    name="transpose",
    run=lambda x, *, axes: x.transpose(axes),
    infer=_transpose_infer,
    lower=lambda emit, x, *, axes: emit.transpose(x, axes),
    vjp=(lambda g, out, x, *, axes: transpose_primitive(g, axes=inverse_permutation(axes)),),
    residuals="none",
)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """Permute the axes; reversed when `axes` is None (ONNX: Transpose).

    Raises `ShapeError` when `axes` is no permutation of the tensor's axes.

    >>> import sardonyx as sx
    >>> sx.ops.transpose(sx.ops.zeros((2, 3, 4)), (1, 0, 2)).shape
    (3, 2, 4)
    """
    tensor = x if type(x) is Tensor else convert_to_tensor(x)
    rank = len(tensor.shape)
    identity = tuple(range(rank))
    order = identity[::-1] if axes is None else tuple([axis_of(a, rank, "transpose") for a in axes])
    return tensor if order == identity else transpose_primitive(tensor, axes=order)


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Exchange two axes (ONNX: Transpose)."""
    tensor = convert_to_tensor(x)
    rank = len(tensor.shape)
    first, second = axis_of(axis1, rank, "swapaxes"), axis_of(axis2, rank, "swapaxes")
    order = list(range(rank))
    order[first], order[second] = second, first
    return transpose(tensor, order)


def moveaxis(x: Any, source: Axes, destination: Axes) -> Tensor:
    """Move axes to new positions; the others keep their order (ONNX: Transpose).

    >>> import sardonyx as sx
    >>> sx.ops.moveaxis(sx.ops.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    tensor = convert_to_tensor(x)
    rank = len(tensor.shape)
    sources, targets = axes_of(source, rank, "moveaxis"), axes_of(destination, rank, "moveaxis")
    if len(sources) != len(targets):
        raise ShapeError(f"moveaxis: expected as many destinations as sources, got {source} to {destination}")
    order = [a for a in range(rank) if a not in sources]
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return transpose(tensor, order)


def _expand_infer(x: TensorSpec, *, axes: tuple[int, ...]) -> TensorSpec:
    sizes = list(x.shape)
    for axis in axes:
        sizes.insert(axis, 1)
    return TensorSpec(sizes, x.dtype)


def _expand_lower(emit: Emitter, x: Value, *, axes: tuple[int, ...]) -> Value:
    return emit("Unsqueeze", x, emit.constant(axes, np.int64), spec=_expand_infer(x.spec, axes=axes))


expand_dims_primitive = Primitive(
    name="expand_dims",
    run=lambda x, *, axes: np.expand_dims(x, axes) if len(axes) > 1 else _insert_axis(x, axes[0]),
    infer=_expand_infer,
    lower=_expand_lower,
    vjp=(lambda g, out, x, *, axes: squeeze_primitive(g, axes=axes),),
    residuals="none",
)


def _insert_axis(x: np.ndarray, axis: int) -> np.ndarray:
    return x[(slice(None),) * axis + (None,)]


def expand_dims(x: Any, axis: Axes) -> Tensor:
    """Insert axes of size 1 at the given positions of the result (ONNX: Unsqueeze).

    >>> import sardonyx as sx
    >>> sx.ops.expand_dims(sx.ops.zeros((2, 3)), (0, -1)).shape
    (1, 2, 3, 1)
    """
    tensor = x if type(x) is Tensor else convert_to_tensor(x)
    count = 1 if isinstance(axis, (int, np.integer)) else len(axis)
    if not count:
        return tensor
    return expand_dims_primitive(tensor, axes=tuple(sorted(axes_of(axis, len(tensor.shape) + count, "expand_dims"))))


def _squeeze_infer(x: TensorSpec, *, axes: tuple[int, ...]) -> TensorSpec:
    for axis in axes:
        if not agree(x.shape[axis], 1):
            raise ShapeError(
                f"axis {axis} of {format_shape(x.shape)} has size {x.shape[axis]}; only axes of size 1 can be removed"
            )
    return TensorSpec(tuple(size for i, size in enumerate(x.shape) if i not in axes), x.dtype)


def _squeeze_lower(emit: Emitter, x: Value, *, axes: tuple[int, ...]) -> Value:
    return emit("Squeeze", x, emit.constant(axes, np.int64), spec=_squeeze_infer(x.spec, axes=axes))


squeeze_primitive = Primitive(
    name="squeeze",
    run=lambda x, *, axes: x.squeeze(axes),
    infer=_squeeze_infer,
    lower=_squeeze_lower,
    vjp=(lambda g, out, x, *, axes: expand_dims_primitive(g, axes=axes),),
    residuals="none",
)


def squeeze(x: Any, axis: Axes | None = None) -> Tensor:
    """Remove axes of size 1, all of them when `axis` is None (ONNX: Squeeze).

    Raises `ShapeError` for an axis whose size is not 1, and without `axis` for one that may be 1 at run time.

    >>> import sardonyx as sx
    >>> sx.ops.squeeze(sx.ops.zeros((1, 2, 1)), axis=-1).shape
    (1, 2)
    """
    tensor = x if type(x) is Tensor else convert_to_tensor(x)
    shape = tensor.shape
    if axis is None:
        axes = tuple([i for i, size in enumerate(shape) if size == 1])
        unknown = [i for i, size in enumerate(shape) if equal(size, 1) is None]
        if unknown:
            raise at_user_line(
                ShapeError(
                    f"squeeze: whether axis {unknown[0]} of {format_shape(shape)} has size 1 is known only when the "
                    f"model runs, and the rank depends on it; say which to remove: axis={axes or (len(shape) - 1,)}"
                )
            )
    else:
        axes = tuple(sorted(axes_of(axis, len(shape), "squeeze")))
    return squeeze_primitive(tensor, axes=axes) if axes else tensor


def ravel(x: Any) -> Tensor:
    """The elements in one axis, last axis fastest (ONNX: Reshape)."""
    return reshape(x, (-1,))
