"""Gradients of functions and of bodies of control flow, for the rules of operations that hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .core import tree
from .core.dims import promised
from .core.errors import describe_received
from .core.graph import Graph
from .core.operators import FUNCTIONS
from .core.tensor import Tensor
from .gradient import GradientTape
from .ops.bodies import replay
from .ops.create import ones_like
from .ops.passing import pass_through

__all__ = ["function_vjp", "graph_vjp", "tensor_gradient"]


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


def tensor_gradient(target: Tensor, sources: Any) -> Any:
    """Gradients of a symbolic tensor, summed to a scalar, with respect to symbolic tensors that it was made from.

    Zeros for a source that it does not depend on. Raises `TypeError` for a source that is not symbolic.
    """
    flat = tree.flatten(sources)
    for x in flat:
        if not isinstance(x, Tensor) or x.array is not None:
            raise TypeError(
                f"grad of a symbolic tensor: expected symbolic tensors to derive by, such as a model's inputs, got "
                f"{describe_received(x)}; for the gradient by weights open a GradientTape"
            )
    with promised():  # of what has been checked already
        found = graph_vjp(Graph(flat, [target]), flat, [ones_like(target)], range(len(flat)))
    return tree.pack_sequence_as(sources, found)


FUNCTIONS["function_vjp"] = function_vjp
FUNCTIONS["graph_vjp"] = graph_vjp
FUNCTIONS["tensor_gradient"] = tensor_gradient
