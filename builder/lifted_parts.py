"""The layers inside a layer that own its weights, with a prefix by which they are told apart."""

from __future__ import annotations

from .layer import Layer
from .layers.bidirectional import Bidirectional
from .layers.multi_head_attention import MultiHeadAttention


def parts_of(layer: Layer) -> list[tuple[Layer, str]]:
    """The layer and those below it: "forward/" and "backward/" in a Bidirectional, "query/" and such in attention."""
    inside = layer.walk_layers()
    for part in inside:
        if isinstance(part, Bidirectional):
            ways = (("forward/", part.forward_layer), ("backward/", part.backward_layer))
            return [(each, prefix) for prefix, way in ways for each in way.walk_layers()]
        if isinstance(part, MultiHeadAttention):
            return [(each, f"{each.name}/") for each in part.child_layers()]
    return [(part, "") for part in inside]
