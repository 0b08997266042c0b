"""Pooling of images (batch, channels, *sizes)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.dims import ceil_divide
from ...trainer.core.tensor import Tensor
from ...trainer.ops.pooling_primitives import average_pool_primitive, max_pool_primitive
from .convolution import frame, spatial_attributes
from .table import Call, UnsupportedOperatorError, operator, plain
from .values import fixed, integers, scalar_like


class Window:
    """The windows of one pooling node: sizes, steps and the frame around the image, cells of `ceil_mode` included."""

    def __init__(self, call: Call, x: Tensor) -> None:
        self.pool = tuple(call.get("kernel_shape"))
        self.strides, self.dilations = spatial_attributes(call, len(self.pool))
        sizes = x.shape[2:]
        pads = frame(call, sizes, self.pool, self.strides, self.dilations)
        if pads == "same":
            pads = tuple(_same(n, k, s, d) for n, k, s, d in self._each(sizes))
        self.pads: tuple[tuple[Any, Any], ...] = pads
        self.extra = tuple(
            self._surplus(n, low + high, k, s, d, low) if call.get("ceil_mode", 0) else 0
            for (n, k, s, d), (low, high) in zip(self._each(sizes), pads, strict=True)
        )

    def _each(self, sizes: Any) -> Any:
        return zip(sizes, self.pool, self.strides, self.dilations, strict=True)

    @staticmethod
    def _surplus(n: Any, pads: Any, k: int, s: int, d: int, low: Any) -> Any:
        """Cells to add behind so that a last, partial window counts; none that starts behind the image."""
        span = n + pads - ((k - 1) * d + 1)
        count = ceil_divide(span, s)
        if not isinstance(count, int):
            if pads - low + s > (k - 1) * d + 1:
                raise UnsupportedOperatorError(
                    f"ceil_mode with padding on an image of unknown size {n}: whether the last window starts in the "
                    "frame depends on it. Give the size as a number when the file is opened."
                )
            return count * s - span
        if count * s >= n + low:
            count -= 1
        return max(count * s - span, 0)

    @property
    def plain(self) -> bool:
        """Whether the pooling primitives can do it."""
        return all(d == 1 for d in self.dilations) and all(isinstance(w, int) for p in self.full for w in p)

    @property
    def full(self) -> tuple[tuple[Any, Any], ...]:
        """The frame with the cells of `ceil_mode`."""
        return tuple((low, high + more) for (low, high), more in zip(self.pads, self.extra, strict=True))


def _same(n: Any, k: int, s: int, d: int) -> tuple[Any, Any]:
    total = (ceil_divide(n, s) - 1) * s + (k - 1) * d + 1 - n
    total = max(total, 0) if isinstance(total, int) else total
    return total // 2, total - total // 2


def _options(window: Window, pads: Any) -> dict[str, Any]:
    return {"pool": window.pool, "strides": window.strides, "padding": pads, "channels_last": False}


def windows(x: Tensor, window: Window, fill: Any) -> Tensor:
    """Every window's cells: (batch, channels, *windows, *pool), `fill` in the frame."""
    rank = len(window.pool)
    x = ops.pad(x, [(0, 0), (0, 0), *window.full], constant_values=fill)
    for i in range(rank):
        axis = 2 + 2 * i
        k, s, d = window.pool[i], window.strides[i], window.dilations[i]
        count = (x.shape[axis] - ((k - 1) * d + 1)) // s + 1
        places = np.arange(count)[:, None] * s + np.arange(k) * d
        x = ops.take(x, places, axis=axis)
    return ops.transpose(x, (0, 1, *range(2, 2 + 2 * rank, 2), *range(3, 3 + 2 * rank, 2)))


@operator("MaxPool")
def max_pool(call: Call, x: Tensor) -> Any:
    """The largest cell of each window, and where it is in the whole tensor."""
    window = Window(call, x)
    fill = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    if not call.wants(1) and x.dtype.kind == "f" and all(d == 1 for d in window.dilations):
        if window.plain:
            return max_pool_primitive(x, **_options(window, window.full))
        framed = ops.pad(x, [(0, 0), (0, 0), *window.full], constant_values=np.finfo(x.dtype).min)
        return max_pool_primitive(framed, **_options(window, "valid"))
    cells = windows(x, window, fill)
    rank = len(window.pool)
    flat = ops.reshape(cells, (*cells.shape[: 2 + rank], -1))
    largest = ops.amax(flat, -1)
    if not call.wants(1):
        return largest
    return largest, _places(call, x, window, ops.argmax(flat, -1))


def _places(call: Call, x: Tensor, window: Window, choice: Tensor) -> Tensor:
    """Places in the flattened tensor of the chosen cells of windows."""
    rank = len(window.pool)
    shape: Any = x.shape
    counts: Any = choice.shape
    order = range(rank) if not call.get("storage_order", 0) else range(rank - 1, -1, -1)
    place: Any = 0
    rest = ops.cast(choice, np.int64)
    taps: list[Any] = [None] * rank
    for i in range(rank - 1, -1, -1):
        taps[i] = ops.mod(rest, scalar_like(window.pool[i], rest))
        rest = ops.floor_divide(rest, scalar_like(window.pool[i], rest))
    for i in order:
        steps = np.arange(counts[2 + i], dtype=np.int64) * window.strides[i] - window.pads[i][0]
        steps = steps.reshape([-1 if a == i else 1 for a in range(rank)])
        place = place * shape[2 + i] + taps[i] * window.dilations[i] + ops.convert_to_tensor(steps)
    image = np.arange(shape[0] * shape[1], dtype=np.int64).reshape(*shape[:2], *[1] * rank)
    return ops.add(place, ops.convert_to_tensor(image * int(np.prod(shape[2:]))))


@operator("AveragePool")
def average_pool(call: Call, x: Tensor) -> Tensor:
    """The mean of each window, cells of the frame counted if `count_include_pad`; those of `ceil_mode` never are."""
    window = Window(call, x)
    counted = bool(call.get("count_include_pad", 0))
    if window.plain and not counted:
        return average_pool_primitive(x, **_options(window, window.full))
    ones = ops.ones((1, 1, *x.shape[2:]), x.dtype)
    if counted:
        frame_of = [(0, 0), (0, 0), *window.pads]
        x, ones = ops.pad(x, frame_of), ops.ones(ops.pad(ones, frame_of).shape, x.dtype)
        window.pads = ((0, 0),) * len(window.pool)
    if window.plain:
        return average_pool_primitive(x, **_options(window, window.full))
    if all(d == 1 for d in window.dilations):
        parts = [ops.pad(v, [(0, 0), (0, 0), *window.full]) for v in (x, ones)]
        return ops.divide(*[average_pool_primitive(v, **_options(window, "valid")) for v in parts])
    axes = tuple(range(-len(window.pool), 0))
    return ops.divide(ops.sum(windows(x, window, 0), axes), ops.sum(windows(ones, window, 0), axes))


@operator("LpPool")
def lp_pool(call: Call, x: Tensor) -> Tensor:
    """The p-norm of each window."""
    p = call.get("p", 2)
    cells = windows(ops.power(ops.abs(x), scalar_like(p, x)), Window(call, x), 0)
    total = ops.sum(cells, tuple(range(len(x.shape), len(cells.shape))))
    return ops.power(total, scalar_like(1 / p, x))


def _whole(function: Any) -> Any:
    return lambda x: function(x, tuple(range(2, len(x.shape))), True)


plain({"GlobalAveragePool": _whole(ops.mean), "GlobalMaxPool": _whole(ops.amax)})


@operator("GlobalLpPool")
def global_lp_pool(call: Call, x: Tensor) -> Tensor:
    """The p-norm of each channel."""
    p = call.get("p", 2)
    total = ops.sum(ops.power(ops.abs(x), scalar_like(p, x)), tuple(range(2, len(x.shape))), True)
    return ops.power(total, scalar_like(1 / p, x))


@operator("MaxUnpool")
def max_unpool(call: Call, x: Tensor, indices: Tensor, output_shape: Any = None) -> Tensor:
    """Elements put back where a pooling took them from, zeros elsewhere."""
    pool, rank = call.get("kernel_shape"), len(call.get("kernel_shape"))
    strides, pads = call.get("strides") or [1] * rank, call.get("pads") or [0] * (2 * rank)
    own = [(n - 1) * s - low - high + k for n, s, low, high, k in zip(
        x.shape[2:], strides, pads[:rank], pads[rank:], pool, strict=True
    )]  # fmt: skip
    own = [*x.shape[:2], *own]
    wanted: Any = own if output_shape is None else integers(call, output_shape, "the shape")
    places = ops.reshape(ops.cast(indices, np.int64), (-1, 1))
    if list(wanted) != own:
        cells = np.unravel_index(fixed(call, places, "the indices").reshape(-1), own)
        places = ops.expand_dims(ops.convert_to_tensor(np.ravel_multi_index(cells, wanted)), -1)
    total = int(np.prod(wanted))
    return ops.reshape(ops.scatter(places, ops.reshape(x, (-1,)), (total,)), wanted)
