"""Inputs of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..trainer.core.dims import Dim
from ..trainer.core.errors import ShapeError
from ..trainer.core.spec import TensorSpec, as_shape, with_batch
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import symbolic_input
from ..trainer.naming import automatic_name
from .layer import Layer


class InputLayer(Layer):
    """The place where data enters a Sequential or Functional model (Keras name: `layers.InputLayer`)."""

    def __init__(
        self,
        shape: Sequence[Any] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[Any] | None = None,
        input_tensor: Tensor | None = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name or automatic_name("input_layer" if name is None else name))
        if sparse or ragged:
            raise ValueError(f"Input '{self.name}': sparse and ragged tensors are not supported; pass dense arrays")
        self.optional = optional
        if input_tensor is not None:
            self.tensor = input_tensor
        else:
            self.tensor = symbolic_input(_spec(self.name, shape, batch_size, dtype, batch_shape), self.name)
        self.built = True
        self.tensor_spec = self.tensor.spec

    def call(self, inputs: Any) -> Any:
        """The input itself."""
        return inputs

    @property
    def input(self) -> Any:
        """The symbolic tensor."""
        return self.tensor

    @property
    def output(self) -> Any:
        """The symbolic tensor, so that a model's layers can all be asked for their outputs."""
        return self.tensor

    @property
    def batch_shape(self) -> tuple[Any, ...]:
        """Sizes with the batch; None where any size is allowed."""
        return tuple(None if isinstance(size, Dim) else size for size in self.tensor_spec.shape)

    @property
    def dtype(self) -> Any:
        """Element type of the input."""
        return self.tensor_spec.dtype.name

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor; named sizes keep their names."""
        shape = [size if isinstance(size, int) else str(size) for size in self.tensor_spec.shape]
        return {"batch_shape": shape, "dtype": self.dtype, "optional": self.optional, "name": self.name}


def _spec(name: str, shape: Any, batch_size: int | None, dtype: Any, batch_shape: Any) -> TensorSpec:
    if shape is not None and batch_shape is not None:
        raise ValueError(f"Input '{name}': give `shape` (without the batch) or `batch_shape` (with it), not both")
    if shape is None and batch_shape is None:
        raise ValueError(f"Input '{name}': `shape` is missing, for example Input(shape=(28, 28, 1))")
    if isinstance(shape, (int, str)) or isinstance(batch_shape, (int, str)):
        raise ShapeError(f"Input '{name}': a shape is a tuple such as ({batch_shape if shape is None else shape!r},)")
    if batch_shape is not None:
        first = "batch" if batch_shape and batch_shape[0] is None else None
        sizes = as_shape([first, *batch_shape[1:]] if first else batch_shape, name)
    else:
        sizes = with_batch(shape or (), batch_size, name)
    return TensorSpec(sizes, dtype, name)


def Input(
    shape: Sequence[Any] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[Any] | None = None,
    name: str | None = None,
    tensor: Tensor | None = None,
    optional: bool = False,
) -> Tensor:
    """A symbolic tensor that stands for data to come.

    `shape` excludes the batch. Sizes are integers, None (any size), names ("time") or expressions over names
    ("2*time"): equal names are equal sizes, so that a model that builds will run.

    >>> import sardonyx as sx
    >>> sx.Input((28, 28, 1), name="image")
    <Tensor shape=(batch, 28, 28, 1), dtype=float32, name='image'>
    """
    return InputLayer(
        shape, batch_size, dtype, sparse, ragged, batch_shape, input_tensor=tensor, optional=optional, name=name
    ).tensor
