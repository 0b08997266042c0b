"""Initializers that draw nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..core.dtypes import as_dtype
from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from .base import INITIALIZERS, Initializer


@INITIALIZERS.register()
class Zeros(Initializer):
    """All zeros."""

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        return ops.zeros(shape, dtype)


@INITIALIZERS.register()
class Ones(Initializer):
    """All ones."""

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        return ops.ones(shape, dtype)


@INITIALIZERS.register()
class Constant(Initializer):
    """All equal to `value`, a number or an array that broadcasts to the shape."""

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        return ops.convert_to_tensor(np.broadcast_to(np.asarray(self.value), tuple(shape)).astype(as_dtype(dtype)))

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"value": self.value}


@INITIALIZERS.register("IdentityInitializer")
class Identity(Initializer):
    """A matrix with `gain` on the diagonal; raises `ShapeError` for other ranks.

    >>> import sardonyx as sx
    >>> sx.initializers.Identity()((2, 3)).numpy().tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        if len(shape) != 2:
            raise ShapeError(f"Identity initializer: expected a matrix, got shape {format_shape(tuple(shape))}")
        return ops.convert_to_tensor(self.gain * np.eye(*shape), dtype=as_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"gain": self.gain}


@INITIALIZERS.register("STFTInitializer")
class STFT(Initializer):
    """Real or imaginary part of windowed Fourier vectors, as a convolution kernel of shape (length, 1, frequencies).

    `side` is "real" or "imag", `window` None, "hann", "hamming" or an array, `scaling` None, "density" or "spectrum".
    """

    def __init__(
        self, side: str = "real", window: Any = "hann", scaling: str | None = "density", periodic: bool = False
    ) -> None:
        if side not in ("real", "imag"):
            raise ValueError(f'STFT initializer: side must be "real" or "imag", got {side!r}')
        if scaling not in (None, "density", "spectrum"):
            raise ValueError(f'STFT initializer: scaling must be None, "density" or "spectrum", got {scaling!r}')
        if isinstance(window, str) and window not in ("hann", "hamming"):
            raise ValueError(f'STFT initializer: window must be None, "hann", "hamming" or an array, got {window!r}')
        self.side, self.window, self.scaling, self.periodic = side, window, scaling, periodic

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        length, frequencies = shape[0], shape[-1]
        window = self._window(length)
        angle = 2 * np.pi * np.outer(np.arange(length), np.arange(frequencies)) / ((frequencies - 1) * 2)
        kernel = (np.cos(angle) if self.side == "real" else -np.sin(angle)) * window[:, None]
        if self.scaling == "density":
            kernel = kernel / np.sqrt((window**2).sum())
        elif self.scaling == "spectrum":
            kernel = kernel / window.sum()
        return ops.convert_to_tensor(np.broadcast_to(kernel[:, None, :], tuple(shape)).astype(as_dtype(dtype)))

    def _window(self, length: int) -> np.ndarray:
        if self.window is None:
            return np.ones(length)
        if not isinstance(self.window, str):
            return np.asarray(self.window, float)
        make = np.hanning if self.window == "hann" else np.hamming
        return make(length + 1)[:-1] if self.periodic else make(length)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"side": self.side, "window": self.window, "scaling": self.scaling, "periodic": self.periodic}
