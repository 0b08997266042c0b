"""Sizes meet numbers: evaluating, substituting and solving."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, TypeVar

from .dim_normal import extremum
from .dim_normal import floor_divide as divide_terms
from .dim_size import Dim, Shape, Size, UndecidableSize, as_result, terms_of
from .dim_terms import FLOOR, MAXIMUM, NAME, ZERO, Atom, Terms, name_terms, raised
from .dim_terms import add as add_terms
from .dim_terms import constant as constant_terms
from .dim_terms import multiply as multiply_terms
from .dim_terms import names as names_of

T = TypeVar("T")


def evaluate(size: Size, bindings: Mapping[str, int]) -> int:
    """The number that a size is when its named sizes are the given numbers.

    Raises ValueError if a named size has no number, or if a divisor is 0.

    >>> from sardonyx.trainer.core.dims import evaluate, parse
    >>> evaluate(parse("2*time + 1"), {"time": 5})
    11
    """
    if type(size) is int:
        return size
    try:
        return _number(terms_of(size), bindings)
    except KeyError as error:
        known = ", ".join(f"{name}={value}" for name, value in sorted(bindings.items())) or "none"
        raise ValueError(
            f"the value of size '{error.args[0]}' is needed to compute {size} and was not given; given: {known}"
        ) from None
    except ZeroDivisionError:
        used = ", ".join(f"{name}={bindings[name]}" for name in sorted(names_of(terms_of(size))))
        raise ValueError(f"size {size} divides by 0 for {used}") from None


def _number(terms: Terms, bindings: Mapping[str, int]) -> int:
    total = 0
    for monomial, coefficient in terms:
        product = coefficient
        for atom, power in monomial:
            value = int(bindings[atom.name]) if atom.kind == NAME else _atom_number(atom, bindings)
            product *= value**power
        total += product
    return total


def _atom_number(atom: Atom, bindings: Mapping[str, int]) -> int:
    values = [_number(operand, bindings) for operand in atom.operands]
    if atom.kind == FLOOR:
        return values[0] // values[1]
    return max(values) if atom.kind == MAXIMUM else min(values)


def evaluate_tree(value: Any, bindings: Mapping[str, int]) -> Any:
    """The value with every symbolic size inside tuples, lists and slices evaluated; itself where there is none."""
    if not contains_dim(value):
        return value
    if isinstance(value, Dim):
        return evaluate(value, bindings)
    if isinstance(value, slice):
        return slice(*(evaluate_tree(part, bindings) for part in (value.start, value.stop, value.step)))
    items = [evaluate_tree(item, bindings) for item in value]
    if isinstance(value, list):
        return items
    return type(value)(*items) if hasattr(value, "_fields") else tuple(items)


def substitute_tree(value: Any, values: Mapping[str, Size]) -> Any:
    """The value with named sizes replaced inside tuples, lists and slices; names without a replacement stay."""
    if not contains_dim(value):
        return value
    if isinstance(value, Dim):
        return substitute(value, {name: size for name, size in values.items() if name in names_of(terms_of(value))})
    if isinstance(value, slice):
        return slice(*(substitute_tree(part, values) for part in (value.start, value.stop, value.step)))
    items = [substitute_tree(item, values) for item in value]
    if isinstance(value, list):
        return items
    return type(value)(*items) if hasattr(value, "_fields") else tuple(items)


def contains_dim(value: Any) -> bool:
    """Whether a symbolic size is the value or stands inside its tuples, lists and slices."""
    if isinstance(value, (tuple, list)):  # plain loop and type test: this is asked of every attribute of every call
        for item in value:
            if type(item) is int:
                continue
            if contains_dim(item):
                return True
        return False
    if isinstance(value, slice):
        return contains_dim(value.start) or contains_dim(value.stop) or contains_dim(value.step)
    return isinstance(value, Dim)


def substitute(size: Size, values: Mapping[str, Size]) -> Size:
    """The size with named sizes replaced; names without a replacement stay.

    >>> from sardonyx.trainer.core.dims import dim, parse, substitute
    >>> substitute(parse("(height*width)//4"), {"height": 2 * dim("half")})
    (half*width)//2
    """
    if isinstance(size, int):
        return size
    return as_result(_substituted(terms_of(size), {name: terms_of(value) for name, value in values.items()}))


def _substituted(terms: Terms, values: Mapping[str, Terms]) -> Terms:
    total = ZERO
    for monomial, coefficient in terms:
        product = constant_terms(coefficient)
        for atom, power in monomial:
            product = multiply_terms(product, raised(_substituted_atom(atom, values), power))
        total = add_terms(total, product)
    return total


def _substituted_atom(atom: Atom, values: Mapping[str, Terms]) -> Terms:
    if atom.kind == NAME:
        return values[atom.name] if atom.name in values else name_terms(atom.name)
    operands = tuple(_substituted(operand, values) for operand in atom.operands)
    return divide_terms(*operands) if atom.kind == FLOOR else extremum(atom.kind, operands)


def solve(pattern: Size, value: int, bindings: MutableMapping[str, int]) -> bool:
    """Whether a size can be `value`, given what is bound already; binds the one name that this determines.

    With all names bound this is a check. With one name unbound the pattern must be linear in it. Returns False when
    no whole number >= 0 fits, and raises UndecidableSize when the value does not determine the unbound names.

    >>> from sardonyx.trainer.core.dims import parse, solve
    >>> bindings = {}
    >>> solve(parse("2*half + 1"), 7, bindings), bindings
    (True, {'half': 3})
    """
    if isinstance(pattern, int):
        return pattern == value
    terms = terms_of(pattern)
    rest = _substituted(terms, {name: constant_terms(int(bound)) for name, bound in bindings.items()})
    unknown = names_of(rest)
    if not unknown:
        return as_result(rest) == value
    (monomial, slope), offset = rest[0], rest[1:]
    if len(unknown) > 1 or monomial[0][0].kind != NAME or monomial[0][1] != 1 or any(part for part, _ in offset):
        listed = " and ".join(f"'{name}'" for name in sorted(unknown))
        raise UndecidableSize(
            f"cannot find {listed} from {pattern} = {value}; sizes are found from dimensions of the form a*name + b. "
            f"Give {listed} as a dimension of its own, or name the size itself in Input(shape=...)"
        )
    found, remainder = divmod(value - sum(number for _, number in offset), slope)
    if remainder or found < 0:
        return False
    bindings[monomial[0][0].name] = found
    return True


def solve_shape(pattern: Shape, shape: tuple[int, ...], bindings: MutableMapping[str, int]) -> bool:
    """`solve` for every dimension, those that determine a name first; False also when the ranks differ.

    Bindings may hold some of the names when the result is False.
    """
    if len(pattern) != len(shape):
        return False
    open_pairs = list(zip(pattern, shape, strict=True))
    while open_pairs:
        postponed: list[tuple[Size, int]] = []
        problem: UndecidableSize | None = None
        for size, value in open_pairs:
            try:
                if not solve(size, value, bindings):
                    return False
            except UndecidableSize as error:
                problem = error
                postponed.append((size, value))
        if problem is not None and len(postponed) == len(open_pairs):
            raise problem
        open_pairs = postponed
    return True
