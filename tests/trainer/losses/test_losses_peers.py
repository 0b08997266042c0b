"""Every loss and its gradient equal Keras: reductions, weights, masks."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.trainer import losses

keras = pytest.importorskip("keras")
jax = pytest.importorskip("jax")
pytestmark = pytest.mark.peers

R = np.random.default_rng(5)
N, C = 6, 4
NUMBERS = R.normal(size=(N, C)).astype("float32"), R.normal(size=(N, C)).astype("float32")
POSITIVE = R.uniform(0.1, 3, (N, C)).astype("float32"), R.uniform(0.1, 3, (N, C)).astype("float32")
CHANCES = R.integers(0, 2, (N, C)).astype("float32"), R.uniform(0.01, 0.99, (N, C)).astype("float32")
LOGITS = CHANCES[0], NUMBERS[1] * 4
ONE_HOT = np.eye(C, dtype="float32")[R.integers(0, C, N)], R.dirichlet(np.ones(C), N).astype("float32")
SPARSE = R.integers(0, C, N), ONE_HOT[1]
UNIT = SPARSE[0] % 2, NUMBERS[1] / np.linalg.norm(NUMBERS[1], axis=-1, keepdims=True)
SOUND = np.array([[1, 2, 2, 0], [3, 1, 0, 0], [1, 1, 1, 0]]), R.normal(size=(3, 9, C)).astype("float32")

CASES = [
    ("MeanSquaredError", {}, NUMBERS), ("MeanAbsoluteError", {}, NUMBERS), ("Huber", {"delta": 0.7}, NUMBERS),
    ("MeanAbsolutePercentageError", {}, POSITIVE), ("MeanSquaredLogarithmicError", {}, POSITIVE),
    ("LogCosh", {}, NUMBERS), ("CosineSimilarity", {}, NUMBERS), ("Hinge", {}, LOGITS), ("SquaredHinge", {}, LOGITS),
    ("CategoricalHinge", {}, ONE_HOT), ("KLDivergence", {}, ONE_HOT), ("Poisson", {}, POSITIVE),
    ("BinaryCrossentropy", {}, CHANCES), ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, LOGITS),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True}, CHANCES),
    ("BinaryFocalCrossentropy", {"from_logits": True, "gamma": 1.5}, LOGITS),
    ("CategoricalCrossentropy", {}, ONE_HOT), ("CategoricalCrossentropy", {"label_smoothing": 0.2}, ONE_HOT),
    ("CategoricalCrossentropy", {"from_logits": True}, (ONE_HOT[0], LOGITS[1])),
    ("CategoricalFocalCrossentropy", {}, ONE_HOT),
    ("CategoricalFocalCrossentropy", {"from_logits": True}, (ONE_HOT[0], LOGITS[1])),
    ("SparseCategoricalCrossentropy", {}, SPARSE),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, (SPARSE[0], LOGITS[1])),
    ("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": 1}, (SPARSE[0], LOGITS[1])),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.4}, SPARSE), ("Dice", {}, CHANCES), ("Dice", {"axis": 1}, CHANCES),
    ("Tversky", {"alpha": 0.3, "beta": 0.8, "axis": -1}, CHANCES), ("CTC", {}, SOUND),
    ("Circle", {"gamma": 5.0}, UNIT), ("Circle", {"remove_diagonal": False, "margin": 0.2}, UNIT),
]  # fmt: skip


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize(("name", "options", "data"), CASES, ids=[f"{n}-{o}" for n, o, _ in CASES])
def test_loss_and_gradient_equal_keras(name, options, data, reduction):
    y_true, y_pred = data
    weight = None if reduction == "sum" else R.uniform(0, 2, len(y_true)).astype("float32")
    if options.get("axis") == 1 and name == "Dice":
        weight = None
    ours = getattr(losses, name)(reduction=reduction, **options)
    theirs = getattr(keras.losses, name)(reduction=reduction, **options)
    value, gradient = sx.value_and_grad(lambda p: ours(y_true, p, weight))(sx.ops.convert_to_tensor(y_pred))
    expected, slope = jax.value_and_grad(lambda p: theirs(y_true, p, weight))(y_pred)
    np.testing.assert_allclose(float(value), float(expected), rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(gradient.numpy(), np.asarray(slope), rtol=2e-4, atol=2e-6)


def test_every_loss_is_compared():
    bases = {"Loss", "LossFunctionWrapper"}
    assert {name for name, *_ in CASES} | bases == {n for n in losses.__all__ if n[0].isupper()}


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", "none"])
def test_masks_equal_keras(reduction):
    y_true, y_pred = R.normal(size=(4, 5, 3)).astype("float32"), R.normal(size=(4, 5, 3)).astype("float32")
    mask, weight = R.integers(0, 2, (4, 5)).astype(bool), R.uniform(0, 2, (4, 1)).astype("float32")
    ours, theirs = sx.ops.convert_to_tensor(y_pred), keras.ops.convert_to_tensor(y_pred)
    ours.mask = sx.ops.convert_to_tensor(mask)
    keras.src.backend.set_keras_mask(theirs, mask)
    got = losses.MeanSquaredError(reduction)(y_true, ours, weight)
    expected = keras.losses.MeanSquaredError(reduction)(y_true, theirs, weight)
    np.testing.assert_allclose(got.numpy(), np.asarray(expected), rtol=2e-5)


@pytest.mark.parametrize("name", sorted({name for name, *_ in CASES}))
def test_configurations_keep_the_names_of_keras(name):
    ours, theirs = getattr(losses, name)().get_config(), getattr(keras.losses, name)().get_config()
    assert theirs.items() <= ours.items()
    assert type(losses.deserialize({"module": "keras.losses", "class_name": name, "config": theirs})).__name__ == name
