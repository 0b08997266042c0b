"""Where a file keeps the exact value of each variable: in an initializer of the graph where there is an equal one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np


class ValueStore:
    """Places of arrays in a file that is being written; what the graph does not hold goes to `extra`."""

    def __init__(self, initializers: Mapping[str, np.ndarray]) -> None:
        self.extra: dict[str, np.ndarray] = {}
        self._alike: dict[tuple[Any, ...], list[tuple[str, np.ndarray]]] = {}
        for name, array in initializers.items():
            self._alike.setdefault(_corners(array), []).append((name, array))

    def place(self, value: np.ndarray, key: str) -> dict[str, Any]:
        """The place of a value: an initializer (with its axes, if they were permuted), or an array of its own."""
        for name, array in self._alike.get(_corners(value), ()):
            if _same_bits(array.reshape(value.shape), value):
                return {"initializer": name}
            axes = _permutation(array, value)
            if axes is not None:
                return {"initializer": name, "axes": list(axes)}
        self.extra[key] = value
        return {"array": key}


def _corners(array: np.ndarray) -> tuple[Any, ...]:
    """What reshaping and permuting axes leave alone: element type, size, and the bits of the first and last element."""
    ends = (array[(0,) * array.ndim].tobytes(), array[(-1,) * array.ndim].tobytes()) if array.size else ()
    return array.dtype.str, array.size, *ends


def _permutation(array: np.ndarray, value: np.ndarray) -> tuple[int, ...] | None:
    """Axes for which `value.transpose(axes)` is `array`, bit for bit."""
    if value.ndim < 2 or array.ndim != value.ndim or not value.size:
        return None
    for axes in itertools.permutations(range(value.ndim)):
        view = value.transpose(axes)
        if view.shape == array.shape and _same_bits(view, array):
            return axes
    return None


def _same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays of one dtype and shape hold the same bytes: NaN equals NaN, and 0 is not -0."""
    return np.array_equal(np.ascontiguousarray(first).view(np.uint8), np.ascontiguousarray(second).view(np.uint8))


def read_value(
    place: Mapping[str, Any], shape: list[int], initializers: Mapping[str, np.ndarray], extra: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The value that `place` described. Raises `KeyError` when the file lacks it, `ValueError` when it does not fit."""
    if "array" in place:
        return extra[place["array"]].reshape(shape)
    array = initializers[place["initializer"]]
    return (array if "axes" not in place else array.transpose(np.argsort(place["axes"]))).reshape(shape)
