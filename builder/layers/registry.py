"""The layers by name."""

from __future__ import annotations

from typing import Any

from ...trainer.registry import Registry
from ..input import InputLayer
from ..layer import Layer

LAYERS = Registry("layer", "layers", Layer, functions=False)
LAYERS.add(InputLayer)


def get(identifier: Any) -> Any:
    """The layer of a name, configuration or object."""
    return LAYERS.get(identifier)


def serialize(layer: Any) -> Any:
    """The configuration of a layer."""
    return LAYERS.serialize(layer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The layer of a configuration."""
    return LAYERS.deserialize(config, custom_objects)
