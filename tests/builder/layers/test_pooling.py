"""Pooling: local, global, adaptive."""

import numpy as np
import pytest
from layer_cases import check_layer, generated, layer_case

import sardonyx as sx
from sardonyx.trainer.core.errors import ShapeError

FIRST = {"data_format": "channels_first"}
TIME, IMAGE, VOLUME = (2, 7, 3), (2, 6, 5, 3), (2, 4, 5, 4, 2)
CASES = [
    layer_case("MaxPooling1D", {}, TIME, (2, 3, 3), free=[1]),
    layer_case("MaxPooling1D", {"pool_size": 3, "strides": 2, "padding": "same"}, TIME, (2, 4, 3)),
    layer_case("MaxPooling2D", {}, IMAGE, (2, 3, 2, 3), free=[1, 2]),
    layer_case(
        "MaxPooling2D", {"pool_size": 3, "strides": [1, 2], "padding": "same"}, IMAGE, (2, 6, 3, 3), free=[1, 2]
    ),
    layer_case("MaxPooling2D", FIRST, (2, 3, 6, 5), (2, 3, 3, 2)),
    layer_case("MaxPooling3D", {}, VOLUME, (2, 2, 2, 2, 2)),
    layer_case("AveragePooling1D", {"pool_size": 2}, TIME, (2, 3, 3)),
    layer_case("AveragePooling2D", {"pool_size": 2}, IMAGE, (2, 3, 2, 3), free=[1, 2]),
    layer_case("AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, IMAGE, (2, 3, 3, 3)),
    layer_case("AveragePooling3D", {"pool_size": 2}, VOLUME, (2, 2, 2, 2, 2)),
    layer_case("GlobalAveragePooling1D", {}, TIME, (2, 3), free=[1]),
    layer_case("GlobalAveragePooling1D", {"keepdims": True, **FIRST}, TIME, (2, 7, 1)),
    layer_case("GlobalAveragePooling2D", {}, IMAGE, (2, 3), free=[1, 2]),
    layer_case("GlobalAveragePooling2D", {"keepdims": True}, IMAGE, (2, 1, 1, 3)),
    layer_case("GlobalAveragePooling3D", FIRST, VOLUME, (2, 4)),
    layer_case("GlobalMaxPooling1D", {}, TIME, (2, 3)),
    layer_case("GlobalMaxPooling2D", {"keepdims": True}, IMAGE, (2, 1, 1, 3), free=[1, 2]),
    layer_case("GlobalMaxPooling3D", {}, VOLUME, (2, 2)),
    layer_case("AdaptiveAveragePooling1D", {"output_size": 3}, TIME, (2, 3, 3)),
    layer_case("AdaptiveAveragePooling2D", {"output_size": [3, 2]}, IMAGE, (2, 3, 2, 3)),
    layer_case("AdaptiveAveragePooling3D", {"output_size": 2}, VOLUME, (2, 2, 2, 2, 2)),
    layer_case("AdaptiveMaxPooling1D", {"output_size": 3}, TIME, (2, 3, 3)),
    layer_case("AdaptiveMaxPooling2D", {"output_size": 2, **FIRST}, (2, 3, 5, 6), (2, 3, 2, 2)),
    layer_case("AdaptiveMaxPooling3D", {"output_size": 2}, VOLUME, (2, 2, 2, 2, 2)),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_layer(item, check):
    check_layer(item, check)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sx.layers.MaxPooling2D(0), ValueError, "MaxPooling2D: pool_size must be an integer of 1 or more"),
        (
            lambda: sx.layers.MaxPooling2D(2, padding="full"),
            ValueError,
            "padding must be one of 'valid', 'same'; got 'full'",
        ),
        (lambda: sx.layers.MaxPooling2D(2, strides=(1, 2, 3)), ValueError, "MaxPooling2D: strides must be"),
        (lambda: sx.layers.MaxPooling2D()(np.ones((2, 4, 4))), ShapeError, "expected rank 4"),
        (lambda: sx.layers.MaxPooling2D(5)(np.ones((1, 4, 4, 1))), ShapeError, "max_pool"),
        (
            lambda: sx.layers.GlobalMaxPooling1D(data_format="x"),
            ValueError,
            "GlobalMaxPooling1D: data_format must be one of",
        ),
        (lambda: sx.layers.GlobalAveragePooling1D()(np.ones((2, 4))), ShapeError, "expected rank 3"),
        (
            lambda: sx.layers.AdaptiveMaxPooling2D(0),
            ValueError,
            "AdaptiveMaxPooling2D: output_size must be an integer of 1",
        ),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("keepdims", [False, True])
def test_the_mean_over_time_leaves_out_masked_steps(keepdims):
    x = np.array([[[1.0], [3.0], [0.0]]])
    result = sx.layers.GlobalAveragePooling1D(keepdims=keepdims)(sx.layers.Masking()(x))
    assert np.ravel(result).tolist() == [2.0]
    assert result.mask is None


def test_aliases_are_the_layers():
    assert sx.layers.MaxPool2D is sx.layers.MaxPooling2D
    assert sx.layers.GlobalAvgPool2D is sx.layers.GlobalAveragePooling2D
    assert sx.layers.AvgPool1D is sx.layers.AveragePooling1D
