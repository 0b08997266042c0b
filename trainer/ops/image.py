"""Operations on images (Keras name: `keras.ops.image`), and the exchange of depth and space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.dims import Size, is_static
from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from .broadcast import reshape
from .convert import cast, convert_to_tensor
from .create import full
from .image_primitives import depth_to_space_primitive, resize_primitive, space_to_depth_primitive
from .join import concatenate
from .rounding import round as round_half_even
from .selection import clip
from .windows import check_image_rank, per_axis, spatial, standard_data_format

__all__ = ["depth_to_space", "space_to_depth"]

INTERPOLATIONS = ("nearest", "bilinear", "bicubic")


def resize(
    images: Any,
    size: Sequence[Size],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images in another height and width (ONNX: Resize; Keras name: `ops.image.resize`).

    images: (batch, height, width, channels), one image without the batch, or channels first
    size: (height, width); interpolation: "nearest", "bilinear" or "bicubic", between the centres of cells
    antialias: widen the filter when shrinking; crop_to_aspect_ratio / pad_to_aspect_ratio: keep the proportions by
    cutting the image's borders, or by adding borders of `fill_value`

    Integer images are rounded and keep their dtype. Raises `ValueError` for unknown options, `ShapeError` for ranks.

    >>> import sardonyx as sx
    >>> sx.ops.image.resize(sx.ops.ones((2, 4, 6, 3)), (8, 9)).shape
    (2, 8, 9, 3)
    """
    x = convert_to_tensor(images)
    last = standard_data_format(data_format, "resize") == "channels_last"
    _check_options(interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio, fill_mode)
    if len(x.shape) not in (3, 4):
        raise ShapeError(
            f"resize: expected one image (rank 3) or a batch of them (rank 4), got {format_shape(x.shape)}"
        )
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ValueError(f"resize: size must be (height, width), got {size!r}")
    wanted = tuple(per_axis(n, 1, "size", "resize")[0] if isinstance(n, (int, np.integer)) else n for n in size)
    single = len(x.shape) == 3
    batch = reshape(x, (1, *x.shape)) if single else x
    if crop_to_aspect_ratio or pad_to_aspect_ratio:
        batch = _to_aspect_ratio(batch, wanted, crop_to_aspect_ratio, fill_value, last)
    out = _resized(batch, wanted, interpolation, antialias, last)
    return reshape(out, out.shape[1:]) if single else out


def _check_options(interpolation: str, crop: bool, pad: bool, fill_mode: str) -> None:
    if interpolation not in INTERPOLATIONS:
        known = ", ".join(f'"{name}"' for name in INTERPOLATIONS)
        raise ValueError(f"resize: interpolation must be one of {known}, got {interpolation!r}")
    if crop and pad:
        raise ValueError("resize: choose one of crop_to_aspect_ratio and pad_to_aspect_ratio, not both")
    if fill_mode != "constant":
        raise ValueError(f'resize: fill_mode must be "constant", got {fill_mode!r}')


def _resized(x: Tensor, sizes: Any, mode: str, antialias: bool, last: bool) -> Tensor:
    """The primitive, around which integers become floating-point and back."""
    attributes: dict[str, Any] = {"sizes": tuple(sizes), "mode": mode, "antialias": antialias and mode != "nearest"}
    if x.dtype.kind == "f" or mode == "nearest":
        return resize_primitive(x, channels_last=last, **attributes)
    out = round_half_even(resize_primitive(cast(x, "float32"), channels_last=last, **attributes))
    bounds = np.iinfo(x.dtype)
    return cast(clip(out, float(bounds.min), float(bounds.max)), x.dtype)


def _to_aspect_ratio(x: Tensor, wanted: Any, crop: bool, fill: float, last: bool) -> Tensor:
    """The image cut, or framed, to the proportions of the wanted size."""
    sizes = spatial(x.shape, last)
    if not is_static((*sizes, *wanted)):
        raise ShapeError(
            f"resize: keeping the aspect ratio needs known sizes, got {format_shape(x.shape)}; "
            "fix them in the model's Input"
        )
    (high, wide), (rows, columns) = sizes, wanted
    limit = (int(wide * rows / columns), int(high * columns / rows))
    for axis, (n, other) in enumerate(zip((high, wide), limit, strict=True), 1 if last else 2):
        if crop:
            kept = max(min(n, other), 1)
            start = int((n - kept) / 2)
            x = x[(*[slice(None)] * axis, slice(start, start + kept))]
        elif other > n:
            border = _border(x, axis, int((other - n) / 2), fill)
            x = x if border is None else concatenate([border, x, border], axis=axis)
    return x


def _border(x: Tensor, axis: int, count: int, fill: float) -> Tensor | None:
    return full((*x.shape[:axis], count, *x.shape[axis + 1 :]), fill, x.dtype) if count else None


def upsample(x: Any, factors: Any, interpolation: str = "nearest", data_format: str | None = None) -> Tensor:
    """Images enlarged by whole factors, one a spatial axis (ONNX: Resize): what Keras's UpSampling layers compute.

    Sizes may be symbolic. Interpolations other than "nearest" take images with two spatial axes.
    """
    x = convert_to_tensor(x)
    rank = check_image_rank(x.shape, "upsample")
    last = standard_data_format(data_format, "upsample") == "channels_last"
    _check_options(interpolation, False, False, "constant")
    if interpolation != "nearest" and rank != 2:
        raise ShapeError(f'upsample: only "nearest" takes {rank} spatial axes, got interpolation {interpolation!r}')
    times = per_axis(factors, rank, "factors", "upsample")
    sizes = [n * f for n, f in zip(spatial(x.shape, last), times, strict=True)]
    return _resized(x, sizes, interpolation, False, last)


def _block(block_size: Any, operation: str) -> int:
    if isinstance(block_size, bool) or not isinstance(block_size, (int, np.integer)) or block_size < 2:
        raise ValueError(f"{operation}: block_size must be a whole number of at least 2, got {block_size!r}")
    return int(block_size)


def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Channels laid out as blocks of cells: height and width times `block_size`, channels by its square
    (ONNX: DepthToSpace). New channel c comes from the channels `cell * channels + c` with channels last, and from
    `c * cells + cell` with channels first, as in Keras.

    >>> import sardonyx as sx
    >>> sx.ops.depth_to_space(sx.ops.ones((1, 2, 3, 8)), 2).shape
    (1, 4, 6, 2)
    """
    last = standard_data_format(data_format, "depth_to_space") == "channels_last"
    return depth_to_space_primitive(
        convert_to_tensor(x), block=_block(block_size, "depth_to_space"), channels_last=last
    )


def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Blocks of cells gathered into channels: the reverse of `depth_to_space` (ONNX: SpaceToDepth).

    >>> import sardonyx as sx
    >>> sx.ops.space_to_depth(sx.ops.ones((1, 4, 6, 2)), 2).shape
    (1, 2, 3, 8)
    """
    last = standard_data_format(data_format, "space_to_depth") == "channels_last"
    return space_to_depth_primitive(
        convert_to_tensor(x), block=_block(block_size, "space_to_depth"), channels_last=last
    )
