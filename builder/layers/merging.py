"""Layers that merge several inputs, and the same as functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...trainer import ops
from ...trainer.core.dims import Dim, equal, may_differ
from ...trainer.core.errors import ShapeError, format_shape
from ..layer import Layer
from .registry import LAYERS


def _promise(a: Any, b: Any) -> str:
    """What to do where two computed sizes are equal only for some inputs, as after pooling and upsampling."""
    if not isinstance(a, Dim) or not isinstance(b, Dim) or equal(a, b) is not None:
        return ""
    return f". S{may_differ(a, b)[1:]}"


class Merge(Layer):
    """Base of the element-wise merges: a list of inputs that broadcast against each other."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    least = 1

    def check(self, inputs: Any) -> list[Any]:
        """The inputs as a list; raises `ShapeError` for a single tensor or too few of them."""
        if not isinstance(inputs, (list, tuple)) or len(inputs) < self.least:
            count = len(inputs) if isinstance(inputs, (list, tuple)) else 1
            raise ShapeError(f"expected a list of inputs, {type(self).__name__}()([a, b]), got {count}")
        return list(inputs)

    def merge(self, inputs: list[Any]) -> Any:
        """The result; to be written by subclasses."""
        raise NotImplementedError(f"{type(self).__name__} does not define merge()")

    def call(self, inputs: Any) -> Any:
        """Merge; inputs of lower rank get new axes after the batch."""
        tensors = self.check(inputs)
        rank = max(len(x.shape) for x in tensors)
        aligned = []
        for x in tensors:
            while len(x.shape) < rank:
                x = ops.expand_dims(x, 1)
            aligned.append(x)
        return self.merge(aligned)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Where any input is valid; none unless all inputs have a mask."""
        if not previous_mask or any(mask is None for mask in previous_mask):
            return None
        return fold(ops.logical_or, previous_mask)


def fold(function: Any, inputs: Sequence[Any]) -> Any:
    """A function of two applied from left to right."""
    result = inputs[0]
    for x in inputs[1:]:
        result = function(result, x)
    return result


@LAYERS.register()
class Add(Merge):
    """Sum of the inputs.

    >>> import sardonyx as sx
    >>> sx.layers.Add()([sx.ops.ones((1, 2)), sx.ops.ones((1, 2))]).numpy().tolist()
    [[2.0, 2.0]]
    """

    def merge(self, inputs: list[Any]) -> Any:
        """The sum."""
        return fold(ops.add, inputs)


@LAYERS.register()
class Subtract(Merge):
    """First input minus the second."""

    least = 2

    def merge(self, inputs: list[Any]) -> Any:
        """The difference; raises `ShapeError` for more than two inputs."""
        if len(inputs) != 2:
            raise ShapeError(f"Subtract takes two inputs, got {len(inputs)}")
        return ops.subtract(inputs[0], inputs[1])


@LAYERS.register()
class Multiply(Merge):
    """Product of the inputs."""

    def merge(self, inputs: list[Any]) -> Any:
        """The product."""
        return fold(ops.multiply, inputs)


@LAYERS.register()
class Average(Merge):
    """Mean of the inputs."""

    def merge(self, inputs: list[Any]) -> Any:
        """The mean."""
        return fold(ops.add, inputs) / float(len(inputs))


@LAYERS.register()
class Maximum(Merge):
    """Largest of the inputs, element by element."""

    def merge(self, inputs: list[Any]) -> Any:
        """The maximum."""
        return fold(ops.maximum, inputs)


@LAYERS.register()
class Minimum(Merge):
    """Smallest of the inputs, element by element."""

    def merge(self, inputs: list[Any]) -> Any:
        """The minimum."""
        return fold(ops.minimum, inputs)


@LAYERS.register()
class Concatenate(Merge):
    """The inputs one after the other along an axis (ONNX: Concat); all other sizes must be equal.

    >>> import sardonyx as sx
    >>> sx.layers.Concatenate()([sx.ops.ones((1, 2)), sx.ops.ones((1, 3))]).shape
    (1, 5)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise ValueError(f"Concatenate: axis must be an integer, got {axis!r}")
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        """Concatenate; raises `ShapeError` naming the inputs and the axis that do not fit."""
        tensors = self.check(inputs)
        first = tensors[0].shape
        if not -len(first) <= self.axis < len(first):
            raise ShapeError(f"inputs of shape {format_shape(first)} have no axis {self.axis}")
        for i, x in enumerate(tensors[1:], 1):
            if len(x.shape) != len(first):
                raise ShapeError(
                    f"inputs 0 and {i} have different ranks: {format_shape(first)} and {format_shape(x.shape)}"
                )
            for axis, (a, b) in enumerate(zip(first, x.shape, strict=True)):
                if axis != self.axis % len(first) and equal(a, b) is not True:
                    raise ShapeError(
                        f"inputs 0 and {i} differ on axis {axis}: {format_shape(first)} and {format_shape(x.shape)}; "
                        f"only axis {self.axis}, along which they are concatenated, may differ{_promise(a, b)}"
                    )
        return ops.concatenate(tensors, axis=self.axis)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Masks concatenated; inputs without one count as valid."""
        if previous_mask is None or all(m is None for m in previous_mask):
            return None
        masks = []
        for x, mask in zip(inputs, previous_mask, strict=True):
            rank = len(x.shape)
            full = ops.ones(x.shape, "bool") if mask is None else mask
            while len(full.shape) < rank:
                full = ops.expand_dims(full, -1)
            masks.append(ops.broadcast_to(full, x.shape))
        return ops.any(ops.concatenate(masks, axis=self.axis), axis=-1)


@LAYERS.register()
class Dot(Merge):
    """Scalar products of two inputs along `axes`; with `normalize`, cosines.

    >>> import sardonyx as sx
    >>> sx.layers.Dot(axes=1)([sx.ops.ones((2, 3)), sx.ops.ones((2, 3))]).numpy().tolist()
    [[3.0], [3.0]]
    """

    least = 2

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        pair = isinstance(axes, (list, tuple)) and len(axes) == 2 and all(isinstance(a, int) for a in axes)
        if not isinstance(axes, int) and not pair:
            raise ValueError(f"Dot: axes must be an integer, or two of them; got {axes!r}")
        self.axes = axes if isinstance(axes, int) else tuple(axes)
        self.normalize = normalize

    def call(self, inputs: Any) -> Any:
        """The products; raises `ShapeError` unless the sizes along the axes are equal."""
        tensors = self.check(inputs)
        if len(tensors) != 2:
            raise ShapeError(f"Dot takes two inputs, got {len(tensors)}")
        x, y = tensors
        axes = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        for axis, tensor in zip(axes, tensors, strict=True):
            if not -len(tensor.shape) <= axis < len(tensor.shape):
                raise ShapeError(f"an input of shape {format_shape(tensor.shape)} has no axis {axis}")
        first, second = axes[0] % len(x.shape), axes[1] % len(y.shape)
        if 0 in (first, second):
            raise ShapeError("Dot: the batch axis 0 cannot be one of the axes")
        if equal(x.shape[first], y.shape[second]) is not True:
            raise ShapeError(
                f"axis {first} of {format_shape(x.shape)} and axis {second} of {format_shape(y.shape)} must be of one "
                "size"
            )
        if self.normalize:
            x, y = _unit(x, first), _unit(y, second)
        left = "b" + "".join(chr(ord("c") + i) for i in range(1, len(x.shape)))
        right = "b" + "".join(chr(ord("n") + i) for i in range(1, len(y.shape)))
        left = left[:first] + "z" + left[first + 1 :]
        right = right[:second] + "z" + right[second + 1 :]
        result = left.replace("z", "") + right.replace("z", "")[1:]
        product = ops.einsum(f"{left},{right}->{result}", x, y)
        return ops.expand_dims(product, 1) if len(result) == 1 else product

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The result has no mask."""
        return None


def _unit(x: Any, axis: int) -> Any:
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=axis, keepdims=True), 1e-12))


def add(inputs: Any, **kwargs: Any) -> Any:
    """`Add()` as a function."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """`Subtract()` as a function."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """`Multiply()` as a function."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """`Average()` as a function."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """`Maximum()` as a function."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """`Minimum()` as a function."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate()` as a function."""
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """`Dot()` as a function."""
    return Dot(axes, **kwargs)(inputs)
