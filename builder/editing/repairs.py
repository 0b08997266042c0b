"""Constants that hard-code a size, and what may stand in their place: one rule a primitive."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.dims import Dim, Size
from ...trainer.core.graph import Graph
from ...trainer.core.tensor import Tensor
from ...trainer.core.variable import Variable
from .known_sizes import KnownSizes

Attributes = dict[str, Any]
Rule = Callable[[KnownSizes, Attributes, Sequence[Any], Sequence[Any]], Iterator[Attributes]]
"""Other attributes for a primitive: from sizes known, its attributes, its inputs' old shapes and new shapes."""


def attribute_choices(
    primitive: str, known: KnownSizes, attributes: Attributes, old: Sequence[Any], new: Sequence[Any]
) -> list[Attributes]:
    """Attributes that a primitive may need now, the likeliest first; its own are among them."""
    rule = RULES.get(primitive)
    if rule is None:
        return [attributes]
    found: list[Attributes] = []
    for choice in itertools.islice(rule(known, attributes, old, new), 24):
        if choice not in found:
            found.append(choice)
    return found if attributes in found else [*found, attributes]


def _reshape(known: KnownSizes, attributes: Attributes, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Attributes]:
    if not any(map(known.is_freed, new[0])):
        yield attributes
        return
    for shape in known.reshapes(attributes["shape"], old[0], new[0]):
        yield {**attributes, "shape": shape}


def _broadcast(
    known: KnownSizes, attributes: Attributes, old: Sequence[Any], new: Sequence[Any]
) -> Iterator[Attributes]:
    wanted = attributes["shape"]
    offset = len(wanted) - len(new[0])
    choices = []
    for i, size in enumerate(wanted):
        source = new[0][i - offset] if i >= offset else 1
        kept = i >= offset and old[0][i - offset] == size and size != 1
        choices.append([source] if kept else known.options(size, source))
    for shape in itertools.product(*choices):
        yield {**attributes, "shape": shape}


def _any_size(*keys: str) -> Rule:
    """Attributes that are sizes, or tuples of them."""

    def rule(known: KnownSizes, attributes: Attributes, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Attributes]:
        present = [key for key in keys if key in attributes]
        choices = [
            list(itertools.product(*[known.options(x) for x in value])) if isinstance(value, tuple)
            else known.options(value)
            for value in (attributes[key] for key in present)
        ]  # fmt: skip
        for values in itertools.product(*choices):
            yield {**attributes, **dict(zip(present, values, strict=True))}

    return rule


def _resize(known: KnownSizes, attributes: Attributes, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Attributes]:
    first = 1 if attributes["channels_last"] else 2
    choices = []
    for i, size in enumerate(attributes["sizes"]):
        before, now = old[0][first + i], new[0][first + i]
        scaled = []
        if known.is_freed(now) and isinstance(size, int) and isinstance(before, int) and before:
            scaled = [now * size // before]
        choices.append(list(dict.fromkeys([*scaled, *known.options(size)])))
    for sizes in itertools.product(*choices):
        yield {**attributes, "sizes": sizes}


def _items(known: KnownSizes, attributes: Attributes, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Attributes]:
    choices: list[list[Any]] = []
    axis = 0
    for item in attributes["items"]:
        if item is None:
            choices.append([None])
            continue
        before, now = old[0][axis], new[0][axis]
        axis += 1
        if not known.is_freed(now) or not isinstance(item, tuple):
            choices.append([item])
            continue
        choices.append(list(_slices(known, item, before, now)))
    for items in itertools.product(*choices):
        yield {**attributes, "items": items}


def _slices(known: KnownSizes, item: tuple[Any, Any, Any], before: Size, now: Size) -> Iterator[tuple[Any, Any, Any]]:
    """A slice of a freed axis: to its end where it went there, else as far as before, or to a size that is known."""
    start, stop, step = item
    if isinstance(stop, int) and isinstance(before, int) and stop >= before and (step or 1) > 0:
        stop = None
    for a, b in itertools.product([start, *known.standing_for(start)], [stop, *known.standing_for(stop)]):
        if a is None or b is None or isinstance(a, (int, Dim)):
            yield a, b, step


def _split(known: KnownSizes, attributes: Attributes, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Attributes]:
    axis, sizes = attributes["axis"], attributes["sizes"]
    now, before = new[0][axis], old[0][axis]
    if known.is_freed(now) and isinstance(before, int):
        if all(isinstance(x, int) and (now * x) // before * before == now * x for x in sizes):
            yield {**attributes, "sizes": tuple(now * x // before for x in sizes)}
        for choice in itertools.product(*[[x, *known.standing_for(x)] for x in sizes]):
            yield {**attributes, "sizes": choice}
    yield attributes


RULES: dict[str, Rule] = {
    "reshape": _reshape,
    "broadcast_to": _broadcast,
    "resize": _resize,
    "get_item": _items,
    "split": _split,
    **dict.fromkeys(("constant_of_shape", "scatter_add", "scatter_elements", "place"), _any_size("shape")),
    **dict.fromkeys(
        ("random_uniform", "random_normal", "random_truncated_normal", "random_integers", "random_bits", "random_mask",
         "random_gamma", "random_beta", "random_binomial"),
        _any_size("shape"),
    ),
    "slice": _any_size("sizes"),
    "arange": _any_size("start", "stop"),
    "eye": _any_size("rows", "columns"),
    "tri": _any_size("rows", "columns"),
    "tile": _any_size("repeats"),
    "repeat": _any_size("repeats"),
    "size_value": _any_size("size"),
}  # fmt: skip


def whole_axis(known: KnownSizes, values: Sequence[Any], attributes: Attributes, old: Sequence[Any]) -> Any:
    """What a selection by constant places means that takes all of a freed axis in a regular way; None for others.

    So exporters write an enlargement by neighbours, a step over every second place, and a reversal.
    """
    x, places, axis = values[0], getattr(values[1], "array", None), attributes["axis"]
    before = old[0][axis]
    if places is None or places.ndim != 1 or not len(places) or not known.is_freed(x.shape[axis]):
        return None
    if not isinstance(before, int):
        return None
    factor, step = len(places) // before, -(-before // len(places))
    if factor and np.array_equal(places, np.repeat(np.arange(before), factor)):
        return ops.repeat(x, factor, axis=axis)
    if np.array_equal(places, np.arange(0, before, step)):
        return x[(slice(None),) * (axis % len(x.shape)) + (slice(None, None, step),)]
    return ops.flip(x, axis=axis) if np.array_equal(places, np.arange(before)[::-1]) else None


def operand_choices(known: KnownSizes, values: Sequence[Any]) -> Iterator[list[Any]]:
    """Operands with constants made as long as freed sizes, which had their numbers: those that are the same all along.

    Such as the states in which a recurrent layer begins, or the token put in front of a sequence.
    """
    changes = {i: _lengthenings(known, x) for i, x in enumerate(values) if x is not None and _is_constant(x)}
    for i, found in changes.items():
        for change in found:
            yield [_lengthened(x, change) if j == i else x for j, x in enumerate(values)]
    for change in dict.fromkeys(change for found in changes.values() for change in found):
        chosen = {i for i, found in changes.items() if change in found}
        if len(chosen) > 1:
            yield [_lengthened(x, change) if j in chosen else x for j, x in enumerate(values)]


Change = tuple[tuple[int, Size], ...]


def _lengthenings(known: KnownSizes, x: Any) -> list[Change]:
    """Ways to make a constant longer: axes and their sizes, few axes first."""
    choices: list[list[Any]] = []
    for axis, size in enumerate(x.shape):
        options = known.standing_for(size)[:3] if isinstance(size, int) else []
        choices.append([None, *options] if options and _is_uniform(x, axis) else [None])
    found = [
        tuple((axis, size) for axis, size in enumerate(sizes) if size is not None)
        for sizes in itertools.islice(itertools.product(*choices), 128)
    ]
    return sorted((change for change in found if change), key=len)


def _is_constant(x: Any) -> bool:
    """Whether a value is made of constants and weights alone."""
    return not isinstance(x, Tensor) or x.array is not None or not Graph([], [x]).missing_inputs


def _is_uniform(x: Any, axis: int) -> bool:
    """Whether all along an axis a constant, or whatever has one element there, is the same."""
    if x.shape[axis] == 1:
        return True
    array = x.array if isinstance(x, (Tensor, Variable)) else None
    if array is None or not array.size:
        return False
    return bool(np.all(array == np.take(array, [0], axis)))


def _lengthened(x: Any, change: Change) -> Any:
    """The first of what is the same along some axes, repeated."""
    sizes = dict(change)
    for axis in sizes:
        if x.shape[axis] != 1:
            x = ops.take(x, np.array([0]), axis=axis)
    return ops.broadcast_to(x, tuple(sizes.get(axis, n) for axis, n in enumerate(x.shape)))
