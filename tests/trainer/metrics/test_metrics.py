"""Every metric equals a NumPy reference over streamed batches; its update is a graph that onnxruntime runs alike."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.exporters.convert import run_graph
from sardonyx.trainer import metrics
from sardonyx.trainer.core.tensor import Tensor

R = np.random.default_rng(3)
N, C = 20, 4
LABELS = R.integers(0, C, N)
SCORES = R.dirichlet(np.ones(C), N).astype("float32")
ONE_HOT = np.eye(C, dtype="float32")[LABELS]
CHANCES = R.integers(0, 2, (N, 3)).astype("float32"), R.uniform(0, 1, (N, 3)).astype("float32").round(2)
YES = CHANCES[0][:, 0], CHANCES[1][:, 0]
NUMBERS = R.normal(size=(N, 3)).astype("float32"), R.normal(size=(N, 3)).astype("float32")
NUMBERS[1][:] += NUMBERS[0]
ONES = np.ones(N)


def mean(values, w):
    values = np.asarray(values, "float64")
    values = values.reshape(len(values), -1).mean(1)
    return (values * w).sum() / w.sum()


def counted(t, p, w, thresholds):
    """Right and wrong answers, one threshold and one prediction at a time."""
    w = np.broadcast_to(w.reshape(len(w), *[1] * (t.ndim - 1)), t.shape)
    yes = [p > np.float32(level) for level in thresholds]
    table = [((t == 1) & y, (t == 0) & y, (t == 0) & ~y, (t == 1) & ~y) for y in yes]
    return np.array([[(w * cell).sum() for cell in row] for row in table]).T


def share(a, b):
    return np.divide(a, a + b, out=np.zeros_like(a), where=a + b > 0)


def even(n):
    return np.arange(n) / (n - 1)


def area(t, p, w, n=200, curve="ROC", height=None):
    tp, fp, tn, fn = counted(t, p, w, [-1e-7, *even(n)[1:-1], 1 + 1e-7])
    x, y = (share(fp, tn), share(tp, fn)) if curve == "ROC" else (share(tp, fn), share(tp, fp))
    heights = (y[:-1] + y[1:]) / 2 if height is None else height(y[:-1], y[1:])
    return ((x[:-1] - x[1:]) * heights).sum()


def precision(t, p, w, levels=(0.5,)):
    tp, fp, _, _ = counted(t, p, w, levels)
    return share(tp, fp) if len(levels) > 1 else share(tp, fp)[0]


def recall(t, p, w, levels=(0.5,)):
    tp, _, _, fn = counted(t, p, w, levels)
    return share(tp, fn) if len(levels) > 1 else share(tp, fn)[0]


def at(held, sought, value, n):
    def best(t, p, w):
        tp, fp, tn, fn = counted(t, p, w, even(n))
        rates = {"recall": share(tp, fn), "precision": share(tp, fp), "specificity": share(tn, fp)}
        return max([s for h, s in zip(rates[held], rates[sought], strict=True) if h >= value], default=0)

    return best


def top(k):
    return lambda t, p, w: mean([label in np.argsort(-row)[:k] for label, row in zip(t, p, strict=True)], w)


def f_score(beta, average):
    def score(t, p, w):
        yes = (p == p.max(-1, keepdims=True)) * w[:, None]
        tp, claimed, wanted = (yes * t).sum(0), yes.sum(0), (t * w[:, None]).sum(0)
        if average == "micro":
            tp, claimed, wanted = tp.sum(), claimed.sum(), wanted.sum()
        each = (1 + beta**2) * tp / np.maximum(claimed + beta**2 * wanted, 1e-9)
        return {None: each, "macro": each.mean(), "weighted": (each * wanted).sum() / np.sum(wanted)}.get(average, each)

    return score


def iou(ids, ignore=None):
    def score(t, p, w):
        kept = w * (t != ignore)
        both = [(kept * ((t == i) & (p == i))).sum() for i in ids]
        either = [(kept * ((t == i) | (p == i))).sum() for i in ids]
        return np.mean([b / e for b, e in zip(both, either, strict=True) if e])

    return score


def r2(t, p, w):
    w = w[:, None]
    centre = (t * w).sum(0) / w.sum()
    return (1 - ((t - p) ** 2 * w).sum(0) / ((t - centre) ** 2 * w).sum(0)).mean()


def lin(t, p):
    return 2 * np.cov(t, p, bias=True)[0, 1] / (t.var() + p.var() + (t.mean() - p.mean()) ** 2)


PREDICTED = R.integers(0, C, N)
LEVELS = (0.7, 0.1, 0.33)
CASES = [
    ("Accuracy", {}, (LABELS, PREDICTED), lambda t, p, w: mean(t == p, w)),
    ("BinaryAccuracy", {"threshold": 0.4}, CHANCES, lambda t, p, w: mean(t == (p > 0.4), w)),
    ("CategoricalAccuracy", {}, (ONE_HOT, SCORES), lambda t, p, w: mean(t.argmax(-1) == p.argmax(-1), w)),
    ("SparseCategoricalAccuracy", {}, (LABELS, SCORES), lambda t, p, w: mean(t == p.argmax(-1), w)),
    ("TopKCategoricalAccuracy", {"k": 2}, (ONE_HOT, SCORES), lambda t, p, w: top(2)(t.argmax(-1), p, w)),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, (LABELS, SCORES), top(3)),
    ("SparseTopKCategoricalAccuracy", {"k": 9}, (LABELS, SCORES), top(9)),
    ("MeanSquaredError", {}, NUMBERS, lambda t, p, w: mean((t - p) ** 2, w)),
    ("RootMeanSquaredError", {}, NUMBERS, lambda t, p, w: np.sqrt(mean((t - p) ** 2, w))),
    ("MeanAbsoluteError", {}, NUMBERS, lambda t, p, w: mean(abs(t - p), w)),
    ("LogCoshError", {}, NUMBERS, lambda t, p, w: mean(np.log(np.cosh(t - p)), w)),
    ("CosineSimilarity", {}, NUMBERS,
     lambda t, p, w: mean((t * p).sum(-1) / np.linalg.norm(t, axis=-1) / np.linalg.norm(p, axis=-1), w)),
    ("R2Score", {}, NUMBERS, r2),
    ("PearsonCorrelation", {}, NUMBERS,
     lambda t, p, w: mean([np.corrcoef(a, b)[0, 1] for a, b in zip(t, p, strict=True)], w)),
    ("ConcordanceCorrelation", {}, NUMBERS, lambda t, p, w: mean([lin(a, b) for a, b in zip(t, p, strict=True)], w)),
    ("CategoricalCrossentropy", {}, (ONE_HOT, SCORES), lambda t, p, w: mean(-(t * np.log(p)).sum(-1), w)),
    ("TruePositives", {}, CHANCES, lambda t, p, w: counted(t, p, w, [0.5])[0, 0]),
    ("FalsePositives", {"thresholds": [0.2]}, YES, lambda t, p, w: counted(t, p, w, [0.2])[1, 0]),
    ("TrueNegatives", {"thresholds": LEVELS}, CHANCES, lambda t, p, w: counted(t, p, w, LEVELS)[2]),
    ("FalseNegatives", {"thresholds": (0, 0.5, 1)}, CHANCES, lambda t, p, w: counted(t, p, w, [0, 0.5, 1])[3]),
    ("Precision", {}, CHANCES, precision),
    ("Precision", {"thresholds": LEVELS}, CHANCES, lambda t, p, w: precision(t, p, w, LEVELS)),
    ("Precision", {"class_id": 1}, CHANCES, lambda t, p, w: precision(t[:, 1], p[:, 1], w)),
    ("Precision", {"top_k": 1}, (ONE_HOT, SCORES), lambda t, p, w: mean(t.argmax(-1) == p.argmax(-1), w)),
    ("Recall", {}, YES, recall),
    ("Recall", {"top_k": 2}, (ONE_HOT, SCORES), lambda t, p, w: top(2)(t.argmax(-1), p, w)),
    ("SensitivityAtSpecificity", {"specificity": 0.5, "num_thresholds": 21}, YES, at("specificity", "recall", 0.5, 21)),
    ("SpecificityAtSensitivity", {"sensitivity": 0.5, "num_thresholds": 21}, YES, at("recall", "specificity", 0.5, 21)),
    ("PrecisionAtRecall", {"recall": 0.6, "num_thresholds": 21}, YES, at("recall", "precision", 0.6, 21)),
    ("RecallAtPrecision", {"precision": 0.6, "num_thresholds": 21}, YES, at("precision", "recall", 0.6, 21)),
    ("AUC", {}, CHANCES, area),
    ("AUC", {"num_thresholds": 7}, YES, lambda t, p, w: area(t, p, w, 7)),
    ("AUC", {"curve": "PR", "summation_method": "majoring"}, YES,
     lambda t, p, w: area(t, p, w, curve="PR", height=np.maximum)),
    ("AUC", {"summation_method": "minoring"}, YES, lambda t, p, w: area(t, p, w, height=np.minimum)),
    ("AUC", {"multi_label": True}, CHANCES,
     lambda t, p, w: np.mean([area(t[:, i], p[:, i], w) for i in range(3)])),
    ("FBetaScore", {"beta": 2.0}, (ONE_HOT, SCORES), f_score(2.0, None)),
    ("F1Score", {"average": "micro"}, (ONE_HOT, SCORES), f_score(1.0, "micro")),
    ("F1Score", {"average": "macro"}, (ONE_HOT, SCORES), f_score(1.0, "macro")),
    ("F1Score", {"average": "weighted"}, (ONE_HOT, SCORES), f_score(1.0, "weighted")),
    ("IoU", {"num_classes": C, "target_class_ids": [0, 2]}, (LABELS, PREDICTED), iou([0, 2])),
    ("IoU", {"num_classes": C, "target_class_ids": [0, 1], "ignore_class": 3}, (LABELS, PREDICTED), iou([0, 1], 3)),
    ("MeanIoU", {"num_classes": C}, (LABELS, PREDICTED), iou(range(C))),
    ("BinaryIoU", {"threshold": 0.4}, YES, lambda t, p, w: iou([0, 1])(t, p >= 0.4, w)),
    ("OneHotIoU", {"num_classes": C, "target_class_ids": [1]}, (ONE_HOT, SCORES),
     lambda t, p, w: iou([1])(t.argmax(-1), p.argmax(-1), w)),
]  # fmt: skip
WEIGHTS = {"plain": None, "weighted": R.integers(0, 4, N).astype("int32")}
table = pytest.mark.parametrize(("name", "options", "data", "reference"), CASES, ids=[f"{n}-{o}" for n, o, *_ in CASES])
weighting = pytest.mark.parametrize("weights", WEIGHTS)


def batches(data, weight):
    for start in (0, 8, 16):
        part = slice(start, start + 8)
        yield [x[part] for x in data], None if weight is None else weight[part]


@table
@weighting
def test_streamed_batches_equal_reference(name, options, data, reference, weights):
    metric, weight = getattr(metrics, name)(**options), WEIGHTS[weights]
    for values, part in batches(data, weight):
        metric.update_state(*values, sample_weight=part)
    expected = reference(*[x.astype("float64") for x in data[:1]], data[1], (ONES if weight is None else weight) * 1.0)
    np.testing.assert_allclose(metric.result().numpy(), expected, rtol=1e-5, atol=1e-6)
    assert isinstance(metric.result(), Tensor)


@table
@weighting
def test_update_is_a_graph(name, options, data, reference, weights):
    weight = WEIGHTS[weights]
    eager, traced = (getattr(metrics, name)(**options, name="m") for _ in range(2))
    values = [*data] if weight is None else [*data, weight]
    specs = [sx.TensorSpec(("batch", *x.shape[1:]), x.dtype) for x in values]
    graph = sx.trace(lambda *given: (traced.update_state(*given), traced.result())[1], *specs)
    np.testing.assert_allclose(run_graph(graph, *values)[0], eager(*values).numpy(), rtol=1e-5, atol=1e-6)
    assert set(graph.assigns) <= set(traced.variables)


@table
def test_reset_forgets(name, options, data, reference):
    metric = getattr(metrics, name)(**options)
    first = metric(*data).numpy()
    metric.update_state(*data)
    metric.reset_state()
    assert not any(v.numpy().any() for v in metric.variables)
    np.testing.assert_array_equal(metric(*data).numpy(), first)


@table
def test_stateless_calls_change_nothing(name, options, data, reference):
    metric = getattr(metrics, name)(**options)
    expected = metric(*data).numpy()
    start = metric.stateless_reset_state()
    before = [v.numpy() for v in metric.variables]
    state = metric.stateless_update_state(start, *data)
    np.testing.assert_array_equal(metric.stateless_result(state).numpy(), expected)
    for variable, value in zip(metric.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


SEQUENCES = [
    ("SparseCategoricalAccuracy", R.integers(0, C, (5, 3)), R.dirichlet(np.ones(C), (5, 3)).astype("float32")),
    ("MeanSquaredError", R.normal(size=(5, 3, 2)).astype("float32"), R.normal(size=(5, 3, 2)).astype("float32")),
]


@pytest.mark.parametrize(("name", "y_true", "y_pred"), SEQUENCES, ids=[row[0] for row in SEQUENCES])
def test_masks_take_values_out(name, y_true, y_pred):
    mask = np.arange(15).reshape(5, 3) % 2 == 0
    predictions = sx.ops.convert_to_tensor(y_pred)
    predictions.mask = sx.ops.convert_to_tensor(mask)
    # One step a row: a mean over steps that count.
    expected = getattr(metrics, name)()
    expected.update_state(y_true[mask][:, None], y_pred[mask][:, None])
    got = getattr(metrics, name)()(y_true, predictions)
    per_sample = mask.sum(1)
    assert per_sample.min() > 0
    np.testing.assert_allclose(float(got), float(expected.result()), rtol=1e-5)
