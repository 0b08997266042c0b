"""Dot-product attention against its formula, alone and in the forms that ONNX has for it."""

import numpy as np
import pytest
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import run_graph, to_onnx
from sardonyx.trainer.ops.attention import attention_training_primitive, in_operations

B, T, S, N, H = 3, 5, 4, 2, 6
GENERATOR = np.random.default_rng(9)
MASK = GENERATOR.random((B, 1, T, S)) > 0.4
BIAS = GENERATOR.standard_normal((N, T, S))


def attention(mask=None, scale=None, causal=False, cap=None):
    def function(query, key, value, bias=None):
        return ops.dot_product_attention(
            query, key, value, bias=bias, mask=mask, scale=scale, is_causal=causal, attn_logits_soft_cap=cap
        )

    def reference(query, key, value, bias=None):
        groups = query.shape[2] // key.shape[2]
        key, value = np.repeat(key, groups, 2), np.repeat(value, groups, 2)
        scores = np.einsum("btnh,bsnh->bnts", query, key) * (1 / np.sqrt(query.shape[3]) if scale is None else scale)
        scores = scores if cap is None else scores / (1 + abs(scores) / cap)
        scores = scores if bias is None else scores + bias
        if mask is not None:
            scores = np.where(mask, scores, -1e30)
        if causal:
            scores = np.where(np.tri(query.shape[1], key.shape[1], dtype=bool), scores, -1e30)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        return np.einsum("bnts,bsnh->btnh", weights / weights.sum(-1, keepdims=True), value).astype(query.dtype)

    return function, reference


QUERY, KEY = (B, T, N, H), (B, S, N, H)
CASES = [
    case("plain", *attention(), QUERY, KEY, KEY),
    case("value_depth", *attention(), QUERY, KEY, (B, S, N, 3)),
    case("scale", *attention(scale=0.3), QUERY, KEY, KEY),
    case("causal", *attention(causal=True), QUERY, KEY, KEY),
    case("causal_square", *attention(causal=True), QUERY, QUERY, QUERY),
    case("mask", *attention(MASK), QUERY, KEY, KEY, symbolic=False),
    case("mask_of_times", *attention(MASK[0, 0]), QUERY, KEY, KEY),
    case("bias", *attention(), QUERY, KEY, KEY, BIAS),
    case("mask_bias_causal", *attention(MASK, causal=True), QUERY, KEY, KEY, BIAS, symbolic=False),
    case("soft_cap", *attention(cap=2.0), QUERY, KEY, KEY),
    case("shared_keys", *attention(), (B, T, 4, H), KEY, KEY),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_attention(item, check):
    check_case(item, check)


@pytest.mark.parametrize(("opset", "operator"), [(21, "Softmax"), (23, "Attention")])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_the_operator_of_the_opset(opset, operator, causal, biased):
    function, reference = attention(causal=causal)
    shapes = [QUERY, KEY, KEY] + ([(B, N, T, S)] if biased else [])
    values = [GENERATOR.standard_normal(shape).astype(np.float32) for shape in shapes]
    graph = sx.trace(function, *[sx.TensorSpec(("batch", *shape[1:])) for shape in shapes])
    kinds = [node.op_type for node in to_onnx(graph, opset=opset).graph.node]
    assert operator in kinds
    (result,) = run_graph(graph, *values, opset=opset)
    np.testing.assert_allclose(result, reference(*values), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(B, 1, T, S), (1, N, T, S), (T, S), (B, N, T, S), (T, 1)])
@pytest.mark.parametrize("biased", [False, True])
def test_masks_of_any_broadcast_shape_in_the_fused_operator(shape, biased):
    mask = np.random.default_rng(1).random(shape) > 0.4
    function, reference = attention(mask)
    shapes = [QUERY, KEY, KEY] + ([(N, T, S)] if biased else [])
    values = [GENERATOR.standard_normal(shape).astype(np.float32) for shape in shapes]
    graph = sx.trace(function, *[sx.TensorSpec(shape) for shape in shapes])
    (result,) = run_graph(graph, *values, opset=23)
    np.testing.assert_allclose(result, reference(*values), rtol=1e-5, atol=1e-5)


def test_a_row_with_everything_masked_is_uniform():
    values = [GENERATOR.standard_normal(shape).astype(np.float32) for shape in (QUERY, KEY, KEY)]
    result = ops.dot_product_attention(*values, mask=np.zeros((B, 1, T, S), bool)).numpy()
    np.testing.assert_allclose(result, np.broadcast_to(values[2].mean(1, keepdims=True), result.shape), atol=1e-6)


ONES = np.ones((1, 2, 3, 4), np.float32)
ERRORS = [
    (lambda: ops.dot_product_attention(ONES[0], ONES, ONES), ValueError, "a query"),
    (lambda: ops.dot_product_attention(ONES, ONES[..., :2], ONES), ValueError, "agree in batch and depth"),
    (lambda: ops.dot_product_attention(ONES, ONES, ONES[:, :1]), ValueError, "agree in batch, time and heads"),
    (lambda: ops.dot_product_attention(ONES, ONES[:, :, :2], ONES[:, :, :2]), ValueError, "multiple of the key's"),
    (lambda: ops.dot_product_attention(*[ONES.astype(int)] * 3), TypeError, "floating-point query"),
    (lambda: ops.dot_product_attention(ONES, ONES, ONES, flash_attention=True), ValueError, "GPU kernel"),
    (lambda: ops.dot_product_attention(ONES, ONES, ONES, mask=np.ones((9, 9))), ValueError, "a mask that broadcasts"),
    (lambda: ops.dot_product_attention(ONES, ONES, ONES, bias=np.ones((5, 2))), ValueError, "a bias that broadcasts"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS, ids=[e[2] for e in ERRORS])
def test_errors_teach(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_from_kept_weights_are_those_of_the_operations(causal, masked):
    generator = np.random.default_rng(0)
    query, key, value = (
        sx.ops.convert_to_tensor(generator.standard_normal((2, length, 3, 4)).astype("float32")) for length in (5, 6, 6)
    )
    mask = sx.ops.convert_to_tensor(generator.random((2, 1, 5, 6)) > 0.5) if masked else None
    if mask is not None:
        mask = sx.ops.logical_and(mask, sx.ops.arange(5)[:, None] > 0)  # a row that sees nothing

    def kept(*inputs):
        return sx.ops.dot_product_attention(*inputs, mask=mask, is_causal=causal)

    def plain(*inputs):
        return in_operations(*inputs, None, mask, 0.5, causal)

    found, expected = (
        sx.grad(lambda *inputs, f=f: sx.ops.sum(sx.ops.sin(f(*inputs))), (0, 1, 2))(query, key, value)
        for f in (kept, plain)
    )
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=2e-6)


def test_a_graph_of_result_and_weights_gives_the_same():
    shapes = ((5, 3, 4), (6, 3, 4), (6, 3, 4))
    samples = [np.random.default_rng(i).standard_normal((2, *s)).astype("float32") for i, s in enumerate(shapes)]
    inputs = [sx.Input(shape) for shape in shapes]
    model = sx.Model(inputs, list(attention_training_primitive(*inputs, None, None, scale=0.5, causal=True)))
    expected = attention_training_primitive(*map(ops.convert_to_tensor, samples), None, None, scale=0.5, causal=True)
    for found, wanted in zip(model.predict(samples, runtime="onnxruntime", verbose=0), expected, strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", [None, (2, 1, 5, 6), (1, 3, 5, 6), (5, 6)])
def test_a_graph_of_the_gradient_gives_the_same(causal, shape):
    lengths = {"query": 5, "key": 6, "value": 6}
    values = [GENERATOR.standard_normal((2, n, 3, 4)).astype(np.float32) for n in lengths.values()]
    mask = None if shape is None else np.random.default_rng(2).random(shape) > 0.6  # with rows that see nothing
    gradient = sx.grad(
        lambda *a: ops.sum(ops.sin(ops.dot_product_attention(*a, mask=mask, is_causal=causal))), (0, 1, 2)
    )
    graph = sx.trace(gradient, *[sx.TensorSpec(value.shape) for value in values])
    expected = gradient(*map(ops.convert_to_tensor, values))
    for found, wanted in zip(run_graph(graph, *values), expected, strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-5, atol=2e-6)
