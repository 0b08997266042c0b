"""Training steps compiled whole: the same numbers as NumPy's, whatever happens between the steps."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers as L
from sardonyx.builder import step_runner
from sardonyx.exporters import engine

random = np.random.default_rng(0)
COUNT = 20


def images() -> Any:
    x = inputs = sx.Input((10, 10, 3))
    for filters, stride in ((6, 1), (8, 2)):
        x = L.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
        x = L.ReLU()(L.BatchNormalization()(x))
    x = L.MaxPooling2D(2)(L.DepthwiseConv2D(3, padding="same")(x))
    return sx.Model(inputs, L.Dense(3)(L.SpatialDropout2D(0.2, seed=1)(x)[:, 0, 0]))


def tokens() -> Any:
    inputs = sx.Input((7,), dtype="int32")
    x = L.Embedding(11, 8, mask_zero=True)(inputs)
    h = L.LayerNormalization()(x)
    x = x + L.MultiHeadAttention(2, 4, dropout=0.1, seed=2)(h, h)
    return sx.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(L.Dense(8, activation="gelu")(x))))


def recurrent(layer: Any) -> Callable[[], Any]:
    return lambda: sx.Sequential([sx.Input((6, 4)), L.GaussianNoise(0.1, seed=4), layer(5), L.Dense(3)])


class Subclassed(sx.Model):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = [L.Dense(6, activation="swish", kernel_regularizer="l2") for _ in range(2)]
        self.drop = L.Dropout(0.3, seed=7)
        self.head = L.Dense(3)

    def call(self, x: Any, training: bool | None = None) -> Any:
        for layer in self.hidden:
            x = layer(x)
            if training:
                x = self.drop(x, training=True)
        self.add_loss(sx.ops.mean(sx.ops.square(x)) * 0.01)
        return self.head(x)


def dense() -> Any:
    return sx.Sequential(
        [sx.Input((4,)), L.Dense(6, activation="tanh"), L.Dropout(0.2, seed=3), L.BatchNormalization(), L.Dense(3)]
    )


NETWORKS: dict[str, tuple[Callable[[], Any], np.ndarray]] = {
    "dense": (dense, random.standard_normal((COUNT, 4)).astype("float32")),
    "images": (images, random.standard_normal((COUNT, 10, 10, 3)).astype("float32")),
    "tokens": (tokens, random.integers(0, 11, (COUNT, 7))),
    "lstm": (recurrent(L.LSTM), random.standard_normal((COUNT, 6, 4)).astype("float32")),
    "gru": (recurrent(L.GRU), random.standard_normal((COUNT, 6, 4)).astype("float32")),
    "rnn": (recurrent(L.SimpleRNN), random.standard_normal((COUNT, 6, 4)).astype("float32")),
    "subclassed": (Subclassed, random.standard_normal((COUNT, 4)).astype("float32")),
}
Y = random.integers(0, 3, COUNT)


def trained(make: Callable[[], Any], x: np.ndarray, jit: Any, optimizer: Any = None, **options: Any) -> Any:
    """Losses, weights and evaluation after 20 steps, and the model."""
    sx.utils.set_random_seed(3)
    model = make()
    model(x[:2])
    loss = sx.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or sx.optimizers.Adam(0.01), loss, metrics=["accuracy"], jit_compile=jit)
    history = model.fit(x, Y, batch_size=5, epochs=5, verbose=0, **options).history
    return history, model.get_weights(), model.evaluate(x, Y, batch_size=5, verbose=0), model


def assert_alike(found: Any, wanted: Any, tolerance: float = 1e-5) -> None:
    for key, values in wanted[0].items():
        np.testing.assert_allclose(found[0][key], values, rtol=tolerance, atol=tolerance, err_msg=key)
    for a, b in zip(found[1], wanted[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found[2], wanted[2], rtol=tolerance, atol=tolerance)


def was_compiled(model: Any, name: str = "train_step") -> bool:
    return any(trace is not None for trace in model._steps[name].traces.values())


@pytest.mark.parametrize("network", NETWORKS)
def test_networks(network: str):
    make, x = NETWORKS[network]
    # not Adam: it blows the rounding in gradients that are zero, such as those of a key's bias, up to full steps
    found, wanted = (
        trained(make, x, jit, sx.optimizers.SGD(0.05, momentum=0.9), validation_data=(x[:6], Y[:6]))
        for jit in (True, False)
    )
    assert was_compiled(found[3])
    assert was_compiled(found[3], "test_step")
    assert_alike(found, wanted)


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    **{name: (lambda name=name: sx.optimizers.get(name)) for name in (
        "sgd", "adam", "adamw", "adamax", "nadam", "lion", "adagrad", "adadelta", "rmsprop")},
    "momentum": lambda: sx.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "amsgrad": lambda: sx.optimizers.Adam(0.01, amsgrad=True, clipnorm=0.1),
    "global clipping": lambda: sx.optimizers.SGD(0.1, global_clipnorm=0.1),
    "averages": lambda: sx.optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=3, weight_decay=0.01),
    "accumulation": lambda: sx.optimizers.Adam(0.01, gradient_accumulation_steps=3),
    "schedule": lambda: sx.optimizers.SGD(
        sx.optimizers.schedules.CosineDecay(0.1, 20, warmup_target=0.2, warmup_steps=4)
    ),
    "scaled loss": lambda: sx.optimizers.SGD(0.1, loss_scale_factor=4.0),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name: str):
    make, x = NETWORKS["dense"]
    found = trained(make, x, True, OPTIMIZERS[name]())
    assert was_compiled(found[3])
    wanted = trained(make, x, False, OPTIMIZERS[name]())
    assert_alike(found, wanted, 2e-5)
    assert int(found[3].optimizer.iterations) == int(wanted[3].optimizer.iterations)


class Meddler(sx.Callback):
    """Reads and changes weights, rates and layers between batches and epochs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[np.ndarray] = []
        self.held: list[Any] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        kernel = self.model.layers[0].kernel
        self.held.append(kernel.value)
        self.seen.append(kernel.numpy())
        if batch == 1:
            kernel.assign(kernel * 0.9)
            self.model.optimizer.learning_rate = 0.02

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 2:
            self.model.layers[1].rate = 0.6
        if epoch == 3:
            self.model.layers[0].trainable = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.predict(NETWORKS["dense"][1], verbose=0)


def test_what_callbacks_read_and_change_is_current():
    make, x = NETWORKS["dense"]
    meddlers = Meddler(), Meddler()
    found = trained(make, x, True, callbacks=[meddlers[0]])
    assert_alike(found, trained(make, x, False, callbacks=[meddlers[1]]))
    for ours, theirs, held in zip(meddlers[0].seen, meddlers[1].seen, meddlers[0].held, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(held, ours)  # what was given out stays as it was
    assert not np.array_equal(meddlers[0].seen[0], meddlers[0].seen[1])


def test_smaller_last_batches_and_a_second_fit():
    make, x = NETWORKS["dense"]

    def run(jit: Any) -> Any:
        found = trained(make, x, jit)
        model = found[3]
        history = model.fit(x[:13], Y[:13], batch_size=4, epochs=6, verbose=0).history
        return history, model.get_weights(), model.evaluate(x, Y, verbose=0)

    assert_alike(run(True), run(False))


@pytest.mark.parametrize("kept", [0, 1 << 20])
def test_weights_can_be_read_after_fit(kept: int, tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(step_runner, "KEPT", kept)
    make, x = NETWORKS["dense"]
    model = trained(make, x, True)[3]
    homes = {v._home is None for v in [*model.variables, *model.optimizer.variables]}
    assert homes == {kept == 0}
    copied = model.get_weights()
    model.save(tmp_path / "model.onnx")
    again = sx.models.load_model(tmp_path / "model.onnx")
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)
    model.set_weights([np.zeros_like(array) for array in copied])
    assert not model.predict(x, verbose=0).any()  # what is assigned here counts, wherever the value is kept
    model.optimizer.learning_rate = 0.0
    model.fit(x, Y, verbose=0)
    assert not any(array.any() for array in model.get_weights())


def test_a_step_of_ones_own_is_compiled_when_asked_for():
    class Own(sx.Model):
        def __init__(self) -> None:
            super().__init__()
            self.head = L.Dense(3)

        def call(self, x: Any) -> Any:
            return self.head(x)

        def train_step(self, data: Any) -> Any:
            x, y = data[:2]
            with sx.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True)) * 2.0
            self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
            return {"loss": loss, "twice": loss * 2.0}

    x = NETWORKS["dense"][1]
    found = trained(Own, x, True)
    assert was_compiled(found[3])
    assert_alike(found, trained(Own, x, False))
    automatic = trained(Own, x, "auto")
    assert not was_compiled(automatic[3])


def test_what_cannot_be_compiled_trains_on_numpy_after_one_warning():
    def make() -> Any:
        x = sx.Input((4,))
        square = sx.ops.matmul(sx.ops.expand_dims(x, 2), sx.ops.expand_dims(x, 1)) + sx.ops.eye(4)
        return sx.Model(x, L.Dense(3)(sx.ops.inv(square)[:, 0]))

    x = NETWORKS["dense"][1]
    with pytest.warns(UserWarning, match=r"train_step runs on NumPy, not compiled: inv.*ONNX has no operator") as told:
        found = trained(make, x, True)
    assert len([w for w in told if "train_step" in str(w.message)]) == 1
    assert_alike(found[:3], trained(make, x, False)[:3])


def test_whatever_onnxruntime_refuses_trains_on_numpy(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("Could not find an implementation for Conv(11)")

    make, x = NETWORKS["dense"]
    monkeypatch.setattr(engine, "session", refuse)
    with pytest.warns(UserWarning, match="train_step runs on NumPy, not compiled: Could not find an implementation"):
        found = trained(make, x, True)
    assert_alike(found, trained(make, x, False))


def test_auto_measures_when_it_is_worth_it(monkeypatch: pytest.MonkeyPatch):
    make, x = NETWORKS["dense"]
    assert not was_compiled(trained(make, x, "auto")[3])
    monkeypatch.setattr(step_runner, "LEAST_SECONDS", 0.0)
    wanted = trained(make, x, False)
    for faster in (True, False):
        ticks = iter(range(10_000))
        times = {"now": 0.0}

        def clock(faster: bool = faster, ticks: Any = ticks, times: dict[str, float] = times) -> float:
            step = next(ticks) // 2
            times["now"] += 1.0 if (step <= step_runner.MEASURED) == faster else 0.1
            return times["now"]

        monkeypatch.setattr(step_runner.time, "perf_counter", clock)
        found = trained(make, x, "auto")
        assert found[3]._steps["train_step"].choice is faster
        assert_alike(found, wanted)


def test_auto_compiles_deep_models_only_where_training_takes_long(monkeypatch: pytest.MonkeyPatch):
    make, x = NETWORKS["dense"]
    ticks = iter(range(10_000))
    monkeypatch.setattr(step_runner.time, "perf_counter", lambda: 100.0 * next(ticks))
    layers = len(make().walk_layers())
    for seconds, expected in ((1e3 / layers, False), (1e2 / layers, True)):  # 15 steps of 100 seconds are left
        monkeypatch.setattr(step_runner, "SECONDS_A_LAYER", seconds)
        assert was_compiled(trained(make, x, "auto")[3]) is expected


def test_no_compilation_when_steps_run_eagerly():
    make, x = NETWORKS["dense"]
    sx.utils.set_random_seed(3)
    model = make()
    model.compile("sgd", "mse", run_eagerly=True, jit_compile=True)
    model.fit(x, np.zeros((COUNT, 3)), batch_size=5, verbose=0)
    assert not was_compiled(model)
    with pytest.raises(ValueError, match="jit_compile must be True, False or \"auto\", got 'always'"):
        model.compile("sgd", "mse", jit_compile="always")


def test_training_goes_on_under_errors_as_a_warning_free_run():
    make, x = NETWORKS["dense"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(make, x, True)


def test_one_batch_at_a_time_is_compiled_when_asked_for():
    x, y = random.normal(size=(8, 4)).astype("float32"), random.integers(0, 3, 8)
    logs = []
    for jit_compile in (False, True):
        sx.utils.set_random_seed(3)
        model = sx.Sequential([sx.Input((4,)), L.Dense(6, activation="relu"), L.Dropout(0.2, seed=5), L.Dense(3)])
        loss = sx.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=["accuracy"], jit_compile=jit_compile)
        logs.append([model.train_on_batch(x, y) for _ in range(6)] + [model.test_on_batch(x, y) for _ in range(3)])
        compiled = [step for step in model._steps.values() if any(step.traces.values())]
        assert len(compiled) == (2 if jit_compile else 0)
    np.testing.assert_allclose(logs[0], logs[1], rtol=1e-5)
