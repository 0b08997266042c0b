"""State, names, configurations and choices of metrics; and what is said when something does not fit."""

import json
import warnings

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.trainer import losses, metrics
from sardonyx.trainer.core.errors import ShapeError
from sardonyx.trainer.registry import register_keras_serializable


class Largest(metrics.Metric):
    """A metric of a user's own: a variable, and a metric inside."""

    def __init__(self, name="largest", **kwargs):
        super().__init__(name=name, **kwargs)
        self.value = self.add_weight(name="value", initializer="zeros")
        self.mean = metrics.Mean()
        self.others = [metrics.Sum()]

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.value.assign(sx.ops.maximum(self.value, sx.ops.max(y_pred)))
        self.mean.update_state(y_pred)

    def result(self):
        return {"largest": self.value.value, "mean": self.mean.result()}


def test_own_metrics():
    metric = Largest(dtype="float64")
    metric.update_state(None, sx.ops.convert_to_tensor([1.0, 3.0]))
    got = metric(None, sx.ops.convert_to_tensor([2.0]))
    assert (float(got["largest"]), float(got["mean"])) == (3.0, 2.0)
    assert [v.path for v in metric.variables] == ["largest/value", "mean/total", "mean/count", "sum/total"]
    assert not any(v.trainable for v in metric.variables)
    metric.reset_state()
    assert [float(v) for v in metric.variables] == [0.0] * 4
    assert metric.get_config() == {"name": "largest", "dtype": "float64"}
    assert repr(metric) == "<Largest name=largest>"


def test_names_are_counted():
    assert [metrics.Precision().name for _ in range(2)] == ["precision", "precision_1"]
    assert metrics.AUC(name="area").name == "area"


REDUCED = [
    ("Mean", [1.0, 2.0, 6.0], None, 3.0),
    ("Mean", 4.0, None, 4.0),
    ("Mean", 4.0, 3, 4.0),
    ("Mean", [1.0, 3.0], [3, 1], 1.5),
    ("Mean", [[1.0, 3.0], [5.0, 7.0]], [1, 0], 2.0),
    ("Mean", [[1.0, 3.0], [5.0, 7.0]], [[1, 0], [1, 1]], 13 / 3),
    ("Mean", [[1.0], [3.0]], [1, 3], 2.5),
    ("Mean", [1.0, 3.0], [[1], [3]], 2.5),
    ("Mean", [1.0, 3.0], [0, 0], 0.0),
    ("Sum", [[1.0, 2.0], [3.0, 4.0]], None, 10.0),
    ("Sum", [1.0, 2.0], [2, 3], 8.0),
    ("Sum", [[1.0, 2.0], [3.0, 4.0]], [2, 0], 6.0),
]


@pytest.mark.parametrize(("name", "values", "weight", "expected"), REDUCED)
def test_means_and_sums(name, values, weight, expected):
    np.testing.assert_allclose(float(getattr(metrics, name)()(values, sample_weight=weight)), expected, rtol=1e-6)


def test_a_tracker_weighs_batches():
    tracker = metrics.Mean()
    tracker.update_state(1.0, sample_weight=8)
    tracker.update_state(4.0, sample_weight=4)
    assert float(tracker.result()) == 2.0


@register_keras_serializable("tests")
def distance(y_true, y_pred, scale=1.0):
    return sx.ops.absolute(y_true - y_pred) * scale


CONFIGURED = [
    *(getattr(metrics, n)() for n in ("Mean", "Sum", "Accuracy", "Hinge", "Precision", "AUC", "R2Score", "F1Score")),
    metrics.BinaryAccuracy(threshold=0.2, name="b"),
    metrics.SparseTopKCategoricalAccuracy(k=2, from_sorted_ids=True),
    metrics.CosineSimilarity(axis=1),
    metrics.SparseCategoricalCrossentropy(from_logits=True, ignore_class=3, axis=1),
    metrics.FalsePositives(thresholds=[0.1, 0.9]),
    metrics.Recall(thresholds=0.3, top_k=2, class_id=1, dtype="float64"),
    metrics.PrecisionAtRecall(0.3, num_thresholds=7, class_id=1),
    metrics.AUC(curve="PR", summation_method="minoring", thresholds=[0.2, 0.3], label_weights=[1, 2]),
    metrics.AUC(multi_label=True, num_labels=3, from_logits=True),
    metrics.R2Score(class_aggregation=None, num_regressors=2),
    metrics.FBetaScore(average="micro", beta=2.0, threshold=0.3),
    metrics.IoU(4, [1, 2], ignore_class=0, sparse_y_pred=False, dtype="float32"),
    metrics.BinaryIoU([1], threshold=0.2),
    metrics.MeanIoU(3, axis=1),
    metrics.OneHotIoU(3, [2]),
    metrics.OneHotMeanIoU(3, sparse_y_pred=True),
    metrics.MeanMetricWrapper(distance, name="d", scale=2.0),
    metrics.MeanMetricWrapper(metrics.binary_accuracy, name="d", threshold=0.3),
]


@pytest.mark.parametrize("metric", CONFIGURED, ids=lambda m: type(m).__name__)
def test_configurations_survive_json(metric):
    config = json.loads(json.dumps(metrics.serialize(metric)))
    back = metrics.deserialize(config)
    assert type(back) is type(metric)
    assert back.get_config() == metric.get_config()
    assert [(v.name, v.shape) for v in back.variables] == [(v.name, v.shape) for v in metric.variables]


GET = [
    ("accuracy", metrics.Accuracy), ("acc", metrics.Accuracy), ("Accuracy", metrics.Accuracy),
    ("mse", metrics.MeanSquaredError), ("MSE", metrics.MeanSquaredError), ("rmse", metrics.RootMeanSquaredError),
    ("mean_squared_error", metrics.MeanSquaredError),
    ("mae", metrics.MeanAbsoluteError), ("mape", metrics.MeanAbsolutePercentageError), ("auc", metrics.AUC),
    ("msle", metrics.MeanSquaredLogarithmicError), ("bce", metrics.BinaryCrossentropy),
    ("binary_accuracy", metrics.BinaryAccuracy), ("AUC", metrics.AUC), ("precision", metrics.Precision),
    ("sparse_categorical_accuracy", metrics.SparseCategoricalAccuracy), ("r2_score", metrics.R2Score),
    ("kl_divergence", metrics.KLDivergence), ("kullback_leibler_divergence", metrics.KLDivergence),
    ("cosine_similarity", metrics.CosineSimilarity), (metrics.Recall, metrics.Recall),
    ({"class_name": "Recall", "config": {"top_k": 2}}, metrics.Recall), (metrics.Recall(), metrics.Recall),
]  # fmt: skip


@pytest.mark.parametrize(("identifier", "kind"), GET, ids=lambda v: str(v)[:40])
def test_get(identifier, kind):
    assert type(metrics.get(identifier)) is kind


def test_get_functions_and_nothing():
    assert metrics.get(None) is None
    assert metrics.get(distance) is distance
    assert metrics.get("huber") is losses.huber
    assert metrics.deserialize(metrics.serialize(metrics.categorical_accuracy)) is not None


CHOICES = [
    ((8, 1), (8, 1), None, "Binary"), ((8,), (8, 1), None, "Binary"), ((8,), (8, 4), None, "SparseCategorical"),
    ((8, 1), (8, 4), None, "SparseCategorical"), ((8, 4), (8, 4), None, "Categorical"),
    ((8, 9, 4), (8, 9, 4), None, "Categorical"), ((8, 9), (8, 9, 4), None, "SparseCategorical"),
    (None, None, "bce", "Binary"), (None, (8, 4), losses.SparseCategoricalCrossentropy(), "SparseCategorical"),
    (None, None, losses.categorical_crossentropy, "Categorical"), ((8, 4), (8, 4), "mse", "Categorical"),
]  # fmt: skip


@pytest.mark.parametrize(("y_true", "y_pred", "loss", "kind"), CHOICES)
@pytest.mark.parametrize(("name", "family"), [("accuracy", "Accuracy"), ("acc", "Accuracy"), ("ce", "Crossentropy")])
def test_choice_by_shapes(y_true, y_pred, loss, kind, name, family):
    made = metrics.resolve_accuracy(name, y_true, y_pred, loss)
    assert (type(made).__name__, made.name) == (kind + family, name)
    if y_true and y_pred:
        chosen = metrics.resolve_crossentropy(y_true, y_pred).__name__
        assert chosen == metrics.get(kind + "Crossentropy").name


def test_yes_or_no_answers_as_categories_are_warned_of():
    with pytest.warns(UserWarning, match='"acc" over 4 outputs is categorical accuracy.*use "binary_accuracy"'):
        metrics.resolve_accuracy("acc", (8, 4), (8, 4), losses.BinaryCrossentropy())


class Unready(metrics.Metric):
    """Sets a metric before the base is ready."""

    def __init__(self, number):
        self.mean = metrics.Mean()


def zeros(*shape):
    return np.zeros(shape, "float32")


PROBABILITIES = "predictions are probabilities in [0, 1], got values from -2 to 3. End the model with"
MESSAGES = [
    (lambda: metrics.get("acuracy"), ValueError, "unknown metric 'acuracy'; did you mean"),
    (lambda: metrics.get(3), TypeError, "expected a metric: a name"),
    (lambda: metrics.get("IoU"), TypeError, "metric IoU cannot be made from its name alone"),
    (lambda: metrics.Metric().update_state(), NotImplementedError, "Metric: a metric defines update_state(y_true"),
    (lambda: metrics.Metric().result(), NotImplementedError, "Metric: a metric defines result()"),
    (lambda: Unready(1),
     RuntimeError, "Unready: call super().__init__() first in __init__"),
    (lambda: metrics.Mean().stateless_update_state([1.0], 2.0), ValueError,
     "mean: expected one value for each of its 2 variables (total, count), got 1"),
    (lambda: metrics.Mean()([1.0, 2.0], sample_weight=[1, 2, 3]), ShapeError,
     "mean: sample_weight of shape (3,) does not fit values of shape (2,)"),
    (lambda: metrics.MeanSquaredError()(zeros(4, 3), zeros(4, 2)), ShapeError, "end the model with 3 units"),
    (lambda: metrics.SparseCategoricalAccuracy()(zeros(4, 3), zeros(4, 3)), ShapeError, "The targets look one-hot"),
    (lambda: metrics.CategoricalAccuracy()(zeros(4), zeros(4, 3)), ShapeError, "The targets look like class numbers"),
    (lambda: metrics.BinaryAccuracy()(zeros(4), zeros(4, 3)), ShapeError, "binary_accuracy: expected y_true and y_pre"),
    (lambda: metrics.TopKCategoricalAccuracy(k=0)(zeros(4, 3), zeros(4, 3)), ValueError, "k is at least 1, got 0"),
    (lambda: metrics.Precision()(zeros(4), zeros(4, 3)), ShapeError, "precision: expected y_true and y_pred of one sh"),
    (lambda: metrics.Precision(thresholds=[0.5, 1.2]), ValueError, "thresholds lie in [0, 1], got [0.5, 1.2]"),
    (lambda: metrics.Precision(class_id=3)(zeros(4, 3), zeros(4, 3)), ShapeError, "class_id=3 needs predictions of"),
    (lambda: metrics.Precision(class_id=0)(zeros(4), zeros(4)), ShapeError, "class_id=0 needs predictions of shape"),
    (lambda: metrics.Recall(top_k=9)(zeros(4, 3), zeros(4, 3)), ValueError, "top_k=9 needs at least that many classes"),
    (lambda: metrics.Recall()(zeros(4, 3), zeros(4, 3), sample_weight=zeros(3)), ShapeError,
     "sample_weight of shape (3,) does not fit targets of shape (4, 3)"),
    (lambda: metrics.AUC()([0, 1], [-2.0, 3.0]), ValueError, PROBABILITIES),
    (lambda: metrics.RecallAtPrecision(0.5)([0, 1], [-2.0, 3.0]), ValueError, PROBABILITIES),
    (lambda: metrics.AUC(curve="ROCK"), ValueError, "auc: curve is one of 'ROC', 'PR', 'PRGAIN'; got 'ROCK'"),
    (lambda: metrics.AUC(summation_method="sum"), ValueError, "summation_method is one of 'interpolation'"),
    (lambda: metrics.AUC(num_thresholds=1), ValueError, "num_thresholds is at least 2, got 1"),
    (lambda: metrics.AUC(num_labels=3), ValueError, "num_labels goes with multi_label=True"),
    (lambda: metrics.AUC(thresholds=[2]), ValueError, "thresholds lie in [0, 1]"),
    (lambda: metrics.AUC(multi_label=True)(zeros(4), zeros(4)), ShapeError, "with multi_label=True predictions have"),
    (lambda: metrics.AUC(multi_label=True, num_labels=2)(zeros(4, 3), zeros(4, 3)), ShapeError, "num_labels=2 labels"),
    (lambda: metrics.AUC(multi_label=True).result(), ValueError, "no data yet; call update_state first"),
    (lambda: metrics.SensitivityAtSpecificity(1.5), ValueError, "specificity lies in [0, 1], got 1.5"),
    (lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=0), ValueError, "num_thresholds is an integer above 0"),
    (lambda: metrics.FBetaScore(average="mean"), ValueError, "average is one of None, 'micro', 'macro', 'weighted'"),
    (lambda: metrics.FBetaScore(beta=0.0), ValueError, "beta is a float above 0, got 0.0"),
    (lambda: metrics.F1Score(threshold=2.0), ValueError, "threshold is a float in (0, 1], or None; got 2.0"),
    (lambda: metrics.F1Score()(zeros(4), zeros(4)), ShapeError, "f1_score: expected targets and predictions of shape"),
    (lambda: metrics.F1Score().result(), ValueError, "f1_score: no data yet"),
    (lambda: metrics.R2Score(class_aggregation="x"), ValueError, "class_aggregation is one of None, 'uniform_average'"),
    (lambda: metrics.R2Score(num_regressors=-1), ValueError, "num_regressors is at least 0, got -1"),
    (lambda: metrics.R2Score()(zeros(4), zeros(4)), ShapeError, "One output a sample has shape (batch, 1)."),
    (lambda: metrics.R2Score().result(), ValueError, "r2_score: no data yet"),
    (lambda: metrics.IoU(3, [3]), ValueError, "target_class_ids are class numbers from 0 to 2, got [3]"),
    (lambda: metrics.MeanIoU(3)(zeros(4), zeros(4, 3)), ShapeError, "set sparse_y_pred=False or sparse_y_true=False"),
    (lambda: metrics.resolve_accuracy("acc", None, (8, 4), "mse"), ValueError, "neither shapes nor loss tell which"),
    (lambda: metrics.resolve_accuracy("auc", (8,), (8, 4)), ValueError, "expected one of 'accuracy', 'acc'"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), MESSAGES, ids=[row[2][:50] for row in MESSAGES])
def test_errors_teach(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_sizes_that_state_depends_on_must_be_known():
    spec = sx.TensorSpec(("batch", "labels"))
    with pytest.raises(ShapeError, match="last axis has a known size"):
        sx.trace(lambda t, p: metrics.Recall(top_k=1).update_state(t, p), spec, spec)


def test_fractions_in_an_integer_matrix_are_warned_of():
    with pytest.warns(UserWarning, match="fractions are cut off"):
        metrics.MeanIoU(2)([0, 1], [0, 1], sample_weight=[0.5, 0.5])


def test_too_few_samples_for_the_adjusted_score_are_warned_of():
    metric = metrics.R2Score(num_regressors=5)
    metric.update_state(np.float32([[1], [2], [4]]), np.float32([[1], [3], [4]]))
    with pytest.warns(UserWarning, match="5 regressors need more than 6 values"):
        plain = float(metric.result())
    np.testing.assert_allclose(plain, 1 - 1 / (14 / 3), rtol=1e-5)


ODD = [
    (metrics.IoU, {"num_classes": 3, "target_class_ids": [0, 1]}, [0, 1, 7, -1], [0, 1, 1, 0], 1.0),
    (metrics.Recall, {}, [0, 1, 1], [np.nan, 0.9, np.nan], 0.5),
    (metrics.AUC, {}, [0, 1], [0.2, np.nan], None),
    (metrics.F1Score, {"average": "micro"}, [[0.0, 1.0]], [[0.0, 0.0]], 0.0),
    (metrics.AUC, {"curve": "PR"}, [0, 0], [0.2, 0.4], 0.0),
    (metrics.AUC, {}, [0, 1], [0.0, 0.0], 0.5),
    (metrics.AUC, {}, [0, 1], [1.0, 1.0], 0.5),
    (metrics.AUC, {"curve": "PRGAIN"}, [0, 0], [0.2, 0.4], 0.0),
    (metrics.PrecisionAtRecall, {"recall": 1.0}, [0, 0], [0.2, 0.4], 0.0),
]


@pytest.mark.parametrize(("kind", "options", "y_true", "y_pred", "expected"), ODD)
def test_odd_data_has_a_value(kind, options, y_true, y_pred, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        got = float(kind(**options)(y_true, y_pred))
    assert np.isfinite(got)
    if expected is not None:
        np.testing.assert_allclose(got, expected, rtol=1e-5)
