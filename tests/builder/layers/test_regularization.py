"""Dropout, noise, penalties on activity."""

import numpy as np
import pytest
from layer_cases import check_layer, generated, layer_case

import sardonyx as sx
from sardonyx.trainer.core.errors import ShapeError

CASES = [
    layer_case("Dropout", {"rate": 0.5}, (4, 3), (4, 3), training="random"),
    layer_case("Dropout", {"rate": 0.5, "noise_shape": [None, 1, 3]}, (4, 5, 3), (4, 5, 3), training="random"),
    layer_case("Dropout", {"rate": 0.0}, (4, 3), (4, 3)),
    layer_case("SpatialDropout1D", {"rate": 0.5}, (4, 5, 3), (4, 5, 3), training="random"),
    layer_case("SpatialDropout2D", {"rate": 0.5}, (4, 5, 2, 3), (4, 5, 2, 3), training="random"),
    layer_case("SpatialDropout3D", {"rate": 0.5, "data_format": "channels_first"}, (4, 3, 2, 2, 3), (4, 3, 2, 2, 3),
               training="random"),
    layer_case("GaussianNoise", {"stddev": 0.5}, (4, 3), (4, 3), training="random"),
    layer_case("GaussianDropout", {"rate": 0.5}, (4, 3), (4, 3), training="random"),
    layer_case("AlphaDropout", {"rate": 0.3}, (4, 3), (4, 3), training="random"),
    layer_case("AlphaDropout", {"rate": 0.3, "noise_shape": [None, 1]}, (4, 3), (4, 3), training="random"),
    layer_case("ActivityRegularization", {"l1": 0.1, "l2": 0.2}),
]  # fmt: skip


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_layer(item, check):
    check_layer(item, check)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sx.layers.Dropout(1.5), ValueError, "Dropout: rate must be a number between 0 and 1, got 1.5"),
        (lambda: sx.layers.Dropout(True), ValueError, "Dropout: rate must be a number between 0 and 1, got True"),
        (lambda: sx.layers.SpatialDropout1D(-1), ValueError, "SpatialDropout1D: rate must be a number between 0 and 1"),
        (lambda: sx.layers.SpatialDropout2D(0.1)(np.ones((2, 3))), ShapeError, "expected rank 4"),
        (
            lambda: sx.layers.GaussianNoise(-1),
            ValueError,
            "GaussianNoise: stddev must be a number of 0 or more, got -1",
        ),
        (lambda: sx.layers.GaussianDropout(1.0), ValueError, "GaussianDropout: rate must be below 1"),
        (lambda: sx.layers.AlphaDropout(2), ValueError, "AlphaDropout: rate must be a number between 0 and 1, got 2"),
        (lambda: sx.layers.AlphaDropout(1), ValueError, "AlphaDropout: rate must be below 1"),
        (lambda: sx.layers.Dropout(0.1, seed="a"), TypeError, "expected an integer seed or None, got 'a'"),
        (lambda: sx.layers.Dropout(0.1, noise_shape=(1,))(np.ones((2, 3)), training=True), ShapeError, "noise_shape"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


ONES = np.ones((200, 100), "float32")


@pytest.mark.parametrize(
    ("layer", "mean", "deviation"),
    [
        (lambda: sx.layers.Dropout(0.25, seed=1), 1.0, (1 / 3) ** 0.5),
        (lambda: sx.layers.GaussianNoise(0.5, seed=1), 1.0, 0.5),
        (lambda: sx.layers.GaussianDropout(0.2, seed=1), 1.0, 0.5),
        (lambda: sx.layers.Dropout(1.0, seed=1), 0.0, 0.0),
    ],
)
def test_statistics_in_training(layer, mean, deviation):
    result = np.asarray(layer()(ONES, training=True))
    assert result.mean() == pytest.approx(mean, abs=0.02)
    assert result.std() == pytest.approx(deviation, abs=0.02)


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(0).standard_normal((400, 100)).astype("float32")
    result = np.asarray(sx.layers.AlphaDropout(0.3, seed=1)(x, training=True))
    assert result.mean() == pytest.approx(0.0, abs=0.02)
    assert result.std() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [
        (lambda: sx.layers.SpatialDropout1D(0.5, seed=1), (8, 5, 6), (1,)),
        (lambda: sx.layers.SpatialDropout2D(0.5, seed=1), (8, 3, 4, 6), (1, 2)),
        (lambda: sx.layers.SpatialDropout2D(0.5, data_format="channels_first", seed=1), (8, 6, 3, 4), (2, 3)),
        (lambda: sx.layers.Dropout(0.5, noise_shape=(None, 1), seed=1), (30, 4), (1,)),
    ],
)
def test_whole_maps_are_dropped(layer, shape, axes):
    result = np.asarray(layer()(np.ones(shape, "float32"), training=True))
    assert np.ptp(result, axis=axes).max() == 0
    assert {0.0, 2.0} == set(result.ravel().tolist())


def test_same_seed_same_draws_and_each_call_anew():
    first, second = sx.layers.Dropout(0.5, seed=3), sx.layers.Dropout(0.5, seed=3)
    a, b = np.asarray(first(ONES, training=True)), np.asarray(first(ONES, training=True))
    np.testing.assert_array_equal(a, second(ONES, training=True))
    assert (a != b).any()


def test_activity_is_penalised_by_the_mean_over_the_batch():
    layer = sx.layers.ActivityRegularization(l1=0.5)
    layer(np.ones((2, 3)))
    assert float(np.asarray(layer.losses[0])) == pytest.approx(1.5)
