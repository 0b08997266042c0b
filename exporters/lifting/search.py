"""All layers of a file: runs of nodes that are one each, without overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ...trainer.core.variable import Variable
from . import activation, arrange, attention, convolution, linear, normalization, recurrent
from .names import name_layers, scope_of
from .table import DECOMPOSED, SINGLE, Finder
from .view import OUTSIDE, Found, GraphView, sharing_key

FAMILIES = (attention, activation, arrange, convolution, linear, normalization, recurrent)


def find_layers(model: Any, weights: Mapping[str, Variable]) -> list[Found]:
    """The layers of a `ModelProto`, in the order of their last nodes.

    weights: floating-point weights by their names in the file
    """
    view = GraphView(model, weights)
    claimed: dict[int, Found] = {}
    operators = [view.operator(i) for i in range(len(view.nodes))]
    for find, roots in DECOMPOSED:
        for i, operator in enumerate(operators):
            if operator in roots and i not in claimed:
                _claim(view, i, [find], claimed)
    for i, operator in enumerate(operators):
        if operator in SINGLE and i not in claimed:
            _claim(view, i, SINGLE[operator], claimed)
    found = list({id(x): x for x in claimed.values()}.values())
    found = _without_shared_kernels(view, _with_activations(view, found))
    _note_crowded_weights(view, found)
    found.sort(key=lambda x: max(x.nodes))
    name_layers(view, found)
    return found


def _claim(view: GraphView, i: int, finders: Sequence[Finder], claimed: dict[int, Found]) -> None:
    for find in finders:
        found = find(view, i)
        if found is None or any(node in claimed for node in found.nodes):
            continue
        is_private = view.is_private(found.nodes, found.outputs)
        if is_private and not any(view.array(x) is not None for x in found.inputs):
            claimed.update(dict.fromkeys(found.nodes, found))
            return


def _with_activations(view: GraphView, found: list[Found]) -> list[Found]:
    """Layers of one scope with the activation that follows them inside it, as Keras writes them."""
    by_first = {min(x.nodes): x for x in found}
    merged: set[int] = set()
    for layer in found:
        follower = by_first.get(view.only_reader(layer.outputs[0]) or OUTSIDE)
        scopes = {scope_of(view, i) for x in (layer, follower) if x is not None for i in x.nodes}
        if follower is None or "kernel" not in layer.weights or len(scopes) > 1 or "" in scopes or layer.apply:
            continue
        own = [x for x in found if x is not layer and scope_of(view, x.nodes[0]) in scopes and x.weights]
        name = _activation(follower, last_axis=1 if view.operator(layer.nodes[0]) == "Gemm" else -1)
        if own or not name:
            continue
        layer.nodes, layer.outputs = (*layer.nodes, *follower.nodes), follower.outputs
        layer.config["activation"] = name
        merged.add(id(follower))
    return [x for x in found if id(x) not in merged]


def _activation(follower: Found, last_axis: int) -> str | None:
    """The name of an activation without arguments of its own; None for other layers."""
    if follower.kind == "Activation":
        return follower.config["activation"] if follower.settle is None else None
    if follower.kind == "ReLU" and not follower.config:
        return "relu"
    on_last = follower.config.get("axis") in (-1, last_axis)
    return "softmax" if follower.kind == "Softmax" and on_last and not follower.settle else None


def _without_shared_kernels(view: GraphView, found: list[Found]) -> list[Found]:
    """Layers whose kernels are read by nobody else, or by the same layer called again, which is one layer then.

    Weights of one axis are often shared because their values are equal: each layer gets its own.
    """
    kept = found
    while True:
        keys = {node: sharing_key(x) for x in kept for node in x.nodes}
        left = [x for x in kept if all(_alone(view, x, source.name, keys) for source in x.weights.values())]
        if len(left) == len(kept):
            return kept
        kept = left


def _note_crowded_weights(view: GraphView, found: list[Found]) -> None:
    calls = Counter(sharing_key(x) for x in found)
    for layer in found:
        names = {source.name for source in layer.weights.values()}
        own = calls[sharing_key(layer)]
        layer.crowded = tuple(sorted(name for name in names if len(view.users(name)) != own))


def _alone(view: GraphView, layer: Found, name: str, keys: Mapping[int, str]) -> bool:
    array = view.array(name)
    if array is not None and array.ndim < 2:
        return True
    own = sharing_key(layer)
    return all(keys.get(reader) == own for reader in view.users(name))


