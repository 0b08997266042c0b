"""Models: the classes, how they are copied, saved and loaded (Keras name: `keras.models`), and the zoo."""

from ..builder.cloning import clone_model
from ..builder.functional import Functional
from ..builder.loading import load_model, model_from_json
from ..builder.model import Model
from ..builder.saving import save_model
from ..builder.sequential import Sequential
from . import applications
from .applications import *

__all__ = [
    "Functional",
    "Model",
    "Sequential",
    "applications",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]
__all__ += applications.__all__
