"""Layers of one weight a channel or a position, or of none, that the zoo is built of."""

from __future__ import annotations

from typing import Any

from ...trainer import initializers, ops
from ...trainer.core.errors import ShapeError
from ..layer import Layer
from .registry import LAYERS


@LAYERS.register()
class LayerScale(Layer):
    """Each channel times a weight of its own, small at first (Touvron et al. 2021, arXiv:2103.17239).

    init_values: the weights before training
    projection_dim: the number of channels

    >>> import sardonyx as sx
    >>> sx.layers.LayerScale(0.5, 2)(sx.ops.ones((1, 2))).tolist()
    [[0.5, 0.5]]
    """

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.init_values = init_values
        self.projection_dim = projection_dim

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        self.gamma = self.add_weight((self.projection_dim,), initializers.Constant(self.init_values), name="gamma")

    def call(self, inputs: Any) -> Any:
        """Scale."""
        return ops.multiply(inputs, self.gamma)


@LAYERS.register()
class CustomScaleLayer(Layer):
    """The first input plus `scale` times the second.

    >>> import sardonyx as sx
    >>> one = sx.ops.ones((1, 2))
    >>> sx.layers.CustomScaleLayer(0.5)([one, one]).tolist()
    [[1.5, 1.5]]
    """

    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        """Scale and add."""
        return inputs[0] + inputs[1] * self.scale


@LAYERS.register()
class ClassToken(Layer):
    """Puts a learned vector before sequences of shape (batch, positions, features), to end as what is said of them all
    (Devlin et al. 2018, arXiv:1810.04805).

    >>> import sardonyx as sx
    >>> sx.layers.ClassToken()(sx.ops.ones((2, 5, 4))).shape
    (2, 6, 4)
    """

    def build(self, input_shape: Any) -> None:
        """Make the vector."""
        start = initializers.TruncatedNormal(stddev=0.02)
        self.token = self.add_weight((1, 1, input_shape[-1]), start, name="token")

    def call(self, inputs: Any) -> Any:
        """Put it first."""
        batch, _, features = inputs.shape
        return ops.concatenate([ops.broadcast_to(self.token, (batch, 1, features)), inputs], axis=1)


@LAYERS.register()
class PositionEmbedding(Layer):
    """Adds a learned vector to each position of sequences of shape (batch, positions, features).

    length: the most positions there can be; shorter sequences take the first vectors

    Raises `ShapeError` for longer sequences.

    >>> import sardonyx as sx
    >>> sx.layers.PositionEmbedding(8)(sx.ops.zeros((2, 5, 4))).shape
    (2, 5, 4)
    """

    def __init__(self, length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.length = length
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the vectors."""
        start = initializers.TruncatedNormal(stddev=0.02)
        self.embeddings = self.add_weight((self.length, input_shape[-1]), start, name="embeddings")

    def call(self, inputs: Any) -> Any:
        """Add."""
        positions = inputs.shape[1]
        if isinstance(positions, int) and positions > self.length:
            raise ShapeError(
                f"PositionEmbedding '{self.name}': a sequence has {positions} positions, length={self.length} allows "
                "no more; make length larger"
            )
        return inputs + ops.take(self.embeddings, ops.arange(positions), axis=0)
