"""Layers that prepare data."""

import numpy as np
import pytest
from layer_cases import check_layer, generated, layer_case

import sardonyx as sx
from sardonyx.trainer.core.errors import ShapeError

IMAGE = (2, 6, 5, 3)
TOKENS = np.array([[0, 2, 2], [1, 3, 0]], "int32")
COLUMN = np.array([[2], [0]], "int32")
VALUES = np.array([[-1.0, 0.4, 1.0], [2.5, 0.0, 9.0]], "float32")
BOUNDS = {"bin_boundaries": [0.0, 1.0, 2.0]}
CASES = [
    layer_case("Rescaling", {"scale": 0.5}, IMAGE, IMAGE, free=[1, 2]),
    layer_case("Rescaling", {"scale": [0.5, 1.0, 2.0], "offset": -1.0}, IMAGE, IMAGE),
    layer_case("Rescaling", {"scale": 1 / 255}, np.arange(12, dtype="uint8").reshape(2, 6), (2, 6),
               skip=["gradient"], label="bytes"),
    layer_case("Resizing", {"height": 4, "width": 8}, IMAGE, (2, 4, 8, 3)),
    layer_case("Resizing", {"height": 3, "width": 3, "interpolation": "nearest"}, IMAGE, (2, 3, 3, 3)),
    layer_case("Resizing", {"height": 4, "width": 4, "crop_to_aspect_ratio": True}, IMAGE, (2, 4, 4, 3)),
    layer_case("Resizing", {"height": 4, "width": 4, "pad_to_aspect_ratio": True, "fill_value": 0.5}, IMAGE, (2, 4,
               4, 3)),
    layer_case("CenterCrop", {"height": 4, "width": 2}, IMAGE, (2, 4, 2, 3)),
    layer_case("CenterCrop", {"height": 3, "width": 3}, IMAGE, (2, 3, 3, 3)),
    layer_case("CenterCrop", {"height": 8, "width": 8}, IMAGE, (2, 8, 8, 3)),
    layer_case("CenterCrop", {"height": 2, "width": 2, "data_format": "channels_first"}, (2, 3, 4, 5), (2, 3, 2, 2)),
    layer_case("CategoryEncoding", {"num_tokens": 4}, TOKENS, (2, 4), skip=["gradient"]),
    layer_case("CategoryEncoding", {"num_tokens": 4, "output_mode": "count"}, TOKENS, (2, 4), skip=["gradient"]),
    layer_case("CategoryEncoding", {"num_tokens": 4, "output_mode": "one_hot"}, TOKENS, (2, 3, 4), skip=["gradient"]),
    layer_case("CategoryEncoding", {"num_tokens": 4, "output_mode": "one_hot"}, COLUMN, (2, 4), skip=["gradient"],
               label="column"),
    layer_case("Discretization", BOUNDS, VALUES, (2, 3), skip=["gradient"]),
    layer_case("Discretization", {**BOUNDS, "output_mode": "one_hot"}, VALUES, (2, 3, 4), skip=["gradient"]),
    layer_case("Discretization", {**BOUNDS, "output_mode": "multi_hot"}, VALUES, (2, 4), skip=["gradient"]),
    layer_case("Discretization", {**BOUNDS, "output_mode": "count"}, VALUES, (2, 4), skip=["gradient"]),
]  # fmt: skip


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_layer(item, check):
    check_layer(item, check)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sx.layers.Rescaling("a"), ValueError, "Rescaling: scale must be a number, or one a channel; got 'a'"),
        (lambda: sx.layers.Resizing(0, 2), ValueError, "Resizing: height must be a positive integer, got 0"),
        (lambda: sx.layers.Resizing(2, 2, "cubic"), ValueError, "Resizing: interpolation must be one of 'bilinear'"),
        (
            lambda: sx.layers.Resizing(2, 2, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
            ValueError,
            "only one of",
        ),
        (lambda: sx.layers.Resizing(2, 2)(np.ones((2, 2))), ShapeError, "expected rank 3 or more"),
        (
            lambda: sx.layers.CenterCrop(2, 2)(sx.Input((None, None, 3))),
            ShapeError,
            "height and width of the images must be",
        ),
        (
            sx.layers.CategoryEncoding,
            ValueError,
            "CategoryEncoding: num_tokens must be a positive integer, got None",
        ),
        (
            lambda: sx.layers.CategoryEncoding(3, output_mode="int"),
            ValueError,
            "output_mode must be one of 'multi_hot'",
        ),
        (lambda: sx.layers.CategoryEncoding(3, sparse=True), ValueError, "sparse=True is not supported"),
        (
            lambda: sx.layers.CategoryEncoding(4)(TOKENS, count_weights=TOKENS),
            ValueError,
            "count_weights is for output_mode",
        ),
        (sx.layers.Discretization, ValueError, "give either bin_boundaries, or num_bins"),
        (lambda: sx.layers.Discretization([0.0], num_bins=2), ValueError, "give either bin_boundaries, or num_bins"),
        (lambda: sx.layers.Discretization([1.0, 0.0]), ValueError, "bin_boundaries must rise"),
        (lambda: sx.layers.Discretization([1.0], sparse=True), ValueError, "sparse=True is not supported"),
        (lambda: sx.layers.Discretization(num_bins=2)(VALUES), ValueError, r"call adapt\(data\) first"),
        (lambda: sx.layers.Discretization([1.0]).adapt(VALUES), ValueError, "adapt needs num_bins instead"),
        (lambda: sx.layers.Discretization(num_bins=2).adapt([]), ValueError, "adapt got no data"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_weighted_counts():
    weights = np.array([[1.0, 2.0, 3.0], [0.5, 1.0, 1.0]], "float32")
    result = sx.layers.CategoryEncoding(4, output_mode="count")(TOKENS, count_weights=weights)
    np.testing.assert_array_equal(result, [[1.0, 0.0, 5.0, 0.0], [1.0, 0.5, 0.0, 1.0]])


def test_bins_of_equal_count_are_learned_and_saved():
    data = np.random.default_rng(2).normal(size=5000)
    layer = sx.layers.Discretization(num_bins=4)
    layer.adapt(np.split(data, 5))
    np.testing.assert_allclose(layer.bin_boundaries, np.quantile(data, [0.25, 0.5, 0.75]), atol=0.05)
    again = sx.layers.deserialize(sx.layers.serialize(layer))
    np.testing.assert_array_equal(again(data), layer(data))


@pytest.mark.peers
def test_learned_bins_are_those_of_keras():
    keras = pytest.importorskip("keras")
    data = np.random.default_rng(2).normal(size=(700, 2)).astype("float32")
    ours, theirs = sx.layers.Discretization(num_bins=5), keras.layers.Discretization(num_bins=5)
    ours.adapt(data)
    theirs.update_state(data)  # its adapt wants TensorFlow
    theirs.finalize_state()
    np.testing.assert_allclose(ours.bin_boundaries, theirs.bin_boundaries, atol=1e-5)
