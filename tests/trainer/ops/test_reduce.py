"""Reductions, running sums, sorting and statistics: one line a case, NumPy as the reference."""

from __future__ import annotations

import numpy as np
import pytest
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters import run_graph

A = (3, 4)
CUBE = (2, 3, 4)
AXES = (None, 0, -1, (0, 2), (1, 2))
INTS = np.array([[3, 1, 2, 3], [0, -2, 5, 1], [7, 7, 0, 7]], np.int32)
SMALL = np.array([[100, 100], [100, 27]], np.int8)
FLAGS = np.array([[True, False, True, True], [True, True, True, True]])
GAPS = np.array([[1.0, np.nan, 3.0, -2.0], [np.nan, 0.5, 2.0, 4.0]], np.float32)
ZEROS = np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 1.5], [1.0, -2.0, 0.5]])
EXTREMES = np.array([[1000.0, -1000.0, 999.0], [-np.inf, -400.0, 0.0]], np.float32)


def plain(name, function, reference, *inputs, **options):
    """A case without a gradient."""
    return case(name, function, reference, *inputs, gradient=False, **options)


def over(name, axis, keepdims, reference=None, **options):
    """One reduction over given axes."""
    ours, theirs = getattr(ops, name), reference or getattr(np, name)
    return case(
        f"{name}_{axis}_{keepdims}", lambda x: ours(x, axis, keepdims),
        lambda x: np.asarray(theirs(x, axis=axis, keepdims=keepdims)), CUBE, **options,
    )  # fmt: skip


def logsumexp(x, axis=None, keepdims=False):
    top = x.max(axis=axis, keepdims=True)
    total = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axis)


REDUCTIONS = [
    *[over(name, axis, keepdims) for name in ("sum", "mean", "max", "min", "prod", "var", "std")
      for axis in AXES for keepdims in (False, True)],
    *[over("logsumexp", axis, True, logsumexp) for axis in AXES],
    plain("logsumexp_extreme", lambda x: ops.logsumexp(x, axis=1),
          lambda x: np.array([1000.3133, 0.0], x.dtype), EXTREMES),
    plain("sum_integers", lambda x: ops.sum(x, 0), lambda x: x.sum(0), INTS),
    plain("sum_small_integers", ops.sum, lambda x: np.int32(327), SMALL),
    plain("sum_booleans", lambda x: ops.sum(x, 1), lambda x: x.sum(1, dtype=np.int32), FLAGS),
    plain("mean_integers", ops.mean, lambda x: np.float32(x.mean()), INTS),
    plain("prod_integers", lambda x: ops.prod(x, 1), lambda x: x.prod(1), INTS),
    plain("max_integers", lambda x: ops.max(x, 1), lambda x: x.max(1), INTS),
    plain("max_booleans", lambda x: ops.max(x, 1), lambda x: x.max(1), FLAGS),
    case("prod_zeros", lambda x: ops.prod(x, 1), lambda x: x.prod(1), ZEROS, second_order=False),
    case("max_initial", lambda x: ops.max(x, 0, initial=0.5), lambda x: x.max(0, initial=0.5), A),
    case("min_initial", lambda x: ops.min(x, 0, initial=0.5), lambda x: x.min(0, initial=0.5), A),
    plain("max_initial_empty", lambda x: ops.max(x, 0, initial=2.0), lambda x: x.max(0, initial=2.0),
          np.zeros((0, 3), "f4"), symbolic=False),
    *[plain(f"{name}_{axis}", lambda x, n=name, a=axis: getattr(ops, n)(x, a, True),
            lambda x, n=name, a=axis: getattr(np, n)(x, axis=a, keepdims=True), FLAGS)
      for name in ("all", "any") for axis in (None, 0, 1)],
    plain("all_numbers", ops.all, lambda x: np.array(x.all()), INTS),
    plain("count_nonzero", lambda x: ops.count_nonzero(x, 1), lambda x: np.count_nonzero(x, 1), INTS),
    *[plain(f"{name}_{axis}_{keepdims}", lambda x, n=name, a=axis, k=keepdims: getattr(ops, n)(x, a, k),
            lambda x, n=name, a=axis, k=keepdims: getattr(np, n)(x, axis=a, keepdims=k), INTS)
      for name in ("argmax", "argmin") for axis in (None, 0, -1) for keepdims in (False, True)],
    plain("argmax_float", lambda x: ops.argmax(x, 1), lambda x: x.argmax(1), CUBE),
]  # fmt: skip

CUMULATIVE = [
    *[case(f"{name}_{axis}", lambda x, n=name, a=axis: getattr(ops, n)(x, a),
           lambda x, n=name, a=axis: getattr(np, n)(x, axis=a), CUBE, symbolic=axis is not None or name == "cumsum")
      for name in ("cumsum", "cumprod") for axis in (None, 0, 1, -1)],
    case("cumprod_zeros", lambda x: ops.cumprod(x, 1), lambda x: np.cumprod(x, 1), ZEROS, second_order=False),
    plain("cumsum_integers", lambda x: ops.cumsum(x, 1), lambda x: np.cumsum(x, 1), INTS),
    plain("cumsum_booleans", lambda x: ops.cumsum(x, 1), lambda x: np.cumsum(x, 1), FLAGS),
    plain("cumprod_integers", lambda x: ops.cumprod(x, 0), lambda x: np.cumprod(x, 0), INTS),
    plain("cumsum_dtype", lambda x: ops.cumsum(x, 1, "float32"), lambda x: np.cumsum(x, 1, np.float32), INTS),
    plain("nancumsum", lambda x: ops.nancumsum(x, 1), lambda x: np.nancumsum(x, 1), GAPS),
    plain("nancumprod", lambda x: ops.nancumprod(x, 1), lambda x: np.nancumprod(x, 1), GAPS),
]  # fmt: skip


def stable_argsort(x, axis):
    return np.argsort(x, axis, kind="stable").astype(np.int32)


def top(x, k):
    positions = np.argsort(-x, -1, kind="stable")[..., :k]
    return np.take_along_axis(x, positions, -1), positions


VALUES, ROWS = np.array([0, 3, 3, 1]), np.array([[0, 3, 3], [1, 1, 0]])
# the number of bins is known only from the values, so `forward`, which compares inferred sizes, is a test of its own
COUNTING = [
    plain("bincount", ops.bincount, np.bincount, VALUES, skip=("forward",)),
    # the gradient's graph lacks the node from which the number of bins could be read
    case("bincount_weights", lambda x, w: ops.bincount(x, w, minlength=6), np.bincount, VALUES, (4,),
         gradient=(False, True), onnx_gradient=False, skip=("forward",)),
    plain("bincount_rows", lambda x: ops.bincount(x, minlength=3), np.bincount, ROWS, skip=("forward",)),
    plain("histogram", lambda x: ops.histogram(x, 4), lambda x: np.histogram(x, 4), CUBE),
    plain("histogram_range", lambda x: ops.histogram(x, 3, (-1, 1)), lambda x: np.histogram(x, 3, (-1, 1)), CUBE),
    plain("histogram_constant", lambda x: ops.histogram(x, 3), lambda x: np.histogram(x, 3), np.full(4, 2.0)),
]

SORTING = [
    *[case(f"sort_{axis}", lambda x, a=axis: ops.sort(x, a), lambda x, a=axis: np.sort(x, a), CUBE)
      for axis in (None, 0, 1, -1)],
    plain("sort_integers", ops.sort, np.sort, INTS),
    *[plain(f"argsort_{axis}", lambda x, a=axis: ops.argsort(x, a), lambda x, a=axis: stable_argsort(x, a), INTS)
      for axis in (None, 0, -1)],
    case("top_k", lambda x: ops.top_k(x, 2), lambda x: top(x, 2), CUBE),
    case("top_1", lambda x: ops.top_k(x, 1), lambda x: top(x, 1), CUBE),
    plain("top_k_ties", lambda x: ops.top_k(x, 3), lambda x: top(x, 3), INTS),
    plain("in_top_k", lambda t, p: ops.in_top_k(t, p, 2), lambda t, p: np.array([True, False, True]),
          np.array([2, 0, 1], np.int32), np.array([[0.1, 0.2, 0.7], [0.1, 0.2, 0.7], [0.5, 0.5, 0.5]], np.float32)),
    plain("searchsorted", ops.searchsorted, np.searchsorted,
          np.array([1.0, 2.0, 2.0, 5.0]), np.array([[0.0, 2.0], [5.0, 9.0]])),
    plain("searchsorted_right", lambda s, v: ops.searchsorted(s, v, side="right"),
          lambda s, v: np.searchsorted(s, v, side="right"), np.array([1, 2, 2, 5]), np.array([0, 2, 5, 9])),
    plain("digitize", lambda x: ops.digitize(x, [0.0, 1.0, 2.5]),
          lambda x: np.digitize(x, [0.0, 1.0, 2.5]), A),
]  # fmt: skip

METHODS = ("linear", "lower", "higher", "midpoint", "nearest")
STATISTICS = [
    *[case(f"quantile_{method}_{axis}", lambda x, m=method, a=axis: ops.quantile(x, [0.3, 0.77], a, m, True),
           lambda x, m=method, a=axis: np.quantile(x, [0.3, 0.77], axis=a, method=m, keepdims=True), CUBE)
      for method in METHODS for axis in (None, 1, (0, 2))],
    case("quantile_number", lambda x: ops.quantile(x, 0.25, 1),
         lambda x: np.quantile(x, 0.25, axis=1).astype(x.dtype), CUBE),
    case("percentile", lambda x: ops.percentile(x, 25, 0), lambda x: np.percentile(x, 25, axis=0), A),
    *[case(f"median_{axis}", lambda x, a=axis: ops.median(x, a),
           lambda x, a=axis: np.asarray(np.median(x, axis=a)), CUBE)
      for axis in (None, 0, (1, 2))],
    case("average", lambda x: ops.average(x, 0), lambda x: np.average(x, 0), A),
    case("average_weights", lambda x, w: ops.average(x, weights=w),
         lambda x, w: np.asarray(np.average(x, weights=w)), A, A,
         low=0.5),
    case("average_axis_weights", lambda x, w: ops.average(x, 1, w), lambda x, w: np.average(x, 1, w), A, (4,), low=0.5),
    case("moments", lambda x: ops.moments(x, (0, 2)), lambda x: (x.mean((0, 2)), x.var((0, 2))), CUBE),
    case("moments_keepdims", lambda x: ops.moments(x, 1, True),
         lambda x: (x.mean(1, keepdims=True), x.var(1, keepdims=True)),
         CUBE),
    case("ptp", lambda x: ops.ptp(x, 1), lambda x: np.ptp(x, 1), A),
    *[case(f"norm_{order}", lambda x, o=order: ops.norm(x, o, 1), lambda x, o=order: np.linalg.norm(x, o, 1), A)
      for order in (None, 1, 2, 3, 0.5, np.inf, -np.inf)],
    plain("norm_0", lambda x: ops.norm(x, 0, 1), lambda x: np.linalg.norm(x, 0, 1), ZEROS),
    *[case(f"norm_matrix_{order}", lambda x, o=order: ops.norm(x, o, (1, 2), True),
           lambda x, o=order: np.linalg.norm(x, o, (1, 2), True), CUBE)
      for order in (None, "fro", 1, -1, np.inf, -np.inf)],
    case("norm_all", ops.norm, lambda x: np.sqrt((x * x).sum()), CUBE),
    case("normalize", ops.normalize, lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True), A),
    case("normalize_1", lambda x: ops.normalize(x, 0, 1), lambda x: x / np.abs(x).sum(0, keepdims=True), A),
    plain("normalize_zero", ops.normalize, np.zeros_like, np.zeros((2, 3))),
    *[plain(f"{name}_{axis}", lambda x, n=name, a=axis: getattr(ops, n)(x, a),
            lambda x, n=name, a=axis: np.asarray(getattr(np, n)(x, axis=a)), GAPS)
      for name in ("nansum", "nanmean", "nanmax", "nanmin", "nanvar", "nanstd", "nanprod", "nanargmax", "nanargmin")
      for axis in (None, 0, 1)],
    plain("nanmean_nothing", lambda x: ops.nanmean(x, 0), lambda x: x[0], np.full((2, 3), np.nan)),
    plain("nanargmax_nothing", lambda x: ops.nanargmax(x, 0), lambda x: np.full(3, -1), np.full((2, 3), np.nan)),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("item", "check"), generated([*REDUCTIONS, *CUMULATIVE, *COUNTING, *SORTING, *STATISTICS]))
def test_case(item, check):
    check_case(item, check)


@pytest.mark.parametrize("minlength", [0, 6])
def test_bincount(minlength):
    weights = np.array([0.5, 1.0, 2.0, 4.0])
    assert ops.bincount(VALUES, minlength=minlength).numpy().tolist() == np.bincount(VALUES, None, minlength).tolist()
    weighted = ops.bincount(VALUES, weights, minlength).numpy()
    assert weighted.tolist() == np.bincount(VALUES, weights, minlength).tolist()
    rows = ops.bincount(ROWS, minlength=minlength).numpy()
    assert rows.tolist() == [np.bincount(row, minlength=max(minlength, 4)).tolist() for row in ROWS]


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_any_and_all_of_what_may_be_nothing(rows):
    x = np.arange(3 * rows).reshape(rows, 3) % 2 > 0
    graph = sx.trace(lambda v: (ops.any(v), ops.all(v), ops.any(v, 0), ops.all(v, 0)), sx.TensorSpec(("n", 3), bool))
    expected = [x.any(), x.all(), x.any(0), x.all(0)]
    for found in (graph.run(x), run_graph(graph, x)):
        assert [np.asarray(y).tolist() for y in found] == [y.tolist() for y in expected]


def test_argpartition_separates():
    x = np.random.default_rng(0).normal(size=(3, 9))
    for kth in (0, 4, -1):
        ordered = np.take_along_axis(x, ops.argpartition(x, kth).numpy(), -1)
        middle = ordered[:, kth : kth + 1 or None]
        assert (np.sort(x)[:, kth] == middle[:, 0]).all()
        assert (ordered[:, :kth] <= middle).all() and (ordered[:, kth:] >= middle).all()


X = np.zeros((2, 3), np.float32)
ERRORS = [
    ("sum_axis", lambda: ops.sum(X, axis=2), ValueError, "sum: axis 2 is out of range for a tensor of rank 2"),
    ("mean_twice", lambda: ops.mean(X, axis=(0, -2)), ValueError, "mean: axis .* names one axis twice"),
    ("max_empty", lambda: ops.max(np.zeros((0, 3)), axis=0), ValueError, "max: axis 0 is empty"),
    ("argmax_empty", lambda: ops.argmax(np.zeros((0, 3)), axis=0), ValueError, "argmax: axis 0 is empty"),
    ("cumsum_axis", lambda: ops.cumsum(X, axis=5), ValueError, "cumsum: axis 5 is out of range"),
    ("sort_axis", lambda: ops.sort(X, axis=5), ValueError, "sort: axis 5 is out of range"),
    ("top_k_many", lambda: ops.top_k(X, 4), ValueError, "top_k: expected k between 1 and the size of the last axis, 3"),
    ("in_top_k", lambda: ops.in_top_k([1, 2, 3], X, 1), ValueError, "in_top_k: expected targets"),
    ("argpartition", lambda: ops.argpartition(X, 3), ValueError, "argpartition: expected kth between -3 and 2, got 3"),
    ("searchsorted_side", lambda: ops.searchsorted([1], [1], side="up"), ValueError,
     'side "left" or "right", got \'up\''),
    ("searchsorted_rank", lambda: ops.searchsorted(X, [1.0]), ValueError, "a sorted sequence with one axis"),
    ("quantile_method", lambda: ops.quantile(X, 0.5, method="best"), ValueError,
     "quantile: expected a method of linear"),
    ("quantile_share", lambda: ops.quantile(X, 1.5), ValueError, "quantile: expected shares between 0 and 1"),
    ("quantile_matrix", lambda: ops.quantile(X, [[0.5]]), ValueError, "quantile: expected q as a number or a vector"),
    ("average_weights", lambda: ops.average(X, 1, np.ones(2, "f4")), ValueError, "average: weights .* fit neither"),
    ("moments_devices", lambda: ops.moments(X, 0, synchronized=True), NotImplementedError, "moments: synchronized"),
    ("norm_vector", lambda: ops.norm(X, "fro", 0), ValueError, "norm: ord='fro' is for matrices"),
    ("norm_rank", lambda: ops.norm(np.zeros((2, 2, 2)), 1), ValueError, "norm: ord=1 needs one axis or two"),
    ("normalize_order", lambda: ops.normalize(X, order=0), ValueError, "normalize: order must be a number above 0"),
    ("bincount_negative", lambda: ops.bincount([-1, 2]), ValueError, "bincount: expected values of 0"),
    ("bincount_float", lambda: ops.bincount([1.0]), TypeError, "bincount: expected integers, got float32"),
    ("bincount_sparse", lambda: ops.bincount([1], sparse=True), ValueError, "bincount: sparse=True"),
    ("bincount_weights", lambda: ops.bincount([1, 2], [1.0]), ValueError, "weights of the same shape"),
    ("histogram_bins", lambda: ops.histogram(X, 0), ValueError, "histogram: expected at least one bin"),
    ("histogram_range", lambda: ops.histogram(X, 2, (1, 0)), ValueError, "histogram: expected an ascending range"),
    ("select", lambda: ops.select([], []), ValueError, "select: expected as many choices as conditions"),
    ("where_one", lambda: ops.where(X > 0, 1.0), ValueError, "where: give both x1 and x2"),
    ("bits", lambda: ops.bitwise_and(1.5, 2), TypeError, "bitwise_and: expected integers or booleans, got float32"),
    ("add_shapes", lambda: ops.add(X, np.zeros(4, "f4")), ValueError, "add: shapes .* do not broadcast"),
]


@pytest.mark.parametrize(("name", "call", "kind", "message"), ERRORS, ids=[row[0] for row in ERRORS])
def test_error(name, call, kind, message):
    with pytest.raises(kind, match=message):
        call()
