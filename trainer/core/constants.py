"""Constants of graphs: values as they were when they were used, which nobody can change afterwards."""

from __future__ import annotations

import weakref

import numpy as np

from .tensor import Tensor

_owners: dict[int, tuple[weakref.ref[np.ndarray], weakref.ref[np.ndarray]]] = {}


def own_constant(tensor: Tensor) -> None:
    """Give an eager tensor that becomes part of a graph an array of its own, if anybody else could write into it.

    Else a change of the user's array in place (`table[0] = 1`) would reach into a graph, or into half of one.
    """
    array = tensor.array
    if array is None or not _can_change(array):
        return
    owner = _memory_of(array)
    private = array.copy()
    private.flags.writeable = False
    key = id(private)
    _owners[key] = (weakref.ref(private, lambda _: _owners.pop(key, None)), weakref.ref(owner))
    tensor.array = private


def owner_of(array: np.ndarray) -> np.ndarray | None:
    """The array from which that of a constant was copied, if it is still there: a weight's, or one of the user's."""
    known = _owners.get(id(array))
    return known[1]() if known is not None and known[0]() is array else None


def _memory_of(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _can_change(array: np.ndarray) -> bool:
    return array.flags.writeable or (isinstance(array.base, np.ndarray) and _memory_of(array).flags.writeable)
