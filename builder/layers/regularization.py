"""Layers that act in training only: dropout and noise; and penalties on activity."""

from __future__ import annotations

import math
from typing import Any

from ...trainer import ops, regularizers
from ...trainer.core.errors import DtypeError, ShapeError
from ...trainer.ops import random
from ...trainer.ops.seed import SeedGenerator
from ..input_spec import InputSpec
from ..layer import Layer
from .checks import data_format_of, fraction
from .registry import LAYERS


class RandomLayer(Layer):
    """Base of layers that draw random numbers: a generator of their own, seeded by `seed`."""

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True

    def check_floating(self, inputs: Any) -> None:
        """Raise `DtypeError` for numbers that are no floating-point ones, in either mode: training cannot take them."""
        if inputs.dtype.kind != "f":
            raise DtypeError(
                f"expected floating-point numbers, got {inputs.dtype.name}; embed integers first, or convert them "
                "with ops.cast(x, 'float32')"
            )


@LAYERS.register()
class Dropout(RandomLayer):
    """In training, sets a fraction `rate` of the inputs to 0 and scales the rest by `1 / (1 - rate)`.

    Source: Srivastava et al., 2014.

    >>> import sardonyx as sx
    >>> sx.layers.Dropout(0.5)(sx.ops.ones((2, 2)), training=False).numpy().tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = fraction(type(self).__name__, "rate", rate)
        self.noise_shape = noise_shape

    def noise_shape_for(self, inputs: Any) -> Any:
        """Shape of the random mask; None is the input's."""
        if self.noise_shape is None:
            return None
        if len(self.noise_shape) != len(inputs.shape):
            raise ShapeError(
                f"noise_shape {tuple(self.noise_shape)} has {len(self.noise_shape)} sizes, the input "
                f"{len(inputs.shape)}"
            )
        return tuple(inputs.shape[i] if size is None else size for i, size in enumerate(self.noise_shape))

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        """Drop in training; nothing otherwise."""
        self.check_floating(inputs)
        noise_shape = self.noise_shape_for(inputs)  # raises in either mode, as training would
        if not training or self.rate == 0:
            return inputs
        if self.rate == 1:
            return ops.zeros_like(inputs)
        return random.dropout(inputs, self.rate, noise_shape, self.seed_generator)


class SpatialDropout(Dropout):
    """Base of the spatial dropouts: whole feature maps are dropped."""

    rank = 2

    def __init__(self, rate: float, data_format: str | None = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, None, seed, **kwargs)
        self.data_format = data_format_of(type(self).__name__, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def noise_shape_for(self, inputs: Any) -> Any:
        """One number a feature map."""
        shape, ones = inputs.shape, (1,) * self.rank
        return (shape[0], *ones, shape[-1]) if self.data_format == "channels_last" else (shape[0], shape[1], *ones)


@LAYERS.register()
class SpatialDropout1D(SpatialDropout):
    """Drops whole channels of sequences (Tompson et al., 2014)."""

    rank = 1

    def __init__(self, rate: float, seed: int | None = None, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(rate, None, seed, name=name, **kwargs)


@LAYERS.register()
class SpatialDropout2D(SpatialDropout):
    """Drops whole channels of images (Tompson et al., 2014)."""


@LAYERS.register()
class SpatialDropout3D(SpatialDropout):
    """Drops whole channels of volumes (Tompson et al., 2014)."""

    rank = 3


@LAYERS.register()
class GaussianNoise(RandomLayer):
    """In training, adds normal noise of standard deviation `stddev`."""

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        if not isinstance(stddev, (int, float)) or stddev < 0:
            raise ValueError(f"GaussianNoise: stddev must be a number of 0 or more, got {stddev!r}")
        self.stddev = stddev

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        """Add noise in training."""
        self.check_floating(inputs)
        if not training or self.stddev == 0:
            return inputs
        return inputs + random.normal(inputs.shape, 0.0, self.stddev, inputs.dtype, self.seed_generator)


@LAYERS.register()
class GaussianDropout(RandomLayer):
    """In training, multiplies by normal noise of mean 1 and deviation `sqrt(rate / (1 - rate))`."""

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = fraction("GaussianDropout", "rate", rate)
        if self.rate == 1:
            raise ValueError("GaussianDropout: rate must be below 1")

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        """Multiply by noise in training."""
        self.check_floating(inputs)
        if not training or self.rate == 0:
            return inputs
        deviation = math.sqrt(self.rate / (1 - self.rate))
        return inputs * random.normal(inputs.shape, 1.0, deviation, inputs.dtype, self.seed_generator)


@LAYERS.register()
class AlphaDropout(RandomLayer):
    """Dropout that keeps mean and variance, for networks of SELU units (Klambauer et al., 2017)."""

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = fraction("AlphaDropout", "rate", rate)
        if self.rate == 1:
            raise ValueError("AlphaDropout: rate must be below 1")
        self.noise_shape = noise_shape

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        """Replace a fraction by SELU's negative limit, then rescale."""
        self.check_floating(inputs)
        if not training or self.rate == 0:
            return inputs
        limit = -1.6732632423543772 * 1.0507009873554805
        shape = (
            inputs.shape
            if self.noise_shape is None
            else tuple(inputs.shape[i] if size is None else size for i, size in enumerate(self.noise_shape))
        )
        drawn = random.uniform(shape, dtype=inputs.dtype, seed=self.seed_generator)
        kept = ops.cast(ops.greater_equal(drawn, self.rate), inputs.dtype)
        scale = ((1 - self.rate) * (1 + self.rate * limit**2)) ** -0.5
        return scale * (inputs * kept + limit * (1 - kept)) - scale * limit * self.rate


@LAYERS.register()
class ActivityRegularization(Layer):
    """Passes its input on, and adds a penalty on it to the loss."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **kwargs)
        self.l1, self.l2 = l1, l2
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The input."""
        return inputs
