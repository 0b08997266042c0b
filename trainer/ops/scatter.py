"""Writing at computed places: scatter, scatter_update, and parts of fixed size at places known when the model runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.dims import Shape, contains_dim, dim, equal
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec, as_shape
from ..core.tensor import Tensor
from . import accumulate
from .arithmetic import add, divide, multiply
from .broadcast import as_sizes
from .comparison import equal as equal_to
from .convert import cast, convert_to_tensor
from .create import ones, zeros
from .gather import check_added, check_updates, gather_nd_primitive, scatter_add_primitive
from .selection import gate, where
from .slicing import index_primitive

__all__ = ["scatter", "scatter_update", "slice", "slice_update"]

INT64 = np.dtype(np.int64)


def scatter(indices: Any, values: Any, shape: Sequence[Any]) -> Tensor:
    """Zeros of a shape with values added at index tuples, the last axis of `indices` (ONNX: ScatterND).

    Values that meet in one place add up. Raises `ShapeError` when values and indices do not fit the shape,
    `IndexError` for indices outside of it.

    >>> import sardonyx as sx
    >>> sx.ops.scatter([[0], [2], [0]], [1.0, 2.0, 3.0], (4,)).tolist()
    [4.0, 0.0, 2.0, 0.0]
    """
    return scatter_add_primitive(convert_to_tensor(indices), convert_to_tensor(values), shape=as_shape(as_sizes(shape)))


def _update_infer(x: TensorSpec, indices: TensorSpec, updates: TensorSpec, *, reduction: str | None) -> TensorSpec:
    if indices.dtype.kind not in "iu":
        raise DtypeError(f"expected integer indices, got {indices.dtype.name}")
    check_updates(x, indices, updates)
    return TensorSpec(x.shape, x.dtype)


def _update_run(x: np.ndarray, indices: np.ndarray, updates: np.ndarray, *, reduction: str | None) -> np.ndarray:
    return accumulate.scatter_update(x, indices, updates, reduction)


def _update_lower(emit: Emitter, x: Value, indices: Value, updates: Value, *, reduction: str | None) -> Value:
    if reduction in ("max", "min") and emit.opset < 18:
        raise NotImplementedError(f"scatter_update: reduction={reduction!r} needs opset 18 or newer, got {emit.opset}")
    if reduction is not None:
        check_added(emit, f"scatter_update with reduction={reduction!r}", x.dtype)
    return emit("ScatterND", x, emit.cast(indices, INT64), updates, reduction=reduction)


def _update_vjp_x(
    g: Tensor, out: Tensor, x: Tensor, indices: Tensor, updates: Tensor, *, reduction: str | None
) -> Tensor:
    if reduction is None:
        blank = zeros(updates.shape, g.dtype)
        return scatter_update_primitive(g, indices, blank, reduction=None)
    if reduction == "add":
        return g
    if reduction == "mul":
        factors = scatter_update_primitive(ones(x.shape, x.dtype), indices, updates, reduction="mul")
        return multiply(g, factors)
    return gate(divide(g, _winners(out, x, indices, updates)), equal_to(x, out))


def _winners(out: Tensor, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """How many operands equal the extreme that they were reduced to: they share the gradient."""
    own = cast(equal_to(x, out), x.dtype)
    theirs = cast(equal_to(updates, gather_nd_primitive(out, indices)), x.dtype)
    return add(own, scatter_add_primitive(indices, theirs, shape=x.shape))


def _update_vjp_updates(
    g: Tensor, out: Tensor, x: Tensor, indices: Tensor, updates: Tensor, *, reduction: str | None
) -> Tensor:
    if reduction in (None, "add"):
        return gather_nd_primitive(g, indices)
    if reduction == "mul":
        return _product_share(multiply(g, x), indices, updates, x.shape)
    share = gather_nd_primitive(divide(g, _winners(out, x, indices, updates)), indices)
    return gate(share, equal_to(updates, gather_nd_primitive(out, indices)))


def _product_share(g: Tensor, indices: Tensor, updates: Tensor, shape: Shape) -> Tensor:
    """The gradient of products with respect to factors that may be zero: for each, the product of the others."""
    is_zero = equal_to(updates, 0)
    safe = where(is_zero, ones(updates.shape, updates.dtype), updates)
    count = scatter_add_primitive(indices, cast(is_zero, updates.dtype), shape=shape)
    rest = scatter_update_primitive(ones(shape, updates.dtype), indices, safe, reduction="mul")
    alone = equal_to(gather_nd_primitive(count, indices), cast(is_zero, updates.dtype))
    return gate(divide(gather_nd_primitive(multiply(g, rest), indices), safe), alone)


scatter_update_primitive = Primitive(
    name="scatter_update",
    run=_update_run,
    infer=_update_infer,
    lower=_update_lower,
    vjp=(_update_vjp_x, None, _update_vjp_updates),
)

_REDUCTIONS = {None: None, "add": "add", "max": "max", "min": "min", "mul": "mul"}


def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Tensor:
    """`inputs` with updates written at index tuples, the last axis of `indices` (ONNX: ScatterND).

    `reduction`: None replaces (which of several updates of one place wins is not defined), "add", "mul", "max" and
    "min" combine with what is there. Raises `ShapeError` when shapes do not fit, `IndexError` outside of `inputs`.

    >>> import sardonyx as sx
    >>> sx.ops.scatter_update([1, 2, 3], [[0], [2]], [8, 9]).tolist()
    [8, 2, 9]
    """
    if reduction not in _REDUCTIONS:
        raise ValueError(f"scatter_update: reduction must be one of {list(_REDUCTIONS)}, got {reduction!r}")
    tensor = convert_to_tensor(inputs)
    values = cast(updates, tensor.dtype)
    return scatter_update_primitive(tensor, convert_to_tensor(indices), values, reduction=reduction)


def _part_infer(x: TensorSpec, starts: TensorSpec, *, sizes: Shape) -> TensorSpec:
    _check_part(x, starts, sizes)
    return TensorSpec(sizes, x.dtype)


def _check_part(x: TensorSpec, starts: TensorSpec, sizes: Shape) -> None:
    if starts.dtype.kind not in "iu" or equal(starts.shape[0] if starts.rank == 1 else 0, x.rank) is not True:
        raise ShapeError(
            f"expected {x.rank} integer start indices for {format_shape(x.shape)}, got "
            f"{starts.dtype.name} of shape {format_shape(starts.shape)}"
        )
    numbers = [(a, b) for a, b in zip(sizes, x.shape, strict=False) if isinstance(a, int) and isinstance(b, int)]
    if len(sizes) != x.rank or any(part > size for part, size in numbers):
        raise ShapeError(f"a part of shape {format_shape(sizes)} does not fit into {format_shape(x.shape)}")


def _place_of(x: np.ndarray, starts: np.ndarray, sizes: Any) -> tuple[Any, ...]:
    """The part's position, moved so that the part lies inside."""
    lengths = [size.__index__() for size in sizes]
    firsts = [min(max(int(s), 0), n - k) for s, n, k in zip(starts, x.shape, lengths, strict=True)]
    if min(firsts, default=0) < 0:
        raise ShapeError(f"a part of shape {format_shape(tuple(lengths))} does not fit into {format_shape(x.shape)}")
    return tuple([_range(first, first + length) for first, length in zip(firsts, lengths, strict=True)])


_range = type(np.s_[:])


def _lower_starts(emit: Emitter, x: Value, starts: Value, sizes: Shape) -> Value:
    room = emit.shape(tuple(n - k for n, k in zip(x.shape, sizes, strict=True)))
    first = emit("Max", emit.cast(starts, INT64), emit.constant([0], INT64), spec=TensorSpec((x.rank,), INT64))
    return emit("Min", first, room)


def _part_lower(emit: Emitter, x: Value, starts: Value, *, sizes: Shape) -> Value:
    first = _lower_starts(emit, x, starts, sizes)
    return emit("Slice", x, first, emit("Add", first, emit.shape(sizes)), spec=TensorSpec(sizes, x.dtype))


part_primitive = Primitive(
    name="slice",
    run=lambda x, starts, *, sizes: x[_place_of(x, starts, sizes)],
    infer=_part_infer,
    lower=_part_lower,
    vjp=(lambda g, out, x, starts, *, sizes: put_primitive(zeros(x.shape, g.dtype), starts, g), None),
    residuals="inputs",
)


def _put_run(x: np.ndarray, starts: np.ndarray, updates: np.ndarray) -> np.ndarray:
    result = x.copy()
    result[_place_of(x, starts, updates.shape)] = updates
    return result


def _put_infer(x: TensorSpec, starts: TensorSpec, updates: TensorSpec) -> TensorSpec:
    _check_part(x, starts, updates.shape)
    if x.dtype != updates.dtype:
        raise DtypeError(f"expected updates of dtype {x.dtype.name}, got {updates.dtype.name}")
    return TensorSpec(x.shape, x.dtype)


def _put_lower(emit: Emitter, x: Value, starts: Value, updates: Value) -> Value:
    """What lies before, the part, what lies behind: joined axis by axis, innermost first."""
    first = _lower_starts(emit, x, starts, updates.shape)
    last = emit("Add", first, emit.shape(updates.shape))
    axes = [i for i in range(x.rank) if equal(x.shape[i], updates.shape[i]) is not True]
    if not axes:
        return emit("Identity", updates)
    return _surround(emit, x, updates, first, last, axes)


def _surround(emit: Emitter, x: Value, part: Value, first: Value, last: Value, axes: list[int]) -> Value:
    axis, rest = axes[0], axes[1:]
    begin, end = (_bound_of(emit, bounds, axis) for bounds in (first, last))
    along = emit.constant([axis], INT64)

    def cut(start: Value, stop: Value, size: Any) -> Value:
        spec = TensorSpec((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype)
        return emit("Slice", x, start, stop, along, spec=spec)

    if rest:
        part = _surround(emit, cut(begin, end, part.shape[axis]), part, first, last, rest)
    label = "".join(c if c.isalnum() else "_" for c in begin.name)
    before = cut(emit.constant([0], INT64), begin, dim(f"before_{label}"))
    behind = cut(end, emit.constant([np.iinfo(np.int64).max], INT64), dim(f"behind_{label}"))
    return emit("Concat", before, part, behind, axis=axis, spec=x.spec)


def _bound_of(emit: Emitter, bounds: Value, axis: int) -> Value:
    return emit("Gather", bounds, emit.constant([axis], INT64), axis=0, spec=TensorSpec((1,), INT64))


def _put_vjp_x(g: Tensor, out: Tensor, x: Tensor, starts: Tensor, updates: Tensor) -> Tensor:
    return put_primitive(g, starts, zeros(updates.shape, g.dtype))


put_primitive = Primitive(
    name="slice_update",
    run=_put_run,
    infer=_put_infer,
    lower=_put_lower,
    vjp=(
        _put_vjp_x,
        None,
        lambda g, out, x, starts, updates: part_primitive(g, starts, sizes=updates.shape),
    ),
    residuals="inputs",
)


def slice(inputs: Any, start_indices: Any, shape: Sequence[Any]) -> Tensor:
    """The part of a shape at start indices, one an axis (ONNX: Slice).

    Start indices may be numbers, symbolic sizes, or a tensor whose value is known only when the model runs; a part that
    would reach over an edge is moved inside, as in Keras on JAX. Raises `ShapeError` when it is larger than `inputs`.

    >>> import sardonyx as sx
    >>> sx.ops.slice([[1, 2, 3], [4, 5, 6]], (0, 1), (2, 2)).tolist()
    [[2, 3], [5, 6]]
    """
    tensor = convert_to_tensor(inputs)
    sizes = as_shape(as_sizes(shape))
    starts = _fixed_starts(start_indices, tensor.shape, sizes, "slice")
    if starts is not None:
        items = tuple((first, first + size, None) for first, size in zip(starts, sizes, strict=True))
        return index_primitive(tensor, items=items)
    return part_primitive(tensor, convert_to_tensor(start_indices), sizes=sizes)


def _fixed_starts(starts: Any, shape: Shape, sizes: Shape, name: str) -> list[int] | None:
    """Start indices that are numbers, when all that depends on them is known; else None."""
    if isinstance(starts, Tensor) or contains_dim(starts) or contains_dim((shape, sizes)):
        return None
    if any(isinstance(s, Tensor) for s in starts) or not len(starts) == len(shape) == len(sizes):
        return None
    if any(size > room for size, room in zip(sizes, shape, strict=True)):
        raise ShapeError(f"{name}: a part of shape {format_shape(sizes)} does not fit into {format_shape(shape)}")
    return [min(max(int(s), 0), n - k) for s, n, k in zip(starts, shape, sizes, strict=True)]


def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Tensor:
    """`inputs` with a part replaced by `updates`, which begins at start indices, one an axis (ONNX: Slice, Concat).

    Start indices as in `slice`. Raises `ShapeError` when `updates` is larger than `inputs`.

    >>> import sardonyx as sx
    >>> sx.ops.slice_update([1, 2, 3, 4], [1], [8, 9]).tolist()
    [1, 8, 9, 4]
    """
    tensor = convert_to_tensor(inputs)
    return put_primitive(tensor, convert_to_tensor(start_indices), cast(updates, tensor.dtype))
