"""Helpers around models (Keras name: `keras.utils`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..trainer import naming
from ..trainer.core import dims
from ..trainer.core.dtypes import dtype_name as standardize_dtype
from ..trainer.core.later import loaded_later
from ..trainer.core.tensor import Tensor
from ..trainer.data.dataset import PyDataset, normalize, pad_sequences, timeseries_windows, to_categorical
from ..trainer.data.structure import pack_x_y_sample_weight, unpack_x_y_sample_weight
from ..trainer.ops.seed import global_seed_generator
from ..trainer.seed import set_random_seed
from .persistence import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from .plot import plot_model

if TYPE_CHECKING:
    from ..trainer.callbacks import Progbar
    from .feature_store import clear_features
    from .feature_training import cached_predict
    from .image_files import array_to_img, img_to_array, load_img, save_img

Sequence = PyDataset


def is_keras_tensor(x: Any) -> bool:
    """Whether a value is a symbolic tensor."""
    return isinstance(x, Tensor) and x.is_symbolic


def clear_session(free_memory: bool = True) -> None:
    """Forget automatic names, and the global random generator's state.

    >>> import sardonyx as sx
    >>> sx.utils.clear_session()
    >>> sx.layers.Dense(1).name
    'dense'
    """
    naming.reset_names()
    dims.reset_fresh_names()
    global_seed_generator().reset()


__all__ = [
    "CustomObjectScope", "Progbar", "PyDataset", "Sequence", "array_to_img", "cached_predict", "clear_features",
    "clear_session", "custom_object_scope", "deserialize_keras_object", "get_custom_objects", "get_registered_name",
    "get_registered_object", "img_to_array", "is_keras_tensor", "load_img", "normalize", "pack_x_y_sample_weight",
    "pad_sequences", "plot_model", "register_keras_serializable", "save_img", "serialize_keras_object",
    "set_random_seed", "standardize_dtype", "timeseries_windows", "to_categorical", "unpack_x_y_sample_weight",
]  # fmt: skip

__getattr__, __dir__ = loaded_later(
    __name__,
    {
        "Progbar": "..trainer.callbacks",
        "cached_predict": ".feature_training",
        "clear_features": ".feature_store",
        **dict.fromkeys(("array_to_img", "img_to_array", "load_img", "save_img"), ".image_files"),
    },
)
