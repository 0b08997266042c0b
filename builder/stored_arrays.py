"""Constants of recorded computations: in a file they stand among its arrays, in a JSON text inside the text."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..trainer.core.later import LazyModule
from ..trainer.core.tensor import Tensor

hashlib: Any = LazyModule("hashlib")

LARGEST_INLINE = 16
"""Elements of a constant that is written into the configuration itself."""


class _Arrays(threading.local):
    """Per thread: arrays of the file being written, by their contents, and those of the file being read, by key."""

    def __init__(self) -> None:
        self.kept: dict[Any, tuple[str, np.ndarray]] | None = None
        self.known: Mapping[str, np.ndarray] = {}


_arrays = _Arrays()


@contextmanager
def keeping_arrays() -> Iterator[dict[Any, tuple[str, np.ndarray]]]:
    """Inside, large constants are kept apart from configurations; gives them, with their keys."""
    before, _arrays.kept = _arrays.kept, {}
    try:
        yield _arrays.kept
    finally:
        _arrays.kept = before


@contextmanager
def known_arrays(arrays: Mapping[str, np.ndarray]) -> Iterator[None]:
    """Inside, configurations may refer to these arrays."""
    before, _arrays.known = _arrays.known, arrays
    try:
        yield
    finally:
        _arrays.known = before


def arrays_read() -> Mapping[str, np.ndarray]:
    """The arrays to which configurations may refer now."""
    return _arrays.known


def stored(x: Any) -> dict[str, Any] | None:
    """A reference to a large constant; None for what goes into the configuration itself."""
    array = x.array if isinstance(x, Tensor) else x
    if _arrays.kept is None or not isinstance(array, np.ndarray) or array.size <= LARGEST_INLINE:
        return None
    data = np.ascontiguousarray(array)
    key = data.dtype.str, data.shape, hashlib.sha256(data.tobytes()).digest()
    name, _ = _arrays.kept.setdefault(key, (str(len(_arrays.kept)), array))
    return {"class_name": "__stored__", "config": name}
