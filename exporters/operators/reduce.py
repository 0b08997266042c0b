"""Reductions; their axes are an attribute or an input, according to the version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from ...trainer.ops.broadcast import reduced_shape, sum_axes
from .table import Call, operator
from .values import axis_in, back_to, integers


def _axes(call: Call, x: Tensor, axes: Any) -> tuple[int, ...] | None:
    """The axes to reduce, sorted; None where the operator leaves everything as it is."""
    given = call.get("axes") if axes is None else axes
    named = [] if given is None else integers(call, given, "the axes")
    if not named:
        return None if call.get("noop_with_empty_axes", 0) else tuple(range(len(x.shape)))
    return tuple(sorted({axis_in(call, axis, len(x.shape)) for axis in named}))  # pyright: ignore[reportArgumentType]


def _extreme(which: str) -> Callable[..., Tensor]:
    function = ops.amax if which == "max" else ops.amin

    def reduced(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
        if any(x.shape[axis] == 0 for axis in axes):
            return ops.full(reduced_shape(x.spec, axes, keep), _identity(x.dtype, which), x.dtype)
        if x.dtype.kind == "b":
            return back_to(function(ops.cast(x, np.uint8), axes, keep), x.dtype)
        return function(x, axes, keep)

    return reduced


def _identity(dtype: np.dtype, which: str) -> Any:
    if dtype.kind == "f":
        return -np.inf if which == "max" else np.inf
    if dtype.kind == "b":
        return which == "min"
    limits = np.iinfo(dtype)
    return limits.min if which == "max" else limits.max


def _log_sum_exp(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    if any(x.shape[axis] == 0 for axis in axes):
        return ops.log(sum_axes(x, axes, keep))
    return ops.logsumexp(x, axes, keep) if axes else x


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "ReduceSum": sum_axes,
    "ReduceMean": ops.mean,
    "ReduceMax": _extreme("max"),
    "ReduceMin": _extreme("min"),
    "ReduceProd": lambda x, axes, keep: ops.prod(x, axes, keep, dtype=x.dtype),
    "ReduceL1": lambda x, axes, keep: sum_axes(ops.abs(x), axes, keep),
    "ReduceL2": lambda x, axes, keep: ops.sqrt(sum_axes(ops.square(x), axes, keep)),
    "ReduceLogSum": lambda x, axes, keep: ops.log(sum_axes(x, axes, keep)),
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceSumSquare": lambda x, axes, keep: sum_axes(ops.square(x), axes, keep),
}
ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "ReduceL1": ops.abs, "ReduceL2": ops.abs, "ReduceLogSum": ops.log, "ReduceSumSquare": ops.square,
}  # fmt: skip
"""What remains of a reduction over no axes, where that is not the element itself."""


def _reader(name: str, function: Callable[..., Any]) -> Callable[..., Tensor]:
    def read(call: Call, x: Tensor, axes: Any = None) -> Tensor:
        chosen = _axes(call, x, axes)
        if not chosen:
            return ELEMENTWISE.get(name, lambda v: v)(x)
        return back_to(function(x, chosen, bool(call.get("keepdims", 1))), x.dtype)

    return read


for name, function in REDUCTIONS.items():
    operator(name)(_reader(name, function))


def _arg(function: Callable[..., Any]) -> Callable[..., Tensor]:
    def read(call: Call, x: Tensor) -> Tensor:
        axis = axis_in(call, call.get("axis", 0), len(x.shape))
        keep = bool(call.get("keepdims", 1))
        if not call.get("select_last_index", 0):
            return ops.cast(function(x, axis=axis, keepdims=keep), np.int64)
        last = ops.cast(function(ops.flip(x, axis), axis=axis, keepdims=keep), np.int64)
        return ops.subtract(ops.convert_to_tensor(x.shape[axis] - 1, "int64"), last)

    return read


operator("ArgMax")(_arg(ops.argmax))
operator("ArgMin")(_arg(ops.argmin))
