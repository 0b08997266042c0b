"""Depthwise and separable convolutions."""

from __future__ import annotations

from typing import Any

from ...trainer import constraints, initializers, ops, regularizers
from .checks import positive_integer
from .convolution import SpatialLayer
from .registry import LAYERS


class DepthwiseConvolution(SpatialLayer):
    """Base of the depthwise convolutions: each channel has windows of its own, `depth_multiplier` of them."""

    def __init__(
        self, kernel_size: Any, strides: Any = 1, padding: Any = "valid", depth_multiplier: int = 1,
        data_format: str | None = None, dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        depthwise_constraint: Any = None, bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation=activation, use_bias=use_bias,
            bias_initializer=bias_initializer, bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer, bias_constraint=bias_constraint, **kwargs,
        )  # fmt: skip
        self.depth_multiplier = positive_integer(type(self).__name__, "depth_multiplier", depth_multiplier)
        self.depthwise_initializer = self.kernel_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = self.kernel_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = self.kernel_constraint = constraints.get(depthwise_constraint)

    def build(self, input_shape: Any) -> None:
        """Make kernel (window..., channels, multiplier) and bias (channels * multiplier,)."""
        channels = self.channels_of(input_shape)
        self.kernel = self.add_kernel((*self.kernel_size, channels, self.depth_multiplier))
        self.bias = self.add_bias((channels * self.depth_multiplier,))

    def call(self, inputs: Any) -> Any:
        """The convolution, the bias, the activation."""
        x, padding = self.pad_causal(inputs)
        x = ops.depthwise_conv(x, self.kernel, self.strides, padding, self.data_format, self.dilation_rate, self.bias)
        return self.activate(x)


@LAYERS.register()
class DepthwiseConv1D(DepthwiseConvolution):
    """Depthwise convolution over time (ONNX: Conv with groups)."""

    rank = 1


@LAYERS.register()
class DepthwiseConv2D(DepthwiseConvolution):
    """Depthwise convolution over height and width (ONNX: Conv with groups).

    >>> import sardonyx as sx
    >>> sx.layers.DepthwiseConv2D(3, depth_multiplier=2)(sx.ops.ones((1, 5, 5, 3))).shape
    (1, 3, 3, 6)
    """


class SeparableConvolution(SpatialLayer):
    """Base of the separable convolutions: a depthwise one, then a product over channels."""

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: Any = "valid", data_format: str | None = None,
        dilation_rate: Any = 1, depth_multiplier: int = 1, activation: Any = None, use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform", pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros", depthwise_regularizer: Any = None, pointwise_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, depthwise_constraint: Any = None,
        pointwise_constraint: Any = None, bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation=activation, use_bias=use_bias,
            bias_initializer=bias_initializer, bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer, bias_constraint=bias_constraint, **kwargs,
        )  # fmt: skip
        self.filters = positive_integer(type(self).__name__, "filters", filters)
        self.depth_multiplier = positive_integer(type(self).__name__, "depth_multiplier", depth_multiplier)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.pointwise_constraint = constraints.get(pointwise_constraint)

    def build(self, input_shape: Any) -> None:
        """Make the depthwise kernel, the pointwise kernel and the bias."""
        channels = self.channels_of(input_shape)
        ones = (1,) * self.rank
        self.depthwise_kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier), self.depthwise_initializer,
            regularizer=self.depthwise_regularizer, constraint=self.depthwise_constraint, name="depthwise_kernel",
        )  # fmt: skip
        self.pointwise_kernel = self.add_weight(
            (*ones, channels * self.depth_multiplier, self.filters), self.pointwise_initializer,
            regularizer=self.pointwise_regularizer, constraint=self.pointwise_constraint, name="pointwise_kernel",
        )  # fmt: skip
        self.bias = self.add_bias((self.filters,))

    def call(self, inputs: Any) -> Any:
        """Both convolutions, the bias, the activation."""
        x, padding = self.pad_causal(inputs)
        x = ops.depthwise_conv(x, self.depthwise_kernel, self.strides, padding, self.data_format, self.dilation_rate)
        return self.activate(ops.conv(x, self.pointwise_kernel, 1, "valid", self.data_format, 1, self.bias))


@LAYERS.register("SeparableConvolution1D")
class SeparableConv1D(SeparableConvolution):
    """Separable convolution over time."""

    rank = 1


@LAYERS.register("SeparableConvolution2D")
class SeparableConv2D(SeparableConvolution):
    """Separable convolution over height and width.

    >>> import sardonyx as sx
    >>> sx.layers.SeparableConv2D(4, 3, padding="same")(sx.ops.ones((1, 5, 5, 3))).shape
    (1, 5, 5, 4)
    """
