"""Cross-entropies against their definition in NumPy, and CTC against the sum over all paths."""

import itertools

import numpy as np
import pytest
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import run_graph

EPSILON = 1e-7


def log_softmax(x, axis):
    shifted = x - x.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def log_probabilities(output, axis, from_logits):
    if from_logits:
        return log_softmax(output, axis)
    return np.log(np.clip(output / output.sum(axis, keepdims=True), EPSILON, 1 - EPSILON))


def one_hot(labels, classes, axis):
    return np.moveaxis((labels[..., None] == np.arange(classes)).astype(np.float64), -1, axis)


def sparse(labels, from_logits, axis=-1):
    def reference(output):
        mask = one_hot(labels, output.shape[axis], axis)
        return -(mask * log_probabilities(output, axis, from_logits)).sum(axis).astype(output.dtype)

    return lambda x: ops.sparse_categorical_crossentropy(labels, x, from_logits, axis), reference


def dense(from_logits, axis=-1):
    def reference(target, output):
        return -(target * log_probabilities(output, axis, from_logits)).sum(axis)

    return lambda t, x: ops.categorical_crossentropy(t, x, from_logits, axis), reference


def binary(from_logits):
    def reference(target, output):
        if from_logits:
            return target * np.logaddexp(0, -output) + (1 - target) * np.logaddexp(0, output)
        p = np.clip(output, EPSILON, 1 - EPSILON)
        return -(target * np.log(p) + (1 - target) * np.log(1 - p))

    return lambda t, x: ops.binary_crossentropy(t, x, from_logits), reference


LABELS, GRID = np.array([0, 3, 1, 2, 3]), np.array([[0, 1, 3], [2, 2, 0]])
STRANGE = np.array([0, -1, 4, 2, 9])
LARGE = np.array([[400.0, -400.0, 0.0], [-400.0, -400.0, -400.0], [0.0, 1e4, -1e4]])
TARGETS = np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
FIXED = {"symbolic": False}
CASES = [
    case("sparse_logits", *sparse(LABELS, True), (5, 4), **FIXED),
    case("sparse_logits_one_class_less", *sparse(STRANGE, True), (5, 4), **FIXED),
    case("sparse_logits_grid", *sparse(GRID, True), (2, 3, 4), **FIXED),
    case("sparse_logits_axis", *sparse(GRID, True, 1), (2, 4, 3), **FIXED),
    case("sparse_logits_vector", *sparse(np.array(2), True), (4,), **FIXED),
    case("sparse_probabilities", *sparse(LABELS, False), (5, 4), low=0.1, high=1, **FIXED),
    case("sparse_probabilities_strange", *sparse(STRANGE, False), (5, 4), low=0.1, high=1, **FIXED),
    case("sparse_probabilities_axis", *sparse(GRID, False, 1), (2, 4, 3), low=0.1, high=1, **FIXED),
    case("dense_logits", *dense(True), (5, 4), (5, 4), low=0, high=1),
    case("dense_logits_axis", *dense(True, 1), (2, 4, 3), (2, 4, 3), low=0, high=1),
    case("dense_logits_extremes", *dense(True), TARGETS, LARGE, second_order=False, gradient=(False, True)),
    case("dense_probabilities", *dense(False), (5, 4), (5, 4), low=0.1, high=1),
    case("dense_probabilities_axis", *dense(False, 0), (5, 4), (5, 4), low=0.1, high=1),
    case("binary_logits", *binary(True), (5, 4), (5, 4), low=-1, high=1),
    case("binary_logits_extremes", *binary(True), TARGETS, LARGE, gradient=(False, True)),
    case("binary_probabilities", *binary(False), (5, 4), (5, 4), low=0.1, high=0.9),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_crossentropy(item, check):
    check_case(item, check)


def test_labels_as_an_input_with_a_symbolic_batch():
    def gradient(x, labels):
        return sx.grad(lambda v: ops.sum(ops.sparse_categorical_crossentropy(labels, v, from_logits=True)))(x)

    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    graph = sx.trace(gradient, sx.TensorSpec(("batch", 4)), sx.TensorSpec(("batch", 1), "int64"))
    (result,) = run_graph(graph, x, STRANGE[:, None])
    valid = ((STRANGE >= 0) & (STRANGE < 4))[:, None]
    expected = np.exp(log_softmax(x, -1)) * valid - one_hot(STRANGE, 4, -1)
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_probabilities_at_the_ends_cost_what_epsilon_costs():
    cost = ops.categorical_crossentropy([[0.0, 1.0]], [[1.0, 0.0]]).numpy()
    np.testing.assert_allclose(cost, -np.log(np.float32(EPSILON)), rtol=1e-6)


def all_paths(logits, label, blank):
    """The definition of CTC: all paths whose repetitions merged and blanks removed give the label."""
    p = np.exp(log_softmax(logits, -1))
    total = 0.0
    for path in itertools.product(range(p.shape[1]), repeat=len(p)):
        merged = [c for c, _ in itertools.groupby(path)]
        if [c for c in merged if c != blank] == label:
            total += np.prod(p[np.arange(len(p)), path])
    return -np.log(total)


@pytest.mark.parametrize("blank", [0, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ctc_loss_is_the_sum_over_paths(blank, dtype):
    logits = np.random.default_rng(3).standard_normal((4, 6, 4)).astype(dtype) * 2
    labels, steps = [[1, 2], [1, 1], [2, 1, 2], [2]], [6, 5, 6, 3]
    padded = [[*label, *[1] * (3 - len(label))] for label in labels]
    loss = ops.ctc_loss(padded, logits, [len(label) for label in labels], steps, blank).numpy()
    expected = [all_paths(logits[i, : steps[i]], labels[i], blank) for i in range(4)]
    np.testing.assert_allclose(loss, expected, rtol=1e-5 if dtype == "float32" else 1e-10)


CTC = case(
    "ctc_loss",
    lambda x: ops.ctc_loss([[1, 2, 0], [1, 1, 2]], x, [2, 3], [5, 6]),
    lambda x: np.array([all_paths(x[0, :5], [1, 2], 0), all_paths(x[1], [1, 1, 2], 0)], x.dtype),
    (2, 6, 3),
    symbolic=False,
)


@pytest.mark.parametrize(("item", "check"), generated([CTC]))
def test_ctc(item, check):
    check_case(item, check)


DECODED = [
    ({}, [[[1, 2, 1, -1, -1, -1]]]),
    ({"merge_repeated": False}, [[[1, 1, 2, 1, -1, -1]]]),
    ({"mask_index": 1}, [[[2, 0, -1, -1, -1, -1]]]),
]


@pytest.mark.parametrize(("options", "expected"), DECODED)
def test_ctc_greedy_decoding(options, expected):
    best = np.array([1, 1, 2, 0, 1, 2])
    logits = np.eye(3, dtype=np.float32)[best][None] * 4
    labels, scores = ops.ctc_decode(logits, [5], **options)
    assert labels.tolist() == expected and labels.dtype == np.int32
    assert scores.tolist() == [[-20.0]]


ERRORS = [
    (lambda: ops.binary_crossentropy(np.ones(3), np.ones((3, 1))), ValueError, r"binary_crossentropy: .*\(3,\)"),
    (lambda: ops.categorical_crossentropy(np.ones(3), np.ones((3, 1))), ValueError, "target and output alike"),
    (lambda: ops.categorical_crossentropy(np.float32(1), np.float32(1)), ValueError, "at least one axis"),
    (lambda: ops.sparse_categorical_crossentropy(np.ones((3, 2)), np.ones((3, 2))), ValueError, "one label per row"),
    (lambda: ops.categorical_crossentropy(np.ones((2, 2)), np.ones((2, 2)), axis=2), ValueError, "axis 2"),
    (lambda: ops.ctc_loss([[1]], np.ones((1, 2)), [1], [2]), ValueError, "output of shape"),
    (lambda: ops.ctc_loss([1], np.ones((1, 2, 3)), [1], [2]), ValueError, r"target of shape \(1, length\)"),
    (lambda: ops.ctc_loss([[1]], np.ones((1, 2, 3)), [1, 2], [2]), ValueError, "target_length"),
    (lambda: ops.ctc_decode(np.ones((1, 2, 3)), [2], strategy="beam"), ValueError, '"greedy"'),
    (lambda: ops.ctc_decode(np.ones((2, 3)), [2]), ValueError, r"\(batch, time, classes\)"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS, ids=[e[2] for e in ERRORS])
def test_errors_teach(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
