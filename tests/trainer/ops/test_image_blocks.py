"""Kernels work block by block: cut into many small blocks, they must give what they give in one."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import ops
from sardonyx.trainer.ops import (
    convolution_kernels,
    depthwise_kernels,
    normalization_kernels,
    pooling_kernels,
    winograd_tiles,
)
from sardonyx.trainer.ops.normalization import batch_normalization_training, group_normalization

CASES = [
    ("conv", lambda x, k: ops.conv(x, k, padding="same"), (5, 9, 7, 6), (3, 2, 6, 5)),
    ("conv_few_channels", lambda x, k: ops.conv(x, k, strides=2), (5, 11, 9, 3), (3, 3, 3, 5)),
    ("conv_groups", lambda x, k: ops.conv(x, k, strides=2, padding="same"), (5, 8, 9, 6), (3, 3, 2, 6)),
    ("conv_1d", ops.conv, (5, 30, 6), (3, 6, 5)),
    ("conv_3d", ops.conv, (3, 7, 6, 5, 6), (2, 2, 2, 6, 5)),
    ("winograd", lambda x, k: ops.conv(x, k, padding="same"), (5, 18, 9, 16), (3, 3, 16, 16)),
    ("depthwise", lambda x, k: ops.depthwise_conv(x, k, padding="same"), (5, 9, 7, 6), (3, 3, 6, 1)),
    ("depthwise_stride", lambda x, k: ops.depthwise_conv(x, k, 2), (5, 9, 8, 3), (3, 3, 3, 2)),
    ("max_pool", lambda x: ops.max_pool(x, 2), (7, 6, 8, 3)),
    ("max_pool_overlap", lambda x: ops.max_pool(x, 3, 2, "same"), (7, 6, 9, 3)),
    ("average_pool", lambda x: ops.average_pool(x, 3, 2, "same"), (7, 6, 9, 3)),
    ("layer", ops.layer_normalization, (50, 9), (9,), (9,)),
    ("rms", ops.rms_normalization, (50, 9), (9,)),
    ("layer_far", lambda x, g: ops.layer_normalization(x + 50.0, g), (50, 9), (9,)),
    ("batch", lambda x, s, b: batch_normalization_training(x, -1, b, s)[0], (7, 6, 9, 3), (3,), (3,)),
    ("batch_far", lambda x, s, b: batch_normalization_training(x + 50.0, -1, b, s)[0], (7, 6, 9, 3), (3,), (3,)),
    ("group", lambda x, s, b: group_normalization(x, 2, -1, s, b), (7, 6, 9, 4), (4,), (4,)),
]


def values_and_gradients(function, arrays):
    with sx.GradientTape() as tape:
        tensors = [sx.Tensor(a) for a in arrays]
        tape.watch(tensors)
        result = function(*tensors)
        total = result * result * result  # the sum of squares of what is normalised does not depend on x
    return [result, *tape.gradient(total, tensors)]


@pytest.mark.parametrize(("function", "shapes"), [(c[1], c[2:]) for c in CASES], ids=[c[0] for c in CASES])
def test_many_blocks_give_the_same_as_one(function, shapes, monkeypatch):
    generator = np.random.default_rng(7)
    arrays = [generator.standard_normal(shape).astype(np.float32) for shape in shapes]
    whole = values_and_gradients(function, arrays)
    for module in (convolution_kernels, depthwise_kernels, normalization_kernels, pooling_kernels, winograd_tiles):
        monkeypatch.setattr(module, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(convolution_kernels, "MANY_ROWS", 4)
    monkeypatch.setattr(normalization_kernels, "LONG_ROW", 16)
    monkeypatch.setattr(depthwise_kernels, "LONG_ROW", 32)
    monkeypatch.setattr(winograd_tiles, "FEWEST_TILES", 2)
    for one, many in zip(whole, values_and_gradients(function, arrays), strict=True):
        scale = float(np.abs(one.numpy()).max())
        np.testing.assert_allclose(many.numpy(), one.numpy(), rtol=1e-4, atol=2e-5 * scale)
