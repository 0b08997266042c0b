"""Merging several inputs."""

import numpy as np
import pytest
from layer_cases import check_layer, generated, layer_case

import sardonyx as sx
from sardonyx.trainer.core.errors import ShapeError

TWO, THREE = [(2, 3), (2, 3)], [(2, 3), (2, 3), (2, 3)]
CASES = [
    *(layer_case(kind, {}, THREE) for kind in ("Add", "Multiply", "Average", "Maximum", "Minimum")),
    layer_case("Subtract", {}, TWO),
    layer_case("Add", {}, [(2, 4, 3), (2, 1, 3)], (2, 4, 3)),
    layer_case("Concatenate", {}, [(2, 3), (2, 1), (2, 2)], (2, 6)),
    layer_case("Concatenate", {"axis": 1}, [(2, 3, 4), (2, 1, 4)], (2, 4, 4)),
    layer_case("Dot", {"axes": 1}, TWO, (2, 1)),
    layer_case("Dot", {"axes": -1, "normalize": True}, TWO, (2, 1)),
    layer_case("Dot", {"axes": [2, 1]}, [(2, 4, 3), (2, 3, 5)], (2, 4, 5)),
    layer_case("Dot", {"axes": [1, 1]}, [(2, 4, 3), (2, 4)], (2, 3)),
    layer_case("Dot", {"axes": [3, 2]}, [(2, 2, 4, 3), (2, 5, 3)], (2, 2, 4, 5)),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_layer(item, check):
    check_layer(item, check)


def ones(*shape):
    return np.ones(shape)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sx.layers.Add()(ones(2, 3)), ShapeError, r"expected a list of inputs, Add\(\)\(\[a, b\]\), got 1"),
        (lambda: sx.layers.Add()([]), ShapeError, "expected a list of inputs"),
        (lambda: sx.layers.Add()([ones(2, 3), ones(2, 4)]), ShapeError, "layer 'add.*add"),
        (lambda: sx.layers.Subtract()([ones(2, 3)] * 3), ShapeError, "Subtract takes two inputs, got 3"),
        (
            lambda: sx.layers.Concatenate()([ones(2, 3), ones(2, 4, 3)]),
            ShapeError,
            "inputs 0 and 1 have different ranks",
        ),
        (
            lambda: sx.layers.Concatenate()([ones(2, 3, 1), ones(2, 4, 1)]),
            ShapeError,
            "differ on axis 1: .* only axis -1",
        ),
        (lambda: sx.layers.Concatenate(axis=3)([ones(2, 3), ones(2, 3)]), ShapeError, "no axis 3"),
        (lambda: sx.layers.Concatenate(axis="a"), ValueError, "Concatenate: axis must be an integer, got 'a'"),
        (lambda: sx.layers.Dot(axes="a"), ValueError, "Dot: axes must be an integer, or two of them; got 'a'"),
        (
            lambda: sx.layers.Dot(axes=0)([ones(2, 3), ones(2, 3)]),
            ShapeError,
            "the batch axis 0 cannot be one of the axes",
        ),
        (lambda: sx.layers.Dot(axes=1)([ones(2, 3), ones(2, 4)]), ShapeError, "must be of one size"),
        (lambda: sx.layers.Dot(axes=5)([ones(2, 3), ones(2, 3)]), ShapeError, "no axis 5"),
        (lambda: sx.layers.Dot(axes=1)([ones(2, 3)] * 3), ShapeError, "Dot takes two inputs, got 3"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate", "dot"])
def test_functions_do_what_the_layers_do(name):
    generator = np.random.default_rng(0)
    inputs = [generator.normal(size=(2, 3)) for _ in range(2)]
    layer = getattr(sx.layers, name.title())
    extra = {"axes": 1} if name == "dot" else {}
    np.testing.assert_array_equal(getattr(sx.layers, name)(inputs, **extra), layer(**extra)(inputs))


def masked(*steps):
    return sx.layers.Masking()(np.array([[[float(s)] for s in steps]]))


@pytest.mark.parametrize(
    ("layer", "inputs", "expected"),
    [
        (sx.layers.Add, lambda: [masked(1, 0, 1), masked(1, 1, 0)], [[True, True, True]]),
        (sx.layers.Add, lambda: [masked(1, 0), np.ones((1, 2, 1))], None),
        (sx.layers.Add, lambda: [np.ones((1, 2, 1))] * 2, None),
        (lambda: sx.layers.Concatenate(axis=1), lambda: [masked(1, 0), masked(0, 1)], [[True, False, False, True]]),
        (lambda: sx.layers.Concatenate(axis=1), lambda: [masked(1, 0), np.ones((1, 1, 1))], [[True, False, True]]),
        (lambda: sx.layers.Dot(axes=1), lambda: [masked(1, 0), masked(0, 1)], None),
    ],
)
def test_masks(layer, inputs, expected):
    mask = layer()(inputs()).mask
    assert (None if mask is None else mask.tolist()) == expected
