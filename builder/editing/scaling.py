"""Data brought to the range, order of channels and layout that a model was trained on."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor


class Scaling:
    """`(x * scale - mean) / std`, with the channels swapped before and moved after where need be.

    x: the model's input; own: where it has its channels; given: where the data has them
    """

    def __init__(
        self, task: str, x: Tensor, own: str, given: str, swap: bool, scale: Any, mean: Any, std: Any
    ) -> None:  # fmt: skip
        if given not in ("channels_last", "channels_first"):
            raise ValueError(f"{task}: data_format is 'channels_last' or 'channels_first', got {given!r}")
        self.task = task
        self.given = given
        self.moved = own != given
        self.swap = swap
        rank = len(x.shape)
        self.axis = rank - 1 if given == "channels_last" else 1
        self.channels = x.shape[-1 if own == "channels_last" else 1] if rank else 1
        self.back = (0, rank - 1, *range(1, rank - 1)) if own == "channels_first" else (0, *range(2, rank), 1)
        self.shape = tuple(x.shape)
        if self.moved:
            last = (0, *range(2, rank), 1)
            first = (0, rank - 1, *range(1, rank - 1))
            self.shape = tuple(x.shape[a] for a in (last if given == "channels_last" else first))
        self.scale, self.mean, self.std = (
            self._numbers(name, value, rank) for name, value in (("scale", scale), ("mean", mean), ("std", std))
        )
        if self.std is not None and not np.all(self.std > 0):
            raise ValueError(f"{task}: std is above 0, got {std!r}")

    @property
    def changes(self) -> bool:
        """Whether anything is to be done but to move the channels."""
        return self.swap or any(v is not None for v in (self.scale, self.mean, self.std))

    def _numbers(self, name: str, value: Any, rank: int) -> Any:
        """A number, or one a channel along their axis. Raises `ValueError` for another length."""
        if value is None:
            return None
        array = np.asarray(value, "float32")
        if array.ndim > 1 or (array.ndim == 1 and array.shape[0] != self.channels):
            raise ValueError(
                f"{self.task}: {name} is a number, or one for each of {self.channels} channels; got shape {array.shape}"
            )
        if not array.ndim:
            return array
        shape = [1] * rank
        shape[self.axis] = len(array)
        return array.reshape(shape)

    def apply(self, x: Any) -> Any:
        """The data as the model takes it."""
        if self.swap:
            x = ops.flip(x, axis=self.axis)
        if self.scale is not None:
            x = x * ops.cast(self.scale, x.dtype)
        if self.mean is not None:
            x = x - ops.cast(self.mean, x.dtype)
        if self.std is not None:
            x = x / ops.cast(self.std, x.dtype)
        return ops.transpose(x, self.back) if self.moved else x
