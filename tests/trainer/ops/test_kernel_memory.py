"""Memory of kernels is taken again when it is free, and only then; kernels in blocks of any size agree."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.trainer.ops import depthwise_kernels, memory, winograd, winograd_tiles
from sardonyx.trainer.ops.convolution import conv_relu
from sardonyx.trainer.ops.convolution_primitives import convolution_relu_primitive

FLOAT = np.dtype(np.float32)
SHAPE = (317, 129)


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_memory_is_taken_again_only_when_nothing_refers_to_it():
    first = memory.empty(SHAPE, FLOAT)
    first[...] = 1.0
    view, where = first[3:5].T, address(first)
    del first
    second = memory.empty(SHAPE, FLOAT)
    second[...] = 2.0
    assert address(second) != where and (view == 1.0).all()
    del view
    assert address(memory.empty(SHAPE, FLOAT)) == where
    assert where % memory.PAGE == 0


def test_compiling_gives_back_the_memory_of_the_first_step_which_ran_on_numpy():
    model = sx.Sequential([sx.Input((24, 24, 3)), sx.layers.Conv2D(16, 3), sx.layers.Flatten(), sx.layers.Dense(2)])
    model.compile("sgd", "mse", jit_compile=True)
    x, y = np.ones((32, 24, 24, 3), "float32"), np.ones((32, 2), "float32")
    model.train_on_batch(x, y)
    assert memory._pool.sizes
    model.train_on_batch(x, y)
    assert not memory._pool.sizes


def test_memory_that_served_no_request_for_long_is_given_back():
    pool = memory._pool
    memory.empty(SHAPE, FLOAT)
    kept = set(pool.sizes)
    for _ in range(2 * memory.SWEEP + 1):
        memory.empty((300, 300), FLOAT)
    assert len(kept - set(pool.sizes)) >= 1


def test_small_arrays_are_the_allocators():
    assert memory.empty((3,), FLOAT).base is None


def padded_patches(x: np.ndarray, high: int, wide: int) -> list[list[np.ndarray]]:
    framed = np.pad(x.astype(float), ((0, 0), (1, 1), (1, 1), (0, 0)))
    return [[framed[:, a : a + high, b : b + wide] for b in range(3)] for a in range(3)]


@pytest.mark.parametrize("block_bytes", [1, 1 << 11, 1 << 13, 1 << 20])
@pytest.mark.parametrize("shape", [(5, 7, 6, 4), (3, 9, 5, 3)])
def test_depthwise_in_blocks_of_any_size(monkeypatch, block_bytes, shape):
    monkeypatch.setattr(depthwise_kernels, "BLOCK_BYTES", block_bytes)
    generator = np.random.default_rng(0)
    x, dy = generator.standard_normal((2, *shape), np.float32)
    kernel = generator.standard_normal((3, 3, shape[-1]), np.float32)
    settings = (1, 1), (1, 1), (1, 1)
    patches = padded_patches(x, *shape[1:3])
    expected = sum(patches[a][b] * kernel[a, b] for a in range(3) for b in range(3))
    found = depthwise_kernels.correlate_depthwise(x, kernel, 1, *settings, shape[1:3])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    expected = [[(patch * dy).sum((0, 1, 2)) for patch in row] for row in patches]
    found = depthwise_kernels.correlate_depthwise_kernel(x, dy, 1, (3, 3), *settings)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("block_bytes", [1, 1 << 17, 1 << 22])
@pytest.mark.parametrize("shape", [(3, 14, 11, 16), (2, 9, 13, 16)])
def test_winograd_gradients_in_blocks_of_any_size(monkeypatch, block_bytes, shape):
    monkeypatch.setattr(winograd_tiles, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(winograd_tiles, "FEWEST_TILES", 1)
    generator = np.random.default_rng(0)
    x = generator.standard_normal(shape, np.float32)
    kernel, dy = (generator.standard_normal(s, np.float32) for s in ((3, 3, 16, 24), (*shape[:3], 24)))
    patches = padded_patches(x, *shape[1:3])
    expected = [[np.einsum("nhwc,nhwf->cf", patch, dy) for patch in row] for row in patches]
    framed = np.zeros((shape[0], shape[1] + 2, shape[2] + 2, 16))
    for a in range(3):
        for b in range(3):
            framed[:, a : a + shape[1], b : b + shape[2]] += dy.astype(float) @ kernel[a, b].T
    high, wide = winograd.tiles(shape[1:3])
    kept = np.empty((36, shape[0] * high * wide * 16), np.float32)
    winograd.correlate_3x3(x, kernel, (1, 1), shape[1:3], kept=kept)
    for transform in (None, kept):
        dx, dk, db = winograd.correlate_3x3_gradients(x, dy, kernel, (1, 1), transform, True)
        np.testing.assert_allclose(db, dy.astype(float).sum((0, 1, 2)), rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(dk, expected, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(dx, framed[:, 1:-1, 1:-1], rtol=1e-4, atol=1e-4)


CONVOLUTIONS = [
    ("winograd", (2, 12, 12, 16), (3, 3, 16, 16)),
    ("patches", (2, 9, 9, 3), (3, 3, 3, 5)),
    ("pointwise", (2, 5, 5, 3), (1, 1, 3, 4)),
    ("groups", (2, 7, 7, 4), (3, 3, 2, 6)),
    ("depthwise", (2, 7, 7, 4), (3, 3, 1, 4)),
]


@pytest.mark.parametrize(("name", "shape", "kernel_shape"), CONVOLUTIONS, ids=[c[0] for c in CONVOLUTIONS])
@pytest.mark.parametrize("with_bias", [True, False])
def test_rectified_convolution_is_relu_of_convolution(name, shape, kernel_shape, with_bias):
    generator = np.random.default_rng(0)
    given = [generator.standard_normal(s, np.float32) for s in (shape, kernel_shape, kernel_shape[-1:])]
    x, kernel, bias = (sx.Variable(a) for a in given)
    found = []
    for function in (conv_relu, lambda *a: sx.ops.relu(sx.ops.conv(*a))):
        with sx.GradientTape() as tape:
            out = function(x.read(), kernel, 1, "same", None, 1, bias if with_bias else None)
            total = sx.ops.sum(out * out)
        found.append([out, *tape.gradient(total, [x, kernel, *([bias] if with_bias else [])])])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-5)


def test_rectified_convolution_in_a_graph_is_two_operators():
    specs = sx.TensorSpec((2, 5, 5, 3), "float32"), sx.TensorSpec((3, 3, 3, 4), "float32")
    graph = sx.trace(lambda x, k: conv_relu(x, k, 1, "same", None, 1, None), *specs)
    assert [node.primitive.name for node in graph.nodes][-2:] == ["convolution", "relu"]
    spec = convolution_relu_primitive.infer(
        *specs, strides=(1, 1), padding="same", dilation=(1, 1), groups=1, channels_last=True
    )
    assert spec.shape == (2, 5, 5, 4)
