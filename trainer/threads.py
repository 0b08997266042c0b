"""How many threads training steps, matrix products and sessions of onnxruntime use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .ops.parallel import on_threads

_settings: dict[str, int | None] = {"threads": None, "blas": 1}


def set_threads(count: int | None) -> None:
    """Threads of a training or evaluation step, on NumPy and compiled; None, as at the start, takes what there is.

    That is the environment's `OMP_NUM_THREADS`, or else the cores that the process may use: its affinity and the quota
    of its control group count. On NumPy large kernels are done in blocks, and their numbers are the same to the last
    bit for any number of threads. Raises `ValueError` for anything but a positive integer or None.

    >>> import sardonyx as sx
    >>> sx.config.set_threads(2)
    >>> sx.config.set_threads(None)
    """
    _settings["threads"] = _checked("set_threads", count)


def set_blas_threads(count: int | None) -> None:
    """Threads of BLAS in each matrix product while a model trains on NumPy; 1 at the start, None leaves BLAS alone.

    With 1, the threads of `set_threads` share the work of large kernels, products among them. With more, or None, they
    would stand in BLAS's way: then a step runs on one thread but for its matrix products, whose last bits depend on how
    many threads BLAS has. Raises `ValueError` for anything but a positive integer or None.

    >>> import sardonyx as sx
    >>> sx.config.set_blas_threads(1)
    """
    _settings["blas"] = _checked("set_blas_threads", count)


def _checked(name: str, count: int | None) -> int | None:
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise ValueError(f"{name}: expected a positive integer or None, got {count!r}")
    return count


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


def step_threads() -> int:
    """Threads of a training or evaluation step: as set, else as the environment says, else all cores."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return _settings["threads"] or (int(asked) if asked.isdecimal() else 0) or available_cores()


_controller: list[Any] = []


@contextmanager
def limited_threads() -> Iterator[None]:
    """A context in which BLAS uses the chosen number of threads, and with one of its own large kernels use several."""
    count = _settings["blas"]
    if count is None:
        yield
        return
    if not _controller:
        from threadpoolctl import ThreadpoolController

        _controller.append(ThreadpoolController())
    with _controller[0].limit(limits=count, user_api="blas"), on_threads(step_threads() if count == 1 else 1):
        yield
