"""Elementwise calls on large arrays in a flat program: rows shared out among threads where there are several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .flat_slots import Slot
from .ops.parallel import SHARE, run_blocks, threads_for

RATE = 13500.0
"""Bytes of results that a core computes in a microsecond, roughly, where operands come from memory."""
PIECES = 2
"""Pieces for each thread: who comes late takes less."""


def is_large(out: np.ndarray) -> bool:
    """Whether a call that writes such an array may be worth two threads."""
    return out.nbytes / RATE >= 2 * SHARE and out.ndim > 1 and out.flags.c_contiguous


def large_call(function: Callable[..., Any], operands: Sequence[Slot], out: np.ndarray) -> Any:
    """A call of an elementwise function that writes `out`, in pieces along the first axis on several threads."""

    def run() -> None:
        arrays = [x.array for x in operands]
        threads = threads_for(out.nbytes / RATE)
        if threads == 1 or len(out) < threads or any(_is_entangled(x, out) for x in arrays):
            function(*arrays, out=out)
            return
        step = -(-len(out) // (PIECES * threads))

        def piece(i: int) -> None:
            part = slice(i * step, (i + 1) * step)
            function(*[x[part] if x.ndim == out.ndim and len(x) > 1 else x for x in arrays], out=out[part])

        run_blocks(piece, -(-len(out) // step), out.nbytes / RATE)

    return run


def _is_entangled(x: np.ndarray, out: np.ndarray) -> bool:
    """Whether writing a piece of the result may change another piece's operand."""
    if not np.may_share_memory(x, out):
        return False
    own, target = x.__array_interface__, out.__array_interface__
    return own["data"] != target["data"] or x.shape != out.shape or x.strides != out.strides
