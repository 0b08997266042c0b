"""Bidirectional, TimeDistributed, Wrapper."""

import json

import numpy as np
import pytest
from layer_cases import _rewind

import sardonyx as sx
from sardonyx.exporters.convert import run_graph
from sardonyx.trainer.core.errors import ShapeError

X = np.random.default_rng(0).uniform(-2, 2, (3, 5, 2)).astype("float32")
KEPT = np.array([[1, 1, 1, 1, 0], [1, 0, 1, 0, 0], [0, 1, 1, 1, 1]], bool)
MERGES = ["concat", "sum", "mul", "ave", None]


def both_ways(library, kind, merge, **options):
    return library.layers.Bidirectional(getattr(library.layers, kind)(4, **options), merge_mode=merge)


def results(value):
    return [np.asarray(x) for x in value] if isinstance(value, (tuple, list)) else [np.asarray(value)]


def seeded(layer):
    generator = np.random.default_rng(3)
    layer.set_weights([generator.uniform(-1, 1, w.shape) for w in layer.get_weights()])
    return layer


BOTH = [
    *(("LSTM", merge, {"return_sequences": True}, KEPT) for merge in MERGES),
    *(("LSTM", merge, {}, None) for merge in ("concat", None)),
    ("LSTM", "ave", {}, KEPT),
    ("LSTM", "mul", {"return_sequences": True}, None),
    ("GRU", "concat", {"return_sequences": True, "return_state": True}, None),
    ("SimpleRNN", None, {"return_state": True}, KEPT),
    ("LSTM", "sum", {"return_state": True}, None),
]  # fmt: skip


@pytest.mark.peers
@pytest.mark.parametrize(("kind", "merge", "options", "mask"), BOTH)
def test_bidirectional_equals_keras(kind, merge, options, mask):
    keras = pytest.importorskip("keras")
    ours, theirs = both_ways(sx, kind, merge, **options), both_ways(keras, kind, merge, **options)
    ours(X), theirs(X)
    assert [(v.name, tuple(v.shape)) for v in ours.weights] == [(v.name, tuple(v.shape)) for v in theirs.weights]
    theirs.set_weights(seeded(ours).get_weights())
    for a, b in zip(results(ours(X, mask=mask)), results(theirs(X, mask=mask)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "merge", "options", "mask"), BOTH)
def test_bidirectional_of_any_length_in_both_engines(kind, merge, options, mask):
    layer = both_ways(sx, kind, merge, **options)
    layer(X)
    expected = results(seeded(layer)(X, mask=mask))
    specs, values = [sx.TensorSpec(("batch", "time", 2), "float32")], [X]
    if mask is not None:
        specs, values = [*specs, sx.TensorSpec(("batch", "time"), "bool")], [X, mask]
    graph = sx.trace(lambda x, m=None: layer(x, mask=m), *specs)
    for a, b, c in zip(expected, results(graph.run(*values)), run_graph(graph, *values), strict=True):
        np.testing.assert_allclose(b, a, atol=1e-6)
        np.testing.assert_allclose(c, a, atol=2e-5)


def test_bidirectional_states_and_config():
    layer = both_ways(sx, "LSTM", "concat", return_sequences=True, return_state=True)
    start = [np.random.default_rng(i).normal(size=(3, 4)).astype("float32") for i in range(4)]
    output, *states = layer(X, initial_state=start)
    assert output.shape == (3, 5, 8) and len(states) == 4
    forward, *own = layer.forward_layer(X, initial_state=start[:2])
    backward, *other = layer.backward_layer(X, initial_state=start[2:])
    np.testing.assert_array_equal(np.asarray(output)[..., :4], np.asarray(forward))
    np.testing.assert_array_equal(np.asarray(output)[..., 4:], np.asarray(backward)[:, ::-1])
    for a, b in zip(states, [*own, *other], strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    twin = sx.layers.deserialize(json.loads(json.dumps(sx.layers.serialize(layer))))
    assert twin.get_config() == layer.get_config()
    twin(X)
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(np.asarray(twin(X)[0]), np.asarray(layer(X)[0]))


def test_bidirectional_takes_a_backward_layer_and_weights():
    back = sx.layers.LSTM(4, activation="relu", go_backwards=True)
    values = [w + 1 for w in _weights()]
    layer = sx.layers.Bidirectional(sx.layers.LSTM(4, name="there"), backward_layer=back, weights=values)
    layer(X)
    assert layer.backward_layer is back and layer.forward_layer.name == "forward_there"
    for a, b in zip(layer.get_weights(), values, strict=True):
        np.testing.assert_array_equal(a, b)


def _weights():
    layer = both_ways(sx, "LSTM", "concat")
    layer(X)
    return layer.get_weights()


def test_bidirectional_masks():
    masked = sx.layers.Masking()(np.where(KEPT[..., None], X, 0))
    assert both_ways(sx, "GRU", "sum", return_sequences=True)(masked).mask.tolist() == KEPT.tolist()
    assert both_ways(sx, "GRU", "sum")(masked).mask is None
    first, second, _, _ = both_ways(sx, "GRU", None, return_sequences=True, return_state=True)(masked)
    assert first.mask is not None and second.mask is not None


def test_bidirectional_gradients():
    layer = both_ways(sx, "LSTM", "mul", dtype="float64")
    layer(X)
    variables = seeded(layer).trainable_variables
    with sx.GradientTape() as tape:
        loss = sx.ops.sum(layer(X, training=True) ** 2)
    gradients = tape.gradient(loss, variables)
    for variable, gradient in zip(variables, gradients, strict=True):
        start, along, found = variable.numpy(), np.random.default_rng(1).normal(size=variable.shape), []
        for step in (1e-6, -1e-6, 0.0):
            variable.assign(start + step * along)
            found.append(float(np.asarray(sx.ops.sum(layer(X) ** 2))))
        expected = (found[0] - found[1]) / 2e-6
        assert float((np.asarray(gradient) * along).sum()) == pytest.approx(expected, rel=1e-4, abs=1e-6)


VIDEO = np.random.default_rng(1).normal(size=(2, 3, 4, 4, 2)).astype("float32")
STEPS = [
    ("Dense", {"units": 4}, X, (3, 5, 4)),
    ("Conv2D", {"filters": 3, "kernel_size": 3}, VIDEO, (2, 3, 2, 2, 3)),
    ("Flatten", {}, VIDEO, (2, 3, 32)),
    ("LSTM", {"units": 3}, VIDEO[:, :, 0], (2, 3, 3)),
    ("BatchNormalization", {}, X, X.shape),
]


@pytest.mark.peers
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("kind", "config", "x", "shape"), STEPS, ids=[s[0] for s in STEPS])
def test_time_distributed_equals_keras(kind, config, x, shape, training):
    keras = pytest.importorskip("keras")
    ours = sx.layers.TimeDistributed(getattr(sx.layers, kind)(**config))
    theirs = keras.layers.TimeDistributed(getattr(keras.layers, kind)(**config))
    ours(x), theirs(x)
    assert ours.compute_output_shape((None, *x.shape[1:])) == (None, *shape[1:])
    assert [(v.name, tuple(v.shape)) for v in ours.weights] == [(v.name, tuple(v.shape)) for v in theirs.weights]
    theirs.set_weights(ours.get_weights())
    a, b = ours(x, training=training), theirs(x, training=training)
    assert a.shape == shape
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-5)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "config", "x", "shape"), STEPS, ids=[s[0] for s in STEPS])
def test_time_distributed_of_any_length_in_both_engines(kind, config, x, shape):
    layer = sx.layers.TimeDistributed(getattr(sx.layers, kind)(**config))
    expected = np.asarray(layer(x))
    graph = sx.trace(layer, sx.TensorSpec(("batch", "time", *x.shape[2:]), "float32"))
    np.testing.assert_allclose(np.asarray(graph.run(x)), expected, atol=1e-6)
    np.testing.assert_allclose(run_graph(graph, x)[0], expected, atol=1e-5)
    twin = sx.layers.deserialize(json.loads(json.dumps(sx.layers.serialize(layer))))
    twin(x)
    _rewind(twin, layer.get_weights())
    np.testing.assert_array_equal(np.asarray(twin(x)), expected)


class Hidden(sx.layers.Layer):
    """Zeros where the mask is not set."""

    def call(self, inputs, mask=None):
        return inputs if mask is None else inputs * sx.ops.expand_dims(sx.ops.cast(mask, inputs.dtype), -1)


def test_time_distributed_passes_masks():
    layer = sx.layers.TimeDistributed(Hidden())
    np.testing.assert_array_equal(np.asarray(layer(X, mask=KEPT)), X * KEPT[..., None])
    masked = sx.layers.Masking()(X)
    assert sx.layers.TimeDistributed(sx.layers.Dense(2))(masked).mask.shape == (3, 5)


class Alone(sx.layers.Layer):
    """No direction of time."""


def lstm(**options):
    return sx.layers.LSTM(4, **options)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sx.layers.Wrapper("dense"), ValueError, "Wrapper: layer must be a layer such as .* got 'dense'"),
        (lambda: sx.layers.TimeDistributed(3), ValueError, "TimeDistributed: layer must be a layer such as .* got 3"),
        (lambda: sx.layers.TimeDistributed(Alone())(X[0]), ShapeError, "expected rank 3 or more"),
        (
            lambda: sx.layers.TimeDistributed(Hidden())(X, mask=KEPT[:, :2]),
            ShapeError,
            r"expected a mask \(batch, time\) = \(3, 5\), got \(3, 2\)",
        ),
        (
            lambda: sx.layers.TimeDistributed(sx.layers.BatchNormalization())(sx.Input((None, 2)), training=True),
            ShapeError,
            "step by step needs a number of steps",
        ),
        (lambda: sx.layers.Bidirectional("lstm"), ValueError, "layer must be a recurrent layer .* 'lstm'"),
        (lambda: sx.layers.Bidirectional(Alone()), ValueError, "Bidirectional: layer needs go_backwards"),
        (lambda: sx.layers.Bidirectional(lstm(), "max"), ValueError, "merge_mode must be one of 'sum', .*; got 'max'"),
        (
            lambda: sx.layers.Bidirectional(lstm(), backward_layer=lstm()),
            ValueError,
            "must go in different directions, both have go_backwards=False",
        ),
        (
            lambda: sx.layers.Bidirectional(lstm(), backward_layer=lstm(go_backwards=True, return_sequences=True)),
            ValueError,
            "return_sequences is False in the forward layer, True in the backward one",
        ),
        (
            lambda: sx.layers.Bidirectional(lstm())(X, initial_state=[X[:, 0]]),
            ShapeError,
            "expected initial_state as a list",
        ),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()
