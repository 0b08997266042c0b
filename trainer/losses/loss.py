"""The base of losses: masks, sample weights and the reduction to one number."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import ops
from ..conversion import in_trace
from ..core import tree
from ..core.dtypes import as_dtype, dtype_name
from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from ..naming import automatic_name
from ..ops.reduce import mean_primitive
from ..registry import Registry
from .shapes import differ, squeeze_or_expand_to_same_rank

MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss:
    """Base class of losses (Keras name: `keras.losses.Loss`): subclasses write `call(y_true, y_pred)`.

    name: how the loss is reported; from the class when None
    reduction: how the values that `call` gives become one: "sum_over_batch_size" (same as "mean": their mean), "sum",
        "mean_with_sample_weight" (their sum over the sum of the weights), "none" or None (as they are)
    dtype: element type of the computation; the default float when None

    A mask on `y_pred` (`y_pred.mask`) takes the masked values out, also of the mean. Raises `ValueError` for an
    unknown reduction.

    >>> import sardonyx as sx
    >>> class MeanCubedError(sx.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return sx.ops.mean(sx.ops.absolute(y_true - y_pred) ** 3, axis=-1)
    >>> float(MeanCubedError()([[0.0, 1.0]], [[2.0, 1.0]]))
    4.0
    """

    converts_targets: ClassVar[bool] = True
    """Whether `y_true` is brought to the loss's dtype; not where it holds class numbers."""

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        if reduction not in REDUCTIONS:
            expected = ", ".join(repr(r) for r in REDUCTIONS)
            raise ValueError(f"{type(self).__name__}: reduction is one of {expected}; got {reduction!r}")
        self.name = name or automatic_name(type(self).__name__)
        self.reduction = reduction
        self._given_dtype = None if dtype is None else dtype_name(compute_dtype(dtype))
        self._dtype = compute_dtype(dtype)

    @property
    def dtype(self) -> str:
        """Name of the element type of the computation."""
        return self._dtype.name

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch: a scalar, or unreduced values with `reduction="none"`.

        sample_weight: one weight for each sample (`(batch,)`), or one for each value of the unreduced loss
        """
        mask = getattr(y_pred, "mask", None)
        y_pred = self._convert(y_pred)
        y_true = self._convert(y_true) if self.converts_targets else ops.convert_to_tensor(y_true)
        values = ops.convert_to_tensor(in_trace(self.call)(y_true, y_pred), dtype=self._dtype)
        own_mask = values.mask
        if own_mask is not None:
            mask = own_mask if mask is None else ops.logical_and(mask, own_mask)
        return reduce_weighted_values(values, sample_weight, mask, self.reduction, self.name)

    def _convert(self, values: Any) -> Any:
        if type(values) is Tensor:
            return values if values.dtype == self._dtype else ops.cast(values, self._dtype)
        if tree.is_nested(values) and _holds_arrays(values):
            return tree.map_structure(self._convert, values)
        return ops.convert_to_tensor(values, dtype=self._dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Unreduced values of the loss, usually of shape `(batch, ...)`."""
        raise NotImplementedError(f"{type(self).__name__}: a loss defines call(y_true, y_pred)")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same loss again."""
        config: dict[str, Any] = {"name": self.name, "reduction": self.reduction}
        return config if self._given_dtype is None else {**config, "dtype": self._given_dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """The loss of a configuration."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


losses = Registry("loss", "losses", base=Loss)


def compute_dtype(dtype: Any) -> Any:
    """The element type that a dtype, a policy or the name of a policy computes in."""
    dtype = getattr(dtype, "compute_dtype", dtype)
    return as_dtype(dtype.removeprefix("mixed_") if isinstance(dtype, str) else dtype)


def _holds_arrays(values: Any) -> bool:
    """Whether a structure holds arrays, rather than being one written as nested lists of numbers."""
    return isinstance(values, dict) or any(hasattr(leaf, "shape") for leaf in tree.flatten(values))


def reduce_weighted_values(
    values: Tensor, sample_weight: Any, mask: Any, reduction: str | None, name: str = "loss"
) -> Tensor:
    """Values of a loss, weighted and masked, brought to the form that the reduction asks for."""
    if sample_weight is None and mask is None and reduction in MEANS and values.array is not None and values.array.size:
        return mean_primitive(values, axes=tuple(range(values.array.ndim)), keepdims=False) if values.shape else values
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight, dtype=values.dtype)
    if mask is not None:
        averages = reduction in ("mean", "sum_over_batch_size")
        sample_weight = apply_mask(sample_weight, mask, values.dtype, averages)
    if sample_weight is not None:
        values, sample_weight = fit_weights(values, sample_weight, name)
        values = ops.multiply(values, sample_weight)
    if reduction is None or reduction == "none" or not values.shape:
        return values
    if reduction == "sum" or values.size == 0:
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        return ops.divide_no_nan(ops.sum(values), ops.sum(sample_weight))
    return ops.mean(values)


def apply_mask(sample_weight: Any, mask: Any, dtype: Any, averages: bool = False) -> Any:
    """A mask as sample weights, times those given; with `averages`, scaled so that a mean is over what is kept."""
    if mask is None:
        return sample_weight
    kept = ops.cast(mask, dtype)
    if averages:
        kept = ops.divide_no_nan(kept, ops.mean(kept))
    if sample_weight is None:
        return kept
    kept, sample_weight = squeeze_or_expand_to_same_rank(kept, ops.cast(sample_weight, dtype))
    kept, sample_weight = _same_rank(kept, sample_weight)
    return ops.multiply(kept, sample_weight)


def _same_rank(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Axes of size 1 appended to the one of lower rank: weights belong to the leading axes."""
    ranks = len(first.shape), len(second.shape)
    if 0 in ranks or ranks[0] == ranks[1]:
        return first, second
    if ranks[0] < ranks[1]:
        return ops.reshape(first, (*first.shape, *[1] * (ranks[1] - ranks[0]))), second
    return first, ops.reshape(second, (*second.shape, *[1] * (ranks[0] - ranks[1])))


def fit_weights(values: Tensor, sample_weight: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """Values and their weights at one rank; raises `ShapeError` where the weights do not belong to the values."""
    values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
    if not values.shape:
        return values, sample_weight
    given = sample_weight.shape
    values, sample_weight = _same_rank(values, sample_weight)
    pairs = list(zip(values.shape, sample_weight.shape, strict=True)) if given else []
    too_deep = len(given) > 1 and any(a == 1 and differ(a, b) for a, b in pairs)
    if too_deep or any(differ(a, b) and 1 not in (a, b) for a, b in pairs):
        shape = format_shape(values.shape)
        raise ShapeError(
            f"{name}: sample_weight of shape {format_shape(given)} does not fit values of shape {shape}. "
            f"Give one weight for each sample, of shape {format_shape(values.shape[:1])}, "
            f"or one for each value, of shape {shape}."
        )
    return values, sample_weight
