"""Adaptive pooling layers: windows chosen so that the output has a given size."""

from __future__ import annotations

from typing import Any

from ...trainer import ops
from ..input_spec import InputSpec
from ..layer import Layer
from .checks import data_format_of, integer_tuple
from .registry import LAYERS


class AdaptivePooling(Layer):
    """Base of adaptive pooling: (batch, space..., channels) to (batch, output_size..., channels)."""

    rank = 2
    kind = "average"

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        name = type(self).__name__
        self.output_size = integer_tuple(name, "output_size", output_size, self.rank)
        self.data_format = data_format_of(name, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        """The mean, or the largest value, of each window."""
        pool = ops.adaptive_average_pool if self.kind == "average" else ops.adaptive_max_pool
        return pool(inputs, self.output_size, self.data_format)


@LAYERS.register()
class AdaptiveAveragePooling1D(AdaptivePooling):
    """Means over time, `output_size` of them."""

    rank = 1


@LAYERS.register()
class AdaptiveAveragePooling2D(AdaptivePooling):
    """Means over height and width, `output_size` of them.

    >>> import sardonyx as sx
    >>> sx.layers.AdaptiveAveragePooling2D((2, 3))(sx.ops.ones((1, 7, 7, 4))).shape
    (1, 2, 3, 4)
    """


@LAYERS.register()
class AdaptiveAveragePooling3D(AdaptivePooling):
    """Means over three axes of space, `output_size` of them."""

    rank = 3


@LAYERS.register()
class AdaptiveMaxPooling1D(AdaptivePooling):
    """Largest values over time, `output_size` of them."""

    rank = 1
    kind = "max"


@LAYERS.register()
class AdaptiveMaxPooling2D(AdaptivePooling):
    """Largest values over height and width, `output_size` of them."""

    kind = "max"


@LAYERS.register()
class AdaptiveMaxPooling3D(AdaptivePooling):
    """Largest values over three axes of space, `output_size` of them."""

    rank = 3
    kind = "max"
