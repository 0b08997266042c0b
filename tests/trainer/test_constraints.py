"""Constraints: values, configurations, names."""

import json

import numpy as np
import pytest

from sardonyx import constraints

W = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
CASES = [
    ("MaxNorm", {"max_value": 1.0}), ("MaxNorm", {"max_value": 0.5, "axis": 1}), ("NonNeg", {}), ("UnitNorm", {}),
    ("UnitNorm", {"axis": [0, 1]}), ("MinMaxNorm", {"min_value": 1.0, "max_value": 1.5}),
    ("MinMaxNorm", {"min_value": 3.0, "max_value": 4.0, "rate": 0.5, "axis": 1}),
]  # fmt: skip


def norms(w, axis=0):
    return np.sqrt((w**2).sum(axis))


def test_values():
    assert (norms(constraints.MaxNorm(1.0)(W).numpy()) <= 1 + 1e-6).all()
    np.testing.assert_allclose(norms(constraints.UnitNorm()(W).numpy()), np.ones(3), rtol=1e-5)
    np.testing.assert_array_equal(constraints.NonNeg()(W).numpy(), np.maximum(W, 0))
    np.testing.assert_allclose(norms(constraints.MinMaxNorm(3.0, 4.0)(W).numpy()), np.full(3, 3.0), rtol=1e-5)
    small = W * 0.01
    np.testing.assert_allclose(constraints.MaxNorm(1.0)(small).numpy(), small, rtol=1e-4)


@pytest.mark.peers
@pytest.mark.parametrize(("name", "options"), CASES)
def test_values_equal_keras(name, options):
    keras = pytest.importorskip("keras")
    expected = np.asarray(getattr(keras.constraints, name)(**options)(W))
    np.testing.assert_allclose(getattr(constraints, name)(**options)(W).numpy(), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_configuration_comes_back(name, options):
    made = getattr(constraints, name)(**options)
    again = constraints.deserialize(json.loads(json.dumps(constraints.serialize(made))))
    assert type(again) is type(made) and again.get_config() == made.get_config()


@pytest.mark.parametrize("name", ["max_norm", "MaxNorm", "non_neg", "unit_norm", "min_max_norm"])
def test_names(name):
    assert isinstance(constraints.get(name), constraints.Constraint)


def test_base_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="Constraint does not define __call__"):
        constraints.Constraint()(W)
