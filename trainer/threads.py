"""How many threads NumPy's matrix products use."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

_settings: dict[str, int | None] = {"threads": 1}


def set_blas_threads(count: int | None) -> None:
    """Threads of a matrix product while a model trains or is evaluated; 1 at the start, None leaves BLAS alone.

    The kernels here work in blocks that fit a core's cache, and several threads that wait for each other slow such
    products down as soon as another process wants a core. Raise it for dense layers of thousands of units.

    >>> from sardonyx.trainer.threads import set_blas_threads
    >>> set_blas_threads(1)
    """
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise ValueError(f"set_blas_threads: expected a positive integer or None, got {count!r}")
    _settings["threads"] = count


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def engine_threads() -> int:
    """Threads of a compiled step: as many as matrix products get."""
    return _settings["threads"] or available_cores()


_controller: list[Any] = []


def limited_threads() -> AbstractContextManager[Any]:
    """A context in which BLAS uses the chosen number of threads."""
    count = _settings["threads"]
    if count is None:
        return nullcontext()
    if not _controller:
        from threadpoolctl import ThreadpoolController

        _controller.append(ThreadpoolController())
    return _controller[0].limit(limits=count, user_api="blas")
