"""Merges nodes that compute the same, and equal constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir import CONTROL, OnnxNode
from .scope import SMALL, Scope, Sweep

NEVER_EQUAL = frozenset(
    ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial", "Dropout")
)


def merge_duplicates(scope: Scope) -> bool:
    """Before: any valid graph. After: no two nodes have the same operator, inputs and attributes (random ones, those
    with subgraphs and those that make outputs aside), and no two small constants are equal. Weights stay apart."""
    shared = _shared_constants(scope) if scope.outer is None else {}
    sweep = Sweep(scope)
    sweep.replaced.update(shared)
    sweep.changed = bool(shared)
    seen: dict[tuple[Any, ...], OnnxNode] = {}

    def merge(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
        if node.operator in NEVER_EQUAL or node.operator in CONTROL:
            return None
        attributes = _frozen(node.attributes) if node.attributes else ()
        key = (node.operator, node.domain, *node.inputs, len(node.outputs), attributes)
        first = seen.setdefault(key, node)
        if first is node or any(name in sweep.outputs for name in node.outputs):
            return None
        if any(b and not a for a, b in zip(first.outputs, node.outputs, strict=True)):
            return None
        for old, new in zip(node.outputs, first.outputs, strict=True):
            if old:
                sweep.replace(old, new)
        return []

    return sweep.run(merge)


def _shared_constants(scope: Scope) -> dict[str, str]:
    """For each small constant that equals an earlier one, the earlier one."""
    graph = scope.graph
    seen: dict[tuple[Any, ...], str] = {}
    same: dict[str, str] = {}
    for name, array in graph.initializers.items():
        if array.nbytes > SMALL or name in graph.origins or name in graph.outputs:
            continue
        first = seen.setdefault((array.dtype.str, array.shape, array.tobytes()), name)
        if first != name:
            same[name] = first
    for name in same:
        del graph.initializers[name]
        graph.specs.pop(name, None)
    scope.shared.derived = {k: same.get(v, v) for k, v in scope.shared.derived.items()}
    return same


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((key, _frozen(item)) for key, item in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    return value
