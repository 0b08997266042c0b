"""Convolution layers, 1-D to 3-D."""

from __future__ import annotations

from typing import Any

from ...trainer import activations, ops
from ...trainer.core.errors import ShapeError
from ...trainer.ops.convolution import conv_relu
from ..input_spec import InputSpec
from .checks import data_format_of, integer_tuple, padding_of, positive_integer
from .dense import WeightedLayer
from .registry import LAYERS


class SpatialLayer(WeightedLayer):
    """Shared by convolutions of any kind: kernel size, strides, padding, dilation, layout.

    Beyond Keras's names, `padding` takes pairs of cells (before, after), one pair an axis of space.
    """

    rank = 2

    def __init__(
        self, kernel_size: Any, strides: Any = 1, padding: Any = "valid", data_format: str | None = None,
        dilation_rate: Any = 1, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        kind = type(self).__name__
        self.kernel_size = integer_tuple(kind, "kernel_size", kernel_size, self.rank)
        self.strides = integer_tuple(kind, "strides", strides, self.rank)
        self.dilation_rate = integer_tuple(kind, "dilation_rate", dilation_rate, self.rank)
        allowed = ("valid", "same", "causal") if self.rank == 1 else ("valid", "same")
        self.padding = padding_of(kind, padding, self.rank, allowed)
        self.data_format = data_format_of(kind, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def channel_axis(self) -> int:
        """Axis of the channels."""
        return -1 if self.data_format == "channels_last" else 1

    def channels_of(self, input_shape: Any) -> int:
        """Number of input channels; raises `ShapeError` when it is not known."""
        channels = input_shape[self.channel_axis]
        if channels is None:
            raise ShapeError(
                f"{type(self).__name__} '{self.name}': the number of channels must be known, got input shape "
                f"{tuple(input_shape)}"
            )
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self.channel_axis: channels})
        return channels

    def pad_causal(self, x: Any) -> tuple[Any, Any]:
        """For causal padding: the input padded in front, so that no output sees later inputs."""
        if self.padding != "causal":
            return x, self.padding
        front = (self.kernel_size[0] - 1) * self.dilation_rate[0]
        widths = [(0, 0), (front, 0), (0, 0)] if self.data_format == "channels_last" else [(0, 0), (0, 0), (front, 0)]
        return ops.pad(x, widths), "valid"


class Convolution(SpatialLayer):
    """Base of Conv1D, Conv2D and Conv3D: a window slides over the input, `filters` outputs at each place.

    Input (batch, space..., channels), output (batch, new space..., filters); channels first on request.
    """

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: Any = "valid", data_format: str | None = None,
        dilation_rate: Any = 1, groups: int = 1, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation=activation, use_bias=use_bias,
            kernel_initializer=kernel_initializer, bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer, bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint, bias_constraint=bias_constraint, **kwargs,
        )  # fmt: skip
        kind = type(self).__name__
        self.filters = positive_integer(kind, "filters", filters)
        self.groups = positive_integer(kind, "groups", groups)
        if self.filters % self.groups:
            raise ValueError(f"{kind}: filters ({filters}) must be a multiple of groups ({groups})")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{kind}: strides {self.strides} and dilation_rate {self.dilation_rate} cannot both be above 1"
            )

    def build(self, input_shape: Any) -> None:
        """Make kernel (window..., channels / groups, filters) and bias (filters,)."""
        channels = self.channels_of(input_shape)
        if channels % self.groups:
            raise ShapeError(
                f"{type(self).__name__} '{self.name}': the input's {channels} channels are no multiple of "
                f"groups={self.groups}"
            )
        self.kernel = self.add_kernel((*self.kernel_size, channels // self.groups, self.filters))
        self.bias = self.add_bias((self.filters,))

    def call(self, inputs: Any) -> Any:
        """The convolution, the bias, the activation."""
        x, padding = self.pad_causal(inputs)
        settings = self.strides, padding, self.data_format, self.dilation_rate, self.bias
        if self.activation is activations.relu:
            return conv_relu(x, self.kernel, *settings)
        return self.activate(ops.conv(x, self.kernel, *settings))


@LAYERS.register("Convolution1D")
class Conv1D(Convolution):
    """Convolution over time: (batch, time, channels) to (batch, new time, filters) (ONNX: Conv).

    >>> import sardonyx as sx
    >>> sx.layers.Conv1D(8, 3, padding="causal")(sx.ops.ones((2, 10, 4))).shape
    (2, 10, 8)
    """

    rank = 1


@LAYERS.register("Convolution2D")
class Conv2D(Convolution):
    """Convolution over height and width: (batch, height, width, channels) (ONNX: Conv).

    >>> import sardonyx as sx
    >>> sx.layers.Conv2D(8, 3, padding="same", strides=2)(sx.ops.ones((2, 28, 28, 1))).shape
    (2, 14, 14, 8)
    """


@LAYERS.register("Convolution3D")
class Conv3D(Convolution):
    """Convolution over three axes of space (ONNX: Conv).

    >>> import sardonyx as sx
    >>> sx.layers.Conv3D(2, 3)(sx.ops.ones((1, 5, 5, 5, 1))).shape
    (1, 3, 3, 3, 2)
    """

    rank = 3


class TransposedConvolution(SpatialLayer):
    """Base of the transposed convolutions: the gradient of a convolution as a layer, for growing feature maps."""

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: Any = "valid", output_padding: Any = None,
        data_format: str | None = None, dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation=activation, use_bias=use_bias,
            kernel_initializer=kernel_initializer, bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer, bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint, bias_constraint=bias_constraint, **kwargs,
        )  # fmt: skip
        kind = type(self).__name__
        padding_of(kind, self.padding, self.rank)
        self.filters = positive_integer(kind, "filters", filters)
        given = output_padding is not None
        self.output_padding = integer_tuple(kind, "output_padding", output_padding, self.rank, 0) if given else None

    def build(self, input_shape: Any) -> None:
        """Make kernel (window..., filters, channels) and bias (filters,)."""
        self.kernel = self.add_kernel((*self.kernel_size, self.filters, self.channels_of(input_shape)))
        self.bias = self.add_bias((self.filters,))

    def call(self, inputs: Any) -> Any:
        """The transposed convolution, the bias, the activation."""
        x = ops.conv_transpose(
            inputs, self.kernel, self.strides, self.padding, self.output_padding, self.data_format, self.dilation_rate,
            self.bias,
        )  # fmt: skip
        return self.activate(x)


@LAYERS.register("Convolution1DTranspose")
class Conv1DTranspose(TransposedConvolution):
    """Transposed convolution over time (ONNX: ConvTranspose)."""

    rank = 1


@LAYERS.register("Convolution2DTranspose")
class Conv2DTranspose(TransposedConvolution):
    """Transposed convolution over height and width (ONNX: ConvTranspose).

    >>> import sardonyx as sx
    >>> sx.layers.Conv2DTranspose(2, 3, strides=2, padding="same")(sx.ops.ones((1, 4, 4, 3))).shape
    (1, 8, 8, 2)
    """


@LAYERS.register("Convolution3DTranspose")
class Conv3DTranspose(TransposedConvolution):
    """Transposed convolution over three axes of space (ONNX: ConvTranspose)."""

    rank = 3
