"""Classic mistakes in compile, fit, evaluate and predict, in every style: told with fix and line, nothing lost."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mistakes import IMAGES, LABELS, ONE_HOT, SERIES, TOKENS, Nets, X, Y, names_the_line
from styles import STYLES

import sardonyx as sx
from sardonyx import layers as L

ShapeError = sx.ShapeError
QUIET = {"verbose": 0}
NAN = np.where(np.arange(40)[:, None] == 7, np.nan, X).astype("float32")
LATE = np.where(np.arange(40) == 35, 3, LABELS)
LATE_TOKENS = np.where(np.arange(40)[:, None] == 35, 9, TOKENS)
SPARSE, DENSE, BINARY = "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"
Program = Callable[[Nets], Any]

# One row: the mistake, the wrong program, what is raised, words of the message, the program that the message asks for.
# fmt: off
MISTAKES: dict[str, tuple[Program, type[Exception], tuple[str, ...], Program]] = {
    # shapes of data
    "forgotten Flatten": (
        lambda net: net.images(L.Dense(1)).fit(IMAGES, Y, **QUIET), ShapeError,
        ("expected y_true and y_pred of one shape", "put Flatten()"),
        lambda net: net.images(L.Flatten(), L.Dense(1)).fit(IMAGES, Y, **QUIET)),
    "forgotten pooling before classes": (
        lambda net: net.images(L.Dense(3, activation="softmax"), loss=SPARSE).fit(IMAGES, LABELS, **QUIET), ShapeError,
        ("of shape (32, 6, 6)", "a global pooling layer"),
        lambda net: net.images(L.GlobalMaxPooling2D(), L.Dense(3, activation="softmax"), loss=SPARSE).fit(
            IMAGES, LABELS, **QUIET)),
    "channels first data": (
        lambda net: net.images(L.Flatten(), L.Dense(1)).fit(np.moveaxis(IMAGES, -1, 1), Y, **QUIET), ShapeError,
        ("expected", "(32, 3, 8, 8)", "channels first: pass np.moveaxis(x, 1, -1)"),
        lambda net: net.images(L.Flatten(), L.Dense(1)).fit(IMAGES, Y, **QUIET)),
    "one sample without a batch": (
        lambda net: net.dense().predict(X[0], **QUIET), ShapeError, ("got (4,)", "pass x[None]"),
        lambda net: net.dense().predict(X[0][None], **QUIET)),
    "columns are missing": (
        lambda net: net.dense().fit(X[:, :3], Y, **QUIET), ShapeError, ("expected", "4", "(32, 3)"),
        lambda net: net.dense().fit(X, Y, **QUIET)),
    "x and y differ in length": (
        lambda net: net.dense().fit(X, Y[:30], **QUIET), ValueError, ("different numbers of samples", "x: 40, y: 30"),
        lambda net: net.dense().fit(X[:30], Y[:30], **QUIET)),
    "evaluated with other targets": (
        lambda net: net.dense().evaluate(X, Y[:3], **QUIET), ValueError, ("x: 40, y: 3",),
        lambda net: net.dense().evaluate(X[:3], Y[:3], **QUIET)),
    "targets of two columns": (
        lambda net: net.dense().fit(X, X[:, :2], **QUIET), ShapeError, ("end the model with 2 units",),
        lambda net: net.dense(2).fit(X, X[:, :2], **QUIET)),
    "every step instead of the last": (
        lambda net: net(L.LSTM(2, return_sequences=True), L.Dense(3, activation="softmax"), shape=(5, 4),
                        loss=SPARSE).fit(SERIES, LABELS, **QUIET),
        ShapeError, ("of shape (32, 5)", "return_sequences=False"),
        lambda net: net(L.LSTM(2), L.Dense(3, activation="softmax"), shape=(5, 4), loss=SPARSE).fit(
            SERIES, LABELS, **QUIET)),
    "statistics stay when targets do not fit": (
        lambda net: net(L.BatchNormalization(), L.Dense(1)).fit(X, X, **QUIET), ShapeError, ("with 4 units",),
        lambda net: net(L.BatchNormalization(), L.Dense(4)).fit(X, X, **QUIET)),
    "validation data of another shape": (
        lambda net: net.dense().fit(X, Y, validation_data=(X[:, :3], Y), **QUIET), ShapeError, ("(32, 3)",),
        lambda net: net.dense().fit(X, Y, validation_data=(X, Y), **QUIET)),
    # labels
    "one-hot labels for the sparse loss": (
        lambda net: net.classes().fit(X, ONE_HOT, **QUIET), ShapeError, ("look one-hot", DENSE),
        lambda net: net.classes(DENSE).fit(X, ONE_HOT, **QUIET)),
    "class numbers for the dense loss": (
        lambda net: net.classes(DENSE).fit(X, LABELS, **QUIET), ShapeError, ("look like class numbers", SPARSE),
        lambda net: net.classes(SPARSE).fit(X, LABELS, **QUIET)),
    "binary loss for classes": (
        lambda net: net.classes(BINARY).fit(X, LABELS, **QUIET), ShapeError,
        ("gives 3 values a sample and there is one target", "SparseCategoricalCrossentropy"),
        lambda net: net.classes().fit(X, LABELS, **QUIET)),
    "labels from one": (
        lambda net: net.classes().fit(X, LABELS + 1, **QUIET), ValueError,
        ("from 0 to 2 for 3 outputs, got 1 to 3", "must be reduced by 1"),
        lambda net: net.classes().fit(X, LABELS, **QUIET)),
    "one label too high in the last batch": (
        lambda net: net.classes().fit(X, LATE, batch_size=8, shuffle=False, **QUIET), ValueError,
        ("got 0 to 3", "End the model with 4 units"),
        lambda net: net.dense(4, "softmax", loss=SPARSE).fit(X, LATE, batch_size=8, shuffle=False, **QUIET)),
    "labels of validation data": (
        lambda net: net.classes().fit(X, LABELS, validation_data=(X, LABELS + 1), **QUIET), ValueError,
        ("validation_data", "got 1 to 3"),
        lambda net: net.classes().fit(X, LABELS, validation_data=(X, LABELS), **QUIET)),
    "labels as text": (
        lambda net: net.classes().fit(X, np.array(["a", "b"] * 20), **QUIET), TypeError, ("real numbers", "encode"),
        lambda net: net.classes().fit(X, LABELS, **QUIET)),
    "fewer units than classes": (
        lambda net: net.dense(2, "softmax", loss=DENSE).fit(X, ONE_HOT, **QUIET), ShapeError,
        ("3 classes, the model gives 2", "with 3 units"),
        lambda net: net.dense(3, "softmax", loss=DENSE).fit(X, ONE_HOT, **QUIET)),
    # values
    "token without a row": (
        lambda net: net.words().fit(TOKENS + 1, Y, **QUIET), IndexError,
        ("embedding' (Embedding)", "from 0 to 8", "input_dim=10"),
        lambda net: net.words(10).fit(TOKENS + 1, Y, **QUIET)),
    "token without a row in the last batch": (
        lambda net: net.words().fit(LATE_TOKENS, Y, batch_size=8, shuffle=False, **QUIET), IndexError,
        ("got 0 to 9", "input_dim=10"),
        lambda net: net.words(10).fit(LATE_TOKENS, Y, batch_size=8, shuffle=False, **QUIET)),
    "negative token": (
        lambda net: net.words().fit(TOKENS - 1, Y, **QUIET), IndexError, ("got -1 to 7", "start at 0"),
        lambda net: net.words().fit(TOKENS, Y, **QUIET)),
    "measured values as tokens": (
        lambda net: net(L.Embedding(9, 4), L.Flatten(), L.Dense(1)).fit(X, Y, **QUIET), ValueError,
        ("expected token numbers", "use Dense"),
        lambda net: net(L.Dense(4), L.Dense(1)).fit(X, Y, **QUIET)),
    "NaN among the samples": (
        lambda net: net.dense().fit(NAN, Y, **QUIET), UserWarning, ("x holds 4 NaN", "np.nan_to_num"),
        lambda net: net.dense().fit(np.nan_to_num(NAN), Y, **QUIET)),
    "NaN among the targets": (
        lambda net: net.dense(4).fit(X, NAN, **QUIET), UserWarning, ("y holds 4 NaN", "leave those samples out"),
        lambda net: net.dense(4).fit(np.delete(X, 7, 0), np.delete(NAN, 7, 0), **QUIET)),
    # weights of samples and classes
    "weights for values, not samples": (
        lambda net: net.dense().fit(X, Y, sample_weight=np.ones((40, 3)), **QUIET), ShapeError,
        ("sample_weight of shape (32, 3)", "one weight for each sample"),
        lambda net: net.dense().fit(X, Y, sample_weight=np.ones(40), **QUIET)),
    "too few weights": (
        lambda net: net.dense().fit(X, Y, sample_weight=np.ones(3), **QUIET), ValueError, ("sample_weight: 3",),
        lambda net: net.dense().fit(X, Y, sample_weight=np.ones(40), **QUIET)),
    "class weights by name": (
        lambda net: net.classes().fit(X, LABELS, class_weight={"cat": 2.0}, **QUIET), ValueError,
        ("the keys are class numbers", "'cat'"),
        lambda net: net.classes().fit(X, LABELS, class_weight={0: 2.0}, **QUIET)),
    "weight of a class that does not exist": (
        lambda net: net.classes().fit(X, LABELS, class_weight={0: 1.0, 3: 2.0}, **QUIET), ValueError,
        ("class 3 does not exist", "0 to 2"),
        lambda net: net.classes().fit(X, LABELS, class_weight={0: 1.0, 2: 2.0}, **QUIET)),
    # compile
    "fit before compile": (
        lambda net: sx.Sequential([sx.Input((4,)), L.Dense(1)]).fit(X, Y), ValueError,
        ("not compiled", "compile(optimizer, loss) before fit()"),
        lambda net: net.dense().fit(X, Y, **QUIET)),
    "evaluate before compile": (
        lambda net: sx.Sequential([sx.Input((4,)), L.Dense(1)]).evaluate(X, Y), ValueError, ("before evaluate()",),
        lambda net: net.dense().evaluate(X, Y, **QUIET)),
    "name of the loss": (
        lambda net: net.dense().compile("sgd", "mean_squard_error"), ValueError,
        ("unknown loss", "did you mean 'mean_squared_error'"),
        lambda net: net.dense().compile("sgd", "mean_squared_error")),
    "name of the optimizer": (
        lambda net: net.dense().compile("adma", "mse"), ValueError, ("unknown optimizer", "'Adam'"),
        lambda net: net.dense().compile("adam", "mse")),
    "name of the metric": (
        lambda net: net.dense().compile("sgd", "mse", metrics=["acuracy"]), ValueError,
        ("unknown metric", "'Accuracy'"),
        lambda net: net.dense().compile("sgd", "mse", metrics=["accuracy"])),
    "loss of an output that is not there": (
        lambda net: [model := net.dense(), model.compile("sgd", ["mse", "mae"]), model.fit(X, Y, **QUIET)], ValueError,
        ("expected 1 entries", "got 2"),
        lambda net: net.dense(loss=["mse"]).fit(X, Y, **QUIET)),
    "one-hot metric for class numbers": (
        lambda net: net.classes(metrics=["categorical_accuracy"]).fit(X, LABELS, **QUIET), ShapeError,
        ("categorical_accuracy", "look like class numbers"),
        lambda net: net.classes(metrics=["sparse_categorical_accuracy"]).fit(X, LABELS, **QUIET)),
    "a loss without return": (
        lambda net: net.dense(loss=lambda y_true, y_pred: None).fit(X, Y, **QUIET), TypeError,
        ("returned None", "`return` missing"),
        lambda net: net.dense(loss=lambda y_true, y_pred: (y_true - y_pred) ** 2).fit(X, Y, **QUIET)),
    "nothing to train": (
        lambda net: net(L.Dense(1, trainable=False)).fit(X, Y, **QUIET), ValueError,
        ("fit would change nothing", "unfreeze()"),
        lambda net: net.dense().fit(X, Y, **QUIET)),
    "one optimizer for two models": (
        lambda net: [net.dense(optimizer=(adam := sx.optimizers.Adam())).fit(X, Y, **QUIET),
                     net.dense(optimizer=adam).train_on_batch(X, Y)],
        ValueError, ("is new since the optimizer was built", "use a new optimizer"),
        lambda net: net.dense(optimizer=sx.optimizers.Adam()).train_on_batch(X, Y)),
    # how data is given
    "validation split of a generator": (
        lambda net: net.dense().fit(((X, Y) for _ in range(2)), validation_split=0.2, **QUIET), ValueError,
        ("validation_split needs arrays", "validation_data"),
        lambda net: net.dense().fit(((X, Y) for _ in range(2)), validation_data=(X, Y), **QUIET)),
    "two inputs for one": (
        lambda net: net.dense().fit([X, X], Y, **QUIET), ShapeError, ("expected", "2"),
        lambda net: net.dense().fit(X, Y, **QUIET)),
    "two targets for one": (
        lambda net: net.dense().fit(X, [Y, Y], **QUIET), ValueError, ("y has 2 arrays, the model has one output",),
        lambda net: net.dense().fit(X, Y, **QUIET)),
    "no targets": (
        lambda net: net.dense().fit(X, **QUIET), ValueError, ("no targets came with the data",),
        lambda net: net.dense().fit(X, Y, **QUIET)),
    "epochs of nothing": (
        lambda net: net.dense().fit(X, Y, epochs=0, **QUIET), ValueError, ("epochs must be a positive integer",),
        lambda net: net.dense().fit(X, Y, epochs=1, **QUIET)),
    # weights
    "weights of another shape": (
        lambda net: net.dense().set_weights([np.ones((5, 1)), np.ones(1)]), ShapeError,
        ("/kernel' has shape (4, 1)", "(5, 1)"),
        lambda net: net.dense().set_weights([np.ones((4, 1)), np.ones(1)])),
    "too few arrays of weights": (
        lambda net: net.dense().set_weights([np.ones((4, 1))]), ValueError, ("expected 2 weights, got 1",),
        lambda net: net.dense().set_weights([np.ones((4, 1)), np.ones(1)])),
    "name of a layer": (
        lambda net: net(L.Dense(1, name="kind")).get_layer("knd"), ValueError, ("did you mean 'kind'?",),
        lambda net: net(L.Dense(1, name="kind")).get_layer("kind")),
}
# fmt: on
CALL = "inputs = layer(inputs)"  # in the subclassed style, the line may be that of `call`
KEPT_ITS_FIRST_MODEL = "one optimizer for two models"  # the first model is trained, as it should be


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_training_is_told_before_anything_changes(mistake: str, style: str):
    wrong, kind, words, right = MISTAKES[mistake]
    net = Nets(style)
    with pytest.raises(kind) as caught:
        wrong(net)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert names_the_line(message, wrong) or (style == "subclassed" and CALL in message), message
    if mistake == KEPT_ITS_FIRST_MODEL:
        net.made = net.made[1:]
    assert net.unchanged()
    right(Nets(style))
