"""Settings of the library (Keras name: `keras.config`)."""

from __future__ import annotations

from .core.dtypes import epsilon, floatx, set_epsilon, set_floatx
from .threads import set_blas_threads, set_threads

__all__ = [
    "backend", "epsilon", "floatx", "image_data_format", "set_blas_threads", "set_epsilon", "set_floatx", "set_threads",
]  # fmt: skip


def backend() -> str:
    """The one core there is: "numpy"."""
    return "numpy"


def image_data_format() -> str:
    """Where channels stand unless a layer says otherwise: "channels_last"."""
    return "channels_last"
