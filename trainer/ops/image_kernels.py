"""NumPy kernels that resize images, channels-last, one spatial axis after the other."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .pooling_kernels import tap

SHORT = 64
"""Inner runs shorter than this are joined with the axis before them."""


def _weight(distance: np.ndarray, mode: str) -> np.ndarray:
    """Influence of a cell at a distance: a tent, or Keys's cubic with a = -1/2."""
    d = np.abs(distance)
    if mode == "bilinear":
        return np.maximum(1.0 - d, 0.0)
    near, far = ((1.5 * d - 2.5) * d) * d + 1.0, ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    return np.where(d <= 1.0, near, np.where(d < 2.0, far, 0.0))


@lru_cache(maxsize=64)
def nearest_cells(size: int, wanted: int) -> np.ndarray:
    """For each new cell the old one in which its centre lies."""
    cells = np.floor((np.arange(wanted) + 0.5) * size / wanted).astype(np.int64)
    cells = np.minimum(cells, size - 1)
    cells.flags.writeable = False
    return cells


@lru_cache(maxsize=64)
def weights(size: int, wanted: int, mode: str, antialias: bool) -> np.ndarray:
    """Matrix (wanted, size): each new cell as a mean of old ones. Cells outside do not count; rows sum to 1."""
    if mode == "nearest":
        return np.eye(size)[nearest_cells(size, wanted)]
    spread = max(size / wanted, 1.0) if antialias else 1.0
    centres = (np.arange(wanted) + 0.5) * size / wanted - 0.5
    found = _weight((np.arange(size) - centres[:, None]) / spread, mode)
    found /= found.sum(1, keepdims=True)
    found.flags.writeable = False
    return found


@lru_cache(maxsize=64)
def sparse_weights(size: int, wanted: int, mode: str, antialias: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """The same as pairs (old cell for each new one, its weight)."""
    dense = weights(size, wanted, mode, antialias)
    count = int((dense != 0).sum(1).max(initial=1))
    order = np.argsort(dense == 0, axis=1, kind="stable")[:, :count]
    return [(order[:, i].copy(), np.take_along_axis(dense, order[:, i : i + 1], 1)[:, 0]) for i in range(count)]


def resize(x: np.ndarray, sizes: tuple[int, ...], mode: str, antialias: bool) -> np.ndarray:
    """The image with new spatial sizes."""
    if mode == "nearest" and all(m % n == 0 for n, m in zip(x.shape[1:-1], sizes, strict=True)):
        return _repeat(x, tuple(m // n for n, m in zip(x.shape[1:-1], sizes, strict=True)))
    for axis, wanted in enumerate(sizes, 1):
        if x.shape[axis] == wanted:
            continue
        if mode == "nearest":
            x = x.take(nearest_cells(x.shape[axis], wanted), axis)
        else:
            x = _interpolate(x, axis, wanted, mode, antialias)
    return x


def _repeat(x: np.ndarray, factors: tuple[int, ...]) -> np.ndarray:
    """Each cell as a block of equal cells."""
    shape, index = [x.shape[0]], [slice(None)]
    for n, f in zip(x.shape[1:-1], factors, strict=True):
        shape += [n, f]
        index += [slice(None), None]  # pyright: ignore[reportArgumentType]
    out = np.empty((*shape, x.shape[-1]), x.dtype)
    out[...] = x[(*index, slice(None))]
    sizes = tuple(n * f for n, f in zip(x.shape[1:-1], factors, strict=True))
    return out.reshape(x.shape[0], *sizes, x.shape[-1])


def _interpolate(x: np.ndarray, axis: int, wanted: int, mode: str, antialias: bool) -> np.ndarray:
    """Weighted sum of shifted cells along one axis."""
    before, after = int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis + 1 :]))
    source = x.reshape(before, x.shape[axis], after)
    total: np.ndarray | None = None
    for cells, weight in sparse_weights(x.shape[axis], wanted, mode, antialias):
        part = source.take(cells, 1)
        factor = weight.astype(x.dtype)
        if after < SHORT:
            flat = part.reshape(before, wanted * after)
            flat *= np.repeat(factor, after)
        else:
            part *= factor[:, None]
        if total is None:
            total = part
        else:
            total += part
    return np.asarray(total).reshape(*x.shape[:axis], wanted, *x.shape[axis + 1 :])


def resize_gradient(dy: np.ndarray, sizes: tuple[int, ...], mode: str, antialias: bool) -> np.ndarray:
    """Adjoint of `resize` from images of spatial sizes `sizes`."""
    for axis, size in enumerate(sizes, 1):
        wanted = dy.shape[axis]
        if size == wanted:
            continue
        if mode == "nearest" and wanted % size == 0:
            factor = wanted // size
            total = dy[tap(axis, 0, factor, size)].copy()
            for t in range(1, factor):
                total += dy[tap(axis, t, factor, size)]
            dy = total
            continue
        matrix = weights(size, wanted, mode, antialias).T.astype(dy.dtype)
        before, after = int(np.prod(dy.shape[:axis])), int(np.prod(dy.shape[axis + 1 :]))
        dy = (matrix @ dy.reshape(before, wanted, after)).reshape(*dy.shape[:axis], size, *dy.shape[axis + 1 :])
    return dy
