"""The bits of kernels are the same for any number of threads; large work is shared out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sardonyx.trainer.ops import (
    attention_kernels,
    blocks,
    channel_kernels,
    convolution_kernels,
    gelu_kernels,
    matrix_pieces,
    normalization_kernels,
    parallel,
    winograd,
)
from sardonyx.trainer.ops.convolution_finish import Finish
from sardonyx.trainer.ops.dense import _gradient_run, dense_primitive, dense_relu_primitive
from sardonyx.trainer.ops.linalg import matmul_primitive
from sardonyx.trainer.ops.parallel import on_threads
from sardonyx.trainer.optimizers import kernels

draw = np.random.default_rng(3)


def numbers(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return draw.standard_normal(shape, dtype)


def attention(batch: int, steps: int, masked: bool) -> Callable[[], Any]:
    q, k, v, g = (numbers(batch, steps, 2, 8) for _ in range(4))
    mask = draw.random((batch, 1, steps, steps)) > 0.3 if masked else None
    bias = numbers(1, 2, steps, steps) if masked else None

    def run() -> Any:
        kept = np.empty((batch, 2, steps, steps), np.float32)
        plain = attention_kernels.forward(q, k, v, bias, mask, scale=0.3, causal=False)
        out = attention_kernels.forward(q, k, v, bias, mask, scale=0.3, causal=False, kept=kept)
        return plain, out, kept, *attention_kernels.backward(g, q, k, v, out, kept, mask, 0.3)

    return run


def convolution(
    taps: tuple[int, ...], strides: tuple[int, ...], filters: int = 24, groups: int = 1, multiplier: int = 1
) -> Callable[[], Any]:
    images, filters = numbers(33, 30, 31, 24), filters * multiplier
    kernel, sizes = (
        numbers(*taps, 24 // groups, filters),
        tuple(-(-n // s) for n, s in zip((30, 31), strides, strict=True)),
    )
    lows, dilation = tuple(k // 2 for k in taps), (1, 1)
    dy = numbers(33, *sizes, filters)

    def run() -> Any:
        forward = convolution_kernels.correlate(images, kernel, strides, dilation, lows, sizes, groups)
        return forward, *convolution_kernels.correlate_gradients(images, dy, kernel, strides, dilation, lows, groups)

    return run


def pooled_convolution() -> Any:
    images, kernel, dy, bias = IMAGES
    out, chosen = winograd.correlate_3x3_pooled(images, kernel, (1, 1), (30, 31), Finish(bias, True), True)
    return out, *winograd.correlate_3x3_pooled_gradients(images, dy, chosen, kernel, (1, 1), (30, 31), with_bias=True)


def kept_convolution() -> Any:
    images, kernel, _, bias = IMAGES
    kept = np.empty((36, 33 * 8 * 8 * 24), np.float32)
    out = winograd.correlate_3x3(images, kernel, (1, 1), (30, 31), Finish(bias), kept)
    return out, kept, *winograd.correlate_3x3_gradients(images, out, kernel, (1, 1), kept, with_bias=True)


def normalized_channels() -> Any:
    out, mean, variance = channel_kernels.normalize_channels(FAR[None], X[:96], Y[:96], 1e-3, 1, True, FAR[None, ::-1])
    made = channel_kernels.normalize_channels_gradient(out, FAR[None], X[:96], mean, variance, 1e-3, 1)
    return out, mean, variance, *made


def product(x: np.ndarray, y: np.ndarray, out: bool = False) -> Callable[[], Any]:
    if not out:
        return lambda: matrix_pieces.matrix_product(x, y)
    return lambda: matrix_pieces.matrix_product(x, y, np.empty((len(x), y.shape[1]), x.dtype))


def adam(size: int) -> Callable[[], Any]:
    flat = [numbers(size), numbers(size), numbers(size), np.square(numbers(size))]

    def run() -> Any:
        own = [x.copy() for x in flat]
        kernels.run_in_blocks(kernels.adam, own, (0.01, 0.1, 0.001, 1e-7))
        return own

    return run


def bent(out: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    np.tanh(x, out=out)
    out += y


LARGE = 12 * blocks.BLOCK + 77
X, Y = numbers(LARGE), numbers(LARGE)
SQUARE = numbers(240, 240)
ROWS = numbers(5, 101, 240)
FAR = numbers(5003, 96) + 40 * (np.arange(5003) > 4000)[:, None].astype(np.float32)
IMAGES = numbers(33, 30, 31, 24), numbers(3, 3, 24, 20), numbers(33, 15, 15, 20), numbers(20)
STACK = numbers(65, 60, 64), numbers(65, 64, 66)

KERNELS: dict[str, Callable[[], Any]] = {
    "product": product(numbers(250, 300), numbers(300, 260)),
    "product into": product(numbers(250, 300), numbers(300, 260), out=True),
    "product, first turned": product(numbers(300, 250).T, numbers(300, 260)),
    "product, second turned": product(numbers(250, 300), numbers(260, 300).T),
    "product, both turned": product(numbers(300, 250).T, numbers(260, 300).T, out=True),
    "product, double": product(numbers(250, 300, dtype=np.float64), numbers(300, 260, dtype=np.float64)),
    "product of few rows": product(numbers(7, 2000), numbers(2000, 1500)),
    "product of steps": product(numbers(500, 300)[::2], numbers(300, 260)),
    "product with itself": product(SQUARE, SQUARE.T),
    "product of whole numbers": product(np.ones((240, 240), np.int32), np.ones((240, 240), np.int32)),
    "products": lambda: matmul_primitive.run(*STACK),
    "products with one": lambda: matmul_primitive.run(STACK[0], STACK[1][0]),
    "products of a broadcast": lambda: matmul_primitive.run(STACK[0], STACK[1][:1]),
    "elementwise": lambda: blocks.in_blocks(bent, X, Y),
    "gelu": lambda: gelu_kernels.gelu_and_slope(X, approximate=False),
    "gelu by tanh": lambda: gelu_kernels.gelu_and_slope(X, approximate=True),
    "gelu alone": lambda: gelu_kernels.gelu_and_slope(X, approximate=False, with_slope=False),
    "attention": attention(24, 70, masked=False),
    "masked attention": attention(23, 70, masked=True),
    "adam": adam(LARGE),
    "rows normalized": lambda: normalization_kernels.normalize_rows(FAR, X[:96], Y[:96], 1e-3, True),
    "rows normalized alone": lambda: normalization_kernels.normalize_rows(FAR, None, None, 1e-3, False),
    "gradients of rows": lambda: normalization_kernels.normalize_rows_gradient(FAR[::-1], FAR, X[:96], 1e-3, True),
    "depthwise": convolution((3, 3), (1, 1), groups=24),
    "depthwise by steps": convolution((3, 3), (2, 2), groups=24, multiplier=2),
    "convolution": convolution((3, 3), (2, 2), filters=17),
    "convolution by tiles": convolution((3, 3), (1, 1)),
    "convolution and pooling": pooled_convolution,
    "convolution that keeps tiles": kept_convolution,
    "channels normalized": normalized_channels,
    "grouped convolution": convolution((2, 3), (1, 2), filters=18, groups=3),
    "pointwise": convolution((1, 1), (1, 1), filters=40),
    "dense": lambda: dense_primitive.run(ROWS, SQUARE, SQUARE[0]),
    "dense and relu": lambda: dense_relu_primitive.run(ROWS, SQUARE, SQUARE[0]),
    "gradients of dense": lambda: _gradient_run(ROWS, None, ROWS, SQUARE, (True, True, True)),
}


@pytest.mark.parametrize("name", KERNELS)
def test_bits_do_not_depend_on_threads(name, monkeypatch):
    monkeypatch.setattr(parallel, "SHARE", 1e-9)
    kernel, made = KERNELS[name], []
    for threads in (1, 2, 3, 5):
        with on_threads(threads):
            for _ in range(3 if threads > 1 else 1):
                made.append(kernel())
    first, *others = [x if isinstance(x, (tuple, list)) else [x] for x in made]
    for other in others:
        for a, b in zip(first, other, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


SHARED = [
    "convolution",
    "convolution by tiles",
    "convolution and pooling",
    "channels normalized",
    "depthwise",
    "pointwise",
    "rows normalized",
    "gradients of rows",
    "dense",
    "gradients of dense",
    "product",
    "product, first turned",
    "products",
    "elementwise",
    "gelu",
    "attention",
    "adam",
]


# Threads, elements, the usual block, microseconds, and the elements of a block.
SIZES = [
    (1, 1 << 20, 1 << 15, 1e6, 1 << 15), (2, 100, 1 << 15, 1e6, 1 << 15), (2, 1 << 20, 1 << 15, 1e6, 1 << 17),
    (2, 535000, 1 << 15, 1e6, 89216), (16, 535000, 1 << 15, 1e6, 33472), (16, 535000, 1 << 15, 500, 89216),
    (4, 1 << 17, 1 << 15, 1e6, 1 << 15), (4, 1 << 20, 1 << 15, 200, 1 << 15),
]  # fmt: skip


@pytest.mark.parametrize(("threads", "size", "usual", "microseconds", "expected"), SIZES)
def test_blocks_are_larger_with_threads(threads, size, usual, microseconds, expected):
    with on_threads(threads):
        assert parallel.block_size(size, usual, microseconds) == expected


@pytest.mark.parametrize("name", SHARED)
def test_large_work_is_shared_out(name, monkeypatch):
    counts = []
    monkeypatch.setattr(parallel._Helpers, "run", lambda self, job, count: (counts.append(count), job.work()))
    monkeypatch.setattr(matrix_pieces, "keeps_bits", lambda *given: True)
    monkeypatch.setattr(parallel, "SHARE", 1e-9)
    with on_threads(3):
        KERNELS[name]()
    assert counts
    assert set(counts) <= {1, 2}


def test_products_stay_whole_where_pieces_have_other_bits(monkeypatch):
    monkeypatch.setattr(matrix_pieces, "UNIT", 1)
    given = (25, 300), (300, 40), "C", "C", np.dtype(np.float32), np.dtype(np.float32)
    matrix_pieces.keeps_bits.cache_clear()
    assert not matrix_pieces.keeps_bits(*given[:4], np.dtype(np.float32), np.dtype(np.float64), (0, 12, 25))
    assert not matrix_pieces.keeps_bits((25, 300), (300, 40), None, "C", *given[4:], (0, 12, 25))
    assert not matrix_pieces.keeps_bits(*given, (0, 25))
    monkeypatch.setattr(np, "array_equal", lambda a, b: False)
    assert not matrix_pieces.keeps_bits(*given, (0, 12, 25))
    matrix_pieces.keeps_bits.cache_clear()


# Rows, threads, microseconds of the whole product, and where its pieces begin and end.
PIECES = [
    (128, 2, 1e6, (0, 60, 128)), (128, 2, 600, (0, 72, 128)), (24, 2, 1e6, (0, 12, 24)), (12, 2, 1e6, (0, 12)),
    (5, 4, 400, (0, 5)), (1000, 3, 1e6, (0, 336, 672, 1000)), (30, 3, 1e6, (0, 12, 24, 30)),
    (784, 2, 1200, (0, 408, 784)), (64, 8, 300, (0, 24, 36, 48, 60, 64)),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "threads", "microseconds", "edges"), PIECES)
def test_edges_of_pieces(rows, threads, microseconds, edges):
    assert matrix_pieces.edges_of(rows, threads, microseconds) == edges
