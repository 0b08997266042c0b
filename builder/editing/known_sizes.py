"""Sizes that were numbers and are symbolic now: what stands for a number that a model has written into it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from ...trainer.core.dims import Dim, Size, names, substitute

LIMIT = 2000
"""Combinations of sizes that are tried for one shape."""


class KnownSizes:
    """The symbolic sizes seen so far in a model whose sizes are freed, by the numbers they have at its original sizes.

    origin: the original numbers by the names of the freed sizes
    """

    def __init__(self, origin: Mapping[str, int]) -> None:
        self.origin = dict(origin)
        self.by_number: dict[int, list[Size]] = {}

    def at_origin(self, size: Size) -> Size:
        """What a size is at the model's original sizes."""
        return substitute(size, self.origin) if isinstance(size, Dim) else size

    def is_freed(self, size: Size) -> bool:
        """Whether a size depends on the freed ones."""
        return isinstance(size, Dim) and not names(size).isdisjoint(self.origin)

    def see(self, shape: Sequence[Size]) -> None:
        """Remember the sizes of a tensor of the new model; the latest come first."""
        for size in shape:
            number = self.at_origin(size)
            if self.is_freed(size) and isinstance(number, int):
                found = self.by_number.setdefault(number, [])
                if size in found:
                    found.remove(size)
                found.insert(0, size)

    def standing_for(self, number: Any) -> list[Size]:
        """Symbolic sizes that were this number."""
        is_number = isinstance(number, int) and not isinstance(number, bool)
        return list(self.by_number.get(number, ())) if is_number else []

    def options(self, number: Any, first: Size | None = None) -> list[Any]:
        """What may stand for a number of a shape: the size given first if it fits, those seen, the number itself."""
        if isinstance(number, Dim):
            return [number]
        preferred = [first] if first is not None and self.is_freed(first) and self.at_origin(first) == number else []
        return list(dict.fromkeys([*preferred, *self.standing_for(number), number]))

    def reshapes(self, wanted: Sequence[Size], old: Sequence[Size], new: Sequence[Size]) -> Iterator[tuple[Size, ...]]:
        """Shapes that a tensor of shape `new` may be given, where one of shape `old` was given `wanted`."""
        aligned = self._by_groups(wanted, old, new)
        if aligned is not None:
            yield aligned
        total = prod(new)
        choices = [
            self.options(size, new[i] if i < len(old) and old[i] == size else None) for i, size in enumerate(wanted)
        ]
        for shape in itertools.islice(itertools.product(*choices), LIMIT):
            if prod(shape) == total and shape != aligned:
                yield shape
        for place in range(len(wanted)):
            rest = [c if i != place else [1] for i, c in enumerate(choices)]
            for shape in itertools.islice(itertools.product(*rest), LIMIT):
                others = prod(shape)
                if (found := total // others) * others == total and self.at_origin(found) == wanted[place]:
                    yield (*shape[:place], found, *shape[place + 1 :])

    def _by_groups(self, wanted: Sequence[Size], old: Sequence[Size], new: Sequence[Size]) -> tuple[Size, ...] | None:
        """The shape where neighbouring axes are put together or taken apart; None where that does not say it all."""
        found: list[Size] = []
        for sources, targets in axis_groups(old, wanted):
            total = prod(new[i] for i in sources)
            freed = [i for i in sources if self.is_freed(new[i])]
            large = [j for j in targets if wanted[j] != 1] or list(targets)
            if not freed:
                found += [wanted[j] for j in targets]
            else:
                part = self._factored(total, [wanted[j] for j in targets], [new[i] for i in freed])
                if part is None and len(large) == 1:
                    part = [total if j == large[0] else wanted[j] for j in targets]
                if part is None:
                    return None
                found += part
        return tuple(found) if prod(found) == prod(new) else None

    def _factored(self, total: Size, wanted: Sequence[Size], freed: Sequence[Size]) -> list[Size] | None:
        """The sizes of a group of axes, as many as possible taken from the group itself."""
        choices = [
            list(dict.fromkeys([*[x for x in freed if self.at_origin(x) == size], *self.options(size)]))
            for size in wanted
        ]
        for shape in itertools.islice(itertools.product(*choices), LIMIT):
            if prod(shape) == total:
                return list(shape)
        for place in range(len(wanted)):
            others = prod(size for i, size in enumerate(wanted) if i != place)
            found = total // others
            if found * others == total:
                return [*wanted[:place], found, *wanted[place + 1 :]]
        return None


def axis_groups(old: Sequence[Size], wanted: Sequence[Size]) -> list[tuple[list[int], list[int]]]:
    """Axes of two shapes of as many elements in groups of as many elements, the smallest ones from the front."""
    primes = _numbers(old, wanted)
    left, right = [primes(x) for x in old], [primes(x) for x in wanted]
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        sources, targets = [i], [j]
        a, b = left[i], right[j]
        i, j = i + 1, j + 1
        while a != b:
            if a < b and i < len(left):
                a, sources, i = a * left[i], [*sources, i], i + 1
            elif j < len(right):
                b, targets, j = b * right[j], [*targets, j], j + 1
            else:
                return groups
        groups.append((sources, targets))
    if groups:
        groups[-1][0].extend(range(i, len(left)))
        groups[-1][1].extend(range(j, len(right)))
    return groups


def _numbers(*shapes: Sequence[Size]) -> Any:
    """A function from sizes to numbers, in which named sizes are large primes."""
    used = sorted({name for shape in shapes for size in shape if isinstance(size, Dim) for name in names(size)})
    values = dict(zip(used, (10007, 10009, 10037, 10039, 10061, 10067, 10069), strict=False))
    return lambda size: int(substitute(size, values)) if isinstance(size, Dim) else int(size)
