"""The finders: functions that see whether a node is the last, or the main one, of a layer."""

from __future__ import annotations

from collections.abc import Callable

from .view import Found, GraphView

Finder = Callable[[GraphView, int], "Found | None"]

DECOMPOSED: list[tuple[Finder, frozenset[str]]] = []
"""Layers of several nodes, with the operators that the last node may be; in the order in which they are looked for."""

SINGLE: dict[str, list[Finder]] = {}
"""By operator: layers that are one node, or one with what belongs to it."""


def finder(*operators: str) -> Callable[[Finder], Finder]:
    """Register a finder for nodes of some operators."""

    def register(function: Finder) -> Finder:
        for name in operators:
            SINGLE.setdefault(name, []).append(function)
        return function

    return register


def decomposed(*operators: str) -> Callable[[Finder], Finder]:
    """Register a finder of several nodes, by the operator of the last."""

    def register(function: Finder) -> Finder:
        DECOMPOSED.append((function, frozenset(operators)))
        return function

    return register
