"""Polynomials with integer coefficients over atoms, the representation under `Dim`.

A value of type `Terms` is a sorted tuple of (monomial, coefficient) pairs without zero coefficients, so that two
polynomials are the same value exactly when the tuples are equal. The constant monomial is the empty tuple, and last.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from threading import RLock
from typing import Any
from weakref import WeakValueDictionary

NAME, FLOOR, MODULO, MAXIMUM, MINIMUM = "name", "floor_divide", "modulo", "maximum", "minimum"
_RANK = {NAME: 0, FLOOR: 1, MODULO: 2, MAXIMUM: 3, MINIMUM: 4}


class Atom:
    """What a polynomial cannot look into: a named size, or an operation on polynomials.

    Made by `intern_atom`, which gives equal atoms as one object: they are compared and hashed by identity, at no cost.
    `order` sorts them, the same way in every process; `weight` is how much there is to read.
    """

    __slots__ = ("__weakref__", "kind", "name", "operands", "order", "weight")

    def __init__(self, kind: str, name: str, operands: tuple[Terms, ...]) -> None:
        self.kind = kind
        self.name = name
        self.operands = operands
        self.order: tuple[Any, ...] = (_RANK[kind], name, tuple(_terms_order(terms) for terms in operands))
        self.weight: int = 1 + sum(map(weight, operands))


_atoms: WeakValueDictionary[tuple[Any, ...], Atom] = WeakValueDictionary()
_atoms_lock = RLock()


def intern_atom(kind: str, name: str = "", operands: tuple[Terms, ...] = ()) -> Atom:
    """The one atom of this kind, name and operands."""
    key = (kind, name, operands)
    with _atoms_lock:
        known = _atoms.get(key)
        if known is None:
            known = _atoms[key] = Atom(kind, name, operands)
        return known


Monomial = tuple[tuple[Atom, int], ...]
Terms = tuple[tuple[Monomial, int], ...]

UNIT: Monomial = ()
ZERO: Terms = ()
ONE: Terms = ((UNIT, 1),)


def weight(terms: Terms) -> int:
    """How many terms and atoms there are, those inside atoms included."""
    return sum(1 + sum(atom.weight for atom, _ in monomial) for monomial, _ in terms)


def _terms_order(terms: Terms) -> tuple[Any, ...]:
    return tuple((monomial_order(monomial), coefficient) for monomial, coefficient in terms)


@lru_cache(maxsize=8192)
def monomial_order(monomial: Monomial) -> tuple[Any, ...]:
    """Graded lexicographic order, highest degree first: a true monomial order, as polynomial division needs."""
    return -sum(power for _, power in monomial), tuple((atom.order, -power) for atom, power in monomial)


def _term_order(term: tuple[Monomial, int]) -> tuple[Any, ...]:
    return monomial_order(term[0])


def collect(sums: dict[Monomial, int]) -> Terms:
    """The polynomial whose coefficients are given, zeros allowed."""
    kept = [term for term in sums.items() if term[1]]
    if len(kept) > 1:
        kept.sort(key=_term_order)
    return tuple(kept)


def constant(value: int) -> Terms:
    return ((UNIT, value),) if value else ZERO


def atom_terms(single: Atom) -> Terms:
    return ((((single, 1),), 1),)


@lru_cache(maxsize=8192)
def name_terms(name: str) -> Terms:
    return atom_terms(intern_atom(NAME, name))


def constant_value(terms: Terms) -> int | None:
    """The integer that the polynomial is, None if it is not constant."""
    if not terms:
        return 0
    monomial, coefficient = terms[0]
    return None if monomial else coefficient


def constant_part(terms: Terms) -> int:
    if terms and not terms[-1][0]:
        return terms[-1][1]
    return 0


def add(left: Terms, right: Terms, scale: int = 1) -> Terms:
    """`left + scale * right`."""
    if not right or not scale:
        return left
    if not right[0][0]:  # a constant: only the last term changes
        sizes = left if not left or left[-1][0] else left[:-1]
        total = constant_part(left) + scale * right[0][1]
        return (*sizes, (UNIT, total)) if total else sizes
    sums = dict(left)
    for monomial, coefficient in right:
        sums[monomial] = sums.get(monomial, 0) + scale * coefficient
    return collect(sums)


def scaled(terms: Terms, scale: int) -> Terms:
    if scale == 1:
        return terms
    return tuple((monomial, coefficient * scale) for monomial, coefficient in terms) if scale else ZERO


def multiply(left: Terms, right: Terms) -> Terms:
    for one, other in ((left, right), (right, left)):
        value = constant_value(one)
        if value is not None:
            return scaled(other, value)
    sums: dict[Monomial, int] = {}
    for left_monomial, left_coefficient in left:
        for right_monomial, right_coefficient in right:
            monomial = multiply_monomials(left_monomial, right_monomial)
            sums[monomial] = sums.get(monomial, 0) + left_coefficient * right_coefficient
    return collect(sums)


@lru_cache(maxsize=8192)
def multiply_monomials(left: Monomial, right: Monomial) -> Monomial:
    if not left or not right:
        return left or right
    powers = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: item[0].order))


def divide_monomials(whole: Monomial, part: Monomial) -> Monomial | None:
    """`whole / part`, None where `part` does not divide it."""
    powers = dict(whole)
    for atom, power in part:
        left = powers.get(atom, 0) - power
        if left < 0:
            return None
        powers[atom] = left
    return tuple((atom, power) for atom, power in powers.items() if power)


def atoms(terms: Terms) -> list[Atom]:
    """The atoms that stand in the polynomial itself (not inside other atoms), in order of appearance."""
    return list(dict.fromkeys(atom for monomial, _ in terms for atom, _ in monomial))


def names(terms: Terms) -> frozenset[str]:
    """The names of all named sizes, also those inside atoms."""
    found: set[str] = set()
    for atom in atoms(terms):
        if atom.kind == NAME:
            found.add(atom.name)
        for operand in atom.operands:
            found |= names(operand)
    return frozenset(found)


def replaced(terms: Terms, values: dict[Atom, Terms]) -> Terms:
    """The polynomial with atoms replaced by polynomials, where they stand in it directly."""
    result = ZERO
    for monomial, coefficient in terms:
        product = constant(coefficient)
        for atom, power in monomial:
            value = values.get(atom)
            factor = ((((atom, power),), 1),) if value is None else raised(value, power)
            product = multiply(product, factor)
        result = add(result, product)
    return result


def raised(terms: Terms, power: int, times: Callable[[Terms, Terms], Terms] = multiply) -> Terms:
    """`terms ** power` for a power >= 0."""
    result = ONE
    for _ in range(power):
        result = times(result, terms)
    return result
