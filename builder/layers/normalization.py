"""Normalisation layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...trainer import constraints, initializers, ops, regularizers
from ...trainer.core.errors import ShapeError
from ...trainer.ops import normalization as kernels
from ..input_spec import InputSpec
from ..layer import Layer
from .checks import positive_integer
from .registry import LAYERS


def size_on(layer: Layer, input_shape: Any, axis: int) -> int:
    """The size of an axis that must be known; raises `ShapeError` otherwise."""
    who, shape = f"{type(layer).__name__} '{layer.name}'", tuple(input_shape)
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"{who}: input of shape {shape} has no axis {axis}")
    if shape[axis] is None:
        raise ShapeError(f"{who}: the size of axis {axis} must be known, got input shape {shape}")
    return input_shape[axis]


class ScaledLayer(Layer):
    """Shared by normalisations with a scale (`gamma`) and a shift (`beta`)."""

    def __init__(
        self, center: bool = True, scale: bool = True, beta_initializer: Any = "zeros", gamma_initializer: Any = "ones",
        beta_regularizer: Any = None, gamma_regularizer: Any = None, beta_constraint: Any = None,
        gamma_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Any = None
        self.beta: Any = None
        self.supports_masking = True

    def add_scale_and_shift(self, shape: tuple[Any, ...]) -> None:
        """Make gamma and beta, where wanted."""
        if self.scale:
            self.gamma = self.add_weight(
                shape, self.gamma_initializer, regularizer=self.gamma_regularizer, constraint=self.gamma_constraint,
                name="gamma",
            )  # fmt: skip
        if self.center:
            self.beta = self.add_weight(
                shape, self.beta_initializer, regularizer=self.beta_regularizer, constraint=self.beta_constraint,
                name="beta",
            )  # fmt: skip


@LAYERS.register()
class BatchNormalization(ScaledLayer):
    """To mean 0 and variance 1 over the batch: by its own statistics in training, by moving ones otherwise.

    Moving statistics follow as `moving * momentum + batch * (1 - momentum)`. A layer with `trainable=False` runs in
    inference mode. Source: Ioffe and Szegedy, 2015 (ONNX: BatchNormalization).

    >>> import sardonyx as sx
    >>> layer = sx.layers.BatchNormalization()
    >>> layer(sx.ops.ones((4, 3)), training=True).shape, len(layer.weights)
    ((4, 3), 4)
    """

    def __init__(
        self, axis: int = -1, momentum: float = 0.99, epsilon: float = 0.001, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones", beta_regularizer: Any = None, gamma_regularizer: Any = None,
        beta_constraint: Any = None, gamma_constraint: Any = None, synchronized: bool = False,
        renorm: bool = False, renorm_clipping: Any = None, renorm_momentum: float = 0.99, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint,
            gamma_constraint, **kwargs,
        )  # fmt: skip
        if renorm:
            raise ValueError("BatchNormalization: renorm=True is not supported; LayerNormalization suits small batches")
        self.axis = int(axis)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def build(self, input_shape: Any) -> None:
        """Make gamma, beta, moving mean and variance, each of the channels' size."""
        size = size_on(self, input_shape, self.axis)
        self.add_scale_and_shift((size,))
        self.moving_mean = self.add_weight((size,), self.moving_mean_initializer, trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(
            (size,), self.moving_variance_initializer, trainable=False, name="moving_variance"
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise; in training, move the statistics."""
        if not (training and self.trainable):
            return ops.batch_normalization(
                inputs, self.moving_mean, self.moving_variance, self.axis, self.beta, self.gamma, self.epsilon
            )
        if mask is not None:
            mean, variance = self._masked_moments(inputs, mask)
            result = ops.batch_normalization(inputs, mean, variance, self.axis, self.beta, self.gamma, self.epsilon)
        else:
            result, mean, variance = kernels.batch_normalization_training(
                inputs, self.axis, self.beta, self.gamma, self.epsilon
            )
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving.read() * self.momentum + ops.stop_gradient(batch) * (1.0 - self.momentum))
        return result

    def _masked_moments(self, inputs: Any, mask: Any) -> tuple[Any, Any]:
        """Mean and variance over what the mask keeps."""
        rank = len(inputs.shape)
        axes = tuple(i for i in range(rank) if i != self.axis % rank)
        weights = ops.cast(mask, inputs.dtype)
        while len(weights.shape) < rank:
            weights = ops.expand_dims(weights, -1)
        weights = ops.broadcast_to(weights, inputs.shape)
        count = ops.sum(weights, axis=axes, keepdims=True)
        mean = ops.sum(inputs * weights, axis=axes, keepdims=True) / count
        variance = ops.sum(weights * ops.square(inputs - mean), axis=axes, keepdims=True) / count
        return ops.squeeze(mean, axes), ops.squeeze(variance, axes)


@LAYERS.register()
class LayerNormalization(ScaledLayer):
    """Each sample to mean 0 and variance 1 over `axis` (Ba et al., 2016; ONNX: LayerNormalization).

    >>> import sardonyx as sx
    >>> sx.layers.LayerNormalization()(sx.ops.ones((2, 3))).numpy().tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """

    def __init__(
        self, axis: Any = -1, epsilon: float = 0.001, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", beta_regularizer: Any = None,
        gamma_regularizer: Any = None, beta_constraint: Any = None, gamma_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint,
            gamma_constraint, **kwargs,
        )  # fmt: skip
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else int(axis)
        self.epsilon = float(epsilon)

    def build(self, input_shape: Any) -> None:
        """Make gamma and beta over the normalised axes."""
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        self.add_scale_and_shift(tuple(size_on(self, input_shape, a) for a in axes))

    def call(self, inputs: Any) -> Any:
        """Normalise, scale, shift."""
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        return ops.layer_normalization(inputs, self.gamma, self.beta, axis, self.epsilon)


@LAYERS.register()
class RMSNormalization(Layer):
    """Each sample divided by its root mean square over `axis` (Zhang and Sennrich, 2019; ONNX: RMSNormalization)."""

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else int(axis)
        self.epsilon = float(epsilon)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the scale."""
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        self.scale = self.add_weight(tuple(size_on(self, input_shape, a) for a in axes), "ones", name="scale")

    def call(self, inputs: Any) -> Any:
        """Normalise and scale."""
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        return ops.rms_normalization(inputs, self.scale, axis, self.epsilon)


@LAYERS.register()
class GroupNormalization(ScaledLayer):
    """Groups of channels of each sample to mean 0 and variance 1 (Wu and He, 2018); `groups=-1` is one a channel."""

    def __init__(
        self, groups: int = 32, axis: int = -1, epsilon: float = 0.001, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", beta_regularizer: Any = None,
        gamma_regularizer: Any = None, beta_constraint: Any = None, gamma_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint,
            gamma_constraint, **kwargs,
        )  # fmt: skip
        self.groups = groups if groups == -1 else positive_integer("GroupNormalization", "groups", groups)
        self.axis = int(axis)
        self.epsilon = float(epsilon)

    def build(self, input_shape: Any) -> None:
        """Make gamma and beta; raises `ShapeError` unless the channels are a multiple of the groups."""
        size = size_on(self, input_shape, self.axis)
        if self.groups != -1 and size % self.groups:
            raise ShapeError(
                f"GroupNormalization '{self.name}': {size} channels are no multiple of groups={self.groups}"
            )
        self.add_scale_and_shift((size,))
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})

    def call(self, inputs: Any) -> Any:
        """Normalise, scale, shift."""
        groups = inputs.shape[self.axis] if self.groups == -1 else self.groups
        return kernels.group_normalization(inputs, groups, self.axis, self.gamma, self.beta, self.epsilon)


@LAYERS.register()
class UnitNormalization(Layer):
    """Each sample to length 1 over `axis`."""

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else int(axis)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Divide by the norm (at least 1e-6)."""
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        return inputs * ops.rsqrt(ops.maximum(ops.sum(ops.square(inputs), axis=axis, keepdims=True), 1e-12))


@LAYERS.register()
class Normalization(Layer):
    """Features to mean 0 and variance 1 by statistics that are given, or learned from data with `adapt`.

    `axis` names the feature axes (None: one mean and variance for all); `invert` undoes a normalisation.
    Raises `ValueError` when only one of mean and variance is given, `ShapeError` for features of unknown number.

    >>> import sardonyx as sx
    >>> layer = sx.layers.Normalization()
    >>> layer.adapt(sx.ops.convert_to_tensor([[0.0], [2.0]]))
    >>> layer(sx.ops.convert_to_tensor([[4.0]])).tolist()
    [[3.0]]
    """

    def __init__(
        self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if (mean is None) != (variance is None):
            raise ValueError("Normalization: mean and variance must be given together, or neither (then call adapt)")
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.mean = None if mean is None else np.asarray(mean, np.float32)
        self.variance = None if variance is None else np.asarray(variance, np.float32)
        self.invert = invert
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the statistics, unless they are given."""
        rank = len(input_shape)
        kept = {a % rank for a in self.axis}
        sizes = tuple(size for i, size in enumerate(input_shape) if i in kept)
        if None in sizes:
            raise ShapeError(
                f"Normalization '{self.name}': the sizes of the axes {self.axis} must be known, got input shape "
                f"{tuple(input_shape)}"
            )
        self._shape = tuple(size if i in kept else 1 for i, size in enumerate(input_shape))
        if self.mean is None:
            self.adapt_mean = self.add_weight(sizes, "zeros", trainable=False, name="mean")
            self.adapt_variance = self.add_weight(sizes, "ones", trainable=False, name="variance")
            self.count = self.add_weight((), "zeros", dtype="int32", trainable=False, name="count")
        else:
            self._given = [np.broadcast_to(np.asarray(x), sizes) for x in (self.mean, self.variance)]
        self.input_spec = InputSpec(ndim=rank, axes={a: input_shape[a] for a in self.axis})

    def adapt(self, data: Any) -> None:
        """Learn mean and variance from an array, or an iterable of batches; what was learned before is forgotten."""
        if self.mean is not None:
            raise ValueError(f"Normalization '{self.name}': mean and variance are given, there is nothing to adapt")
        batches: Sequence[Any] = [data] if hasattr(data, "shape") or isinstance(data, (list, tuple)) else list(data)
        arrays = [np.asarray(b, np.float64) for b in batches]
        if not arrays or not arrays[0].size:
            raise ValueError(f"Normalization '{self.name}': adapt got no data")
        if not self.built:
            self.build((None, *arrays[0].shape[1:]))
            self.built = True
        reduced = tuple(i for i in range(arrays[0].ndim) if i not in {a % arrays[0].ndim for a in self.axis})
        count = sum(a.size for a in arrays) / max(1, self.adapt_mean.numpy().size)
        mean = sum(a.sum(axis=reduced, keepdims=True) for a in arrays) / count
        variance = sum(np.square(a - mean).sum(axis=reduced) for a in arrays) / count
        self.adapt_mean.assign(np.reshape(mean, self.adapt_mean.shape))
        self.adapt_variance.assign(variance)
        self.count.assign(int(count))

    def call(self, inputs: Any) -> Any:
        """Subtract the mean, divide by the deviation (at least 1e-7); or the reverse."""
        inputs = ops.cast(inputs, self.compute_dtype)
        statistics = [self.adapt_mean, self.adapt_variance] if self.mean is None else self._given
        mean, variance = (ops.reshape(ops.cast(x, self.compute_dtype), self._shape) for x in statistics)
        deviation = ops.maximum(ops.sqrt(variance), 1e-7)
        return inputs * deviation + mean if self.invert else (inputs - mean) / deviation

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        given = [None if x is None else x.tolist() for x in (self.mean, self.variance)]
        axis = list(self.axis) if self.axis else None
        return {**super().get_config(), "axis": axis, "mean": given[0], "variance": given[1]}
