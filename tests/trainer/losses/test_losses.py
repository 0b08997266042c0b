"""Every loss equals a NumPy reference, one line a case: as a function, as a class, and in onnxruntime."""

import itertools

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.exporters.convert import run_graph
from sardonyx.trainer import losses
from sardonyx.trainer.registry import snake_case

EPSILON = 1e-7
R = np.random.default_rng(7)
NUMBERS = R.normal(size=(4, 3)).astype("float32"), R.normal(size=(4, 3)).astype("float32")
POSITIVE = R.uniform(0.1, 3, (4, 3)).astype("float32"), R.uniform(0.1, 3, (4, 3)).astype("float32")
SIGNS = np.sign(R.normal(size=(4, 3))).astype("float32"), NUMBERS[1]
BITS = R.integers(0, 2, (4, 3)).astype("float32"), NUMBERS[1]
CHANCES = BITS[0], R.uniform(0.02, 0.98, (4, 3)).astype("float32")
SHARES = (
    np.float32([[0.2, 0.3, 0.5], [1, 0, 0], [0, 0.5, 0.5]]),
    np.float32([[0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.2, 0.2, 0.6]]),
)
CLASSES = np.eye(3, dtype="float32")[[0, 2, 1, 2]], R.dirichlet([1, 1, 1], 4).astype("float32")
LOGITS = CLASSES[0], (3 * NUMBERS[1]).astype("float32")
SPARSE = np.int32([0, 2, 1, 2]), CLASSES[1]
SPARSE_LOGITS = SPARSE[0], LOGITS[1]
SOUNDS = np.int32([[1, 2, 0], [2, 2, 0], [1, 0, 0]]), R.normal(size=(3, 4, 3)).astype("float32")
DIRECTIONS = R.normal(size=(5, 3)).astype("float32")
UNIT = np.int32([0, 1, 0, 1, 1]), DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
PIXELS = R.integers(0, 3, (2, 2, 2)), R.normal(size=(2, 2, 2, 3)).astype("float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype("float64")))


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def bce(t, p):
    p = np.clip(p.astype("float64"), EPSILON, 1 - EPSILON)
    return -(t * np.log(p) + (1 - t) * np.log(1 - p))


def binary_focal(t, p, gamma=2.0):
    return (1 - (t * p + (1 - t) * (1 - p))) ** gamma * bce(t, p)


def cce(t, p, axis=-1):
    return -(t * np.log(p / p.sum(axis, keepdims=True))).sum(axis)


def focal(t, p, alpha=0.25, gamma=2.0):
    return -(alpha * (1 - p) ** gamma * t * np.log(p)).sum(-1)


def sparse(t, p):
    return -np.log(np.take_along_axis(p, t[..., None], -1))[..., 0]


def clipped(x):
    return np.clip(x, EPSILON, 1)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def huber(e, d):
    return np.where(np.abs(e) <= d, 0.5 * e**2, d * np.abs(e) - 0.5 * d**2)


def hinge(t, p):
    return np.maximum(1 - t * p, 0)


def tversky(t, p, a=0.5, b=0.5, axis=None):
    hit = (t * p).sum(axis)
    return 1 - hit / (hit + a * (t * (1 - p)).sum(axis) + b * (p * (1 - t)).sum(axis) + EPSILON)


def ctc(t, p):
    """Minus the log of the summed probability of every path that spells the labels, path by path."""
    paths = list(itertools.product(range(p.shape[2]), repeat=p.shape[1]))
    spelled = [[k for k, _ in itertools.groupby(path) if k] for path in paths]
    chances = softmax(p.astype("float64"))
    each = [np.prod(chances[:, range(p.shape[1]), path], axis=1) for path in paths]
    rows = [[label for label in row if label] for row in t.tolist()]
    sums = [sum(e[i] for e, s in zip(each, spelled, strict=True) if s == row) for i, row in enumerate(rows)]
    return -np.log(sums)


def circle(t, p, gamma=80.0, margin=0.4, remove_diagonal=True):
    distance, count = np.maximum(1 - p @ p.T, 0), len(t)
    losses = []
    for i in range(count):
        same = [d for j, d in enumerate(distance[i]) if t[i] == t[j] and not (remove_diagonal and i == j)]
        other = [d for j, d in enumerate(distance[i]) if t[i] != t[j]]
        near = sum(np.exp(-gamma * (margin + d) * (margin - d)) for d in same)
        far = sum(np.exp(gamma * max(1 + margin - d, 0) * (1 - margin - d)) for d in other)
        losses.append(np.log1p(near * far))
    return np.array(losses)


CASES = [
    ("CTC", {}, SOUNDS, ctc),
    ("Circle", {"gamma": 4.0}, UNIT, lambda t, p: circle(t, p, 4.0)),
    ("Circle", {"gamma": 3.0, "margin": 0.2, "remove_diagonal": False}, UNIT,
     lambda t, p: circle(t, p, 3.0, 0.2, False)),
    ("MeanSquaredError", {}, NUMBERS, lambda t, p: ((t - p) ** 2).mean(-1)),
    ("MeanAbsoluteError", {}, NUMBERS, lambda t, p: np.abs(t - p).mean(-1)),
    ("MeanAbsolutePercentageError", {}, NUMBERS, lambda t, p: 100 * np.abs((t - p) / t).mean(-1)),
    ("MeanSquaredLogarithmicError", {}, POSITIVE, lambda t, p: ((np.log1p(t) - np.log1p(p)) ** 2).mean(-1)),
    ("Huber", {}, NUMBERS, lambda t, p: huber(p - t, 1.0).mean(-1)),
    ("Huber", {"delta": 0.3}, NUMBERS, lambda t, p: huber(p - t, 0.3).mean(-1)),
    ("LogCosh", {}, NUMBERS, lambda t, p: np.log(np.cosh(p - t)).mean(-1)),
    ("CosineSimilarity", {}, NUMBERS, lambda t, p: -(unit(t) * unit(p)).sum(-1)),
    ("CosineSimilarity", {"axis": 0}, NUMBERS, lambda t, p: -(unit(t.T) * unit(p.T)).sum(-1)),
    ("Hinge", {}, SIGNS, lambda t, p: hinge(t, p).mean(-1)),
    ("Hinge", {}, BITS, lambda t, p: hinge(2 * t - 1, p).mean(-1)),
    ("SquaredHinge", {}, BITS, lambda t, p: (hinge(2 * t - 1, p) ** 2).mean(-1)),
    ("CategoricalHinge", {}, LOGITS, lambda t, p: np.maximum(((1 - t) * p).max(-1) - (t * p).sum(-1) + 1, 0)),
    ("KLDivergence", {}, SHARES, lambda t, p: (clipped(t) * np.log(clipped(t) / clipped(p))).sum(-1)),
    ("Poisson", {}, POSITIVE, lambda t, p: (p - t * np.log(p + EPSILON)).mean(-1)),
    ("BinaryCrossentropy", {}, CHANCES, lambda t, p: bce(t, p).mean(-1)),
    ("BinaryCrossentropy", {"from_logits": True}, BITS, lambda t, p: bce(t, sigmoid(p)).mean(-1)),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, CHANCES, lambda t, p: bce(0.8 * t + 0.1, p).mean(-1)),
    ("BinaryCrossentropy", {"axis": 0}, CHANCES, lambda t, p: bce(t, p).mean(0)),
    ("BinaryFocalCrossentropy", {}, CHANCES, lambda t, p: binary_focal(t, p).mean(-1)),
    ("BinaryFocalCrossentropy", {"gamma": 3.0, "from_logits": True}, BITS,
     lambda t, p: binary_focal(t, sigmoid(p), 3.0).mean(-1)),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "alpha": 0.3, "label_smoothing": 0.2}, CHANCES,
     lambda t, p: ((0.4 * -(0.8 * t + 0.1) + 0.7) * binary_focal(0.8 * t + 0.1, p)).mean(-1)),
    ("CategoricalCrossentropy", {}, CLASSES, cce),
    ("CategoricalCrossentropy", {"from_logits": True}, LOGITS, lambda t, p: cce(t, softmax(p))),
    ("CategoricalCrossentropy", {"label_smoothing": 0.3}, CLASSES, lambda t, p: cce(0.7 * t + 0.1, p)),
    ("CategoricalCrossentropy", {"axis": 0, "from_logits": True}, LOGITS, lambda t, p: cce(t, softmax(p, 0), 0)),
    ("CategoricalFocalCrossentropy", {}, CLASSES, focal),
    ("CategoricalFocalCrossentropy", {"alpha": 0.5, "gamma": 1.5, "from_logits": True, "label_smoothing": 0.3}, LOGITS,
     lambda t, p: focal(0.7 * t + 0.1, softmax(p), 0.5, 1.5)),
    ("SparseCategoricalCrossentropy", {}, SPARSE, sparse),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, SPARSE_LOGITS, lambda t, p: sparse(t, softmax(p))),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, (SPARSE[0][:, None], LOGITS[1]),
     lambda t, p: sparse(t[:, 0], softmax(p))),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, PIXELS, lambda t, p: sparse(t, softmax(p))),
    ("SparseCategoricalCrossentropy", {"from_logits": True, "axis": 1}, (PIXELS[0], np.moveaxis(PIXELS[1], -1, 1)),
     lambda t, p: sparse(t, softmax(np.moveaxis(p, 1, -1)))),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, SPARSE,
     lambda t, p: (1 - np.take_along_axis(p, t[:, None], -1)[:, 0] ** 0.7) / 0.7),
    ("Dice", {}, CHANCES, tversky),
    ("Dice", {"axis": (1,)}, CHANCES, lambda t, p: tversky(t, p, axis=1)),
    ("Tversky", {"alpha": 0.2, "beta": 0.9}, CHANCES, lambda t, p: tversky(t, p, 0.2, 0.9)),
    ("Tversky", {"axis": -1}, CHANCES, lambda t, p: tversky(t, p, axis=-1)),
]  # fmt: skip
FUNCTIONS = {"Huber": "huber", "KLDivergence": "kl_divergence", "CategoricalGeneralizedCrossEntropy":
             "categorical_generalized_cross_entropy"}  # fmt: skip


def snake(name):
    return FUNCTIONS.get(name) or snake_case(name)


IDS = [f"{name}-{options}" for name, options, *_ in CASES]
table = pytest.mark.parametrize(("name", "options", "data", "reference"), CASES, ids=IDS)


@table
def test_function_equals_reference(name, options, data, reference):
    got = getattr(losses, snake(name))(*data, **options)
    np.testing.assert_allclose(got.numpy(), reference(*data), rtol=2e-5, atol=2e-6)


@table
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum", "none", None, "mean_with_sample_weight"])
def test_class_reduces(name, options, data, reference, reduction):
    got = getattr(losses, name)(reduction=reduction, **options)(*data)
    values = np.asarray(reference(*data))
    expected = {"sum": values.sum(), "none": values, None: values}.get(reduction, values.mean())
    np.testing.assert_allclose(got.numpy(), expected, rtol=2e-5, atol=2e-6)
    assert got.dtype == "float32"


@table
def test_lists_and_integers_are_taken(name, options, data, reference):
    got = getattr(losses, name)(**options)(data[0].tolist(), data[1].tolist())
    np.testing.assert_allclose(got.numpy(), np.mean(reference(*data)), rtol=2e-5, atol=2e-6)


def step(loss):
    """Loss and gradient, as in training."""
    return sx.value_and_grad(lambda y_pred, y_true: loss(y_true, y_pred))


@table
@pytest.mark.parametrize("symbolic", [False, True], ids=["static", "symbolic"])
def test_training_graph_in_onnxruntime(name, options, data, reference, symbolic):
    if symbolic and options.get("axis") == 0:
        pytest.skip("the batch is the axis of the loss")
    function = step(getattr(losses, name)(**options))
    specs = [sx.TensorSpec(("batch" if symbolic else len(a), *a.shape[1:]), a.dtype) for a in reversed(data)]
    graph = sx.trace(function, *specs)
    value, gradient = function(*[sx.ops.convert_to_tensor(a) for a in reversed(data)])
    got = run_graph(graph, *reversed(data))
    np.testing.assert_allclose(got[0], value.numpy(), rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(got[1], gradient.numpy(), rtol=2e-4, atol=2e-6)
    assert np.isfinite(gradient.numpy()).all()


@table
def test_gradient_equals_finite_differences(name, options, data, reference):
    loss = getattr(losses, name)(dtype="float64", **options)
    y_true, y_pred = data[0], data[1].astype("float64")
    _, gradient = step(loss)(sx.ops.convert_to_tensor(y_pred), sx.ops.convert_to_tensor(y_true))
    tiny, expected = 1e-6, np.zeros_like(y_pred)
    for place in np.ndindex(y_pred.shape):
        moved = [y_pred.copy(), y_pred.copy()]
        moved[0][place] += tiny
        moved[1][place] -= tiny
        up, down = (float(loss(y_true, m)) for m in moved)
        expected[place] = (up - down) / (2 * tiny)
    kinks = np.abs(expected - gradient.numpy()) > 1e-4 * np.maximum(1, np.abs(expected))
    assert not kinks.any(), (expected, gradient.numpy())


def test_every_function_and_class_has_a_case():
    named = {name for name, *_ in CASES} | {"Loss", "LossFunctionWrapper"}
    public = {n for n in losses.__all__ if n[0].isupper()}
    assert named == public
    assert {snake(n) for n in named} - {"loss", "loss_function_wrapper"} <= set(losses.__all__)


EXTREMES = [
    ("LogCosh", [[0.0]], [[1e4]], 1e4 - np.log(2)),
    ("LogCosh", [[1e4]], [[0.0]], 1e4 - np.log(2)),
    ("Huber", [[0.0]], [[1e6]], 1e6 - 0.5),
    ("CosineSimilarity", [[0.0, 0.0]], [[1.0, 2.0]], 0.0),
    ("KLDivergence", [[1.0, 0.0]], [[0.0, 1.0]], np.log(1e7) + 1e-7 * np.log(1e-7)),
    ("BinaryCrossentropy", [[1.0]], [[0.0]], -np.log(1e-7)),
    ("Dice", [[0.0]], [[0.0]], 1.0),
]


@pytest.mark.parametrize(("name", "y_true", "y_pred", "expected"), EXTREMES, ids=str)
def test_extremes_stay_finite(name, y_true, y_pred, expected):
    loss = getattr(losses, name)()
    value, gradient = step(loss)(sx.ops.convert_to_tensor(np.float32(y_pred)), np.float32(y_true))
    np.testing.assert_allclose(float(value), expected, rtol=1e-4, atol=1e-5)
    assert np.isfinite(gradient.numpy()).all()
