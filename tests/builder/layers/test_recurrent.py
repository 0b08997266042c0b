"""Recurrent layers: cells, RNN, SimpleRNN, LSTM, GRU."""

import json

import numpy as np
import pytest
from layer_cases import check_layer, generated, layer_case

import sardonyx as sx
from sardonyx.exporters.convert import run_graph
from sardonyx.trainer.core.errors import ShapeError

KEPT = np.array([[1, 1, 1, 1, 0], [1, 0, 1, 0, 0], [0, 1, 1, 1, 1]], bool)
SHAPE = (3, 5, 2)
LAST, WHOLE = (3, 4), (3, 5, 4)
MASKED = {"mask": sx.Tensor(KEPT)}
KINDS = ("GRU", "LSTM", "SimpleRNN")


def cases_of(kind):
    def case(config, shape=LAST, **more):
        # a given mask has a batch of its own size; weights belong to the cell and have a test of their own
        skip = ("weights", "symbolic") if "arguments" in more else ("weights",)
        return layer_case(kind, {"units": 4, **config}, SHAPE, shape, skip=skip, **more)

    return [
        case({}, free=(1,)),
        case({"return_sequences": True}, WHOLE, free=(1,)),
        case({"go_backwards": True}),
        case({"go_backwards": True, "return_sequences": True}, WHOLE, free=(1,)),
        case({"use_bias": False, "activation": "relu"}),
        case({}, arguments=MASKED, label="mask"),
        case({"return_sequences": True}, WHOLE, arguments=MASKED, label="mask-sequences"),
        case({"return_sequences": True, "zero_output_for_mask": True}, WHOLE, arguments=MASKED, label="mask-zero"),
        case({"go_backwards": True, "return_sequences": True}, WHOLE, arguments=MASKED, label="mask-backwards"),
        case({"dropout": 0.5}, training="random"),
        case({"recurrent_dropout": 0.5, "return_sequences": True}, WHOLE, training="random"),
    ]


CASES = [
    *(case for kind in KINDS for case in cases_of(kind)),
    layer_case("GRU", {"units": 4, "reset_after": False}, SHAPE, LAST, skip=("weights",), free=(1,)),
    layer_case("GRU", {"units": 4, "reset_after": False, "recurrent_activation": "hard_sigmoid"},
               SHAPE, LAST, skip=("weights",)),
    layer_case("LSTM", {"units": 4, "recurrent_activation": "hard_sigmoid", "unit_forget_bias": False},
               SHAPE, LAST, skip=("weights",)),
]  # fmt: skip


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_layer(item, check):
    check_layer(item, check)


def cells(library, names):
    kinds = {"s": "SimpleRNNCell", "l": "LSTMCell", "g": "GRUCell"}
    made = [getattr(library.layers, kinds[name])(3 + i) for i, name in enumerate(names)]
    return made[0] if len(made) == 1 else made


def seeded(weights):
    generator = np.random.default_rng(3)
    return [generator.uniform(-1, 1, w.shape).astype("float32") for w in weights]


def _flat(values):
    return [y for x in values for y in _flat(x)] if isinstance(values, (list, tuple)) else [np.asarray(values)]


@pytest.mark.parametrize(("kind", "gates", "bias"), [("SimpleRNN", 1, (4,)), ("LSTM", 4, (16,)), ("GRU", 3, (2, 12))])
def test_weights(kind, gates, bias):
    layer = getattr(sx.layers, kind)(4, name="r")
    layer(X)
    expected = {"kernel": (2, 4 * gates), "recurrent_kernel": (4, 4 * gates), "bias": bias}
    assert {v.path: v.shape for v in layer.weights} == {f"r/{layer.cell.name}/{k}": v for k, v in expected.items()}


X = np.random.default_rng(0).uniform(-2, 2, SHAPE).astype("float32")


@pytest.mark.peers
@pytest.mark.parametrize(
    ("names", "mask", "options"),
    [
        ("s", None, {}), ("l", KEPT, {}), ("g", None, {"return_sequences": True}), ("sg", KEPT, {}),
        ("lgs", None, {"go_backwards": True, "return_sequences": True}), ("ll", None, {}),
        ("lgs", KEPT, {"go_backwards": True, "return_sequences": True}),
        ("gl", KEPT, {"zero_output_for_mask": True, "return_sequences": True}),
    ],
)  # fmt: skip
def test_cells_over_time_equal_keras(names, mask, options):
    keras = pytest.importorskip("keras")
    ours = sx.layers.RNN(cells(sx, names), return_state=True, **options)
    theirs = keras.layers.RNN(cells(keras, names), return_state=True, **options)
    ours(X), theirs(X)
    assert [(v.name, tuple(v.shape)) for v in ours.weights] == [(v.name, tuple(v.shape)) for v in theirs.weights]
    ours.set_weights(seeded(ours.get_weights()))
    theirs.set_weights(ours.get_weights())
    for a, b in zip(_flat(ours(X, mask=mask)), _flat(theirs(X, mask=mask)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("names", ["s", "l", "g", "lg"])
@pytest.mark.parametrize("mask", [None, KEPT])
@pytest.mark.parametrize("backwards", [False, True])
def test_cells_over_a_time_of_any_length_are_a_scan(names, mask, backwards):
    layer = sx.layers.RNN(cells(sx, names), return_sequences=True, go_backwards=backwards)
    expected = np.asarray(layer(X, mask=mask))
    specs = [sx.TensorSpec(("batch", "time", 2), "float32")]
    values = [X]
    if mask is not None:
        specs, values = [*specs, sx.TensorSpec(("batch", "time"), "bool")], [X, mask]
    graph = sx.trace(lambda x, m=None: layer(x, mask=m), *specs)
    np.testing.assert_allclose(np.asarray(graph.run(*values)), expected, atol=1e-5)
    np.testing.assert_allclose(run_graph(graph, *values)[0], expected, atol=1e-5)


@pytest.mark.peers
@pytest.mark.parametrize("kind", KINDS)
def test_states_equal_keras(kind):
    keras = pytest.importorskip("keras")
    ours = getattr(sx.layers, kind)(4, return_state=True, return_sequences=True)
    theirs = getattr(keras.layers, kind)(4, return_state=True, return_sequences=True)
    ours(X), theirs(X)
    theirs.set_weights(ours.get_weights())
    start = [np.random.default_rng(i).normal(size=(3, 4)).astype("float32") for i in range(len(ours.state_size))]
    given = start if len(start) > 1 else start[0]
    for a, b in zip(ours(X, initial_state=given), theirs(X, initial_state=given), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-5)


@pytest.mark.parametrize("kind", [*KINDS, "RNN"])
def test_stateful_goes_on_where_the_last_batch_ended(kind):
    def make(stateful):
        if kind == "RNN":
            return sx.layers.RNN(sx.layers.GRUCell(4), stateful=stateful)
        return getattr(sx.layers, kind)(4, stateful=stateful)

    kept, plain = make(True), make(False)
    kept(X), plain(X)
    plain.set_weights(kept.get_weights())
    kept.reset_state()
    whole = np.asarray(plain(X))
    kept(X[:, :2])
    np.testing.assert_allclose(np.asarray(kept(X[:, 2:])), whole, atol=1e-6)
    kept.reset_states()
    np.testing.assert_allclose(np.asarray(kept(X)), whole, atol=1e-6)
    assert len(kept.weights) == 3
    with pytest.raises(ShapeError, match="the kept states are those of a batch of 3, got a batch of 2"):
        kept(X[:2])


def test_forget_gate_begins_open():
    layer = sx.layers.LSTM(2)
    layer(X)
    assert layer.cell.bias.numpy().tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


def test_recurrent_dropout_drops_the_same_units_in_all_steps():
    layer = sx.layers.SimpleRNN(
        50, "linear", recurrent_dropout=0.5, return_sequences=True, kernel_initializer="zeros",
        recurrent_initializer="identity", seed=1,
    )  # fmt: skip
    result = np.asarray(layer(np.zeros((1, 3, 2), "float32"), initial_state=np.ones((1, 50), "float32"), training=True))
    assert set(np.unique(result[0, 2]).tolist()) == {0.0, 8.0}


@pytest.mark.parametrize("kind", KINDS)
def test_configuration_gives_back_every_argument(kind):
    given = {
        "units": 4, "activation": "relu", "dropout": 0.1, "recurrent_dropout": 0.2, "seed": 3, "return_state": True,
        "kernel_regularizer": "l2", "bias_constraint": "non_neg", "zero_output_for_mask": True, "stateful": True,
    }  # fmt: skip
    layer = getattr(sx.layers, kind)(**given)
    twin = sx.layers.deserialize(json.loads(json.dumps(sx.layers.serialize(layer))))
    assert twin.get_config() == layer.get_config()
    for name in given:
        assert name in layer.get_config()
    assert (twin.cell.dropout, twin.cell.recurrent_dropout, twin.zero_output_for_mask) == (0.1, 0.2, True)
    assert twin.units == 4 and type(twin.cell.kernel_regularizer).__name__ == "L2"


def test_cells_survive_their_configuration():
    layer = sx.layers.RNN([sx.layers.LSTMCell(3), sx.layers.GRUCell(2)], return_sequences=True)
    expected = np.asarray(layer(X))
    twin = sx.layers.deserialize(json.loads(json.dumps(sx.layers.serialize(layer))))
    twin(X)
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(np.asarray(twin(X)), expected)


def test_masks_travel_on_with_sequences_only():
    x = sx.layers.Masking()(np.array([[[1.0], [0.0]]], "float32"))
    assert sx.layers.LSTM(2, return_sequences=True)(x).mask.tolist() == [[True, False]]
    assert sx.layers.LSTM(2)(x).mask is None
    sequence, h, c = sx.layers.LSTM(2, return_sequences=True, return_state=True)(x)
    assert sequence.mask is not None and h.mask is None and c.mask is None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sx.layers.LSTM(0), ValueError, "LSTMCell: units must be a positive integer, got 0"),
        (lambda: sx.layers.GRU(2, dropout=2), ValueError, "GRUCell: dropout must be a number between 0 and 1, got 2"),
        (lambda: sx.layers.GRU(2, implementation=3), ValueError, "implementation must be 0, 1 or 2"),
        (lambda: sx.layers.RNN("lstm"), ValueError, r"RNN: a cell needs call.* state_size; got 'lstm'"),
        (lambda: sx.layers.StackedRNNCells([3]), ValueError, "StackedRNNCells: every cell needs call.* got 3"),
        (lambda: sx.layers.LSTM(2)(np.ones((2, 3))), ShapeError, "expected rank 3 or more"),
        (lambda: sx.layers.LSTM(4)(X, initial_state=[X[:, 0]]), ShapeError, "expected 2 initial states, got 1"),
        (
            lambda: sx.layers.GRU(4)(X, initial_state=X[:, 0]),
            ShapeError,
            r"an initial state must have shape \(batch, 4\), got \(3, 2\)",
        ),
        (lambda: sx.layers.GRU(4, stateful=True)(sx.Input((5, 2))), ShapeError, "needs a fixed batch size"),
        (
            lambda: sx.layers.RNN(sx.layers.GRUCell(4), unroll=True)(sx.Input((None, 2))),
            ShapeError,
            "unroll=True needs a number of steps",
        ),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()
