"""Saving, loading and registering (Keras name: `keras.saving`).

What reads and writes files is loaded when it is first used: a program that only trains has no use for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..trainer.core.later import loaded_later
from ..trainer.custom_objects import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from ..trainer.serialization import deserialize_object as deserialize_keras_object
from ..trainer.serialization import serialize_object as serialize_keras_object

if TYPE_CHECKING:
    from .checkpoint import Checkpoint
    from .loading import load_model
    from .saving import save_model
    from .weights_file import load_weights, save_weights

CustomObjectScope = custom_object_scope

__all__ = [
    "Checkpoint", "CustomObjectScope", "custom_object_scope", "deserialize_keras_object", "get_custom_objects",
    "get_registered_name", "get_registered_object", "load_model", "load_weights", "register_keras_serializable",
    "save_model", "save_weights", "serialize_keras_object",
]  # fmt: skip

__getattr__, __dir__ = loaded_later(
    __name__,
    {
        "Checkpoint": ".checkpoint",
        "load_model": ".loading",
        "save_model": ".saving",
        **dict.fromkeys(("load_weights", "save_weights"), ".weights_file"),
    },
)
