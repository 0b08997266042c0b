"""Products with a weight: Dense, Embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .table import finder
from .view import Found, GraphView, Source


def bias_after(view: GraphView, output: str, size: int, behind: int = 0) -> tuple[tuple[int, ...], Source] | None:
    """The Add of one number a feature, or a channel with `behind` axes after it, that follows a value."""
    i = view.only_reader(output)
    if i is None or view.operator(i) != "Add":
        return None
    name = next((x for x in view.nodes[i].input if x != output), "")
    found = row(view, name, size, behind)
    return None if found is None else ((*found[1], i), found[0])


def row(view: GraphView, name: str, size: int, behind: int = 0) -> tuple[Source, tuple[int, ...]] | None:
    """A weight of one number a feature: where it comes from, axes of size 1 dropped, and the nodes that bring it."""
    carried = view.carried(name) if name else None
    if carried is None:
        return None
    source, array, nodes = carried
    place = array.ndim - 1 - behind
    if array.size != size or place not in (0, 1) or array.shape[place] != size:
        return None
    steps = source.steps if array.ndim == 1 else (*source.steps, ("reshape", (size,)))
    return Source(source.name, steps), nodes


def known_features(rank: int) -> Any:
    """Settles for tensors of at least a rank whose last size is a number."""

    def settle(inputs: Sequence[Any]) -> dict[str, Any] | None:
        shape = inputs[0].shape
        return {} if len(shape) >= rank and isinstance(shape[-1], int) else None

    return settle


@finder("MatMul")
def product(view: GraphView, i: int) -> Found | None:
    """x @ kernel, with the bias that is added."""
    x, name = view.nodes[i].input
    kernel = view.carried(name)
    if kernel is None or kernel[1].ndim != 2:
        return None
    source, array, extra = kernel
    output, units = view.nodes[i].output[0], array.shape[1]
    bias = bias_after(view, output, units)
    nodes, weights = (i, *extra), {"kernel": source}
    if bias is not None:
        nodes, weights, output = (*nodes, *bias[0]), {**weights, "bias": bias[1]}, view.nodes[bias[0][-1]].output[0]
    config = {"units": units, "use_bias": bias is not None}
    return Found("Dense", nodes, (x,), (output,), config, weights, known_features(2))


@finder("Gemm")
def general_product(view: GraphView, i: int) -> Found | None:
    """Gemm without factors."""
    options = view.attributes(i)
    x, name, shift = (view.given(i, place) for place in range(3))
    kernel = view.carried(name)
    plain = not options.get("transA", 0) and options.get("alpha", 1.0) == 1 and options.get("beta", 1.0) == 1
    if kernel is None or kernel[1].ndim != 2 or not plain:
        return None
    source, array, nodes = kernel
    turned = options.get("transB", 0)
    units = array.shape[0 if turned else 1]
    weights = {"kernel": Source(source.name, (*source.steps, ("transpose", (1, 0)))) if turned else source}
    if shift:
        bias = row(view, shift, units)
        if bias is None:
            return None
        weights["bias"], nodes = bias[0], (*nodes, *bias[1])
    config = {"units": units, "use_bias": bool(shift)}
    return Found("Dense", (i, *nodes), (x,), (view.nodes[i].output[0],), config, weights, known_features(2))


@finder("Gather")
def embedding(view: GraphView, i: int) -> Found | None:
    """Rows of a matrix by whole numbers."""
    table, indices = view.nodes[i].input
    array = view.weight(table)
    if array is None or array.ndim != 2 or view.attributes(i).get("axis", 0):
        return None
    config = {"input_dim": array.shape[0], "output_dim": array.shape[1]}
    weights = {"embeddings": view.source(table)}
    return Found("Embedding", (i,), (indices,), (view.nodes[i].output[0],), config, weights, _whole_numbers)


def _whole_numbers(inputs: Sequence[Any]) -> dict[str, Any] | None:
    return {} if len(inputs[0].shape) >= 1 and inputs[0].dtype.kind in "iu" else None
