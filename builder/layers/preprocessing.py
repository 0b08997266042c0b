"""Layers that prepare data: rescaling, resizing, cropping, bins and categories."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.errors import ShapeError, format_shape
from ..input_spec import InputSpec
from ..layer import Layer
from .checks import data_format_of, one_of, positive_integer
from .registry import LAYERS


@LAYERS.register()
class Rescaling(Layer):
    """`inputs * scale + offset` as floating-point numbers: `Rescaling(1 / 255)` brings images to 0 ... 1.

    `scale` and `offset` are numbers, or one number a channel. Raises `ValueError` for anything else.

    >>> import sardonyx as sx
    >>> sx.layers.Rescaling(0.5, offset=-1.0)(sx.ops.convert_to_tensor([2, 4])).tolist()
    [0.0, 1.0]
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = _numbers("scale", scale)
        self.offset = _numbers("offset", offset)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Scale and shift."""
        x = ops.cast(inputs, self.compute_dtype)
        scale, offset = (ops.cast(ops.convert_to_tensor(v), self.compute_dtype) for v in (self.scale, self.offset))
        scaled = ops.multiply(x, scale)
        return scaled if np.all(np.asarray(self.offset) == 0) else ops.add(scaled, offset)


def _numbers(argument: str, value: Any) -> Any:
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"Rescaling: {argument} must be a number, or one a channel; got {value!r}") from None
    return array.item() if array.ndim == 0 else array.tolist()


class ImageLayer(Layer):
    """Base of layers that bring images, one (rank 3) or a batch (rank 4), to a height and width."""

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        kind = type(self).__name__
        self.height = positive_integer(kind, "height", height)
        self.width = positive_integer(kind, "width", width)
        self.data_format = data_format_of(kind, data_format)
        self.input_spec = InputSpec(min_ndim=3, max_ndim=4)


@LAYERS.register()
class Resizing(ImageLayer):
    """Images of another height and width (ONNX: Resize), as `ops.image.resize` does it.

    >>> import sardonyx as sx
    >>> sx.layers.Resizing(4, 6)(sx.ops.ones((1, 8, 8, 3))).shape
    (1, 4, 6, 3)
    """

    def __init__(
        self, height: int, width: int, interpolation: str = "bilinear", crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False, fill_mode: str = "constant", fill_value: float = 0.0,
        antialias: bool = False, data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(height, width, data_format, **kwargs)
        self.interpolation = one_of(
            "Resizing", "interpolation", interpolation, ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")
        )
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ValueError("Resizing: only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True")
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_mode = one_of("Resizing", "fill_mode", fill_mode, ("constant",))
        self.fill_value = fill_value
        self.antialias = antialias

    def call(self, inputs: Any) -> Any:
        """Resize; integers become floating-point numbers."""
        return ops.image.resize(
            ops.cast(inputs, self.compute_dtype), (self.height, self.width), self.interpolation, self.antialias,
            self.crop_to_aspect_ratio, self.pad_to_aspect_ratio, self.fill_mode, self.fill_value, self.data_format,
        )  # fmt: skip


@LAYERS.register()
class CenterCrop(ImageLayer):
    """The middle of images; smaller ones are resized to fill the window, their aspect ratio kept (ONNX: Slice).

    Raises `ShapeError` where the images' height or width is not known.

    >>> import sardonyx as sx
    >>> sx.layers.CenterCrop(4, 6)(sx.ops.ones((1, 8, 8, 3))).shape
    (1, 4, 6, 3)
    """

    def call(self, inputs: Any) -> Any:
        """Crop."""
        x = ops.cast(inputs, self.compute_dtype)
        first = len(x.shape) - (3 if self.data_format == "channels_last" else 2)
        sizes = x.shape[first : first + 2]
        if not all(isinstance(size, int) for size in sizes):
            raise ShapeError(f"the height and width of the images must be known, got shape {format_shape(x.shape)}")
        index: list[Any] = [slice(None)] * len(x.shape)
        for axis, (size, wanted) in enumerate(zip(sizes, (self.height, self.width), strict=True), first):
            start = (size - wanted) // 2
            if start < 0:
                return ops.image.resize(
                    x, (self.height, self.width), crop_to_aspect_ratio=True, data_format=self.data_format
                )
            index[axis] = slice(start, start + wanted)
        return x[tuple(index)]


def encode(indices: Any, mode: str, count: int, dtype: Any, weights: Any = None, keeps_axis: bool = False) -> Any:
    """Integers as one-hot vectors, as one vector with ones at all of a sample's integers, or as their numbers.

    One-hot vectors take the place of a last axis of size 1, unless `keeps_axis`: where its size was not known.
    """
    x = indices if indices.dtype.kind in "iu" else ops.cast(indices, "int32")
    x = ops.expand_dims(x, -1) if not x.shape else x
    if mode == "multi_hot":
        return ops.multi_hot(x, count, dtype=dtype)
    if mode == "one_hot":
        drops = len(x.shape) > 1 and x.shape[-1] == 1 and not keeps_axis
        return ops.one_hot(ops.squeeze(x, -1) if drops else x, count, dtype=dtype)
    encoded = ops.one_hot(x, count, dtype=dtype)
    if weights is not None:
        encoded = encoded * ops.expand_dims(weights, -1)
    return ops.sum(encoded, axis=1 if len(x.shape) > 1 else 0)


@LAYERS.register()
class CategoryEncoding(Layer):
    """Categories 0 ... num_tokens - 1 as vectors: "multi_hot", "one_hot" or "count" a sample (ONNX: OneHot).

    Integers outside of the range count for nothing. `count_weights`, of the input's shape, weighs what "count" counts.

    >>> import sardonyx as sx
    >>> sx.layers.CategoryEncoding(3, output_mode="count")(sx.ops.convert_to_tensor([[0, 2, 2]])).tolist()
    [[1.0, 0.0, 2.0]]
    """

    def __init__(
        self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if sparse:
            raise ValueError("CategoryEncoding: sparse=True is not supported; tensors are dense here")
        mode = "multi_hot" if output_mode == "binary" else output_mode
        self.output_mode = one_of("CategoryEncoding", "output_mode", mode, ("multi_hot", "one_hot", "count"))
        self.num_tokens = positive_integer("CategoryEncoding", "num_tokens", num_tokens)
        self.is_last_open = False
        self.autocast = False

    def build(self, input_shape: Any) -> None:
        """Note whether the last axis may be of any size: the result then has one rank for all of them."""
        self.is_last_open = input_shape[-1:] == (None,)

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        """Encode; raises `ValueError` for weights in another mode than "count"."""
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(f"{self.name}: count_weights is for output_mode='count', not {self.output_mode!r}")
        weights = None if count_weights is None else ops.cast(count_weights, self.compute_dtype)
        return encode(
            inputs, self.output_mode, self.num_tokens, self.compute_dtype, weights, keeps_axis=self.is_last_open
        )


@LAYERS.register()
class Discretization(Layer):
    """Numbers as the index of the bin they fall in, int32, or that index encoded as in `CategoryEncoding`.

    Bins lie between `bin_boundaries`, or are `num_bins` of about equal count learned by `adapt`, to a share `epsilon`.
    Raises `ValueError` unless exactly one of the two is given, or when called before `adapt`.

    >>> import sardonyx as sx
    >>> sx.layers.Discretization([0.0, 1.0])(sx.ops.convert_to_tensor([-3.0, 0.5, 1.0])).tolist()
    [0, 1, 2]
    """

    def __init__(
        self, bin_boundaries: Sequence[float] | None = None, num_bins: int | None = None, epsilon: float = 0.01,
        output_mode: str = "int", sparse: bool = False, dtype: Any = None, name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(dtype=dtype, name=name, **kwargs)
        if sparse:
            raise ValueError("Discretization: sparse=True is not supported; tensors are dense here")
        if (bin_boundaries is None) == (num_bins is None):
            raise ValueError("Discretization: give either bin_boundaries, or num_bins (and then call adapt)")
        bounds = None if bin_boundaries is None else [float(b) for b in bin_boundaries]
        if bounds is not None and any(a > b for a, b in pairwise(bounds)):
            raise ValueError(f"Discretization: bin_boundaries must rise, got {bounds}")
        self.bin_boundaries = bounds
        self.num_bins = None if num_bins is None else positive_integer("Discretization", "num_bins", num_bins)
        self.epsilon = epsilon
        self.is_last_open = False
        self.output_mode = one_of(
            "Discretization", "output_mode", output_mode, ("int", "one_hot", "multi_hot", "count")
        )

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the boundaries from an array, or from an iterable of batches (at most `steps` of them)."""
        if self.num_bins is None:
            raise ValueError(f"Discretization '{self.name}': the boundaries are given; adapt needs num_bins instead")
        batches = [data] if hasattr(data, "shape") else list(data)[:steps]
        summary = np.zeros((2, 0))
        for batch in batches:
            values = np.sort(np.asarray(batch, np.float32), axis=None).astype(np.float64)
            step = max(values.size * self.epsilon, 1.0)
            kept = values[int(step - 1) :: int(step)]
            both = np.concatenate([np.stack([kept, np.full(kept.size, step)]), summary], axis=1)
            summary = _condense(both[:, np.argsort(both[0], kind="stable")], self.epsilon)
        if not summary.size:
            raise ValueError(f"Discretization '{self.name}': adapt got no data")
        self.bin_boundaries = _condense(summary, 1.0 / self.num_bins)[0, :-1].astype(np.float32).tolist()

    def build(self, input_shape: Any) -> None:
        """Note whether the last axis may be of any size: the result then has one rank for all of them."""
        self.is_last_open = input_shape[-1:] == (None,)

    def call(self, inputs: Any) -> Any:
        """The bins; raises `ValueError` before the boundaries are known."""
        if self.bin_boundaries is None:
            raise ValueError(f"Discretization '{self.name}': call adapt(data) first, or give bin_boundaries")
        bins = ops.digitize(inputs, np.asarray(self.bin_boundaries, np.float32))
        if self.output_mode == "int":
            return ops.cast(bins, "int32")
        return encode(
            bins, self.output_mode, len(self.bin_boundaries) + 1, self.compute_dtype, keeps_axis=self.is_last_open
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new layer; boundaries that were learned are known again."""
        given = dict(config)
        learned = given.pop("bin_boundaries", None) if given.get("num_bins") is not None else None
        layer = cls(**given)
        layer.bin_boundaries = learned if learned is not None else layer.bin_boundaries
        return layer


def _condense(summary: np.ndarray, share: float) -> np.ndarray:
    """Values and weights (2, n) brought to about 1 / share of them by interpolating the cumulated weights."""
    if summary.shape[1] * share < 1:
        return summary
    values, total = summary[0], summary[1].cumsum()
    places = share + np.arange(0.0, 1.0, share)
    reached = np.interp(places, total / total[-1], total)
    return np.stack([np.interp(places, total / total[-1], values), np.diff(reached, prepend=0.0)])
