"""Every metric equals Keras over several batches: weighted, unweighted, after a reset."""

import numpy as np
import pytest

from sardonyx.trainer import metrics

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.peers

R = np.random.default_rng(11)
N, C = 12, 5


def chances(*shape):
    return lambda: (R.integers(0, 2, shape).astype("float32"), R.uniform(0, 1, shape).astype("float32"))


def numbers(*shape):
    return lambda: (R.normal(size=shape).astype("float32"), R.normal(size=shape).astype("float32"))


def positive(*shape):
    return lambda: (R.uniform(0.1, 3, shape).astype("float32"), R.uniform(0.1, 3, shape).astype("float32"))


def one_hot(*shape):
    return lambda: (
        np.eye(C, dtype="float32")[R.integers(0, C, shape)],
        R.dirichlet(np.ones(C), shape).astype("float32"),
    )


def sparse(*shape):
    return lambda: (R.integers(0, C, shape), R.dirichlet(np.ones(C), shape).astype("float32"))


def labels(*shape):
    return lambda: (R.integers(0, C, shape), R.integers(0, C, shape))


def logits():
    return lambda: (R.integers(0, 2, (N, 3)).astype("float32"), R.normal(size=(N, 3)).astype("float32") * 3)


UNEVEN = [0.9, 0.1, 0.35]
CASES = [
    ("Mean", {}, None), ("Sum", {}, None),
    ("Accuracy", {}, labels(N)), ("Accuracy", {}, labels(N, 3)),
    ("BinaryAccuracy", {}, chances(N, 1)), ("BinaryAccuracy", {"threshold": 0.3}, chances(N, 4)),
    ("CategoricalAccuracy", {}, one_hot(N)), ("CategoricalAccuracy", {}, one_hot(N, 3)),
    ("SparseCategoricalAccuracy", {}, sparse(N)), ("SparseCategoricalAccuracy", {}, sparse(N, 3)),
    ("TopKCategoricalAccuracy", {"k": 2}, one_hot(N)), ("TopKCategoricalAccuracy", {"k": 3}, one_hot(N, 2)),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, sparse(N)), ("SparseTopKCategoricalAccuracy", {"k": 1}, sparse(N, 2)),
    ("SparseTopKCategoricalAccuracy", {"k": 2, "from_sorted_ids": True},
     lambda: (R.integers(0, C, N), R.permuted(np.tile(np.arange(C), (N, 1)), axis=1).astype("float32"))),
    ("MeanSquaredError", {}, numbers(N, 3)), ("MeanSquaredError", {}, numbers(N, 4, 3)),
    ("RootMeanSquaredError", {}, numbers(N, 3)), ("MeanAbsoluteError", {}, numbers(N, 3)),
    ("MeanAbsolutePercentageError", {}, positive(N, 3)), ("MeanSquaredLogarithmicError", {}, positive(N, 3)),
    ("LogCoshError", {}, numbers(N, 3)), ("CosineSimilarity", {}, numbers(N, 3)),
    ("CosineSimilarity", {"axis": 1}, numbers(N, 4, 3)),
    ("R2Score", {}, numbers(N, 3)), ("R2Score", {"class_aggregation": None}, numbers(N, 3)),
    ("R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 2}, numbers(N, 1)),
    ("PearsonCorrelation", {}, numbers(N, 6)), ("PearsonCorrelation", {"axis": 1}, numbers(N, 6, 2)),
    ("ConcordanceCorrelation", {}, numbers(N, 6)),
    ("Hinge", {}, logits()), ("SquaredHinge", {}, logits()), ("CategoricalHinge", {}, one_hot(N)),
    ("KLDivergence", {}, one_hot(N)), ("Poisson", {}, positive(N, 3)),
    ("BinaryCrossentropy", {}, chances(N, 3)), ("BinaryCrossentropy", {"from_logits": True}, logits()),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, chances(N, 3)),
    ("CategoricalCrossentropy", {}, one_hot(N)), ("CategoricalCrossentropy", {"label_smoothing": 0.1}, one_hot(N, 2)),
    ("SparseCategoricalCrossentropy", {}, sparse(N)), ("SparseCategoricalCrossentropy", {}, sparse(N, 3)),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, sparse(N)),
    ("TruePositives", {}, chances(N)), ("FalsePositives", {}, chances(N, 1)), ("TrueNegatives", {}, chances(N, 3)),
    ("FalseNegatives", {"thresholds": UNEVEN}, chances(N, 3)), ("TrueNegatives", {"thresholds": UNEVEN}, chances(N)),
    ("TruePositives", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, chances(N, 3)),
    ("FalsePositives", {"thresholds": [0.0, 0.5, 1.0]}, chances(N)),
    ("Precision", {}, chances(N)), ("Precision", {"thresholds": UNEVEN}, chances(N, 3)),
    ("Precision", {"top_k": 2}, one_hot(N)), ("Precision", {"class_id": 1}, one_hot(N)),
    ("Precision", {"top_k": 3, "class_id": 2}, one_hot(N)), ("Recall", {"thresholds": 0.2}, chances(N, 3)),
    ("Recall", {"top_k": 2}, one_hot(N)), ("Recall", {"class_id": 0, "thresholds": [0.1, 0.2]}, one_hot(N)),
    ("SensitivityAtSpecificity", {"specificity": 0.4}, chances(N)),
    ("SpecificityAtSensitivity", {"sensitivity": 0.4, "num_thresholds": 1}, chances(N)),
    ("SpecificityAtSensitivity", {"sensitivity": 0.6, "num_thresholds": 20}, chances(N, 3)),
    ("PrecisionAtRecall", {"recall": 0.5}, chances(N)), ("RecallAtPrecision", {"precision": 0.5}, chances(N)),
    ("RecallAtPrecision", {"precision": 0.3, "class_id": 3}, one_hot(N)),
    ("AUC", {}, chances(N)), ("AUC", {}, chances(N, 1)), ("AUC", {"num_thresholds": 3}, chances(N, 3)),
    ("AUC", {"curve": "PR"}, chances(N)), ("AUC", {"curve": "PRGAIN"}, chances(N)),
    ("AUC", {"curve": "PR", "summation_method": "majoring"}, chances(N)),
    ("AUC", {"summation_method": "minoring"}, chances(N)), ("AUC", {"thresholds": UNEVEN}, chances(N)),
    ("AUC", {"thresholds": [0.25, 0.5, 0.75]}, chances(N)), ("AUC", {"from_logits": True}, logits()),
    ("AUC", {"label_weights": [0.1, 0.7, 0.2]}, chances(N, 3)),
    ("AUC", {"multi_label": True, "curve": "PR"}, chances(N, 3)),
    ("AUC", {"multi_label": True, "num_labels": 3, "label_weights": [1.0, 2.0, 0.5]}, chances(N, 3)),
    ("AUC", {"multi_label": True, "thresholds": UNEVEN, "summation_method": "majoring"}, chances(N, 3)),
    ("FBetaScore", {}, one_hot(N)), ("FBetaScore", {"beta": 2.0, "average": "micro"}, one_hot(N)),
    ("FBetaScore", {"beta": 0.5, "average": "macro", "threshold": 0.3}, one_hot(N)),
    ("F1Score", {"average": "weighted"}, one_hot(N)), ("F1Score", {"threshold": 0.4}, chances(N, 3)),
    ("IoU", {"num_classes": C, "target_class_ids": [0, 3]}, labels(N)),
    ("IoU", {"num_classes": C, "target_class_ids": [1], "ignore_class": 2, "sparse_y_pred": False}, sparse(N)),
    ("IoU", {"num_classes": 3, "target_class_ids": [0, 1]}, labels(N, 4)),
    ("MeanIoU", {"num_classes": C}, labels(N, 4, 4)), ("MeanIoU", {"num_classes": 9}, labels(N)),
    ("BinaryIoU", {"threshold": 0.3}, chances(N, 3)), ("BinaryIoU", {"target_class_ids": [1]}, chances(N)),
    ("OneHotIoU", {"num_classes": C, "target_class_ids": [0, 4]}, one_hot(N)),
    ("OneHotMeanIoU", {"num_classes": C, "sparse_y_pred": True},
     lambda: (np.eye(C)[R.integers(0, C, N)], R.integers(0, C, N))),
]  # fmt: skip

def batches_of(make, weighted):
    """Three batches: arguments and one weight a sample."""
    make = make or (lambda: (R.normal(size=(N, 3)).astype("float32"),))
    return [(make(), R.integers(0, 3, N) if weighted else None) for _ in range(3)]


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize(("name", "options", "make"), CASES, ids=[f"{n}-{o}" for n, o, _ in CASES])
def test_equals_keras(name, options, make, weighted):
    ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    given = batches_of(make, weighted)
    for values, weight in given:
        if weight is not None and "IoU" in name and "OneHot" not in name:
            weight = np.repeat(weight, values[0].size // N)
        ours.update_state(*values, sample_weight=weight)
        theirs.update_state(*values, sample_weight=weight)
    np.testing.assert_allclose(ours.result().numpy(), np.asarray(theirs.result()), rtol=2e-5, atol=2e-6)
    assert [(v.name, tuple(v.shape)) for v in ours.variables] == [(v.name, tuple(v.shape)) for v in theirs.variables]


def test_every_metric_is_compared():
    bases = {"Metric", "MeanMetricWrapper"}
    assert {name for name, *_ in CASES} | bases == {n for n in metrics.__all__ if n[0].isupper()}


@pytest.mark.parametrize("name", ["Precision", "IoU", "AUC", "F1Score"])
def test_registered_configurations_have_keras_names(name):
    options = {"num_classes": 2, "target_class_ids": [0]} if name == "IoU" else {}
    ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    assert set(ours.get_config()) == set(theirs.get_config())


FUNCTIONS = [n for n in metrics.__all__ if n.endswith(("_accuracy", "_correlation")) and n != "resolve_accuracy"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_equal_keras(name):
    make = {"binary": chances(N, 3), "categorical": one_hot(N), "sparse": sparse(N), "top": one_hot(N)}
    y = make.get(name.split("_")[0], numbers(N, 3))()
    got, expected = getattr(metrics, name)(*y), getattr(keras.metrics, name)(*y)
    np.testing.assert_allclose(got.numpy(), np.asarray(expected), rtol=2e-5, atol=2e-6)
