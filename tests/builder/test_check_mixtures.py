"""What mixes probabilities holds probabilities: `check` does not call it an error."""

from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers

GATHER = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]


def softmax_gathered(x: Any) -> Any:
    return layers.Dense(4, activation="softmax")(x) @ GATHER


def softmaxes_on_average(x: Any) -> Any:
    return layers.Dense(3, activation="softmax")(x) * 0.5 + layers.Dense(3, activation="softmax")(x) * 0.5


def plain_dense(x: Any) -> Any:
    return layers.Dense(3)(x)


def plain_dense_without_bias(x: Any) -> Any:
    return layers.Dense(3, use_bias=False)(x)


@pytest.mark.parametrize(
    ("head", "severity"),
    [
        (softmax_gathered, "note"),
        (softmaxes_on_average, "note"),
        (plain_dense, "error"),
        (plain_dense_without_bias, "error"),
    ],
)
def test_only_a_layers_own_numbers_are_surely_no_probabilities(head: Any, severity: str):
    x = sx.Input((5,))
    model = sx.Model(x, head(x))
    model.compile("adam", "sparse_categorical_crossentropy")
    found = [finding.severity for finding in model.check() if finding.rule == "logits_as_probabilities"]
    assert found == [severity]
