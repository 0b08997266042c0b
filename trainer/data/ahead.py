"""Items of a dataset fetched by threads ahead of their use, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from typing import Any


def fetched_ahead(fetch: Callable[[int], Any], order: Iterable[int], workers: int, ahead: int) -> Iterator[Any]:
    """`fetch(i)` for each number in order, by as many threads as there are workers, up to `ahead` items early.

    An error is raised where its item is due. Whoever stops early leaves no thread behind.
    """
    from concurrent.futures import Future, ThreadPoolExecutor

    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(workers, "sardonyx-data") as pool:
        try:
            for i in order:
                waiting.append(pool.submit(copy_context().run, fetch, i))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for item in waiting:
                item.cancel()
