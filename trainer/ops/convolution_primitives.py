"""Convolution and its two adjoints. Each one's gradients are the others, so that every order of derivative exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.dims import Shape, agree, equal
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .arithmetic import add
from .broadcast import expand_reduced, sum_axes, sum_primitive
from .comparison import greater
from .convolution_finish import Finish
from .convolution_kernels import correlate, correlate_gradients, correlate_input, correlate_kernel
from .convolution_lowering import lower_convolution, lower_input_gradient
from .kernel_gradient_lowering import lower_kernel_gradient
from .precision import in_single
from .selection import gate
from .windows import (
    Padding,
    channels,
    from_channels_last,
    image_shape,
    output_sizes,
    pads_of,
    spatial,
    to_channels_last,
)


def _lows(padding: Padding, sizes: Shape, taps: Shape, strides: Shape, dilation: Shape) -> tuple[Any, ...]:
    return tuple(low for low, _ in pads_of(padding, sizes, taps, strides, dilation))


def _convolution_kernel(rectified: bool) -> Callable[..., np.ndarray]:
    @in_single
    def run(
        x: np.ndarray,
        kernel: np.ndarray,
        bias: np.ndarray | None = None,
        *,
        strides: Shape,
        padding: Padding,
        dilation: Shape,
        groups: int,
        channels_last: bool,
    ) -> np.ndarray:
        taps = kernel.shape[:-2]
        if x.ndim != len(taps) + 2 or channels(x.shape, channels_last) != kernel.shape[-2] * groups:
            raise ValueError("image and kernel do not fit")
        if bias is not None and bias.shape != kernel.shape[-1:]:
            raise ValueError("bias and kernel do not fit")
        sizes = spatial(x.shape, channels_last)
        result = output_sizes(padding, sizes, taps, strides, dilation, "kernel")
        lows = _lows(padding, sizes, taps, strides, dilation)
        image, finish = to_channels_last(x, channels_last), Finish(bias, rectified)
        out = correlate(image, kernel, strides, dilation, lows, result, groups, finish)  # pyright: ignore[reportArgumentType]
        return from_channels_last(out, channels_last)

    return run


def _check_bias(bias: TensorSpec | None, filters: Any, dtype: np.dtype) -> None:
    if bias is not None and (bias.rank != 1 or equal(bias.shape[0], filters) is not True or bias.dtype != dtype):
        raise ShapeError(
            f"expected a bias of shape ({filters},) and dtype {dtype.name}, "
            f"got {format_shape(bias.shape)} and {bias.dtype.name}"
        )


def _check_floats(x: TensorSpec, y: TensorSpec) -> None:
    if x.dtype != y.dtype or x.dtype.kind != "f":
        raise DtypeError(f"expected floating-point operands of one dtype, got {x.dtype.name} and {y.dtype.name}")


def _convolution_infer(
    x: TensorSpec,
    kernel: TensorSpec,
    bias: TensorSpec | None = None,
    *,
    strides: Shape,
    padding: Padding,
    dilation: Shape,
    groups: int,
    channels_last: bool,
) -> TensorSpec:
    _check_floats(x, kernel)
    taps, (depth, filters) = kernel.shape[:-2], kernel.shape[-2:]
    if x.rank != kernel.rank:
        raise ShapeError(f"expected an image of rank {kernel.rank}, as the kernel's, got {format_shape(x.shape)}")
    if not agree(channels(x.shape, channels_last), depth * groups):
        raise ShapeError(
            f"expected {depth * groups} channels (kernel {format_shape(kernel.shape)}, {groups} groups), "
            f"got an image {format_shape(x.shape)} with {channels(x.shape, channels_last)}"
        )
    _check_bias(bias, filters, x.dtype)
    sizes = output_sizes(padding, spatial(x.shape, channels_last), taps, strides, dilation, "kernel")
    return TensorSpec(image_shape(x.shape[0], sizes, filters, channels_last), x.dtype)


def axes_of_sum(rank: int, channels_last: bool) -> tuple[int, ...]:
    """All axes of images but channels."""
    return tuple(range(rank - 1)) if channels_last else (0, *range(2, rank))


def sum_over_images(g: Tensor, channels_last: bool) -> Tensor:
    """The gradient of a bias: the sum over everything but channels."""
    return sum_axes(g, axes_of_sum(len(g.shape), channels_last), False)


def _convolution_vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any, **attributes: Any) -> list[Tensor | None]:
    g, (x, kernel) = gradients[0], inputs[:2]
    found: list[Tensor | None] = [None] * len(inputs)
    last = attributes["channels_last"]
    if needed[0] and needed[1]:
        with_bias = len(inputs) > 2 and needed[2]
        return [*convolution_gradients(x, g, kernel, with_bias=with_bias, **attributes), *found[2 + with_bias :]]
    if needed[0]:
        found[0] = convolution_input_gradient(g, kernel, sizes=spatial(x.shape, last), **attributes)
    if needed[1]:
        found[1] = convolution_kernel_gradient(x, g, taps=kernel.shape[:-2], **attributes)
    if len(inputs) > 2 and needed[2]:
        found[2] = sum_over_images(g, last)
    return found


convolution_primitive = Primitive(
    name="convolution",
    run=_convolution_kernel(False),
    infer=_convolution_infer,
    lower=lower_convolution,
    joint_vjp=_convolution_vjp,
    residuals="inputs",
)


def _rectified_lower(emit: Emitter, *inputs: Value, **attributes: Any) -> Value:
    return emit("Relu", lower_convolution(emit, *inputs, **attributes))


def _rectified_vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any, **attributes: Any) -> list[Tensor | None]:
    g = gate(gradients[0], greater(outputs[0], 0))
    return _convolution_vjp((g,), outputs, inputs, needed, **attributes)


convolution_relu_primitive = Primitive(
    name="convolution_relu",
    run=_convolution_kernel(True),
    infer=_convolution_infer,
    lower=_rectified_lower,
    joint_vjp=_rectified_vjp,
    residuals="all",
)
"""For arrays: in a graph the operators stand by themselves, where exporters and engines know them."""


@in_single
def _input_gradient_run(
    dy: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    sizes: Shape,
    strides: Shape,
    padding: Padding,
    dilation: Shape,
    groups: int,
    channels_last: bool,
) -> np.ndarray:
    taps = kernel.shape[:-2]
    if dy.ndim != len(taps) + 2 or channels(dy.shape, channels_last) != kernel.shape[-1]:
        raise ValueError("image and kernel do not fit")
    if bias is not None and bias.shape != (kernel.shape[-2] * groups,):
        raise ValueError("bias and kernel do not fit")
    sizes = tuple(size.__index__() for size in sizes)
    lows = _lows(padding, sizes, taps, strides, dilation)
    source = to_channels_last(dy, channels_last)
    out = correlate_input(source, kernel, strides, dilation, lows, sizes, groups)  # pyright: ignore[reportArgumentType]
    return from_channels_last(Finish(bias)(out), channels_last)


def _input_gradient_infer(
    dy: TensorSpec,
    kernel: TensorSpec,
    bias: TensorSpec | None = None,
    *,
    sizes: Shape,
    strides: Shape,
    padding: Padding,
    dilation: Shape,
    groups: int,
    channels_last: bool,
) -> TensorSpec:
    _check_floats(dy, kernel)
    if dy.rank != kernel.rank:
        raise ShapeError(f"expected an image of rank {kernel.rank}, as the kernel's, got {format_shape(dy.shape)}")
    if equal(channels(dy.shape, channels_last), kernel.shape[-1]) is not True:
        raise ShapeError(
            f"expected {kernel.shape[-1]} channels, the last size of the kernel {format_shape(kernel.shape)}, "
            f"got an image {format_shape(dy.shape)} with {channels(dy.shape, channels_last)}"
        )
    depth = kernel.shape[-2] * groups
    _check_bias(bias, depth, dy.dtype)
    return TensorSpec(image_shape(dy.shape[0], sizes, depth, channels_last), dy.dtype)


def _input_gradient_vjp(
    gradients: Any, outputs: Any, inputs: Any, needed: Any, *, sizes: Shape, **attributes: Any
) -> list[Tensor | None]:
    g, (dy, kernel) = gradients[0], inputs[:2]
    found: list[Tensor | None] = [None] * len(inputs)
    if needed[0]:
        found[0] = convolution_primitive(g, kernel, **attributes)
    if needed[1]:
        found[1] = convolution_kernel_gradient(g, dy, taps=kernel.shape[:-2], **attributes)
    if len(inputs) > 2 and needed[2]:
        found[2] = sum_over_images(g, attributes["channels_last"])
    return found


convolution_input_gradient = Primitive(
    name="convolution_input_gradient",
    run=_input_gradient_run,
    infer=_input_gradient_infer,
    lower=lower_input_gradient,
    joint_vjp=_input_gradient_vjp,
    residuals="inputs",
)


@in_single
def _kernel_gradient_run(
    x: np.ndarray,
    dy: np.ndarray,
    *,
    taps: Shape,
    strides: Shape,
    padding: Padding,
    dilation: Shape,
    groups: int,
    channels_last: bool,
) -> np.ndarray:
    lows = _lows(padding, spatial(x.shape, channels_last), taps, strides, dilation)
    images = to_channels_last(x, channels_last), to_channels_last(dy, channels_last)
    return correlate_kernel(*images, taps, strides, dilation, lows, groups)  # pyright: ignore[reportArgumentType]


def _kernel_gradient_infer(
    x: TensorSpec, dy: TensorSpec, *, taps: Shape, groups: int, channels_last: bool, **attributes: Any
) -> TensorSpec:
    depth, filters = channels(x.shape, channels_last), channels(dy.shape, channels_last)
    return TensorSpec((*taps, depth // groups, filters), x.dtype)


convolution_kernel_gradient = Primitive(
    name="convolution_kernel_gradient",
    run=_kernel_gradient_run,
    infer=_kernel_gradient_infer,
    lower=lower_kernel_gradient,
    vjp=(
        lambda g, out, x, dy, *, taps, **attributes: convolution_input_gradient(
            dy, g, sizes=spatial(x.shape, attributes["channels_last"]), **attributes
        ),
        lambda g, out, x, dy, *, taps, **attributes: convolution_primitive(x, g, **attributes),
    ),
    residuals="inputs",
)


@in_single
def _gradients_run(
    x: np.ndarray,
    dy: np.ndarray,
    kernel: np.ndarray,
    *,
    strides: Shape,
    padding: Padding,
    dilation: Shape,
    groups: int,
    channels_last: bool,
    with_bias: bool,
) -> tuple[np.ndarray, ...]:
    lows: Any = _lows(padding, spatial(x.shape, channels_last), kernel.shape[:-2], strides, dilation)
    images = to_channels_last(x, channels_last), to_channels_last(dy, channels_last)
    settings: Any = strides, dilation, lows, groups, with_bias
    dx, *others = correlate_gradients(*images, kernel, *settings)
    return from_channels_last(dx, channels_last), *others


def _gradients_infer(
    x: TensorSpec, dy: TensorSpec, kernel: TensorSpec, *, channels_last: bool, with_bias: bool, **attributes: Any
) -> tuple[TensorSpec, ...]:
    sizes = spatial(x.shape, channels_last)
    dx = _input_gradient_infer(dy, kernel, sizes=sizes, channels_last=channels_last, **attributes)
    bias = [TensorSpec(kernel.shape[-1:], x.dtype)] * with_bias
    return dx, TensorSpec(kernel.shape, x.dtype), *bias


def _gradients_lower(
    emit: Emitter, x: Value, dy: Value, kernel: Value, *, with_bias: bool, **attributes: Any
) -> tuple[Value, ...]:
    last = attributes["channels_last"]
    found: list[Any] = [
        lower_input_gradient(emit, dy, kernel, sizes=spatial(x.shape, last), **attributes),
        lower_kernel_gradient(emit, x, dy, taps=kernel.shape[:-2], **attributes),
    ]
    if with_bias:
        found.append(sum_primitive.lower(emit, dy, axes=axes_of_sum(dy.rank, last), keepdims=False))
    return tuple(found)


def _gradients_vjp(
    gradients: Any, outputs: Any, inputs: Any, needed: Any, *, with_bias: bool, **attributes: Any
) -> list[Tensor | None]:
    (to_dx, to_dk, *to_bias), (x, dy, kernel) = gradients, inputs
    sizes, taps = spatial(x.shape, attributes["channels_last"]), kernel.shape[:-2]
    found: list[Tensor | None] = [None] * 3
    if needed[0]:
        found[0] = convolution_input_gradient(dy, to_dk, sizes=sizes, **attributes)
    if needed[1]:
        moved = convolution_primitive(to_dx, kernel, **attributes)
        found[1] = add(moved, convolution_primitive(x, to_dk, **attributes))
        if with_bias:
            axes = axes_of_sum(len(dy.shape), attributes["channels_last"])
            found[1] = add(found[1], expand_reduced(to_bias[0], dy.shape, axes, False))
    if needed[2]:
        found[2] = convolution_kernel_gradient(to_dx, dy, taps=taps, **attributes)
    return found


convolution_gradients = Primitive(
    name="convolution_gradients",
    run=_gradients_run,
    infer=_gradients_infer,
    lower=_gradients_lower,
    joint_vjp=_gradients_vjp,
    residuals="inputs",
)
"""Gradients to image and kernel at once, which share work, and to a bias if there is one."""
