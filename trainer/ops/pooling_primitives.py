"""Pooling and its gradients as primitives, with their ONNX operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..core.dims import Shape, Size, is_static, minimum, product
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec, same_shape
from . import pooling_kernels as kernels
from .convolution_lowering import (
    channels_back,
    channels_first,
    crop,
    flat_pads,
    in_float32,
    lower_convolution,
    lower_input_gradient,
    pad_image,
)
from .pooling_lowering import largest_side_by_side, lies_side_by_side, spread_side_by_side
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


def _window(x_shape: Shape, pool: Shape, strides: Shape, padding: Padding, channels_last: bool) -> tuple[Any, Any]:
    """Cells before each axis, and sizes of the result."""
    ones = (1,) * len(pool)
    sizes = spatial(x_shape, channels_last)
    if len(sizes) != len(pool):
        raise ShapeError(f"expected an image of rank {len(pool) + 2}, got {format_shape(x_shape)}")
    result = output_sizes(padding, sizes, pool, strides, ones, "window")
    return tuple(low for low, _ in pads_of(padding, sizes, pool, strides, ones)), result


def _pool_infer(x: TensorSpec, *, pool: Shape, strides: Shape, padding: Padding, channels_last: bool) -> TensorSpec:
    _, sizes = _window(x.shape, pool, strides, padding, channels_last)
    return TensorSpec(image_shape(x.shape[0], sizes, channels(x.shape, channels_last), channels_last), x.dtype)


def _pool_run(kernel: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    def run(x: np.ndarray, *, pool: Any, strides: Any, padding: Padding, channels_last: bool) -> np.ndarray:
        lows, sizes = _window(x.shape, pool, strides, padding, channels_last)
        return from_channels_last(kernel(to_channels_last(x, channels_last), pool, strides, lows, sizes), channels_last)

    return run


def _attributes(x: Value, pool: Shape, strides: Shape, padding: Padding) -> dict[str, Any]:
    """ONNX attributes for the windows over an image with channels first."""
    found: dict[str, Any] = {"kernel_shape": list(pool)}
    if any(s != 1 for s in strides):
        found["strides"] = list(strides)
    pads = flat_pads(pads_of(padding, x.shape[2:], pool, strides, (1,) * len(pool)))
    if not is_static(pads):
        found["auto_pad"] = "SAME_UPPER"
    elif any(pads):
        found["pads"] = pads
    return found


def _trimmed(emit: Emitter, image: Value, pool: Shape, strides: Shape, padding: Padding) -> Value:
    """The image (channels first) without cells behind the last window, where `auto_pad` must find the pads.

    Strides beyond the window would make onnxruntime's pads negative there.
    """
    sizes = image.shape[2:]
    if padding != "same" or is_static(sizes) or all(s <= k for s, k in zip(strides, pool, strict=True)):
        return image
    used = [minimum(n, (-(-n // s) - 1) * s + k) for n, k, s in zip(sizes, pool, strides, strict=True)]
    return crop(emit, image, (0,) * len(pool), used)


def _pooled_spec(x: Value, pool: Shape, strides: Shape, padding: Padding, dtype: Any = None) -> TensorSpec:
    spec = _pool_infer(x.spec, pool=pool, strides=strides, padding=padding, channels_last=False)
    return TensorSpec(spec.shape, dtype or x.dtype)


def _max_pool_lower(
    emit: Emitter, x: Value, *, pool: Shape, strides: Shape, padding: Padding, channels_last: bool
) -> Value:
    # onnxruntime's CPU kernels take floating-point numbers; every int32 fits into a float64
    image = channels_first(emit, x if x.dtype.kind == "f" else emit.cast(x, np.float64), channels_last)
    spec = _pooled_spec(image, pool, strides, padding)
    image = _trimmed(emit, image, pool, strides, padding)
    out = emit("MaxPool", image, spec=spec, **_attributes(image, pool, strides, padding))
    return emit.cast(channels_back(emit, out, channels_last), x.dtype)


max_pool_primitive = Primitive(
    name="max_pool",
    run=_pool_run(kernels.max_pool),
    infer=_pool_infer,
    lower=_max_pool_lower,
    vjp=(lambda g, out, x, **attributes: max_pool_gradient(g, x, **attributes),),
    residuals="inputs",
)


def _slices_lower(
    emit: Emitter, x: Value, *, pool: Shape, strides: Shape, padding: Padding, channels_last: bool
) -> Value:
    image = channels_first(emit, x, channels_last)
    if not lies_side_by_side(image, pool, strides, padding):
        return _max_pool_lower(emit, x, pool=pool, strides=strides, padding=padding, channels_last=channels_last)
    spec = _pooled_spec(image, pool, strides, padding)
    return channels_back(emit, largest_side_by_side(emit, image, spec, pool), channels_last)


max_pool_of_slices = replace(max_pool_primitive, lower=_slices_lower)
"""For graphs that have the gradient as well, which compares the slices: nothing is computed but their maxima."""


def _flat_choice(emit: Emitter, image: Value, spec: TensorSpec, pool: Shape, strides: Shape, padding: Padding) -> Value:
    """For each window, the position of its first largest cell in the flattened image (channels first, trimmed)."""
    where = TensorSpec(spec.shape, np.int64)
    _, indices = emit.many("MaxPool", image, specs=(spec, where), **_attributes(image, pool, strides, padding))
    return emit.reshape(indices, (product(spec.shape),))


def _max_gradient_infer(dy: TensorSpec, x: TensorSpec, **attributes: Any) -> TensorSpec:
    expected = _pool_infer(x, **attributes)
    if not same_shape(expected.shape, dy.shape):
        raise ShapeError(f"expected a gradient {format_shape(expected.shape)}, got {format_shape(dy.shape)}")
    return TensorSpec(x.shape, dy.dtype)


def _max_gradient_run(
    dy: np.ndarray, x: np.ndarray, *, pool: Any, strides: Any, padding: Padding, channels_last: bool
) -> np.ndarray:
    lows, _ = _window(x.shape, pool, strides, padding, channels_last)
    images = to_channels_last(dy, channels_last), to_channels_last(x, channels_last)
    return from_channels_last(kernels.max_pool_gradient(*images, pool, strides, lows), channels_last)


def _max_gradient_lower(
    emit: Emitter, dy: Value, x: Value, *, pool: Shape, strides: Shape, padding: Padding, channels_last: bool
) -> Value:
    whole, gradient = channels_first(emit, x, channels_last), channels_first(emit, dy, channels_last)
    if lies_side_by_side(whole, pool, strides, padding):
        return channels_back(emit, spread_side_by_side(emit, gradient, whole, pool), channels_last)
    spec, image = _pooled_spec(whole, pool, strides, padding), _trimmed(emit, whole, pool, strides, padding)
    indices = _flat_choice(emit, image, spec, pool, strides, padding)
    total = product(image.shape)
    nothing = emit(
        "ConstantOfShape", emit.shape((total,)), value=np.zeros(1, dy.dtype), spec=TensorSpec((total,), dy.dtype)
    )
    overlap = any(k > s for k, s in zip(pool, strides, strict=True))
    flat = emit.reshape(gradient, (product(spec.shape),))
    spread = emit(
        "ScatterElements", nothing, indices, flat, axis=0, reduction="add" if overlap else None, spec=nothing.spec
    )
    found = emit.reshape(spread, image.shape)
    if image is not whole:
        behind = [(0, n - used) for n, used in zip(whole.shape[2:], image.shape[2:], strict=True)]
        found = emit.reshape(pad_image(emit, found, behind), whole.shape)
    return channels_back(emit, found, channels_last)


max_pool_gradient = Primitive(
    name="max_pool_gradient",
    run=_max_gradient_run,
    infer=_max_gradient_infer,
    lower=_max_gradient_lower,
    vjp=(lambda g, out, dy, x, **attributes: max_pool_select(g, x, **attributes), None),
    residuals="inputs",
)


def _select_infer(g: TensorSpec, x: TensorSpec, **attributes: Any) -> TensorSpec:
    if not same_shape(g.shape, x.shape):
        raise ShapeError(f"expected images of one shape, got {format_shape(g.shape)} and {format_shape(x.shape)}")
    return TensorSpec(_pool_infer(x, **attributes).shape, g.dtype)


def _select_run(
    g: np.ndarray, x: np.ndarray, *, pool: Any, strides: Any, padding: Padding, channels_last: bool
) -> np.ndarray:
    lows, sizes = _window(x.shape, pool, strides, padding, channels_last)
    images = to_channels_last(g, channels_last), to_channels_last(x, channels_last)
    return from_channels_last(kernels.max_pool_select(*images, pool, strides, lows, sizes), channels_last)


def _select_lower(
    emit: Emitter, g: Value, x: Value, *, pool: Shape, strides: Shape, padding: Padding, channels_last: bool
) -> Value:
    whole, values = channels_first(emit, x, channels_last), channels_first(emit, g, channels_last)
    spec, image = _pooled_spec(whole, pool, strides, padding), _trimmed(emit, whole, pool, strides, padding)
    indices = _flat_choice(emit, image, spec, pool, strides, padding)
    values = _trimmed(emit, values, pool, strides, padding)
    flat = emit.reshape(values, (product(values.shape),))
    picked = emit("GatherElements", flat, indices, axis=0, spec=TensorSpec(indices.shape, g.dtype))
    return channels_back(emit, emit.reshape(picked, spec.shape), channels_last)


max_pool_select = Primitive(
    name="max_pool_select",
    run=_select_run,
    infer=_select_infer,
    lower=_select_lower,
    vjp=(lambda g, out, values, x, **attributes: max_pool_gradient(g, x, **attributes), None),
    residuals="inputs",
)


def _average_infer(x: TensorSpec, **attributes: Any) -> TensorSpec:
    if x.dtype.kind != "f":
        raise DtypeError(f"expected a floating-point image, got {x.dtype.name}")
    return _pool_infer(x, **attributes)


@in_float32
def _average_lower(
    emit: Emitter, x: Value, *, pool: Shape, strides: Shape, padding: Padding, channels_last: bool
) -> Value:
    image = channels_first(emit, x, channels_last)
    spec = _pooled_spec(image, pool, strides, padding)
    image = _trimmed(emit, image, pool, strides, padding)
    out = emit("AveragePool", image, spec=spec, **_attributes(image, pool, strides, padding))
    return channels_back(emit, out, channels_last)


average_pool_primitive = Primitive(
    name="average_pool",
    run=_pool_run(kernels.average_pool),
    infer=_average_infer,
    lower=_average_lower,
    vjp=(
        lambda g, out, x, **attributes: average_pool_gradient(
            g, sizes=spatial(x.shape, attributes["channels_last"]), **attributes
        ),
    ),
    residuals="none",
)


def _average_gradient_run(
    dy: np.ndarray, *, sizes: Shape, pool: Any, strides: Any, padding: Padding, channels_last: bool
) -> np.ndarray:
    known = tuple(size.__index__() for size in sizes)
    lows = tuple(low for low, _ in pads_of(padding, known, pool, strides, (1,) * len(pool)))
    out = kernels.average_pool_gradient(to_channels_last(dy, channels_last), known, pool, strides, lows)  # pyright: ignore[reportArgumentType]
    return from_channels_last(out, channels_last)


def _average_gradient_infer(dy: TensorSpec, *, sizes: Shape, channels_last: bool, **attributes: Any) -> TensorSpec:
    return TensorSpec(image_shape(dy.shape[0], sizes, channels(dy.shape, channels_last), channels_last), dy.dtype)


@in_float32
def _average_gradient_lower(
    emit: Emitter, dy: Value, *, sizes: Shape, pool: Shape, strides: Shape, padding: Padding, channels_last: bool
) -> Value:
    gradient = channels_first(emit, dy, channels_last)
    shares = emit("Mul", gradient, _shares(emit, gradient, sizes, pool, strides, padding))
    shape = (*gradient.shape[:2], *sizes)
    side_by_side = all(n == m * k for n, m, k in zip(sizes, gradient.shape[2:], pool, strict=True))
    if pool == strides and side_by_side:
        scales = emit.constant(np.asarray([1, 1, *pool], np.float32))
        spec = TensorSpec(shape, dy.dtype)
        modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        out = emit("Resize", shares, None, scales, spec=spec, **modes)
        return channels_back(emit, out, channels_last)
    flat = emit.reshape(shares, (gradient.shape[0] * gradient.shape[1], 1, *gradient.shape[2:]))
    ones = emit.constant(np.ones((*pool, 1, 1), dy.dtype))
    spread = lower_input_gradient(
        emit, flat, ones, sizes=sizes, strides=strides, padding=padding, dilation=(1,) * len(pool), groups=1,
        channels_last=False,
    )  # fmt: skip
    return channels_back(emit, emit.reshape(spread, shape), channels_last)


def _shares(emit: Emitter, dy: Value, sizes: Shape, pool: Any, strides: Any, padding: Padding) -> Value:
    """One over the number of cells in each window; counted by a convolution where sizes are unknown."""
    result: tuple[Size, ...] = dy.shape[2:]
    ones = (1,) * len(pool)
    if padding == "valid" or (is_static(sizes) and is_static(result)):
        lows: Any = tuple(low for low, _ in pads_of(padding, sizes, pool, strides, ones))
        known: Any = sizes if padding != "valid" else pool
        weights = kernels.mean_weights(known, pool, strides, lows, result if padding != "valid" else ones, dy.dtype)  # pyright: ignore[reportArgumentType]
        return emit.constant(np.moveaxis(weights, -1, 0)[None] if isinstance(weights, np.ndarray) else weights)
    shape = (1, 1, *sizes)
    cells = emit("ConstantOfShape", emit.shape(shape), value=np.ones(1, dy.dtype), spec=TensorSpec(shape, dy.dtype))
    counts = lower_convolution(
        emit, cells, emit.constant(np.ones((*pool, 1, 1), dy.dtype)), strides=strides, padding=padding, dilation=ones,
        groups=1, channels_last=False,
    )  # fmt: skip
    return emit("Reciprocal", counts)


average_pool_gradient = Primitive(
    name="average_pool_gradient",
    run=_average_gradient_run,
    infer=_average_gradient_infer,
    lower=_average_gradient_lower,
    vjp=(lambda g, out, dy, *, sizes, **attributes: average_pool_primitive(g, **attributes),),
    residuals="none",
)
