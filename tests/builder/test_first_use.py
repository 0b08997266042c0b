"""What users of Keras meet first: layers by place, names used twice, steps of one's own, values out of range."""

import re
from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers

R = np.random.default_rng(0)
X = R.normal(size=(32, 4)).astype("float32")
LABELS = np.arange(32) % 3
ShapeError = sx.trainer.core.errors.ShapeError


def test_layers_of_a_sequential_model_are_those_that_compute():
    model = sx.Sequential([sx.Input((4,), name="given"), layers.Dense(8, name="a"), layers.Dense(2, name="b")])
    assert [layer.name for layer in model.layers] == ["a", "b"]
    assert model.get_layer(index=0).name == "a" and model.get_layer("given").name == "given"
    model.pop()
    model.add(layers.Dense(3, name="c"))
    assert [layer.name for layer in model.layers] == ["a", "c"]
    every = sx.Model(model.inputs, [layer.output for layer in model.layers])
    assert [x.shape for x in every.predict(X, verbose=0)] == [(32, 8), (32, 3)]


def test_every_layer_of_a_functional_model_has_an_output():
    x = sx.Input((4,))
    model = sx.Model(x, layers.Dense(2)(x))
    every = sx.Model(model.input, [layer.output for layer in model.layers])
    assert [a.shape for a in every.predict(X, verbose=0)] == [(32, 4), (32, 2)]
    assert model.layers[0].input is x


class OwnStep(sx.Model):
    """The training step as Keras's guide to custom steps writes it."""

    def train_step(self, data):
        x, y = data
        with sx.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.loss_of(x, y, y_pred)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}

    def loss_of(self, x, y, y_pred):
        return self.compute_loss(x=x, y=y, y_pred=y_pred)


class OwnStepAndLoss(OwnStep):
    def loss_of(self, x, y, y_pred):
        return sx.ops.mean(sx.losses.sparse_categorical_crossentropy(y, y_pred))


@pytest.mark.parametrize("kind", [OwnStep, OwnStepAndLoss])
def test_metrics_of_compile_reach_a_step_of_ones_own(kind):
    histories = []
    for cls in (sx.Model, kind):
        x = sx.Input((4,))
        kernel = sx.initializers.GlorotUniform(seed=1)
        model = cls(x, layers.Dense(3, activation="softmax", kernel_initializer=kernel)(x))
        two = sx.metrics.SparseTopKCategoricalAccuracy(2, name="two")
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy", two])
        histories.append(model.fit(X, LABELS, batch_size=8, epochs=3, shuffle=False, verbose=0).history)
    assert set(histories[1]) == {"loss", "accuracy", "two"}
    for name in histories[0]:
        np.testing.assert_allclose(histories[1][name], histories[0][name], rtol=1e-5)


class Forgetful(sx.Model):
    def __init__(self):
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)


def same_names():
    x = sx.Input((4,))
    return sx.Model(x, layers.Dense(2, name="a")(layers.Dense(3, name="a")(x)))


def out_of_the_table(use):
    model = sx.Sequential([sx.Input((3,), dtype="int32"), layers.Embedding(5, 2, name="words"), layers.Flatten()])
    return lambda: use(model, np.full((2, 3), 7))


def pooled_and_resized():
    x = sx.Input((None, 8, 1))
    return layers.Concatenate()([x, layers.UpSampling2D()(layers.MaxPooling2D()(x))])


class Halved(sx.Model):
    """Half the height and back: skips fit for multiples of 2."""

    def call(self, edges):
        half = layers.MaxPooling2D()(edges)
        return sx.ops.concatenate([edges, layers.UpSampling2D()(half)], -1)


def not_a_multiple():
    model = Halved().trace(sx.TensorSpec((None, "2*rows", 4, 1)))
    assert model.predict(np.ones((1, 6, 4, 1), np.float32), verbose=0).shape == (1, 6, 4, 2)
    model.predict(np.ones((1, 5, 4, 1), np.float32), verbose=0)


WORDS = "layer 'words' (Embedding): expected indices from 0 to 4 (input_dim=5); take: index 7 is out of range"


@pytest.mark.parametrize(
    ("action", "kind", "message"),
    [
        (lambda: Forgetful()(X), RuntimeError, "Forgetful: call super().__init__() first in its __init__()"),
        (same_names, ValueError, "two layers of the model are named 'a' (Dense and Dense); give each"),
        (out_of_the_table(lambda model, x: model(x)), IndexError, WORDS),
        (out_of_the_table(lambda model, x: model.predict(x, verbose=0)), IndexError, WORDS),
        (not_a_multiple, ShapeError, "input 'edges': expected shape (batch, 2*rows, 4, 1), got (1, 5, 4, 1)"),
        (pooled_and_resized, ShapeError, 'say so by naming the size as one in Input(shape=("2*input_'),
    ],
)
def test_what_is_refused(action, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        action()


def test_one_layer_called_twice_and_equal_names_in_different_models_are_fine():
    x = sx.Input((4,))
    shared = layers.Dense(4, name="a")
    assert len(sx.Model(x, shared(shared(x))).layers) == 2
    first, second = (sx.Sequential([layers.Dense(4, name="a")], name=name) for name in ("first", "second"))
    assert len(sx.Model(x, second(first(x))).weights) == 4


@pytest.mark.parametrize("first", ["call", "fit", "build", "predict"])
def test_names_do_not_depend_on_what_builds_a_model(first: str):
    class Net(sx.Model):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = [sx.layers.Dense(4, name=f"block_{i}") for i in range(2)]

        def call(self, features: Any) -> Any:
            for block in self.blocks:
                features = block(features)
            return features

    model, x = Net(), np.ones((8, 3), "float32")
    model.compile("sgd", "mse")
    actions = {
        "call": lambda: model(x),
        "fit": lambda: model.fit(x, np.ones((8, 4)), verbose=0),
        "build": lambda: model.build((None, 3)),
        "predict": lambda: model.predict(x, verbose=0),
    }
    actions[first]()
    assert model.input_names == ["features"]
    assert [v.path for v in model.weights] == [f"block_{i}/{part}" for i in range(2) for part in ("kernel", "bias")]
    assert str(model.input.shape[0]) == "batch"
