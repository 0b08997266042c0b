"""What a layer demands of its input (Keras name: `InputSpec`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..trainer.core.dims import equal
from ..trainer.core.dtypes import dtype_name
from ..trainer.core.errors import DtypeError, ShapeError, format_shape
from ..trainer.core.tensor import Tensor


class InputSpec:
    """Rank, sizes and dtype that an input must have; None means anything.

    `axes` maps axis numbers to required sizes. `optional` inputs may be None.
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(k): v for k, v in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional

    def fits(self, array: np.ndarray) -> bool:
        """Whether an array is one of those that are expected, by the usual conditions alone; else look closer."""
        rank = array.ndim
        if self.shape is not None or self.dtype is not None or self.max_ndim is not None:
            return False
        if (self.ndim is not None and rank != self.ndim) or (self.min_ndim is not None and rank < self.min_ndim):
            return False
        shape = array.shape
        return all(-rank <= axis < rank and size in (None, shape[axis]) for axis, size in self.axes.items())

    def get_config(self) -> dict[str, Any]:
        """The arguments as JSON-able values."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        """The spec that `get_config` described."""
        known = {k: v for k, v in config.items() if k != "ndim" or config.get("shape") is None}
        return cls(**known)

    def __repr__(self) -> str:
        given = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if v not in (None, {}, False))
        return f"InputSpec({given})"


def check_input(spec: InputSpec, x: Any, which: str) -> None:
    """Raise `ShapeError` or `DtypeError` saying what was expected of an input and what came."""
    if x is None:
        if not spec.optional:
            raise ShapeError(f"{which} is None; expected a tensor")
        return
    if not isinstance(x, Tensor):
        raise TypeError(f"{which}: expected a tensor, got {x!r:.80} ({type(x).__name__})")
    if x.array is not None and spec.fits(x.array):
        return
    shape, rank = x.shape, len(x.shape)
    if spec.shape is not None and spec.allow_last_axis_squeeze:
        shape = shape[:-1] if rank and shape[-1] == 1 and rank == len(spec.shape) + 1 else shape
        rank = len(shape)
    got = f"got shape {format_shape(x.shape)}"
    if spec.ndim is not None and rank != spec.ndim:
        advice = _advice(spec.ndim, rank)
        raise ShapeError(f"{which}: expected rank {spec.ndim}{_layout(spec.ndim)}, {got} of rank {rank}{advice}")
    if spec.min_ndim is not None and rank < spec.min_ndim:
        advice = _advice(spec.min_ndim, rank)
        raise ShapeError(f"{which}: expected rank {spec.min_ndim} or more, {got} of rank {rank}{advice}")
    if spec.max_ndim is not None and rank > spec.max_ndim:
        raise ShapeError(f"{which}: expected rank {spec.max_ndim} or less, {got} of rank {rank}")
    if spec.dtype is not None and dtype_name(x.dtype) != spec.dtype:
        raise DtypeError(f"{which}: expected dtype {spec.dtype}, got {dtype_name(x.dtype)}")
    required = dict(spec.axes) | (dict(enumerate(spec.shape)) if spec.shape is not None else {})
    for axis, size in required.items():
        if not -rank <= axis < rank:
            raise ShapeError(f"{which}: expected an axis {axis} of size {size}, {got} of rank {rank}")
        if size is not None and equal(shape[axis], size) is False:
            is_first = rank == 4 and axis in (-1, 3) and equal(shape[1], size) is True
            advice = "; the data is channels first: pass np.moveaxis(x, 1, -1)" if is_first else ""
            raise ShapeError(f"{which}: expected size {size} on axis {axis}, {got}{advice}")


def _advice(expected: int, rank: int) -> str:
    """What a tensor of too low a rank most likely needs."""
    if (expected, rank) == (3, 2):
        return "; give the recurrent layer before it return_sequences=True, or Reshape((time, features))"
    if (expected, rank) == (4, 3):
        return "; the axis of channels is missing: give Input((height, width, 1)) and x[..., None]"
    return "; leave Flatten out, or Reshape to that many axes" if rank == 2 and expected > 3 else ""


def _layout(rank: int) -> str:
    layouts = {2: "(batch, features)", 3: "(batch, time, features)", 4: "(batch, height, width, channels)"}
    return f" such as {layouts[rank]}" if rank in layouts else ""
