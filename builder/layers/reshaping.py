"""Layers that rearrange: Flatten, Reshape, Permute, padding, cropping, up-sampling."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.dims import product
from ...trainer.core.errors import ShapeError
from ..input_spec import InputSpec
from ..layer import Layer
from .checks import data_format_of, integer_tuple, one_of, positive_integer
from .registry import LAYERS


@LAYERS.register()
class Flatten(Layer):
    """All axes but the batch in one (ONNX: Reshape).

    >>> import sardonyx as sx
    >>> sx.layers.Flatten()(sx.ops.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of("Flatten", data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        """The elements of each sample in a row; channels first is brought to channels last before."""
        rank = len(inputs.shape)
        if self.data_format == "channels_first" and rank > 2:
            inputs = ops.transpose(inputs, (0, *range(2, rank), 1))
        return ops.reshape(inputs, (inputs.shape[0], product(inputs.shape[1:])))


@LAYERS.register()
class Reshape(Layer):
    """Each sample in another shape; one size may be -1 (ONNX: Reshape).

    >>> import sardonyx as sx
    >>> sx.layers.Reshape((2, -1))(sx.ops.ones((5, 6))).shape
    (5, 2, 3)
    """

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        sizes = (target_shape,) if isinstance(target_shape, int) else target_shape
        if not isinstance(sizes, (tuple, list)) or not all(
            s is None or isinstance(s, (int, np.integer)) for s in sizes
        ):
            raise ValueError(f"Reshape: target_shape must be integers, one of which may be -1; got {target_shape!r}")
        if sum(s in (-1, None) for s in sizes) > 1:
            raise ValueError(f"Reshape: target_shape {tuple(sizes)} leaves several sizes open; only one size may be -1")
        self.target_shape = tuple(sizes)

    def call(self, inputs: Any) -> Any:
        """Reshape; raises `ShapeError` when the numbers of elements differ."""
        total = product(inputs.shape[1:])
        known = product([s for s in self.target_shape if s not in (-1, None)])
        if -1 not in self.target_shape and None not in self.target_shape and total != known:
            raise ShapeError(
                f"target_shape {self.target_shape} has {known} elements, a sample of shape {tuple(inputs.shape[1:])} "
                f"has {total}"
            )
        return ops.reshape(inputs, (inputs.shape[0], *[-1 if s is None else s for s in self.target_shape]))


@LAYERS.register()
class Permute(Layer):
    """Axes of each sample in another order, counted from 1: `Permute((2, 1))` swaps the first two (ONNX: Transpose)."""

    def __init__(self, dims: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"Permute: dims must be the numbers 1 to {len(self.dims)} in some order, got {self.dims}")
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        """Transpose."""
        return ops.transpose(inputs, (0, *self.dims))


@LAYERS.register()
class RepeatVector(Layer):
    """A vector repeated `n` times: (batch, features) to (batch, n, features)."""

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = positive_integer("RepeatVector", "n", n)
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        """Repeat."""
        return ops.broadcast_to(ops.expand_dims(inputs, 1), (inputs.shape[0], self.n, inputs.shape[1]))


def sides(layer: str, argument: str, value: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """Pairs (before, after), one an axis, from a number, one number an axis, or pairs; else raises `ValueError`."""

    def fine(number: Any) -> bool:
        return isinstance(number, (int, np.integer)) and not isinstance(number, bool) and int(number) >= 0

    if fine(value):
        return ((int(value), int(value)),) * rank
    if isinstance(value, (tuple, list)):
        if rank == 1 and len(value) == 2 and all(fine(v) for v in value):
            return ((int(value[0]), int(value[1])),)
        if len(value) == rank:
            pairs = [(v, v) if fine(v) else v for v in value]
            if all(isinstance(p, (tuple, list)) and len(p) == 2 and all(fine(v) for v in p) for p in pairs):
                return tuple((int(p[0]), int(p[1])) for p in pairs)
    raise ValueError(
        f"{layer}: {argument} must be a number of 0 or more, or {rank} of them, or {rank} pairs (before, after); got "
        f"{value!r}"
    )


class SideLayer(Layer):
    """Base of padding and cropping."""

    rank = 2
    argument = "padding"

    def __init__(self, amount: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        name = type(self).__name__
        self.data_format = data_format_of(name, data_format)
        pairs = sides(name, self.argument, amount, self.rank)
        setattr(self, self.argument, pairs[0] if self.rank == 1 else pairs)
        self._pairs = pairs
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def first_axis(self) -> int:
        """The first axis of space."""
        return 1 if self.data_format == "channels_last" else 2


class ZeroPadding(SideLayer):
    """Base of the zero paddings."""

    def call(self, inputs: Any) -> Any:
        """Zeros around each sample."""
        widths = [(0, 0)] * len(inputs.shape)
        widths[self.first_axis : self.first_axis + self.rank] = self._pairs
        return ops.pad(inputs, widths)


@LAYERS.register()
class ZeroPadding1D(ZeroPadding):
    """Zeros before and after a sequence (ONNX: Pad)."""

    rank = 1

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(padding, data_format, **kwargs)


@LAYERS.register()
class ZeroPadding2D(ZeroPadding):
    """Zeros around images (ONNX: Pad).

    >>> import sardonyx as sx
    >>> sx.layers.ZeroPadding2D(((1, 0), (2, 2)))(sx.ops.ones((1, 3, 3, 1))).shape
    (1, 4, 7, 1)
    """

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(padding, data_format, **kwargs)


@LAYERS.register()
class ZeroPadding3D(ZeroPadding):
    """Zeros around volumes (ONNX: Pad)."""

    rank = 3

    def __init__(self, padding: Any = (1, 1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(padding, data_format, **kwargs)


class Cropping(SideLayer):
    """Base of the croppings."""

    argument = "cropping"

    def call(self, inputs: Any) -> Any:
        """Cut off both ends; raises `ShapeError` when nothing would be left."""
        index: list[Any] = [slice(None)] * len(inputs.shape)
        for axis, (before, after) in enumerate(self._pairs, self.first_axis):
            size = inputs.shape[axis]
            if isinstance(size, int) and before + after >= size:
                raise ShapeError(f"cropping ({before}, {after}) leaves nothing of axis {axis} of size {size}")
            index[axis] = slice(before, size - after)
        return inputs[tuple(index)]


@LAYERS.register()
class Cropping1D(Cropping):
    """Cuts off the ends of sequences (ONNX: Slice)."""

    rank = 1

    def __init__(self, cropping: Any = (1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, **kwargs)


@LAYERS.register()
class Cropping2D(Cropping):
    """Cuts off the borders of images (ONNX: Slice)."""

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, **kwargs)


@LAYERS.register()
class Cropping3D(Cropping):
    """Cuts off the borders of volumes (ONNX: Slice)."""

    rank = 3

    def __init__(self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, **kwargs)


class UpSampling(Layer):
    """Base of the up-samplings: every element repeated `size` times along each axis of space."""

    rank = 2

    def __init__(self, size: Any = 2, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = integer_tuple(type(self).__name__, "size", size, self.rank)
        self.data_format = data_format_of(type(self).__name__, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        """Repeat along each axis."""
        first = 1 if self.data_format == "channels_last" else 2
        for axis, factor in enumerate(self.size, first):
            inputs = ops.repeat(inputs, factor, axis=axis)
        return inputs


@LAYERS.register()
class UpSampling1D(UpSampling):
    """Repeats time steps."""

    rank = 1

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(size, None, **kwargs)


@LAYERS.register()
class UpSampling2D(UpSampling):
    """Enlarges images by whole factors: "nearest", or smoothly ("bilinear", "bicubic") (ONNX: Resize)."""

    def __init__(
        self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any
    ) -> None:
        super().__init__(size, data_format, **kwargs)
        self.interpolation = one_of("UpSampling2D", "interpolation", interpolation, ("nearest", "bilinear", "bicubic"))

    def call(self, inputs: Any) -> Any:
        """Resize by the factors."""
        first = 1 if self.data_format == "channels_last" else 2
        size = tuple(inputs.shape[first + i] * factor for i, factor in enumerate(self.size))
        return ops.image.resize(inputs, size, interpolation=self.interpolation, data_format=self.data_format)


@LAYERS.register()
class UpSampling3D(UpSampling):
    """Enlarges volumes by whole factors."""

    rank = 3
