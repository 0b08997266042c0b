"""`Model.check(x, y)` on data, its report, and that it is silent about good models."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from styles import STYLES

import sardonyx as sx
from sardonyx import layers as L

R = np.random.default_rng(0)
X = R.normal(size=(6, 4)).astype("float32")
PIXELS = R.integers(0, 256, (6, 8, 8, 3)).astype("uint8")
TOKENS = R.integers(0, 9, (6, 5))


def stack(*layers: Callable[[], Any]) -> list[Callable[[], Any]]:
    return list(layers)


CLASSES = stack(lambda: L.Dense(3, activation="softmax"))
YES = stack(lambda: L.Dense(1, activation="sigmoid"))
ONE = stack(lambda: L.Dense(1))
IMAGES = stack(lambda: L.Conv2D(2, 3, activation="relu"), L.GlobalAveragePooling2D, lambda: L.Dense(1))
SCALED = [lambda: L.Rescaling(1 / 255), *IMAGES]
WORDS = stack(lambda: L.Embedding(9, 4), L.GlobalAveragePooling1D, lambda: L.Dense(1))
SPARSE, DENSE = "sparse_categorical_crossentropy", "categorical_crossentropy"
NAN = np.where(np.arange(4) == 1, np.nan, X).astype("float32")
# fmt: off
# layers, input shape and dtype, loss, (x, y) that is wrong, rule, words, (layers, x, y) that is right
DATA: dict[str, tuple[Any, ...]] = {
    "labels from one": (
        CLASSES, (4,), None, SPARSE, X, [1, 2, 3, 1, 2, 3], "targets_do_not_fit", "from 0 to 2 for 3 outputs",
        X, [0, 1, 2, 0, 1, 2]),
    "one-hot for sparse": (
        CLASSES, (4,), None, SPARSE, X, np.eye(3)[[0, 1, 2] * 2], "targets_do_not_fit", "class numbers", X,
        [0, 1, 2] * 2),
    "sparse for one-hot": (
        CLASSES, (4,), None, DENSE, X, [0, 1, 2] * 2, "targets_do_not_fit", "y_true", X, np.eye(3)[[0, 1, 2] * 2]),
    "signs for yes and no": (
        YES, (4,), None, "binary_crossentropy", X, [[-1], [1]] * 3, "targets_do_not_fit", "between 0 and 1", X,
        [[0], [1]] * 3),
    "targets of another size": (
        ONE, (4,), None, "mse", X, np.zeros((6, 2)), "targets_do_not_fit", "y_true", X, np.zeros((6, 1))),
    "numbers of samples": (
        ONE, (4,), None, "mse", X, np.zeros((5, 1)), "numbers_of_samples", "x has 6 samples, y has 5", X,
        np.zeros((6, 1))),
    "two targets": (
        ONE, (4,), None, "mse", X, [np.zeros((6, 1))] * 2, "targets_do_not_fit", "one output", X, np.zeros((6, 1))),
    "inputs of another size": (
        ONE, (4,), None, "mse", X[:, :3], None, "inputs_do_not_fit", "expected shape (batch, 4)", X, None),
    "NaN": (ONE, (4,), None, "mse", NAN, None, "data_not_finite", "6 values in 6 samples", np.nan_to_num(NAN), None),
    "NaN in y": (
        ONE, (4,), None, "mse", X, np.full((6, 1), np.inf), "data_not_finite", "6 values", X, np.zeros((6, 1))),
    "pixels": (
        IMAGES, (8, 8, 3), None, "mse", PIXELS, None, "pixels_not_scaled", "pixels go from 0 to 25", PIXELS / 255.0,
        None),
    "tokens": (
        WORDS, (5,), "int32", "mse", TOKENS + 1, None, "tokens_out_of_range", "rows 0 to 8", TOKENS, None),
    "negative tokens": (
        WORDS, (5,), "int32", "mse", TOKENS - 1, None, "tokens_out_of_range", "from -1", TOKENS, None),
}
# fmt: on


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("case", DATA)
def test_data_that_does_not_fit(case: str, style: str):
    layers, shape, dtype, loss, x, y, rule, words, good_x, good_y = DATA[case]
    model = STYLES[style](layers, shape, dtype)
    model.compile("sgd", loss)
    before = model.get_weights()
    found = [f for f in model.check(x, y) if f.rule == rule]
    assert found and words in found[0].message and found[0].fix, str(model.check(x, y))
    assert not [f for f in model.check(good_x, good_y) if f.rule == rule]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_scaling_inside_the_model_is_seen():
    assert not STYLES["sequential"](SCALED, (8, 8, 3)).check(PIXELS)


def test_the_report_is_a_table_and_a_list():
    model = STYLES["sequential"](CLASSES, (4,))
    model.compile("sgd", sx.losses.SparseCategoricalCrossentropy(from_logits=True))
    report = model.check()
    text = str(report)
    assert text == repr(report) and len({len(line) for line in text.splitlines()[1:]}) == 1
    assert text.startswith("Check of 'sequential' (Sequential): 1 error") and "Fix: Drop from_logits=True" in text
    assert len(report) == 1 and report[0] is next(iter(report)) and report.of("error") == report.findings
    assert str(report[0]).startswith("error: dense: the output is a softmax already")
    with pytest.raises(ValueError, match="probabilities|softmax already"):
        report.raise_if_errors()
    good = STYLES["sequential"](CLASSES, (4,)).check()
    good.raise_if_errors()
    assert not good and str(good).endswith("no findings")


def test_a_model_without_shapes_learns_them_from_x_or_says_what_is_missing():
    model = sx.Sequential([L.Dense(3)])
    with pytest.raises(ValueError, match="does not know the shapes of its inputs"):
        model.check()
    assert not model.check(X) and model.built


def test_a_model_that_cannot_be_traced_or_exported_is_reported():
    class Branching(sx.Model):
        def call(self, inputs: Any) -> Any:
            return inputs * np.linalg.norm(inputs)

    model = Branching()
    model(X)
    (finding,) = model.check()
    assert finding.rule == "no_graph" and "np.asarray" in finding.message and __file__ in finding.message
    x = sx.Input((4,), name="x")
    (finding,) = sx.Model(x, sx.ops.eigh(sx.ops.matmul(x[:, :, None], x[:, None, :]))[0]).check()
    assert finding.rule == "no_export" and "eigh" in finding.message


def test_checking_changes_nothing():
    model = STYLES["subclassed"]([lambda: L.Dense(4), L.BatchNormalization, lambda: L.Dropout(0.5)], (4,))
    model.compile("adam", "mse")
    before = [v.numpy() for v in model.variables]
    versions = [v.version for v in model.variables]
    names = list(vars(model))
    model.check(X, np.zeros((6, 4)))
    assert all(np.array_equal(a, v.numpy()) for a, v in zip(before, model.variables, strict=True))
    assert versions == [v.version for v in model.variables] and names == list(vars(model))
    assert not model.losses
