"""Readable forms of polynomials: the text of a size, and the shortest arithmetic that computes it.

The normal form is made for comparing, not for reading: it writes `(h + 1)//2` as `h - h//2` and `h % 2` as
`h - 2*(h//2)`. `presented` finds the short way back; what it returns is not in normal form and must not be compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from .dim_normal import mirrored, split_residues
from .dim_terms import (
    FLOOR,
    MAXIMUM,
    MINIMUM,
    MODULO,
    NAME,
    UNIT,
    Atom,
    Monomial,
    Terms,
    add,
    atom_terms,
    atoms,
    collect,
    constant_value,
    intern_atom,
    multiply,
    multiply_monomials,
)

_LONGEST = 32  # more terms than this nobody reads, and looking for short forms takes the square of their number


@lru_cache(maxsize=8192)
def presented(terms: Terms, absorb: bool = True) -> Terms:
    """The same value with the fewest operands; with `absorb`, terms may move into numerators."""
    while len(terms) <= _LONGEST:
        candidates = [
            candidate for atom in atoms(terms) if atom.kind == FLOOR for candidate in _alternatives(terms, atom, absorb)
        ]
        best = min(candidates, key=_cost, default=terms)
        if _cost(best) >= _cost(terms):
            break
        terms = best
    return terms


def _alternatives(terms: Terms, quotient: Atom, absorb: bool) -> Iterator[Terms]:
    numerator, denominator = quotient.operands
    leading, leading_coefficient = denominator[0]
    product = dict(terms).get(multiply_monomials(leading, ((quotient, 1),)), 0)
    if product and product % leading_coefficient == 0:
        times = product // leading_coefficient  # terms hold times*d*q, and d*q == n - n % d
        rest = add(add(terms, multiply(denominator, atom_terms(quotient)), -times), numerator, times)
        yield add(rest, atom_terms(intern_atom(MODULO, operands=quotient.operands)), -times)
    coefficient = dict(terms).get(((quotient, 1),))
    divisor = constant_value(denominator)
    if coefficient is None or divisor is None:
        return
    rest = add(terms, atom_terms(quotient), -coefficient)
    for sign, same in ((1, numerator), (-1, mirrored(numerator, denominator))):
        whole, residues = _nonnegative(same, divisor)
        yield add(add(rest, whole, sign * coefficient), _raw(residues, denominator), sign * coefficient)
    outside = dict(rest)
    for monomial, _ in numerator if absorb else ():
        whole = outside.get(monomial, 0)
        if whole and whole % coefficient == 0:
            moved = add(numerator, ((monomial, divisor),), whole // coefficient)
            if any(part and number > 0 for part, number in moved):  # (h + 1)//2 reads better than -((-h)//2)
                yield add(add(rest, ((monomial, whole),), -1), _raw(moved, denominator), coefficient)


def _nonnegative(numerator: Terms, divisor: int) -> tuple[Terms, Terms]:
    """(q, r) with numerator == divisor * q + r and all coefficients of r in [0, d)."""
    whole, rest = split_residues(numerator, divisor)
    below = collect({monomial: 1 for monomial, coefficient in rest if coefficient < 0})
    return add(whole, below, -1), add(rest, below, divisor)


def _raw(numerator: Terms, denominator: Terms) -> Terms:
    return atom_terms(intern_atom(FLOOR, operands=(numerator, denominator)))


@lru_cache(maxsize=8192)
def _cost(terms: Terms) -> tuple[int, int]:
    """(operands, minus signs) to be read."""
    operands, signs = 0, 0
    for monomial, coefficient in terms:
        operands += abs(coefficient) != 1 or not monomial
        signs += coefficient < 0
        for atom, _ in monomial:
            operands += atom.kind == NAME
            for operand in atom.operands:
                inner = _cost(operand)
                operands, signs = operands + inner[0], signs + inner[1]
    return operands, signs


@lru_cache(maxsize=8192)
def text(terms: Terms) -> str:
    """Canonical text; `parse` reads it back to the equal size."""
    shown = presented(terms)
    if not shown:
        return "0"
    ordered = sorted(shown, key=lambda term: term[1] < 0)
    first, *others = [_term_text(monomial, abs(coefficient)) for monomial, coefficient in ordered]
    if ordered[0][1] == -1 and _is_quotient(ordered[0][0]):
        first = f"({first})"  # -h//2 would be (-h)//2
    signs = ["-" if coefficient < 0 else "+" for _, coefficient in ordered]
    start = f"-{first}" if signs[0] == "-" else first
    return start + "".join(f" {sign} {term}" for sign, term in zip(signs[1:], others, strict=True))


def _is_quotient(monomial: Monomial) -> bool:
    """Whether the term is a quotient or remainder alone, which a sign or factor may not stand before."""
    return len(monomial) == 1 and monomial[0][1] == 1 and monomial[0][0].kind in (FLOOR, MODULO)


def _term_text(monomial: Monomial, coefficient: int) -> str:
    if monomial == UNIT:
        return str(coefficient)
    alone = coefficient == 1 and len(monomial) == 1 and monomial[0][1] == 1
    factors = [] if coefficient == 1 else [str(coefficient)]
    for atom, power in monomial:
        factor = _atom_text(atom)
        if atom.kind in (FLOOR, MODULO) and not alone:
            factor = f"({factor})"
        factors.append(factor if power == 1 else f"{factor}**{power}")
    return "*".join(factors)


def _atom_text(atom: Atom) -> str:
    if atom.kind == NAME:
        return atom.name
    if atom.kind in (MAXIMUM, MINIMUM):
        return f"{'max' if atom.kind == MAXIMUM else 'min'}({', '.join(map(text, atom.operands))})"
    sign = "//" if atom.kind == FLOOR else " % "
    return sign.join(_operand_text(operand) for operand in atom.operands)


def _operand_text(terms: Terms) -> str:
    shown = presented(terms)
    if len(shown) == 1:
        monomial, coefficient = shown[0]
        bare = monomial == UNIT or (coefficient == 1 and len(monomial) == 1 and monomial[0][1] == 1)
        if coefficient > 0 and bare and not _is_quotient(monomial):
            return text(terms)
    return f"({text(terms)})"
