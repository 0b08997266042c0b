"""Resizing and the exchange of depth and space as primitives, with their ONNX operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dims import Shape, agree, equal, is_static, product
from ..core.emitter import Emitter, Value
from ..core.errors import ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from . import image_kernels as kernels
from .convolution_lowering import channels_back, channels_first, in_float32
from .lowering import in_dtypes
from .precision import in_single
from .windows import channels, from_channels_last, image_shape, spatial, to_channels_last

FLOAT32 = np.dtype(np.float32)


def _known(sizes: Shape) -> tuple[int, ...]:
    return tuple(size.__index__() for size in sizes)


@in_single
def _resize_run(x: np.ndarray, *, sizes: Shape, mode: str, antialias: bool, channels_last: bool) -> np.ndarray:
    out = kernels.resize(to_channels_last(x, channels_last), _known(sizes), mode, antialias)
    return from_channels_last(out, channels_last)


def _resize_infer(x: TensorSpec, *, sizes: Shape, mode: str, antialias: bool, channels_last: bool) -> TensorSpec:
    return TensorSpec(image_shape(x.shape[0], sizes, channels(x.shape, channels_last), channels_last), x.dtype)


MODES = {
    "nearest": {"mode": "nearest", "nearest_mode": "round_prefer_ceil"},
    "bilinear": {"mode": "linear"},
    "bicubic": {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1},
}
ENLARGE = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def _factors(sizes: Shape, wanted: Shape) -> list[int] | None:
    """Whole factors from sizes to wanted ones; None where there are none, or none are known."""
    found = [w // n for n, w in zip(sizes, wanted, strict=True)]
    exact = all(
        isinstance(f, int) and f >= 1 and equal(n * f, w) is True for f, n, w in zip(found, sizes, wanted, strict=True)
    )
    return found if exact else None  # pyright: ignore[reportReturnType]


def _resize_lower(emit: Emitter, x: Value, *, sizes: Shape, mode: str, antialias: bool, channels_last: bool) -> Value:
    image = channels_first(emit, in_dtypes(emit, x, "fe" if mode != "nearest" else "feiB", FLOAT32), channels_last)
    spec = TensorSpec((*image.shape[:2], *sizes), image.dtype)
    factors = _factors(image.shape[2:], sizes)
    if mode == "nearest" and factors:
        scales = emit.constant(np.asarray([1, 1, *factors], np.float32))
        out = emit("Resize", image, None, scales, spec=spec, **ENLARGE)
    elif antialias or (mode == "bicubic" and _shrinks(image.shape[2:], sizes)):
        # onnxruntime's antialiased Resize is not the filter it documents, and its cubic one may refuse to shrink
        if not is_static((*image.shape[2:], *sizes)):
            raise NotImplementedError(
                "resize: antialias can be exported for images of known height and width only; "
                "fix them in the model's Input"
            )
        out = _emit_products(emit, image, sizes, _matrices(image.shape[2:], sizes, mode, antialias, image.dtype))
    elif mode == "nearest":
        out = emit("Resize", image, None, None, emit.shape(spec.shape), spec=spec, **MODES[mode])
    else:
        out = _interpolated(emit, image, sizes, mode)
    return emit.cast(channels_back(emit, out, channels_last), x.dtype)


def _interpolated(emit: Emitter, image: Value, sizes: Shape, mode: str) -> Value:
    """All channels of all images as channels of one.

    The reshapes cost nothing and keep onnxruntime from moving a Transpose to the other side: without them it
    interpolates in channels-last order, which it computes wrongly on a GPU, and after some permutations on the CPU.
    """
    batch, filters, *before = image.shape
    flat = emit.reshape(image, (1, batch * filters, *before))
    spec = TensorSpec((*flat.shape[:2], *sizes), image.dtype)
    some = emit.opset >= 18 and not is_static(flat.shape[:2])
    wanted = emit.shape(sizes if some else spec.shape)
    out = emit("Resize", flat, None, None, wanted, spec=spec, axes=[2, 3] if some else None, **MODES[mode])
    return emit.reshape(out, (batch, filters, *sizes))


def _shrinks(sizes: Shape, wanted: Shape) -> bool:
    return any(isinstance(n, int) and isinstance(w, int) and w < n for n, w in zip(sizes, wanted, strict=True))


def _matrices(sizes: Shape, wanted: Shape, mode: str, antialias: bool, dtype: np.dtype) -> list[np.ndarray]:
    """The matrix (wanted, size) of each axis; sizes must be known."""
    pairs = zip(_known(sizes), _known(wanted), strict=True)
    return [kernels.weights(n, m, mode, antialias).astype(dtype) for n, m in pairs]


def _emit_products(emit: Emitter, image: Value, sizes: Shape, matrices: list[np.ndarray]) -> Value:
    """Height and width (channels first) as products with matrices (new, old)."""
    rows, columns = matrices
    between = TensorSpec((*image.shape[:3], sizes[1]), image.dtype)
    out = emit("MatMul", image, emit.constant(np.ascontiguousarray(columns.T)), spec=between)
    return emit("MatMul", emit.constant(rows), out, spec=TensorSpec((*image.shape[:2], *sizes), image.dtype))


def _resize_vjp(g: Any, out: Any, x: Any, *, sizes: Shape, channels_last: bool, **attributes: Any) -> Any:
    return resize_gradient(g, sizes=spatial(x.shape, channels_last), channels_last=channels_last, **attributes)


resize_primitive = Primitive(
    name="resize", run=_resize_run, infer=_resize_infer, lower=_resize_lower, vjp=(_resize_vjp,), residuals="none"
)


@in_single
def _gradient_run(dy: np.ndarray, *, sizes: Shape, mode: str, antialias: bool, channels_last: bool) -> np.ndarray:
    out = kernels.resize_gradient(to_channels_last(dy, channels_last), _known(sizes), mode, antialias)
    return from_channels_last(out, channels_last)


@in_float32
def _gradient_lower(
    emit: Emitter, dy: Value, *, sizes: Shape, mode: str, antialias: bool, channels_last: bool
) -> Value:
    image = channels_first(emit, dy, channels_last)
    factors = _factors(sizes, image.shape[2:])
    spec = TensorSpec((*image.shape[:2], *sizes), dy.dtype)
    if mode == "nearest" and factors:
        mean = emit("AveragePool", image, kernel_shape=factors, strides=factors, spec=spec)
        out = emit("Mul", mean, emit.constant(float(product(factors)), dy.dtype))  # pyright: ignore[reportArgumentType]
        return channels_back(emit, out, channels_last)
    if not is_static((*sizes, *image.shape[2:])) or len(sizes) != 2:
        raise NotImplementedError(
            f"resize: the gradient from spatial sizes {format_shape(image.shape[2:])} to {format_shape(sizes)} can be "
            "exported for images of known height and width only; fix them in the model's Input"
        )
    turned = [np.ascontiguousarray(m.T) for m in _matrices(sizes, image.shape[2:], mode, antialias, dy.dtype)]
    return channels_back(emit, _emit_products(emit, image, sizes, turned), channels_last)


resize_gradient = Primitive(
    name="resize_gradient",
    run=_gradient_run,
    infer=_resize_infer,
    lower=_gradient_lower,
    vjp=(
        lambda g, out, dy, *, sizes, channels_last, **attributes: resize_primitive(
            g, sizes=spatial(dy.shape, channels_last), channels_last=channels_last, **attributes
        ),
    ),
    residuals="none",
)


def _depth_run(x: np.ndarray, *, block: int, channels_last: bool) -> np.ndarray:
    """With channels last a block's cells are the outer part of a channel's number, with channels first the inner."""
    if not channels_last:
        batch, depth, high, wide = x.shape
        split = x.reshape(batch, depth // (block * block), block, block, high, wide)
        return split.transpose(0, 1, 4, 2, 5, 3).reshape(batch, -1, high * block, wide * block)
    batch, high, wide, depth = x.shape
    split = x.reshape(batch, high, wide, block, block, depth // (block * block))
    return split.transpose(0, 1, 3, 2, 4, 5).reshape(batch, high * block, wide * block, -1)


def _depth_infer(x: TensorSpec, *, block: int, channels_last: bool) -> TensorSpec:
    depth = channels(x.shape, channels_last)
    if x.rank != 4 or not agree(depth % (block * block), 0):
        raise ShapeError(
            f"expected images of rank 4 whose channels are a multiple of {block * block} (block_size squared), "
            f"got {format_shape(x.shape)}"
        )
    sizes = tuple(n * block for n in spatial(x.shape, channels_last))
    return TensorSpec(image_shape(x.shape[0], sizes, depth // (block * block), channels_last), x.dtype)


def _space_run(x: np.ndarray, *, block: int, channels_last: bool) -> np.ndarray:
    if not channels_last:
        batch, depth, high, wide = x.shape
        split = x.reshape(batch, depth, high // block, block, wide // block, block)
        return split.transpose(0, 1, 3, 5, 2, 4).reshape(batch, -1, high // block, wide // block)
    batch, high, wide, depth = x.shape
    split = x.reshape(batch, high // block, block, wide // block, block, depth)
    return split.transpose(0, 1, 3, 2, 4, 5).reshape(batch, high // block, wide // block, -1)


def _space_infer(x: TensorSpec, *, block: int, channels_last: bool) -> TensorSpec:
    if x.rank != 4 or any(not agree(n % block, 0) for n in spatial(x.shape, channels_last)):
        raise ShapeError(
            f"expected images of rank 4 whose height and width are multiples of {block} (block_size), "
            f"got {format_shape(x.shape)}"
        )
    sizes = tuple(n // block for n in spatial(x.shape, channels_last))
    depth = channels(x.shape, channels_last) * (block * block)
    return TensorSpec(image_shape(x.shape[0], sizes, depth, channels_last), x.dtype)


def _depth_lower(emit: Emitter, x: Value, *, block: int, channels_last: bool) -> Value:
    image = channels_first(emit, in_dtypes(emit, x, "fd", FLOAT32), channels_last)
    spec = _depth_infer(image.spec, block=block, channels_last=False)
    mode = "DCR" if channels_last else "CRD"
    out = emit("DepthToSpace", image, blocksize=block, mode=mode, spec=spec)
    return emit.cast(channels_back(emit, out, channels_last), x.dtype)


def _space_lower(emit: Emitter, x: Value, *, block: int, channels_last: bool) -> Value:
    image = channels_first(emit, in_dtypes(emit, x, "fd", FLOAT32), channels_last)
    spec = _space_infer(image.spec, block=block, channels_last=False)
    out = emit("SpaceToDepth", image, blocksize=block, spec=spec)
    if not channels_last:
        # ONNX numbers channels by cell, then by channel; Keras's channels_first the other way round
        split = emit.reshape(out, (out.shape[0], block * block, image.shape[1], *out.shape[2:]))
        out = emit.reshape(emit.transpose(split, (0, 2, 1, 3, 4)), spec.shape)
    return emit.cast(channels_back(emit, out, channels_last), x.dtype)


depth_to_space_primitive = Primitive(
    name="depth_to_space",
    run=_depth_run,
    infer=_depth_infer,
    lower=_depth_lower,
    vjp=(lambda g, out, x, **attributes: space_to_depth_primitive(g, **attributes),),
    residuals="none",
)
space_to_depth_primitive = Primitive(
    name="space_to_depth",
    run=_space_run,
    infer=_space_infer,
    lower=_space_lower,
    vjp=(lambda g, out, x, **attributes: depth_to_space_primitive(g, **attributes),),
    residuals="none",
)
