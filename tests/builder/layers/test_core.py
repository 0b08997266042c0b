"""Identity, Masking, Lambda, Input."""

import json

import numpy as np
import pytest
from layer_cases import check_layer, generated, layer_case

import sardonyx as sx
from sardonyx.trainer.core.errors import ShapeError
from sardonyx.trainer.registry import register_keras_serializable, safe_mode_scope

STEPS = np.array([[[0, 0], [1, 0], [2, 3]], [[0, 0], [0, 0], [0, 1]]], "float32")
CASES = [
    layer_case("Identity"),
    layer_case("Masking", {}, (2, 3, 2), (2, 3, 2)),
    layer_case("Masking", {}, STEPS, (2, 3, 2), free=[1], skip=["gradient"], label="zeros"),
    layer_case("Masking", {"mask_value": 1.0}, STEPS, (2, 3, 2), skip=["gradient"]),
    layer_case("Lambda", {"function": lambda x: x * 2 + 1}, skip=["config", "peers"], label="doubled"),
    layer_case("Lambda", {"function": sx.ops.tanh}, skip=["config", "peers"], label="tanh"),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_layer(item, check):
    check_layer(item, check)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sx.layers.Lambda("relu"), TypeError, "Lambda: function must be callable, got 'relu'"),
        (lambda: sx.layers.Lambda(lambda x: x, output_shape=(4,))(np.ones((2, 3))), ShapeError, "output_shape says"),
        (lambda: sx.layers.Masking("a"), ValueError, "Masking: mask_value must be a number, got 'a'"),
        (lambda: sx.layers.Dense(1, name="a/b"), ValueError, "a layer's name is a text without '/'"),
        (lambda: sx.layers.get("Dens"), ValueError, "unknown layer 'Dens'; did you mean 'Dense'"),
        (lambda: sx.layers.get(3), TypeError, "expected a layer"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_masking_marks_steps():
    assert sx.layers.Masking()(STEPS).mask.tolist() == [[False, True, True], [False, False, True]]
    symbolic = sx.layers.Masking()(sx.Input((None, 2)))
    assert str(symbolic.mask.dtype) == "bool"


def through_json(layer):
    return json.loads(json.dumps(sx.layers.serialize(layer)))


def test_a_lambda_is_not_saved():
    with pytest.raises(TypeError, match=r"layer 'lambda' \(Lambda\): a lambda has no name to be saved by.*with `def`"):
        sx.layers.Lambda(lambda x: x).get_config()


@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize("argument", ["function", "mask"])
def test_code_in_a_configuration_is_never_run(safe, argument):
    config = through_json(sx.layers.Lambda(halved))
    config["config"][argument] = {
        "class_name": "__lambda__",
        "config": {"code": "4wEAAAA=", "defaults": None, "closure": None},
    }
    with safe_mode_scope(safe), pytest.raises(ValueError, match="carries a lambda as code, which is never run"):
        sx.layers.deserialize(config)


@register_keras_serializable("tests")
def halved(x):
    return x / 2


@pytest.mark.parametrize("function", [halved, sx.ops.relu])
def test_named_functions_are_saved_by_name(function):
    loaded = sx.layers.deserialize(through_json(sx.layers.Lambda(function, output_shape=(2,))))
    np.testing.assert_array_equal(loaded(np.array([[-2.0, 4.0]])), np.asarray(function(np.array([[-2.0, 4.0]]))))


def test_lambda_gets_mode_and_mask():
    seen = []
    layer = sx.layers.Lambda(
        lambda x, mask, training: seen.append((mask is not None, training)) or x, mask=lambda x, m: m
    )
    result = layer(sx.layers.Masking()(STEPS), training=True)
    assert seen == [(True, True)] and result.mask is not None


def test_every_public_layer_is_offered_and_found_by_name():
    for name in sx.layers.__all__:
        entry = getattr(sx.layers, name)
        if (
            isinstance(entry, type)
            and issubclass(entry, sx.layers.Layer)
            and entry not in (sx.layers.Layer, sx.layers.InputLayer)
        ):
            assert sx.layers.LAYERS.find(name) is entry, name
