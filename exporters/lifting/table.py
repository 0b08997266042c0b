"""The finders: functions that see whether a node is the last, or the main one, of a layer."""

from __future__ import annotations

from collections.abc import Callable

from .view import Found, GraphView

Finder = Callable[[GraphView, int], "Found | None"]

DECOMPOSED: dict[str, list[Finder]] = {}
"""By operator of the last node: layers of several nodes. They come first, the largest before."""

SINGLE: dict[str, list[Finder]] = {}
"""By operator: layers that are one node, or one with what belongs to it."""


def finder(*operators: str, table: dict[str, list[Finder]] = SINGLE) -> Callable[[Finder], Finder]:
    """Register a finder for nodes of some operators."""

    def register(function: Finder) -> Finder:
        for name in operators:
            table.setdefault(name, []).append(function)
        return function

    return register


def decomposed(*operators: str) -> Callable[[Finder], Finder]:
    """Register a finder of several nodes, by the operator of the last."""
    return finder(*operators, table=DECOMPOSED)
