"""Convolutions: plain, transposed, depthwise, separable."""

import numpy as np
import pytest
from layer_cases import check_layer, generated, layer_case

import sardonyx as sx
from sardonyx.trainer.core.errors import ShapeError

FIRST = {"data_format": "channels_first"}
BIAS = {"bias": (4,)}
IMAGE = (2, 7, 6, 3)
CASES = [
    layer_case("Conv1D", {"filters": 4, "kernel_size": 3}, (2, 8, 3), (2, 6, 4), {"kernel": (3, 3, 4), **BIAS},
               free=[1]),
    layer_case("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}, (2, 8, 3), (2, 8,
               4),
               {"kernel": (3, 3, 4), **BIAS}, free=[1]),
    layer_case("Conv1D", {"filters": 4, "kernel_size": 2, "strides": 2, "padding": "same", "use_bias": False}, (2, 7,
               3),
               (2, 4, 4), {"kernel": (2, 3, 4)}),
    layer_case("Conv2D", {"filters": 4, "kernel_size": 3, "activation": "relu"}, IMAGE, (2, 5, 4, 4),
               {"kernel": (3, 3, 3, 4), **BIAS}, free=[1, 2]),
    layer_case("Conv2D", {"filters": 4, "kernel_size": [3, 2], "strides": [2, 1], "padding": "same"}, IMAGE, (2, 4,
               6, 4),
               {"kernel": (3, 2, 3, 4), **BIAS}, free=[1, 2]),
    layer_case("Conv2D", {"filters": 4, "kernel_size": 3, "dilation_rate": 2}, IMAGE, (2, 3, 2, 4),
               {"kernel": (3, 3, 3, 4), **BIAS}),
    layer_case("Conv2D", {"filters": 4, "kernel_size": 2, "groups": 2}, (2, 5, 5, 6), (2, 4, 4, 4),
               {"kernel": (2, 2, 3, 4), **BIAS}),
    layer_case("Conv2D", {"filters": 4, "kernel_size": 1}, IMAGE, (2, 7, 6, 4), {"kernel": (1, 1, 3, 4), **BIAS}),
    layer_case("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same", **FIRST}, (2, 3, 5, 6), (2, 4, 5, 6),
               {"kernel": (3, 3, 3, 4), **BIAS}),
    layer_case("Conv3D", {"filters": 4, "kernel_size": 2, "padding": "same"}, (2, 4, 3, 5, 2), (2, 4, 3, 5, 4),
               {"kernel": (2, 2, 2, 2, 4), **BIAS}),
    layer_case("Conv1DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2}, (2, 5, 3), (2, 11, 4),
               {"kernel": (3, 4, 3), **BIAS}, free=[1]),
    layer_case("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (2, 4, 3, 2),
               (2, 8, 6, 4), {"kernel": (3, 3, 4, 2), **BIAS}, free=[1, 2]),
    layer_case("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same",
               "output_padding": 0},
               (2, 4, 3, 2), (2, 7, 5, 4), {"kernel": (3, 3, 4, 2), **BIAS}),
    layer_case("Conv2DTranspose", {"filters": 4, "kernel_size": 2, "use_bias": False, **FIRST}, (2, 3, 4, 4), (2, 4,
               5, 5),
               {"kernel": (2, 2, 4, 3)}, skip=["peers"]),
    layer_case("Conv3DTranspose", {"filters": 4, "kernel_size": 2, "strides": 2}, (2, 2, 3, 2, 2), (2, 4, 6, 4, 4),
               {"kernel": (2, 2, 2, 4, 2), **BIAS}),
    layer_case("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2, "padding": "same"}, (2, 6, 2), (2, 6, 4),
               {"kernel": (3, 2, 2), **BIAS}, free=[1]),
    layer_case("DepthwiseConv2D", {"kernel_size": 3, "activation": "relu"}, (2, 6, 5, 4), (2, 4, 3, 4),
               {"kernel": (3, 3, 4, 1), **BIAS}, free=[1, 2]),
    layer_case("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2, "strides": 2, "padding": "same"}, (2, 6,
               5, 2),
               (2, 3, 3, 4), {"kernel": (3, 3, 2, 2), **BIAS}),
    layer_case("SeparableConv1D", {"filters": 4, "kernel_size": 3, "padding": "causal"}, (2, 6, 3), (2, 6, 4),
               {"depthwise_kernel": (3, 3, 1), "pointwise_kernel": (1, 3, 4), **BIAS},
               skip=["peers"]),
    layer_case("SeparableConv1D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (2, 6, 3),
               (2, 3, 4), {"depthwise_kernel": (3, 3, 1), "pointwise_kernel": (1, 3, 4), **BIAS}),
    layer_case("SeparableConv2D", {"filters": 4, "kernel_size": 3, "depth_multiplier": 2, "padding": "same"}, IMAGE,
               (2, 7, 6, 4), {"depthwise_kernel": (3, 3, 3, 2), "pointwise_kernel": (1, 1, 6, 4), **BIAS}, free=[1, 2]),
]  # fmt: skip


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_layer(item, check):
    check_layer(item, check)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sx.layers.Conv2D(0, 3), ValueError, "Conv2D: filters must be a positive integer, got 0"),
        (
            lambda: sx.layers.Conv2D(2, (3,)),
            ValueError,
            "Conv2D: kernel_size must be an integer of 1 or more, or 2 of them",
        ),
        (lambda: sx.layers.Conv2D(2, 3, strides=0), ValueError, "Conv2D: strides must be an integer of 1 or more"),
        (
            lambda: sx.layers.Conv2D(2, 3, padding="causal"),
            ValueError,
            "Conv2D: padding must be one of 'valid', 'same'",
        ),
        (lambda: sx.layers.Conv2D(2, 3, padding=1), ValueError, "Conv2D: padding must be one of"),
        (lambda: sx.layers.Conv2D(2, 3, data_format="NHWC"), ValueError, "data_format must be one of 'channels_last'"),
        (lambda: sx.layers.Conv2D(3, 3, groups=2), ValueError, r"filters \(3\) must be a multiple of groups \(2\)"),
        (lambda: sx.layers.Conv2D(2, 3, strides=2, dilation_rate=2), ValueError, "cannot both be above 1"),
        (
            lambda: sx.layers.Conv2D(2, 1, groups=2)(np.ones((1, 3, 3, 3))),
            ShapeError,
            "3 channels are no multiple of groups=2",
        ),
        (lambda: sx.layers.Conv2D(2, 3)(np.ones((5, 5, 1))), ShapeError, "expected rank 4 such as"),
        (lambda: sx.layers.Conv2D(2, 3)(sx.Input((5, 5, None))), ShapeError, "the number of channels must be known"),
        (lambda: sx.layers.Conv2D(2, 3)(np.ones((1, 2, 2, 1))), ShapeError, "conv"),
        (
            lambda: sx.layers.Conv1DTranspose(2, 3, padding="causal"),
            ValueError,
            "padding must be one of 'valid', 'same'",
        ),
        (
            lambda: sx.layers.Conv2DTranspose(2, 3, output_padding=-1),
            ValueError,
            "output_padding must be an integer of 0",
        ),
        (
            lambda: sx.layers.DepthwiseConv2D(3, depth_multiplier=0),
            ValueError,
            "depth_multiplier must be a positive integer",
        ),
        (lambda: sx.layers.SeparableConv2D(0, 3), ValueError, "SeparableConv2D: filters must be a positive integer"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_aliases_are_the_layers():
    assert sx.layers.Convolution2D is sx.layers.Conv2D
