"""All passes in order, repeated until nothing changes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from ..ir import OnnxGraph
from .convolutions import fold_bias, fold_normalization, fold_padding
from .dead import remove_dead
from .duplicates import merge_duplicates
from .fold import fold_constants
from .identities import remove_identities
from .layout import settle_layout
from .names import name_weights
from .neutral import merge_casts, merge_reshapes, remove_neutral
from .ones import keep_reduced, reshape_ones
from .products import fuse_gemm, turn_operands
from .repeated import drop_expansions
from .scope import Scope, Shared

Pass = Callable[[Scope], bool]

CLEANING: tuple[Pass, ...] = (
    remove_dead,
    fold_constants,
    remove_neutral,
    merge_casts,
    merge_reshapes,
    remove_identities,
    merge_duplicates,
    turn_operands,
)
FUSING: tuple[Pass, ...] = (
    fold_padding,
    fold_normalization,
    fold_bias,
    fuse_gemm,
    reshape_ones,
    keep_reduced,
    drop_expansions,
)
ROUNDS = 30
"""Every pass makes the graph smaller, so that few rounds do; this only stops what should never happen."""


def improve(
    graph: OnnxGraph, opset: int, fold_batch_normalization: bool = True, keep_weights: bool = False
) -> OnnxGraph:
    """Make a graph smaller without changing what it computes; changes it in place and returns it.

    keep_weights: every variable must be readable back from the file, so weights are only transposed and reshaped
    """
    scope = Scope(Shared(graph, opset, keep_weights), graph)
    fusing = [p for p in FUSING if fold_batch_normalization or p is not fold_normalization]
    _repeat(scope, CLEANING)
    for _ in range(2):
        settled = _everywhere(scope, settle_layout)
        fused = _repeat(scope, (*CLEANING, *fusing) if settled else (*fusing, *CLEANING))  # all is clean at first
        if not settled or not fused:
            break
    remove_dead(scope)
    name_weights(scope)
    graph.specs = {name: graph.specs[name] for name in _values(graph) if name in graph.specs}
    return graph


def _repeat(scope: Scope, passes: Sequence[Pass]) -> bool:
    """Run passes in turn until each has found nothing to change since the last change; whether any did."""
    quiet, ever = 0, False
    for change in itertools.islice(itertools.cycle(passes), ROUNDS * len(passes)):
        if _everywhere(scope, change):
            quiet, ever = 0, True
        else:
            quiet += 1
        if quiet == len(passes):
            break
    return ever


def _everywhere(scope: Scope, change: Pass) -> bool:
    """Run a pass on a graph and on those inside its nodes."""
    changed = False
    for inner in scope.inner():
        changed |= _everywhere(inner, change)
    return change(scope) or changed


def _values(graph: OnnxGraph) -> list[str]:
    made = [name for node in graph.nodes for name in node.outputs if name]
    return [*graph.inputs, *graph.initializers, *made]
