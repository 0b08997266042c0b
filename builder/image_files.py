"""Pictures in files and as arrays (Keras name: `keras.preprocessing.image`, also in `keras.utils`)."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..trainer import config
from ..trainer.core.dtypes import as_dtype

if TYPE_CHECKING:
    from PIL.Image import Image

MODES = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}
GRAYS = ("L", "I;16", "I")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
LAYOUTS = ("channels_last", "channels_first")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("pictures in files are read and written with Pillow: pip install pillow") from error
    return Image


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Image:
    """A picture out of a file, as Pillow's `Image` (Keras name: `utils.load_img`).

    path: of a PNG, JPEG or other picture, or an open `io.BytesIO`
    color_mode: "rgb", "rgba" or "grayscale" (which keeps 16 and 32 bits)
    target_size: `(height, width)` to bring it to; None leaves it
    interpolation: "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos"
    keep_aspect_ratio: whether to cut the middle of the wanted proportions out first, instead of distorting

    Raises `TypeError` for what is no path, `ValueError` for unknown names, and what Pillow raises for other files.

    >>> import numpy as np, sardonyx as sx
    >>> sx.utils.save_img("grey.png", np.full((4, 6, 3), 128))
    >>> sx.utils.load_img("grey.png", target_size=(2, 2)).size
    (2, 2)
    """
    if color_mode not in MODES:
        raise ValueError(f"load_img: color_mode must be {_listed(MODES)}, got {color_mode!r}")
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"load_img: interpolation must be {_listed(INTERPOLATIONS)}, got {interpolation!r}")
    if not isinstance(path, (str, bytes, os.PathLike, io.BytesIO)):
        raise TypeError(f"load_img: expected a path or an io.BytesIO, got {path!r:.80} ({type(path).__name__})")
    if target_size is not None and (len(target_size) != 2 or not all(int(size) > 0 for size in target_size)):
        raise ValueError(f"load_img: target_size is (height, width), got {target_size!r}")
    pillow = _pillow()
    with pillow.open(os.fsdecode(path) if isinstance(path, bytes) else path) as file:
        file.load()
        keep = file.mode == MODES[color_mode] or (color_mode == "grayscale" and file.mode in GRAYS)
        picture = file.copy() if keep else file.convert(MODES[color_mode])
    if target_size is None or picture.size == (target_size[1], target_size[0]):
        return picture
    height, width = map(int, target_size)
    box = _middle(picture.size, height, width) if keep_aspect_ratio else None
    return picture.resize((width, height), getattr(pillow.Resampling, interpolation.upper()), box=box)


def _middle(size: tuple[int, int], height: int, width: int) -> tuple[int, int, int, int]:
    """Corners of the largest part in the middle that has the proportions of `height` and `width`."""
    across, down = size
    part_down = min(down, across * height // width) or down
    part_across = min(across, down * width // height) or across
    top, left = (down - part_down) // 2, (across - part_across) // 2
    return left, top, left + part_across, top + part_down


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """A picture as an array `(height, width, channels)`, or `(channels, height, width)`, in float32 unless told.

    img: Pillow's `Image`, or an array of two or three axes

    Raises `ValueError` for other numbers of axes and unknown layouts.

    >>> import numpy as np, sardonyx as sx
    >>> sx.utils.img_to_array(np.ones((4, 6))).shape
    (4, 6, 1)
    """
    layout = _layout(data_format, "img_to_array")
    array = np.asarray(img, dtype=as_dtype(dtype))
    if array.ndim == 2:
        array = array[..., None]
        return array.transpose(2, 0, 1) if layout == "channels_first" else array
    if array.ndim != 3:
        raise ValueError(f"img_to_array: a picture has two or three axes, got shape {array.shape}")
    return array.transpose(2, 0, 1) if layout == "channels_first" else array


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Image:
    """An array as Pillow's `Image`: 1 channel is grey, 3 are RGB, 4 are RGBA.

    x: `(height, width, channels)`, or `(channels, height, width)`
    scale: whether to stretch the values so that the least is 0 and the largest 255

    Raises `ValueError` for other shapes and unknown layouts.

    >>> import numpy as np, sardonyx as sx
    >>> sx.utils.array_to_img(np.zeros((4, 6, 3))).size
    (6, 4)
    """
    layout = _layout(data_format, "array_to_img")
    array = np.asarray(x, dtype=as_dtype(dtype))
    if array.ndim != 3:
        raise ValueError(f"array_to_img: a picture has three axes, got shape {array.shape}; one at a time")
    if layout == "channels_first":
        array = array.transpose(1, 2, 0)
    if scale:
        array = array - array.min()
        largest = array.max()
        array = array / largest * 255 if largest else array
    pillow, channels = _pillow(), array.shape[2]
    if channels == 1:
        wide = array.max(initial=0) > 255
        return pillow.fromarray(array[..., 0].astype("int32" if wide else "uint8"))
    if channels not in (3, 4):
        raise ValueError(f"array_to_img: a picture has 1, 3 or 4 channels, got {channels} (shape {array.shape})")
    return pillow.fromarray(array.astype("uint8"))


def save_img(
    path: Any, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True, **kwargs: Any
) -> None:
    """Write an array as a picture (Keras name: `utils.save_img`).

    file_format: "png", "jpeg", ...; by default what the path ends in
    kwargs: passed to Pillow, such as `quality`

    >>> import numpy as np, sardonyx as sx
    >>> sx.utils.save_img("black.png", np.zeros((4, 6, 3)))
    """
    picture = array_to_img(x, data_format, scale)
    kind = file_format or (Path(os.fsdecode(path)).suffix[1:] if isinstance(path, (str, bytes, os.PathLike)) else None)
    kind = "jpeg" if kind and kind.lower() == "jpg" else kind
    if picture.mode == "RGBA" and kind and kind.lower() == "jpeg":
        picture = picture.convert("RGB")
    picture.save(path, format=kind, **kwargs)


def _layout(given: str | None, what: str) -> str:
    layout = config.image_data_format() if given is None else given
    if layout not in LAYOUTS:
        raise ValueError(f"{what}: data_format must be {_listed(LAYOUTS)}, got {given!r}")
    return layout


def _listed(names: Any) -> str:
    *first, last = map(repr, names)
    return f"{', '.join(first)} or {last}"


__all__ = ["array_to_img", "img_to_array", "load_img", "save_img"]
