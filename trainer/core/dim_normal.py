"""The normal form of floor quotients, maxima and minima of polynomials.

Every rewriting is exact for all sizes >= 0 for which the expression has a value (a divisor is never 0).
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import Any

from .dim_bounds import interval, lower, quotient_interval
from .dim_terms import (
    FLOOR,
    MAXIMUM,
    MINIMUM,
    ONE,
    UNIT,
    ZERO,
    Monomial,
    Terms,
    add,
    atom_terms,
    collect,
    constant,
    constant_part,
    constant_value,
    divide_monomials,
    intern_atom,
    monomial_order,
    multiply,
    scaled,
)

OPPOSITE = {MAXIMUM: MINIMUM, MINIMUM: MAXIMUM}


@lru_cache(maxsize=8192)
def floor_divide(numerator: Terms, denominator: Terms) -> Terms:
    """`numerator // denominator` in normal form."""
    if not denominator:
        raise ZeroDivisionError("a size cannot be divided by 0")
    divisor = constant_value(denominator)
    if divisor is not None:
        return _divide_by_integer(scaled(numerator, 1 if divisor > 0 else -1), abs(divisor))
    opposite = scaled(denominator, -1)
    if not is_positive(denominator) and (is_positive(opposite) or denominator[0][1] < 0):
        return _divide_by_terms(scaled(numerator, -1), opposite)
    return _divide_by_terms(numerator, denominator)


def is_positive(denominator: Terms) -> bool:
    """Whether what something is divided by is known to be > 0; it is if it is >= 0, for it is never 0."""
    least = lower(denominator, 0)
    return least is not None and least >= 0


def modulo(numerator: Terms, denominator: Terms) -> Terms:
    """`numerator % denominator`, as `numerator - denominator * (numerator // denominator)`."""
    return add(numerator, multiply(denominator, floor_divide(numerator, denominator)), -1)


def _divide_by_integer(numerator: Terms, divisor: int) -> Terms:
    """Multiples of the divisor leave the quotient; what stays has one form out of n // d and -((d - 1 - n) // d)."""
    nested = _nested(numerator, divisor)
    if nested is not None:
        return floor_divide(*nested)
    whole, rest = split_residues(numerator, divisor)
    shift = constant_part(rest)
    sizes = rest[:-1] if shift else rest
    if not sizes:
        return whole
    if _nested(rest, divisor) is not None:
        return add(whole, floor_divide(rest, constant(divisor)))
    common = gcd(divisor, *(coefficient for _, coefficient in sizes))
    if common > 1:
        reduced = {monomial: coefficient // common for monomial, coefficient in rest}
        return add(whole, floor_divide(collect(reduced), constant(divisor // common)))
    sign = next((coefficient for _, coefficient in sizes if 2 * coefficient != divisor), None)
    if (sign < 0) if sign is not None else (2 * shift >= divisor):
        return add(whole, floor_divide(mirrored(rest, constant(divisor)), constant(divisor)), -1)
    return add(whole, _quotient(rest, constant(divisor)))


def mirrored(numerator: Terms, denominator: Terms) -> Terms:
    """m with n // d == -(m // d) for d > 0."""
    return add(add(denominator, ONE, -1), numerator, -1)


def split_residues(numerator: Terms, divisor: int) -> tuple[Terms, Terms]:
    """(q, r) with numerator == divisor * q + r: r's constant in [0, d), its other coefficients in (-d/2, d/2]."""
    whole: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for monomial, coefficient in numerator:
        residue = coefficient % divisor
        if monomial and 2 * residue > divisor:
            residue -= divisor
        whole[monomial] = (coefficient - residue) // divisor
        rest[monomial] = residue
    return collect(whole), collect(rest)


def _nested(numerator: Terms, divisor: int) -> tuple[Terms, Terms] | None:
    """((n // m) + p) // d as the operands of (n + m*p) // (m*d), where the numerator holds a plain ±(n // m)."""
    for monomial, coefficient in numerator:
        if coefficient not in (1, -1) or len(monomial) != 1:
            continue
        atom, power = monomial[0]
        if atom.kind != FLOOR or power != 1:
            continue
        inner, inner_denominator = atom.operands
        scale = constant_value(inner_denominator)
        if scale is not None:
            others = add(numerator, atom_terms(atom), -coefficient)
            if coefficient < 0:  # -(n // m) == (m - 1 - n) // m
                inner = mirrored(inner, inner_denominator)
            return add(inner, others, scale), constant(scale * divisor)
        if numerator == atom_terms(atom):
            return inner, scaled(inner_denominator, divisor)
    return None


def _divide_by_terms(numerator: Terms, denominator: Terms) -> Terms:
    whole, rest = _split_leading(numerator, denominator)
    if not rest:
        return whole
    smaller = _without_common_factor(rest, denominator)
    if smaller is not None:
        return add(whole, floor_divide(*smaller))
    if is_positive(denominator):
        atom = rest[0][0][0][0] if rest[0][0] else None
        if atom is not None and atom.kind == FLOOR and rest == atom_terms(atom):
            return add(whole, floor_divide(atom.operands[0], multiply(atom.operands[1], denominator)))
        if rest[0][1] < 0:
            return add(whole, floor_divide(mirrored(rest, denominator), denominator), -1)
    return add(whole, _quotient(rest, denominator))


def _split_leading(numerator: Terms, denominator: Terms) -> tuple[Terms, Terms]:
    """Polynomial division: (q, r) with numerator == q * denominator + r, coefficients left over being positive."""
    leading, leading_coefficient = denominator[0]
    whole, rest, position = ZERO, numerator, 0
    while position < len(rest):
        monomial, coefficient = rest[position]
        shared = divide_monomials(monomial, leading)
        residue = coefficient % abs(leading_coefficient)
        times = (coefficient - residue) // leading_coefficient
        if shared is None or not times:
            position += 1
            continue
        part: Terms = ((shared, times),)
        whole, rest = add(whole, part), add(rest, multiply(part, denominator), -1)
        position += residue != 0
    return whole, rest


def _without_common_factor(numerator: Terms, denominator: Terms) -> tuple[Terms, Terms] | None:
    """(g*n) // (g*d) as (n, d) for an integer g and for sizes; for d > 0 also (g*n + c) // (g*d) as (n + c // g, d)."""
    rounding = is_positive(denominator)
    sizes = [coefficient for monomial, coefficient in numerator if monomial or not rounding]
    common = gcd(*(coefficient for _, coefficient in denominator), *sizes)
    monomials = [monomial for monomial, _ in (*numerator, *denominator)]
    shared = tuple(
        (atom, power)
        for atom, _ in monomials[0]
        if (power := min(dict(monomial).get(atom, 0) for monomial in monomials))
    )
    if common == 1 and not shared:
        return None

    def reduced(terms: Terms) -> Terms:
        parts = {divide_monomials(monomial, shared) or UNIT: coefficient // common for monomial, coefficient in terms}
        return collect(parts)

    return reduced(numerator), reduced(denominator)


def _quotient(numerator: Terms, denominator: Terms) -> Terms:
    """The quotient as a new atom, or the integer it is known to be."""
    low, high = quotient_interval(interval(numerator, 0), interval(denominator, 0))
    if low is not None and low == high:
        return constant(low)
    if low is not None and low >= 0:
        gap = lower(add(denominator, numerator, -1), 0)
        if gap is not None and gap > 0:
            return ZERO
    return atom_terms(intern_atom(FLOOR, operands=(numerator, denominator)))


@lru_cache(maxsize=8192)
def extremum(kind: str, operands: tuple[Terms, ...]) -> Terms:
    """The maximum or minimum in normal form: what all operands share stands outside, dominated operands are gone."""
    kept = _undominated(kind, _flattened(kind, operands))
    if len(kept) == 1:
        return kept[0]
    shared = {monomial: value for monomial, value in kept[0] if monomial and all((monomial, value) in t for t in kept)}
    if shared:
        outside = collect(shared)
        return add(outside, extremum(kind, tuple(add(terms, outside, -1) for terms in kept)))
    first = min((terms for terms in kept if constant_value(terms) is None), key=_unsigned_order)
    start = constant(constant_part(first))
    kept = [add(terms, start, -1) for terms in kept]
    common = gcd(*(coefficient for terms in kept for _, coefficient in terms))
    if first[0][1] < 0:
        common, kind = -common, OPPOSITE[kind]
    kept = [tuple((monomial, coefficient // common) for monomial, coefficient in terms) for terms in kept]
    inside = intern_atom(kind, operands=tuple(sorted(kept, key=_unsigned_order)))
    return add(start, atom_terms(inside), common)


def _unsigned_order(terms: Terms) -> tuple[Any, ...]:
    """An order of operands that neither a common shift nor a change of all signs disturbs; the constant one is last."""
    sizes = [(monomial_order(monomial), coefficient) for monomial, coefficient in terms if monomial]
    unsigned = [(order, abs(coefficient)) for order, coefficient in sizes]
    return not sizes, unsigned, [coefficient < 0 for _, coefficient in sizes]


def _flattened(kind: str, operands: tuple[Terms, ...]) -> list[Terms]:
    """max(2*max(a, b) + c, d) is max(2*a + c, 2*b + c, d), and so is max(c - 2*min(-a, -b), d)."""
    flat: list[Terms] = []
    for terms in operands:
        nested = [
            (monomial[0][0], coefficient)
            for monomial, coefficient in terms
            if len(monomial) == 1
            and monomial[0][1] == 1
            and monomial[0][0].kind == (kind if coefficient > 0 else OPPOSITE[kind])
        ]
        if len(nested) == 1:
            atom, coefficient = nested[0]
            others = add(terms, atom_terms(atom), -coefficient)
            flat.extend(_flattened(kind, tuple(add(others, operand, coefficient) for operand in atom.operands)))
        else:
            flat.append(terms)
    return list(dict.fromkeys(flat))


def _undominated(kind: str, operands: list[Terms]) -> list[Terms]:
    kept: list[Terms] = []
    for terms in operands:
        if any(_covers(kind, other, terms) for other in kept):
            continue
        kept = [other for other in kept if not _covers(kind, terms, other)]
        kept.append(terms)
    return kept


def _covers(kind: str, one: Terms, other: Terms) -> bool:
    bound = lower(add(one, other, -1) if kind == MAXIMUM else add(other, one, -1), 0)
    return bound is not None and bound >= 0
