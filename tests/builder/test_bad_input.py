"""What bad input to training gets: an error of the right type that says what was expected, before work is lost."""

import re

import numpy as np
import pytest

import sardonyx as sx

R = np.random.default_rng(0)
X = R.normal(size=(20, 6)).astype("float32")
Y = R.normal(size=(20, 1)).astype("float32")
LABELS = np.arange(20) % 3
ShapeError = sx.trainer.core.errors.ShapeError


def regression(**options):
    model = sx.Sequential([sx.Input((6,), name="features"), sx.layers.Dense(1, name="size")], name="net")
    model.compile("sgd", "mse", **options)
    return model


def classifier(loss="sparse_categorical_crossentropy"):
    model = sx.Sequential([sx.Input((6,)), sx.layers.Dense(3, activation="softmax", name="kind")])
    model.compile("sgd", loss)
    return model


def fit(*data, model=regression, **options):
    return model().fit(*data, verbose=0, **options)


def generator(count, size=4):
    for _ in range(count):
        yield X[:size], Y[:size]


class Empty:
    def __len__(self):
        return 0

    def __getitem__(self, i):
        raise IndexError(i)

    def on_epoch_end(self):
        pass


def compiled(*arguments, **options):
    return lambda: regression().compile(*arguments, **options)


def uncompiled():
    return sx.Sequential([sx.Input((6,)), sx.layers.Dense(1)], name="raw")


def compiled_without_loss():
    model = uncompiled()
    model.compile("sgd")
    return model


def own_step(result):
    class Own(sx.Sequential):
        def train_step(self, data):
            return result

    model = Own([sx.Input((6,)), sx.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


CASES = [
    # rank, size, dtype, structure
    (
        "too high a rank",
        lambda: fit(X[:, :, None, None], Y),
        ShapeError,
        "layer 'net' (Sequential): input 'features': expected shape (batch, 6), got (20, 6, 1, 1)",
    ),
    ("wrong size", lambda: fit(X[:, :5], Y), ShapeError, "expected shape (batch, 6), got (20, 5)"),
    (
        "single sample",
        lambda: regression().predict(X[0], verbose=0),
        ShapeError,
        "got (6,); the batch axis is missing: pass x[None]",
    ),
    (
        "wrong size to predict",
        lambda: regression().predict(X[:, :5], verbose=0),
        ShapeError,
        "'features': expected shape (batch, 6)",
    ),
    ("text", lambda: fit(np.full((20, 6), "a"), Y), TypeError, "x: expected real numbers, got an array of dtype <U1"),
    ("dates", lambda: fit(np.zeros((20, 6), "datetime64[s]"), Y), TypeError, "got an array of dtype datetime64[s]"),
    ("complex numbers", lambda: fit(X.astype("complex64"), Y), TypeError, "x: expected real numbers"),
    (
        "objects",
        lambda: fit(np.full(20, None), Y),
        TypeError,
        "x: expected arrays of numbers of one shape, got ndarray",
    ),
    ("ragged rows", lambda: fit([[1.0, 2.0], [1.0]], Y[:2]), ValueError, "x: expected rows of one length"),
    (
        "single number",
        lambda: fit(X, Y, sample_weight=2.0),
        ValueError,
        "is a single number; expected an array with one row",
    ),
    ("two inputs for one", lambda: fit([X, X], Y), ShapeError, "expected one input, got 2 tensors"),
    ("two targets for one", lambda: fit(X, [Y, Y]), ValueError, "y has 2 arrays, the model has one output"),
    (
        "wrong target name",
        lambda: fit(X, {"siz": Y}),
        ValueError,
        "y has the key 'siz', which is no output of the model; outputs: ['size']",
    ),
    (
        "wrong weight name",
        lambda: fit(X, Y, sample_weight={"siz": Y[:, 0]}),
        ValueError,
        "sample_weight has the key 'siz'",
    ),
    (
        "data of no kind",
        lambda: fit(object(), Y),
        TypeError,
        "data of type object: expected arrays, a dataset, a generator",
    ),
    ("a file name", lambda: fit("data.csv", Y), TypeError, "data of type str"),
    # data that does not match
    ("fewer targets", lambda: fit(X, Y[:5]), ValueError, "arrays of different numbers of samples: x: 20, y: 5"),
    ("fewer weights", lambda: fit(X, Y, sample_weight=np.ones(3)), ValueError, "x: 20, y: 20, sample_weight: 3"),
    ("fewer targets in a batch", lambda: regression().train_on_batch(X, Y[:3]), ValueError, "x: 20, y: 3"),
    ("fewer targets from a generator", lambda: fit(iter([(X, Y[:3])])), ShapeError, "The numbers of samples differ"),
    (
        "four parts",
        lambda: fit(iter([(X, Y, Y, Y)])),
        ValueError,
        "a batch is x, (x, y) or (x, y, sample_weight); got 4 parts",
    ),
    (
        "target size",
        lambda: fit(X, np.zeros((20, 4))),
        ShapeError,
        "The targets have 4 values in the last axis, the model gives 1",
    ),
    (
        "no targets",
        lambda: fit(X),
        ValueError,
        "model 'net': compile() was given a loss, but no targets came with the data",
    ),
    (
        "targets beside a generator",
        lambda: fit(generator(3), Y),
        ValueError,
        "x is a generator that yields whole batches",
    ),
    # labels
    (
        "labels from one",
        lambda: fit(X, LABELS + 1, model=classifier),
        ValueError,
        "class numbers go from 0 to 2 for 3 outputs, got 1 to 3",
    ),
    ("negative labels", lambda: fit(X, LABELS - 1, model=classifier), ValueError, "got -1 to 1"),
    (
        "one-hot for sparse",
        lambda: fit(X, np.eye(3)[LABELS], model=classifier),
        ShapeError,
        "The targets look one-hot: use the dense form",
    ),
    (
        "sparse for one-hot",
        lambda: fit(X, LABELS, model=lambda: classifier("categorical_crossentropy")),
        ShapeError,
        "use the sparse form",
    ),
    (
        "classes",
        lambda: fit(X, np.eye(4)[LABELS], model=lambda: classifier("categorical_crossentropy")),
        ShapeError,
        "The targets have 4 classes, the model gives 3",
    ),
    # empty data, data that ends early
    ("no data", lambda: fit(None, Y), ValueError, "no data: x is None"),
    ("no samples", lambda: fit(X[:0], Y[:0]), ValueError, "empty data: x has 0 samples"),
    ("no samples to evaluate", lambda: regression().evaluate(X[:0], Y[:0], verbose=0), ValueError, "empty data"),
    ("no samples to predict", lambda: regression().predict(X[:0], verbose=0), ValueError, "empty data"),
    ("empty list", lambda: fit([], []), ValueError, "no data: x is None or empty"),
    ("empty dataset", lambda: fit(Empty()), ValueError, "empty data: Empty has 0 batches"),
    ("empty generator", lambda: fit(generator(0)), RuntimeError, "the data yielded no batch"),
    (
        "empty generator to predict",
        lambda: regression().predict(generator(0), verbose=0),
        RuntimeError,
        "the data yielded no batch",
    ),
    (
        "generator ends early",
        lambda: fit(generator(3), steps_per_epoch=5),
        RuntimeError,
        "the data ran out after 3 of 5 steps of this epoch (steps_per_epoch=5)",
    ),
    (
        "generator ends early later",
        lambda: fit(generator(3), epochs=2, steps_per_epoch=2),
        RuntimeError,
        "after 1 of 2 steps",
    ),
    (
        "evaluation ends early",
        lambda: regression().evaluate(generator(3), steps=5, verbose=0),
        RuntimeError,
        "(steps=5)",
    ),
    (
        "validation ends early",
        lambda: fit(X, Y, validation_data=generator(1), validation_steps=3),
        RuntimeError,
        "(validation_steps=3)",
    ),
    (
        "one pass for two epochs",
        lambda: fit(generator(3), epochs=2),
        ValueError,
        "an iterator gives its batches once and cannot serve 2 epochs",
    ),
    (
        "one pass for two validations",
        lambda: fit(X, Y, epochs=2, validation_data=generator(3)),
        ValueError,
        "or validation_steps with an endless generator",
    ),
    # validation
    *[
        (
            f"split {split!r}",
            lambda split=split: fit(X, Y, validation_split=split),
            ValueError,
            f"validation_split must lie between 0 and 1, got {split!r}",
        )
        for split in (1.0, -0.1, 3, "0.2", True)
    ],
    (
        "split leaves nothing",
        lambda: fit(X[:2], Y[:2], validation_split=0.9),
        ValueError,
        "leaves one part without samples",
    ),
    (
        "split of a generator",
        lambda: fit(generator(3), validation_split=0.2),
        ValueError,
        "validation_split needs arrays",
    ),
    ("validation data's size", lambda: fit(X, Y, validation_data=(X[:, :3], Y)), ShapeError, "got (20, 3)"),
    ("validation data's length", lambda: fit(X, Y, validation_data=(X, Y[:3])), ValueError, "x: 20, y: 3"),
    ("validation data's parts", lambda: fit(X, Y, validation_data=(X, Y, Y, Y)), ValueError, "got 4 parts"),
    (
        "validation frequency",
        lambda: fit(X, Y, validation_data=(X, Y), validation_freq=0),
        ValueError,
        "validation_freq must be a positive integer or a list",
    ),
    # numbers
    *[
        (f"{name}={value!r}", lambda name=name, value=value: fit(X, Y, **{name: value}), ValueError, f"{name} must be")
        for name, value in [
            ("epochs", 0),
            ("epochs", 1.5),
            ("epochs", True),
            ("batch_size", 0),
            ("batch_size", True),
            ("batch_size", 2.5),
            ("steps_per_epoch", 0),
            ("steps_per_epoch", "3"),
            ("initial_epoch", -1),
            ("shuffle", "yes"),
        ]
    ],
    ("verbosity", lambda: regression().fit(X, Y, verbose="loud"), ValueError, 'verbose must be "auto", 0, 1 or 2'),
    # unknown names
    (
        "loss",
        compiled("sgd", "mean_squard_error"),
        ValueError,
        "unknown loss 'mean_squard_error'; did you mean 'mean_squared_error'",
    ),
    ("optimizer", compiled("adm", "mse"), ValueError, "unknown optimizer 'adm'; did you mean 'Adam'"),
    (
        "metric",
        compiled("sgd", "mse", metrics=["acuracy"]),
        ValueError,
        "unknown metric 'acuracy'; did you mean 'Accuracy'",
    ),
    (
        "metric of an output",
        compiled("sgd", "mse", metrics={"size": "acuracy"}),
        ValueError,
        "unknown metric 'acuracy'",
    ),
    (
        "loss's output",
        compiled("sgd", {"siz": "mse"}),
        ValueError,
        "loss: the model has no output 'siz'; did you mean 'size'?",
    ),
    (
        "metric's output",
        compiled("sgd", "mse", metrics={"siz": "mae"}),
        ValueError,
        "metrics: the model has no output 'siz'",
    ),
    (
        "weight's output",
        compiled("sgd", "mse", loss_weights={"siz": 1}),
        ValueError,
        "loss_weights: the model has no output 'siz'",
    ),
    (
        "two losses",
        compiled("sgd", ["mse", "mae"]),
        ValueError,
        "loss: expected 1 entries, one for each output ['size']; got 2",
    ),
    ("loss weight", compiled("sgd", "mse", loss_weights="a"), ValueError, "loss_weights: expected numbers, got 'a'"),
    ("loss of no kind", compiled("sgd", 3), TypeError, "expected a loss: a name"),
    ("optimizer of no kind", compiled(3, "mse"), TypeError, "expected an optimizer: a name"),
    ("no optimizer", compiled(None, "mse"), ValueError, "optimizer is None"),
    (
        "activation",
        lambda: sx.layers.Dense(3, activation="rellu"),
        ValueError,
        "unknown activation 'rellu'; did you mean 'relu'",
    ),
    (
        "initializer",
        lambda: sx.layers.Dense(3, kernel_initializer="glorot"),
        ValueError,
        "unknown initializer 'glorot'; did you mean 'GlorotNormal'",
    ),
    (
        "regularizer",
        lambda: sx.layers.Dense(3, kernel_regularizer="l3"),
        ValueError,
        "unknown regularizer 'l3'; did you mean 'l2'",
    ),
    (
        "constraint",
        lambda: sx.layers.Dense(3, kernel_constraint="maxnorm2"),
        ValueError,
        "unknown constraint 'maxnorm2'; did you mean 'MaxNorm'",
    ),
    (
        "layer",
        lambda: sx.layers.deserialize({"class_name": "Dens", "config": {}}),
        ValueError,
        "'Dens' is not known here; did you mean 'Dense'?",
    ),
    (
        "runtime",
        lambda: regression().predict(X, runtime="gpu", verbose=0),
        ValueError,
        "runtime must be one of 'auto', 'onnxruntime', 'numpy'",
    ),
    # class weights
    (
        "class weights as list",
        lambda: fit(X, LABELS, model=classifier, class_weight=[1, 2, 3]),
        ValueError,
        "expected a dictionary from class numbers to weights",
    ),
    (
        "no class weights",
        lambda: fit(X, LABELS, model=classifier, class_weight={}),
        ValueError,
        "expected a dictionary",
    ),
    (
        "class by name",
        lambda: fit(X, LABELS, model=classifier, class_weight={"a": 1}),
        ValueError,
        "the keys are class numbers, integers from 0; got 'a'",
    ),
    ("negative class", lambda: fit(X, LABELS, model=classifier, class_weight={-1: 1}), ValueError, "got -1"),
    (
        "weight is text",
        lambda: fit(X, LABELS, model=classifier, class_weight={0: "a"}),
        ValueError,
        "the weight of class 0 must be a number",
    ),
    (
        "class weights for numbers",
        lambda: fit(X, Y, class_weight={0: 1}),
        ValueError,
        "the targets are no class numbers",
    ),
    ("class weights without labels", lambda: fit(X, class_weight={0: 1}), ValueError, "a single array of labels"),
    # compile, steps, callbacks
    *[
        (
            f"{name} before compile",
            lambda name=name: getattr(uncompiled(), name)(X, Y),
            ValueError,
            f"model 'raw' is not compiled: call compile(optimizer, loss) before {name}()",
        )
        for name in ("fit", "evaluate", "train_on_batch", "test_on_batch")
    ],
    (
        "no loss",
        lambda: fit(X, Y, model=compiled_without_loss),
        ValueError,
        "model 'raw': there is nothing to minimise",
    ),
    (
        "step gives nothing",
        lambda: own_step(None).fit(X, Y, verbose=0),
        TypeError,
        "return a dictionary of numbers by name, or a loss; 'loss' is None",
    ),
    (
        "callback of no kind",
        lambda: fit(X, Y, callbacks=["stop"]),
        TypeError,
        "callbacks: expected Callback objects, got 'stop' (str)",
    ),
    (
        "callback's class",
        lambda: fit(X, Y, callbacks=[sx.callbacks.EarlyStopping]),
        TypeError,
        "make an object of the class by calling it",
    ),
]


@pytest.mark.parametrize(("action", "kind", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_bad_input(action, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        action()


def test_nan_loss_ends_training_at_once(capsys):
    poisoned = X.copy()
    poisoned[5] = np.nan
    model = regression()
    stop = sx.callbacks.TerminateOnNaN()
    with pytest.warns(UserWarning, match="x holds 6 NaN"):
        history = model.fit(poisoned, Y, batch_size=4, shuffle=False, epochs=3, verbose=0, callbacks=[stop])
    assert history.epoch == [0] and np.isnan(history.history["loss"][0])
    assert int(model.optimizer.iterations.numpy()) == 2
    assert "batch 1: the loss is nan; training stops" in capsys.readouterr().out


def test_a_step_may_return_the_loss_alone():
    assert own_step(sx.ops.convert_to_tensor(2.0)).fit(X, Y, verbose=0).history == {"loss": [2.0]}


@pytest.mark.parametrize(
    "bad", [{"validation_data": (X, Y[:3])}, {"validation_freq": 0}, {"callbacks": ["x"]}, {"epochs": 0}]
)
def test_nothing_is_trained_before_an_error(bad):
    model = regression()
    before = model.get_weights()
    with pytest.raises((ValueError, TypeError)):
        model.fit(X, Y, verbose=0, **bad)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
