"""Copies of models, with new weights and with their own."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from small_models import STYLES, data, outputs, share_values

import sardonyx as sx
from sardonyx.builder import layers as L
from sardonyx.builder.cloning import clone_model
from sardonyx.builder.functional import Functional
from sardonyx.builder.sequential import Sequential


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("recursive", [False, True])
def test_a_clone_computes_the_same_with_weights_of_its_own(style: str, recursive: bool):
    model = STYLES[style]()
    twin = clone_model(model, recursive=recursive)
    if style == "subclassed":
        twin.build((None, 6, 6, 1))
    assert type(twin) is type(model) and twin.name == model.name
    assert not np.array_equal(twin.weights[0].numpy(), model.weights[0].numpy())
    share_values(model, twin)
    x, _ = data(4)
    np.testing.assert_array_equal(outputs(twin, x)[0], outputs(model, x)[0])
    assert not {id(v) for v in model.variables} & {id(v) for v in twin.variables}


def test_a_clone_shares_what_was_shared():
    x, dense = L.Input((4,)), L.Dense(4)
    assert len(clone_model(Functional(x, dense(dense(x)))).weights) == 2


def wider(layer: Any) -> Any:
    config = layer.get_config()
    return type(layer).from_config({**config, "units": 7} if "units" in config else config)


def test_a_clone_function_makes_the_layers():
    model = STYLES["functional"]()
    assert clone_model(Sequential([L.Input((3,)), L.Dense(2)]), clone_function=wider).output_shape == (None, 7)
    assert clone_model(model, clone_function=wider).output_shape == (None, 4)
    assert clone_model(model, clone_function=wider, recursive=True).output_shape == (None, 7)


@pytest.mark.parametrize("style", ["sequential", "functional"])
def test_a_call_function_makes_the_calls(style: str):
    called = []

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        called.append(layer.name)
        return layer(*args, **kwargs)

    model = STYLES[style]()
    twin = clone_model(model, call_function=call)
    assert called == [c.layer.name for c in model.plan.layer_calls()]
    assert twin.output_shape == model.output_shape


@pytest.mark.parametrize("style", ["sequential", "functional"])
def test_a_clone_stands_on_given_inputs(style: str):
    x = L.Input((6, 6, 1), batch_size=3, name="fixed")
    twin = clone_model(STYLES[style](), input_tensors=x)
    assert twin.inputs[0] is x and twin.output_shape == (3, 4)


BAD: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("no model", lambda: clone_model(3), TypeError, "expected a model, got 3"),
    ("subclassed", lambda: clone_model(STYLES["subclassed"](), L.Input((6, 6, 1))), ValueError, "class Net"),
    ("no layer", lambda: clone_model(STYLES["functional"](), clone_function=str), TypeError, "expected a layer"),
    ("no tensor", lambda: clone_model(STYLES["functional"](), [1, 2]), ValueError, "expected 1 symbolic input"),
]


@pytest.mark.parametrize(("what", "act", "kind", "message"), BAD, ids=[b[0] for b in BAD])
def test_what_cannot_be_cloned_is_told(what: str, act: Callable[[], Any], kind: type[Exception], message: str):
    with pytest.raises(kind, match=message):
        act()


@pytest.mark.parametrize("style", STYLES)
def test_a_deep_copy_goes_on_as_the_original_does(style: str):
    model = STYLES[style]()
    model.compile("adam", sx.trainer.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    x, y = data()
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    twin = copy.deepcopy(model)
    first = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    before = [v.numpy() for v in model.variables]
    second = twin.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    assert first == second
    for a, b, kept in zip(model.variables, twin.variables, before, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        np.testing.assert_array_equal(a.numpy(), kept)


def test_a_deep_copy_shares_what_was_shared():
    x, dense = L.Input((4,)), L.Dense(4)
    scale = sx.Variable(2.0, name="scale")
    model = Functional(x, dense(dense(x)) * scale)
    twin = copy.deepcopy(model)
    assert len(twin.weights) == 3 and not {id(v) for v in twin.weights} & {id(v) for v in model.weights}
    scale.assign(0.0)
    assert np.asarray(twin(np.ones((1, 4), "float32"))).any()
