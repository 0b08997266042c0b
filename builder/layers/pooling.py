"""Pooling layers: local and global, 1-D to 3-D."""

from __future__ import annotations

from typing import Any

from ...trainer import ops
from ..input_spec import InputSpec
from ..layer import Layer
from .checks import data_format_of, integer_tuple, padding_of
from .registry import LAYERS


class Pooling(Layer):
    """Base of local pooling: windows of `pool_size`, moved by `strides` (the window's size by default).

    Beyond Keras's names, `padding` takes pairs of cells (before, after), one pair an axis of space.
    """

    rank = 2
    kind = "max"

    def __init__(
        self, pool_size: Any = 2, strides: Any = None, padding: Any = "valid", data_format: str | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        name = type(self).__name__
        self.pool_size = integer_tuple(name, "pool_size", pool_size, self.rank)
        self.strides = integer_tuple(name, "strides", pool_size if strides is None else strides, self.rank)
        self.padding = padding_of(name, padding, self.rank)
        self.data_format = data_format_of(name, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        """The largest value, or the mean, of each window."""
        pool = ops.max_pool if self.kind == "max" else ops.average_pool
        return pool(inputs, self.pool_size, self.strides, self.padding, self.data_format)


@LAYERS.register("MaxPool1D")
class MaxPooling1D(Pooling):
    """Largest value of windows in time (ONNX: MaxPool)."""

    rank = 1


@LAYERS.register("MaxPool2D")
class MaxPooling2D(Pooling):
    """Largest value of windows in height and width (ONNX: MaxPool).

    >>> import sardonyx as sx
    >>> sx.layers.MaxPooling2D()(sx.ops.ones((1, 8, 8, 3))).shape
    (1, 4, 4, 3)
    """


@LAYERS.register("MaxPool3D")
class MaxPooling3D(Pooling):
    """Largest value of windows in three axes of space (ONNX: MaxPool)."""

    rank = 3


class AveragePooling(Pooling):
    """Base of the averages; what is padded does not count."""

    kind = "average"

    def __init__(
        self, pool_size: Any, strides: Any = None, padding: Any = "valid", data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, **kwargs)


@LAYERS.register("AvgPool1D")
class AveragePooling1D(AveragePooling):
    """Mean of windows in time (ONNX: AveragePool)."""

    rank = 1


@LAYERS.register("AvgPool2D")
class AveragePooling2D(AveragePooling):
    """Mean of windows in height and width (ONNX: AveragePool)."""


@LAYERS.register("AvgPool3D")
class AveragePooling3D(AveragePooling):
    """Mean of windows in three axes of space (ONNX: AveragePool)."""

    rank = 3


class GlobalPooling(Layer):
    """Base of global pooling: everything but batch and channels is reduced, or kept with size 1 (`keepdims`)."""

    rank = 2

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(type(self).__name__, data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes of space."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))


class GlobalAverage(GlobalPooling):
    """Base of the global means."""

    def call(self, inputs: Any) -> Any:
        """The mean over space."""
        return ops.mean(inputs, axis=self.axes, keepdims=self.keepdims)


@LAYERS.register("GlobalAvgPool1D")
class GlobalAveragePooling1D(GlobalAverage):
    """Mean over time; masked steps do not count."""

    rank = 1

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The mean over time."""
        if mask is None:
            return super().call(inputs)
        axis = self.axes[0]
        weights = ops.expand_dims(ops.cast(mask, inputs.dtype), 2 if axis == 1 else 1)
        total = ops.sum(inputs * weights, axis=axis, keepdims=self.keepdims)
        return total / ops.sum(weights, axis=axis, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Time is gone, and the mask with it."""
        return None


@LAYERS.register("GlobalAvgPool2D")
class GlobalAveragePooling2D(GlobalAverage):
    """Mean over height and width.

    >>> import sardonyx as sx
    >>> sx.layers.GlobalAveragePooling2D()(sx.ops.ones((2, 4, 4, 3))).shape
    (2, 3)
    """


@LAYERS.register("GlobalAvgPool3D")
class GlobalAveragePooling3D(GlobalAverage):
    """Mean over three axes of space."""

    rank = 3


class GlobalMax(GlobalPooling):
    """Base of the global maxima."""

    def call(self, inputs: Any) -> Any:
        """The largest value over space."""
        return ops.max(inputs, axis=self.axes, keepdims=self.keepdims)


@LAYERS.register("GlobalMaxPool1D")
class GlobalMaxPooling1D(GlobalMax):
    """Largest value over time."""

    rank = 1


@LAYERS.register("GlobalMaxPool2D")
class GlobalMaxPooling2D(GlobalMax):
    """Largest value over height and width."""


@LAYERS.register("GlobalMaxPool3D")
class GlobalMaxPooling3D(GlobalMax):
    """Largest value over three axes of space."""

    rank = 3
