"""Large arrays that stay as they are while the model around them is made: no copy of them enters a protobuf."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .lazy import onnx
from .mapped import mark, register

LARGE = 1024
"""Bytes from which an array is held."""


def is_plain(dtype: np.dtype) -> bool:
    """Whether a type is one of NumPy's own for numbers, whose bytes are those of ONNX."""
    return dtype.kind in "biufc" and dtype.num < 256 and dtype.isnative


@dataclass(eq=False)
class Held:
    """Arrays of a model that is being made; to be kept until it is written, or in a session."""

    token: str = field(default_factory=lambda: secrets.token_hex(16))
    arrays: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        register(self.token, self)

    def tensor(self, array: np.ndarray, name: str) -> Any:
        """The `TensorProto` of an array: a mark where it is large, else with its contents."""
        if array.nbytes < LARGE or not is_plain(array.dtype):
            return onnx.numpy_helper.from_array(np.asarray(array, order="C"), name)
        code = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor = onnx.TensorProto(dims=array.shape, data_type=code, name=name)
        self.arrays.append(array)
        mark(tensor, f"{self.token}:{len(self.arrays) - 1}")
        return tensor

    def content(self, number: int) -> memoryview:
        """The bytes of an array: its own memory, or a copy of this one where its elements do not lie in order."""
        return np.ascontiguousarray(self.arrays[number]).reshape(-1).view(np.uint8).data

    def length(self, number: int) -> int:
        """Bytes of an array."""
        return self.arrays[number].nbytes

    def as_numbers(self, number: int) -> bool:
        """Whether the contents stand in the field for float32 numbers: never."""
        return False

    def array(self, number: int, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """The array."""
        return self.arrays[number]


def tensor_of(array: np.ndarray, name: str, held: Held | None) -> Any:
    """The `TensorProto` of an array, its contents in `held` if that is given."""
    if held is not None:
        return held.tensor(array, name)
    return onnx.numpy_helper.from_array(np.asarray(array, order="C"), name)
