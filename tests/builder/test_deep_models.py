"""Models of a thousand layers: no recursion error, nothing that grows faster than the number of layers."""

import cProfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import sardonyx as sx

DEPTH = 1000
WIDTH = 3
X = np.random.default_rng(0).normal(size=(4, WIDTH)).astype("float32")


@sx.saving.register_keras_serializable("deep")
class Stacked(sx.Model):
    """A subclassed model with its layers in a list."""

    def __init__(self, depth: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.depth = depth
        self.stack = [dense(depth) for _ in range(depth)]

    def call(self, x: Any) -> Any:
        """Residual layers."""
        for layer in self.stack:
            x = x + layer(x)
        return x


def dense(depth: int) -> Any:
    """A layer with weights so small that a sum over many stays finite."""
    return sx.layers.Dense(WIDTH, kernel_initializer=sx.initializers.RandomNormal(0, 1 / depth, seed=1))


def sequential(depth: int) -> Any:
    """A stack."""
    return sx.Sequential([sx.Input((WIDTH,)), *(sx.layers.Dense(WIDTH, activation="tanh") for _ in range(depth))])


def functional(depth: int) -> Any:
    """Residual layers."""
    inputs = x = sx.Input((WIDTH,))
    for _ in range(depth):
        x = sx.layers.Add()([x, dense(depth)(x)])
    return sx.Model(inputs, x)


def subclassed(depth: int) -> Any:
    """Residual layers in a class of the user's."""
    model = Stacked(depth)
    model(X)
    return model


STYLES = [sequential, functional, subclassed]


def fit(model: Any, jit_compile: bool) -> list[float]:
    """Three steps on NumPy, or one on NumPy and two compiled."""
    model.compile(sx.optimizers.SGD(1e-3), "mse", jit_compile=jit_compile)
    return model.fit(X, X, batch_size=4, epochs=3, verbose=0).history["loss"]


@pytest.mark.parametrize("make", STYLES)
def test_a_thousand_layers(make: Callable[[int], Any], tmp_path: Path):
    model = make(DEPTH)
    assert len(model.weights) == 2 * DEPTH
    losses = fit(model, False)
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    expected = model.predict(X, verbose=0)
    np.testing.assert_allclose(model.predict(X, runtime="numpy", verbose=0), expected, rtol=1e-3, atol=1e-4)
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert len("\n".join(lines).splitlines()) >= DEPTH
    model.save(tmp_path / "model.onnx")
    again = sx.saving.load_model(tmp_path / "model.onnx")
    np.testing.assert_array_equal(again.predict(X, verbose=0), expected)
    model.export(tmp_path / "exported.onnx")
    assert len(onnx.load(tmp_path / "exported.onnx").graph.node) <= 3 * DEPTH


@pytest.mark.parametrize("make", [sequential, pytest.param(functional, marks=pytest.mark.nightly),
                                  pytest.param(subclassed, marks=pytest.mark.nightly)])  # fmt: skip
def test_a_thousand_layers_compiled(make: Callable[[int], Any]):
    model = make(DEPTH)
    start = model.get_weights()
    on_numpy = fit(model, False)
    model.set_weights(start)
    np.testing.assert_allclose(fit(model, True), on_numpy, rtol=1e-4)


def grown(depth: int) -> Any:
    """A stack to which layer after layer is added."""
    model = sx.Sequential([sx.Input((WIDTH,))])
    for _ in range(depth):
        model.add(sx.layers.Dense(WIDTH, activation="tanh"))
    return model


def test_a_stack_that_grows_is_the_one_made_at_once():
    model = grown(4)
    whole = sx.Sequential([sx.Input((WIDTH,)), *[type(x).from_config(x.get_config()) for x in model.layers]])
    whole.set_weights(model.get_weights())
    np.testing.assert_array_equal(model.predict(X, verbose=0), whole.predict(X, verbose=0))
    assert [v.path for v in model.weights] == [v.path.replace(whole.name, model.name) for v in whole.weights]
    again = type(model).from_config(model.get_config())
    assert [x.name for x in again.layers] == [x.name for x in model.layers]
    model.pop()
    model.add(sx.layers.Dense(2))
    assert model.output_shape == (None, 2) and len(model.weights) == 8
    inner = sx.Model(model.inputs, [layer.output for layer in model.layers])
    np.testing.assert_array_equal(inner.predict(X, verbose=0)[-1], model.predict(X, verbose=0))


def calls(action: Callable[[], Any]) -> int:
    """How many functions are called: unlike time, the same in every run."""
    profile = cProfile.Profile()
    profile.runcall(action)
    return sum(entry.callcount for entry in profile.getstats())


ACTIONS: dict[str, Callable[[Any, Path], Any]] = {
    "step": lambda model, folder: fit(model, False),
    "summary": lambda model, folder: model.summary(print_fn=lambda text: None),
    "save": lambda model, folder: model.save(folder / "model.onnx"),
    "load": lambda model, folder: sx.saving.load_model(folder / "model.onnx"),
    "export": lambda model, folder: model.export(folder / "exported.onnx"),
    "predict": lambda model, folder: model.predict(X, verbose=0),
    "compiled step": lambda model, folder: fit(model, True),
    "clone": lambda model, folder: sx.models.clone_model(model),
    "check": lambda model, folder: model.check(),
}


def test_calls_of_adding_grow_with_the_number_of_layers():
    counts = [calls(lambda depth=depth: grown(depth)) for depth in (4, 32, 64)]
    assert counts[2] / counts[1] < 2.1, counts


@pytest.mark.parametrize("make", STYLES)
def test_calls_grow_with_the_number_of_layers(make: Callable[[int], Any], tmp_path: Path):
    small, middle, large = 4, 32, 64
    counts: dict[str, dict[int, int]] = {name: {} for name in ["build", *ACTIONS]}
    for depth in (small, middle, large):  # the first fills the caches
        made: list[Any] = []
        counts["build"][depth] = calls(lambda made=made, depth=depth: made.append(make(depth)))
        for name, action in ACTIONS.items():
            counts[name][depth] = calls(lambda action=action, made=made: action(made[0], tmp_path))
    growth = {name: round(count[large] / count[middle], 2) for name, count in counts.items()}
    assert max(growth.values()) < 2.1, growth
