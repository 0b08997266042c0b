"""Folding a size into another arithmetic: numbers, text, or the nodes of a graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from typing import Generic, TypeVar

from .dim_bounds import lower
from .dim_size import Size, terms_of
from .dim_terms import FLOOR, MAXIMUM, MODULO, NAME, Atom, Monomial, Terms
from .dim_text import presented

T = TypeVar("T")


def fold(
    size: Size,
    leaf: Callable[[str], T],
    constant: Callable[[int], T],
    add: Callable[[T, T], T],
    multiply: Callable[[T, T], T],
    floor_divide: Callable[[T, T], T],
    maximum: Callable[[T, T], T],
    minimum: Callable[[T, T], T],
    *,
    subtract: Callable[[T, T], T] | None = None,
    modulo: Callable[[T, T], T] | None = None,
    truncating_divide: Callable[[T, T], T] | None = None,
) -> T:
    """A size computed in another arithmetic, in few operations; equal parts are computed once.

    `leaf` gives a named size and `constant` an integer. `floor_divide` and `modulo` round as Python does, towards
    minus infinity. `truncating_divide`, if given, divides where numerator and denominator are known not to be
    negative, so that rounding towards zero (ONNX Div) is the same. Without `subtract` and `modulo` these are
    expressed in the others.

    >>> from operator import add, floordiv, mul
    >>> from sardonyx.trainer.core.dims import fold, parse
    >>> fold(parse("(time + 1)//2"), {"time": 9}.get, int, add, mul, floordiv, max, min)
    5
    """
    operations = _Operations(
        leaf, constant, add, multiply, floor_divide, maximum, minimum, subtract, modulo, truncating_divide
    )
    return operations.total(terms_of(size))


@dataclass(slots=True)
class _Operations(Generic[T]):
    leaf: Callable[[str], T]
    constant: Callable[[int], T]
    add: Callable[[T, T], T]
    multiply: Callable[[T, T], T]
    floor_divide: Callable[[T, T], T]
    maximum: Callable[[T, T], T]
    minimum: Callable[[T, T], T]
    subtract: Callable[[T, T], T] | None
    modulo: Callable[[T, T], T] | None
    truncating_divide: Callable[[T, T], T] | None
    known: dict[Atom | int, T] = field(default_factory=dict)

    def total(self, terms: Terms) -> T:
        shown = sorted(presented(terms, absorb=False), key=lambda item: item[1] < 0)
        if not shown:
            return self.number(0)
        result = self.term(*shown[0])
        for monomial, coefficient in shown[1:]:
            if coefficient < 0 and self.subtract is not None:
                result = self.subtract(result, self.term(monomial, -coefficient))
            else:
                result = self.add(result, self.term(monomial, coefficient))
        return result

    def term(self, monomial: Monomial, coefficient: int) -> T:
        factors = [self.part(atom) for atom, power in monomial for _ in range(power)]
        if coefficient != 1 or not factors:
            factors.append(self.number(coefficient))
        return reduce(self.multiply, factors)

    def number(self, value: int) -> T:
        if value not in self.known:
            self.known[value] = self.constant(value)
        return self.known[value]

    def part(self, atom: Atom) -> T:
        if atom not in self.known:
            self.known[atom] = self.computed(atom)
        return self.known[atom]

    def computed(self, atom: Atom) -> T:
        if atom.kind == NAME:
            return self.leaf(atom.name)
        if atom.kind == FLOOR:
            return self.quotient(*atom.operands)
        if atom.kind == MODULO:
            return self.remainder(*atom.operands)
        return reduce(self.maximum if atom.kind == MAXIMUM else self.minimum, map(self.total, atom.operands))

    def quotient(self, numerator: Terms, denominator: Terms) -> T:
        divide = self.floor_divide
        if self.truncating_divide is not None:
            ends = lower(numerator, 0), lower(denominator, 0)
            if all(end is not None and end >= 0 for end in ends):
                divide = self.truncating_divide
        return divide(self.total(numerator), self.total(denominator))

    def remainder(self, numerator: Terms, denominator: Terms) -> T:
        if self.modulo is not None:
            return self.modulo(self.total(numerator), self.total(denominator))
        whole = self.multiply(self.total(denominator), self.quotient(numerator, denominator))
        if self.subtract is not None:
            return self.subtract(self.total(numerator), whole)
        return self.add(self.total(numerator), self.multiply(whole, self.number(-1)))
