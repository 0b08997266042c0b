"""Where a file keeps the exact value of each variable: in an initializer of the graph where there is an equal one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..exporters.origins import Origin, read_origin, same_bits


class ValueStore:
    """Places of arrays in a file that is being written; what the graph does not hold goes to `extra`."""

    def __init__(self, initializers: Mapping[str, np.ndarray], origins: Mapping[str, Origin] | None = None) -> None:
        self.origins = {origin.variable: (name, origin) for name, origin in (origins or {}).items() if origin.steps}
        self.initializers = initializers
        self.extra: dict[str, np.ndarray] = {}
        self._alike: dict[tuple[Any, ...], list[tuple[str, np.ndarray]]] = {}
        for name, array in initializers.items():
            self._alike.setdefault(_corners(array), []).append((name, array))

    def place(self, value: np.ndarray, key: str, variable: str = "") -> dict[str, Any]:
        """The place of a value: an initializer (with its axes, if they were permuted, or the steps that are to be
        undone), or an array of its own.

        variable: the name of which the file may say where it comes from
        """
        for name, array in self._alike.get(_corners(value), ()):
            if same_bits(array.reshape(value.shape), value):
                return {"initializer": name}
            axes = _permutation(array, value)
            if axes is not None:
                return {"initializer": name, "axes": list(axes)}
        name, origin = self.origins.get(variable, ("", Origin("", None)))
        if origin.steps is not None and name in self.initializers:
            array = origin.undo(self.initializers[name])
            if array.shape == value.shape and same_bits(array, value):
                return {"initializer": name, "steps": [list(step) for step in origin.steps]}
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
        if view.shape == array.shape and same_bits(view, array):
            return axes
    return None


def read_value(
    place: Mapping[str, Any], shape: list[int], initializers: Mapping[str, np.ndarray], extra: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The value that `place` described. Raises `KeyError` when the file lacks it, `ValueError` when it does not fit."""
    if "array" in place:
        array = extra[place["array"]]
    else:
        array = initializers[place["initializer"]]
        if "steps" in place:
            array = read_origin({"variable": "", "steps": place["steps"]}).undo(array)
        elif "axes" in place:
            array = array.transpose(np.argsort(place["axes"]))
    return array if array.shape == tuple(shape) else array.reshape(shape)  # a view would not own its memory
