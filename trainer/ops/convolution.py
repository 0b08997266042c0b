"""Convolutions over one to three spatial axes, transposed, depthwise and separable ones (names of `keras.ops`)."""

from __future__ import annotations

from typing import Any

from ..core.dims import Size, is_static
from ..core.errors import ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.state import state
from ..core.tensor import Tensor
from .broadcast import reshape
from .convert import promote_all, to_float
from .convolution_primitives import convolution_input_gradient, convolution_primitive, convolution_relu_primitive
from .rectifier import relu
from .windows import (
    Pads,
    channels,
    check_image_rank,
    extent,
    per_axis,
    spatial,
    standard_data_format,
    standard_padding,
)

__all__ = ["conv", "conv_transpose", "depthwise_conv", "separable_conv"]


def _operands(operation: str, inputs: Any, kernel: Any, bias: Any, spatial_axes: int | None = None) -> list[Any]:
    """Image, kernel and bias in one floating-point type, their ranks checked."""
    given = [inputs, kernel] if bias is None else [inputs, kernel, bias]
    tensors = promote_all(*[to_float(x) for x in given])
    rank = check_image_rank(tensors[0].shape, operation)
    wanted = rank + 2 if spatial_axes is None else spatial_axes + 2
    if len(tensors[1].shape) != wanted or not is_static(tensors[1].shape):
        raise ShapeError(
            f"{operation}: an image {format_shape(tensors[0].shape)} needs a kernel of rank {wanted} "
            f"(spatial sizes, channels, filters), got {format_shape(tensors[1].shape)}"
        )
    return [*tensors, *[None] * (3 - len(tensors))]


def conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    bias: Any = None,
) -> Tensor:
    """Convolution over one, two or three spatial axes (ONNX: Conv).

    inputs: (batch, *sizes, channels), or (batch, channels, *sizes) with `data_format="channels_first"`
    kernel: (*taps, channels / groups, filters); the number of groups follows from the channels
    padding: "valid", "same", "causal" (one spatial axis: no tap looks ahead), or pairs of cells (before, after), one
        pair a spatial axis (beyond Keras's)
    bias: one number a filter, added to the result (beyond Keras's parameters, so that the export is one operator)

    Returns (batch, *new sizes, filters), channels where the input has them. Raises `ShapeError` when channels, ranks
    or sizes do not fit.

    >>> import sardonyx as sx
    >>> sx.ops.conv(sx.ops.ones((1, 5, 5, 3)), sx.ops.ones((3, 3, 3, 8)), strides=2, padding="same").shape
    (1, 3, 3, 8)
    """
    return _convolve(convolution_primitive, inputs, kernel, strides, padding, data_format, dilation_rate, bias)


def conv_relu(inputs: Any, *arguments: Any) -> Tensor:
    """`relu(conv(inputs, *arguments))`, as one kernel where the input is no symbolic tensor."""
    if type(inputs) is Tensor and inputs.array is not None and not state.traces:
        return _convolve(convolution_relu_primitive, inputs, *arguments)
    return relu(conv(inputs, *arguments))


def _convolve(
    primitive: Primitive,
    inputs: Any,
    kernel: Any,
    strides: Any,
    padding: Any,
    data_format: str | None,
    dilation_rate: Any,
    bias: Any,
) -> Tensor:
    image, kernel, bias = _operands("conv", inputs, kernel, bias)
    last = standard_data_format(data_format, "conv") == "channels_last"
    rank = len(image.shape) - 2
    known = ("valid", "same", "causal") if rank == 1 else ("valid", "same")
    name = standard_padding(padding, "conv", known, rank)
    steps = per_axis(strides, rank, "strides", "conv")
    dilation = per_axis(dilation_rate, rank, "dilation_rate", "conv")
    taps, (inner, filters) = kernel.shape[:-2], kernel.shape[-2:]
    pads = name if name != "causal" else ((extent(taps[0], dilation[0]) - 1, 0),)
    return primitive(
        image, kernel, *([] if bias is None else [bias]), strides=steps, padding=pads, dilation=dilation,
        groups=_groups(channels(image.shape, last), inner, filters), channels_last=last,
    )  # fmt: skip


def _groups(depth: Size, inner: int, filters: int) -> int:
    if not isinstance(depth, int):
        raise ShapeError(f"conv: the number of channels must be known, got the symbolic size {depth}")
    if not inner or depth % inner or filters % (depth // inner or 1):
        raise ShapeError(
            f"conv: {depth} channels cannot be split into groups of the kernel's {inner} channels with {filters} "
            "filters; channels must be a multiple of the kernel's channels, and filters a multiple of the groups"
        )
    return max(1, depth // inner)


def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    bias: Any = None,
) -> Tensor:
    """Convolution of each channel by itself (ONNX: Conv with as many groups as channels).

    kernel: (*taps, channels, multiplier). Returns channels * multiplier channels; result `c * multiplier + m` comes
    from channel c. Other parameters as in `conv`.

    >>> import sardonyx as sx
    >>> sx.ops.depthwise_conv(sx.ops.ones((1, 5, 5, 3)), sx.ops.ones((3, 3, 3, 2))).shape
    (1, 3, 3, 6)
    """
    image, kernel, bias = _operands("depthwise_conv", inputs, kernel, bias)
    last = standard_data_format(data_format, "depthwise_conv") == "channels_last"
    *taps, depth, multiplier = kernel.shape
    if channels(image.shape, last) != depth:
        raise ShapeError(
            f"depthwise_conv: the kernel {format_shape(kernel.shape)} is for {depth} channels, "
            f"got an image {format_shape(image.shape)} with {channels(image.shape, last)}"
        )
    grouped = reshape(kernel, (*taps, 1, depth * multiplier))
    return conv(image, grouped, strides, padding, data_format, dilation_rate, bias)


def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    bias: Any = None,
) -> Tensor:
    """Depthwise convolution, then a pointwise one that mixes the channels.

    depthwise_kernel: (*taps, channels, multiplier); pointwise_kernel: (1, ..., 1, channels * multiplier, filters).

    >>> import sardonyx as sx
    >>> x, deep, point = sx.ops.ones((1, 5, 5, 3)), sx.ops.ones((3, 3, 3, 2)), sx.ops.ones((1, 1, 6, 4))
    >>> sx.ops.separable_conv(x, deep, point).shape
    (1, 3, 3, 4)
    """
    between = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(between, pointwise_kernel, 1, "valid", data_format, 1, bias)


def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
    bias: Any = None,
) -> Tensor:
    """Transposed convolution: the adjoint of a convolution, used to enlarge (ONNX: ConvTranspose).

    kernel: (*taps, filters, channels). Sizes of the result, k being the dilated kernel's extent: without
    `output_padding` `size * stride` ("same") or `(size - 1) * stride + max(k, stride)` ("valid"); with it
    `(size - 1) * stride + k % 2 + output_padding` or `(size - 1) * stride + k + output_padding`. `padding` as pairs of
    cells, one pair a spatial axis, cuts these off: `(size - 1) * stride + k - before - after + output_padding`.

    Raises `ValueError` when `output_padding` is not smaller than the stride.

    >>> import sardonyx as sx
    >>> sx.ops.conv_transpose(sx.ops.ones((1, 4, 4, 3)), sx.ops.ones((3, 3, 8, 3)), 2, "same").shape
    (1, 8, 8, 8)
    """
    image, kernel, bias = _operands("conv_transpose", inputs, kernel, bias)
    last = standard_data_format(data_format, "conv_transpose") == "channels_last"
    rank = len(image.shape) - 2
    name = standard_padding(padding, "conv_transpose", rank=rank)
    steps = per_axis(strides, rank, "strides", "conv_transpose")
    dilation = per_axis(dilation_rate, rank, "dilation_rate", "conv_transpose")
    extra = _output_padding(output_padding, steps)
    sizes: list[Size] = []
    pads: list[tuple[int, int]] = []
    cuts: Any = (name,) * rank if isinstance(name, str) else name
    axes = zip(spatial(image.shape, last), kernel.shape[:-2], steps, dilation, extra, cuts, strict=True)
    for n, k, s, d, e, cut in axes:
        before, after = _transposed_pads(extent(k, d), s, cut, e)
        sizes.append((n - 1) * s + before + after - extent(k, d) + 2)
        low = extent(k, d) - 1 - before
        pads.append((low, max(0, extent(k, d) - 1 - after)))
    frame: Pads = tuple(pads)
    return convolution_input_gradient(
        image, kernel, *([] if bias is None else [bias]), sizes=tuple(sizes), strides=steps, padding=frame,
        dilation=dilation, groups=1, channels_last=last,
    )  # fmt: skip


def _output_padding(value: Any, strides: tuple[int, ...]) -> tuple[int | None, ...]:
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * len(strides)
    if len(values) != len(strides):
        raise ValueError(f"conv_transpose: output_padding needs {len(strides)} integers, got {value!r}")
    for extra, stride in zip(values, strides, strict=True):
        if extra is not None and not 0 <= extra < max(stride, 1):
            raise ValueError(
                f"conv_transpose: output_padding must be at least 0 and smaller than the stride, "
                f"got output_padding {value!r} with strides {strides}"
            )
    return values


def _transposed_pads(reach: int, stride: int, padding: Any, extra: int | None) -> tuple[int, int]:
    """Zeros before and after the image, its cells spread by the stride, before the turned kernel slides over it."""
    if not isinstance(padding, str):
        return reach - 1 - padding[0], reach - 1 - padding[1] + (extra or 0)
    if padding == "valid":
        surplus = max(reach, stride) - reach if extra is None else extra
        return reach - 1, reach - 1 + surplus
    total = stride + reach - 2 if extra is None else reach + reach % 2 - 2 + extra
    before = min(total - total // 2, reach - 1)
    return before, total - before
