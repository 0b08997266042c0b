"""Padding: a border of a constant, of the nearest elements, or of a mirror image."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dims import Shape, Size, bounds, contains_dim
from ..core.emitter import Emitter, Value
from ..core.errors import ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .arithmetic import add
from .broadcast import sum_axes
from .convert import convert_to_tensor
from .join import concatenate_primitive
from .slicing import WHOLE, index_primitive

__all__ = ["pad"]

Widths = tuple[tuple[Size, Size], ...]


def _pad_infer(x: TensorSpec, *, widths: Widths, mode: str, value: Any) -> TensorSpec:
    if len(widths) != x.rank:
        raise ShapeError(f"expected pad widths for the {x.rank} axes of {format_shape(x.shape)}, got {len(widths)}")
    if mode == "reflect":
        _check_reflection(x.shape, widths)
    sizes = tuple(size + before + after for size, (before, after) in zip(x.shape, widths, strict=True))
    return TensorSpec(sizes, x.dtype)


def _check_reflection(shape: Shape, widths: Widths) -> None:
    for axis, (size, ends) in enumerate(zip(shape, widths, strict=True)):
        least = size if isinstance(size, int) else bounds(size)[1]
        if least is not None and any(isinstance(width, int) and width and width >= least for width in ends):
            raise ShapeError(
                f"mode 'reflect' can mirror at most {least - 1} elements of axis {axis} of {format_shape(shape)}, "
                f"got {ends}"
            )


def _inner(shape: tuple[int, ...], widths: Widths) -> tuple[slice, ...]:
    return tuple([slice(b.__index__(), b.__index__() + size) for size, (b, _) in zip(shape, widths, strict=True)])


def _pad_run(x: np.ndarray, *, widths: Widths, mode: str, value: Any) -> np.ndarray:
    sizes = tuple([size + b.__index__() + a.__index__() for size, (b, a) in zip(x.shape, widths, strict=True)])
    if mode == "constant":
        result = np.zeros(sizes, x.dtype) if value == 0 else np.full(sizes, value, x.dtype)
        result[_inner(x.shape, widths)] = x
        return result
    if mode == "reflect":
        _check_reflection(x.shape, widths)
    return np.pad(x, widths, mode=mode)  # pyright: ignore[reportCallIssue, reportArgumentType] - sizes are numbers here


def _pad_lower(emit: Emitter, x: Value, *, widths: Widths, mode: str, value: Any) -> Value:
    spec = _pad_infer(x.spec, widths=widths, mode=mode, value=value)
    pads = emit.shape((*[b for b, _ in widths], *[a for _, a in widths]))
    if mode == "constant":
        return emit("Pad", x, pads, emit.constant(value, x.dtype) if value != 0 else None, spec=spec)
    return emit("Pad", x, pads, mode=mode, spec=spec)


def _pad_vjp(g: Tensor, out: Tensor, x: Tensor, *, widths: Widths, mode: str, value: Any) -> Tensor:
    rank = len(widths)
    for axis, (size, (before, after)) in enumerate(zip(x.shape, widths, strict=True)):
        if before == 0 and after == 0:
            continue
        inner = _cut(g, axis, rank, before, before + size)
        if mode != "constant":
            borders = (_cut(g, axis, rank, 0, before), before), (_cut(g, axis, rank, before + size, None), after)
            for last, (border, width) in enumerate(borders):
                if width != 0:
                    inner = add(inner, _fold_back(border, axis, size, width, bool(last), mode))
        g = inner
    return g


def _fold_back(border: Tensor, axis: int, size: Size, width: Size, last: bool, mode: str) -> Tensor:
    """The gradient of a border at the places that it was copied from: along `size` elements, zeros elsewhere."""
    rank = len(border.shape)
    if mode == "edge":
        part, offset, width = sum_axes(border, (axis,), True), 0, 1
    else:
        part, offset = _reversed(border, axis, rank), int(mode == "reflect")
    before = size - width - offset if last else offset
    widths = [(0, 0)] * rank
    widths[axis] = (before, size - width - before)
    return pad_zeros(part, tuple(widths))


def _along(axis: int, rank: int, item: Any) -> tuple[Any, ...]:
    return (*[WHOLE] * axis, item, *[WHOLE] * (rank - axis - 1))


def _cut(x: Tensor, axis: int, rank: int, start: Any, stop: Any) -> Tensor:
    return index_primitive(x, items=_along(axis, rank, (start, stop, None)))


def _reversed(x: Tensor, axis: int, rank: int) -> Tensor:
    return index_primitive(x, items=_along(axis, rank, (None, None, -1)))


pad_primitive = Primitive(
    name="pad",
    run=_pad_run,
    infer=_pad_infer,
    lower=_pad_lower,
    vjp=(_pad_vjp,),
    residuals="none",
)


def pad_zeros(x: Tensor, widths: Widths) -> Tensor:
    """A border of zeros: `widths` before and after each axis, symbolic ones allowed."""
    return pad_primitive(x, widths=widths, mode="constant", value=0)


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    """A border around a tensor (ONNX: Pad).

    `pad_width`: one number for all sides, `(before, after)` for all axes, or such a pair for each axis.
    `mode`: "constant" (`constant_values`, a number, 0 when None), "edge", "reflect" (the outermost element is not
    repeated) or "symmetric" (it is). Raises `ShapeError` for widths that are negative or too large to mirror.

    >>> import sardonyx as sx
    >>> sx.ops.pad([1, 2, 3], (2, 1), mode="reflect").tolist()
    [3, 2, 1, 2, 3, 2]
    """
    tensor = convert_to_tensor(x)
    if mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError(f'pad: mode must be "constant", "edge", "reflect" or "symmetric", got {mode!r}')
    if constant_values is not None and mode != "constant":
        raise ValueError(f"pad: constant_values goes with mode 'constant' only, got mode {mode!r}")
    widths = _widths(pad_width, tensor.shape)
    if all(b == 0 and a == 0 for b, a in widths):
        return tensor
    if mode == "symmetric":
        return _pad_symmetric(tensor, widths)
    value = 0 if constant_values is None else np.asarray(constant_values).item()
    return pad_primitive(tensor, widths=widths, mode=mode, value=value)


def _widths(given: Any, shape: Shape) -> Widths:
    rank = len(shape)
    if not contains_dim(given):
        given = np.asarray(given).tolist()
    if not isinstance(given, (list, tuple)):
        pairs: list[Any] = [(given, given)] * rank
    elif len(given) == 2 and not isinstance(given[0], (list, tuple)):
        pairs = [tuple(given)] * rank
    elif len(given) == 1:
        pairs = [(given[0], given[0]) if not isinstance(given[0], (list, tuple)) else tuple(given[0])] * rank
    else:
        pairs = [tuple(pair) if isinstance(pair, (list, tuple)) else () for pair in given]
    if len(pairs) != rank or any(len(pair) not in (1, 2) for pair in pairs):
        raise ShapeError(f"pad: expected (before, after) for each axis of {format_shape(shape)}, got {given}")
    whole = tuple((pair[0], pair[-1]) for pair in pairs)
    if any(isinstance(w, float) or (isinstance(w, int) and w < 0) for pair in whole for w in pair):
        raise ShapeError(f"pad: pad_width must hold whole numbers >= 0, got {given}")
    return whole


def _pad_symmetric(x: Tensor, widths: Widths) -> Tensor:
    """ONNX has no such mode: mirrored parts are joined on, axis by axis."""
    rank = len(widths)
    for axis, (before, after) in enumerate(widths):
        size = x.shape[axis]
        if isinstance(size, int) and any(isinstance(w, int) and w > size for w in (before, after)):
            raise ShapeError(
                f"pad: mode 'symmetric' can mirror at most {size} elements of axis {axis} of {format_shape(x.shape)}, "
                f"got {(before, after)}"
            )
        parts = [x]
        if before != 0:
            parts.insert(0, _reversed(_cut(x, axis, rank, 0, before), axis, rank))
        if after != 0:
            parts.append(_reversed(_cut(x, axis, rank, size - after, None), axis, rank))
        x = concatenate_primitive(*parts, axis=axis) if len(parts) > 1 else x
    return x
