"""The three styles are one: the same weights give the same outputs, summary, file, cuts and copies."""

from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers as L
from sardonyx.builder.prediction import run_file

IMAGES = np.random.default_rng(0).normal(size=(5, 8, 8, 1)).astype(np.float32)


def parts() -> list[Any]:
    """Layers of every kind: with weights, statistics, randomness and none of these."""
    return [
        L.Conv2D(4, 3, name="convolve"),
        L.BatchNormalization(name="normalize"),
        L.Activation("relu", name="activate"),
        L.MaxPooling2D(name="pool"),
        L.Dropout(0.5, name="drop", seed=3),
        L.Flatten(name="flatten"),
        L.Dense(3, activation="softmax", name="classify"),
    ]


class Net(sx.Model):
    """The parts, one after the other."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = parts()

    def call(self, inputs: Any) -> Any:
        for part in self.parts:
            inputs = part(inputs)
        return inputs


def sequential() -> Any:
    return sx.Sequential([sx.Input((8, 8, 1), name="image"), *parts()])


def functional() -> Any:
    inputs = x = sx.Input((8, 8, 1), name="image")
    for part in parts():
        x = part(x)
    return sx.Model(inputs, x)


def subclassed() -> Any:
    model = Net()
    model.build((None, 8, 8, 1))
    return model


def called() -> Any:
    model = Net()
    model(IMAGES)
    return model


STYLES = {"sequential": sequential, "functional": functional, "subclassed": subclassed, "called": called}


def values() -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [generator.uniform(0.1, 1, v.shape).astype(np.float32) for v in sequential().weights]


@pytest.fixture(params=STYLES)
def model(request: Any) -> Any:
    made = STYLES[request.param]()
    made.set_weights(values())
    return made


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """The outputs, step by step."""
    made = parts()
    x: Any = IMAGES
    for part in made:
        x = part(x)
    reference = values()
    for part in made:
        count = len(part.weights)
        part.set_weights(reference[:count])
        reference = reference[count:]
    x = IMAGES
    for part in made:
        x = part(x)
    return x.numpy()


@pytest.mark.parametrize("runtime", ["call", "numpy", "onnxruntime"])
def test_outputs(model: Any, expected: np.ndarray, runtime: str):
    result = model(IMAGES) if runtime == "call" else model.predict(IMAGES, runtime=runtime, verbose=0)
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_gradients(model: Any):
    with sx.GradientTape() as tape:
        loss = sx.ops.mean(sx.ops.square(model(IMAGES, training=True)))
    found = tape.gradient(loss, model.trainable_variables)
    reference = sequential()
    reference.set_weights(values())
    with sx.GradientTape() as tape:
        loss = sx.ops.mean(sx.ops.square(reference(IMAGES, training=True)))
    for a, b in zip(found, tape.gradient(loss, reference.trainable_variables), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_summary_rows(model: Any):
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    for part in parts():
        assert f"{part.name} (" in text
    assert "Total params: 167" in text and "Non-trainable params: 8" in text


def test_names_of_weights(model: Any):
    names = list(model.weight_names().values())
    assert names[:3] == ["convolve/kernel", "convolve/bias", "normalize/gamma"]
    assert len(set(names)) == len(model.weights)


def test_export(model: Any, expected: np.ndarray, tmp_path: Any):
    file = str(tmp_path / "m.onnx")
    model.export(file)
    np.testing.assert_allclose(run_file(file, IMAGES)[0], expected, atol=1e-5)
    np.testing.assert_allclose(run_file(file, IMAGES[:2])[0], expected[:2], atol=1e-5)


def test_cut(model: Any, expected: np.ndarray):
    cut = sx.Model(model.input, [model.get_layer("pool").output, model.output])
    for runtime in ("numpy", "onnxruntime"):
        pooled, result = cut.predict(IMAGES, runtime=runtime, verbose=0)
        np.testing.assert_allclose(result, expected, atol=1e-5)
        assert pooled.shape == (5, 3, 3, 4)


def test_weights_set_later_show_in_predictions(model: Any):
    before = model.predict(IMAGES, verbose=0)
    model.get_layer("classify").bias.assign([5.0, 0, 0])
    after = model.predict(IMAGES, verbose=0)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, model(IMAGES), atol=1e-5)


def test_copies(model: Any, expected: np.ndarray):
    twin = sx.models.clone_model(model)
    twin(IMAGES)
    twin.set_weights(model.get_weights())
    np.testing.assert_allclose(twin(IMAGES), expected, atol=1e-5)
    assert not {id(v) for v in twin.weights} & {id(v) for v in model.weights}


def test_training(model: Any):
    labels = np.arange(5) % 3
    reference = sequential()
    reference.set_weights(values())
    histories = []
    for one in (reference, model):
        one.compile(sx.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        histories.append(one.fit(IMAGES, labels, batch_size=2, epochs=2, shuffle=False, verbose=0).history["loss"])
    assert histories[0] == histories[1]
    for a, b in zip(reference.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_models_of_models_in_every_mixture(model: Any, expected: np.ndarray):
    class Around(sx.Model):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs) * 2

    x = sx.Input((8, 8, 1))
    for outer in (Around(model), sx.Sequential([model, L.Rescaling(2.0)]), sx.Model(x, model(x) * 2)):
        np.testing.assert_allclose(outer(IMAGES), 2 * expected, atol=1e-5)
        np.testing.assert_allclose(outer.predict(IMAGES, verbose=0), 2 * expected, atol=1e-5)
        assert len(outer.weights) == len(model.weights)
