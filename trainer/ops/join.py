"""Joining tensors along an axis, and taking them apart again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..core.dims import Dim, Shape, Size, agree, equal, may_differ
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec, same_shape
from ..core.tensor import Tensor
from .axes import axis_of, expand_dims
from .broadcast import reshape
from .convert import convert_to_tensor, promote_all, stack_primitive, unstack_primitive

__all__ = [
    "append", "array_split", "concatenate", "dsplit", "dstack", "hsplit", "hstack", "split", "stack", "unstack",
    "vsplit", "vstack",
]  # fmt: skip


def _concatenate_infer(*inputs: TensorSpec, axis: int) -> TensorSpec:
    first = inputs[0]
    total: Size = 0
    for x in inputs:
        if x.dtype != first.dtype:
            raise DtypeError(f"expected tensors of one dtype, got {first.dtype.name} and {x.dtype.name}")
        if x.rank != first.rank or not same_shape(
            (*x.shape[:axis], *x.shape[axis + 1 :]), (*first.shape[:axis], *first.shape[axis + 1 :])
        ):
            raise ShapeError(
                f"expected shapes that are equal but for axis {axis}, got {format_shape(first.shape)} "
                f"and {format_shape(x.shape)}{_why(first.shape, x.shape, axis)}"
            )
        total = total + x.shape[axis]
    return TensorSpec((*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype)


def _why(first: Shape, other: Shape, axis: int) -> str:
    """What to do about the first sizes that only may differ, where the number of axes is the same."""
    for i, (left, right) in enumerate(zip(first, other, strict=False)):
        known = i == axis or len(first) != len(other) or equal(left, right) is not None
        if not known and isinstance(left, Dim) and isinstance(right, Dim):
            return f": {may_differ(left, right)}"
    return ""


def _concatenate_lower(emit: Emitter, *inputs: Value, axis: int) -> Value:
    return emit("Concat", *inputs, axis=axis, spec=_concatenate_infer(*[x.spec for x in inputs], axis=axis))


def _concatenate_vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any, *, axis: int) -> Sequence[Tensor]:
    return split_primitive(gradients[0], sizes=tuple([x.shape[axis] for x in inputs]), axis=axis)


concatenate_primitive = Primitive(
    name="concatenate",
    run=lambda *inputs, axis: np.concatenate(inputs, axis),
    infer=_concatenate_infer,
    lower=_concatenate_lower,
    joint_vjp=_concatenate_vjp,
    residuals="none",
)


def concatenate(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """Join tensors along an axis that they have (ONNX: Concat).

    Raises `ShapeError` when ranks, or sizes of other axes, differ.

    >>> import sardonyx as sx
    >>> sx.ops.concatenate([[1, 2], [3]]).numpy().tolist()
    [1, 2, 3]
    """
    tensors = _operands(xs, "concatenate")
    place = axis_of(axis, len(tensors[0].shape), "concatenate")
    return tensors[0] if len(tensors) == 1 else concatenate_primitive(*tensors, axis=place)


def _operands(xs: Any, name: str) -> list[Any]:
    if isinstance(xs, Tensor):
        return list(unstack(xs))
    tensors = promote_all(*xs)
    if not tensors:
        raise ShapeError(f"{name}: expected at least one tensor, got none")
    return tensors


def _split_infer(x: TensorSpec, *, sizes: tuple[Size, ...], axis: int) -> tuple[TensorSpec, ...]:
    total: Size = 0
    for size in sizes:
        total = total + size
    if not agree(total, x.shape[axis]):
        raise ShapeError(f"parts of sizes {sizes} do not add up to axis {axis} of {format_shape(x.shape)}")
    return tuple(TensorSpec((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype) for size in sizes)


def _split_run(x: np.ndarray, *, sizes: tuple[Size, ...], axis: int) -> tuple[np.ndarray, ...]:
    before = (slice(None),) * axis
    parts, start = [], 0
    for size in sizes:
        stop = start + size.__index__()
        parts.append(x[(*before, slice(start, stop))])
        start = stop
    if start != x.shape[axis]:
        raise ShapeError(f"parts of sizes {sizes} do not add up to axis {axis} of {format_shape(x.shape)}")
    return tuple(parts)


def _split_lower(emit: Emitter, x: Value, *, sizes: tuple[Size, ...], axis: int) -> tuple[Value, ...]:
    specs = _split_infer(x.spec, sizes=sizes, axis=axis)
    if len(specs) == 1:
        return (emit("Identity", x),)
    return emit.many("Split", x, emit.shape(sizes), axis=axis, specs=specs)


split_primitive = Primitive(
    name="split",
    run=_split_run,
    infer=_split_infer,
    lower=_split_lower,
    joint_vjp=lambda g, out, inputs, needed, *, sizes, axis: (concatenate_primitive(*g, axis=axis),),
    residuals="none",
)


def split(x: Any, indices_or_sections: int | Sequence[Any], axis: int = 0) -> list[Tensor]:
    """Split into equal sections, or at the given positions (ONNX: Split).

    Raises `ShapeError` when the axis does not divide into the sections, or when that is not known.

    >>> import sardonyx as sx
    >>> [part.shape for part in sx.ops.split(sx.ops.zeros((4, 6)), [1, 3], axis=1)]
    [(4, 1), (4, 2), (4, 3)]
    """
    return _split(x, indices_or_sections, axis, "split", exact=True)


def array_split(x: Any, indices_or_sections: int | Sequence[Any], axis: int = 0) -> list[Tensor]:
    """Split like `split`; where sections cannot be equal, the first ones are larger by one (ONNX: Split).

    >>> import sardonyx as sx
    >>> [part.shape[0] for part in sx.ops.array_split(sx.ops.arange(5), 3)]
    [2, 2, 1]
    """
    return _split(x, indices_or_sections, axis, "array_split", exact=False)


def _split(x: Any, sections: Any, axis: int, name: str, exact: bool) -> list[Tensor]:
    tensor = convert_to_tensor(x)
    place = axis_of(axis, len(tensor.shape), name)
    size = tensor.shape[place]
    if isinstance(sections, (int, np.integer)):
        sizes = _equal_sizes(size, int(sections), place, name, exact)
    else:
        sizes = _sizes_between(size, [int(s) if isinstance(s, np.integer) else s for s in sections], name)
    return list(split_primitive(tensor, sizes=sizes, axis=place))


def _equal_sizes(size: Size, sections: int, axis: int, name: str, exact: bool) -> tuple[Size, ...]:
    if sections < 1:
        raise ShapeError(f"{name}: expected at least one section, got {sections}")
    if exact and not agree(size % sections, 0):
        known = "" if isinstance(size, int) else " for certain; name the size as a multiple in the input's shape"
        raise ShapeError(f"{name}: axis {axis} of size {size} does not divide into {sections} equal sections{known}")
    return tuple((size + sections - 1 - i) // sections for i in range(sections))


def _sizes_between(size: Size, positions: list[Any], name: str) -> tuple[Size, ...]:
    """Sizes of the parts between positions, which count from the end when negative."""
    if isinstance(size, int) and all(isinstance(p, int) for p in positions):
        ends = [min(max(p + size if p < 0 else p, 0), size) for p in positions]
    else:
        ends = [p + size if isinstance(p, int) and p < 0 else p for p in positions]
    edges = [0, *ends, size]
    sizes = tuple(after - before for before, after in pairwise(edges))
    if any(isinstance(s, int) and s < 0 for s in sizes):
        raise ShapeError(f"{name}: positions {positions} do not ascend within an axis of size {size}")
    return sizes


def _split_along(x: Any, sections: Any, axis: int, least: int, name: str) -> list[Tensor]:
    tensor = convert_to_tensor(x)
    if len(tensor.shape) < least:
        raise ShapeError(f"{name}: expected at least {least} axes, got shape {format_shape(tensor.shape)}")
    return _split(tensor, sections, axis, name, exact=True)


def hsplit(x: Any, indices_or_sections: int | Sequence[Any]) -> list[Tensor]:
    """Split along the second axis, the first for vectors (ONNX: Split)."""
    tensor = convert_to_tensor(x)
    return _split_along(tensor, indices_or_sections, 0 if len(tensor.shape) == 1 else 1, 1, "hsplit")


def vsplit(x: Any, indices_or_sections: int | Sequence[Any]) -> list[Tensor]:
    """Split along the first axis (ONNX: Split)."""
    return _split_along(x, indices_or_sections, 0, 2, "vsplit")


def dsplit(x: Any, indices_or_sections: int | Sequence[Any]) -> list[Tensor]:
    """Split along the third axis (ONNX: Split)."""
    return _split_along(x, indices_or_sections, 2, 3, "dsplit")


def stack(x: Sequence[Any], axis: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis (ONNX: Unsqueeze, Concat).

    >>> import sardonyx as sx
    >>> sx.ops.stack([sx.ops.zeros(3), sx.ops.ones(3)], axis=-1).shape
    (3, 2)
    """
    tensors = _operands(x, "stack")
    return stack_primitive(*tensors, axis=axis_of(axis, len(tensors[0].shape) + 1, "stack"))


def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The slices along an axis, without that axis (ONNX: Split, Squeeze). Its size must be known, or given as `num`.

    >>> import sardonyx as sx
    >>> [int(part) for part in sx.ops.unstack([1, 2, 3])]
    [1, 2, 3]
    """
    tensor = convert_to_tensor(x)
    place = axis_of(axis, len(tensor.shape), "unstack")
    size = tensor.shape[place]
    if not isinstance(size, int):
        raise ShapeError(f"unstack: axis {place} of {format_shape(tensor.shape)} has no fixed size; fix it in Input")
    if num is not None and num != size:
        raise ShapeError(f"unstack: num is {num} but axis {place} of {format_shape(tensor.shape)} has size {size}")
    return list(unstack_primitive(tensor, axis=place)) if size else []


def hstack(xs: Sequence[Any]) -> Tensor:
    """Join along the second axis, the first for vectors (ONNX: Concat)."""
    tensors = [reshape(x, (1,)) if not x.shape else x for x in _operands(xs, "hstack")]
    return concatenate(tensors, axis=0 if len(tensors[0].shape) == 1 else 1)


def vstack(xs: Sequence[Any]) -> Tensor:
    """Join along the first axis; vectors become rows (ONNX: Concat)."""
    tensors = [reshape(x, (1, -1)) if len(x.shape) < 2 else x for x in _operands(xs, "vstack")]
    return concatenate(tensors, axis=0)


def dstack(xs: Sequence[Any]) -> Tensor:
    """Join along the third axis; vectors and matrices get the axes that they lack (ONNX: Concat)."""
    return concatenate([_with_depth(x) for x in _operands(xs, "dstack")], axis=2)


def _with_depth(x: Any) -> Tensor:
    rank = len(x.shape)
    if rank > 2:
        return x
    return expand_dims(x, 2) if rank == 2 else reshape(x, (1, -1, 1))


def append(x1: Any, x2: Any, axis: int | None = None) -> Tensor:
    """The second tensor after the first along an axis; both as vectors when `axis` is None (ONNX: Concat).

    >>> import sardonyx as sx
    >>> sx.ops.append([1, 2], [[3, 4]]).numpy().tolist()
    [1, 2, 3, 4]
    """
    tensors = promote_all(x1, x2)
    return concatenate([reshape(x, (-1,)) for x in tensors] if axis is None else tensors, axis=axis or 0)
