"""Ten steps of training equal Keras: losses of every step and final weights, from the same initial weights."""

import numpy as np
import pytest

import sardonyx as sx

keras = pytest.importorskip("keras")
pytest.importorskip("jax")
pytestmark = pytest.mark.peers

STEPS, BATCH = 10, 8


def mlp(k):
    return k.Sequential([
        k.Input((6,)), k.layers.Dense(16, activation="relu", kernel_regularizer=k.regularizers.L2(1e-3)),
        k.layers.Dense(8, activation="tanh"), k.layers.Dense(3, activation="softmax"),
    ])  # fmt: skip


def cnn(k):
    x = inputs = k.Input((8, 8, 2))
    for filters in (4, 6):
        x = k.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = k.layers.BatchNormalization()(x)
        x = k.layers.Activation("relu")(x)
        x = k.layers.MaxPooling2D()(x)
    x = k.layers.Flatten()(x)
    return k.Model(inputs, k.layers.Dense(3)(x))


def lstm(k):
    inputs = k.Input((7, 5))
    x = k.layers.LSTM(6, return_sequences=True)(inputs)
    x = k.layers.LSTM(4)(x)
    return k.Model(inputs, k.layers.Dense(3)(x))


def transformer(k):
    tokens = k.Input((9,), dtype="int32")
    x = k.layers.Embedding(11, 8)(tokens)
    heads = k.ops.transpose(k.layers.Reshape((9, 3, 2, 4))(k.layers.Dense(24)(x)), (2, 0, 3, 1, 4))
    queries, keys, values = (heads[i] for i in range(3))
    scores = k.ops.matmul(queries, k.ops.transpose(keys, (0, 1, 3, 2))) / 2.0
    mixed = k.ops.transpose(k.ops.matmul(k.ops.softmax(scores), values), (0, 2, 1, 3))
    attended = k.layers.Dense(8)(k.layers.Reshape((9, 8))(mixed))
    x = k.layers.LayerNormalization()(k.layers.Add()([x, attended]))
    hidden = k.layers.Dense(8)(k.layers.Dense(16, activation="gelu")(x))
    x = k.layers.LayerNormalization()(x + hidden)
    return k.Model(tokens, k.layers.Dense(3)(k.layers.GlobalAveragePooling1D()(x)))


def attention(k):
    inputs = k.Input((7, 8))
    x = k.layers.LayerNormalization()(k.layers.Add()([inputs, k.layers.MultiHeadAttention(2, 4)(inputs, inputs)]))
    x = k.layers.Add()([x, k.layers.Dense(8)(k.layers.Dense(16, activation="gelu")(x))])
    return k.Model(inputs, k.layers.Dense(3)(k.layers.GlobalAveragePooling1D()(x)))


def data(shape, sparse):
    r = np.random.default_rng(3)
    if shape == (9,):
        x = r.integers(0, 11, (STEPS * BATCH, *shape)).astype("int32")
    else:
        x = r.normal(size=(STEPS * BATCH, *shape)).astype("float32")
    labels = r.integers(0, 3, STEPS * BATCH)
    return x, labels if sparse else np.eye(3, dtype="float32")[labels]


SPARSE_LOGITS = ("SparseCategoricalCrossentropy", {"from_logits": True})
CASES = [
    ("mlp-sgd", mlp, ("CategoricalCrossentropy", {}), ("SGD", {"learning_rate": 0.1, "momentum": 0.9}), (6,)),
    ("mlp-adamw", mlp, ("CategoricalCrossentropy", {}), ("AdamW", {"learning_rate": 0.01}), (6,)),
    ("cnn-adam", cnn, SPARSE_LOGITS, ("Adam", {"learning_rate": 0.01}), (8, 8, 2)),
    (
        "cnn-nesterov",
        cnn,
        SPARSE_LOGITS,
        ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
        (8, 8, 2),
    ),
    ("lstm-rmsprop", lstm, SPARSE_LOGITS, ("RMSprop", {"learning_rate": 0.01}), (7, 5)),
    ("transformer-adam", transformer, SPARSE_LOGITS, ("Adam", {"learning_rate": 0.005, "global_clipnorm": 1.0}), (9,)),
    ("attention-sgd", attention, SPARSE_LOGITS, ("SGD", {"learning_rate": 0.1, "momentum": 0.9}), (7, 8)),
]


def pair(make, loss, optimizer, shape):
    """The same compiled model in both libraries, with the same weights, and data for it."""
    ours, theirs = make(sx), make(keras)
    ours.set_weights(theirs.get_weights())
    for library, model in ((sx, ours), (keras, theirs)):
        model.compile(
            getattr(library.optimizers, optimizer[0])(**optimizer[1]), getattr(library.losses, loss[0])(**loss[1]),
            metrics=["accuracy"],
        )  # fmt: skip
    return ours, theirs, *data(shape, loss is SPARSE_LOGITS)


def assert_same_weights(ours, theirs):
    for variable, mine, expected in zip(theirs.weights, ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-4, err_msg=variable.path)


@pytest.mark.parametrize(
    ("make", "loss", "optimizer", "shape"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_ten_single_steps(make, loss, optimizer, shape):
    ours, theirs, x, y = pair(make, loss, optimizer, shape)
    initial = ours.get_weights()
    for step in range(STEPS):
        batch = slice(step * BATCH, (step + 1) * BATCH)
        ours.reset_metrics()
        theirs.reset_metrics()
        expected = theirs.train_on_batch(x[batch], y[batch], return_dict=True)
        mine = ours.train_on_batch(x[batch], y[batch], return_dict=True)
        assert set(mine) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(mine[name], value, rtol=1e-4, atol=1e-4, err_msg=f"{name} of step {step}")
    assert_same_weights(ours, theirs)
    assert max(np.abs(a - b).max() for a, b in zip(initial, ours.get_weights(), strict=True)) > 1e-2


@pytest.mark.parametrize(("make", "loss", "optimizer", "shape"), [CASES[1][1:], CASES[2][1:]], ids=["mlp", "cnn"])
def test_fit_evaluate_predict(make, loss, optimizer, shape):
    ours, theirs, x, y = pair(make, loss, optimizer, shape)
    weights = np.random.default_rng(0).uniform(0.5, 2, len(x)).astype("float32")
    options = {"batch_size": 12, "epochs": 2, "shuffle": False, "verbose": 0, "validation_split": 0.25}
    expected = theirs.fit(x, y, sample_weight=weights, **options).history
    mine = ours.fit(x, y, sample_weight=weights, **options).history
    assert set(mine) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(mine[name], values, rtol=1e-4, atol=1e-4, err_msg=name)
    assert_same_weights(ours, theirs)
    np.testing.assert_allclose(ours.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-4, atol=1e-4)


def test_several_outputs_with_losses_and_weights_by_name():
    def make(k):
        x = k.Input((6,))
        hidden = k.layers.Dense(5, activation="tanh")(x)
        return k.Model(
            x, {"kind": k.layers.Dense(3, name="kind")(hidden), "size": k.layers.Dense(1, name="size")(hidden)}
        )

    ours, theirs = make(sx), make(keras)
    ours.set_weights(theirs.get_weights())
    r = np.random.default_rng(1)
    x = r.normal(size=(40, 6)).astype("float32")
    y = {"kind": r.integers(0, 3, 40), "size": r.normal(size=(40, 1)).astype("float32")}
    for k, model in ((sx, ours), (keras, theirs)):
        losses = {"kind": k.losses.SparseCategoricalCrossentropy(from_logits=True), "size": "mse"}
        model.compile(
            "sgd", losses, loss_weights={"kind": 0.3, "size": 2.0}, metrics={"kind": ["accuracy"], "size": ["mae"]}
        )
    expected = theirs.fit(x, y, epochs=2, shuffle=False, verbose=0, batch_size=16).history
    mine = ours.fit(x, y, epochs=2, shuffle=False, verbose=0, batch_size=16).history
    assert set(mine) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(mine[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    assert_same_weights(ours, theirs)
