"""What is known of a polynomial's value: sound bounds, and equality by residues.

Bounds start from one fact, that every named size is at least `least`, and three ways to use it:
intervals after every atom is moved to start at zero (`h*w - h >= 0` becomes plain), quotients opened as
`(numerator - remainder) / denominator` with the remainder in `[0, denominator - 1]`, and extrema by cases.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from math import gcd, lcm, prod

from .dim_terms import (
    FLOOR,
    MAXIMUM,
    MINIMUM,
    NAME,
    UNIT,
    Atom,
    Monomial,
    Terms,
    add,
    atom_terms,
    atoms,
    constant,
    constant_part,
    constant_value,
    multiply,
    multiply_monomials,
    names,
    replaced,
    scaled,
)

Interval = tuple[int | None, int | None]

_CASES = 16  # how many combinations of extrema's operands one bound may look at
_EXPANDED = 256  # how many terms a polynomial may grow to when its atoms are moved to start at zero
_QUOTIENTS = 8  # how many quotients one bound may open
_RESIDUES = 512  # how many residues one equality may look at


def lower(terms: Terms, least: int) -> int | None:
    """The greatest lower bound that can be proven, None for none, when every named size is >= `least`."""
    return _lower(terms, least, frozenset(), _CASES)


def _split_content(terms: Terms) -> tuple[Terms, int, int]:
    """(p, g, c) with terms == g*p + c, p without a constant and with coefficients that share no factor."""
    shift = constant_part(terms)
    sizes = terms[:-1] if shift else terms
    content = gcd(*(coefficient for _, coefficient in sizes))
    return tuple((monomial, coefficient // content) for monomial, coefficient in sizes), content, shift


def upper(terms: Terms, least: int) -> int | None:
    """The least upper bound that can be proven, None for none, when every named size is >= `least`."""
    bound = lower(scaled(terms, -1), least)
    return None if bound is None else -bound


def interval(terms: Terms, least: int) -> Interval:
    return lower(terms, least), upper(terms, least)


@lru_cache(maxsize=8192)
def _lower(terms: Terms, least: int, opened: frozenset[Atom], cases: int) -> int | None:
    terms, content, shift = _split_content(terms)
    bound = _lower_of_sizes(terms, least, opened, cases) if terms else 0
    return None if bound is None else bound * content + shift


def _lower_of_sizes(terms: Terms, least: int, opened: frozenset[Atom], cases: int) -> int | None:
    best = _plain_lower(terms, least)
    found = atoms(terms)
    if all(atom.kind == NAME for atom in found):
        return best
    extremum = next((atom for atom in found if atom.kind in (MAXIMUM, MINIMUM)), None)
    if extremum is not None and len(extremum.operands) <= cases:
        return _greater(best, _lower_by_cases(terms, extremum, least, opened, cases // len(extremum.operands)))
    for atom in found if len(opened) < _QUOTIENTS else ():
        if atom.kind == FLOOR and atom not in opened:
            relaxed = _open_quotient(terms, atom, least)
            if relaxed is not None:
                bound = _lower(relaxed[0], least, opened | {atom}, cases)
                return best if bound is None else _greater(best, -(-bound // relaxed[1]))
    return best


def _greater(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return right if left is None else left
    return max(left, right)


def _plain_lower(terms: Terms, least: int) -> int | None:
    """Interval arithmetic, every atom with a lower bound written as that bound plus something >= 0."""
    spans = {atom: atom_interval(atom, least) for atom in atoms(terms)}
    moved = {atom: low for atom, (low, _) in spans.items() if low}
    if moved and sum(_expansion(monomial, moved) for monomial, _ in terms) <= _EXPANDED:
        terms = replaced(terms, {atom: add(atom_terms(atom), constant(low)) for atom, low in moved.items()})
        for atom, low in moved.items():
            high = spans[atom][1]
            spans[atom] = (0, None if high is None else high - low)
    total = 0
    for monomial, coefficient in terms:
        span: Interval = (1, 1)
        for atom, power in monomial:
            for _ in range(power):
                span = _times(span, spans[atom])
        bound = span[0] if coefficient > 0 else span[1]
        if bound is None:
            return None
        total += coefficient * bound
    return total


def _expansion(monomial: Monomial, moved: dict[Atom, int]) -> int:
    """How many terms the monomial becomes when the atoms in it are moved."""
    return prod(power + 1 for atom, power in monomial if atom in moved)


def _times(left: Interval, right: Interval) -> Interval:
    """The product of two intervals; only ends that are known, or whose sign is, give a bound."""
    (a, b), (c, d) = left, right
    if a is not None and a >= 0 and c is not None and c >= 0:
        return a * c, 0 if b == 0 or d == 0 else None if b is None or d is None else b * d
    if a is None or b is None or c is None or d is None:
        return None, None
    ends = (a * c, a * d, b * c, b * d)
    return min(ends), max(ends)


@lru_cache(maxsize=8192)
def atom_interval(atom: Atom, least: int) -> Interval:
    if atom.kind == NAME:
        return least, None
    spans = [interval(operand, least) for operand in atom.operands]
    if atom.kind == FLOOR:
        return quotient_interval(spans[0], spans[1])
    lows, highs = [span[0] for span in spans], [span[1] for span in spans]
    if atom.kind == MAXIMUM:
        return _pick(lows, max, some=True), _pick(highs, max, some=False)
    return _pick(lows, min, some=False), _pick(highs, min, some=True)


def _pick(ends: list[int | None], choose, some: bool) -> int | None:
    known = [end for end in ends if end is not None]
    return choose(known) if known and (some or len(known) == len(ends)) else None


def quotient_interval(numerator: Interval, denominator: Interval) -> Interval:
    """Bounds of a floor quotient. A denominator >= 0 counts as >= 1, for by 0 there is no quotient."""
    (a, b), (c, d) = numerator, denominator
    if c is None or c < 0:
        return None, None
    c = max(c, 1)
    low = None if a is None else a // c if a < 0 else 0 if d is None else a // max(d, 1)
    high = None if b is None else b // c if b >= 0 else -1 if d is None else b // max(d, 1)
    return low, high


def _lower_by_cases(terms: Terms, extremum: Atom, least: int, opened: frozenset[Atom], cases: int) -> int | None:
    """An extremum is one of its operands; and a maximum that is only added is no less than any of them."""
    coefficients = [coefficient for monomial, coefficient in terms if any(atom == extremum for atom, _ in monomial)]
    alone = dict(terms).get(((extremum, 1),)) is not None and len(coefficients) == 1
    bounds = [_lower(replaced(terms, {extremum: value}), least, opened, cases) for value in extremum.operands]
    if alone and (coefficients[0] > 0) == (extremum.kind == MAXIMUM):
        return _pick(bounds, max, some=True)
    return _pick(bounds, min, some=False)


def _open_quotient(terms: Terms, quotient: Atom, least: int) -> tuple[Terms, int] | None:
    """(polynomial, scale) with polynomial <= scale * terms and `denominator * quotient` gone from it.

    With q = n // d: d*q = n - r and 0 <= r <= d - 1, so b*d*q >= b*n - b*(d - 1) for b > 0, and >= b*n for b < 0.
    """
    numerator, denominator = quotient.operands
    bound = lower(denominator, least)
    if bound is None or bound < 0:
        return None
    leading, leading_coefficient = denominator[0]
    coefficient = dict(terms).get(multiply_monomials(leading, ((quotient, 1),)))
    if coefficient is None:
        return None
    scale = abs(leading_coefficient) // gcd(coefficient, leading_coefficient)
    times = coefficient * scale // leading_coefficient
    relaxed = add(scaled(terms, scale), multiply(denominator, atom_terms(quotient)), -times)
    relaxed = add(relaxed, numerator, times)
    if times > 0:
        relaxed = add(relaxed, add(denominator, constant(1), -1), -times)
    return relaxed, scale


@lru_cache(maxsize=8192)
def vanishes(terms: Terms) -> bool | None:
    """True if the polynomial is 0 for all sizes >= 1, False if for none, None if for some or not known."""
    value = constant_value(terms)
    if value is not None:
        return value == 0
    content = gcd(*(coefficient for monomial, coefficient in terms if monomial))
    if dict(terms).get(UNIT, 0) % content:
        return False
    low, high = interval(terms, 1)
    if (low is not None and low > 0) or (high is not None and high < 0):
        return False
    if low == 0 and high == 0:
        return True
    return _vanishes_by_residues(terms)


def _vanishes_by_residues(terms: Terms) -> bool | None:
    """Decides sums of named sizes and of their quotients by integers: such a sum repeats, up to a fixed rise."""
    period = _period(terms)
    found = sorted(names(terms))
    if period is None or period ** len(found) > _RESIDUES:
        return None
    ones = dict.fromkeys(found, 1)
    start = _value(terms, ones)
    rise = gcd(*(_value(terms, ones | {name: 1 + period}) - start for name in found))
    values = {
        _value(terms, dict(zip(found, point, strict=True)))
        for point in product(range(1, period + 1), repeat=len(found))
    }
    if rise:
        return None if any(value % rise == 0 for value in values) else False
    return True if values == {0} else None if 0 in values else False


def _period(terms: Terms) -> int | None:
    period = 1
    for monomial, _ in terms:
        if not monomial:
            continue
        (atom, power), *others = monomial
        if others or power > 1 or atom.kind not in (NAME, FLOOR):
            return None
        if atom.kind == FLOOR:
            inner, divisor = _period(atom.operands[0]), constant_value(atom.operands[1])
            if inner is None or divisor is None:
                return None
            period = lcm(period, inner * divisor)
    return period


def _value(terms: Terms, values: dict[str, int]) -> int:
    return sum(coefficient * _atom_value(monomial, values) for monomial, coefficient in terms)


def _atom_value(monomial: Monomial, values: dict[str, int]) -> int:
    if not monomial:
        return 1
    atom = monomial[0][0]
    if atom.kind == NAME:
        return values[atom.name]
    return _value(atom.operands[0], values) // _value(atom.operands[1], values)
