"""What is decided of symbolic sizes holds at every number: equality, order, broadcasting, rounding up, substitution."""

import operator

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sardonyx.trainer.core import dims
from sardonyx.trainer.core.dims import UndecidableSize, bounds, broadcast_size, dim, equal, evaluate, names, substitute

NAMES = ("batch", "time", "width")
VALUES = st.fixed_dictionaries({name: st.integers(1, 30) for name in NAMES})
OPERATIONS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "max": dims.maximum,
    "min": dims.minimum,
}


@st.composite
def sizes(draw, depth=3):
    """A size as layers make them: sums, products, halves rounded down and up, remainders."""
    if depth == 0 or draw(st.integers(0, 2)) == 0:
        return dim(draw(st.sampled_from(NAMES))) if draw(st.booleans()) else draw(st.integers(0, 6))
    left, right = draw(sizes(depth=depth - 1)), draw(sizes(depth=depth - 1))
    kind = draw(st.sampled_from([*OPERATIONS, "//", "%", "ceil"]))
    divisor = draw(st.integers(1, 4))
    if kind in OPERATIONS:
        return OPERATIONS[kind](left, right)
    return {"//": left // divisor, "%": left % divisor, "ceil": dims.ceil_divide(left, divisor)}[kind]


@settings(max_examples=150)
@given(sizes(), sizes(), st.lists(VALUES, min_size=8, max_size=8))
def test_equality_holds(left, right, bindings):
    decided = equal(left, right)
    for values in bindings:
        same = evaluate(left, values) == evaluate(right, values)
        assert decided is None or decided == same


@settings(max_examples=150)
@given(sizes(), st.lists(VALUES, min_size=8, max_size=8))
def test_bounds_hold(size, bindings):
    low, high = bounds(size)
    for values in bindings:
        number = evaluate(size, values)
        assert (low is None or low <= number) and (high is None or number <= high)


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge])
@settings(max_examples=60)
@given(sizes(), sizes(), st.lists(VALUES, min_size=6, max_size=6))
def test_order_holds(compare, left, right, bindings):
    try:
        decided = compare(left, right)
    except UndecidableSize:
        return
    for values in bindings:
        assert decided == compare(evaluate(left, values), evaluate(right, values))


@settings(max_examples=150)
@given(sizes(), sizes(), VALUES)
def test_broadcasting_holds(left, right, values):
    numbers = evaluate(left, values), evaluate(right, values)
    assume(min(numbers) >= 1)
    try:
        result = broadcast_size(left, right)
    except UndecidableSize:
        return
    except ValueError:
        assert numbers[0] != numbers[1]
        return
    assert 1 in numbers or numbers[0] == numbers[1]
    assert evaluate(result, values) == max(numbers)


@settings(max_examples=150)
@given(sizes(), sizes(), VALUES)
def test_substitution_holds(size, other, values):
    assume(evaluate(other, values) >= 0)
    replaced = substitute(size, {"time": other})
    assert evaluate(replaced, values) == evaluate(size, {**values, "time": evaluate(other, values)})
    assert "time" not in names(replaced) or "time" in names(other)
