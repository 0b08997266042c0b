"""A function of targets and predictions as a loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..conversion import in_trace
from ..core import tree
from ..core.tensor import Tensor
from ..registry import deserialize_object, serialize_object
from .loss import Loss, losses
from .shapes import squeeze_or_expand_to_same_rank


@losses.register()
class LossFunctionWrapper(Loss):
    """A loss whose values come from `fn(y_true, y_pred, **kwargs)`.

    Ranks that differ by a last axis of size 1 are brought together first, as in Keras.

    >>> import sardonyx as sx
    >>> loss = sx.losses.LossFunctionWrapper(lambda y_true, y_pred: sx.ops.absolute(y_true - y_pred), name="distance")
    >>> float(loss([1.0, 2.0], [1.0, 5.0]))
    1.5
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self.options = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Values of the function."""
        if type(y_true) is Tensor and type(y_pred) is Tensor:
            if len(y_true.shape) != len(y_pred.shape):
                y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        elif tree.is_nested(y_pred) and tree.is_nested(y_true):
            pairs = tree.map_structure(squeeze_or_expand_to_same_rank, y_true, y_pred)
            flat = tree.flatten(pairs)
            y_true = tree.pack_sequence_as(y_true, flat[0::2])
            y_pred = tree.pack_sequence_as(y_pred, flat[1::2])
        values = in_trace(self.fn)(y_true, y_pred, **self.options)
        if values is None:
            raise TypeError(f"loss '{self.name}' returned None; is a `return` missing at its end?")
        return values

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same loss again; the function must be registered."""
        return {**super().get_config(), "fn": serialize_object(self.fn), **self.options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """The loss of a configuration."""
        return cls(**deserialize_object(config))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name} fn={getattr(self.fn, '__name__', self.fn)} {self.options}>"


class NamedLoss(LossFunctionWrapper):
    """A loss of the library: its function is known by the class, its options are arguments of the class."""

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same loss again."""
        return {**Loss.get_config(self), **self.options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """The loss of a configuration."""
        return cls(**config)
