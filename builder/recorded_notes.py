"""What is told of layers and models whose classes are not here."""

from __future__ import annotations

import warnings
from typing import Any

from . import later


def absent_classes(model: Any) -> list[str]:
    """Names of the classes that are not here, in order of first use."""
    layers = [layer for layer in later.recorded_layers(model) if not layer._forced]
    return list(dict.fromkeys(layer.recorded_class for layer in layers))


def summary_lines(model: Any) -> list[str]:
    """What a summary says of them; nothing for a model all of whose classes are here."""
    names = absent_classes(model)
    return [f" Recorded, without the class: {', '.join(names)}"] if names else []


def warn_of_loss(model: Any, what: str, notes: list[str]) -> None:
    """One warning with everything that could not be had again."""
    lines = [*_lost(model), *notes]
    if lines:
        warnings.warn("\n  ".join([f"{what}: {lines[0]}", *lines[1:]]), stacklevel=3)


def _lost(model: Any) -> list[str]:
    names = absent_classes(model)
    if not names:
        return []
    layers = later.recorded_layers(model)
    many = len(names) > 1
    lines = [
        f"{'classes' if many else 'class'} {', '.join(names)} {'are' if many else 'is'} not here; what was recorded "
        f"stands for {'them' if many else 'it'}: the computation in training and inference mode for arguments like "
        "those of then. Other structures of inputs, other Python arguments, methods and attributes are lost. Register "
        f"{'them' if many else 'it'} or pass custom_objects to have {'them' if many else 'it'} back"
    ]
    reasons = {layer.recorded_class: layer.reason for layer in layers if not layer._forced}
    lines += [f"{name}: {reason}" for name, reason in reasons.items()]
    for layer in layers:
        lines += [f"layer '{layer.name}': {mode} was not recorded ({why})" for mode, why in layer.missing.items()]
        lines += [f"layer '{layer.name}': {part} is left out" for part in layer.lost]
        if layer.lost_methods:
            methods = ", ".join(layer.lost_methods)
            lines.append(f"layer '{layer.name}': the class's own {methods} is replaced by the usual one")
    return lines
