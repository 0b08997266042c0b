"""Attention with several heads: MultiHeadAttention, GroupedQueryAttention."""

from __future__ import annotations

from typing import Any

from ...trainer import regularizers
from ..configuration import serialize_plainly
from .checks import positive_integer
from .headed_attention import HeadedAttention
from .registry import LAYERS


@LAYERS.register()
class MultiHeadAttention(HeadedAttention):
    """Attention from query to value by several heads (Vaswani et al., 2017; ONNX: Attention from opset 23 on).

    Shapes (batch, query time, features), (batch, value time, features) to (batch, query time, *output_shape), by
    default the query's features. key_dim and value_dim are sizes per head. attention_axes: the axes attended over, all
    between batch and features by default. sliding_window: how far a step sees. flash_attention is a hint for GPUs.
    Raises `ShapeError` where value and key do not agree.

    >>> import sardonyx as sx
    >>> x = sx.ops.ones((2, 5, 8))
    >>> out, scores = sx.layers.MultiHeadAttention(num_heads=2, key_dim=4)(x, x, return_attention_scores=True)
    >>> out.shape, scores.shape
    ((2, 5, 8), (2, 2, 5, 5))
    """

    def __init__(
        self, num_heads: int, key_dim: int, value_dim: int | None = None, dropout: float = 0.0, use_bias: bool = True,
        output_shape: Any = None, attention_axes: Any = None, sliding_window: int | None = None,
        flash_attention: bool | None = None, kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
        use_gate: bool = False, seed: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            dropout, use_bias, sliding_window, flash_attention, kernel_initializer, bias_initializer,
            kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint, use_gate, seed, **kwargs,
        )  # fmt: skip
        kind = "MultiHeadAttention"
        self.num_heads = positive_integer(kind, "num_heads", num_heads)
        self.key_dim = positive_integer(kind, "key_dim", key_dim)
        self.value_dim = self.key_dim if value_dim is None else positive_integer(kind, "value_dim", value_dim)
        # Keras penalises the outputs of the projections, not that of the layer
        self.penalty = regularizers.get(activity_regularizer)
        sizes = output_shape if isinstance(output_shape, (tuple, list)) else [output_shape] if output_shape else []
        self._sizes = tuple(positive_integer(kind, "output_shape", size) for size in sizes)
        self.attention_axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes
        if self.attention_axes is not None:
            if not isinstance(self.attention_axes, (tuple, list)) or not self.attention_axes:
                raise ValueError(f"{kind}: attention_axes must be an integer or several, got {attention_axes!r}")
            self.attention_axes = tuple(self.attention_axes)

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        """Make the projections of query, key and value, and that of the output."""
        key_shape = value_shape if key_shape is None else key_shape
        self.check_shapes(query_shape, value_shape, key_shape)
        self.make(
            (self.num_heads, self.key_dim), (self.num_heads, self.key_dim), (self.num_heads, self.value_dim),
            self._sizes or (query_shape[-1],), (query_shape, key_shape, value_shape),
        )  # fmt: skip

    def axes(self, rank: int) -> tuple[int, ...]:
        """`attention_axes`, counted from the front."""
        if self.attention_axes is None:
            return super().axes(rank)
        return tuple(axis if axis >= 0 else rank - 1 + axis for axis in self.attention_axes)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "activity_regularizer": serialize_plainly(self.penalty)}


@LAYERS.register("GroupQueryAttention")
class GroupedQueryAttention(HeadedAttention):
    """Multi-head attention whose heads of keys and values are each shared by a group of query heads.

    Source: Ainslie et al., 2023; Keras name: GroupQueryAttention. Shapes as in MultiHeadAttention. Raises `ValueError`
    unless num_query_heads is a multiple of num_key_value_heads.

    >>> import sardonyx as sx
    >>> x = sx.ops.ones((2, 5, 8))
    >>> sx.layers.GroupQueryAttention(head_dim=4, num_query_heads=4, num_key_value_heads=2)(x, x).shape
    (2, 5, 8)
    """

    def __init__(
        self, head_dim: int, num_query_heads: int, num_key_value_heads: int, dropout: float = 0.0,
        use_bias: bool = True, sliding_window: int | None = None, flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, use_gate: bool = False, seed: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            dropout, use_bias, sliding_window, flash_attention, kernel_initializer, bias_initializer,
            kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint, use_gate, seed,
            activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        kind = "GroupQueryAttention"
        self.head_dim = positive_integer(kind, "head_dim", head_dim)
        self.num_query_heads = positive_integer(kind, "num_query_heads", num_query_heads)
        self.num_key_value_heads = positive_integer(kind, "num_key_value_heads", num_key_value_heads)
        if num_query_heads % num_key_value_heads:
            raise ValueError(
                f"{kind}: num_query_heads must be a multiple of num_key_value_heads, got {num_query_heads} and "
                f"{num_key_value_heads}"
            )
        self.penalty = self.activity_regularizer

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        """Make the projections of query, key and value, and that of the output."""
        key_shape = value_shape if key_shape is None else key_shape
        self.check_shapes(query_shape, value_shape, key_shape)
        few = (self.num_key_value_heads, self.head_dim)
        self.make(
            (self.num_query_heads, self.head_dim), few, few, (query_shape[-1],), (query_shape, key_shape, value_shape)
        )
