"""Constants that hard-code a size, and what may stand in their place: one rule a primitive."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.dims import Dim, Size
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


def operand_choices(known: KnownSizes, values: Sequence[Any]) -> Iterator[list[Any]]:
    """Operands with constants made as long as a freed size, which had its number: those that hold one value all along.

    Such as the states in which a recurrent layer begins, or the token put in front of a sequence.
    """
    places = [
        (i, axis, freed)
        for i, x in enumerate(values) if x is not None
        for axis, size in enumerate(x.shape) if isinstance(size, int)
        for freed in known.standing_for(size)[:3] if _is_uniform(x, axis)
    ]  # fmt: skip
    for i, axis, freed in places:
        yield [_lengthened(x, axis, freed) if j == i else x for j, x in enumerate(values)]
    for axis, freed in dict.fromkeys((axis, freed) for _, axis, freed in places):
        chosen = {i for i, a, f in places if (a, f) == (axis, freed)}
        if len(chosen) > 1:
            yield [_lengthened(x, axis, freed) if j in chosen else x for j, x in enumerate(values)]


def _is_uniform(x: Any, axis: int) -> bool:
    """Whether all along an axis a constant, or whatever has one element there, is the same."""
    if x.shape[axis] == 1:
        return True
    array = x.array if isinstance(x, (Tensor, Variable)) else None
    if array is None or not array.size:
        return False
    return bool(np.all(array == np.take(array, [0], axis)))


def _lengthened(x: Any, axis: int, size: Size) -> Any:
    first = x if x.shape[axis] == 1 else ops.take(x, np.array([0]), axis=axis)
    shape = tuple(size if i == axis else n for i, n in enumerate(x.shape))
    return ops.broadcast_to(first, shape)
