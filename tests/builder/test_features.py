"""Features of a frozen part, computed once and kept on disk: equal training, changes noticed, damage and misuse met."""

import io
import os
from pathlib import Path

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers
from sardonyx.builder import feature_store

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(40, 8)).astype(np.float32)
Y = DRAW.integers(0, 3, 40)


def body():
    return [
        layers.Dense(16, "relu", name="first"), layers.BatchNormalization(name="norm"),
        layers.Dense(6, "relu", name="second"),
    ]  # fmt: skip


def head():
    return [layers.Dropout(0.3, seed=5, name="drop"), layers.Dense(3, "softmax", name="head")]


def chain(parts, h):
    for layer in parts:
        h = layer(h)
    return h


def sequential():
    return sx.Sequential([sx.Input((8,)), *body(), *head()])


def functional():
    x = sx.Input((8,))
    return sx.Model(x, chain([*body(), *head()], x))


class Subclassed(sx.Model):
    def __init__(self):
        super().__init__()
        self.parts = [*body(), *head()]

    def call(self, inputs):
        return chain(self.parts, inputs)


def nested():
    x = sx.Input((8,))
    base = sx.Sequential([sx.Input((8,)), *body()], name="base")
    return sx.Model(x, chain(head(), base(x)))


def passes_input_on():
    x = sx.Input((8,))
    return sx.Model(x, chain(head(), layers.Concatenate()([chain(body(), x), x])))


def two_outputs():
    x = sx.Input((8,))
    h = chain(body(), x)
    return sx.Model(x, {"class": chain(head(), h), "features": h})


def loose():
    x = sx.Input((8,))
    weight = sx.Variable(X[:8, :5], name="loose")
    return sx.Model(x, chain(head(), sx.ops.relu(sx.ops.matmul(x, weight))))


MODELS = [sequential, functional, Subclassed, nested, passes_input_on, two_outputs, loose]


def frozen(make):
    sx.utils.set_random_seed(3)
    model = make()
    model(X[:2])
    model.freeze()
    model.unfreeze("head")
    loss = {"class": "sparse_categorical_crossentropy"} if make is two_outputs else "sparse_categorical_crossentropy"
    model.compile("adam", loss)
    return model


def trained(make, **options):
    model = frozen(make)
    y = {"class": Y, "features": np.zeros((40, 6))} if make is two_outputs else Y
    sx.utils.set_random_seed(4)
    history = model.fit(X, y, epochs=3, batch_size=16, verbose=0, **options)
    assert model.history is history
    return model, history.history


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_training_on_kept_features_is_the_same_training(make, tmp_path):
    model, expected = trained(make)
    twin, found = trained(make, cache_features=tmp_path / "features")
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-4)
    for a, b in zip(twin.weights, model.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-3, atol=1e-5)
    assert list((tmp_path / "features").iterdir())
    twin.export(tmp_path / "whole.onnx")
    assert sx.exporters.compare(twin, tmp_path / "whole.onnx", X)


def test_validation_and_callbacks_see_the_whole_model(tmp_path):
    seen = []
    checkpoint = sx.callbacks.ModelCheckpoint(tmp_path / "best.onnx", monitor="val_loss")
    spy = sx.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(sorted(logs)))
    model, _ = trained(
        functional, validation_data=(X[:8], Y[:8]), callbacks=[checkpoint, spy], cache_features=tmp_path / "features"
    )
    assert seen == [["loss", "val_loss"]] * 3 and spy.model is model
    best = sx.models.load_model(tmp_path / "best.onnx")
    assert best.predict(X, verbose=0).shape == (40, 3)
    assert len(list((tmp_path / "features").iterdir())) == 2  # training and validation
    trained(functional, validation_split=0.25, cache_features=True)


def test_they_are_computed_again_only_when_something_changed(tmp_path):
    def names():
        return {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}

    model = frozen(functional)
    features = sx.Model(model.input, model.get_layer("second").output)
    first = sx.utils.cached_predict(features, X, tmp_path)
    written = names()
    np.testing.assert_allclose(first, features.predict(X, verbose=0), rtol=1e-5)
    sx.utils.cached_predict(features, X.tolist(), tmp_path)
    model.get_layer("head").kernel.assign(model.get_layer("head").kernel * 2)
    sx.utils.cached_predict(features, X, tmp_path)
    assert names() == written or len(names()) == 2  # float64 lists are other data
    count = len(names())
    for change in (
        lambda: model.get_layer("second").bias.assign_add(np.ones(6, np.float32)),
        lambda: model.get_layer("norm").moving_mean.assign_add(np.ones(16, np.float32)),
    ):
        change()
        again = sx.utils.cached_predict(features, X, tmp_path)
        np.testing.assert_allclose(again, features.predict(X, verbose=0), rtol=1e-5)
        assert len(names()) == (count := count + 1)
    for data in (X[::-1], X[:20], X * 2):
        found = sx.utils.cached_predict(features, data, tmp_path)
        np.testing.assert_allclose(found, features.predict(data, verbose=0), rtol=1e-5)
        assert len(names()) == (count := count + 1)


def test_structures_are_kept():
    a, b = sx.Input((3,), name="a"), sx.Input((2,), name="b")
    model = sx.Model({"a": a, "b": b}, {"sum": layers.Dense(4)(a) + layers.Dense(4)(b), "product": [a * 2, b]})
    data = {"a": X[:, :3], "b": X[:, 3:5]}
    found, expected = sx.utils.cached_predict(model, data, "features"), model.predict(data, verbose=0)
    np.testing.assert_allclose(found["sum"], expected["sum"], rtol=1e-5)
    np.testing.assert_allclose(found["product"][0], expected["product"][0])
    assert not found["sum"].flags.writeable


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def as_npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def flipped(data):
    return data[:200] + bytes([data[200] ^ 1]) + data[201:]


def replaced_by_link(path: Path):
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def replaced_by_pipe(path: Path):
    path.unlink()
    os.mkfifo(path)


DAMAGE = [
    ("cut short", lambda p: p.write_bytes(p.read_bytes()[:-40])),
    ("longer", lambda p: p.write_bytes(p.read_bytes() + b"0")),
    ("empty", lambda p: p.write_bytes(b"")),
    ("one bit", lambda p: p.write_bytes(flipped(p.read_bytes()))),
    ("digest", lambda p: p.write_bytes(p.read_bytes()[:-1] + b"\0")),
    ("no digest", lambda p: p.write_bytes(as_npy(np.zeros((40, 6), np.float32)))),
    ("other shape", lambda p: p.write_bytes(as_npy(np.zeros((6, 40), np.float32)) + bytes(32))),
    ("other dtype", lambda p: p.write_bytes(as_npy(np.zeros((40, 6), np.int32)) + bytes(32))),
    ("by columns", lambda p: p.write_bytes(as_npy(np.zeros((40, 6), np.float32, order="F")) + bytes(32))),
    ("pickled", lambda p: p.write_bytes(as_npy(np.array([print] * 40, object), allow_pickle=True) + bytes(32))),
    ("code in the head", lambda p: p.write_bytes(p.read_bytes().replace(b"(40, 6)", b"exit(1)"))),
    ("endless head", lambda p: p.write_bytes(b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535)),
    ("version 3", lambda p: p.write_bytes(b"\x93NUMPY\x03\x00" + p.read_bytes()[8:])),
    ("text", lambda p: p.write_text("features")),
    ("link", replaced_by_link),
    ("pipe", replaced_by_pipe),
]


@pytest.mark.parametrize(("what", "damage"), DAMAGE, ids=[what for what, _ in DAMAGE])
def test_a_damaged_file_is_computed_again(what, damage, tmp_path):
    model = sx.Sequential([sx.Input((8,)), *body(), layers.Dense(6)])
    folder = tmp_path / "features"
    expected = sx.utils.cached_predict(model, X, folder).copy()
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    damage(path)
    np.testing.assert_array_equal(sx.utils.cached_predict(model, X, folder), expected)
    assert path.read_bytes() == whole and not path.is_symlink()


def test_a_failure_leaves_no_file(tmp_path, monkeypatch):
    model = sx.Sequential([sx.Input((8,)), layers.Dense(6)])
    calls = []

    def failing(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return np.zeros((len(args[0]), 6), np.float32)

    monkeypatch.setattr(model, "predict", failing)
    monkeypatch.setattr("sardonyx.builder.feature_training.largest_batch", lambda x: 16)
    with pytest.raises(KeyboardInterrupt):
        sx.utils.cached_predict(model, X, tmp_path / "features")
    assert list((tmp_path / "features").iterdir()) == []


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 100})()
    monkeypatch.setattr(feature_store.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match="the features of 40 samples take 0.0 GB.*has 0.0 GB left"):
        sx.utils.cached_predict(sequential(), X, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_clearing_leaves_other_files(tmp_path):
    (tmp_path / "features-notes.npy").write_bytes(b"mine")
    found = sx.utils.cached_predict(sequential(), X, tmp_path)
    assert sx.utils.clear_features(tmp_path) >= found.nbytes
    assert {path.name for path in tmp_path.iterdir()} == {"here", "features-notes.npy"}
    assert found.sum() == pytest.approx(40, rel=1e-4)  # what is open stays open
    assert sx.utils.clear_features(tmp_path / "none") == 0


class OwnStep(Subclassed):
    def train_step(self, data):
        return super().train_step(data)


class Branches(Subclassed):
    def call(self, inputs, training=False):
        h = chain(self.parts, inputs)
        return h * 1.5 if training else h


class AddsLoss(Subclassed):
    def call(self, inputs):
        h = chain(self.parts, inputs)
        self.add_loss(sx.ops.sum(h))
        return h


def with_first(layer):
    def make():
        x = sx.Input((8,))
        return sx.Model(x, chain([layer, *body(), *head()], x))

    return make


class Together(layers.Layer):
    def call(self, inputs):
        return inputs - sx.ops.mean(inputs, axis=0, keepdims=True)


def masked():
    x = sx.Input((8,))
    h = layers.Embedding(5, 4, mask_zero=True)(sx.ops.cast(x > 0, "int32"))
    return sx.Model(x, chain(head(), layers.LSTM(4, name="head_lstm")(h)))


def learning(model):
    model.unfreeze("first")


def nothing(model):
    pass


MISTAKES = [
    (with_first(layers.GaussianNoise(0.1)), nothing, {}, ValueError, r"\(GaussianNoise\) draws at random"),
    (with_first(layers.Dropout(0.1)), nothing, {}, ValueError, "do it once, before fit"),
    (functional, learning, {}, ValueError, "'first' .Dense. trains the weight 'first/kernel'"),
    (with_first(layers.BatchNormalization(scale=False, center=False, name="head_norm")),
     lambda m: m.unfreeze("head_norm"), {}, ValueError, "changes 'head_norm/moving_mean' while it trains"),
    (with_first(layers.ActivityRegularization(0.1)), nothing, {}, ValueError, "adds to the loss"),
    (with_first(Together()), nothing, {}, ValueError, "depend on the other samples of its batch"),
    (masked, lambda m: m.unfreeze("head*"), {}, ValueError, "carry a mask"),
    (OwnStep, nothing, {}, ValueError, "class OwnStep has a train_step of its own"),
    (Branches, nothing, {}, ValueError, "does other things in training than in inference"),
    (AddsLoss, nothing, {}, ValueError, "adds losses or assigns variables itself"),
    (functional, nothing, {"x": iter([])}, TypeError, "x must be arrays in memory"),
    (functional, nothing, {"validation_data": iter([(X, Y)])}, TypeError, "validation_data must be arrays in memory"),
    (functional, nothing, {"cache_features": 3}, TypeError, "expected its path, got 3"),
    (functional, nothing, {"cache_features": __file__}, NotADirectoryError, "is a file"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "change", "options", "kind", "message"), MISTAKES)
def test_what_cannot_be_kept_is_told(make, change, options, kind, message):
    model = frozen(make)
    change(model)
    before = [v.numpy() for v in model.weights]
    with pytest.raises(kind, match=message):
        model.fit(**{"x": X, "y": Y, "verbose": 0, "cache_features": "features", **options})
    for variable, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_nothing_may_be_freed_on_the_way(tmp_path):
    class Frees(sx.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.unfreeze("second")

    with pytest.raises(ValueError, match="frozen or freed while it trains on kept features"):
        trained(functional, cache_features=tmp_path / "features", callbacks=[Frees()])
