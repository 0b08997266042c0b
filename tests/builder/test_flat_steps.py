"""Steps on NumPy that come again run as flat programs: the numbers of Python's steps, and Python where it must be."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from flat_networks import COUNT, NETWORKS, X, Y, dense

import sardonyx as sx
from sardonyx.builder import flat_step
from sardonyx.trainer.flat_program import FlatProgram

L = sx.layers
random = np.random.default_rng(1)


@pytest.fixture(autouse=True)
def flat_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the third step on, whatever is faster."""
    monkeypatch.setattr(flat_step, "SEEN", 2)
    monkeypatch.setattr(flat_step, "TIMED", 0)


def trained(make: Callable[[], Any], x: Any, y: Any = Y, optimizer: Any = None, **options: Any) -> Any:
    """History, weights, evaluation and model after three epochs; every fourth batch is smaller."""
    sx.utils.set_random_seed(3)
    model = make()
    compiled = {
        name: options.pop(name) for name in ("loss", "metrics", "jit_compile", "run_eagerly") if name in options
    }
    if "loss" not in compiled:
        compiled["loss"] = sx.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or sx.optimizers.SGD(0.01, momentum=0.9), **{"jit_compile": False, **compiled})
    history = model.fit(x, y, batch_size=7, epochs=options.pop("epochs", 4), verbose=0, **options).history
    weights = [w.copy() for w in model.get_weights()]
    evaluation = [model.evaluate(x, y, batch_size=7, verbose=0) for _ in range(2)]
    return history, weights, evaluation, model


def ran_flat(model: Any, name: str = "train_step") -> bool:
    return any(trial is not None and trial.step is not None for trial in model._steps[name].plain.programs.values())


def both(monkeypatch: pytest.MonkeyPatch, *arguments: Any, **options: Any) -> tuple[Any, Any]:
    found = trained(*arguments, **options)
    monkeypatch.setattr(flat_step, "SEEN", 10**9)
    return found, trained(*arguments, **options)


def assert_equal(found: Any, wanted: Any) -> None:
    """To the last bit: what training gives must not depend on when its steps become flat."""
    assert ran_flat(found[3]) and not ran_flat(wanted[3])
    assert found[0] == wanted[0]
    for weight, a, b in zip(found[3].weights, found[1], wanted[1], strict=True):
        np.testing.assert_array_equal(a, b, err_msg=weight.path)
    assert found[2] == wanted[2]


@pytest.mark.parametrize("network", NETWORKS)
def test_networks(network: str, monkeypatch: pytest.MonkeyPatch):
    make, x = NETWORKS[network]
    options = {"metrics": ["accuracy"], "validation_data": (x[:7], Y[:7])}
    found, wanted = both(monkeypatch, make, x, **options)
    assert_equal(found, wanted)
    assert ran_flat(found[3], "test_step")


@pytest.mark.parametrize("network", ["pooled images", "transformer", "series"])
def test_networks_with_adam(network: str, monkeypatch: pytest.MonkeyPatch):
    """Which divides gradients by their own size, so that no difference is too small to show."""
    assert_equal(*both(monkeypatch, *NETWORKS[network], optimizer="adam"))


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    **{name: (lambda name=name: sx.optimizers.get(name)) for name in (
        "sgd", "adam", "adamw", "adamax", "nadam", "lion", "adagrad", "adadelta", "rmsprop")},
    "schedule": lambda: sx.optimizers.Adam(sx.optimizers.schedules.CosineDecay(0.05, 9)),
    "clipped": lambda: sx.optimizers.Adam(0.01, global_clipnorm=0.1),
    "averaged": lambda: sx.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3),
    "accumulated": lambda: sx.optimizers.SGD(0.1, gradient_accumulation_steps=3),
    "scaled": lambda: sx.optimizers.SGD(0.1, loss_scale_factor=128.0, weight_decay=0.01),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name: str, monkeypatch: pytest.MonkeyPatch):
    results = []
    for seen in (2, 10**9):
        monkeypatch.setattr(flat_step, "SEEN", seen)
        results.append(trained(dense, X, optimizer=OPTIMIZERS[name]()))
    assert_equal(*results)


def two_outputs() -> Any:
    x = sx.Input((4,), name="x")
    h = L.Dense(8, activation="relu")(x)
    return sx.Model(x, {"a": L.Dense(3, name="a")(h), "b": L.Dense(1, name="b")(h)})


LOSSES: dict[str, dict[str, Any]] = {
    "mse": {"y": Y[:, None].astype("float32"), "loss": "mse", "make": lambda: sx.Sequential([L.Dense(5), L.Dense(1)])},
    "one-hot": {"y": np.eye(3, dtype="float32")[Y], "loss": sx.losses.CategoricalCrossentropy(from_logits=True)},
    "probabilities": {
        "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy", "sparse_top_k_categorical_accuracy"],
        "make": lambda: sx.Sequential([sx.Input((4,)), L.Dense(3, activation="softmax")])},
    "weights": {"sample_weight": random.random(COUNT).astype("float32")},
    "class weights": {"class_weight": {0: 2.0, 2: 0.5}},
    "32-bit labels": {"y": Y.astype("int32")},
    "outputs": {
        "make": two_outputs, "y": {"a": np.eye(3, dtype="float32")[Y], "b": X[:, :1]}, "loss": {"a": "mse", "b": "mae"},
        "metrics": {"b": ["mae"]}},
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str, monkeypatch: pytest.MonkeyPatch):
    options = dict(LOSSES[name])
    assert_equal(*both(monkeypatch, options.pop("make", dense), X, options.pop("y", Y), **options))


CALLS: list[Any] = []


class Own(L.Layer):
    """A layer of the user's, which may do anything in Python."""

    def call(self, x: Any) -> Any:
        CALLS.append(x)
        return x * 2.0


class OwnStep(sx.Sequential):
    """A step of the user's."""

    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


def own_loss(y_true: Any, y_pred: Any) -> Any:
    return sx.ops.mean(sx.ops.square(y_pred), axis=-1)


USERS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "layer": (lambda: sx.Sequential([sx.Input((4,)), Own(), L.Dense(3)]), {}),
    "step": (lambda: OwnStep([sx.Input((4,)), L.Dense(3)]), {}),
    "function": (lambda: sx.Sequential([sx.Input((4,)), L.Dense(3, activation=lambda x: x * 2.0)]), {}),
    "regularizer": (
        lambda: sx.Sequential([L.Dense(3, kernel_regularizer=lambda w: sx.ops.sum(w * w)), L.Dense(3)]), {}),
    "loss": (dense, {"loss": own_loss}),
    "metric": (dense, {"metrics": [own_loss]}),
    "eager": (dense, {"run_eagerly": True}),
}  # fmt: skip


@pytest.mark.parametrize("name", USERS)
def test_what_is_the_users_own_runs_as_python(name: str):
    make, options = USERS[name]
    before = len(CALLS)
    model = trained(make, X, **options)[3]
    assert not ran_flat(model)
    if name == "layer":
        assert len(CALLS) - before >= 16  # each of the steps, not those of a trace alone


def freeze(model: Any) -> None:
    model.layers[0].trainable = False


def freeze_weight(model: Any) -> None:
    model.layers[0].kernel.trainable = False


def bend(model: Any) -> None:
    model.layers[0].activation = sx.activations.sigmoid


def reweigh(model: Any) -> None:
    model.layers[0].set_weights([w * 0.5 for w in model.layers[0].get_weights()])


def slow_down(model: Any) -> None:
    model.optimizer.learning_rate = 1e-4


def stop(model: Any) -> None:
    model.stop_training = True


@pytest.mark.parametrize("act", [freeze, freeze_weight, bend, reweigh, slow_down, stop], ids=lambda f: f.__name__)
@pytest.mark.parametrize("batch", [5, 9])
def test_changes_between_steps_take_effect_at_once(act: Callable[[Any], None], batch: int, monkeypatch: Any):
    def run() -> Any:
        count = iter(range(100))

        def on_batch_end(*_: Any) -> None:
            if next(count) == batch:
                act(model_of[0])

        model_of: list[Any] = []
        callback = sx.callbacks.LambdaCallback(on_train_batch_end=on_batch_end)
        callback.set_model = model_of.append  # type: ignore[method-assign]
        return trained(dense, X, callbacks=[callback])

    found = run()
    monkeypatch.setattr(flat_step, "SEEN", 10**9)
    wanted = run()
    for a, b in zip(found[1], wanted[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert found[0] == wanted[0]


def test_values_taken_between_steps_stay_as_they_are():
    taken: list[tuple[Any, Any, np.ndarray]] = []

    class Taker(sx.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            kernel = self.model.layers[0].kernel
            taken.append((kernel.value, kernel.array, kernel.numpy()))

    model = trained(dense, X, optimizer="adam", callbacks=[Taker()])[3]
    assert ran_flat(model)
    for tensor, array, copy in taken:
        np.testing.assert_array_equal(tensor.numpy(), copy)
        np.testing.assert_array_equal(array, copy)
    assert not np.array_equal(taken[-1][2], taken[-2][2])


def test_weights_are_updated_where_they_lie():
    model = trained(dense, X, optimizer="adam")[3]
    before = [v.array for v in model.trainable_variables]
    places = [a.__array_interface__["data"][0] for a in before]
    del before
    model.fit(X, Y, batch_size=8, verbose=0)
    assert [v.array.__array_interface__["data"][0] for v in model.trainable_variables] == places


def batches(bad: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for i in range(bad + 1):
        labels = Y[:8].copy()
        labels[0] = 3 if i == bad else labels[0]  # further on, it would be the place of the next row's first class
        yield X[:8], labels


def test_a_bad_batch_is_told_as_python_tells_it_and_changes_nothing():
    model = dense()
    model.compile("sgd", sx.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    states: list[Any] = []

    class Watcher(sx.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            states.append([w.copy() for w in self.model.get_weights()] + [float(self.model.optimizer.iterations)])

    with pytest.raises(ValueError, match="class numbers go from 0 to 2 for 3 outputs, got 0 to 3"):
        model.fit(batches(6), verbose=0, callbacks=[Watcher()])
    assert ran_flat(model)
    for now, last in zip([*model.get_weights(), float(model.optimizer.iterations)], states[-1], strict=True):
        np.testing.assert_array_equal(now, last)


def test_labels_that_do_not_count_run_as_python(monkeypatch: pytest.MonkeyPatch):
    y = Y.copy()
    y[::5] = -1
    loss = sx.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    results = []
    for seen in (2, 10**9):
        monkeypatch.setattr(flat_step, "SEEN", seen)
        results.append(trained(dense, X, y, loss=loss))
    assert results[0][0] == results[1][0]


def test_an_interrupt_leaves_the_last_step_whole(monkeypatch: pytest.MonkeyPatch):
    model = trained(dense, X)[3]
    assert ran_flat(model)
    before = [w.copy() for w in model.get_weights()], int(model.optimizer.iterations)
    (program,) = [t.step.program for k, t in model._steps["train_step"].plain.programs.items() if t and k[0][0][0] == 7]

    def interrupt() -> None:
        raise KeyboardInterrupt

    middle = len(program.calls) // 2
    program.calls.insert(middle, interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:7], Y[:7], batch_size=7, verbose=0)
    for a, b in zip(model.get_weights(), before[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(model.optimizer.iterations) == before[1]
    program.calls.pop(middle)
    model.fit(X[:7], Y[:7], batch_size=7, verbose=0)
    assert int(model.optimizer.iterations) == before[1] + 1


def test_the_slower_way_is_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flat_step, "TIMED", 2)
    for slow_flat in (True, False):
        now = {"time": 0.0, "call": 0}

        def clock(now: Any = now, slow_flat: bool = slow_flat) -> float:
            # Python's and flat steps take turns; each asks for the time twice for the program, and twice for the rest
            now["call"] += 1
            is_flat = (now["call"] - 1) // 4 % 2 == 1
            now["time"] += (2.0 if is_flat == slow_flat else 1.0) if now["call"] % 4 == 0 else 0.0
            return now["time"]

        monkeypatch.setattr(flat_step.time, "process_time", clock)
        model = trained(dense, X[:21], Y[:21])[3]
        assert ran_flat(model) is not slow_flat


@pytest.mark.parametrize("network", ["dense", "mixed"])
def test_the_first_flat_steps_run_beside_pythons(network: str, monkeypatch: pytest.MonkeyPatch):
    """Whichever way is faster: the same numbers."""
    make, x = NETWORKS[network]
    monkeypatch.setattr(flat_step, "TIMED", 2)
    found, wanted = both(monkeypatch, make, x, metrics=["accuracy"])
    assert found[0] == wanted[0] and found[2] == wanted[2]
    for a, b in zip(found[1], wanted[1], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("which", ["gradient", "log", "state"])
def test_a_program_of_other_bits_is_left(which: str, monkeypatch: pytest.MonkeyPatch):
    run = FlatProgram.run

    def run_otherwise(self: FlatProgram, arrays: Any) -> None:
        run(self, arrays)
        slots = {"gradient": self.results[:1], "log": self.results[-1:], "state": [s for _, s in self.assigned]}
        for slot in slots[which]:
            slot.array = np.nextafter(slot.array, np.inf, dtype=slot.array.dtype)

    monkeypatch.setattr(FlatProgram, "run", run_otherwise)
    monkeypatch.setattr(flat_step, "TIMED", 2)
    monkeypatch.setattr(flat_step.time, "process_time", lambda: 1.0)
    found, wanted = both(monkeypatch, dense, X)
    assert not ran_flat(found[3])
    for a, b in zip(found[1], wanted[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_kinds_of_batches_without_end_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flat_step, "SEEN", 0)
    monkeypatch.setattr(flat_step, "PROGRAMS", 2)
    model = dense()
    model.compile("sgd", sx.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    model.fit(((X[:n], Y[:n]) for n in (3, 4, 5, 6, 3, 5)), verbose=0)
    assert len(model._steps["train_step"].plain.programs) <= 2
