"""How weights begin (Keras name: `keras.initializers`)."""

from __future__ import annotations

from typing import Any

from .base import INITIALIZERS, Initializer, RandomInitializer
from .constant import STFT, Constant, Identity, Ones, Zeros
from .drawn import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    compute_fans,
)

IdentityInitializer, OrthogonalInitializer, STFTInitializer = Identity, Orthogonal, STFT
constant, zeros, ones, identity, stft, orthogonal = Constant, Zeros, Ones, Identity, STFT, Orthogonal
glorot_normal, glorot_uniform, he_normal, he_uniform = GlorotNormal, GlorotUniform, HeNormal, HeUniform
lecun_normal, lecun_uniform, random_normal, random_uniform = LecunNormal, LecunUniform, RandomNormal, RandomUniform
truncated_normal, variance_scaling = TruncatedNormal, VarianceScaling


def get(identifier: Any) -> Any:
    """The initializer of a name, configuration, object, function `(shape, dtype)` or array.

    >>> import sardonyx as sx
    >>> sx.initializers.get("zeros")((2,)).numpy().tolist()
    [0.0, 0.0]
    """
    if hasattr(identifier, "shape") and not callable(identifier):
        return Constant(identifier)
    return INITIALIZERS.get(identifier)


def serialize(initializer: Any) -> Any:
    """The configuration of an initializer."""
    return INITIALIZERS.serialize(initializer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The initializer of a configuration."""
    return INITIALIZERS.deserialize(config, custom_objects)


__all__ = [
    "STFT", "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "IdentityInitializer",
    "Initializer", "LecunNormal", "LecunUniform", "Ones", "Orthogonal", "OrthogonalInitializer", "RandomInitializer",
    "RandomNormal", "RandomUniform", "STFTInitializer", "TruncatedNormal", "VarianceScaling", "Zeros", "compute_fans",
    "constant", "deserialize", "get", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "identity",
    "lecun_normal", "lecun_uniform", "ones", "orthogonal", "random_normal", "random_uniform", "serialize", "stft",
    "truncated_normal", "variance_scaling", "zeros",
]  # fmt: skip
