"""Models: the classes, how they are copied, saved and loaded (Keras name: `keras.models`), and the zoo."""

from typing import TYPE_CHECKING

from ..builder.cloning import clone_model
from ..builder.functional import Functional
from ..builder.model import Model
from ..builder.sequential import Sequential
from ..trainer.core.later import loaded_later
from . import applications
from .applications import *
from .small import LeNet, PositionEmbedding, TemporalConvNet, TextTransformer, UNet, VisionTransformer

if TYPE_CHECKING:
    from ..builder.loading import load_model, model_from_json
    from ..builder.saving import save_model

__all__ = [
    "Functional",
    "LeNet",
    "Model",
    "PositionEmbedding",
    "Sequential",
    "TemporalConvNet",
    "TextTransformer",
    "UNet",
    "VisionTransformer",
    "applications",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]
__all__ += applications.__all__

__getattr__, __dir__ = loaded_later(
    __name__,
    {**dict.fromkeys(("load_model", "model_from_json"), "..builder.loading"), "save_model": "..builder.saving"},
)
