"""Attention of one head: Attention (dot product or tanh of sums), AdditiveAttention."""

from __future__ import annotations

from typing import Any

from ...trainer import ops
from ...trainer.core.errors import ShapeError
from ...trainer.ops import random
from ...trainer.ops.seed import SeedGenerator
from ..layer import Layer
from .checks import fraction, one_of
from .registry import LAYERS


def causal_mask(query: Any, value: Any) -> Any:
    """True where a step of the query may see one of the value: (1, query time, value time)."""
    rows, columns = (ops.arange(x.shape[1], dtype="int32") for x in (query, value))
    return ops.expand_dims(ops.greater_equal(ops.expand_dims(rows, -1), columns), 0)


@LAYERS.register()
class Attention(Layer):
    """`softmax(scores(query, key)) value` on [query, value] or [query, value, key] (Luong et al., 2015).

    Shapes (batch, query time, features), (batch, value time, features) to (batch, query time, value's features).
    score_mode: "dot" for products, "concat" for `sum(tanh(query + key))`; use_scale: a trained factor. `mask` is a list
    [query mask, value mask]; masked values are not seen, masked queries give zeros.

    >>> import sardonyx as sx
    >>> query, value = sx.ops.ones((2, 3, 4)), sx.ops.ones((2, 5, 4))
    >>> out, scores = sx.layers.Attention()([query, value], return_attention_scores=True)
    >>> out.shape, scores.shape
    ((2, 3, 4), (2, 3, 5))
    """

    def __init__(
        self, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0, seed: int | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        kind = type(self).__name__
        self.use_scale = use_scale
        self.score_mode = one_of(kind, "score_mode", score_mode, ("dot", "concat"))
        self.dropout = fraction(kind, "dropout", dropout)
        self.seed = seed
        if self.dropout:
            self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True
        self.scale: Any = None
        self.concat_score_weight: Any = None

    def build(self, input_shape: Any) -> None:
        """Make the factors, where asked for."""
        self._check_count(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def call(
        self, inputs: Any, mask: Any = None, training: bool | None = False, return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:  # fmt: skip
        """The weighted values, and the weights if asked for."""
        self._check_count(inputs)
        query_mask, value_mask = self._masks(mask)
        query, value = inputs[0], inputs[1]
        scores = self.scores(query, inputs[2] if len(inputs) > 2 else value)
        seen = None if value_mask is None else ops.expand_dims(ops.cast(value_mask, bool), -2)
        if use_causal_mask:
            earlier = causal_mask(query, value)
            seen = earlier if seen is None else ops.logical_and(seen, earlier)
        if seen is not None:
            # finite, as float16 needs it smaller
            scores = ops.where(seen, scores, scores - (65504.0 if str(scores.dtype) == "float16" else 1e9))
        weights = ops.softmax(scores)
        if training and self.dropout:
            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        result = ops.matmul(weights, value)
        if query_mask is not None:
            result = ops.where(ops.expand_dims(ops.cast(query_mask, bool), -1), result, 0.0)
        return (result, weights) if return_attention_scores else result

    def scores(self, query: Any, key: Any) -> Any:
        """How well each query goes with each key: (batch, query time, key time)."""
        if self.score_mode == "dot":
            products = ops.matmul(query, ops.swapaxes(key, -2, -1))
            return products if self.scale is None else products * self.scale
        sums = ops.expand_dims(query, -2) + ops.expand_dims(key, -3)
        return self.concat_score_weight * ops.sum(ops.tanh(sums if self.scale is None else self.scale * sums), axis=-1)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The query's mask."""
        return previous_mask[0] if isinstance(previous_mask, (list, tuple)) else None

    def _check_count(self, inputs: Any) -> None:
        if not isinstance(inputs, (list, tuple)) or len(inputs) not in (2, 3):
            got = len(inputs) if isinstance(inputs, (list, tuple)) else 1
            raise ShapeError(f"expected a list of inputs, [query, value] or [query, value, key]; got {got}")

    def _masks(self, mask: Any) -> tuple[Any, Any]:
        if mask is None:
            return None, None
        if not isinstance(mask, (list, tuple)) or len(mask) not in (2, 3):
            raise ShapeError(f"expected mask as a list, [query mask, value mask] (each may be None); got {mask!r:.80}")
        return mask[0], mask[1]


@LAYERS.register()
class AdditiveAttention(Attention):
    """`softmax(sum(scale * tanh(query + key))) value` on [query, value] or [query, value, key] (Bahdanau et al., 2015).

    >>> import sardonyx as sx
    >>> sx.layers.AdditiveAttention()([sx.ops.ones((2, 3, 4)), sx.ops.ones((2, 5, 4))]).shape
    (2, 3, 4)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, seed=seed, **kwargs)

    def build(self, input_shape: Any) -> None:
        """Make the scale (features,)."""
        self._check_count(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((input_shape[0][-1],), "glorot_uniform", name="scale")

    def scores(self, query: Any, key: Any) -> Any:
        """Tanh of sums, scaled and summed."""
        sums = ops.tanh(ops.expand_dims(query, -2) + ops.expand_dims(key, -3))
        # a product with a vector: the sum over features and its scale in one
        return ops.sum(sums, axis=-1) if self.scale is None else ops.matmul(sums, self.scale)
