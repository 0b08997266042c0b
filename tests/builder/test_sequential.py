"""Sequential models: adding and removing layers, building late, errors."""

from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers as L

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def names(model: Any) -> list[str]:
    return [layer.name for layer in model.layers if not isinstance(layer, L.InputLayer)]


def test_with_an_input_weights_are_there_at_once():
    model = sx.Sequential([sx.Input((3,), name="x"), L.Dense(2, name="a"), L.Dense(1, name="b")])
    assert model.built and model.count_params() == 11
    assert names(model) == ["a", "b"]
    assert (model.input_shape, model.output_shape) == ((None, 3), (None, 1))
    assert [v.path for v in model.weights] == ["a/kernel", "a/bias", "b/kernel", "b/bias"]


STARTS: dict[str, Any] = {
    "call": lambda m: m(X),
    "build": lambda m: m.build((None, 3)),
    "predict": lambda m: m.predict(X, verbose=0),
    "add input": None,
    "symbolic call": lambda m: m(sx.Input((3,))),
    "fit": lambda m: (m.compile("sgd", "mse"), m.fit(X, X[:, :2], verbose=0)),
}


@pytest.mark.parametrize("case", STARTS)
def test_without_an_input_weights_come_later(case: str):
    start = STARTS[case]
    model = sx.Sequential([sx.Input((3,))] if start is None else None)
    model.add(L.Dense(4))
    model.add(L.Dense(2))
    if start is not None:
        assert model.weights == [] and not model.built
        start(model)
    assert model.built and model.count_params() == 26
    assert model(X[:2]).shape == (2, 2)
    assert model.output_shape == (None, 2)
    assert model.predict(X, verbose=0).shape == (4, 2)


@pytest.mark.parametrize("form", [lambda: L.Dense(2, input_shape=(3,)), lambda: L.InputLayer(shape=(3,))])
def test_other_ways_to_give_the_shape(form: Any):
    model = sx.Sequential([form(), L.Dense(1)])
    assert model.built and model.input_shape == (None, 3)


def test_add_keeps_the_weights_below():
    model = sx.Sequential([sx.Input((3,)), L.Dense(2)])
    before = model.get_weights()
    model.add(L.Dense(5))
    assert model.output_shape == (None, 5) and model(X).shape == (4, 5)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_add_after_a_first_call():
    model = sx.Sequential([L.Dense(2)])
    model(X)
    model.add(L.Dense(5))
    assert model(X).shape == (4, 5) and len(model.weights) == 4


def test_pop_and_add_again():
    model = sx.Sequential([sx.Input((3,)), L.Dense(4, name="a"), L.Dense(2, name="b")])
    hidden = sx.Model(model.input, model.get_layer("a").output)(X).numpy()
    top = model.pop()
    assert top.name == "b" and model.output_shape == (None, 4)
    np.testing.assert_allclose(model(X), hidden)
    np.testing.assert_allclose(model.predict(X, verbose=0), hidden, atol=1e-6)
    model.add(L.Dense(7, name="c"))
    assert names(model) == ["a", "c"]
    assert model.predict(X, verbose=0).shape == (4, 7)


def test_predictions_follow_what_is_popped():
    model = sx.Sequential([sx.Input((3,)), L.Rescaling(2.0), L.Rescaling(3.0)])
    np.testing.assert_allclose(model.predict(X, verbose=0), X * 6, rtol=1e-6)
    model.pop()
    np.testing.assert_allclose(model.predict(X, verbose=0), X * 2, rtol=1e-6)


def test_a_model_of_no_layers():
    model = sx.Sequential(name="none")
    with pytest.raises(ValueError, match="Sequential 'none': there is no layer to pop"):
        model.pop()
    assert model.layers == [] and model.weights == []


ERRORS: dict[str, tuple[Any, type, str]] = {
    "same name": (lambda: [L.Dense(1, name="d"), L.Dense(1, name="d")], ValueError, "a layer named 'd' already"),
    "same layer": (lambda: [L.Dense(1, name="d")] * 2, ValueError, "names must be unique"),
    "no layer": (lambda: [3], TypeError, r"expected a layer, got 3 \(int\)"),
    "a class": (lambda: [L.Dense], TypeError, r"got <class .*Dense'> \(type\)"),
    "a symbolic result": (lambda: [L.Dense(1)(sx.Input((2,)))], TypeError, "expected a layer, got <Tensor"),
    "late input": (lambda: [L.Dense(1), sx.Input((2,))], ValueError, "Input must come first"),
    "two inputs": (lambda: [sx.Input((2,)), sx.Input((2,))], ValueError, "Input must come first"),
    "a misfit": (lambda: [sx.Input((2,)), L.Conv2D(1, 3)], ValueError, "rank 4"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case: str):
    make, kind, text = ERRORS[case]
    with pytest.raises(kind, match=text):
        sx.Sequential(make(), name="mine")


def test_what_is_not_known_is_said():
    model = sx.Sequential([L.Dense(1)], name="mine")
    for ask in (
        lambda: model.input,
        lambda: model.output_shape,
        lambda: model.input_names,
        lambda: model.export("x.onnx"),
    ):
        with pytest.raises(ValueError, match="mine"):
            ask()


def test_a_failed_add_leaves_the_model_as_it_was():
    model = sx.Sequential([sx.Input((3,)), L.Dense(2)])
    with pytest.raises(ValueError, match="rank 4"):
        model.add(L.Conv2D(1, 3))
    assert names(model) == ["dense"]
    assert model(X).shape == (4, 2)


def test_a_layer_in_two_models_shares_its_weights():
    shared = L.Dense(3)
    first, second = sx.Sequential([sx.Input((3,)), shared]), sx.Sequential([shared, L.Dense(1)])
    second(X)
    assert first.weights[0] is second.weights[0]
    assert first.output is not second.output
    np.testing.assert_allclose(first.predict(X, verbose=0), first(X), atol=1e-6)


def test_inputs_of_other_sizes_later():
    model = sx.Sequential([sx.Input((None, None, 1)), L.Conv2D(2, 3), L.GlobalMaxPooling2D()])
    for size in (5, 9):
        image = np.ones((2, size, size + 1, 1), np.float32)
        np.testing.assert_allclose(model.predict(image, verbose=0), model(image), atol=1e-6)


def test_integers_stay_integers_from_the_first_call():
    model = sx.Sequential([L.Embedding(5, 2), L.Flatten()])
    tokens = np.array([[1, 2], [3, 4]])
    assert model(tokens).shape == (2, 4)
    assert np.dtype(model.input.dtype).kind == "i"
    np.testing.assert_allclose(model.predict(tokens, verbose=0), model(tokens))


DEEP = 1000


def deep_sequential() -> Any:
    return sx.Sequential([sx.Input((2,)), *[L.Dense(2) for _ in range(DEEP)]])


def deep_functional() -> Any:
    inputs = x = sx.Input((2,))
    for _ in range(DEEP):
        x = L.Dense(2)(x)
    return sx.Model(inputs, x)


@pytest.mark.slow
@pytest.mark.parametrize("make", [deep_sequential, deep_functional])
def test_a_thousand_layers(make: Any):
    model = make()
    assert model.count_params() == 6 * DEEP
    given = X[:, :2]
    np.testing.assert_allclose(model.predict(given, verbose=0), model(given), atol=1e-5)
    with sx.GradientTape() as tape:
        loss = sx.ops.sum(model(given))
    assert len(tape.gradient(loss, model.trainable_variables)) == 2 * DEEP
