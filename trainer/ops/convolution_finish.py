"""What follows a convolution at once, while a block of its results is still in the cache: bias and relu."""

from __future__ import annotations

import numpy as np

from .memory import tiled

BLOCK = 1 << 17
"""Elements that pass through both steps at a time."""
LONG_ROW = 8192


class Finish:
    """Add a bias (filters,) if there is one, and rectify if asked to."""

    __slots__ = ("bias", "rectified", "row", "zeros")

    def __init__(self, bias: np.ndarray | None = None, rectified: bool = False) -> None:
        self.bias, self.rectified = bias, rectified
        self.row = self.zeros = np.empty(0)

    def __call__(self, out: np.ndarray) -> np.ndarray:
        """Finish contiguous results, channels last, in place, and return them."""
        if not out.size or (self.bias is None and not self.rectified):
            return out
        filters = out.shape[-1]
        if not self.zeros.size:
            times = max(1, min(LONG_ROW, out.size) // filters)
            if self.bias is not None:
                self.row = tiled(self.bias, times)
            # last, for another thread may look
            self.zeros = np.zeros(times * filters, out.dtype)
        flat, width = out.reshape(-1), self.zeros.size
        whole = flat.size // width * width
        step = max(1, BLOCK // width) * width
        for start in range(0, whole, step):
            self._apply(flat[start : min(start + step, whole)].reshape(-1, width))
        self._apply(flat[whole:])
        return out

    def _apply(self, part: np.ndarray) -> None:
        if self.bias is not None:
            part += self.row[: part.shape[-1]]
        if self.rectified:
            np.maximum(part, self.zeros[: part.shape[-1]], out=part)
