"""How many threads matrix products and sessions of onnxruntime use."""

from __future__ import annotations

import math
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
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


def available_cores(root: str = "/") -> int:
    """Cores this process may use: those it may run on, at most as many as its control group (cgroup) grants time for.

    A container of 1.5 cores counts as 2. `root` is where the files of the system are looked for.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota(Path(root))
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def session_threads(root: str = "/") -> int:
    """Threads of a session of onnxruntime; 0, where nothing limits the process, stands for all physical cores."""
    cores = available_cores(root)
    return 0 if cores == os.cpu_count() else cores


def _cpu_quota(root: Path) -> float | None:
    """Cores that the control groups of this process, and those above them, grant; None without a limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    found: list[float] = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / controllers
        group = top / path.strip("/")
        for folder in [group, *group.parents][: len(group.relative_to(top).parts) + 1]:
            found += _quota_of(folder)
    return min(found, default=None)


def _quota_of(folder: Path) -> list[float]:
    """The limit of one control group: version 2 has a file of quota and period, version 1 one for each."""
    try:
        both = (folder / "cpu.max").read_text().split()
    except OSError:
        try:
            both = [(folder / f"cpu.cfs_{part}_us").read_text().strip() for part in ("quota", "period")]
        except OSError:
            return []
    try:
        quota, period = map(float, both)
    except ValueError:  # "max": no limit
        return []
    return [quota / period] if quota > 0 and period > 0 else []


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
