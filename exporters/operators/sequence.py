"""Sequences and optionals: lists of values, and None for nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from .table import Call, operator
from .values import Value, axis_in, integers, number


def _place(call: Call, position: Any, default: int) -> int:
    return default if position is None else int(number(call, position, "the position in a sequence"))


@operator("SequenceConstruct", raw=True)
def construct(call: Call, *inputs: Value) -> list[Value]:
    """A sequence of values."""
    return list(inputs)


@operator("SequenceEmpty", raw=True)
def empty(call: Call) -> list[Value]:
    """A sequence of nothing."""
    return []


@operator("SequenceAt", raw=True)
def at(call: Call, sequence: list[Value], position: Any) -> Value:
    """The value at a place."""
    return sequence[_place(call, position, -1)]


@operator("SequenceErase", raw=True)
def erase(call: Call, sequence: list[Value], position: Any = None) -> list[Value]:
    """The sequence without the value at a place, the last by default."""
    place = _place(call, position, -1) % len(sequence)
    return sequence[:place] + sequence[place + 1 :]


@operator("SequenceInsert", raw=True)
def insert(call: Call, sequence: list[Value], value: Value, position: Any = None) -> list[Value]:
    """The sequence with one more value, at the end by default."""
    place = _place(call, position, len(sequence))
    place = place + len(sequence) if place < 0 else place
    return [*sequence[:place], value, *sequence[place:]]


@operator("SequenceLength", raw=True)
def length(call: Call, sequence: list[Value]) -> Tensor:
    """How many values there are."""
    return Tensor(np.asarray(len(sequence), np.int64))


@operator("ConcatFromSequence", raw=True)
def concat(call: Call, sequence: list[Value]) -> Tensor:
    """The values joined along an axis, or stacked along a new one."""
    axis = call.get("axis")
    return ops.stack(sequence, axis=axis) if call.get("new_axis", 0) else ops.concatenate(sequence, axis=axis)


@operator("SplitToSequence", raw=True)
def split(call: Call, x: Tensor, sizes: Any = None) -> list[Value]:
    """Parts of a tensor along an axis: of one size, of given sizes, or single slices."""
    axis = axis_in(call, call.get("axis", 0), len(x.shape))
    size: Any = x.shape[axis]
    if sizes is None:
        lengths: list[Any] = [1] * size
    elif not sizes.shape:
        step: Any = integers(call, sizes, "the size")[0]
        lengths = [min(step, size - start) for start in range(0, size, step)]
    else:
        lengths = integers(call, sizes, "the sizes")
    parts: list[Value] = []
    start = 0
    for count in lengths:
        parts.append(x[(*[slice(None)] * axis, slice(start, start + count))])
        start += count
    if sizes is None and not call.get("keepdims", 1):
        parts = [ops.squeeze(part, axis) for part in parts]
    return parts


@operator("SequenceMap", raw=True)
def sequence_map(call: Call, sequence: list[Value], *more: Value) -> tuple[Any, ...]:
    """A graph applied to each value of sequences; other inputs are the same each time."""
    body = call.get("body")
    found: list[list[Value]] = [[] for _ in range(body.outputs)]
    for i, value in enumerate(sequence):
        rest = [x[i] if isinstance(x, list) else x for x in more]
        for results, result in zip(found, body(value, *rest), strict=True):
            results.append(result)
    return tuple(found)


@operator("Optional", raw=True)
def optional(call: Call, value: Value = None) -> Value:
    """A value, or nothing."""
    return value


@operator("OptionalHasElement", raw=True)
def has_element(call: Call, value: Value = None) -> Tensor:
    """Whether there is a value."""
    return Tensor(np.asarray(value is not None))


@operator("OptionalGetElement", raw=True)
def get_element(call: Call, value: Value) -> Value:
    """The value; raises `ValueError` where there is none."""
    if value is None:
        raise ValueError(f"{call.label}: the optional holds nothing")
    return value
