"""Normalisation layers."""

import numpy as np
import pytest
from layer_cases import check_layer, generated, layer_case

import sardonyx as sx
from sardonyx.trainer.core.errors import ShapeError


def both(size):
    return {"gamma": size, "beta": size}


MOVING = {"moving_mean": (3,), "moving_variance": (3,)}
CASES = [
    layer_case("BatchNormalization", {}, (4, 3), (4, 3), {**both((3,)), **MOVING}, training="own"),
    layer_case("BatchNormalization", {"momentum": 0.7, "epsilon": 1e-2}, (2, 4, 5, 3), (2, 4, 5, 3),
               {**both((3,)), **MOVING}, training="own", free=[1, 2]),
    layer_case("BatchNormalization", {"axis": 1}, (2, 3, 4, 5), (2, 3, 4, 5), {**both((3,)), **MOVING}, training="own"),
    layer_case("BatchNormalization", {"scale": False}, (4, 5, 3), (4, 5, 3), {"beta": (3,), **MOVING}, training="own"),
    layer_case("BatchNormalization", {"center": False, "scale": False}, (4, 3), (4, 3), MOVING, training="own"),
    layer_case("LayerNormalization", {}, (2, 5, 3), (2, 5, 3), both((3,)), free=[1]),
    layer_case("LayerNormalization", {"axis": [1, 2], "epsilon": 1e-5}, (2, 5, 3), (2, 5, 3), both((5, 3))),
    layer_case("LayerNormalization", {"axis": 1}, (2, 5, 3), (2, 5, 3), both((5,))),
    layer_case("LayerNormalization", {"center": False}, (2, 3), (2, 3), {"gamma": (3,)}),
    layer_case("LayerNormalization", {"scale": False}, (2, 3), (2, 3), {"beta": (3,)}),
    layer_case("RMSNormalization", {}, (2, 5, 3), (2, 5, 3), {"scale": (3,)}, free=[1]),
    layer_case("RMSNormalization", {"axis": [1, 2], "epsilon": 1e-3}, (2, 5, 3), (2, 5, 3), {"scale": (5, 3)}),
    layer_case("GroupNormalization", {"groups": 2}, (2, 4, 5, 6), (2, 4, 5, 6), both((6,)), free=[1, 2],
               tolerance=2e-5),
    layer_case("GroupNormalization", {"groups": -1}, (2, 4, 6), (2, 4, 6), both((6,)), tolerance=2e-5),
    layer_case("GroupNormalization", {"groups": 3, "axis": 1, "scale": False}, (2, 6, 4), (2, 6, 4), {"beta": (6,)},
               tolerance=2e-5),
    layer_case("UnitNormalization", {}, (2, 5, 3), (2, 5, 3), free=[1]),
    layer_case("UnitNormalization", {"axis": [1, 2]}, (2, 5, 3), (2, 5, 3)),
    layer_case("Normalization", {"mean": [1.0, 2.0, 3.0], "variance": [4.0, 1.0, 0.5]}),
    layer_case("Normalization", {"axis": None, "mean": 3.0, "variance": 2.0}),
    layer_case("Normalization", {"mean": 3.0, "variance": 2.0, "invert": True}, (2, 5, 3), (2, 5, 3), free=[1]),
    layer_case("Normalization", {"axis": [1, -1]}, (2, 4, 3), (2, 4, 3), {"mean": (4, 3), "variance": (4, 3),
               "count": ()},
               skip=["peers"]),
]  # fmt: skip


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_layer(item, check):
    check_layer(item, check)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: sx.layers.BatchNormalization(renorm=True),
            ValueError,
            "BatchNormalization: renorm=True is not supported",
        ),
        (lambda: sx.layers.BatchNormalization(axis=4)(np.ones((2, 3))), ShapeError, "has no axis 4"),
        (lambda: sx.layers.BatchNormalization()(sx.Input((None,))), ShapeError, "the size of axis -1 must be known"),
        (lambda: sx.layers.LayerNormalization(axis=[3])(np.ones((2, 3))), ShapeError, "has no axis 3"),
        (lambda: sx.layers.RMSNormalization(axis=3)(np.ones((2, 3))), ShapeError, "has no axis 3"),
        (
            lambda: sx.layers.GroupNormalization(0),
            ValueError,
            "GroupNormalization: groups must be a positive integer, got 0",
        ),
        (
            lambda: sx.layers.GroupNormalization(4)(np.ones((2, 6))),
            ShapeError,
            "6 channels are no multiple of groups=4",
        ),
        (lambda: sx.layers.Normalization(mean=1.0), ValueError, "mean and variance must be given together"),
        (
            lambda: sx.layers.Normalization(mean=1.0, variance=1.0).adapt(np.ones((2, 2))),
            ValueError,
            "nothing to adapt",
        ),
        (lambda: sx.layers.Normalization().adapt([]), ValueError, "adapt got no data"),
        (lambda: sx.layers.Normalization()(sx.Input((None,))), ShapeError, "the sizes of the axes .* must be known"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("axis", [-1, (1, 2), None])
@pytest.mark.parametrize("batches", [1, 3])
def test_adapt_learns_mean_and_variance(axis, batches):
    x = np.random.default_rng(1).normal(3.0, 2.0, (6, 4, 3)).astype("float32")
    layer = sx.layers.Normalization(axis=axis)
    layer.adapt(x if batches == 1 else iter(np.split(x, batches)))
    reduced = {-1: (0, 1), (1, 2): (0,), None: None}[axis]
    expected = (x - x.mean(reduced, keepdims=True)) / x.std(reduced, keepdims=True)
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)
    inverse = sx.layers.Normalization(axis=axis, invert=True)
    inverse.adapt(x)
    np.testing.assert_allclose(inverse(expected.astype("float32")), x, atol=1e-4)


def test_frozen_batch_normalization_runs_in_inference_mode():
    layer = sx.layers.BatchNormalization()
    layer(np.ones((2, 3)))
    layer.trainable = False
    x = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_array_equal(layer(x, training=True), layer(x, training=False))
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(3))


def test_masked_steps_do_not_count_in_batch_normalization():
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    mask = np.array([[True, True, False, False], [True, False, True, False]])
    layer = sx.layers.BatchNormalization(momentum=0.0)
    result = np.asarray(layer(x, training=True, mask=sx.ops.convert_to_tensor(mask)))
    kept = x[mask]
    np.testing.assert_allclose(result[mask], (kept - kept.mean(0)) / np.sqrt(kept.var(0) + 1e-3), atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, kept.mean(0), atol=1e-6)
