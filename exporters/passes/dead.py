"""Removes nodes and initializers that no output needs, and optional outputs that nobody reads."""

from __future__ import annotations

from ..ir import CONTROL, OnnxNode
from .scope import Scope

OPTIONAL_OUTPUTS = {
    "BatchNormalization": 1,
    "Dropout": 1,
    "GRU": 0,
    "LSTM": 0,
    "LayerNormalization": 1,
    "MaxPool": 1,
    "RNN": 0,
}
"""Operators that may leave out outputs, with the number of those that must stay."""


def remove_dead(scope: Scope) -> bool:
    """Before: any valid graph. After: every node makes something that is read, every initializer is read."""
    graph = scope.graph
    live = set(graph.outputs)
    kept: list[OnnxNode] = []
    trimmed = False
    for node in reversed(graph.nodes):
        if live.isdisjoint(node.outputs):
            continue
        trimmed |= _trim_outputs(node, live)
        live.update(node.reads() if node.operator in CONTROL else node.inputs)
        live.discard("")
        kept.append(node)
    changed = trimmed or len(kept) < len(graph.nodes)
    graph.nodes = kept[::-1]
    if scope.outer is None:
        for name in [name for name in graph.initializers if name not in live]:
            del graph.initializers[name]
            graph.origins.pop(name, None)
            changed = True
        scope.shared.derived = {k: v for k, v in scope.shared.derived.items() if v in graph.initializers}
    return changed


def _trim_outputs(node: OnnxNode, live: set[str]) -> bool:
    required = OPTIONAL_OUTPUTS.get(node.operator)
    if required is None:
        return False
    outputs = [name if i < required or name in live else "" for i, name in enumerate(node.outputs)]
    while outputs and not outputs[-1]:
        outputs.pop()
    changed = outputs != node.outputs
    node.outputs = outputs
    return changed
