"""Rearranging, padding, cropping, up-sampling."""

import numpy as np
import pytest
from layer_cases import check_layer, generated, layer_case

import sardonyx as sx
from sardonyx.trainer.core.errors import ShapeError

FIRST = {"data_format": "channels_first"}
IMAGE, VOLUME = (2, 4, 5, 3), (2, 4, 5, 4, 2)
CASES = [
    layer_case("Flatten", {}, IMAGE, (2, 60)),
    layer_case("Flatten", FIRST, IMAGE, (2, 60)),
    layer_case("Flatten", {}, (2,), (2, 1)),
    layer_case("Reshape", {"target_shape": [3, 2]}, (2, 6), (2, 3, 2)),
    layer_case("Reshape", {"target_shape": [-1, 3]}, (2, 4, 6), (2, 8, 3), free=[1]),
    layer_case("Permute", {"dims": [2, 1]}, (2, 4, 3), (2, 3, 4), free=[1]),
    layer_case("RepeatVector", {"n": 4}, (2, 3), (2, 4, 3)),
    layer_case("ZeroPadding1D", {}, (2, 4, 3), (2, 6, 3), free=[1]),
    layer_case("ZeroPadding1D", {"padding": [0, 2], **FIRST}, (2, 4, 3), (2, 4, 5)),
    layer_case("ZeroPadding2D", {}, IMAGE, (2, 6, 7, 3), free=[1, 2]),
    layer_case("ZeroPadding2D", {"padding": [[1, 0], [2, 3]]}, IMAGE, (2, 5, 10, 3)),
    layer_case("ZeroPadding3D", {"padding": 2}, VOLUME, (2, 8, 9, 8, 2)),
    layer_case("Cropping1D", {}, (2, 4, 3), (2, 2, 3), free=[1]),
    layer_case("Cropping1D", {"cropping": [0, 2]}, (2, 4, 3), (2, 2, 3)),
    layer_case("Cropping2D", {"cropping": [[1, 0], [2, 1]]}, IMAGE, (2, 3, 2, 3), free=[1, 2]),
    layer_case("Cropping2D", {"cropping": 1, **FIRST}, (2, 3, 4, 5), (2, 3, 2, 3)),
    layer_case("Cropping3D", {}, VOLUME, (2, 2, 3, 2, 2)),
    layer_case("UpSampling1D", {"size": 3}, (2, 4, 3), (2, 12, 3), free=[1]),
    layer_case("UpSampling2D", {}, IMAGE, (2, 8, 10, 3), free=[1, 2]),
    layer_case("UpSampling2D", {"size": [2, 3], "interpolation": "bilinear"}, IMAGE, (2, 8, 15, 3)),
    layer_case("UpSampling2D", {"size": 2, **FIRST}, (2, 3, 4, 5), (2, 3, 8, 10)),
    layer_case("UpSampling3D", {"size": [1, 2, 3]}, VOLUME, (2, 4, 10, 12, 2)),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_layer(item, check):
    check_layer(item, check)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sx.layers.Reshape((4,))(np.ones((2, 6))), ShapeError, r"target_shape \(4,\) has 4 elements, .* has 6"),
        (lambda: sx.layers.Reshape((4, -1))(np.ones((2, 6))), ShapeError, "reshape"),
        (lambda: sx.layers.Reshape("ab"), ValueError, "Reshape: target_shape must be"),
        (lambda: sx.layers.Reshape((-1, -1)), ValueError, "Reshape: target_shape .* one size may be -1"),
        (lambda: sx.layers.Permute((0, 1)), ValueError, "Permute: dims must be the numbers 1 to 2 in some order"),
        (lambda: sx.layers.Permute((2, 1))(np.ones((2, 3))), ShapeError, "expected rank 3"),
        (lambda: sx.layers.RepeatVector(0), ValueError, "RepeatVector: n must be a positive integer, got 0"),
        (lambda: sx.layers.RepeatVector(2)(np.ones((2, 3, 4))), ShapeError, "expected rank 2"),
        (lambda: sx.layers.ZeroPadding2D(-1), ValueError, "ZeroPadding2D: padding must be a number of 0 or more"),
        (
            lambda: sx.layers.ZeroPadding2D(((1, 2), (3,))),
            ValueError,
            "ZeroPadding2D: padding must be a number of 0 or more",
        ),
        (lambda: sx.layers.Cropping1D((2, 2))(np.ones((1, 4, 1))), ShapeError, "leaves nothing of axis 1 of size 4"),
        (lambda: sx.layers.UpSampling2D(interpolation="cubic"), ValueError, "interpolation must be one of 'nearest'"),
        (lambda: sx.layers.UpSampling2D(size=0), ValueError, "UpSampling2D: size must be an integer of 1 or more"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()
