"""Removes Identity nodes, and casts, reshapes and transpositions that change nothing."""

from __future__ import annotations

import numpy as np

from ...trainer.core.spec import same_shape
from ..ir import OnnxNode
from .scope import Scope, Sweep

CANDIDATES = frozenset(("Identity", "Cast", "Reshape", "Transpose", "Expand", "Concat", "Sum", "Max", "Min"))


def remove_identities(scope: Scope) -> bool:
    """Before: any valid graph. After: an Identity stands only where an output is an input, an initializer, a value of
    an outer graph or a second name of another output. Names of inputs and outputs stay."""
    changed = Sweep(scope).run(_skip, CANDIDATES)
    graph = scope.graph
    outputs = set(graph.outputs)
    second = [x for x in graph.nodes if x.operator in CANDIDATES and x.outputs[0] in outputs]
    second = [node for node in second if _changes_nothing(scope, node)]
    made = {name for node in graph.nodes for name in node.outputs} - outputs if second else set()
    renamed: dict[str, str] = {}
    for source, target in [(node.inputs[0], node.outputs[0]) for node in second]:
        if source in made and source not in renamed:
            renamed[source] = target
    if not renamed:
        return changed
    targets = set(renamed.values())
    graph.nodes = [node for node in graph.nodes if not (node.outputs[0] in targets and node.inputs[0] in renamed)]
    for old in renamed:
        graph.specs.pop(old, None)
    graph.rename(renamed)
    return True


def _skip(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
    if node.outputs[0] in sweep.outputs or not _changes_nothing(sweep.scope, node):
        return None
    sweep.replace(node.outputs[0], node.inputs[0])
    return []


def _changes_nothing(scope: Scope, node: OnnxNode) -> bool:
    if node.operator == "Identity":
        return True
    if node.operator in ("Concat", "Sum", "Max", "Min"):
        return len(node.inputs) == 1
    if node.operator not in CANDIDATES:
        return False
    before, after = scope.spec(node.inputs[0]), scope.spec(node.outputs[0])
    if before is None or after is None:
        return False
    if node.operator == "Cast":
        return before.dtype == np.dtype(node.attributes["to"])
    if node.operator == "Transpose":
        return list(node.attributes["perm"]) == list(range(before.rank))
    return same_shape(before.shape, after.shape)
