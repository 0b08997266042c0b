"""Prediction on onnxruntime: what changes is noticed before the next prediction, and short ways give the same."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.builder.prediction import inference_session, largest_batch

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
FACTOR = 2.0


def doubled(x: Any) -> Any:
    """A function that is exchanged for another by a test."""
    return x * FACTOR


class Listed(sx.Model):
    """Layers in a list inside a dictionary, an array and a number that `call` reads."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = {"stack": [sx.layers.Dense(4), sx.layers.Dense(4)]}
        self.scale = 1.0
        self.table = np.ones(4, "float32")

    def call(self, x: Any) -> Any:
        """All layers, then the settings."""
        for layer in self.parts["stack"]:
            x = layer(x)
        return doubled(x) * self.scale * self.table


def stack() -> Any:
    """A model without code of the user's."""
    layers = [sx.layers.Dense(4), sx.layers.BatchNormalization(), sx.layers.LeakyReLU()]
    return sx.Sequential([sx.Input((4,)), *layers, sx.layers.Dropout(0.5)])


def listed() -> Any:
    """A model that is looked at as a whole."""
    model = Listed()
    model(X)
    return model


def set_weights(model: Any) -> None:
    """Other values for all weights."""
    model.set_weights([w + 1 for w in model.get_weights()])


def fit(model: Any) -> None:
    """Training on."""
    model.compile("sgd", "mse")
    model.fit(X, X, verbose=0)


def set_global(model: Any) -> None:
    """Another value of a global that `call` reads."""
    globals()["FACTOR"] = FACTOR + 1


def fill_table(model: Any) -> None:
    """Other contents of the same array."""
    model.table[:] = 3


def set_scale(model: Any) -> None:
    """Another number."""
    model.scale = 5.0


def exchange(model: Any) -> None:
    """Another layer in a list."""
    model.parts["stack"][0] = sx.layers.Dense(4)


def append(model: Any) -> None:
    """One layer more in a list."""
    model.parts["stack"].append(sx.layers.Dense(4))


CHANGES: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
    (stack, set_weights),
    (stack, fit),
    (stack, lambda m: m.layers[0].kernel.assign(m.layers[0].kernel * 2)),
    (stack, lambda m: m.layers[1].moving_mean.assign(np.full(4, 3.0))),
    (stack, lambda m: m.add(sx.layers.Rescaling(3.0))),
    (stack, lambda m: (m.add(sx.layers.Rescaling(3.0)), m.pop(), m.add(sx.layers.Rescaling(2.0)))),
    (stack, lambda m: setattr(m.layers[2], "negative_slope", 0.9)),
    (stack, lambda m: setattr(m.layers[0], "activation", sx.activations.tanh)),
    (listed, set_weights),
    (listed, fit),
    (listed, set_global),
    (listed, fill_table),
    (listed, set_scale),
    (listed, exchange),
    (listed, append),
]


@pytest.mark.parametrize(("make", "change"), CHANGES, ids=range(len(CHANGES)))
def test_change_is_noticed(make: Callable[[], Any], change: Callable[[Any], Any]):
    model = make()
    before = model.predict(X, verbose=0)
    np.testing.assert_array_equal(model.predict(X, verbose=0), before)
    change(model)
    after = model.predict(X, verbose=0)
    np.testing.assert_allclose(after, model.predict(X, runtime="numpy", verbose=0), rtol=1e-5, atol=1e-6)
    assert np.abs(after - before).max() > 1e-4


@pytest.mark.parametrize("make", [stack, listed])
def test_session_is_kept_while_nothing_changes(make: Callable[[], Any]):
    model = make()
    model.predict(X, verbose=0)
    running = inference_session(model).running
    model(X)
    model.predict(X, verbose=0)
    model.trainable = False
    model.summary(print_fn=lambda text: None)
    assert inference_session(model).running is running


# What is passed after arrays of shape (6, 4) were predicted, and the part of an error it ends in.
OTHERS = [
    (X[:1], None), (X.astype("float64"), None), (X.astype("int32"), None), (X[::2], None), (X.T[:4, :4], None),
    (np.asfortranarray(X), None), (X.tolist(), None), ([X], None), (np.repeat(X, 50, 0), None),
    (X[0], "batch axis is missing"), (X[:, :3], "expected shape (batch, 4), got (6, 3)"), (X[None], "expected shape"),
    (X.astype(str), "expected real numbers"), (None, "no data"), (X[:0], "x has 0 samples"),
]  # fmt: skip


@pytest.mark.parametrize(("x", "error"), OTHERS, ids=range(len(OTHERS)))
def test_short_way_takes_what_the_long_way_takes(x: Any, error: str | None):
    model = stack()
    model.predict(X, verbose=0)
    model.predict(X, verbose=0)
    if error is not None:
        with pytest.raises((ValueError, TypeError)) as raised:
            model.predict(x, verbose=0)
        assert error in str(raised.value)
        return
    found = model.predict(x, verbose=0)
    np.testing.assert_allclose(found, model.predict(x, runtime="numpy", verbose=0), rtol=1e-5, atol=1e-6)
    assert found.dtype == np.float32


def test_step_of_ones_own_is_run_after_predictions_without_it():
    model = stack()
    model.predict(X, verbose=0)
    model.predict_step = lambda data: np.zeros((len(data[0]), 1))
    assert model.predict(X, verbose=0, runtime="numpy").shape == (6, 1)


@pytest.mark.parametrize(
    ("shape", "expected"), [((4,), 256), ((28, 28, 1), 256), ((64, 64, 3), 85), ((224, 224, 3), 32)]
)
def test_samples_at_once_are_fewer_where_they_are_large(shape: tuple[int, ...], expected: int):
    assert largest_batch(np.broadcast_to(np.float32(0), (3, *shape))) == expected


def test_callbacks_are_told_of_batches_of_32():
    seen: list[int] = []
    model = stack()
    callback = sx.callbacks.LambdaCallback(on_predict_batch_end=lambda batch, logs: seen.append(batch))
    model.predict(np.repeat(X, 11, 0), verbose=0, callbacks=[callback])
    assert seen == [0, 1, 2]
