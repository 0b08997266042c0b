"""Attention, AdditiveAttention, MultiHeadAttention, GroupQueryAttention."""

import json

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.exporters.convert import run_graph, to_onnx
from sardonyx.trainer.core.errors import ShapeError

DRAW = np.random.default_rng(1)
QUERY, VALUE, KEY = (DRAW.normal(size=s).astype("float32") for s in ((2, 3, 4), (2, 5, 4), (2, 5, 4)))
QUERY_MASK = np.array([[1, 1, 0], [1, 0, 1]], bool)
VALUE_MASK = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1]], bool)
FIRST = np.arange(5) == 0
PAIR = DRAW.integers(0, 2, (2, 3, 5)).astype(bool) | FIRST
WIDE = [DRAW.normal(size=s).astype("float32") for s in ((2, 3, 6, 4), (2, 5, 6, 4))]

MULTI = [
    ({"num_heads": 2, "key_dim": 3}, {}),
    ({"num_heads": 2, "key_dim": 3}, {"use_causal_mask": True}),
    ({"num_heads": 2, "key_dim": 3}, {"attention_mask": PAIR}),
    ({"num_heads": 2, "key_dim": 3}, {"attention_mask": PAIR[:, None]}),
    ({"num_heads": 2, "key_dim": 3}, {"value_mask": VALUE_MASK}),
    ({"num_heads": 2, "key_dim": 3}, {"key_mask": VALUE_MASK, "use_causal_mask": True}),
    ({"num_heads": 2, "key_dim": 3}, {"return_attention_scores": True}),
    (
        {"num_heads": 2, "key_dim": 3},
        {"return_attention_scores": True, "attention_mask": PAIR, "use_causal_mask": True},
    ),
    ({"num_heads": 2, "key_dim": 3, "value_dim": 5, "use_bias": False}, {"return_attention_scores": True}),
    ({"num_heads": 2, "key_dim": 3, "output_shape": 7}, {}),
    ({"num_heads": 2, "key_dim": 3, "output_shape": [3, 2]}, {}),
    ({"num_heads": 2, "key_dim": 3, "dropout": 0.5}, {"value_mask": VALUE_MASK}),
    ({"num_heads": 2, "key_dim": 3, "dropout": 0.5}, {"use_causal_mask": True}),
    ({"num_heads": 2, "key_dim": 3, "sliding_window": 2}, {"use_causal_mask": True}),
    ({"num_heads": 2, "key_dim": 3, "use_gate": True}, {}),
    ({"num_heads": 2, "key_dim": 3, "attention_axes": 1}, {}),
]
GROUPED = [
    ({"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2, **config}, call)
    for config, call in [
        ({}, {}), ({}, {"use_causal_mask": True}), ({}, {"attention_mask": PAIR, "return_attention_scores": True}),
        ({"use_gate": True, "use_bias": False}, {"value_mask": VALUE_MASK}), ({"sliding_window": 2}, {}),
        ({"dropout": 0.3}, {"query_mask": QUERY_MASK}),
    ]
]  # fmt: skip
SINGLE = [
    *(("Attention", c, k) for c, k in [
        ({}, {}), ({"use_scale": True}, {}), ({"score_mode": "concat"}, {}),
        ({"score_mode": "concat", "use_scale": True, "dropout": 0.2}, {"use_causal_mask": True}),
        ({}, {"mask": [QUERY_MASK, VALUE_MASK]}), ({}, {"mask": [None, VALUE_MASK | FIRST], "use_causal_mask": True}),
        ({"use_scale": True}, {"mask": [QUERY_MASK, None], "return_attention_scores": True}),
    ]),
    *(("AdditiveAttention", c, k) for c, k in [
        ({}, {}), ({"use_scale": False}, {}), ({}, {"mask": [QUERY_MASK, VALUE_MASK | FIRST], "use_causal_mask": True}),
    ]),
]  # fmt: skip
CASES = [
    *(("MultiHeadAttention", config, call, "separate") for config, call in MULTI),
    *(("GroupQueryAttention", config, call, "separate") for config, call in GROUPED),
    *((kind, config, call, "list") for kind, config, call in SINGLE),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}, {}, "wide"),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "attention_axes": [2]}, {}, "square"),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "attention_axes": [-2]}, {"return_attention_scores": True},
     "square"),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "attention_axes": [1]}, {"use_causal_mask": True}, "wide"),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "attention_axes": [1, 2]}, {"return_attention_scores": True},
     "wide"),
]  # fmt: skip
NAMES = [f"{i}-{kind}-{'-'.join(call)}" for i, (kind, _, call, _) in enumerate(CASES)]


def arguments(form):
    """Positional arguments of a call."""
    return {
        "separate": [QUERY, VALUE, KEY], "list": [[QUERY, VALUE, KEY]], "wide": WIDE, "square": [WIDE[0], WIDE[0]],
    }[form]  # fmt: skip


def ready(kind, config, form, **more):
    layer = getattr(sx.layers, kind)(**config, **more)
    layer(*arguments(form))
    generator = np.random.default_rng(7)
    layer.set_weights([generator.uniform(-1, 1, w.shape) for w in layer.get_weights()])
    return layer


def results(value):
    return [np.asarray(x) for x in value] if isinstance(value, tuple) else [np.asarray(value)]


@pytest.mark.peers
@pytest.mark.parametrize(("kind", "config", "call", "form"), CASES, ids=NAMES)
def test_equal_to_keras(kind, config, call, form):
    keras = pytest.importorskip("keras")
    layer, theirs = ready(kind, config, form), getattr(keras.layers, kind)(**config)
    theirs(*arguments(form), **call)
    assert [(v.name, tuple(v.shape)) for v in layer.weights] == [(v.name, tuple(v.shape)) for v in theirs.weights]
    assert [v.path.split("/")[1:] for v in layer.weights] == [v.path.split("/")[1:] for v in theirs.weights]
    theirs.set_weights(layer.get_weights())
    for a, b in zip(results(layer(*arguments(form), **call)), results(theirs(*arguments(form), **call)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "config", "call", "form"), CASES, ids=NAMES)
def test_free_sizes_in_both_engines(kind, config, call, form):
    layer, given = ready(kind, config, form), arguments(form)
    expected = results(layer(*given, **call))
    flat = given[0] if form == "list" else given
    names = ["queries", "values", "values"] if len(flat) == 3 else ["queries", "values"]
    if form == "square":
        flat, names = flat[:1], ["queries"]
    masked = any(isinstance(v, (np.ndarray, list)) for v in call.values())
    specs = [
        sx.TensorSpec(x.shape if masked else ("batch", name, *x.shape[2:]), "float32")
        for x, name in zip(flat, names, strict=True)
    ]

    def function(*tensors):
        if form == "list":
            return layer(list(tensors), **call)
        return layer(*(tensors * 2 if form == "square" else tensors), **call)

    graph = sx.trace(function, *specs)
    on_runtime = run_graph(graph, *flat)
    on_numpy = graph.run(*flat)
    for a, b, c in zip(expected, results(on_numpy), on_runtime, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(c, a, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "config", "call", "form"), CASES, ids=NAMES)
def test_gradients_against_differences(kind, config, call, form):
    if config.get("dropout"):
        config = {**config, "dropout": 0.0}
    layer = ready(kind, config, form, dtype="float64")
    inputs = [sx.Tensor(x.astype("float64")) for x in (arguments(form)[0] if form == "list" else arguments(form))]

    def loss():
        outputs = layer(inputs, training=True, **call) if form == "list" else layer(*inputs, training=True, **call)
        output = outputs[0] if isinstance(outputs, tuple) else outputs
        return sx.ops.sum(output * np.sin(np.arange(np.prod(output.shape)) + 1.0).reshape(output.shape))

    targets = [*layer.trainable_variables, *inputs]
    with sx.GradientTape() as tape:
        tape.watch(inputs)
        value = loss()
    gradients = tape.gradient(value, targets)
    assert all(g is not None for g in gradients)
    direction = np.random.default_rng(5)
    for target, gradient in zip(targets, gradients, strict=True):
        start, along = np.array(target), direction.standard_normal(np.shape(target))
        found = []
        for step in (1e-6, -1e-6, 0.0):
            if isinstance(target, sx.Variable):
                target.assign(start + step * along)
            else:
                target.array = start + step * along
            found.append(float(np.asarray(loss())))
        numeric, analytic = (found[0] - found[1]) / 2e-6, float((np.asarray(gradient) * along).sum())
        assert abs(numeric - analytic) <= 1e-5 * max(1.0, abs(numeric))


@pytest.mark.parametrize(("kind", "config", "call", "form"), CASES, ids=NAMES)
def test_configuration(kind, config, call, form):
    layer = ready(kind, config, form)
    twin = sx.layers.deserialize(json.loads(json.dumps(sx.layers.serialize(layer))))
    assert type(twin) is type(layer) and twin.get_config() == layer.get_config()
    assert set(config) <= set(layer.get_config())
    twin(*arguments(form))
    twin.set_weights(layer.get_weights())
    for a, b in zip(results(layer(*arguments(form), **call)), results(twin(*arguments(form), **call)), strict=True):
        np.testing.assert_array_equal(a, b)


def masked(steps):
    """A tensor (1, steps, 4) that carries a mask."""
    values = np.asarray(steps, "float32")[None, :, None] * np.ones(4, "float32")
    return sx.layers.Masking()(values)


@pytest.mark.parametrize(
    ("make", "call"),
    [
        (lambda: sx.layers.MultiHeadAttention(2, 3), lambda layer, q, v: layer(q, v)),
        (lambda: sx.layers.GroupQueryAttention(3, 4, 2), lambda layer, q, v: layer(q, v)),
        (sx.layers.Attention, lambda layer, q, v: layer([q, v])),
        (sx.layers.AdditiveAttention, lambda layer, q, v: layer([q, v])),
    ],
)
def test_masks_of_tensors_hide_and_travel_on(make, call):
    layer, query, value = make(), masked([1, 2, 0]), masked([3, 0, 5, 0])
    result = call(layer, query, value)
    assert result.mask.tolist() == [[True, True, False]]
    plain = np.asarray(value)[:, [0, 2]]
    np.testing.assert_allclose(
        np.asarray(result)[:, :2], np.asarray(call(layer, np.asarray(query), plain))[:, :2], atol=1e-6
    )


@pytest.mark.parametrize("config", [{"value_dim": 5}, {"use_gate": True}])
def test_one_operation_and_several_agree(config):
    layer = ready("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, **config}, "separate")
    for call in ({}, {"use_causal_mask": True}, {"attention_mask": PAIR}):
        whole = layer(QUERY, VALUE, KEY, **call)
        parts, _ = layer(QUERY, VALUE, KEY, return_attention_scores=True, **call)
        np.testing.assert_allclose(np.asarray(whole), np.asarray(parts), atol=1e-6)


def test_few_nodes():
    layer = sx.layers.MultiHeadAttention(2, 3)
    graph = sx.trace(lambda x: layer(x, x), sx.TensorSpec(("batch", "time", 8), "float32"))
    names = [node.op_type for node in to_onnx(graph, opset=23).graph.node]
    assert sorted(names) == ["Add"] * 4 + ["Attention"] + ["MatMul"] * 4


def test_dropout_of_weights_in_training_only():
    layer = sx.layers.MultiHeadAttention(2, 3, dropout=0.5, seed=1)
    first, again = (np.asarray(layer(QUERY, VALUE, training=True)) for _ in range(2))
    assert not np.array_equal(first, again)
    np.testing.assert_array_equal(np.asarray(layer(QUERY, VALUE)), np.asarray(layer(QUERY, VALUE)))


def test_penalties_fall_on_the_projections():
    layer = sx.layers.MultiHeadAttention(2, 3, activity_regularizer="l2", kernel_regularizer="l2")
    layer(QUERY, VALUE)
    assert len(layer.losses) == 8


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sx.layers.MultiHeadAttention(0, 3), ValueError, "MultiHeadAttention: num_heads must be a positive"),
        (lambda: sx.layers.MultiHeadAttention(2, -1), ValueError, "key_dim must be a positive integer, got -1"),
        (lambda: sx.layers.MultiHeadAttention(2, 3, value_dim=0), ValueError, "value_dim must be a positive"),
        (lambda: sx.layers.MultiHeadAttention(2, 3, output_shape=[0]), ValueError, "output_shape must be a positive"),
        (lambda: sx.layers.MultiHeadAttention(2, 3, attention_axes="a"), ValueError, "attention_axes must be"),
        (lambda: sx.layers.MultiHeadAttention(2, 3, sliding_window=0), ValueError, "sliding_window must be a positive"),
        (
            lambda: sx.layers.MultiHeadAttention(2, 3, dropout=0.1, flash_attention=True),
            ValueError,
            "flash_attention=True goes without dropout, got dropout=0.1",
        ),
        (
            lambda: sx.layers.MultiHeadAttention(2, 3, flash_attention=True)(
                QUERY, VALUE, return_attention_scores=True
            ),
            ValueError,
            "flash_attention=True computes no scores",
        ),
        (lambda: sx.layers.MultiHeadAttention(2, 3)(QUERY[0], VALUE), ShapeError, "expected a query .* of rank 3"),
        (
            lambda: sx.layers.MultiHeadAttention(2, 3)(QUERY, VALUE, QUERY),
            ShapeError,
            r"value and key must agree in all axes but the last, got \(2, 5, 4\) and \(2, 3, 4\)",
        ),
        (
            lambda: sx.layers.GroupQueryAttention(3, 4, 3),
            ValueError,
            "num_query_heads must be a multiple of num_key_value_heads, got 4 and 3",
        ),
        (lambda: sx.layers.Attention(score_mode="sum"), ValueError, "Attention: score_mode must be one of 'dot'"),
        (lambda: sx.layers.Attention(dropout=2), ValueError, "Attention: dropout must be a number between 0 and 1"),
        (lambda: sx.layers.Attention()(QUERY), ShapeError, r"\[query, value\] or \[query, value, key\]; got 1"),
        (lambda: sx.layers.Attention()([QUERY] * 4), ShapeError, r"\[query, value, key\]; got 4"),
        (lambda: sx.layers.Attention()([QUERY, VALUE], mask=VALUE_MASK), ShapeError, "expected mask as a list"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()
