"""Models that were read from somebody's file, saved here, and read again: their layers know that file as before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..exporters.source import Source
from .imported import imported_model


def know_again(model: Any, source: Source, output_names: Sequence[str]) -> None:
    """Tell layers which nodes of the saved file they are, where it goes on as the first one did.

    source: the file that was saved
    output_names: of the model then
    """
    own = source.without(lambda key: key.startswith("sardonyx."))
    layers = [layer for layer in model.walk_layers() if layer is not model]
    for layer in layers:
        if getattr(layer, "fragment", None) is not None:
            layer.fragment.source = own
    for x, name in zip(model.plan.output_tensors, output_names, strict=False):
        if x.symbol is not None and x.symbol.node is not None:
            x.symbol.name = str(name)
    others: dict[str, Any] = {}
    for layer in layers:  # those around others come first
        if getattr(layer, "fragment", None) is None:
            others.setdefault(layer.name, layer)
    for twin in imported_model(own, frozen="unsupported").walk_layers():
        layer, lifted = others.get(twin.name), getattr(twin, "lifted", None)
        if layer is None or lifted is None or type(layer) is not type(twin) or not lifted.is_as_read(layer):
            continue
        ours, theirs = layer.weights, twin.weights
        if [v.shape for v in ours] == [v.shape for v in theirs]:
            pairs = dict(zip(theirs, ours, strict=True))
            lifted.weights = {pairs.get(v, v): place for v, place in lifted.weights.items()}
            layer.lifted = lifted
