"""Independent blocks of a kernel's work on several threads, with the same bits as one after the other.

NumPy lets other threads run while it computes. A kernel that says which blocks it consists of has them done by whoever
is free: the thread that asks takes the first, others help where they wake up in time, and nobody waits for one that did
not. What a block computes depends on its number alone, so that results do not depend on how many threads there are.
Sums over blocks are for the kernel to add up, in order, once all are done.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any

SHARE = 150.0
"""Microseconds of work for each thread below which it is not worth waking another."""
WIDE = 1 << 17
"""Elements of a block, at most, where several threads work on an array."""
LINE = 64
"""Blocks begin at multiples of so many elements."""


class _Here(threading.local):
    """How many threads the kernels that this thread calls may use, and those that help it."""

    def __init__(self) -> None:
        self.threads = 1
        self.helpers: _Helpers | None = None


class _Job:
    """Blocks to do, and places for those who help."""

    def __init__(self, task: Callable[..., Any], count: int, scratch: Callable[[], Any] | None, helpers: int) -> None:
        self.task = task
        self.scratch = scratch
        self.blocks = deque(range(count))
        self.places = [True] * helpers
        self.left: SimpleQueue[bool] = SimpleQueue()
        self.ended: list[bool] = []
        self.failures: list[tuple[int, BaseException]] = []
        self.context = copy_context()

    def work(self) -> None:
        """Do blocks as long as there are any."""
        number = -1
        try:
            given = [] if self.scratch is None else [self.scratch()]
            while self.blocks:
                try:
                    number = self.blocks.popleft()
                except IndexError:  # another thread was faster
                    return
                self.task(number, *given)
        except BaseException as error:  # told by the thread that asked
            self.blocks.clear()
            self.failures.append((number, error))

    def help(self) -> None:
        """Work along, unless there is nothing left to do."""
        try:
            self.places.pop()
        except IndexError:
            return
        self.context.copy().run(self.work)
        self.ended.append(True)
        self.left.put(True)

    def finish(self, helpers: int) -> None:
        """Let nobody else begin, wait for those who did, and raise what a plain loop would have raised."""
        try:
            while True:
                self.places.pop()
                helpers -= 1
        except IndexError:
            self._wait(helpers)
        if self.failures:
            _, error = min(self.failures, key=_urgency)
            self.failures.clear()  # an error that refers to itself would keep all arrays of its frames
            raise error

    def _wait(self, helpers: int) -> None:
        """Wait for those who help, whose blocks still write, even where somebody interrupts."""
        try:
            for _ in range(helpers):
                self.left.get()
        except BaseException:
            while len(self.ended) < helpers:
                time.sleep(0.001)
            raise


def _urgency(failure: tuple[int, BaseException]) -> tuple[bool, int]:
    """Interrupts first, then the first block."""
    return isinstance(failure[1], Exception), failure[0]


class _Helpers:
    """Threads that wait to be called; those of one thread, who has them do one job at a time."""

    def __init__(self) -> None:
        self.job: _Job | None = None
        self._begin()

    def _begin(self) -> None:
        self.calls: SimpleQueue[bool] = SimpleQueue()
        self.threads: list[_Helper] = []

    def run(self, job: _Job, count: int) -> None:
        """Do a job with up to `count` helpers."""
        while len(self.threads) < count:
            thread = _Helper(self)
            thread.start()
            self.threads.append(thread)
        self.job = job
        try:
            for _ in range(count - self.calls.qsize()):  # who has not heard the last call yet takes this job instead
                self.calls.put(True)
            job.work()
        finally:
            self.job = None
            job.finish(count)

    def stop(self) -> None:
        """Let all threads end."""
        for _ in self.threads:
            self.calls.put(False)
        for thread in self.threads:
            thread.join()
        self._begin()


class _Helper(threading.Thread):
    """A thread that helps; it draws no random numbers that anybody could miss."""

    draws_nothing = True

    def __init__(self, helpers: _Helpers) -> None:
        super().__init__(name="sardonyx", daemon=True)
        self.helpers = helpers

    def run(self) -> None:
        while self.helpers.calls.get():
            job = self.helpers.job
            if job is not None:
                job.help()
            del job  # whoever sleeps holds no arrays


_here = _Here()


def run_blocks(
    task: Callable[..., Any], count: int, microseconds: float, scratch: Callable[[], Any] | None = None
) -> None:
    """Call `task(0)` to `task(count - 1)`, which are independent of each other, on the threads there are.

    microseconds: what all of them take on one core, roughly; a little is done by fewer threads, or in a plain loop
    scratch: makes what a thread works with, memory above all; called once a thread, and passed on: `task(i, made)`

    An error is raised as a loop would raise it: that of the first block that fails; later ones may have been done.
    """
    here = _here
    threads = min(threads_for(microseconds), count)
    if threads > 1 and here.helpers is not None:
        job, before, here.threads = _Job(task, count, scratch, threads - 1), here.threads, 1
        try:
            here.helpers.run(job, threads - 1)
        finally:
            here.threads = before
    elif scratch is None:
        for i in range(count):
            task(i)
    elif count:
        made = scratch()
        for i in range(count):
            task(i, made)


def threads_for(microseconds: float) -> int:
    """How many threads a kernel that this thread calls may use for so much work."""
    threads = _here.threads
    return threads if threads == 1 else max(1, min(threads, int(microseconds / SHARE)))


def block_size(size: int, usual: int, microseconds: float) -> int:
    """Elements of a block of a kernel whose results do not depend on where blocks begin; `usual` on one thread.

    With several, blocks are larger: each call of NumPy takes Python's lock, and finding it taken costs as much as
    computing some ten thousand elements.
    """
    threads = threads_for(microseconds)
    if threads == 1 or size <= usual:
        return usual
    even = -(-size // (threads * -(-size // (threads * WIDE))))
    return max(usual, -(-even // LINE) * LINE)


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Inside, kernels that this thread calls may use so many threads, itself included; they end with the context."""
    here = _here
    threads, helpers = here.threads, here.helpers
    here.threads = count
    if helpers is None:
        here.helpers = _Helpers()
    try:
        yield
    finally:
        if helpers is None and here.helpers is not None:
            here.helpers.stop()
        here.threads, here.helpers = threads, helpers


def _before_fork() -> None:
    """A thread that holds a lock would hold it in the child for ever; they are made anew when there is work."""
    if _here.helpers is not None:
        _here.helpers.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork)
