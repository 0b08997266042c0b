"""Sorting, the largest elements, and search in sorted values."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dims import Size, equal
from ..core.emitter import Emitter, Value
from ..core.errors import ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .axes import axis_of, expand_dims
from .broadcast import reshape
from .comparison import greater, less
from .convert import cast, convert_to_tensor, promote
from .elements import gather_elements, scatter_elements
from .lowering import INT32, INT64, boolean, emit_reduce, in_dtypes
from .reduce import sum as reduce_sum

__all__ = ["argpartition", "argsort", "digitize", "in_top_k", "searchsorted", "sort", "top_k"]


def _ranked(emit: Emitter, x: Value, k: Size, axis: int, largest: bool) -> tuple[Value, Value]:
    """Values and int32 positions of the first k in order; equal elements keep their order."""
    number = in_dtypes(emit, x, "fdeil", INT32)
    shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
    specs = (TensorSpec(shape, number.dtype), TensorSpec(shape, INT64))
    values, positions = emit.many(
        "TopK", number, emit.shape((k,)), axis=axis, largest=int(largest), sorted=1, specs=specs
    )
    return emit.cast(values, x.dtype), emit.cast(positions, INT32)


def _argsort_run(x: np.ndarray, *, axis: int) -> np.ndarray:
    return np.argsort(x, axis, kind="stable").astype(np.int32)


argsort_primitive = Primitive(
    name="argsort",
    run=_argsort_run,
    infer=lambda x, *, axis: TensorSpec(x.shape, INT32),
    lower=lambda emit, x, *, axis: _ranked(emit, x, x.shape[axis], axis, largest=False)[1],
    residuals="none",
)


def _sort_vjp(g: Tensor, out: Tensor, x: Tensor, *, axis: int) -> Tensor:
    return scatter_elements(g, argsort_primitive(x, axis=axis), axis, x.shape)


sort_primitive = Primitive(
    name="sort",
    run=lambda x, *, axis: np.sort(x, axis),
    infer=lambda x, *, axis: TensorSpec(x.shape, x.dtype),
    lower=lambda emit, x, *, axis: _ranked(emit, x, x.shape[axis], axis, largest=False)[0],
    vjp=(_sort_vjp,),
    residuals="inputs",
)


def _top_k_run(x: np.ndarray, *, k: int) -> tuple[np.ndarray, np.ndarray]:
    _top_k_infer(TensorSpec(x.shape, x.dtype), k=k)
    if k == 1:
        positions = np.argmax(x, -1, keepdims=True)
    else:
        # reversed twice, so that equal elements keep their order while sorting downwards, for any element type
        backwards = np.argsort(x[..., ::-1], -1, kind="stable")[..., ::-1]
        positions = x.shape[-1] - 1 - backwards[..., :k]
    return np.take_along_axis(x, positions, -1), positions.astype(np.int32)


def _top_k_infer(x: TensorSpec, *, k: int) -> tuple[TensorSpec, TensorSpec]:
    if not x.rank:
        raise ShapeError("expected at least one axis, got a scalar")
    size = x.shape[-1]
    if k < 1 or (isinstance(size, int) and k > size):
        raise ShapeError(f"expected k between 1 and the size of the last axis, {size}, got k = {k}")
    shape = (*x.shape[:-1], k)
    return TensorSpec(shape, x.dtype), TensorSpec(shape, INT32)


def _top_k_vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any, *, k: int) -> tuple[Tensor]:
    shape = inputs[0].shape
    return (scatter_elements(gradients[0], outputs[1], len(shape) - 1, shape),)


top_k_primitive = Primitive(
    name="top_k",
    run=_top_k_run,
    infer=_top_k_infer,
    lower=lambda emit, x, *, k: _ranked(emit, x, k, x.rank - 1, largest=True),
    joint_vjp=_top_k_vjp,
    residuals="outputs",
)


def _search_infer(sequence: TensorSpec, values: TensorSpec, *, side: str) -> TensorSpec:
    if sequence.rank != 1:
        raise ShapeError(f"expected a sorted sequence with one axis, got {format_shape(sequence.shape)}")
    return TensorSpec(values.shape, INT32)


def _search_lower(emit: Emitter, sequence: Value, values: Value, *, side: str) -> Value:
    """The number of elements before each value: those below it, or (right) not above it."""
    column = emit.reshape(values, (*values.shape, 1))
    shape = (*values.shape, sequence.shape[0])
    before = boolean(emit, "Less" if side == "left" else "LessOrEqual", sequence, column, shape=shape)
    return emit_reduce(
        emit, "ReduceSum", emit.cast(before, INT32), (values.rank,), TensorSpec(values.shape, INT32), keepdims=False
    )


searchsorted_primitive = Primitive(
    name="searchsorted",
    run=lambda sequence, values, *, side: np.asarray(np.searchsorted(sequence, values, side)).astype(np.int32),
    infer=_search_infer,
    lower=_search_lower,
    residuals="none",
)


def _along(name: str, x: Any, axis: int | None) -> tuple[Tensor, int]:
    tensor = convert_to_tensor(x)
    if axis is None:
        return reshape(tensor, (-1,)), 0
    return tensor, axis_of(axis, len(tensor.shape), name)


def sort(x: Any, axis: int | None = -1) -> Tensor:
    """Elements in ascending order along an axis, of the flattened tensor when None (ONNX: TopK).

    >>> import sardonyx as sx
    >>> sx.ops.sort([3, 1, 2]).numpy().tolist()
    [1, 2, 3]
    """
    tensor, position = _along("sort", x, axis)
    return sort_primitive(tensor, axis=position)


def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """int32 indices that sort along an axis; equal elements keep their order (ONNX: TopK).

    >>> import sardonyx as sx
    >>> sx.ops.argsort([3, 1, 2]).numpy().tolist()
    [1, 2, 0]
    """
    tensor, position = _along("argsort", x, axis)
    return argsort_primitive(tensor, axis=position)


def argpartition(x: Any, kth: int, axis: int | None = -1) -> Tensor:
    """int32 indices by which the `kth` element stands where sorting puts it, smaller ones before, larger ones after.

    Raises `ShapeError` when the axis has no such element.
    """
    tensor, position = _along("argpartition", x, axis)
    size = tensor.shape[position]
    if isinstance(size, int) and not -size <= kth < size:
        raise ShapeError(f"argpartition: expected kth between {-size} and {size - 1}, got {kth}")
    return argsort_primitive(tensor, axis=position)


def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest elements of the last axis, in descending order, and their int32 indices (ONNX: TopK).

    Raises `ShapeError` when the axis has fewer than k elements. `sorted=False` allows any order; this one is kept.

    >>> import sardonyx as sx
    >>> values, indices = sx.ops.top_k([5.0, 1.0, 7.0], 2)
    >>> values.numpy().tolist(), indices.numpy().tolist()
    ([7.0, 5.0], [2, 0])
    """
    return top_k_primitive(convert_to_tensor(x), k=int(k))


def in_top_k(targets: Any, predictions: Any, k: int) -> Tensor:
    """Whether the prediction of each target class is among the k largest; ties count in the target's favour.

    targets: class indices `(batch,)`; predictions: `(batch, classes)`. Raises `ShapeError` for other shapes.

    >>> import sardonyx as sx
    >>> sx.ops.in_top_k([2, 0], [[0.1, 0.2, 0.7], [0.1, 0.2, 0.7]], k=2).numpy().tolist()
    [True, False]
    """
    wanted, scores = convert_to_tensor(targets), convert_to_tensor(predictions)
    if len(wanted.shape) != 1 or len(scores.shape) != 2 or equal(wanted.shape[0], scores.shape[0]) is False:
        raise ShapeError(
            "in_top_k: expected targets (batch,) and predictions (batch, classes), got "
            f"{format_shape(wanted.shape)} and {format_shape(scores.shape)}"
        )
    own = gather_elements(scores, expand_dims(cast(wanted, "int32"), -1), 1)
    return less(reduce_sum(cast(greater(scores, own), "int32"), axis=1), k)


def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """int32 indices at which values would be inserted into an ascending sequence, before or after equal elements.

    Raises `ValueError` for a side that is neither "left" nor "right".

    >>> import sardonyx as sx
    >>> sx.ops.searchsorted([1, 3, 5], [0, 3, 9]).numpy().tolist()
    [0, 1, 3]
    """
    if side not in ("left", "right"):
        raise ValueError(f'searchsorted: expected side "left" or "right", got {side!r}')
    return searchsorted_primitive(*promote(sorted_sequence, values), side=side)


def digitize(x: Any, bins: Any) -> Tensor:
    """int32 index of the bin of each value: the number of ascending bin edges not above it.

    >>> import sardonyx as sx
    >>> sx.ops.digitize([0.2, 6.4, 3.0], [0.0, 1.0, 2.5, 4.0]).numpy().tolist()
    [1, 4, 3]
    """
    return searchsorted(bins, x, side="right")
