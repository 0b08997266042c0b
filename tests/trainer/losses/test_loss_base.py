"""Weights, masks, reductions, names and configurations of losses; and what is said when something does not fit."""

import json

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.exporters.convert import run_graph
from sardonyx.trainer import losses
from sardonyx.trainer.core.errors import DtypeError, ShapeError
from sardonyx.trainer.registry import register_keras_serializable

T = np.float32([[1, 2], [3, 4], [5, 6]])
P = np.float32([[1, 4], [2, 4], [5, 9]])
ERRORS = np.float32([2.0, 0.5, 4.5])  # mean squared error of each row
WEIGHT = np.float32([1, 0, 2])


def masked(array, mask):
    tensor = sx.ops.convert_to_tensor(np.asarray(array))
    tensor.mask = sx.ops.convert_to_tensor(np.asarray(mask))
    return tensor


WEIGHTED = [
    ("sum_over_batch_size", WEIGHT, None, 11 / 3),
    ("mean", WEIGHT, None, 11 / 3),
    ("sum", WEIGHT, None, 11),
    ("none", WEIGHT, None, [2, 0, 9]),
    (None, WEIGHT, None, [2, 0, 9]),
    ("mean_with_sample_weight", WEIGHT, None, 11 / 3),
    ("mean_with_sample_weight", 2 * WEIGHT, None, 11 / 3),
    ("mean_with_sample_weight", 0 * WEIGHT, None, 0),
    ("sum_over_batch_size", 2.0, None, 14 / 3),
    ("sum_over_batch_size", [[1], [0], [2]], None, 11 / 3),
    ("sum_over_batch_size", [1, 0, 2], None, 11 / 3),
    ("sum_over_batch_size", None, [True, False, True], 6.5 / 2),
    ("mean", None, [True, False, True], 6.5 / 2),
    ("sum", None, [True, False, True], 6.5),
    ("none", None, [True, False, True], [2, 0, 4.5]),
    ("sum_over_batch_size", WEIGHT, [True, True, False], 2 / 2),
    ("sum_over_batch_size", None, [False, False, False], 0),
    ("mean_with_sample_weight", WEIGHT, [True, True, False], 2),
]


@pytest.mark.parametrize(("reduction", "weight", "mask", "expected"), WEIGHTED)
@pytest.mark.parametrize("traced", [False, True], ids=["eager", "traced"])
def test_weights_and_masks(reduction, weight, mask, expected, traced):
    loss = losses.MeanSquaredError(reduction=reduction)
    predictions = sx.ops.convert_to_tensor(P) if mask is None else masked(P, mask)
    if not traced:
        got = loss(T, predictions, sample_weight=weight).numpy()
    else:
        graph_input = sx.TensorSpec(("batch", 2))

        def step(y_true, y_pred):
            y_pred.mask = predictions.mask
            return loss(y_true, y_pred, sample_weight=weight)

        if (weight is not None and np.ndim(weight)) or mask is not None:
            graph_input = sx.TensorSpec((3, 2))
        (got,) = run_graph(sx.trace(step, graph_input, graph_input), T, P)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_a_weight_for_each_sample_of_a_sequence_is_for_the_sample():
    steps = np.float32([[1, 2], [3, 4]])
    loss = losses.LossFunctionWrapper(lambda y_true, y_pred: y_pred - y_true, reduction="none")
    got = loss(np.zeros((2, 2)), steps, sample_weight=[1, 10])
    np.testing.assert_allclose(got.numpy(), [[1, 2], [30, 40]])
    got = loss(np.zeros((2, 2)), steps, sample_weight=[[1, 0], [0, 10]])
    np.testing.assert_allclose(got.numpy(), [[1, 0], [0, 40]])


RANKS = [((3,), (3, 1)), ((3, 1), (3,)), ((3, 2), (3, 2, 1)), ((3, 2, 1), (3, 2)), ((3, 1), (3, 1))]


@pytest.mark.parametrize(("true", "predicted"), RANKS)
@pytest.mark.parametrize("name", ["MeanSquaredError", "BinaryCrossentropy", "Hinge", "Poisson", "Dice"])
def test_a_last_axis_of_one_is_no_difference(name, true, predicted):
    y_true = np.arange(np.prod(true), dtype="float32") % 2
    y_pred = np.linspace(0.1, 0.9, int(np.prod(predicted)), dtype="float32")
    loss = getattr(losses, name)()
    got = loss(y_true.reshape(true), y_pred.reshape(predicted))
    flat = loss(y_true[:, None], y_pred[:, None])
    np.testing.assert_allclose(got.numpy(), flat.numpy(), rtol=1e-6)


def test_ignored_classes_do_not_count():
    y_pred = np.float32([[0.2, 0.8], [0.5, 0.5], [np.nan, np.nan]])
    loss = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    value, gradient = sx.value_and_grad(lambda p: loss([1, 0, -1], p))(sx.ops.convert_to_tensor(y_pred))
    np.testing.assert_allclose(float(value), -(np.log(0.8) + np.log(0.5)) / 2, rtol=1e-5)
    assert np.isfinite(gradient.numpy()).all()
    assert not gradient.numpy()[2].any()


def test_circle_leaves_out_samples_without_a_pair():
    y_pred = np.float32([[1, 0], [0.6, 0.8], [0, 1]])
    values = losses.circle([0, 0, 1], y_pred)
    assert values.mask.numpy().tolist() == [True, True, False]
    np.testing.assert_allclose(float(losses.Circle()([0, 0, 1], y_pred)), values.numpy()[:2].mean(), rtol=1e-6)
    loss = losses.Circle()
    _, gradient = sx.value_and_grad(lambda p: loss([0, 0, 1], p))(sx.ops.convert_to_tensor(y_pred))
    assert np.isfinite(gradient.numpy()).all()


def test_structures_of_outputs():
    loss = losses.LossFunctionWrapper(lambda y_true, y_pred: sx.ops.absolute(y_true["a"] - y_pred["a"]) + y_pred["b"])
    got = loss({"a": np.ones(2), "b": np.ones(2)}, {"a": np.float32([[2], [3]]), "b": np.float32([0, 1])})
    assert got.shape == ()


def test_empty_batches_have_no_loss():
    assert float(losses.MeanSquaredError()(np.zeros((0, 2)), np.zeros((0, 2)))) == 0.0


def test_dtype():
    assert losses.MeanSquaredError(dtype="float64")(T, P).dtype == "float64"
    assert losses.MeanSquaredError(dtype="mixed_float16").dtype == "float16"
    assert losses.MeanSquaredError()(T.astype("float64"), P.astype("float64")).dtype == "float32"


NAMES = ["mse", "MSE", "mean_squared_error", "MeanSquaredError", losses.MeanSquaredError, losses.mean_squared_error]


@pytest.mark.parametrize("identifier", [*NAMES, losses.MeanSquaredError(), {"class_name": "MeanSquaredError",
                                                                           "config": {"name": "x"}}])  # fmt: skip
def test_get(identifier):
    loss = losses.get(identifier)
    np.testing.assert_allclose(np.mean(loss(T, P).numpy()), ERRORS.mean(), rtol=1e-6)


@pytest.mark.parametrize("alias", ["bce", "BCE", "kld", "KLD", "mae", "MAE", "mape", "MAPE", "msle", "MSLE", "logcosh"])
def test_aliases_are_functions(alias):
    assert losses.get(alias).__module__.startswith("sardonyx.trainer.losses")


@register_keras_serializable("tests")
def weighted_distance(y_true, y_pred, scale=1.0):
    return sx.ops.absolute(y_true - y_pred) * scale


CONFIGURED = [getattr(losses, n)() for n in losses.__all__ if n[0].isupper() and "Loss" not in n] + [
    losses.Huber(delta=0.5, name="h", reduction="sum", dtype="float64"),
    losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255, axis=1),
    losses.BinaryFocalCrossentropy(apply_class_balancing=True, gamma=1.0),
    losses.Tversky(alpha=0.1, axis=(1, 2)),
    losses.LossFunctionWrapper(losses.huber, name="h", delta=0.2),
    losses.LossFunctionWrapper(weighted_distance, scale=3.0),
]


@pytest.mark.parametrize("loss", CONFIGURED, ids=repr)
def test_configurations_survive_json(loss):
    config = json.loads(json.dumps(losses.serialize(loss)))
    back = losses.deserialize(config)
    assert type(back) is type(loss) and back.fn is loss.fn and back.options == loss.options
    assert (back.name, back.reduction, back.dtype) == (loss.name, loss.reduction, loss.dtype)


def test_functions_are_serialized_by_name():
    assert losses.deserialize(losses.serialize(losses.huber)) is losses.huber


def test_a_loss_of_ones_own():
    class Own(losses.Loss):
        def call(self, y_true, y_pred):
            return sx.ops.mean(sx.ops.absolute(y_true - y_pred), axis=-1)

    assert (Own().name, Own().name, Own(name="n").name) == ("own", "own_1", "n")
    assert repr(Own(name="n")) == "<Own name=n>"
    with pytest.raises(NotImplementedError, match=r"Loss: a loss defines call\(y_true, y_pred\)"):
        losses.Loss()(T, P)


def zeros(*shape):
    return np.zeros(shape, "float32")


SPARSE_LOSS = losses.sparse_categorical_crossentropy
MESSAGES = [
    (lambda: losses.get("mean_sqared_error"), ValueError, "unknown loss 'mean_sqared_error'; did you mean"),
    (lambda: losses.get(3), TypeError, "expected a loss: a name"),
    (lambda: losses.MeanSquaredError(reduction="avg"), ValueError, "MeanSquaredError: reduction is one of 'sum_over"),
    (lambda: losses.mean_squared_error(zeros(4, 3), zeros(4, 2)), ShapeError,
     "mean_squared_error: expected y_true and y_pred of one shape, got y_true (4, 3) and y_pred (4, 2). The targets"
     " have 3 values in the last axis, the model gives 2: end the model with 3 units, or give targets of shape (4, 2)"),
    (lambda: losses.mean_squared_error(zeros(4, 3), zeros(5, 3)), ShapeError, "The numbers of samples differ"),
    (lambda: losses.mean_squared_error(zeros(4), zeros(4, 3)), ShapeError, "or give targets of shape (4, 3)."),
    (lambda: losses.MeanSquaredError()(zeros(4, 1), zeros(4, 3)), ShapeError, "end the model with 1 units"),
    (lambda: losses.MeanSquaredError()(T, P, sample_weight=[1, 2]), ShapeError,
     "mean_squared_error: sample_weight of shape (2,) does not fit values of shape (3,). Give one weight for each sam"),
    (lambda: losses.categorical_crossentropy([0, 1], zeros(2, 3)), ShapeError,
     'The targets look like class numbers: use the sparse form (SparseCategoricalCrossentropy, "sparse_categorical'),
    (lambda: losses.CategoricalCrossentropy()([[0], [1]], zeros(2, 3)), ShapeError, "ops.one_hot(y_true, 3)"),
    (lambda: losses.categorical_crossentropy(zeros(2, 4), zeros(2, 3)), ShapeError,
     "The targets have 4 classes, the model gives 3: end the model with 4 units."),
    (lambda: losses.categorical_crossentropy(zeros(2, 3), zeros(2, 3), axis=True), ValueError,
     "categorical_crossentropy: axis is an integer, got True (bool)"),
    (lambda: SPARSE_LOSS(zeros(4, 3), zeros(4, 3)), ShapeError,
     "expected y_true of class numbers, of shape (4,) for y_pred (4, 3); got y_true (4, 3). The targets look one-hot: "
     'use the dense form (CategoricalCrossentropy, "categorical_crossentropy"), or make them class numbers with'),
    (lambda: SPARSE_LOSS(zeros(4, 2), zeros(4, 3)), ShapeError, "One-hot targets would need 3 classes and the dense"),
    (lambda: SPARSE_LOSS(zeros(5), zeros(4, 3)), ShapeError, "put Flatten() or a global pooling layer before"),
    (lambda: SPARSE_LOSS([0, 3], zeros(2, 3)), ValueError,
     "sparse_categorical_crossentropy: class numbers go from 0 to 2 for 3 outputs, got 0 to 3. End the model with"),
    (lambda: SPARSE_LOSS([1, 3], zeros(2, 3)), ValueError, "Numbers that start at 1 must be reduced by 1."),
    (lambda: SPARSE_LOSS([-1, 0], zeros(2, 3)), ValueError, "got -1 to 0"),
    (lambda: SPARSE_LOSS(np.array(["a"]), zeros(1, 3)), DtypeError, "class numbers are integers, got y_true of dtype"),
    (lambda: SPARSE_LOSS(0, np.float32(1)), ShapeError, "y_pred needs an axis of classes, got a scalar"),
    (lambda: losses.binary_crossentropy(zeros(4), zeros(4, 3)), ShapeError, "end the model with 1 unit for two cl"),
    (lambda: losses.BinaryCrossentropy(label_smoothing=2), ValueError, "label_smoothing is a share between 0 and 1"),
    (lambda: losses.CategoricalGeneralizedCrossEntropy(q=1), ValueError, "q lies between 0 and 1, both excluded; got"),
    (lambda: losses.circle(zeros(4, 3), zeros(4, 3)), ShapeError, "circle: expected class numbers of shape (batch,)"),
    (lambda: losses.ctc(zeros(4), zeros(4, 3)), ShapeError, "ctc: expected y_true of class numbers (batch, labels)"),
    (lambda: losses.dice(zeros(4, 1), zeros(4, 3)), ShapeError, "look like class numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), MESSAGES, ids=[row[2][:60] for row in MESSAGES])
def test_errors_teach(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_the_number_of_classes_must_be_known():
    specs = sx.TensorSpec(("batch",), "int32"), sx.TensorSpec(("batch", "classes"))
    with pytest.raises(ShapeError, match="the number of classes must be known"):
        sx.trace(lambda t, p: losses.categorical_generalized_cross_entropy(t, p, 0.5), *specs)


def test_a_single_class_is_warned_of():
    with pytest.warns(SyntaxWarning, match="y_pred ends in a single class"):
        losses.categorical_focal_crossentropy(np.ones((2, 1)), np.ones((2, 1)))


SUITED = [
    ([[1.0], [0.0]], [[0.7], [0.4]], "binary_crossentropy"),
    ([1, 0], [[0.7], [0.4]], "binary_crossentropy"),
    ([1, 0], [[0.7, 0.3], [0.4, 0.6]], "sparse_categorical_crossentropy"),
    ([[1], [0]], [[0.7, 0.3], [0.4, 0.6]], "sparse_categorical_crossentropy"),
    ([[1, 0], [0, 1]], [[0.7, 0.3], [0.4, 0.6]], "categorical_crossentropy"),
]


@pytest.mark.parametrize(("y_true", "y_pred", "name"), SUITED)
@pytest.mark.parametrize("alias", ["crossentropy", "ce"])
def test_crossentropy_suits_the_shapes(y_true, y_pred, name, alias):
    got = losses.get(alias)(y_true, y_pred)
    np.testing.assert_array_equal(got.numpy(), getattr(losses, name)(y_true, y_pred).numpy())
