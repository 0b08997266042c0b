"""Where an initializer comes from: a variable, and the invertible steps that were applied to its array."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

BLOCK = 1 << 18
"""Bytes that are compared at once: what comes of it stays near the processor."""


class Step(NamedTuple):
    """One invertible change of an array.

    kind: `transpose` (values: the axes), `reshape` (the shape), `take` (an axis, then a permutation of its indices),
        `extend` (an axis, how many elements were put before, how many after)
    before: the shape that the array had before the step
    """

    kind: str
    values: tuple[int, ...]
    before: tuple[int, ...]

    def undo(self, array: np.ndarray) -> np.ndarray:
        """The array before the step. Raises `ValueError` for a step of unknown kind or one that does not fit."""
        if self.kind == "transpose":
            return array.transpose(np.argsort(self.values))
        if self.kind == "reshape":
            return array.reshape(self.before)
        if self.kind == "take":
            return np.take(array, np.argsort(self.values[1:]), axis=self.values[0])
        if self.kind == "extend":
            axis, first, _ = self.values
            return np.take(array, np.arange(first, first + self.before[axis]), axis=axis)
        raise ValueError(f"initializer: unknown step {self.kind!r}; the file was written by a newer version")


class Origin(NamedTuple):
    """How an initializer comes from a variable: by invertible steps, or (`None`) so that it cannot be undone."""

    variable: str
    steps: tuple[Step, ...] | None = ()

    def then(self, kind: str, values: tuple[int, ...], before: tuple[int, ...]) -> Origin:
        """The origin after one more step."""
        return self if self.steps is None else Origin(self.variable, (*self.steps, Step(kind, values, before)))

    def undo(self, array: np.ndarray) -> np.ndarray:
        """The variable's array from the initializer's. Raises `ValueError` where that is impossible."""
        if self.steps is None:
            raise ValueError(f"initializer: '{self.variable}' was merged with other weights and cannot be read back")
        for step in reversed(self.steps):
            array = step.undo(array)
        return array


def origins_text(origins: Mapping[str, Origin]) -> str:
    """The origins as JSON, for a file's metadata."""
    plain = {
        name: {"variable": origin.variable, "steps": None if origin.steps is None else [list(s) for s in origin.steps]}
        for name, origin in sorted(origins.items())
    }
    return json.dumps(plain, separators=(",", ":"))


def read_origins(text: str) -> dict[str, Origin]:
    """Origins from the JSON of a file's metadata. Raises `ValueError` where it is malformed."""
    try:
        return {str(name): read_origin(entry) for name, entry in json.loads(text).items()}
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"metadata: the origins of the weights are malformed ({error})") from None


def read_origin(entry: Mapping[str, Any]) -> Origin:
    """An origin from its plain values."""
    steps = entry["steps"]
    return Origin(str(entry["variable"]), None if steps is None else tuple(_step(*step) for step in steps))


def _step(kind: str, values: list[int], before: list[int]) -> Step:
    return Step(str(kind), tuple(int(v) for v in values), tuple(int(v) for v in before))


def same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays hold the same bytes."""
    if first is second or (first.dtype == second.dtype and first.__array_interface__ == second.__array_interface__):
        return True
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    a, b = (np.ascontiguousarray(x).reshape(-1).view(np.uint8) for x in (first, second))
    return all(np.array_equal(a[i : i + BLOCK], b[i : i + BLOCK]) for i in range(0, a.size, BLOCK))
