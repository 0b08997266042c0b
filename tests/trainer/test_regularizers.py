"""Regularizers: values, gradients, configurations, errors."""

import json
import re

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import regularizers

W = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
CASES = [
    ("L1", {"l1": 0.1}),
    ("L2", {"l2": 0.2}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("L1L2", {}),
    ("L1", {}),
    ("L2", {}),
    ("OrthogonalRegularizer", {"factor": 0.3}),
    ("OrthogonalRegularizer", {"mode": "columns"}),
]
EXPECTED = [0.1 * np.abs(W).sum(), 0.2 * (W**2).sum(), 0.1 * np.abs(W).sum() + 0.2 * (W**2).sum(), 0.0]


@pytest.mark.parametrize(("case", "value"), list(zip(CASES[:4], EXPECTED, strict=True)))
def test_values(case, value):
    assert float(getattr(regularizers, case[0])(**case[1])(sx.ops.convert_to_tensor(W))) == pytest.approx(
        value, rel=1e-5
    )


@pytest.mark.peers
@pytest.mark.parametrize(("name", "options"), CASES)
def test_values_equal_keras(name, options):
    keras = pytest.importorskip("keras")
    expected = float(getattr(keras.regularizers, name)(**options)(keras.ops.convert_to_tensor(W)))
    assert float(getattr(regularizers, name)(**options)(sx.ops.convert_to_tensor(W))) == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.parametrize(("name", "options"), CASES)
def test_configuration_comes_back(name, options):
    made = getattr(regularizers, name)(**options)
    again = regularizers.deserialize(json.loads(json.dumps(regularizers.serialize(made))))
    assert type(again) is type(made) and again.get_config() == made.get_config()


@pytest.mark.parametrize("name", ["l1", "l2", "l1_l2", "L1L2", "orthogonal_regularizer"])
def test_names(name):
    assert isinstance(regularizers.get(name), regularizers.Regularizer)


ERRORS = [
    *[
        (lambda v=v: regularizers.L2(v), ValueError, "l2 must be a finite number, 0 or more")
        for v in (-1, np.nan, "a", True)
    ],
    (lambda: regularizers.OrthogonalRegularizer(mode="x"), ValueError, 'mode must be "rows" or "columns", got \'x\''),
    (lambda: regularizers.OrthogonalRegularizer()(np.ones(3)), ValueError, "expected a matrix, got shape (3,)"),
]


@pytest.mark.parametrize(("action", "kind", "message"), ERRORS)
def test_errors(action, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        action()
