"""Random sizes: arithmetic agrees with Python's integers, text reads back, and what is claimed of a size holds."""

import math
import operator
from contextlib import suppress
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sardonyx.trainer.core import dims
from sardonyx.trainer.core.dims import UndecidableSize, bounds, dim, equal, evaluate, parse

NAMES = ("h", "n", "w")
LARGEST = 40


@st.composite
def expressions(draw, depth=4):
    """A size and the same arithmetic on Python's integers, as a function of the bindings (None: it divides by 0)."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        if draw(st.booleans()):
            name = draw(st.sampled_from(NAMES))
            return dim(name), lambda values: values[name]
        number = draw(st.integers(-9, 9))
        return number, lambda values: number
    left, left_value = draw(expressions(depth=depth - 1))
    operation = draw(st.sampled_from(["+", "-", "*", "//", "%", "//k", "%k", "max", "min", "negative", "ceil"]))
    if operation in ("//k", "%k"):
        number = draw(st.sampled_from([2, 3, 4, 5, 6, -2, -3]))
        right, right_value, operation = number, lambda values: number, operation[:-1]
    else:
        right, right_value = draw(expressions(depth=depth - 1))
    symbolic, numeric = OPERATIONS[operation]
    try:
        return symbolic(left, right), lambda values: numeric(left_value(values), right_value(values))
    except ZeroDivisionError:
        return left, left_value


OPERATIONS = {
    "+": (operator.add, operator.add),
    "-": (operator.sub, operator.sub),
    "*": (operator.mul, operator.mul),
    "//": (operator.floordiv, operator.floordiv),
    "%": (operator.mod, operator.mod),
    "max": (dims.maximum, max),
    "min": (dims.minimum, min),
    "negative": (lambda left, right: -left, lambda left, right: -left),
    "ceil": (dims.ceil_divide, lambda left, right: -(-left // right)),
}


def bindings(least=0):
    return st.fixed_dictionaries({name: st.integers(least, LARGEST) for name in NAMES})


def value_or_skip(numeric, values):
    try:
        return numeric(values)
    except ZeroDivisionError:
        assume(False)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(expressions(), bindings())
def test_arithmetic_agrees_with_integers(pair, values):
    size, numeric = pair
    expected = value_or_skip(numeric, values)
    assert evaluate(size, values) == expected


@settings(max_examples=200, deadline=None, derandomize=True)
@given(expressions())
def test_text_reads_back(pair):
    size, _ = pair
    assert parse(str(size)) == size


@settings(max_examples=200, deadline=None, derandomize=True)
@given(expressions(), bindings(least=1))
def test_bounds_are_sound(pair, values):
    size, numeric = pair
    value = value_or_skip(numeric, values)
    low, high = bounds(size)
    assert low is None or low <= value
    assert high is None or value <= high


@settings(max_examples=200, deadline=None, derandomize=True)
@given(expressions(depth=3), expressions(depth=3), bindings(least=1))
def test_equality_and_order_are_sound(left, right, values):
    numbers = value_or_skip(left[1], values), value_or_skip(right[1], values)
    known = equal(left[0], right[0])
    assert known is None or known == (numbers[0] == numbers[1])
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        with suppress(UndecidableSize):
            assert compare(left[0], right[0]) == compare(*numbers)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(expressions(depth=3), bindings())
def test_substituting_numbers_evaluates(pair, values):
    size, numeric = pair
    expected = value_or_skip(numeric, values)
    assert dims.substitute(size, {"h": values["h"], "w": dim("renamed")}) == dims.substitute(
        dims.substitute(size, {"w": dim("renamed")}), {"h": values["h"]}
    )
    assert dims.substitute(size, values) == expected


@settings(max_examples=200, deadline=None, derandomize=True)
@given(expressions(), bindings())
def test_fold_computes_the_value(pair, values):
    size, numeric = pair
    expected = value_or_skip(numeric, values)
    plain = [values.__getitem__, int, operator.add, operator.mul, operator.floordiv, max, min]
    assert dims.fold(size, *plain) == expected

    def truncating(left, right):
        assert left >= 0
        assert right > 0
        return math.trunc(left / right)

    more = {"subtract": operator.sub, "modulo": operator.mod, "truncating_divide": truncating}
    assert dims.fold(size, *plain, **more) == expected


# Divisors whose sign is unknown, or whose leading term is negative: rounding must not cross them.
DIVISORS = [
    lambda h, n, w: (11 // (dims.maximum(h, 3) % 2)) // 8,
    lambda h, n, w: (-3 // ((w - n) // 15)) // 5,
    lambda h, n, w: (2 * h + 1) // (2 * (w - n)),
    lambda h, n, w: 5 // (3 * (h - n)),
    lambda h, n, w: (n % 2) % (h % n),
    lambda h, n, w: -(8 % (n // 7 % 2 - 8)),
    lambda h, n, w: (3 * n * (h // n) + w) // (2 * (h % n)),
    lambda h, n, w: (w - 3 * n * (h // n)) // (2 * (h % n)),
    lambda h, n, w: (h // (n - w)) // 2,
    lambda h, n, w: (h // 2) // (n - w),
    lambda h, n, w: -h // (n - 5),
    lambda h, n, w: h % (4 - n),
    lambda h, n, w: (w % (n // 4 % (h // w))) // 4,
]


@pytest.mark.parametrize("expression", DIVISORS, ids=lambda expression: str(expression(*map(dim, NAMES))))
def test_divisors_of_any_sign(expression):
    size = expression(*map(dim, NAMES))
    low, high = bounds(size)
    checked = 0
    for point in product(range(1, 14), repeat=3):
        with suppress(ZeroDivisionError):
            value = expression(*point)
            assert evaluate(size, dict(zip(NAMES, point, strict=True))) == value
            assert low is None or low <= value
            assert high is None or value <= high
            checked += 1
    assert checked > 100
