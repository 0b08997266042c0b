"""Half precision in NumPy kernels: computed in single precision, rounded once at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

FLOAT16, FLOAT32 = np.dtype(np.float16), np.dtype(np.float32)


def in_single(run: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that computes float16 in float32: NumPy has no fast product of halves, and sums would lose digits."""

    def wrapped(*arrays: np.ndarray | None, **attributes: Any) -> Any:
        first = arrays[0]
        if first is None or first.dtype != FLOAT16:
            return run(*arrays, **attributes)
        found = run(*[None if a is None else a.astype(FLOAT32) for a in arrays], **attributes)
        return tuple(f.astype(FLOAT16) for f in found) if isinstance(found, tuple) else found.astype(FLOAT16)

    return wrapped
