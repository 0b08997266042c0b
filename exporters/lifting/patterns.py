"""Trees of operators to look for: `Op("Mul", "x", Op("Sigmoid", "x"))` is x times its sigmoid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .view import GraphView

COMMUTATIVE = frozenset(("Add", "Mul", "Max", "Min"))
TOLERANCE = 1e-6
"""Relative; constants of files are rounded to single precision."""


@dataclass(frozen=True)
class Op:
    """A node: its operator, and what its inputs are.

    An input is another `Op`, a number (a constant of that value), the name of a tensor that may be any (the same
    wherever the name stands), or `Const(name)`: a constant. `attributes` must be as given.
    """

    operator: str
    inputs: tuple[Any, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Const:
    """Any constant."""

    name: str


@dataclass(frozen=True)
class OneOf:
    """Any of several trees."""

    trees: tuple[Any, ...]


def op(operator: str, *inputs: Any, **attributes: Any) -> Op:
    """A node in a pattern."""
    return Op(operator, inputs, attributes)


@dataclass
class Match:
    """Names of tensors and constants by their names in the pattern, and the nodes that it covers."""

    names: dict[str, str] = field(default_factory=dict)
    nodes: tuple[int, ...] = ()


def match(view: GraphView, tree: Any, name: str, found: Match | None = None) -> Match | None:
    """The match of a tree whose result is a value; None where the value is made otherwise."""
    found = found or Match()
    if isinstance(tree, str):
        return _bound(found, tree, name)
    if isinstance(tree, OneOf):
        matches = (match(view, option, name, found) for option in tree.trees)
        return next((m for m in matches if m is not None), None)
    if isinstance(tree, Const):
        return None if view.array(name) is None else _bound(found, tree.name, name)
    if isinstance(tree, (int, float)):
        array = view.array(name)
        same = array is not None and array.size == 1 and np.isclose(float(array.reshape(-1)[0]), tree, TOLERANCE, 1e-12)
        return found if same else None
    return _match_node(view, tree, name, found)


def _bound(found: Match, key: str, name: str) -> Match | None:
    if key in found.names:
        return found if found.names[key] == name else None
    return Match({**found.names, key: name}, found.nodes)


def _match_node(view: GraphView, tree: Op, name: str, found: Match) -> Match | None:
    i = view.makers.get(name)
    if i is None or view.operator(i) != tree.operator:
        return None
    given = [x for x in view.nodes[i].input if x]
    if len(given) != len(tree.inputs) and tree.inputs[-1:] != (...,):  # more inputs than are looked at
        return None
    attributes = view.attributes(i) if tree.attributes else {}
    if any(attributes.get(key) != value for key, value in tree.attributes.items()):
        return None
    start = found if i in found.nodes else Match(found.names, (*found.nodes, i))
    wanted = tree.inputs[:-1] if tree.inputs[-1:] == (...,) else tree.inputs
    result = _match_inputs(view, wanted, given, start)
    if result is None and tree.operator in COMMUTATIVE and len(given) == 2:
        result = _match_inputs(view, wanted, given[::-1], start)
    return result


def _match_inputs(view: GraphView, trees: tuple[Any, ...], given: list[str], found: Match) -> Match | None:
    result: Match | None = found
    for tree, name in zip(trees, given, strict=False):
        if result is None:
            return None
        result = match(view, tree, name, result)
    return result
