"""Activations and softmax: one line a case, their defining formulas in NumPy as the reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.trainer.ops.activation import mish

A = (3, 5)
EXTREMES = np.array([-400.0, -3.5, -1.0, 0.0, 1e-6, 1.0, 3.5, 400.0], np.float32)
LARGE = (40, 1000)
erf = np.vectorize(math.erf)


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def elu(x, alpha=1.0, width=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / width))


def gelu(x):
    return x * 0.5 * (1 + erf(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def hard_sigmoid(x):
    return np.clip(x / 6 + 0.5, 0, 1)


def sparse_plus(x):
    return np.where(x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4))


def sparsemax(x, axis=-1):
    """By bisection on the level, an independent way to the projection."""
    low, high = x.min(axis, keepdims=True) - 1, x.max(axis, keepdims=True)
    for _ in range(200):
        middle = (low + high) / 2
        over = np.maximum(x - middle, 0).sum(axis, keepdims=True) > 1
        low, high = np.where(over, middle, low), np.where(over, high, middle)
    return np.maximum(x - (low + high) / 2, 0)


def glu(x, axis=-1):
    a, b = np.split(x, 2, axis)
    return a * sigmoid(b)


TABLE = {
    "sigmoid": (ops.sigmoid, sigmoid),
    "log_sigmoid": (ops.log_sigmoid, lambda x: -softplus(-x)),
    "softplus": (ops.softplus, softplus),
    "softsign": (ops.softsign, lambda x: x / (1 + np.abs(x))),
    "silu": (ops.silu, lambda x: x * sigmoid(x)),
    "swish": (ops.swish, lambda x: x * sigmoid(x)),
    "mish": (mish, lambda x: x * np.tanh(softplus(x))),
    "gelu": (lambda x: ops.gelu(x, approximate=False), gelu),
    "gelu_tanh": (ops.gelu, gelu_tanh),
    "squareplus": (ops.squareplus, lambda x: (x + np.sqrt(x * x + 4)) / 2),
    "squareplus_b": (lambda x: ops.squareplus(x, 2.0), lambda x: (x + np.sqrt(x * x + 2)) / 2),
    "tanh_shrink": (ops.tanh_shrink, lambda x: x - np.tanh(x)),
    "relu": (ops.relu, lambda x: np.maximum(x, 0)),
    "relu6": (ops.relu6, lambda x: np.clip(x, 0, 6)),
    "leaky_relu": (ops.leaky_relu, lambda x: np.where(x > 0, x, 0.2 * x)),
    "leaky_relu_steep": (lambda x: ops.leaky_relu(x, 1.5), lambda x: np.where(x > 0, x, 1.5 * x)),
    "elu": (ops.elu, elu),
    "elu_alpha": (lambda x: ops.elu(x, 0.5), lambda x: elu(x, 0.5)),
    "selu": (ops.selu, lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772)),
    "celu": (ops.celu, elu),
    "celu_alpha": (lambda x: ops.celu(x, 0.5), lambda x: elu(x, 0.5, 0.5)),
    "hard_sigmoid": (ops.hard_sigmoid, hard_sigmoid),
    "hard_silu": (ops.hard_silu, lambda x: x * hard_sigmoid(x)),
    "hard_swish": (ops.hard_swish, lambda x: x * hard_sigmoid(x)),
    "hard_tanh": (ops.hard_tanh, lambda x: np.clip(x, -1, 1)),
    "hard_shrink": (ops.hard_shrink, lambda x: np.where(np.abs(x) > 0.5, x, 0)),
    "soft_shrink": (ops.soft_shrink, lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)),
    "threshold": (lambda x: ops.threshold(x, 0.2, -1.0), lambda x: np.where(x > 0.2, x, -1)),
    "sparse_plus": (ops.sparse_plus, sparse_plus),
    "sparse_sigmoid": (ops.sparse_sigmoid, lambda x: np.clip((x + 1) / 2, 0, 1)),
}

SHAPES = [case(name, ours, reference, A) for name, (ours, reference) in TABLE.items()]
EXTREME = [
    case(f"{name}_extreme", ours, reference, EXTREMES, gradient=False) for name, (ours, reference) in TABLE.items()
]
BLOCKED = [
    case(f"{name}_blocked", *TABLE[name], LARGE, gradient=False, onnx=False)
    for name in ("sigmoid", "softplus", "gelu", "gelu_tanh", "relu", "elu", "hard_sigmoid", "leaky_relu", "mish")
]
PROBABILITIES = [
    *[case(f"softmax_{axis}", lambda x, a=axis: ops.softmax(x, a), lambda x, a=axis: softmax(x, a), (2, 3, 4))
      for axis in (-1, 0, 1, (1, 2), (0, 2), None)],
    *[case(f"log_softmax_{axis}", lambda x, a=axis: ops.log_softmax(x, a),
           lambda x, a=axis: np.log(softmax(x, a)), (2, 3, 4))
      for axis in (-1, 0, 1, (1, 2), (0, 2), None)],
    case("softmax_extreme", ops.softmax, softmax, EXTREMES, gradient=False),
    case("log_softmax_extreme", ops.log_softmax, lambda x: x - 400, EXTREMES, gradient=False),
    case("softmax_integers", ops.softmax, lambda x: softmax(x).astype(np.float32),
         np.array([[1, 2, 3]]), gradient=False),
    case("sparsemax", ops.sparsemax, sparsemax, A),
    case("sparsemax_axis", lambda x: ops.sparsemax(x, 0), lambda x: sparsemax(x, 0), (4, 3)),
    case("glu", ops.glu, glu, (3, 6)),
    case("glu_axis", lambda x: ops.glu(x, 1), lambda x: glu(x, 1), (2, 4, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("item", "check"), generated([*SHAPES, *EXTREME, *BLOCKED, *PROBABILITIES]))
def test_case(item, check):
    check_case(item, check)


CORNERS = [
    ("relu", ops.relu, 0.0, 0.0),
    ("relu6", ops.relu6, 0.0, 0.5),
    ("absolute", ops.absolute, 0.0, 0.0),
    ("leaky_relu", ops.leaky_relu, 0.0, 0.2),
    ("maximum", lambda x: ops.maximum(x, 1.0), 1.0, 0.5),
    ("minimum", lambda x: ops.minimum(x, 1.0), 1.0, 0.5),
    ("max", lambda x: ops.max(ops.stack([x, x, x])), 1.0, 1.0),
]


@pytest.mark.parametrize(("name", "function", "at", "slope"), CORNERS, ids=[row[0] for row in CORNERS])
def test_slope_at_corner(name, function, at, slope):
    assert float(sx.grad(function)(at)) == pytest.approx(slope)


ERRORS = [
    ("glu_odd", lambda: ops.glu(np.zeros((2, 3))), ValueError, "glu: expected an even size on axis -1, got 3"),
    ("softmax_scalar", lambda: ops.softmax(1.0), ValueError, "softmax: expected at least one axis"),
    ("softmax_axis", lambda: ops.softmax(np.zeros(3), axis=2), ValueError, "softmax: axis 2 is out of range"),
    ("celu_alpha", lambda: ops.celu(1.0, alpha=0), ValueError, "celu: alpha divides x"),
]


@pytest.mark.parametrize(("name", "call", "kind", "message"), ERRORS, ids=[row[0] for row in ERRORS])
def test_error(name, call, kind, message):
    with pytest.raises(kind, match=message):
        call()
