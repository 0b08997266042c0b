"""`Model.check`: every rule finds its mistake in all three styles, and says nothing when the advice is followed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from styles import STYLES

import sardonyx as sx
from sardonyx import layers as L

Layers = list[Callable[[], Any]]
LOGITS = sx.losses.SparseCategoricalCrossentropy(from_logits=True)


def dense(units: int, **options: Any) -> Callable[[], Any]:
    return lambda: L.Dense(units, **options)


class Doubled(L.Layer):
    """Drops the mask of its input, as any layer does that does not say otherwise."""

    def __init__(self, keeps: bool = False) -> None:
        super().__init__()
        self.supports_masking = keeps

    def call(self, inputs: Any) -> Any:
        return inputs * 2


class Applied(L.Layer):
    """Any function as a layer."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def call(self, inputs: Any) -> Any:
        return self.function(inputs)


def applied(function: Callable[[Any], Any]) -> Callable[[], Any]:
    return lambda: Applied(function)


def embedded(keeps: bool) -> Layers:
    return [lambda: L.Embedding(9, 4, mask_zero=True), lambda: Doubled(keeps), lambda: L.LSTM(3), dense(1)]


SOFTMAX = dense(3, activation="softmax")
RELU = dense(4, activation="relu")
# fmt: off
# rule: severity, input shape, layers, loss, words of the message, layers by the advice, loss by the advice
CASES: dict[str, tuple[str, tuple[Any, ...], Layers, Any, str, Layers, Any]] = {
    "probabilities_as_logits": ("error", (4,), [SOFTMAX], LOGITS, "is a softmax already", [dense(3)], LOGITS),
    "logits_as_probabilities": (
        "error", (4,), [dense(3)], "sparse_categorical_crossentropy", "holds no probabilities", [dense(3)], LOGITS),
    "logits_as_probabilities relu": (
        "error", (4,), [dense(1, activation="relu")], "binary_crossentropy", "is a relu",
        [dense(1, activation="sigmoid")], "binary_crossentropy"),
    "bounded_logits": (
        "warning", (4,), [dense(3, activation="tanh")], LOGITS, "keeps them bounded", [dense(3)], LOGITS),
    "double_activation": (
        "error", (4,), [SOFTMAX, L.Softmax], "categorical_crossentropy", "result of a softmax",
        [SOFTMAX], "categorical_crossentropy"),
    "softmax_of_one": (
        "error", (4,), [dense(1, activation="softmax")], "binary_crossentropy", "always 1",
        [dense(1, activation="sigmoid")], "binary_crossentropy"),
    "single_class": (
        "error", (4,), [dense(1, activation="sigmoid")], "categorical_crossentropy", "has one unit",
        [dense(1, activation="sigmoid")], "binary_crossentropy"),
    "binary_loss_of_softmax": (
        "warning", (4,), [SOFTMAX], "binary_crossentropy", "3 separate yes-or-no", [SOFTMAX],
        "categorical_crossentropy"),
    "categorical_loss_of_sigmoid": (
        "warning", (4,), [dense(3, activation="sigmoid")], "categorical_crossentropy", "sum to 1", [SOFTMAX],
        "categorical_crossentropy"),
    "squares_of_softmax": ("note", (4,), [SOFTMAX], "mse", "learns slowly", [SOFTMAX], "categorical_crossentropy"),
    "output_dtype": (
        "error", (4,), [SOFTMAX, applied(lambda x: sx.ops.argmax(x, -1))], "mse", "is int", [SOFTMAX], "mse"),
    "no_gradient": (
        "error", (4,), [RELU, applied(sx.ops.stop_gradient)], "mse", "`stop_gradient` on the way", [RELU], "mse"),
    "no_gradient round": (
        "warning", (4,), [RELU, applied(sx.ops.round), dense(1)], "mse", "`round`",
        [RELU, applied(lambda x: x + sx.ops.stop_gradient(sx.ops.round(x) - x)), dense(1)], "mse"),
    "no_gradient argmax": (
        "warning", (4,), [SOFTMAX, applied(lambda x: sx.ops.one_hot(sx.ops.argmax(x, -1), 3)), dense(1)], "mse",
        "`argmax`", [SOFTMAX, dense(1)], "mse"),
    "no_gradient cast": (
        "warning", (4,), [RELU, applied(lambda x: sx.ops.cast(sx.ops.cast(x, "int32"), "float32")), dense(1)], "mse",
        "`cast`", [RELU, dense(1)], "mse"),
    "no_gradient compared": (
        "warning", (4,), [RELU, applied(lambda x: sx.ops.cast(x > 0, "float32")), dense(1)], "mse", "`greater`",
        [RELU, applied(sx.ops.sigmoid), dense(1)], "mse"),
    "everything_frozen": (
        "warning", (4,), [dense(1, trainable=False)], "mse", "would change no weight", [dense(1)], "mse"),
    "dropout_at_the_end": (
        "warning", (4,), [dense(1), lambda: L.Dropout(0.2)], "mse", "answers themselves",
        [lambda: L.Dropout(0.2), dense(1)], "mse"),
    "dropout_of_nothing": ("note", (4,), [lambda: L.Dropout(0.0), dense(1)], "mse", "drops nothing", [dense(1)], "mse"),
    "dropout_of_everything": (
        "error", (4,), [lambda: L.Dropout(1.0), dense(1)], "mse", "sets everything to 0",
        [lambda: L.Dropout(0.5), dense(1)], "mse"),
    "normalized_output": (
        "note", (4,), [dense(1), L.BatchNormalization], "mse", "over the batch", [L.BatchNormalization, dense(1)],
        "mse"),
    "bias_before_normalization": (
        "note", (8, 8, 1), [lambda: L.Conv2D(2, 3), L.BatchNormalization, L.Flatten, dense(1)], "mse", "subtracted",
        [lambda: L.Conv2D(2, 3, use_bias=False), L.BatchNormalization, L.Flatten, dense(1)], "mse"),
    "linear_dense": ("note", (4,), [dense(5), dense(1)], "mse", "what one can", [RELU, dense(1)], "mse"),
    "large_head": (
        "note", (60, 60, 3), [lambda: L.Conv2D(4, 3), L.Flatten, dense(800), L.ReLU, dense(1)], "mse",
        "parameters stand in the Dense layer after Flatten",
        [lambda: L.Conv2D(4, 3), L.GlobalAveragePooling2D, dense(800), L.ReLU, dense(1)], "mse"),
    "mask_lost": ("warning", (7,), embedded(False), "mse", "drops the mask", embedded(True), "mse"),
    "channels_first": (
        "warning", (3, 32, 32), [lambda: L.Conv2D(2, 3), L.Flatten, dense(1)], "mse", "look channels first",
        [lambda: L.Conv2D(2, 3, data_format="channels_first"), L.Flatten, dense(1)], "mse"),
    "single_step": (
        "note", (7,), [lambda: L.Reshape((1, 7)), lambda: L.GRU(3), dense(1)], "mse", "has one step",
        [lambda: L.Reshape((7, 1)), lambda: L.GRU(3), dense(1)], "mse"),
    "float_tokens": (
        "note", (7,), [lambda: L.Embedding(9, 4), L.Flatten, dense(1)], "mse", "exactly",
        [applied(lambda x: sx.ops.cast(x, "int32")), lambda: L.Embedding(9, 4), L.Flatten, dense(1)], "mse"),
    "batch_in_the_graph": (
        "warning", (4,), [applied(lambda x: sx.ops.reshape(x, (2, -1))), applied(lambda x: x * 2)], "mse",
        "first axis is 2", [applied(lambda x: sx.ops.reshape(x, (-1, 2, 2)))], "mse"),
}
# fmt: on


def rules(report: Any) -> list[str]:
    return [finding.rule for finding in report]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_found_and_the_advice_helps(case: str, style: str):
    severity, shape, wrong, loss, words, right, better = CASES[case]
    rule = case.split(maxsplit=1)[0]
    model = STYLES[style](wrong, shape)
    model.compile("sgd", loss)
    found = [finding for finding in model.check() if finding.rule == rule]
    assert found, rules(model.check())
    assert found[0].severity == severity and words in found[0].message
    assert found[0].fix and (found[0].source is None or found[0].source.file == __file__ or "styles" in str(found[0]))
    model = STYLES[style](right, shape)
    model.compile("sgd", better)
    assert rule not in rules(model.check())


class Held(sx.Model):
    """Holds a layer it never calls, one in a list, one whose result it drops, and a weight it never reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.spare = L.Dense(4, activation="relu", name="first"), L.Dense(2, name="spare")
        self.blocks = [L.Dense(4, activation="relu", name=f"block_{i}") for i in range(3)]
        self.side, self.last = L.Dense(9, name="side"), L.Dense(1, name="last")
        self.offset = self.add_weight((1,), name="offset")

    def call(self, inputs: Any) -> Any:
        x = self.first(inputs)
        self.side(x)
        for block in self.blocks[:2]:
            x = block(x)
        return self.last(x)


def test_what_a_model_holds_and_does_not_use():
    model = Held()
    model.build((None, 3))
    found = {(finding.rule, finding.where) for finding in model.check() if finding.severity == "warning"}
    assert found == {
        ("unused_layer", "self.spare"), ("unused_layer", "self.blocks[2]"), ("dead_branch", "side"),
        ("no_gradient", "offset"),
    }  # fmt: skip
    line = next(finding.source for finding in model.check() if finding.rule == "dead_branch")
    assert line is not None and line.text == "self.side(x)" and line.file == __file__


def test_an_output_without_a_loss_trains_nothing():
    x = sx.Input((3,))
    a, b = L.Dense(1, name="a")(x), L.Dense(1, name="b")(x)
    model = sx.Model(x, {"a": a, "b": b})
    model.compile("sgd", {"a": "mse"})
    (finding,) = model.check()
    assert finding.rule == "no_gradient" and finding.where == "b/kernel, b/bias" and "without a loss" in finding.message
    model.compile("sgd", {"a": "mse", "b": "mse"})
    assert not model.check()


def test_names_weights_and_sizes():
    model = sx.Sequential([sx.Input((3,)), L.Dense(1, name="only")])
    model.layers[0].kernel.assign(np.full((3, 1), np.nan))
    (finding,) = model.check()
    assert (finding.rule, finding.where) == ("weights_not_finite", "only/kernel") and "3 of 3" in finding.message
    fixed = sx.Sequential([sx.Input(batch_shape=(4, 3)), L.Dense(1)])
    assert rules(fixed.check()) == ["fixed_batch"]


# fmt: off
METRICS: dict[str, tuple[str, Any, str, str]] = {
    "accuracy of quantities": ("mse", dense(1), "accuracy", "mae"),
    "one-hot metric": ("sparse_categorical_crossentropy", SOFTMAX, "categorical_accuracy", "accuracy"),
    "sparse metric": ("categorical_crossentropy", SOFTMAX, "sparse_categorical_accuracy", "categorical_accuracy"),
    "classes of one unit": ("binary_crossentropy", dense(1, activation="sigmoid"), "categorical_accuracy", "accuracy"),
    "each by itself": ("categorical_crossentropy", SOFTMAX, "binary_accuracy", "accuracy"),
}
# fmt: on


@pytest.mark.parametrize("case", METRICS)
def test_metrics_that_do_not_fit(case: str):
    loss, head, wrong, right = METRICS[case]
    model = STYLES["functional"]([head], (4,))
    for metric, expected in ((wrong, ["metric_does_not_fit"]), (right, [])):
        model.compile("sgd", loss, metrics=[metric])
        assert rules(model.check()) == expected
