"""Layers of matrix products: Dense, EinsumDense; Embedding."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ...trainer import activations, constraints, initializers, ops, regularizers
from ...trainer.core.errors import ShapeError
from ...trainer.ops.dense import can_be_fused, dense_primitive, dense_relu_primitive
from ..input_spec import InputSpec
from ..layer import Layer
from .checks import positive_integer
from .registry import LAYERS


class WeightedLayer(Layer):
    """Shared by layers with a kernel and a bias: initializers, regularizers and constraints of both."""

    def __init__(
        self, activation: Any = None, use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def add_kernel(self, shape: tuple[Any, ...], name: str = "kernel") -> Any:
        """The kernel."""
        return self.add_weight(
            shape, self.kernel_initializer, regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
            name=name,
        )  # fmt: skip

    def add_bias(self, shape: tuple[Any, ...], name: str = "bias") -> Any:
        """The bias, or None without one."""
        if not self.use_bias:
            return None
        return self.add_weight(
            shape, self.bias_initializer, regularizer=self.bias_regularizer, constraint=self.bias_constraint, name=name
        )

    def activate(self, x: Any) -> Any:
        """The activation applied; nothing for linear."""
        return x if self.activation is activations.linear else self.activation(x)


@LAYERS.register()
class Dense(WeightedLayer):
    """`activation(x @ kernel + bias)` over the last axis; shape (..., features) to (..., units).

    Raises `ValueError` for units that are no positive integer, `ShapeError` for input without a feature axis.

    >>> import sardonyx as sx
    >>> sx.layers.Dense(3, activation="relu")(sx.ops.ones((2, 4))).shape
    (2, 3)
    """

    def __init__(
        self, units: int, activation: Any = None, use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
        lora_rank: int | None = None, lora_alpha: float | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip
        self.units = positive_integer("Dense", "units", units)
        self.lora_rank = lora_rank
        self.lora_alpha = lora_rank if lora_alpha is None else lora_alpha
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make kernel (features, units) and bias (units,)."""
        features = input_shape[-1]
        self.kernel = self.add_kernel((features, self.units))
        self.bias = self.add_bias((self.units,))
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})
        if self.lora_rank:
            self.enable_lora(self.lora_rank, lora_alpha=self.lora_alpha)

    def enable_lora(
        self, rank: int, a_initializer: Any = "he_uniform", b_initializer: Any = "zeros",
        lora_alpha: float | None = None,
    ) -> None:  # fmt: skip
        """Freeze the kernel and train a product of two thin matrices added to it (Hu et al., 2021)."""
        self.lora_kernel_a = self.add_weight((self.kernel.shape[0], rank), a_initializer, name="lora_kernel_a")
        self.lora_kernel_b = self.add_weight((rank, self.units), b_initializer, name="lora_kernel_b")
        self.kernel.trainable = False
        self.lora_rank, self.lora_alpha = rank, rank if lora_alpha is None else lora_alpha

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """The product, the bias, the activation."""
        kernel: Any = self.kernel
        if self.lora_rank:
            kernel = kernel + ops.matmul(self.lora_kernel_a, self.lora_kernel_b) * (
                (self.lora_alpha or self.lora_rank) / self.lora_rank
            )
        elif can_be_fused(inputs, kernel, self.bias):
            rectified = self.activation is activations.relu
            primitive = dense_relu_primitive if rectified else dense_primitive
            x = primitive(inputs, kernel.read(), self.bias.read())
            return x if rectified else self.activate(x)
        x = ops.matmul(inputs, kernel)
        return self.activate(x if self.bias is None else ops.add(x, self.bias))


@LAYERS.register()
class EinsumDense(WeightedLayer):
    """A dense layer whose product is any einsum: `EinsumDense("abc,cd->abd", output_shape=(None, 64), bias_axes="d")`.

    `output_shape` excludes the batch; None stands for a size taken from the input.

    >>> import sardonyx as sx
    >>> layer = sx.layers.EinsumDense("ab,bc->ac", output_shape=5, bias_axes="c")
    >>> layer(sx.ops.ones((2, 3))).shape
    (2, 5)
    """

    def __init__(
        self, equation: str, output_shape: Any, activation: Any = None, bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
        activity_regularizer: Any = None, lora_rank: int | None = None, lora_alpha: float | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            activation, bias_axes is not None, kernel_initializer, bias_initializer, kernel_regularizer,
            bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip
        if not re.fullmatch(r"(\.\.\.)?\w+,\w+->(\.\.\.)?\w+", equation.replace(" ", "")):
            raise ValueError(f"EinsumDense: equation must read like 'ab,bc->ac' or '...x,xy->...y', got {equation!r}")
        if not isinstance(output_shape, (int, list, tuple)):
            raise TypeError(
                f"EinsumDense: output_shape must be an integer, or a tuple of integers and None; got {output_shape!r}"
            )
        self.equation = equation.replace(" ", "")
        self.partial_output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.output_shape = self.partial_output_shape
        self.bias_axes = bias_axes

    def build(self, input_shape: Any) -> None:
        """Make the kernel the equation asks for, and a bias over `bias_axes`."""
        left, result = self.equation.split("->")
        source, kernel = left.split(",")
        sizes = self._sizes(source, result, input_shape)
        missing = [axis for axis in kernel if sizes.get(axis) is None]
        if missing:
            raise ShapeError(
                f"EinsumDense '{self.name}': the size of axis {missing[0]!r} of {self.equation!r} is not known; it "
                f"must be in output_shape {self.partial_output_shape} or in the input shape {tuple(input_shape)}"
            )
        self.kernel = self.add_kernel(tuple(sizes[axis] for axis in kernel))
        self.bias = self.add_bias(self._bias_shape(result, sizes)) if self.bias_axes else None

    def _sizes(self, source: str, result: str, input_shape: Any) -> dict[str, Any]:
        plain_source, plain_result = source.replace("...", ""), result.replace("...", "")
        sizes: dict[str, Any] = {}
        if "..." in result:
            outputs = dict(zip(reversed(plain_result), reversed(self.partial_output_shape), strict=False))
        else:
            outputs = dict(zip(plain_result[1:], self.partial_output_shape, strict=False))
        sizes.update({k: v for k, v in outputs.items() if v is not None})
        for axis, size in zip(reversed(plain_source), reversed(input_shape), strict=False):
            if size is not None:
                sizes.setdefault(axis, size)
                if sizes[axis] != size:
                    raise ShapeError(
                        f"EinsumDense '{self.name}': axis {axis!r} of {self.equation!r} has size {size} in the input "
                        f"and {sizes[axis]} in output_shape"
                    )
        return sizes

    def _bias_shape(self, result: str, sizes: dict[str, Any]) -> tuple[int, ...]:
        plain = result.replace("...", "")
        unknown = [axis for axis in self.bias_axes or "" if axis not in plain]
        if unknown:
            raise ValueError(f"EinsumDense '{self.name}': bias axis {unknown[0]!r} is no axis of the output {result!r}")
        first = min(plain.index(axis) for axis in self.bias_axes or "")
        return tuple(sizes[axis] if axis in (self.bias_axes or "") else 1 for axis in plain[first:])

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """The product, the bias, the activation."""
        x = ops.einsum(self.equation, inputs, self.kernel)
        return self.activate(x if self.bias is None else ops.add(x, self.bias))

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "output_shape": list(self.partial_output_shape)}


@LAYERS.register()
class Embedding(Layer):
    """Rows of a table by index: integers of shape (...) to vectors of shape (..., output_dim).

    With `mask_zero`, index 0 stands for padding and is masked out in the layers above.

    >>> import sardonyx as sx
    >>> sx.layers.Embedding(10, 4)(sx.ops.convert_to_tensor([[1, 2, 3]])).shape
    (1, 3, 4)
    """

    def __init__(
        self, input_dim: int, output_dim: int, embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None, embeddings_constraint: Any = None, mask_zero: bool = False,
        weights: Any = None, lora_rank: int | None = None, lora_alpha: float | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        kwargs.pop("input_length", None)
        super().__init__(**kwargs)
        self.input_dim = positive_integer("Embedding", "input_dim", input_dim)
        self.output_dim = positive_integer("Embedding", "output_dim", output_dim)
        uniform = embeddings_initializer == "uniform"
        self.embeddings_initializer = initializers.get("random_uniform" if uniform else embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        self.autocast = False
        self.lora_rank, self.lora_alpha = lora_rank, lora_alpha
        self._given_weights = weights

    def build(self, input_shape: Any = None) -> None:
        """Make the table (input_dim, output_dim)."""
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim), self.embeddings_initializer, regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint, name="embeddings",
        )  # fmt: skip
        if self._given_weights is not None:
            self.embeddings.assign(np.asarray(self._given_weights).reshape(self.embeddings.shape))
        if self.lora_rank:
            self.enable_lora(self.lora_rank, lora_alpha=self.lora_alpha)

    def enable_lora(
        self,
        rank: int,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
        lora_alpha: float | None = None,
    ) -> None:
        """Freeze the table and train a product of two thin matrices added to it (Hu et al., 2021)."""
        self.lora_embeddings_a = self.add_weight((self.input_dim, rank), a_initializer, name="lora_embeddings_a")
        self.lora_embeddings_b = self.add_weight((rank, self.output_dim), b_initializer, name="lora_embeddings_b")
        self.embeddings.trainable = False
        self.lora_rank, self.lora_alpha = rank, rank if lora_alpha is None else lora_alpha

    def call(self, inputs: Any) -> Any:
        """The rows; indices are converted to int32."""
        indices = ops.convert_to_tensor(inputs)
        indices = indices if indices.dtype.kind in "iu" else ops.cast(indices, "int32")
        try:
            rows = ops.take(self.embeddings, indices, axis=0)
        except IndexError as error:
            raise IndexError(
                f"layer '{self.name}' (Embedding): expected indices from 0 to {self.input_dim - 1} "
                f"(input_dim={self.input_dim}); "
                f"{error}. Make input_dim the largest index + 1"
            ) from None
        if not self.lora_rank:
            return rows
        thin = ops.take(self.lora_embeddings_a, indices, axis=0)
        return rows + ops.matmul(thin, self.lora_embeddings_b) * ((self.lora_alpha or self.lora_rank) / self.lora_rank)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Where the index is not 0."""
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "weights": None}
