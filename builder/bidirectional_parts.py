"""The layers inside a layer that own its weights, with a prefix for those of each direction of time."""

from __future__ import annotations

from .layer import Layer
from .layers.bidirectional import Bidirectional


def parts_of(layer: Layer) -> list[tuple[Layer, str]]:
    """The layer and those below it, with "forward/" and "backward/" in a Bidirectional."""
    inside = layer.walk_layers()
    two_ways = next((part for part in inside if isinstance(part, Bidirectional)), None)
    if two_ways is None:
        return [(part, "") for part in inside]
    layer = two_ways
    ways = (("forward/", layer.forward_layer), ("backward/", layer.backward_layer))
    return [(part, prefix) for prefix, way in ways for part in way.walk_layers()]
