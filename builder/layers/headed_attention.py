"""What the attention layers with several heads share: projections, masks, the weighted sum."""

from __future__ import annotations

import math
from typing import Any

from ...trainer import constraints, initializers, ops, regularizers
from ...trainer.core.dims import equal
from ...trainer.core.errors import ShapeError, format_shape
from ...trainer.ops import random
from ...trainer.ops.seed import SeedGenerator
from ..layer import Layer
from .attention import causal_mask
from .checks import fraction, positive_integer
from .head_projections import HeadMerge, HeadProjection


class HeadedAttention(Layer):
    """Base of MultiHeadAttention and GroupedQueryAttention."""

    query_dense: HeadProjection
    key_dense: HeadProjection
    value_dense: HeadProjection
    gate_dense: HeadProjection
    output_dense: HeadMerge

    def __init__(
        self, dropout: float, use_bias: bool, sliding_window: int | None, flash_attention: bool | None,
        kernel_initializer: Any, bias_initializer: Any, kernel_regularizer: Any, bias_regularizer: Any,
        kernel_constraint: Any, bias_constraint: Any, use_gate: bool, seed: int | None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        kind = type(self).__name__
        self.supports_masking = True
        self.dropout = fraction(kind, "dropout", dropout)
        self.use_bias = use_bias
        self.use_gate = use_gate
        self.sliding_window = sliding_window
        if sliding_window is not None:
            self.sliding_window = positive_integer(kind, "sliding_window", sliding_window)
        self.flash_attention = flash_attention
        if flash_attention and self.dropout:
            raise ValueError(f"{kind}: flash_attention=True goes without dropout, got dropout={dropout}")
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.penalty: Any = None

    def make(
        self, query: tuple[int, int], key: tuple[int, int], value: tuple[int, int], sizes: tuple[int, ...], shapes: Any
    ) -> None:
        """Make and build the projections: heads and depth of each, sizes of the output, shapes of query, key, value."""
        for name, shape, heads, activation in (
            ("query", shapes[0], query, None), ("key", shapes[1], key, None),
            ("gate", shapes[0], (query[0], value[1]), "sigmoid"), ("value", shapes[2], value, None),
        ):  # fmt: skip
            if name != "gate" or self.use_gate:
                setattr(self, f"{name}_dense", HeadProjection(*heads, activation=activation, name=name,
                **self._options()))
                self._build_part(getattr(self, f"{name}_dense"), shape)
        self.output_dense = HeadMerge(sizes, name="attention_output", **self._options())
        self._build_part(self.output_dense, (*shapes[0][:-1], query[0], value[1]))

    def _options(self) -> dict[str, Any]:
        # a copy of an initializer without a seed draws anew
        fresh = [
            initializers.get(initializers.serialize(x)) if isinstance(x, initializers.Initializer) else x
            for x in (self.kernel_initializer, self.bias_initializer)
        ]
        return {
            "use_bias": self.use_bias, "kernel_initializer": fresh[0], "bias_initializer": fresh[1],
            "kernel_regularizer": self.kernel_regularizer, "bias_regularizer": self.bias_regularizer,
            "activity_regularizer": self.penalty, "kernel_constraint": self.kernel_constraint,
            "bias_constraint": self.bias_constraint, "dtype": self.dtype,
        }  # fmt: skip

    def _build_part(self, part: Layer, shape: Any) -> None:
        with part._scope():
            part.build(shape)
        part.built = True

    def check_shapes(self, query: Any, value: Any, key: Any) -> None:
        """Raise `ShapeError` unless value and key agree in all axes but the last."""
        for name, shape in (("query", query), ("value", value), ("key", key)):
            if len(shape) < 3:
                raise ShapeError(
                    f"expected a {name} (batch, time, features) of rank 3 or more, got {format_shape(shape)}"
                )
        fits = len(value) == len(key) and all(
            equal(a, b) is not False for a, b in zip(value[1:-1], key[1:-1], strict=True) if None not in (a, b)
        )
        if not fits:
            raise ShapeError(
                f"value and key must agree in all axes but the last, got {format_shape(value)} and {format_shape(key)}"
            )

    def call(
        self, query: Any, value: Any, key: Any = None, query_mask: Any = None, value_mask: Any = None,
        key_mask: Any = None, attention_mask: Any = None, return_attention_scores: bool = False,
        training: bool | None = None, use_causal_mask: bool = False,
    ) -> Any:  # fmt: skip
        """Attention from query to value.

        query_mask (batch, query time), value_mask and key_mask (batch, value time) are taken from the tensors where not
        given; attention_mask (batch, query time, value time) or with an axis of heads: True may be seen.
        """
        if return_attention_scores and self.flash_attention:
            raise ValueError(
                f"{type(self).__name__} '{self.name}': flash_attention=True computes no scores; leave "
                "return_attention_scores False, or flash_attention None"
            )
        source = value if key is None else key
        seen = self.merged_mask(query, value, query_mask, value_mask, key_mask, attention_mask)
        projected = (self.query_dense(query), self.key_dense(source), self.value_dense(value))
        result, scores = self.attend(*projected, seen, training, return_attention_scores, use_causal_mask)
        if self.use_gate:
            result = result * self.gate_dense(query)
        output = self.output_dense(result)
        if query_mask is not None:
            output.mask = query_mask
        return (output, scores) if return_attention_scores else output

    def merged_mask(
        self, query: Any, value: Any, query_mask: Any, value_mask: Any, key_mask: Any, attention_mask: Any
    ) -> Any:
        """All masks but the causal one as one that broadcasts to (batch, query time, value time), or None."""
        rows = [(query_mask, -1), (value_mask, -2), (key_mask, -2)]
        masks = [ops.expand_dims(ops.cast(mask, bool), axis) for mask, axis in rows if mask is not None]
        if self.sliding_window is not None:
            i, j = (ops.arange(x.shape[1], dtype="int32") for x in (query, value))
            masks.append(ops.expand_dims(ops.less(ops.abs(ops.expand_dims(i, -1) - j), self.sliding_window), 0))
        if attention_mask is not None:
            masks.append(ops.cast(attention_mask, bool))
        merged: Any = None
        for mask in masks:
            merged = mask if merged is None else ops.logical_and(*_aligned(merged, mask))
        return merged

    def attend(
        self, query: Any, key: Any, value: Any, mask: Any, training: bool | None, return_scores: bool, causal: bool
    ) -> tuple[Any, Any]:
        """The weighted sum of projected values (..., heads, depth), and the weights where they were computed."""
        scale = 1.0 / math.sqrt(query.shape[-1])
        # a row with everything masked is uniform in the one operation, zero in the others: as in Keras
        alike = not self.dropout or (not training and mask is None)
        if len(query.shape) == 4 and not return_scores and alike:
            mask = None if mask is None else expand_mask(mask, 4, 1)
            return ops.dot_product_attention(query, key, value, mask=mask, scale=scale, is_causal=causal), None
        if causal:
            earlier = causal_mask(query, value)
            mask = earlier if mask is None else ops.logical_and(*_aligned(mask, earlier))
        groups = query.shape[-2] // key.shape[-2]
        if groups > 1:
            key, value = ops.repeat(key, groups, axis=-2), ops.repeat(value, groups, axis=-2)
        return self.attend_in_steps(query * scale, key, value, mask, training)

    def axes(self, rank: int) -> tuple[int, ...]:
        """The axes attention goes over, of projected tensors of a rank."""
        return tuple(range(1, rank - 2))

    def attend_in_steps(self, query: Any, key: Any, value: Any, mask: Any, training: bool | None) -> tuple[Any, Any]:
        """Attention whose weights are wanted, or dropped, or which goes over other axes than the second."""
        rank = len(query.shape)
        axes = self.axes(rank)
        free = tuple(i for i in range(rank - 1) if i not in axes)
        order = (*free, *axes, rank - 1)
        query, key, value = (ops.transpose(x, order) for x in (query, key, value))
        lead = query.shape[: len(free)]
        times, sources = query.shape[len(free) : -1], key.shape[len(free) : -1]
        rows, columns = _product(times), _product(sources)
        if len(axes) > 1:
            query = ops.reshape(query, (*lead, rows, query.shape[-1]))
            key, value = (ops.reshape(x, (*x.shape[: len(free)], columns, x.shape[-1])) for x in (key, value))
        scores = ops.matmul(query, ops.swapaxes(key, -2, -1))
        full = (*lead, *times, *sources)
        if mask is not None:
            mask = expand_mask(mask, len(full), len(axes))
            if len(axes) > 1:
                mask = ops.reshape(ops.broadcast_to(mask, full), scores.shape)
            scores = ops.where(mask, scores, -3e4 if str(scores.dtype) == "float16" else -1e9)
        weights = ops.softmax(scores)
        if mask is not None:
            weights = ops.where(mask, weights, 0.0)
        used = weights
        if training and self.dropout:
            used = random.dropout(weights, self.dropout, seed=self.seed_generator)
        result = ops.matmul(used, value)
        if len(axes) > 1:
            result, weights = ops.reshape(result, (*lead, *times, result.shape[-1])), ops.reshape(weights, full)
        return ops.transpose(result, tuple(order.index(i) for i in range(rank))), weights

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """None: `call` gives the output the query's mask itself."""
        return None


def expand_mask(mask: Any, rank: int, axes: int) -> Any:
    """A mask with axes of size 1 in front of those of query and value times, up to a rank."""
    while len(mask.shape) < rank:
        mask = ops.expand_dims(mask, -2 * axes - 1 if len(mask.shape) >= 2 * axes else 0)
    return mask


def _aligned(first: Any, second: Any) -> tuple[Any, Any]:
    """Two masks of one rank: a missing axis of heads is of size 1."""
    rank = max(len(first.shape), len(second.shape))
    return expand_mask(first, rank, 1), expand_mask(second, rank, 1)


def _product(sizes: Any) -> Any:
    result: Any = 1
    for size in sizes:
        result = result * size
    return result
