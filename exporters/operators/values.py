"""Values between operators: tensors, and sizes that are only known by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.dims import Dim, Size
from ...trainer.core.dtypes import dtype_name
from ...trainer.core.state import state
from ...trainer.core.tensor import Tensor
from .table import Call, UnsupportedOperatorError

Value = Any
"""A tensor, `Sizes`, a sequence (list of values), or None: left out, or an empty optional."""


class Sizes:
    """Whole numbers some of which are symbolic sizes: what becomes of a shape on its way to a Reshape.

    array: integers and `Dim` as objects, of rank 0 or more
    dtype: the element type that the numbers have in the file
    """

    __slots__ = ("array", "dtype")

    def __init__(self, array: np.ndarray, dtype: Any = np.int64) -> None:
        self.array = array
        self.dtype = np.dtype(dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the array of sizes."""
        return self.array.shape

    def tensor(self) -> Tensor:
        """The sizes as a tensor of the graph."""
        flat = [
            x.tensor() if isinstance(x, Comparison) else ops.convert_to_tensor(x, self.dtype)
            for x in self.array.reshape(-1).tolist()
        ]
        return ops.reshape(ops.stack(flat), self.array.shape) if flat else ops.zeros(self.array.shape, self.dtype)


@dataclass(frozen=True)
class Comparison:
    """Whether two sizes are equal, where that is only known when the model runs; an element of `Sizes`."""

    left: Size
    right: Size

    def tensor(self) -> Tensor:
        """The comparison as a tensor of the graph."""
        return ops.equal(ops.convert_to_tensor(self.left, "int64"), ops.convert_to_tensor(self.right, "int64"))


def sizes_or_tensor(array: np.ndarray, dtype: Any = np.int64) -> Value:
    """Objects as `Sizes` where any is symbolic, else as an ordinary constant."""
    if any(isinstance(x, (Dim, Comparison)) for x in array.reshape(-1).tolist()):
        return Sizes(array, dtype)
    return Tensor(np.asarray(array, dtype))


def objects(values: Any) -> np.ndarray:
    """An array of Python objects: integers and symbolic sizes."""
    found = np.empty(np.shape(values) if isinstance(values, np.ndarray) else (len(values),), object)
    found[...] = values
    return found


def known(value: Value) -> np.ndarray | None:
    """The array of a constant or of a weight; None where it is only known when the model runs."""
    if isinstance(value, Tensor):
        if value.array is not None:
            return value.array
        if value.symbol is not None and value.symbol.variable is not None:
            return value.symbol.variable.array
    return None


def fixed(call: Call, value: Value, what: str) -> np.ndarray:
    """The array of an input that must be a constant. Raises `UnsupportedOperatorError` where it is computed."""
    array = known(value)
    if array is None:
        raise UnsupportedOperatorError(
            f"{call.label}: {what} is computed from the model's inputs, and must be a constant here. Give the inputs "
            "on which it depends as constants, or fold them with onnxruntime or onnxsim before opening the file."
        )
    return array


def integers(call: Call, value: Value, what: str) -> list[Size]:
    """Whole numbers of an input or attribute, symbolic sizes among them."""
    if isinstance(value, Sizes):
        return value.array.reshape(-1).tolist()
    if isinstance(value, (list, tuple)):
        return [int(x) for x in value]
    return [int(x) for x in fixed(call, value, what).reshape(-1).tolist()]


def number(call: Call, value: Value, what: str, default: Any = None) -> Any:
    """The one number that an input holds."""
    return default if value is None else fixed(call, value, what).reshape(-1)[0].item()


def scalar_like(value: Any, like: Any) -> Tensor:
    """A number in the element type of a tensor."""
    return Tensor(np.asarray(value, like.dtype))


def is_float(x: Any) -> bool:
    """Whether the elements are floating-point numbers of a type that NumPy knows."""
    return x.dtype.kind == "f" and x.dtype.num < 256


def is_native(dtype: np.dtype) -> bool:
    """Whether NumPy itself computes with an element type: no text, none of the narrow types of other packages."""
    return dtype.kind in "biufc" and dtype.num < 256


def is_plain(x: Tensor) -> bool:
    """Whether a tensor is an array that NumPy may cut as it is, because no gradient is to pass."""
    return x.array is not None and not (state.tapes and x.dtype.kind in "fc" and is_native(x.dtype))


def is_string(x: Any) -> bool:
    """Whether the elements are texts."""
    return x.dtype.kind in "OUST"


def axis_in(call: Call, axis: int, rank: int) -> int:
    """A non-negative axis. Raises `ValueError` for one that the tensor does not have."""
    if not -rank <= axis < max(rank, 1):
        raise ValueError(f"{call.label}: axis {axis} is none of the {rank} axes")
    return axis % rank if rank else 0


def back_to(x: Tensor, dtype: np.dtype) -> Tensor:
    """The tensor in a given element type."""
    return x if x.dtype == dtype else ops.cast(x, dtype)


def describe(value: Value) -> str:
    """A value in a message."""
    if isinstance(value, (Tensor, Sizes)):
        return f"{dtype_name(value.dtype)}{list(value.shape)}"
    return "nothing" if value is None else type(value).__name__
