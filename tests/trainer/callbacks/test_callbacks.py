"""What each callback does when a watched value takes a given course, and what it says to wrong arguments."""

import csv
import re

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import callbacks

X = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
Y = X[:, :1] * 2


class Played(sx.Sequential):
    """A model whose results follow a script; its weight counts the batches."""

    def __init__(self, script, name="value"):
        super().__init__([sx.Input((3,)), sx.layers.Dense(1, kernel_initializer="zeros")])
        self.script, self.key, self.place = iter(script), name, 0
        self.compile(sx.optimizers.SGD(1.0), "mse")

    def train_step(self, data):
        self.place += 1
        self.layers[-1].bias.assign([float(self.place)])
        return {self.key: next(self.script)}


def play(script, *watchers, name="value", batches=1, **options):
    model = Played(script, name)
    model.fit(
        X,
        Y,
        epochs=len(script) // batches,
        batch_size=-(-12 // batches),
        verbose=0,
        callbacks=list(watchers),
        **options,
    )
    return model


STOPPING = [
    ("falls for ever", [4.0, 3, 2, 1], {}, 4),
    ("rises at once", [1.0, 2, 3, 4], {}, 2),
    ("patience", [1.0, 2, 3, 4, 5], {"patience": 2}, 3),
    ("patience starts anew", [3.0, 4, 2, 3, 4, 5], {"patience": 2}, 5),
    ("too small a step", [1.0, 0.95, 0.9, 0.85], {"min_delta": 0.2, "patience": 2}, 3),
    ("upwards", [1.0, 2, 3, 2], {"mode": "max"}, 4),
    ("upwards falls", [3.0, 2, 1, 0], {"mode": "max"}, 2),
    ("baseline not met, still falling", [0.9, 0.8, 0.7, 0.6], {"baseline": 0.5, "patience": 2}, 4),
    ("baseline not met", [0.9, 0.95, 0.9, 0.9], {"baseline": 0.5, "patience": 2}, 2),
    ("baseline met", [0.9, 0.4, 0.3, 0.2], {"baseline": 0.5, "patience": 2}, 4),
    ("starts late", [1.0, 2, 3, 4, 5], {"start_from_epoch": 2}, 4),
]


@pytest.mark.parametrize(("script", "options", "epochs"), [c[1:] for c in STOPPING], ids=[c[0] for c in STOPPING])
def test_early_stopping(script, options, epochs):
    model = play(script, callbacks.EarlyStopping("value", **options))
    assert len(model.history.epoch) == epochs


@pytest.mark.parametrize(
    ("name", "stops"),
    [("val_acc", 2), ("accuracy", 2), ("auc", 2), ("top_k_recall", 2), ("loss", 4), ("mae", 4), ("val_loss", 4)],
)
def test_direction_follows_from_the_name(name, stops):
    assert len(play([4.0, 3, 2, 1], callbacks.EarlyStopping(name), name=name).history.epoch) == stops


def test_early_stopping_puts_the_best_weights_back(capsys):
    watcher = callbacks.EarlyStopping("value", patience=2, restore_best_weights=True, verbose=1)
    model = play([3.0, 1, 2, 2, 2], watcher)
    assert model.get_weights()[1].tolist() == [2.0]
    assert (watcher.best, watcher.best_epoch) == (1.0, 1)
    assert "stopped after epoch 4, best was epoch 2" in capsys.readouterr().out


def test_early_stopping_can_be_used_again():
    watcher = callbacks.EarlyStopping("value")
    assert len(play([1.0, 2, 3], watcher).history.epoch) == len(play([1.0, 2, 3], watcher).history.epoch) == 2


PLATEAUS = [
    ("improves", [4.0, 3, 2, 1], {"patience": 1}, [1.0] * 4),
    ("stays", [1.0] * 4, {"patience": 2, "factor": 0.5}, [1.0, 1.0, 1.0, 0.5]),
    ("stays for long", [1.0] * 6, {"patience": 1, "factor": 0.5}, [1, 1, 0.5, 0.25, 0.125, 0.0625]),
    ("cools down", [1.0] * 6, {"patience": 1, "factor": 0.5, "cooldown": 2}, [1, 1, 0.5, 0.5, 0.25, 0.25]),
    ("has a floor", [1.0] * 5, {"patience": 1, "factor": 0.5, "min_lr": 0.3}, [1, 1, 0.5, 0.3, 0.3]),
    ("small steps do not count", [1.0, 0.9, 0.8], {"patience": 1, "factor": 0.5, "min_delta": 0.5}, [1, 1, 0.5]),
]


@pytest.mark.parametrize(("script", "options", "rates"), [c[1:] for c in PLATEAUS], ids=[c[0] for c in PLATEAUS])
def test_reduce_on_plateau(script, options, rates):
    # the log holds the rate the epoch was trained with
    model = play(script, callbacks.ReduceLROnPlateau("value", **options))
    assert model.history.history["learning_rate"] == pytest.approx(rates)


@pytest.mark.peers
@pytest.mark.parametrize(("script", "options"), [c[1:3] for c in PLATEAUS], ids=[c[0] for c in PLATEAUS])
def test_reduce_on_plateau_equals_keras(script, options):
    keras = pytest.importorskip("keras")
    rates = []
    for library in (keras, sx):
        model = type("Model", (), {})()
        model.optimizer = type("Optimizer", (), {"learning_rate": np.float32(1.0)})()
        watcher = library.callbacks.ReduceLROnPlateau("value", mode="min", **options)
        watcher.set_model(model)
        watcher.on_train_begin()
        course = []
        for epoch, value in enumerate(script):
            watcher.on_epoch_end(epoch, {"value": value})
            course.append(float(model.optimizer.learning_rate))
        rates.append(course)
    assert rates[1] == pytest.approx(rates[0])


@pytest.mark.parametrize(
    "schedule", [lambda epoch: 1 / (epoch + 1), lambda epoch, rate: rate if epoch == 0 else rate * epoch / (epoch + 1)]
)
def test_learning_rate_scheduler(schedule):
    model = play([1.0] * 4, callbacks.LearningRateScheduler(schedule))
    assert model.history.history["learning_rate"] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])


def test_learning_rate_is_announced(capsys):
    play([1.0], callbacks.LearningRateScheduler(lambda epoch: 0.25, verbose=1))
    play([1.0, 1.0], callbacks.ReduceLROnPlateau("value", patience=1, verbose=1))
    text = capsys.readouterr().out
    assert (
        "epoch 1: learning rate 0.25" in text and "epoch 2: ReduceLROnPlateau lowers the learning rate to 0.1" in text
    )


def test_scheduler_lets_errors_of_the_schedule_through():
    with pytest.raises(TypeError, match="the schedule's own"):
        play([1.0], callbacks.LearningRateScheduler(failing_schedule))


def failing_schedule(epoch, rate):
    raise TypeError("the schedule's own")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_terminate_on_nan(value, capsys):
    model = play([1.0, value, 1.0, 1.0], callbacks.TerminateOnNaN(), name="loss", batches=4)
    assert model.place == 2
    assert f"batch 1: the loss is {value}; training stops" in capsys.readouterr().out


def test_history():
    history = play([3.0, 2.0, 1.0]).history
    assert (history.epoch, history.history) == ([0, 1, 2], {"value": [3.0, 2.0, 1.0]})


def test_every_hook_is_called_in_order():
    seen = []

    def noting(hook):
        return lambda *arguments: seen.append((hook, *[a for a in arguments if isinstance(a, int)]))

    watcher = callbacks.LambdaCallback(**{hook: noting(hook) for hook in callbacks.callback.HOOKS})
    model = sx.Sequential([sx.Input((3,)), sx.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=6, validation_data=(X, Y), verbose=0, callbacks=[watcher])
    steps = [(f"on_{mode}_batch_{at}", i) for mode in ("train",) for i in range(2) for at in ("begin", "end")]
    tests = [
        ("on_test_begin",),
        *[(f"on_test_batch_{at}", i) for i in range(2) for at in ("begin", "end")],
        ("on_test_end",),
    ]
    assert seen == [("on_train_begin",), ("on_epoch_begin", 0), *steps, *tests, ("on_epoch_end", 0), ("on_train_end",)]
    seen.clear()
    model.predict(X, batch_size=12, verbose=0, callbacks=watcher)
    assert [hook for hook, *_ in seen] == [
        "on_predict_begin",
        "on_predict_batch_begin",
        "on_predict_batch_end",
        "on_predict_end",
    ]


def test_own_callback_stops_training():
    class Stop(callbacks.Callback):
        def on_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    assert play([1.0] * 8, Stop(), batches=4).place == 2


def test_parameters_are_told():
    class Curious(callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.told = dict(self.params)

    watcher = Curious()
    play([1.0] * 6, watcher, batches=2)
    assert watcher.told == {"verbose": 0, "epochs": 3, "steps": 2}


def test_validation_results_reach_the_callbacks():
    seen = []
    model = sx.Sequential([sx.Input((3,)), sx.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    keep = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(list(logs)))
    model.fit(X, Y, validation_split=0.5, verbose=0, callbacks=[keep])
    assert seen == [["loss", "mae", "val_loss", "val_mae"]]


# -- files ---------------------------------------------------------------------------------------------------------


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    model = sx.Sequential([sx.Input((3,)), sx.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    first = model.fit(X, Y, epochs=2, verbose=0, callbacks=[callbacks.CSVLogger(path)]).history
    second = model.fit(
        X, Y, epochs=3, initial_epoch=2, verbose=0, callbacks=[callbacks.CSVLogger(path, append=True)]
    ).history
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert [float(row["loss"]) for row in rows] == first["loss"] + second["loss"]
    model.fit(X, Y, verbose=0, callbacks=[callbacks.CSVLogger(path, separator=";")])
    assert path.read_text().splitlines()[0] == "epoch;loss;mae"


def test_csv_logger_fills_what_an_epoch_lacks(tmp_path):
    path = tmp_path / "log.csv"
    model = sx.Sequential([sx.Input((3,)), sx.layers.Dense(1)])
    model.compile("sgd", "mse")
    options = {"epochs": 2, "verbose": 0, "validation_data": (X, Y), "validation_freq": [1]}
    model.fit(X, Y, callbacks=[callbacks.CSVLogger(path)], **options)
    assert [row["val_loss"] == "NA" for row in csv.DictReader(path.read_text().splitlines())] == [False, True]


CHECKPOINTS = [
    ("every epoch", [3.0, 2, 4], {}, ["1", "2", "3"]),
    ("the best", [3.0, 4, 2, 5], {"save_best_only": True}, ["1", "3"]),
    ("the highest", [3.0, 4, 2, 5], {"save_best_only": True, "mode": "max"}, ["1", "2", "4"]),
    ("below a threshold", [3.0, 2, 1, 5], {"save_best_only": True, "initial_value_threshold": 1.5}, ["3"]),
]


@pytest.mark.parametrize(("script", "options", "saved"), [c[1:] for c in CHECKPOINTS], ids=[c[0] for c in CHECKPOINTS])
def test_checkpoints(tmp_path, script, options, saved):
    path = tmp_path / "{epoch}.npz"
    play(script, callbacks.ModelCheckpoint(path, "value", save_weights_only=True, **options))
    assert sorted(file.stem for file in tmp_path.iterdir()) == saved


def test_checkpoints_of_batches_and_whole_models(tmp_path, capsys):
    watcher = callbacks.ModelCheckpoint(
        tmp_path / "{epoch:02d}-{batch}-{value:.1f}.npz", save_freq=3, save_weights_only=True, verbose=1
    )
    play([1.0, 2, 3, 4, 5, 6, 7, 8], watcher, batches=4)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["01-3-3.0.npz", "02-2-6.0.npz"]
    assert "epoch 1: saved" in capsys.readouterr().out
    model = sx.Sequential([sx.Input((3,)), sx.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0, callbacks=[callbacks.ModelCheckpoint(tmp_path / "whole.onnx", "loss")])
    loaded = sx.models.load_model(tmp_path / "whole.onnx")
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


# -- errors --------------------------------------------------------------------------------------------------------

ERRORS = [
    (
        lambda: callbacks.EarlyStopping(mode="up"),
        ValueError,
        'EarlyStopping: mode must be "auto", "min" or "max", got \'up\'',
    ),
    (lambda: callbacks.ReduceLROnPlateau(factor=1.0), ValueError, "factor must be below 1, got 1.0"),
    (
        lambda: callbacks.ModelCheckpoint("m.h5"),
        ValueError,
        "a model must be saved to a file that ends in .onnx, got 'm.h5'",
    ),
    (
        lambda: callbacks.ModelCheckpoint("m.onnx", save_weights_only=True),
        ValueError,
        "weights must be saved to a file",
    ),
    (
        lambda: callbacks.ModelCheckpoint("m.onnx", save_freq=0),
        ValueError,
        'save_freq must be "epoch" or a positive integer',
    ),
    (lambda: callbacks.LambdaCallback(on_epoch=print), ValueError, "'on_epoch' is no hook; hooks: on_train_begin"),
    (
        lambda: play([1.0], callbacks.LearningRateScheduler(lambda e: "a")),
        TypeError,
        "the schedule must return a number, got 'a'",
    ),
    (
        lambda: play([1.0], callbacks.ModelCheckpoint("{nothing}.onnx")),
        KeyError,
        "asks for 'nothing', which is not in the logs",
    ),
    (lambda: play([1.0], callbacks.CSVLogger("missing/folder/log.csv")), FileNotFoundError, "missing/folder/log.csv"),
    (lambda: callbacks.CallbackList([1]), TypeError, "callbacks: expected Callback objects, got 1 (int)"),
]


@pytest.mark.parametrize(("action", "kind", "message"), ERRORS)
def test_errors(action, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        action()


def test_missing_value_is_told():
    with pytest.warns(
        UserWarning, match="EarlyStopping: no 'val_loss' in the logs; there are: value; validation_data is needed"
    ):
        play([1.0], callbacks.EarlyStopping())
