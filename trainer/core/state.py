"""What is open at the moment in this thread: tapes, traces and layer calls."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .tape import Tape
    from .trace import Trace


class Scope(Protocol):
    """The layer call inside which an operation is applied."""

    @property
    def path(self) -> str:
        """Slash-separated names from the outermost layer to this one."""
        ...


class State(threading.local):
    """Per-thread stacks; empty lists in a new thread."""

    def __init__(self) -> None:
        self.tapes: list[Tape] = []
        self.traces: list[Trace] = []
        self.scopes: list[Any] = []
        self.undrawn: list[Any] | None = None


state = State()
