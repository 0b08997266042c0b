"""Resizing and the exchange of depth and space: values, gradients of two orders, and onnxruntime."""

from functools import partial

import numpy as np
import pytest
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import run_graph
from sardonyx.trainer.core.errors import ShapeError
from sardonyx.trainer.ops.image import upsample


def influence(distance, mode):
    """How much a cell at a distance counts: a tent, or Keys's cubic."""
    d = abs(distance)
    if mode == "bilinear":
        return max(1 - d, 0)
    if d <= 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0


def resize_axis(x, axis, wanted, mode, antialias):
    """One new cell after the other, from the positions of centres."""
    size = x.shape[axis]
    cells = []
    for i in range(wanted):
        centre = (i + 0.5) * size / wanted - 0.5
        if mode == "nearest":
            cells.append(np.take(x, int(np.floor(centre + 0.5)), axis))
            continue
        spread = max(size / wanted, 1) if antialias else 1
        weights = np.array([influence((j - centre) / spread, mode) for j in range(size)])
        cells.append(np.tensordot(x, weights / weights.sum(), (axis, 0)))
    return np.stack(cells, axis).astype(x.dtype)


def resized(x, size, mode="bilinear", antialias=False, axes=(1, 2)):
    for axis, wanted in zip(axes, size, strict=True):
        x = resize_axis(x, axis, wanted, mode, antialias)
    return x


def resize(name, image, size, mode="bilinear", antialias=False, data_format="channels_last", **options):
    axes = (1, 2) if data_format == "channels_last" else (2, 3)
    return case(
        name, lambda x: ops.image.resize(x, size, mode, antialias, data_format=data_format),
        partial(resized, size=size, mode=mode, antialias=antialias, axes=axes), image, **options,
    )  # fmt: skip


def repeated(x, factors, axes):
    for axis, factor in zip(axes, factors, strict=True):
        x = np.repeat(x, factor, axis)
    return x


def to_space(x, b):
    """Cell (i, j) of a block comes from channels (i * b + j) * depth + c."""
    n, h, w, c = x.shape
    out = np.zeros((n, h * b, w * b, c // b**2), x.dtype)
    for i in range(b):
        for j in range(b):
            first = (i * b + j) * out.shape[-1]
            out[:, i::b, j::b] = x[..., first : first + out.shape[-1]]
    return out


def to_space_first(x, b):
    """Cell (i, j) of a block comes from channel c * b² + i * b + j."""
    n, c, h, w = x.shape
    out = np.zeros((n, c // b**2, h * b, w * b), x.dtype)
    for i in range(b):
        for j in range(b):
            out[:, :, i::b, j::b] = x[:, i * b + j :: b * b]
    return out


def to_depth(x, b):
    return np.concatenate([x[:, i::b, j::b] for i in range(b) for j in range(b)], -1)


def to_depth_first(x, b):
    cells = np.stack([x[:, :, i::b, j::b] for i in range(b) for j in range(b)], 2)
    return cells.reshape(cells.shape[0], -1, *cells.shape[3:])


CASES = [
    resize("nearest_double", (5, 3, 4, 2), (6, 8), "nearest"),
    resize("nearest_up", (5, 3, 4, 2), (5, 6), "nearest"),
    resize("nearest_down", (5, 7, 8, 2), (3, 4), "nearest"),
    resize("nearest_first", (5, 2, 3, 4), (6, 12), "nearest", data_format="channels_first"),
    resize("bilinear_double", (5, 3, 4, 2), (6, 8)),
    resize("bilinear_up", (5, 3, 4, 2), (7, 5)),
    resize("bilinear_down", (5, 7, 9, 2), (3, 4)),
    resize("bilinear_mixed", (5, 7, 3, 2), (3, 5)),
    resize("bilinear_many_channels", (4, 3, 4, 70), (5, 6)),
    resize("bilinear_first", (5, 2, 3, 4), (4, 7), data_format="channels_first"),
    resize("bilinear_antialias", (5, 9, 8, 2), (4, 3), antialias=True),
    resize("bicubic_antialias", (5, 9, 8, 2), (4, 3), "bicubic", antialias=True),
    resize("bicubic_up", (5, 4, 5, 2), (7, 8), "bicubic"),
    resize("bicubic_down", (5, 9, 8, 2), (4, 5), "bicubic"),
    resize("bicubic_first", (5, 2, 4, 5), (8, 10), "bicubic", data_format="channels_first"),
    resize("same_size", (5, 4, 5, 2), (4, 5)),
    case(
        "one_image",
        lambda x: ops.image.resize(x, (5, 6)),
        partial(resized, size=(5, 6), axes=(0, 1)),
        (3, 4, 2),
        symbolic=False,
    ),
    case(
        "crop",
        lambda x: ops.image.resize(x, (4, 4), crop_to_aspect_ratio=True),
        lambda x: resized(x[:, 1:6], (4, 4)),
        (4, 7, 5, 2),
    ),
    case(
        "pad",
        lambda x: ops.image.resize(x, (4, 4), pad_to_aspect_ratio=True, fill_value=2.0),
        lambda x: resized(np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 0)], constant_values=2.0), (4, 4)),
        (4, 7, 5, 2),
    ),
    case(
        "pad_first",
        lambda x: ops.image.resize(x, (4, 8), pad_to_aspect_ratio=True, data_format="channels_first"),
        lambda x: resized(np.pad(x, [(0, 0), (0, 0), (0, 0), (2, 2)]), (4, 8), axes=(2, 3)),
        (3, 2, 5, 5),
    ),
    case(
        "integers",
        lambda x: ops.image.resize(x, (5, 6)),
        lambda x: np.clip(np.round(resized(x.astype(np.float64), (5, 6))), 0, 255).astype(np.uint8),
        np.arange(96, dtype=np.uint8).reshape(2, 4, 6, 2) * 2,
        tolerance=1.01,
    ),
    case(
        "integers_nearest",
        lambda x: ops.image.resize(x, (5, 7), "nearest"),
        partial(resized, size=(5, 7), mode="nearest"),
        np.arange(96, dtype=np.int32).reshape(2, 4, 6, 2),
    ),
    case("upsample_1d", lambda x: upsample(x, 3), partial(repeated, factors=(3,), axes=(1,)), (5, 4, 2)),
    case("upsample", lambda x: upsample(x, (2, 3)), partial(repeated, factors=(2, 3), axes=(1, 2)), (5, 3, 4, 2)),
    case(
        "upsample_first",
        lambda x: upsample(x, (1, 3), data_format="channels_first"),
        partial(repeated, factors=(3,), axes=(3,)),
        (5, 2, 3, 4),
    ),
    case(
        "upsample_3d",
        lambda x: upsample(x, (2, 1, 3)),
        partial(repeated, factors=(2, 1, 3), axes=(1, 2, 3)),
        (4, 2, 3, 2, 2),
    ),
    case("upsample_bilinear", lambda x: upsample(x, 2, "bilinear"), partial(resized, size=(6, 8)), (5, 3, 4, 2)),
    case("depth_to_space", lambda x: ops.depth_to_space(x, 2), partial(to_space, b=2), (5, 3, 2, 8)),
    case(
        "depth_to_space_first",
        lambda x: ops.depth_to_space(x, 3, "channels_first"),
        partial(to_space_first, b=3),
        (5, 18, 2, 3),
    ),
    case("space_to_depth", lambda x: ops.space_to_depth(x, 2), partial(to_depth, b=2), (5, 4, 6, 3)),
    case(
        "space_to_depth_first",
        lambda x: ops.space_to_depth(x, 2, "channels_first"),
        partial(to_depth_first, b=2),
        (5, 3, 4, 6),
    ),
    case(
        "space_to_depth_integers",
        lambda x: ops.space_to_depth(x, 2),
        partial(to_depth, b=2),
        np.arange(64, dtype=np.int32).reshape(2, 4, 4, 2),
    ),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_case(item, check):
    check_case(item, check)


def test_enlarging_images_of_unknown_size():
    def gradients(x):
        with sx.GradientTape() as tape:
            tape.watch(x)
            y = upsample(x, (2, 3))
            total = ops.sum_to(ops.reshape(y * y, (-1,)), ())
        return [y, tape.gradient(total, x)]

    graph = sx.trace(gradients, sx.TensorSpec(("batch", "height", "width", 3)))
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 3)).astype(np.float32)
    assert tuple(map(str, graph.results[0].shape)) == ("batch", "2*height", "3*width", "3")
    for a, b in zip(graph.run(x), run_graph(graph, x), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)


IMAGE = np.ones((1, 4, 4, 2), np.float32)
UNKNOWN = sx.TensorSpec(("n", "h", "w", 2))
ERRORS = [
    (lambda: ops.image.resize(np.ones((4, 4)), (2, 2)), ShapeError, "expected one image (rank 3) or a batch"),
    (lambda: ops.image.resize(IMAGE, 4), ValueError, "size must be (height, width)"),
    (lambda: ops.image.resize(IMAGE, (4, 0)), ValueError, "size must be whole numbers of at least 1"),
    (lambda: ops.image.resize(IMAGE, (4, 4), "lanczos9"), ValueError, 'must be one of "nearest", "bilinear"'),
    (
        lambda: ops.image.resize(IMAGE, (4, 4), crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
        ValueError,
        "not both",
    ),
    (lambda: ops.image.resize(IMAGE, (4, 4), fill_mode="reflect"), ValueError, 'fill_mode must be "constant"'),
    (
        lambda: sx.trace(lambda x: ops.image.resize(x, (4, 4), crop_to_aspect_ratio=True), UNKNOWN),
        ShapeError,
        "needs known sizes",
    ),
    (lambda: upsample(np.ones((1, 4, 2)), 2, "bilinear"), ShapeError, 'only "nearest" takes 1 spatial axes'),
    (lambda: upsample(IMAGE, (2, 2, 2)), ValueError, "factors needs one integer, or 2"),
    (lambda: ops.depth_to_space(IMAGE, 2), ShapeError, "channels are a multiple of 4"),
    (lambda: ops.depth_to_space(IMAGE, 1), ValueError, "block_size must be a whole number of at least 2"),
    (lambda: ops.space_to_depth(IMAGE, 3), ShapeError, "height and width are multiples of 3"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS, ids=[e[2][:40] for e in ERRORS])
def test_error(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)


def test_exports_that_cannot_be():
    def slope(x):
        with sx.GradientTape() as tape:
            tape.watch(x)
            y = ops.image.resize(x, (5, 5))
        return tape.gradient(y, x)

    with pytest.raises(NotImplementedError, match="known height and width"):
        run_graph(sx.trace(slope, UNKNOWN), IMAGE)
    with pytest.raises(NotImplementedError, match="antialias can be exported"):
        run_graph(sx.trace(lambda x: ops.image.resize(x, (2, 2), antialias=True), UNKNOWN), IMAGE)
