"""Elementwise operations: one line a case, NumPy as the reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from op_cases import case, check_case, generated

from sardonyx import ops

vector = np.vectorize
A = (3, 4)
EXTREMES = np.array([-400.0, -1.0, -0.0, 0.0, 1e-6, 1.0, 400.0], np.float32)
INTS = np.array([[-7, 7, 3], [12, -5, 1]], np.int32)
DIVISORS = np.array([[2, -2, 3], [5, 3, -4]], np.int32)
FLAGS = np.array([[True, False, True], [False, False, True]])
ODD = np.array([np.nan, np.inf, -np.inf, 1.5, -0.0], np.float32)
erf, erfc = vector(math.erf), vector(math.erfc)


def plain(name, function, reference, *inputs, **options):
    """A case without a gradient."""
    return case(name, function, reference, *inputs, gradient=False, **options)


ARITHMETIC = [
    case("add", ops.add, np.add, A, A),
    case("add_broadcast", ops.add, np.add, (3, 1, 4), (5, 1)),
    case("add_number", lambda x: ops.add(x, 2), lambda x: x + 2, A),
    case("subtract", ops.subtract, np.subtract, A, (4,)),
    case("multiply", ops.multiply, np.multiply, A, (3, 1)),
    case("divide", ops.divide, np.divide, A, A, low=0.5),
    plain("divide_integers", ops.divide, lambda x, y: (x / y).astype(np.float32), INTS, DIVISORS),
    plain("add_booleans", ops.add, np.add, FLAGS, ~FLAGS),
    plain("multiply_booleans", ops.multiply, np.multiply, FLAGS, ~FLAGS),
    case("negative", ops.negative, np.negative, A),
    case("positive", ops.positive, np.positive, A),
    case("reciprocal", ops.reciprocal, np.reciprocal, A, low=0.5),
    case("square", ops.square, np.square, A),
    case("absolute", ops.absolute, np.absolute, A),
    case("fabs", ops.fabs, np.fabs, A),
    plain("absolute_integers", ops.abs, np.abs, INTS),
    plain("sign", ops.sign, np.sign, EXTREMES),
    plain("signbit", ops.signbit, np.signbit, EXTREMES),
    plain("signbit_integers", ops.signbit, lambda x: x < 0, INTS),
    plain("floor_divide_integers", ops.floor_divide, np.floor_divide, INTS, DIVISORS),
    plain("floor_divide", ops.floor_divide, np.floor_divide, (4, 5), (5,), low=0.3, high=9.0),
    plain("floor_divide_exact", lambda x: ops.floor_divide(x, 0.1), lambda x: np.floor_divide(x, x.dtype.type(0.1)),
          np.array([1.0, 2.0, -1.0], np.float32)),
    plain("mod_integers", ops.mod, np.mod, INTS, DIVISORS),
    case("mod", ops.mod, np.mod, np.array([5.3, -5.3, 5.3, -5.3]), np.array([2.1, 2.1, -2.1, -2.1])),
    plain("fmod_integers", ops.fmod, np.fmod, INTS, DIVISORS),
    case("fmod", ops.fmod, np.fmod, np.array([5.3, -5.3, 5.3, -5.3]), np.array([2.1, 2.1, -2.1, -2.1])),
    case("divide_no_nan", ops.divide_no_nan, lambda x, y: np.where(y == 0, 0, x / np.where(y == 0, 1, y)),
         A, np.array([0.0, 2.0, -1.0, 4.0]), gradient=(True, False)),
    case("power", ops.power, np.power, A, A, low=0.3),
    case("power_number", lambda x: ops.power(x, 3), lambda x: x**3, A),
    case("power_two", lambda x: ops.power(x, 2), np.square, A),
    case("power_zero", lambda x: ops.power(x, 0.0), np.ones_like, np.array([0.0, 1.0, -2.0])),
    case("number_power", lambda x: ops.power(2.0, x), np.exp2, A),
    plain("power_integers", ops.power, np.power, INTS, np.array([2, 3, 0], np.int32)),
    case("sqrt", ops.sqrt, np.sqrt, A, low=0.3),
    case("rsqrt", ops.rsqrt, lambda x: 1 / np.sqrt(x), A, low=0.3),
    case("cbrt", ops.cbrt, np.cbrt, np.array([-8.0, -0.5, 0.7, 27.0])),
    case("hypot", ops.hypot, np.hypot, A, A),
    plain("hypot_extreme", ops.hypot, np.hypot, np.array([0.0, 1e30, 3e20]), np.array([0.0, 1e30, -4e20])),
    plain("ldexp", ops.ldexp, np.ldexp, (2, 3), np.array([3, -2, 0], np.int32)),
    case("exp2", ops.exp2, np.exp2, A),
]

SELECTION = [
    case("maximum", ops.maximum, np.maximum, A, A),
    case("maximum_broadcast", ops.maximum, np.maximum, A, (4,)),
    case("minimum", ops.minimum, np.minimum, A, (3, 1)),
    plain("maximum_integers", ops.maximum, np.maximum, INTS, DIVISORS),
    plain("maximum_nan", ops.maximum, np.maximum, ODD, np.zeros(5)),
    plain("fmax", ops.fmax, np.fmax, ODD, np.zeros(5)),
    plain("fmin", ops.fmin, np.fmin, np.zeros(5), ODD),
    case("fmax_gradient", ops.fmax, np.fmax, A, A),
    case("clip", lambda x: ops.clip(x, -0.5, 1.0), lambda x: np.clip(x, -0.5, 1.0), A),
    case("clip_low", lambda x: ops.clip(x, 0.1, None), lambda x: np.maximum(x, x.dtype.type(0.1)), A),
    case("clip_high", lambda x: ops.clip(x, None, 0.1), lambda x: np.minimum(x, x.dtype.type(0.1)), A),
    case("clip_tensors", ops.clip, np.clip, A, np.full(4, -0.3), np.full(4, 0.4), gradient=(True, False, False)),
    plain("clip_integers", lambda x: ops.clip(x, -2, 5), lambda x: np.clip(x, -2, 5), INTS),
    case("where", ops.where, np.where, FLAGS, (2, 3), (3,)),
    case("where_large", lambda x, y: ops.where(x > 0, x, y), lambda x, y: np.where(x > 0, x, y), (48, 64), (48, 64)),
    case("where_number", lambda x: ops.where(x > 0, x, -1.0), lambda x: np.where(x > 0, x, -1), A),
    plain("where_integers", ops.where, np.where, FLAGS, INTS, DIVISORS),
    plain("where_booleans", ops.where, np.where, FLAGS, FLAGS, ~FLAGS),
    case("heaviside", ops.heaviside, np.heaviside, np.array([-1.0, 0.0, 2.0]), np.full(3, 0.3), gradient=(False, True)),
    case("select", lambda x: ops.select([x < -0.5, x > 0.5], [x * 2, x * 3], 7.0),
         lambda x: np.select([x < -0.5, x > 0.5], [x * 2, x * 3], 7.0), A),
]

COMPARISON = [
    plain(name, getattr(ops, name), getattr(np, name), x, y)
    for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    for x, y in ((EXTREMES, EXTREMES[::-1].copy()), (INTS, DIVISORS))
] + [
    plain("less_booleans", ops.less, np.less, FLAGS, ~FLAGS),
    plain("equal_number", lambda x: ops.equal(x, 1), lambda x: x == 1, INTS),
    plain("logical_and", ops.logical_and, np.logical_and, FLAGS, np.array([True, False, True])),
    plain("logical_or", ops.logical_or, np.logical_or, FLAGS, INTS),
    plain("logical_xor", ops.logical_xor, np.logical_xor, FLAGS, ~FLAGS[0]),
    plain("logical_not", ops.logical_not, np.logical_not, FLAGS),
    plain("logical_not_numbers", ops.logical_not, np.logical_not, EXTREMES),
    *[plain(name, getattr(ops, name), getattr(np, name), ODD)
      for name in ("isnan", "isinf", "isfinite", "isposinf", "isneginf")],
    plain("isnan_integers", ops.isnan, np.isnan, INTS),
    plain("isclose", ops.isclose, np.isclose,
          np.array([1.0, 1.0, np.inf, np.nan, np.inf]), np.array([1.000001, 1.1, np.inf, np.nan, 1.0])),
    plain("isclose_nan", lambda x, y: ops.isclose(x, y, equal_nan=True), lambda x, y: np.isclose(x, y, equal_nan=True),
          ODD, ODD),
    plain("allclose", ops.allclose, lambda x, y: np.array(np.allclose(x, y)), A, A),
]

EXPONENTIAL = [
    case("exp", ops.exp, np.exp, A),
    case("expm1", ops.expm1, np.expm1, A),
    plain("expm1_small", ops.expm1, np.expm1, np.array([-90.0, -1e-6, 0.0, 1e-6, 80.0]), tolerance=1e-6),
    case("log", ops.log, np.log, A, low=0.3),
    case("log1p", ops.log1p, np.log1p, A, low=-0.7),
    plain("log1p_small", ops.log1p, np.log1p, np.array([-0.5, -1e-7, 0.0, 1e-7, 1e20, np.inf]), tolerance=1e-6),
    case("log2", ops.log2, np.log2, A, low=0.3),
    case("log10", ops.log10, np.log10, A, low=0.3),
    case("logaddexp", ops.logaddexp, np.logaddexp, A, A),
    plain("logaddexp_extreme", ops.logaddexp, np.logaddexp,
          np.array([400.0, -np.inf, -400.0]), np.array([-400.0, -np.inf, -400.0])),
    case("logaddexp2", ops.logaddexp2, np.logaddexp2, A, (4,)),
    case("erf", ops.erf, erf, A),
    plain("erf_extreme", ops.erf, erf, EXTREMES),
    plain("erf_large", ops.erf, erf, (130, 130), low=-5.0, high=5.0),
    case("erfc", ops.erfc, erfc, A),
    plain("erfc_extreme", ops.erfc, erfc, EXTREMES),
    case("erfinv", lambda x: ops.erfinv(ops.erf(x)), lambda x: x, A, tolerance=1e-4),
    plain("erfinv_extreme", ops.erfinv, lambda x: np.array([-np.inf, -0.4769363, 0.0, 0.4769363, np.inf], x.dtype),
          np.array([-1.0, -0.5, 0.0, 0.5, 1.0]), tolerance=1e-6),
]

TRIGONOMETRY = [
    *[case(name, getattr(ops, name), getattr(np, name), A)
      for name in ("sin", "cos", "sinh", "cosh", "tanh", "arctan", "arcsinh", "sinc", "deg2rad", "rad2deg")],
    case("tan", ops.tan, np.tan, A, low=-1.2, high=1.2),
    *[case(name, getattr(ops, name), getattr(np, name), A, low=-0.8, high=0.8)
      for name in ("arcsin", "arccos", "arctanh")],
    case("arccosh", ops.arccosh, np.arccosh, A, low=1.3, high=3.0),
    case("arctan2", ops.arctan2, np.arctan2, A, A),
    plain("arctan2_axes", ops.arctan2, np.arctan2,
          np.array([0.0, 1.0, -1.0, 0.0, 0.0, 1.0, -1.0]), np.array([0.0, 0.0, 0.0, 1.0, -1.0, -1.0, -1.0])),
    plain("sinc_zero", ops.sinc, np.sinc, EXTREMES),
    plain("tanh_extreme", ops.tanh, np.tanh, EXTREMES),
]

HALVES = np.array([-2.5, -1.7, -0.5, 0.0, 0.5, 1.5, 2.4])
ROUNDING = [
    *[plain(name, getattr(ops, name), getattr(np, name), HALVES) for name in ("floor", "ceil", "trunc", "round")],
    plain("floor_integers", ops.floor, lambda x: x.astype(np.float32), INTS),
    plain("trunc_integers", ops.trunc, np.trunc, INTS),
    plain("round_decimals", lambda x: ops.round(x, 1), lambda x: np.round(x, 1), A),
    plain("round_tens", lambda x: ops.round(x, -1), lambda x: np.round(x, -1), np.array([14.0, 26.0, -34.0])),
    plain("nan_to_num", ops.nan_to_num, np.nan_to_num, ODD, tolerance=1e-6),
    plain("nan_to_num_given", lambda x: ops.nan_to_num(x, 1.0, 2.0, -3.0),
          lambda x: np.nan_to_num(x, True, 1.0, 2.0, -3.0),
          ODD),
]

BITS = np.array([[0, 5, 12], [7, -8, 1]], np.int32)
PLACES = np.array([[1, 2, 0], [3, 1, 4]], np.int32)
BITWISE = [
    *[plain(name, getattr(ops, name), getattr(np, name), BITS, INTS)
      for name in ("bitwise_and", "bitwise_or", "bitwise_xor")],
    *[plain(f"{name}_booleans", getattr(ops, name), getattr(np, name), FLAGS, ~FLAGS)
      for name in ("bitwise_and", "bitwise_or", "bitwise_xor")],
    plain("bitwise_not", ops.bitwise_not, np.bitwise_not, BITS),
    plain("bitwise_not_booleans", ops.bitwise_invert, np.bitwise_not, FLAGS),
    *[plain(f"{name}_{kind}", getattr(ops, name), getattr(np, name), BITS.astype(kind) & 127, PLACES.astype(kind))
      for name in ("left_shift", "right_shift") for kind in ("int32", "int64", "uint8")],
    plain("right_shift_negative", ops.right_shift, np.right_shift, BITS, PLACES),
    plain("gcd", ops.gcd, np.gcd, BITS, INTS, onnx=False),
    plain("lcm", ops.lcm, np.lcm, BITS, INTS, onnx=False),
]  # fmt: skip

CASES = generated([*ARITHMETIC, *SELECTION, *COMPARISON, *EXPONENTIAL, *TRIGONOMETRY, *ROUNDING, *BITWISE])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("item", "check"), CASES)
def test_case(item, check):
    check_case(item, check)


UNARY = [
    "absolute", "arccos", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "ceil", "celu", "cos", "cosh", "cumsum",
    "elu", "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "floor", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_tanh", "isfinite", "isinf", "isneginf", "isnan", "isposinf", "leaky_relu", "log", "log10", "log1p", "log2",
    "log_sigmoid", "logical_not", "max", "mean", "nan_to_num", "negative", "prod", "reciprocal", "relu", "relu6",
    "round", "rsqrt", "selu", "sigmoid", "sign", "signbit", "silu", "sin", "sinc", "sinh", "soft_shrink", "softplus",
    "softsign", "sparse_plus", "sparse_sigmoid", "sqrt", "square", "squareplus", "sum", "tan", "tanh", "tanh_shrink",
    "trunc",
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", UNARY)
def test_number_and_vector_agree(name, dtype):
    """NumPy makes scalars of arrays without axes, which kernels that work in place must not trip over."""
    number = np.array(0.4, dtype)
    alone, among = getattr(ops, name)(number), getattr(ops, name)(number.reshape(1))
    assert alone.dtype == among.dtype
    assert alone.dtype in (dtype, "bool")
    np.testing.assert_array_equal(alone.numpy(), among.numpy()[0] if among.shape else among.numpy())


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("name", UNARY)
def test_integers_become_numbers(name):
    """Integers are taken by every operation; the result is a number, never an object array."""
    assert getattr(ops, name)(np.array([1, 1], np.int32)).dtype.kind in "fib"
