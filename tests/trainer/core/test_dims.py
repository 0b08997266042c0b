"""Symbolic sizes: the normal form, what can be decided, and the functions on sizes."""

import copy
import operator
import pickle
from collections import namedtuple

import numpy as np
import pytest

from sardonyx.trainer.core import dims
from sardonyx.trainer.core.dims import UndecidableSize, bounds, dim, equal, evaluate, parse

a, b, h, n, w = (dim(name) for name in ("a", "b", "h", "n", "w"))


# --- the normal form ------------------------------------------------------------------------------

IDENTITIES = [
    # written, in normal form, as text
    ("(4*h)//2", 2 * h, "2*h"),
    ("(4*h + 2)//2", 2 * h + 1, "2*h + 1"),
    ("(4*h + 3)//4", h, "h"),
    ("(6*h + 4)//4", h + 1 + h // 2, "h + h//2 + 1"),
    ("(h//2)//3", h // 6, "h//6"),
    ("(h//w)//n", h // (w * n), "h//(n*w)"),
    ("(h//2 + w)//3", (h + 2 * w) // 6, "(h + 2*w)//6"),
    ("((h + 1)//2 + 1)//2", (h + 3) // 4, "(h + 3)//4"),
    ("h//1", h, "h"),
    ("h % 1", 0, "0"),
    ("h - h", 0, "0"),
    ("0*h", 0, "0"),
    ("(h*w)//w", h, "h"),
    ("(3*b*h*w)//(3*b)", h * w, "h*w"),
    ("(h*w + h)//(w + 1)", h, "h"),
    ("(h + w)//(h + w)", 1, "1"),
    ("h//(h + 1)", 0, "0"),
    ("(2*h)//(4*w)", h // (2 * w), "h//(2*w)"),
    ("(h*w)//(h*n)", w // n, "w//n"),
    ("(a*n + 3) % n", 3 % n, "3 % n"),
    ("(4*a + 3) % 4", 3, "3"),
    ("(h % 4)//4", 0, "0"),
    ("(h % 4) % 4", h % 4, "h % 4"),
    ("(h//2)*2 + h % 2", h, "h"),
    ("n*(h//n) + h % n", h, "h"),
    ("-(-h//2)", (h + 1) // 2, "(h + 1)//2"),
    ("-(-h//3)", (h + 2) // 3, "(h + 2)//3"),
    ("-(-(4*h)//4)", h, "h"),
    ("-(-h//n)", (h + n - 1) // n, "(h - 1)//n + 1"),
    ("h//(-2)", -((h + 1) // 2), "h//2 - h"),
    ("-(h//2)", -(h // 2), "-(h//2)"),
    ("-(h % 2)", -(h % 2), "-(h % 2)"),
    ("(3*h)//4", 3 * h // 4, "(3*h)//4"),
    ("h - (h + 3)//4", 3 * h // 4, "(3*h)//4"),
    ("h - h//2", (h + 1) // 2, "(h + 1)//2"),
    ("(h - 3)//2 + 1", (h - 1) // 2, "(h - 1)//2"),
    ("(h - w)//2", -((w - h + 1) // 2), "(h - w)//2"),
    ("(h - 2*w)//3", (h + w) // 3 - w, "(h + w)//3 - w"),
    ("2*(h % 4)", 2 * (h % 4), "2*(h % 4)"),
    ("1 - h", 1 - h, "1 - h"),
    ("h*h*h", h**3, "h**3"),
    ("w*(h + 1) - w*h", w, "w"),
    ("max(h, h)", h, "h"),
    ("max(h, h + 1)", h + 1, "h + 1"),
    ("min(h, h + 1)", h, "h"),
    ("max(3, 5)", 5, "5"),
    ("max(2*h, h)", 2 * h, "2*h"),
    ("max(h, w) + 1", dims.maximum(w + 1, 1 + h), "max(h, w) + 1"),
    ("2*max(h, w)", dims.maximum(2 * h, 2 * w), "2*max(h, w)"),
    ("max(a, max(b, h))", dims.maximum(dims.maximum(h, a), b), "max(a, b, h)"),
    ("max(max(a, b) + 1, h)", dims.maximum(dims.maximum(a + 1, b + 1), h), "max(a, b, h - 1) + 1"),
    ("-max(-a, -b)", dims.minimum(a, b), "min(a, b)"),
    ("max(min(a, b), a)", a, "a"),
    ("max(h + w, h + 3)", h + dims.maximum(w, 3), "h + max(w, 3)"),
]


@pytest.mark.parametrize(("written", "expected", "shown"), IDENTITIES, ids=[case[0] for case in IDENTITIES])
def test_identity(written, expected, shown):
    size = parse(written)
    assert size == expected
    assert hash(size) == hash(expected)
    assert type(size) is type(expected)
    assert str(size) == shown
    assert parse(shown) == size


def test_different_sizes_are_unequal():
    sizes = [
        h,
        w,
        2 * h,
        h + 1,
        h - 1,
        h // 2,
        h % 2,
        h * w,
        h**2,
        dims.maximum(h, w),
        dims.minimum(h, w),
        h // w,
        w // h,
    ]
    assert len(set(sizes)) == len(sizes)
    assert h != 1
    assert h != "h"


def test_numpy_integers_are_integers():
    for size in (np.int64(2) * h + np.int32(1), h * np.int64(2) + np.int64(1)):
        assert size == 2 * h + 1
    assert np.int64(7) // h == 7 // h
    assert np.int64(7) - h == 7 - h
    assert type(evaluate(h, {"h": np.int64(3)})) is int
    assert evaluate(h * h * h, {"h": np.int32(2**20)}) == 2**60


def test_copies_and_pickles_are_equal():
    size = (3 * h + w) // 2 - dims.maximum(h, w) % 3
    assert copy.deepcopy(size) is size
    assert copy.copy(size) is size
    assert pickle.loads(pickle.dumps(size)) == size  # noqa: S301 - bytes made on this line


def test_other_operand_types_answer_for_themselves():
    class Reflecting:
        def __radd__(self, other):
            return "added"

        def __rtruediv__(self, other):
            return "divided"

    assert h + Reflecting() == "added"
    assert h / Reflecting() == "divided"
    for operation in (operator.add, operator.sub, operator.floordiv, operator.mod, operator.lt):
        with pytest.raises(TypeError, match="not supported|unsupported"):
            operation(h, True)
        with pytest.raises(TypeError, match="not supported|unsupported"):
            operation({2}, h)


# --- what can be decided --------------------------------------------------------------------------

EQUALITIES = [
    (h, h, True),
    (3, 3, True),
    (3, 4, False),
    (2 * h, h + h, True),
    ((h + 1) // 2, h - h // 2, True),
    (h // 2 + (h + 1) // 2, h, True),
    (h // 3 + (h + 1) // 3 + (h + 2) // 3, h, True),
    (dims.maximum(h, 1), h, True),
    (dims.maximum(a, b) + dims.minimum(a, b), a + b, None),
    (h, h + 1, False),
    (h, 2 * h, False),
    (h // 2, h, False),
    (2 * h, 2 * w + 1, False),
    (h % 3, 3, False),
    (3 * (h // 3) + 1, 3 * w, False),
    (h % n, n, False),
    (2 * (h // 2), h, None),
    (h, w, None),
    (h, 3, None),
    (h * w, 6, None),
]


@pytest.mark.parametrize(("left", "right", "expected"), EQUALITIES, ids=[f"{x} and {y}" for x, y, _ in EQUALITIES])
def test_equal(left, right, expected):
    assert equal(left, right) is expected
    assert equal(right, left) is expected


BOUNDS = [
    (7, (7, 7)),
    (h, (1, None)),
    (-h, (None, -1)),
    (h - 3, (-2, None)),
    (h - w, (None, None)),
    (h * w - h, (0, None)),
    (h % 4, (0, 3)),
    (3 - h % 4, (0, 3)),
    (h % n, (0, None)),
    (n - h % n, (1, None)),
    (h // 2 - h // 3, (0, None)),
    (7 // h, (0, 7)),
    (dims.maximum(h, 5), (5, None)),
    (dims.minimum(h, 5), (1, 5)),
    (dims.maximum(h, w) - h, (0, None)),
    (h - dims.minimum(h, w), (0, None)),
]


@pytest.mark.parametrize(("size", "expected"), BOUNDS, ids=[str(size) for size, _ in BOUNDS])
def test_bounds(size, expected):
    assert bounds(size) == expected


COMPARISONS = [
    ("h > 0", h > 0, True),
    ("h >= 1", h >= 1, True),
    ("0 < h", 0 < h, True),  # noqa: SIM300 - the reflected operator is what is tested
    ("h < 1", h < 1, False),
    ("h <= 0", h <= 0, False),
    ("2*h > h", 2 * h > h, True),
    ("h//2 <= h", h // 2 <= h, True),
    ("h % n < n", h % n < n, True),
    ("h < h", h < dim("h"), False),
    ("bool(h)", bool(h), True),
    ("bool(2*h - 1)", bool(2 * h - 1), True),
]


@pytest.mark.parametrize(("result", "expected"), [case[1:] for case in COMPARISONS], ids=[c[0] for c in COMPARISONS])
def test_comparison(result, expected):
    assert result is expected


BROADCASTS = [
    (1, 1, 1),
    (1, h, h),
    (h, 1, h),
    (3, 3, 3),
    (h, h, h),
    (h - h // 2, (h + 1) // 2, (h + 1) // 2),
    (h // 2 + (h + 1) // 2, h, h),
]


@pytest.mark.parametrize(("left", "right", "expected"), BROADCASTS)
def test_broadcast_size(left, right, expected):
    assert dims.broadcast_size(left, right) == expected


def test_zero_rows_are_not_rewritten_away():
    assert evaluate(dims.maximum(h, 1), {"h": 0}) == 1
    assert evaluate(dims.minimum(h, 1), {"h": 0}) == 0


# --- functions ------------------------------------------------------------------------------------


def test_fresh_names_are_new_and_count_again_after_a_reset():
    dims.reset_fresh_names()
    dim("size_2")
    parse("time_3 + 1")
    assert [str(dims.fresh()), str(dims.fresh()), str(dims.fresh("time"))] == ["size_1", "size_3", "time_4"]
    dims.reset_fresh_names()
    assert str(dims.fresh("batch")) == "batch_1"


def test_as_size():
    dims.reset_fresh_names()
    assert dims.as_size(None) == dim("size_1")
    assert dims.as_size(None, "batch") == dim("batch_2")
    assert dims.as_size("2*time") == 2 * dim("time")
    assert dims.as_size("12") == 12
    assert dims.as_size(h // 2) == h // 2
    assert type(dims.as_size(np.int32(5))) is int


def test_names_products_and_static_shapes():
    assert dims.names(h // w + dims.maximum(n, 2) - h % 2) == {"h", "w", "n"}
    assert dims.names(4) == frozenset()
    assert dims.product((2, h, 3)) == 6 * h
    assert dims.product(()) == 1
    assert dims.is_static((1, 2))
    assert not dims.is_static((1, h))
    assert not dims.is_static((1, None))
    assert dims.ceil_divide(7, 2) == 4
    assert dims.ceil_divide(h, 2) == (h + 1) // 2
    assert divmod(h, 2) == (h // 2, h % 2)
    assert divmod(7, h) == (7 // h, 7 % h)
    assert +h == h


def test_substitute():
    assert dims.substitute((h * w) // 4, {"h": 2 * a}) == (a * w) // 2
    assert dims.substitute(2 * (h // 2), {"h": 2 * h}) == 2 * h
    assert dims.substitute(dims.maximum(h, w) - w, {"h": 3, "w": 2}) == 1
    assert dims.substitute(h, {"h": w, "w": h}) == w
    assert dims.substitute(5, {"h": 1}) == 5


Pair = namedtuple("Pair", "first second")


def test_evaluate_tree():
    given = {"h": 3, "w": 4}
    nested = ([h, (2 * w, "h")], slice(None, h, 1), Pair(h, None))
    assert dims.contains_dim(nested)
    found = dims.evaluate_tree(nested, given)
    assert found == ([3, (8, "h")], slice(None, 3, 1), Pair(3, None))
    assert type(found[2]) is Pair
    plain = ([1, (2,)], slice(1, 2), {"axis": 3})
    assert dims.evaluate_tree(plain, given) is plain
    assert not dims.contains_dim(plain)


SOLUTIONS = [
    # pattern, value, bound before, possible, bound after
    (3, 3, {}, True, {}),
    (3, 4, {}, False, {}),
    (h, 5, {}, True, {"h": 5}),
    (h, 0, {}, True, {"h": 0}),
    (h, 5, {"h": 5}, True, {"h": 5}),
    (h, 6, {"h": 5}, False, {"h": 5}),
    (2 * h + 1, 7, {}, True, {"h": 3}),
    (2 * h + 1, 8, {}, False, {}),
    (h + 3, 1, {}, False, {}),
    (10 - h, 4, {}, True, {"h": 6}),
    (h * w, 12, {"h": 3}, True, {"h": 3, "w": 4}),
    (h * w, 0, {"h": 0}, True, {"h": 0}),
    (h // 2 + w, 6, {"h": 5}, True, {"h": 5, "w": 4}),
    (h // 2, 2, {"h": 5}, True, {"h": 5}),
    (h // 2, 3, {"h": 5}, False, {"h": 5}),
]


@pytest.mark.parametrize(("pattern", "value", "before", "possible", "after"), SOLUTIONS)
def test_solve(pattern, value, before, possible, after):
    bound = dict(before)
    assert dims.solve(pattern, value, bound) is possible
    assert bound == after


def test_solve_shape_waits_for_the_dimensions_that_decide():
    bound = {}
    assert dims.solve_shape((h * w, h // 2, h, w, 3), (35, 2, 5, 7, 3), bound)
    assert bound == {"h": 5, "w": 7}
    assert not dims.solve_shape((h * w, h, w), (36, 5, 7), {})
    assert not dims.solve_shape((h,), (1, 1), {})
    with pytest.raises(UndecidableSize, match=r"cannot find 'h' and 'w' from h\*w = 6"):
        dims.solve_shape((n, h * w), (2, 6), {})


def written(size, **more):
    """The calls that `fold` makes, as text."""

    def called(name):
        return lambda left, right: f"{name}({left}, {right})"

    names = ("add", "multiply", "floor_divide", "maximum", "minimum")
    given_more = {name: called(name) for name, wanted in more.items() if wanted}
    return dims.fold(size, str, str, *map(called, names), **given_more)


FOLDS = [
    (5, {}, "5"),
    (h, {}, "h"),
    (2 * h + 1, {}, "add(multiply(h, 2), 1)"),
    ((h + 1) // 2, {}, "floor_divide(add(h, 1), 2)"),
    ((h + 1) // 2, {"truncating_divide": True}, "truncating_divide(add(h, 1), 2)"),
    ((h - w) // 3, {"truncating_divide": True, "subtract": True}, "floor_divide(subtract(h, w), 3)"),
    (h - w, {}, "add(h, multiply(w, -1))"),
    (h - w, {"subtract": True}, "subtract(h, w)"),
    (h % 2, {"modulo": True}, "modulo(h, 2)"),
    (h % 2, {"subtract": True}, "subtract(h, multiply(2, floor_divide(h, 2)))"),
    (dims.maximum(dims.maximum(a, b), h), {}, "maximum(maximum(a, b), h)"),
    (dims.minimum(a, 3), {}, "minimum(a, 3)"),
    (h * h, {}, "multiply(h, h)"),
]


@pytest.mark.parametrize(("size", "more", "calls"), FOLDS, ids=[f"{size} {list(more)}" for size, more, _ in FOLDS])
def test_fold_is_short(size, more, calls):
    assert written(size, **more) == calls


def test_fold_computes_equal_parts_once():
    leaves = []
    dims.fold(
        h // 2 * w + dims.maximum(h // 2, w),
        lambda name: leaves.append(name) or 3,
        *[int, operator.add, operator.mul, operator.floordiv, max, min],
    )
    assert sorted(leaves) == ["h", "w"]
