"""The activations by name: every name of Keras, their look-up, and what bad names get."""

from __future__ import annotations

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.trainer import activations

NAMES = [name for name in activations.__all__ if name not in ("get", "serialize", "deserialize")]
X = np.linspace(-7, 7, 8, dtype=np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_name_and_back(name):
    function = activations.get(name)
    assert function is getattr(activations, name)
    assert activations.deserialize(activations.serialize(function)) is function


@pytest.mark.parametrize("name", NAMES)
def test_keeps_float32(name):
    arguments = (0.5, 1.0) if name == "threshold" else ()
    assert getattr(activations, name)(X, *arguments).dtype == "float32"


RELU = [
    ({}, lambda x: np.maximum(x, 0)),
    ({"negative_slope": 0.1}, lambda x: np.where(x > 0, x, 0.1 * x)),
    ({"max_value": 6.0}, lambda x: np.clip(x, 0, 6)),
    ({"threshold": 2.0}, lambda x: np.where(x > 2, x, 0)),
    ({"negative_slope": 0.5, "max_value": 5.0, "threshold": 1.0},
     lambda x: np.where(x > 1, np.minimum(x, 5), 0.5 * (x - 1))),
]


@pytest.mark.parametrize(("arguments", "reference"), RELU, ids=lambda v: str(v) if type(v) is dict else "")
def test_relu(arguments, reference):
    np.testing.assert_allclose(activations.relu(X, **arguments).numpy(), reference(X), rtol=1e-6)


def test_linear_and_none():
    assert activations.get(None) is activations.linear
    assert activations.linear(X).numpy() is X


def test_plain_operation_has_the_name_of_its_activation():
    assert activations.serialize(sx.ops.relu) == "relu"


def test_own_function():
    def halve(x):
        return x / 2

    assert activations.get(halve) is halve


ERRORS = [
    (lambda: activations.get("rleu"), ValueError, "unknown activation 'rleu'; did you mean 'relu'"),
    (lambda: activations.get(3), TypeError, "expected an activation"),
    (lambda: activations.relu(X, max_value=-1.0), ValueError, "relu: max_value must not be negative"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_error(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
