"""Activations as layers."""

from __future__ import annotations

from typing import Any

from ...trainer import activations, constraints, initializers, ops, regularizers
from ...trainer.core.dims import equal
from ...trainer.core.errors import ShapeError
from ..input_spec import InputSpec
from ..layer import Layer
from .registry import LAYERS


def not_negative(layer: str, argument: str, value: Any) -> float:
    """A number of 0 or more; raises `ValueError` for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ValueError(f"{layer}: {argument} must be a number of 0 or more, got {value!r}")
    return float(value)


@LAYERS.register()
class Activation(Layer):
    """An activation function, by name or as a function, element by element; shape and dtype stay.

    Raises `ValueError` with the closest names for an unknown name.

    >>> import sardonyx as sx
    >>> sx.layers.Activation("relu")(sx.ops.convert_to_tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The function applied."""
        return self.activation(inputs)


@LAYERS.register()
class ReLU(Layer):
    """The input where it is above `threshold`, `negative_slope * (x - threshold)` elsewhere, at most `max_value`.

    ONNX: Relu by default, LeakyRelu with a slope. Raises `ValueError` for negative arguments.

    >>> import sardonyx as sx
    >>> sx.layers.ReLU(max_value=6)(sx.ops.convert_to_tensor([-1.0, 2.0, 9.0])).tolist()
    [0.0, 2.0, 6.0]
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else not_negative("ReLU", "max_value", max_value)
        self.negative_slope = not_negative("ReLU", "negative_slope", negative_slope)
        self.threshold = not_negative("ReLU", "threshold", threshold)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The bent line."""
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


@LAYERS.register()
class LeakyReLU(Layer):
    """The input where it is positive, `negative_slope` times it elsewhere (Maas et al., 2013; ONNX: LeakyRelu).

    Raises `ValueError` for a negative slope.

    >>> import sardonyx as sx
    >>> sx.layers.LeakyReLU(0.5)(sx.ops.convert_to_tensor([-4.0, 2.0])).tolist()
    [-2.0, 2.0]
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = not_negative("LeakyReLU", "negative_slope", negative_slope)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The bent line."""
        return ops.leaky_relu(inputs, self.negative_slope)


@LAYERS.register()
class PReLU(Layer):
    """A leaky rectifier whose slopes `alpha` are learned, one an element of a sample (He et al., 2015).

    `shared_axes`, counted from 1, lists axes along which one slope serves all: (1, 2) for one a channel of images.
    Raises `ValueError` for axes that are no integers from 1, `ShapeError` for axes the input does not have.

    >>> import sardonyx as sx
    >>> layer = sx.layers.PReLU(alpha_initializer="ones", shared_axes=[1])
    >>> layer(sx.ops.convert_to_tensor([[[-1.0, 2.0]]])).tolist(), layer.alpha.shape
    ([[[-1.0, 2.0]]], (1, 2))
    """

    def __init__(
        self, alpha_initializer: Any = "Zeros", alpha_regularizer: Any = None, alpha_constraint: Any = None,
        shared_axes: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        axes = [shared_axes] if isinstance(shared_axes, int) else shared_axes
        if axes is not None and not all(isinstance(a, int) and a >= 1 for a in axes):
            raise ValueError(f"PReLU: shared_axes must be integers from 1 (0 is the batch), got {shared_axes!r}")
        self.shared_axes = None if axes is None else list(axes)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make alpha: the shape of a sample, with size 1 on shared axes."""
        shared = self.shared_axes or []
        rank = len(input_shape)
        if any(axis >= rank for axis in shared):
            raise ShapeError(
                f"PReLU '{self.name}': input of shape {tuple(input_shape)} lacks one of shared_axes {shared}"
            )
        sizes = tuple(1 if axis in shared else input_shape[axis] for axis in range(1, rank))
        self.alpha = self.add_weight(
            sizes, self.alpha_initializer, regularizer=self.alpha_regularizer, constraint=self.alpha_constraint,
            name="alpha",
        )  # fmt: skip
        self.input_spec = InputSpec(
            ndim=rank, axes={axis: input_shape[axis] for axis in range(1, rank) if axis not in shared}
        )

    def call(self, inputs: Any) -> Any:
        """The bent line."""
        return ops.relu(inputs) - self.alpha * ops.relu(-inputs)


@LAYERS.register()
class ELU(Layer):
    """The input where it is positive, `alpha * (exp(x) - 1)` elsewhere (Clevert et al., 2015; ONNX: Elu).

    >>> import sardonyx as sx
    >>> sx.layers.ELU()(sx.ops.convert_to_tensor([0.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(alpha, bool) or not isinstance(alpha, (int, float)):
            raise ValueError(f"ELU: alpha must be a number, got {alpha!r}")
        self.alpha = float(alpha)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The curve."""
        return ops.elu(inputs, self.alpha)


@LAYERS.register()
class Softmax(Layer):
    """Exponentials that sum to 1 along `axis`, or along several axes together (ONNX: Softmax).

    A `mask` that broadcasts against the input keeps True positions; the others get 0, also where nothing is kept.
    Raises `ShapeError` for a mask that does not broadcast.

    >>> import sardonyx as sx
    >>> sx.layers.Softmax()(sx.ops.zeros((1, 2)), mask=sx.ops.convert_to_tensor([[True, False]])).tolist()
    [[1.0, 0.0]]
    """

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        axes = axis if isinstance(axis, (list, tuple)) else [axis]
        if not axes or not all(isinstance(a, int) and not isinstance(a, bool) for a in axes):
            raise ValueError(f"Softmax: axis must be an integer or several, got {axis!r}")
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else axis
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The softmax, of what the mask keeps."""
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        if mask is None:
            return ops.softmax(inputs, axis=axis)
        rank, mask_rank = len(inputs.shape), len(mask.shape)
        fits = mask_rank <= rank and all(
            size == 1 or equal(size, full) is True
            for size, full in zip(mask.shape[::-1], inputs.shape[::-1], strict=False)
        )
        if not fits:
            raise ShapeError(
                f"the mask of shape {tuple(mask.shape)} does not broadcast to the input's {tuple(inputs.shape)}"
            )
        kept = mask if mask.dtype.kind == "b" else ops.greater(mask, 0.5)
        masked = ops.where(kept, inputs, ops.cast(-3e4 if inputs.dtype.itemsize == 2 else -1e9, inputs.dtype))
        return ops.where(kept, ops.softmax(masked, axis=axis), ops.cast(0.0, inputs.dtype))
