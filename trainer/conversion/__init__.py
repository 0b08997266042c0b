"""Python control flow becomes the graph's: `if`, `while` and `for` over tensors, as If, Loop and Scan.

While a function or a layer's `call` is traced, its source is rewritten once (`statements`, `expressions`) so that every
condition and loop asks the runtime (`branches`, `loops`): where Python knows the value, Python decides; where only the
model's run will know, both branches are traced, and what they assign is joined. Eager calls never come here: most of it
is loaded when the first function of a user's is traced.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..core.later import loaded_later
from ..core.operators import FUNCTIONS
from ..core.state import state
from .marks import do_not_convert

if TYPE_CHECKING:
    from .runtime import Runtime, converted, why_unconverted

__all__ = ["Runtime", "converted", "do_not_convert", "in_trace", "why_unconverted"]

__getattr__, __dir__ = loaded_later(__name__, dict.fromkeys(("Runtime", "converted", "why_unconverted"), ".runtime"))

_room = sys.modules[__name__]


def in_trace(function: Any) -> Any:
    """A user's function as the library calls it: itself, and while a graph is traced the converted one."""
    return _room.converted(function) if state.traces else function


def _later(name: str) -> Callable[..., Any]:
    """A function of `functions` that is loaded with its first call."""

    def call(*args: Any) -> Any:
        return getattr(_room, name)(*args)

    return call


FUNCTIONS.update({name: _later(name) for name in ("converted", "why_unconverted")})
