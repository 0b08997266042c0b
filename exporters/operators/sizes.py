"""Operators on symbolic sizes: what files do with shapes before they reshape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...trainer.core.dims import Dim, equal, maximum, minimum
from ..protos import element_type
from .arrange import slice_item
from .table import Call
from .values import Comparison, Sizes, Value, integers, known, sizes_or_tensor


def _array(x: Value) -> np.ndarray | None:
    """Sizes, or a constant of whole numbers, as objects; None for what is neither."""
    if isinstance(x, Sizes):
        return x.array
    found = known(x)
    if found is None or (found.dtype.kind == "f" and np.any(found != np.round(found))):
        return None
    return np.vectorize(int, otypes=[object])(found) if found.size else found.astype(object)


def _type(*inputs: Value) -> Any:
    return next(x.dtype for x in inputs if isinstance(x, Sizes))


def _elementwise(function: Callable[[Any, Any], Any]) -> Callable[..., Value]:
    def read(call: Call, x: Value, y: Value) -> Value:
        left, right = _array(x), _array(y)
        if left is None or right is None:
            return None
        return sizes_or_tensor(np.asarray(np.frompyfunc(function, 2, 1)(left, right), object), _type(x, y))

    return read


def _divide(x: Any, y: Any) -> Any:
    return x // y


def _equal(call: Call, x: Value, y: Value) -> Value:
    """Equality, as a comparison where it cannot be decided; a symbolic size is never -1 or 0."""
    left, right = _array(x), _array(y)
    if left is None or right is None or any(isinstance(v, Comparison) for v in (*left.flat, *right.flat)):
        return None
    return sizes_or_tensor(np.asarray(np.frompyfunc(_same, 2, 1)(left, right), object), bool)


def _same(x: Any, y: Any) -> bool | Comparison:
    if isinstance(x, Dim) != isinstance(y, Dim) and min(y if isinstance(x, Dim) else x, 1) < 1:
        return False
    same = equal(x, y)
    return Comparison(x, y) if same is None else same


def _where(call: Call, condition: Value, x: Value, y: Value) -> Value:
    chosen, left, right = known(condition), _array(x), _array(y)
    if chosen is None or left is None or right is None:
        return None
    return sizes_or_tensor(np.where(chosen, left, right), _type(x, y))


def _gather(call: Call, x: Value, indices: Value) -> Value:
    places = known(indices)
    if places is None or not isinstance(x, Sizes):
        return None
    found = np.empty(places.shape + x.array.shape[1:], object)
    found[...] = np.take(x.array, places, axis=call.get("axis", 0))
    return sizes_or_tensor(found, x.dtype)


def _slice(call: Call, x: Value, *bounds: Value) -> Value:
    if not isinstance(x, Sizes) or len(x.shape) != 1:
        return None
    given = [call.get("starts"), call.get("ends")] if not bounds else list(bounds[:2])
    step: Any = integers(call, bounds[3], "the steps")[0] if len(bounds) > 3 and bounds[3] is not None else 1
    start, end = (integers(call, b, "a bound")[0] for b in given)
    if isinstance(start, Dim) or isinstance(end, Dim):
        return None
    return sizes_or_tensor(x.array[slice_item(start, end, step)], x.dtype)


def _concat(call: Call, *inputs: Value) -> Value:
    arrays = [_array(x) for x in inputs]
    if any(a is None for a in arrays):
        return None
    return sizes_or_tensor(np.concatenate(arrays, call.get("axis", 0)), _type(*inputs))  # pyright: ignore


def _unsqueeze(call: Call, x: Sizes, axes: Value = None) -> Value:
    given = call.get("axes") if axes is None else integers(call, axes, "the axes")
    return sizes_or_tensor(np.expand_dims(x.array, tuple(given)), x.dtype) if isinstance(x, Sizes) else None


def _squeeze(call: Call, x: Sizes, axes: Value = None) -> Value:
    given = call.get("axes") if axes is None else integers(call, axes, "the axes")
    if not isinstance(x, Sizes):
        return None
    return sizes_or_tensor(np.asarray(x.array.squeeze(None if given is None else tuple(given)), object), x.dtype)


def _reshape(call: Call, x: Value, shape: Value) -> Value:
    wanted: Any = integers(call, shape, "the shape")
    if not isinstance(x, Sizes) or any(isinstance(size, Dim) for size in wanted):
        return None
    return sizes_or_tensor(x.array.reshape(wanted), x.dtype)


def _cast(call: Call, x: Value) -> Value:
    dtype = element_type(call.get("to"))
    if not isinstance(x, Sizes):
        return None
    return sizes_or_tensor(x.array, dtype) if dtype == x.dtype or {dtype.kind, x.dtype.kind} <= set("iuf") else None


def _product(call: Call, x: Value, axes: Value = None) -> Value:
    if not isinstance(x, Sizes) or len(x.shape) != 1:
        return None
    total: Any = 1
    for size in x.array.tolist():
        total = total * size
    found = np.empty((1,) if call.get("keepdims", 1) else (), object)
    found[...] = total
    return sizes_or_tensor(found, x.dtype)


def _unchanged(call: Call, x: Value) -> Value:
    return x


SIZE_OPERATORS: dict[str, Callable[..., Value]] = {
    "Add": _elementwise(lambda x, y: x + y),
    "Sub": _elementwise(lambda x, y: x - y),
    "Mul": _elementwise(lambda x, y: x * y),
    "Div": _elementwise(_divide),
    "Mod": _elementwise(lambda x, y: x % y),
    "Max": _elementwise(maximum),
    "Min": _elementwise(minimum),
    "Equal": _equal,
    "Where": _where,
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Cast": _cast,
    "ReduceProd": _product,
    "Floor": _unchanged,
    "Ceil": _unchanged,
    "Identity": _unchanged,
}
"""For each operator: `(call, *inputs) -> value`, or None where the sizes must become a tensor first."""
