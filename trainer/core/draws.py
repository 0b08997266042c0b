"""Random numbers that Python's or NumPy's generators give while a model is traced: drawn once, they would be frozen."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .errors import SymbolicValueError, user_line
from .state import state


class Draws:
    """The states of the global generators, as they were when a trace began."""

    def __init__(self) -> None:
        self.before = _states()
        self.allowed = 0

    def note(self) -> None:
        """Take the present states as those of the beginning."""
        self.before = _states()

    def check(self) -> None:
        """Raise `SymbolicValueError` if anything was drawn since the beginning.

        Where other threads run, which may draw for themselves, nothing can be told; those that say of themselves that
        they draw nothing do not count.
        """
        if threading.active_count() > 1 and sum(not hasattr(x, "draws_nothing") for x in threading.enumerate()) > 1:
            return
        numpy_before, python_before = self.before
        numpy_now, python_now = self.before = _states()
        if numpy_now != numpy_before:
            raise frozen_draw("NumPy's global generator (np.random)")
        if python_now != python_before:
            raise frozen_draw("Python's global generator (random)")


def frozen_draw(source: str) -> SymbolicValueError:
    """The error of a draw from a generator of Python's or NumPy's, with the rewrite."""
    line = user_line(2)
    where = f"\n  {line}" if line else ""
    return SymbolicValueError(
        f"random numbers were drawn from {source} while a model is traced: the graph would hold that one draw for ever."
        f"{where}\n"
        "  Draw with sx.random.normal, uniform, randint, ... and seed=self.generator, where "
        "self.generator = sx.random.SeedGenerator() is made in __init__; what shall stay the same, draw there too."
    )


@contextmanager
def own_draws() -> Iterator[None]:
    """What is drawn inside is no part of a computation: seeds, and first values of weights."""
    outer = state.traces[0] if state.traces else None
    if outer is None or outer.draws is None or outer.draws.allowed:
        yield
        return
    outer.draws.check()
    outer.draws.allowed += 1
    try:
        yield
    finally:
        outer.draws.allowed -= 1
        outer.draws.note()


def are_allowed() -> bool:
    """Whether what is drawn at this moment is no part of a computation."""
    draws = state.traces[0].draws if state.traces else None
    return draws is None or draws.allowed > 0


def _states() -> tuple[Any, Any]:
    legacy: Any = np.random.get_state(legacy=False)  # noqa: NPY002 - the generator of users' own code
    numbers = legacy["state"]
    return (numbers["key"].tobytes(), numbers["pos"], legacy["has_gauss"]), random.getstate()
