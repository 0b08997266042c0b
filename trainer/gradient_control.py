"""Gradients of functions and of bodies of control flow, for the rules of operations that hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .core.graph import Graph
from .core.operators import FUNCTIONS
from .core.tensor import Tensor
from .gradient import GradientTape
from .ops.bodies import replay
from .ops.passing import pass_through

__all__ = ["function_vjp", "graph_vjp"]


def function_vjp(
    function: Callable[..., Sequence[Tensor]],
    inputs: Sequence[Tensor],
    cotangents: Sequence[Tensor | None],
    wanted: Sequence[int],
) -> list[Tensor]:
    """Gradients of the wanted inputs, zeros where nothing depends on them, for gradients of a function's results."""
    # a tensor given twice has two gradients here, so each place gets a tensor of its own
    own = [pass_through(x) if i in wanted else x for i, x in enumerate(inputs)]
    sources = [own[i] for i in wanted]
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(sources)
        results = function(*own)
    pairs = [(r, g) for r, g in zip(results, cotangents, strict=True) if g is not None]
    return tape.gradient([r for r, _ in pairs], sources, [g for _, g in pairs], unconnected_gradients="zero")


def graph_vjp(
    graph: Graph, inputs: Sequence[Tensor], cotangents: Sequence[Tensor | None], wanted: Sequence[int]
) -> list[Tensor]:
    """`function_vjp` of a graph."""
    return function_vjp(lambda *own: replay(graph, own), inputs, cotangents, wanted)


FUNCTIONS["function_vjp"] = function_vjp
FUNCTIONS["graph_vjp"] = graph_vjp
