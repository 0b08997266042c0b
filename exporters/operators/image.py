"""Images in other sizes: Resize, Upsample, GridSample, and decoding."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.dims import Dim
from ...trainer.core.tensor import Tensor
from .table import Call, UnsupportedOperatorError, operator
from .values import axis_in, back_to, fixed, integers, scalar_like


def source_places(call: Call, size: int, new: int, scale: float, roi: Any) -> np.ndarray:
    """For each new cell the place in the old axis, by `coordinate_transformation_mode`."""
    mode = call.get("coordinate_transformation_mode", "half_pixel")
    cells = np.arange(new, dtype=np.float64)
    if mode == "asymmetric":
        return cells / scale
    if mode == "align_corners":
        return cells * (size - 1) / (size * scale - 1) if size * scale != 1 else np.zeros(new)
    if mode == "tf_crop_and_resize":
        start, end = roi
        if new == 1:
            return np.asarray([(start + end) * (size - 1) / 2])
        return start * (size - 1) + cells * (end - start) * (size - 1) / (new - 1)
    if mode == "pytorch_half_pixel":
        return (cells + 0.5) / scale - 0.5 if new > 1 else np.zeros(new)
    if mode == "tf_half_pixel_for_nn":
        return (cells + 0.5) / scale
    places = (cells + 0.5) / scale - 0.5
    if mode == "half_pixel_symmetric":
        adjust = new / (scale * size)
        places += size / 2 * (1 - adjust)
    return places


def _nearest(call: Call, places: np.ndarray) -> np.ndarray:
    mode = call.get("nearest_mode", "round_prefer_floor")
    if mode == "floor":
        return np.floor(places)
    if mode == "ceil":
        return np.ceil(places)
    if mode == "round_prefer_ceil":
        return np.floor(places + 0.5)
    return np.ceil(places - 0.5)


def _taps(call: Call, mode: str, scale: float) -> tuple[int, Any]:
    """How many cells reach from a place to each side, and the weight of a distance."""
    shrink = min(scale, 1.0) if call.get("antialias", 0) else 1.0
    if mode == "linear":
        return int(np.ceil(1 / shrink)), lambda d: np.maximum(1 - np.abs(d * shrink), 0)
    a = call.get("cubic_coeff_a", -0.75)

    def cubic(distance: np.ndarray) -> np.ndarray:
        d = np.abs(distance * shrink)
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return np.where(d <= 1, near, np.where(d < 2, far, 0))

    return int(np.ceil(2 / shrink)), cubic


def weights_of(call: Call, mode: str, places: np.ndarray, size: int, scale: float) -> np.ndarray:
    """The matrix (new, old) that interpolates along one axis."""
    reach, weight = _taps(call, mode, scale)
    base = np.floor(places).astype(int)[:, None]
    cells = base + np.arange(-reach + 1, reach + 1)
    shares = weight(places[:, None] - cells)
    inside = (cells >= 0) & (cells < size)
    if call.get("exclude_outside", 0):
        shares = shares * inside
    shares = shares / shares.sum(1, keepdims=True)
    matrix = np.zeros((len(places), size))
    np.add.at(matrix, (np.arange(len(places))[:, None], np.clip(cells, 0, size - 1)), shares)
    return matrix


def _along(x: Tensor, axis: int, matrix: np.ndarray) -> Tensor:
    moved = ops.matmul(ops.moveaxis(x, axis, -1), Tensor(matrix.T.astype(x.dtype)))
    return ops.moveaxis(moved, -1, axis)


def resize_axis(call: Call, x: Tensor, axis: int, new: int, scale: float, roi: Any) -> Tensor:
    """One axis in another size."""
    size: Any = x.shape[axis]
    places = source_places(call, size, new, scale, roi)
    mode = call.get("mode", "nearest")
    if mode == "nearest":
        chosen = ops.take(x, np.clip(_nearest(call, places), 0, size - 1).astype(np.int64), axis=axis)
    else:
        matrix = weights_of(call, mode, places, size, scale)
        chosen = back_to(_along(ops.cast(x, np.float32) if x.dtype.kind != "f" else x, axis, matrix), x.dtype)
    if call.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        outside = (places < 0) | (places > size - 1)
        mask = outside.reshape([-1 if i == axis else 1 for i in range(len(x.shape))])
        fill = scalar_like(call.get("extrapolation_value", 0.0), x)
        return ops.where(Tensor(mask), fill, chosen) if outside.any() else chosen
    return chosen


@operator("Resize", since=11, raw=True)
def resize(call: Call, x: Tensor, roi: Any = None, scales: Any = None, sizes: Any = None) -> Tensor:
    """Axes in other sizes: nearest cells, or linear or cubic interpolation."""
    rank = len(x.shape)
    axes = [axis_in(call, a, rank) for a in call.get("axes") or range(rank)]
    if scales is not None and fixed(call, scales, "the scales").size:
        factors = [float(s) for s in fixed(call, scales, "the scales")]
        wanted: list[Any] = [_scaled(x.shape[a], s) for a, s in zip(axes, factors, strict=True)]
    else:
        wanted = integers(call, sizes, "the sizes")
        wanted, factors = _kept_ratio(call, [x.shape[a] for a in axes], wanted)
    ends = None if roi is None or not roi.shape[0] else fixed(call, roi, "the region").astype(np.float64)
    return _resized(call, x, axes, wanted, factors, ends)


def _scaled(size: Any, factor: float) -> Any:
    if isinstance(size, Dim):
        ratio = Fraction(factor).limit_denominator(10_000)
        return size * ratio.numerator // ratio.denominator
    return int(np.floor(np.float32(size) * np.float32(factor)))


def _kept_ratio(call: Call, shape: list[Any], wanted: list[Any]) -> tuple[list[Any], list[Any]]:
    factors: list[Any] = [_factor(n, w) for n, w in zip(shape, wanted, strict=True)]
    policy = call.get("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return wanted, factors
    if any(isinstance(size, Dim) for size in (*shape, *wanted)):
        raise UnsupportedOperatorError(
            f"{call.label}: the policy '{policy}' for the ratio of sizes is only computed where the sizes are numbers. "
            "Give them when the file is opened: load_model(path, shapes=...)."
        )
    factor = min(factors) if policy == "not_larger" else max(factors)
    return [int(np.floor(factor * n + 0.5)) for n in shape], [factor] * len(shape)


def _factor(size: Any, new: Any) -> float | None:
    """How many times as long an axis becomes; None where that is only known when the model runs."""
    if not isinstance(size, Dim) and not isinstance(new, Dim):
        return 1.0 if size == new else new / size
    times: Any = new // size
    return float(times) if isinstance(times, int) and times * size == new else None


def _resized(call: Call, x: Tensor, axes: Any, wanted: Any, factors: list[Any], ends: Any) -> Tensor:
    crops = call.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    for i, (axis, new, factor) in enumerate(zip(axes, wanted, factors, strict=True)):
        size = x.shape[axis]
        if factor == 1 and new == size and not crops:
            continue
        if isinstance(size, Dim) or isinstance(new, Dim):
            x = _of_unknown_size(call, x, axis, new, factor)
            continue
        region = None if ends is None else (ends[i], ends[i + len(axes)])
        x = resize_axis(call, x, axis, new, factor, region)
    return x


REPEATING = {
    ("asymmetric", "floor"), ("tf_half_pixel_for_nn", "floor"),
    ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil"),
    ("pytorch_half_pixel", "round_prefer_floor"), ("pytorch_half_pixel", "round_prefer_ceil"),
}  # fmt: skip
"""Ways to take the nearest cell by which a whole factor repeats each cell."""


def _of_unknown_size(call: Call, x: Tensor, axis: int, new: Any, factor: float | None) -> Tensor:
    """An axis of unknown size, cells repeated, or the nearest ones or linear interpolation by computed places."""
    mode, way = call.get("mode", "nearest"), call.get("coordinate_transformation_mode", "half_pixel")
    whole = factor is not None and factor == int(factor)
    if mode == "linear" and way in ("half_pixel", "pytorch_half_pixel") and whole and len(x.shape) == 4 and axis > 1:
        sizes = [new if i == axis else x.shape[i] for i in (2, 3)]
        return ops.image.resize(x, sizes, "bilinear", data_format="channels_first")
    if mode == "nearest" and whole and (way, call.get("nearest_mode", "round_prefer_floor")) in REPEATING:
        return ops.repeat(x, int(factor), axis)  # pyright: ignore[reportArgumentType]
    if mode == "cubic" or call.get("antialias", 0) or way in ("tf_crop_and_resize", "half_pixel_symmetric"):
        raise UnsupportedOperatorError(
            f"{call.label}: axis {axis} has the unknown size {x.shape[axis]}, and only nearest cells and linear "
            "interpolation, without antialiasing or a region, can be computed then. Give the size as a number when "
            "the file is opened: load_model(path, shapes=...)."
        )
    places, last = _computed_places(way, x.shape[axis], new, factor)
    if mode == "nearest":
        return ops.take(x, ops.cast(ops.clip(_rounded(call, places), 0.0, last), "int64"), axis=axis)
    places = ops.clip(places, 0.0, last)
    low = ops.floor(places)
    shape = [new if i == axis else 1 for i in range(len(x.shape))]
    share = ops.cast(ops.reshape(ops.subtract(places, low), shape), x.dtype.name)
    before = ops.take(x, ops.cast(low, "int64"), axis=axis)
    after = ops.take(x, ops.cast(ops.minimum(ops.add(low, 1.0), last), "int64"), axis=axis)
    return ops.add(before, ops.multiply(ops.subtract(after, before), share))


def _computed_places(way: str, size: Any, new: Any, factor: float | None) -> tuple[Tensor, Tensor]:
    """As `source_places`, in float32 as runtimes do; and the last cell of the old axis."""
    cells = ops.cast(ops.arange(new, dtype="int64"), "float32")
    old, end = (ops.cast(ops.convert_to_tensor(n, "int64"), "float32") for n in (size, new))
    last = ops.subtract(old, 1.0)
    if way == "align_corners":
        reached = end if factor is None else ops.multiply(old, np.float32(factor))
        steps = ops.subtract(reached, 1.0)
        steps = ops.where(ops.equal(steps, 0.0), ops.ones_like(steps), steps)
        return ops.divide(ops.multiply(cells, last), steps), last
    scale = ops.divide(end, old) if factor is None else ops.convert_to_tensor(factor, "float32")
    if way == "asymmetric":
        return ops.divide(cells, scale), last
    places = ops.divide(ops.add(cells, 0.5), scale)
    if way != "tf_half_pixel_for_nn":
        places = ops.subtract(places, 0.5)
    if way == "pytorch_half_pixel":
        places = ops.where(ops.greater(end, 1.0), places, ops.zeros_like(places))
    return places, last


def _rounded(call: Call, places: Tensor) -> Tensor:
    mode = call.get("nearest_mode", "round_prefer_floor")
    if mode in ("floor", "ceil"):
        return ops.floor(places) if mode == "floor" else ops.ceil(places)
    return ops.floor(ops.add(places, 0.5)) if mode == "round_prefer_ceil" else ops.ceil(ops.subtract(places, 0.5))


@operator("Resize", since=10)
def resize_by_scales(call: Call, x: Tensor, scales: Tensor) -> Tensor:
    """Version 10: places without an offset, cells at or before a place."""
    return _legacy(call, x, [float(s) for s in fixed(call, scales, "the scales")])


@operator("Upsample")
def upsample(call: Call, x: Tensor, scales: Any = None) -> Tensor:
    """Enlarged by whole or broken factors (versions 7 and 9)."""
    given = call.get("scales") if scales is None else fixed(call, scales, "the scales")
    return _legacy(call, x, [float(s) for s in given])


def _legacy(call: Call, x: Tensor, factors: list[float]) -> Tensor:
    mode = call.get("mode", "nearest")
    options = {
        "mode": "linear" if mode == "bilinear" else mode, "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }  # fmt: skip
    inner = Call(call.operator, call.name, call.version, options)
    wanted = [_scaled(size, f) for size, f in zip(x.shape, factors, strict=True)]
    return _resized(inner, x, range(len(factors)), wanted, factors, None)


def _unfolded(call: Call, places: Tensor, size: Any) -> Tensor:
    """Places from -1 to 1 in cells of an axis."""
    one = scalar_like(1, places)
    if call.get("align_corners", 0):
        return (places + one) * scalar_like((size - 1) / 2, places)
    return ((places + one) * scalar_like(size, places) - one) * scalar_like(0.5, places)


def _reflected(call: Call, x: Tensor, size: int) -> Tensor:
    """Places outside mirrored at the border."""
    low, high = (0.0, size - 1.0) if call.get("align_corners", 0) else (-0.5, size - 0.5)
    span = high - low
    if span == 0:
        return ops.zeros_like(x)
    turn = ops.mod(x - scalar_like(low, x), scalar_like(2 * span, x))
    folded = ops.minimum(turn, scalar_like(2 * span, x) - turn)
    return folded + scalar_like(low, x)


def _cells(call: Call, x: Tensor, picks: list[Tensor], sizes: list[int]) -> Tensor:
    """Cells of (batch, channels, *sizes) at whole places (batch, points), by the padding mode."""
    mode = call.get("padding_mode", "zeros")
    inside: Any = None
    flat: Any = 0
    for place, size in zip(picks, sizes, strict=True):
        if mode == "reflection":
            place = ops.round(_reflected(call, place, size))
        within = ops.logical_and(place >= scalar_like(0, place), place <= scalar_like(size - 1, place))
        inside = within if inside is None else ops.logical_and(inside, within)
        flat = flat * size + ops.cast(ops.clip(place, 0, size - 1), np.int64)
    image = ops.reshape(x, (*x.shape[:2], -1))
    index = ops.broadcast_to(flat[:, None], (flat.shape[0], x.shape[1], flat.shape[1]))
    found = ops.take_along_axis(image, index, axis=2)
    return found if mode != "zeros" else found * ops.cast(inside[:, None], x.dtype)


@operator("GridSample")
def grid_sample(call: Call, x: Tensor, grid: Tensor) -> Tensor:
    """The image read at places between its cells."""
    sizes: list[Any] = list(x.shape[2:])
    rank, n = len(sizes), x.shape[0]
    points = ops.reshape(grid, (n, -1, rank))
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(call.get("mode", "linear"), call.get("mode", "linear"))
    places = [_unfolded(call, points[..., rank - 1 - i], size) for i, size in enumerate(sizes)]
    if mode != "cubic":
        places = [_framed(call, p, size) for p, size in zip(places, sizes, strict=True)]
    if mode == "nearest":
        total: Any = _cells(call, x, [ops.round(p) for p in places], sizes)
    else:
        reach = 1 if mode == "linear" else 2
        bases = [ops.floor(p) for p in places]
        total = 0
        for corner in np.ndindex(*[2 * reach] * rank):
            picks = [b + scalar_like(c - reach + 1, b) for b, c in zip(bases, corner, strict=True)]
            share: Any = 1
            for p, pick in zip(places, picks, strict=True):
                share = share * (_linear(p - pick) if mode == "linear" else _cubic(p - pick))
            total = total + _cells(call, x, picks, sizes) * share[:, None]
    return ops.reshape(total, (*x.shape[:2], *grid.shape[1:-1]))


def _linear(d: Tensor) -> Tensor:
    return scalar_like(1, d) - ops.abs(d)


def _cubic(distance: Tensor, a: float = -0.75) -> Tensor:
    d = ops.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return ops.where(d <= scalar_like(1, d), near, far)


def _framed(call: Call, places: Tensor, size: int) -> Tensor:
    mode = call.get("padding_mode", "zeros")
    if mode == "border":
        return ops.clip(places, 0, size - 1)
    return ops.clip(_reflected(call, places, size), 0, size - 1) if mode == "reflection" else places


@operator("ImageDecoder")
def decode_image(call: Call, stream: Tensor) -> Tensor:
    """The pixels (height, width, channels) of an encoded image; needs Pillow."""
    from PIL import Image

    picture = Image.open(io.BytesIO(fixed(call, stream, "the encoded image").tobytes()))
    form = call.get("pixel_format", "RGB")
    array = np.array(picture.convert("L" if form == "Grayscale" else "RGB"))
    if form == "BGR":
        array = array[:, :, ::-1]
    return Tensor(array[:, :, None] if form == "Grayscale" else array)
