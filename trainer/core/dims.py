"""Symbolic sizes: integer expressions over named sizes, such as `batch`, `2*time + 1` or `width//2`.

A size is an `int` or a `Dim`. A `Dim` is never constant: arithmetic that comes out constant gives an `int`. Two sizes
are equal (`==`) when their normal forms are. Rewritings are exact for all named sizes >= 0; comparisons and bounds
take named sizes to be >= 1, as a size that is compared holds something.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from itertools import product as iter_product
from math import lcm, prod
from numbers import Integral

from .dim_bounds import interval, vanishes
from .dim_fold import fold
from .dim_normal import extremum
from .dim_parse import check_name, parse_terms
from .dim_size import Dim, Shape, Size, UndecidableSize, as_result, terms_of
from .dim_terms import FLOOR, MAXIMUM, MINIMUM, Terms, add, atoms, constant_value, name_terms
from .dim_terms import names as names_of
from .dim_values import contains_dim, evaluate, evaluate_tree, solve, solve_shape, substitute, substitute_tree

__all__ = [
    "Dim",
    "Shape",
    "Size",
    "UndecidableSize",
    "agree",
    "as_size",
    "bounds",
    "broadcast_size",
    "ceil_divide",
    "contains_dim",
    "dim",
    "equal",
    "evaluate",
    "evaluate_tree",
    "fold",
    "fresh",
    "is_fresh",
    "is_static",
    "maximum",
    "may_differ",
    "minimum",
    "names",
    "parse",
    "product",
    "promised",
    "reset_fresh_names",
    "solve",
    "solve_shape",
    "substitute",
    "substitute_tree",
]


class _Names:
    """The names in use, so that fresh ones are new, and the numbers that fresh ones take."""

    def __init__(self) -> None:
        self.used: dict[str, Dim] = {}
        self.fresh: set[str] = set()
        self.numbers = count(1)


_names = _Names()


def dim(name: str) -> Dim:
    """The named size `name`: an integer >= 1, the same one wherever the name appears.

    Raises ValueError for what is not a name.

    >>> from sardonyx.trainer.core.dims import dim
    >>> 2 * dim("time") + 1
    2*time + 1
    """
    known = _names.used.get(name) if isinstance(name, str) else None
    if known is None:
        known = _names.used[name] = Dim(name_terms(check_name(name)))
    return known


def fresh(prefix: str = "size") -> Dim:
    """A named size with a new name, such as `size_3`.

    >>> from sardonyx.trainer.core.dims import fresh
    >>> fresh() == fresh()
    False
    """
    check_name(prefix)
    while (name := f"{prefix}_{next(_names.numbers)}") in _names.used:
        pass
    _names.fresh.add(name)
    return dim(name)


def is_fresh(size: Size) -> bool:
    """Whether a size is one that `fresh` handed out, not one that a user named."""
    return str(size) in _names.fresh


def reset_fresh_names() -> None:
    """Makes `fresh` count from 1 again. Sizes from before may then meet new ones of the same name."""
    _names.used.clear()
    _names.fresh.clear()
    _names.numbers = count(1)


def parse(text: str) -> Size:
    """The size that a text describes: names, whole numbers, `+ - * // % **`, parentheses, `max` and `min`.

    Raises ValueError with the text and what is allowed. The text is never executed.

    >>> from sardonyx.trainer.core.dims import parse
    >>> parse("(4*time + 2)//2")
    2*time + 1
    """
    return _registered(as_result(parse_terms(text)))


def _registered(size: Size) -> Size:
    """The size, its names kept from being handed out as fresh ones."""
    for name in names(size):
        dim(name)
    return size


def as_size(value: int | Dim | str | None, fresh_prefix: str = "size") -> Size:
    """What a user may write for one dimension of a shape, as a size.

    `None` is a fresh named size, a string is parsed, any integer (NumPy's too) is an int. Raises TypeError for
    bools, floats and other values, ValueError for negative integers.
    """
    if isinstance(value, Dim):
        return value
    if value is None:
        return fresh(fresh_prefix)
    size = parse(value) if isinstance(value, str) else value
    if isinstance(size, Dim):
        return size
    if isinstance(size, bool) or not isinstance(size, Integral):
        raise TypeError(
            "a dimension of a shape is a whole number >= 0, None (not known yet), or a text such as 'time' or "
            f"'2*time + 1'; got {value!r} ({type(value).__name__})"
        )
    if size < 0:
        raise ValueError(
            f"a dimension of a shape cannot be negative; got {value!r}. For a size that is not known yet use None or "
            "a name such as 'time'"
        )
    return int(size)


def equal(left: Size, right: Size) -> bool | None:
    """True if the sizes are equal for all named sizes >= 1, False if for none, None if that is not known.

    >>> from sardonyx.trainer.core.dims import dim, equal
    >>> h = dim("h")
    >>> equal((h + 1) // 2, h - h // 2), equal(h, h + 1), equal(2 * (h // 2), h)
    (True, False, None)
    """
    if left is right:
        return True
    if isinstance(left, int) and isinstance(right, int):
        return left == right
    return vanishes(add(terms_of(left), terms_of(right), -1))


_promised: ContextVar[bool] = ContextVar("promised", default=False)


@contextmanager
def promised() -> Iterator[None]:
    """A scope in which sizes that may be equal are taken to be equal wherever they have to be.

    For somebody's file: it was written for inputs of which it is true, images of a multiple of 32 pixels perhaps, and
    has no way to say so. Where it is not true, running the model is the error.
    """
    token = _promised.set(True)
    try:
        yield
    finally:
        _promised.reset(token)


def agree(left: Size, right: Size) -> bool:
    """Whether two sizes that have to be equal are: always, or within `promised` possibly."""
    same = equal(left, right)
    return same is True or (same is None and _promised.get())


def bounds(size: Size) -> tuple[int | None, int | None]:
    """The least and the greatest value that can be proven for named sizes >= 1; None where there is none.

    >>> from sardonyx.trainer.core.dims import bounds, dim
    >>> bounds(dim("h") % 4), bounds(dim("h") - 3)
    ((0, 3), (-2, None))
    """
    return interval(terms_of(size), 1)


def names(size: Size) -> frozenset[str]:
    """The named sizes that a size depends on."""
    return frozenset() if isinstance(size, int) else names_of(terms_of(size))


def is_static(shape: Iterable[Size | None]) -> bool:
    """Whether all sizes of a shape are numbers."""
    return all(isinstance(size, int) for size in shape)


def product(sizes: Iterable[Size]) -> Size:
    """The product of sizes, 1 for none: how many elements a shape holds."""
    return prod(sizes)


def ceil_divide(left: Size, right: Size) -> Size:
    """`left / right`, rounded up."""
    return -(-left // right)


def maximum(left: Size, right: Size) -> Size:
    """The greater of two sizes; one of them where it is never less than the other.

    >>> from sardonyx.trainer.core.dims import dim, maximum
    >>> maximum(dim("a"), dim("b")), maximum(dim("a"), dim("a") + 1)
    (max(a, b), a + 1)
    """
    return _extremum(MAXIMUM, left, right)


def minimum(left: Size, right: Size) -> Size:
    """The lesser of two sizes; one of them where it is never greater than the other."""
    return _extremum(MINIMUM, left, right)


def _extremum(kind: str, left: Size, right: Size) -> Size:
    return as_result(extremum(kind, (terms_of(left), terms_of(right))))


def broadcast_size(left: Size, right: Size) -> Size:
    """The size that two sizes broadcast to, NumPy's rule: equal sizes stay, 1 gives way to the other.

    Raises ValueError if the sizes always differ, UndecidableSize if they may.
    """
    if isinstance(left, int) and left == 1:
        return right
    if isinstance(right, int) and right == 1:
        return left
    same = equal(left, right)
    if same:
        return left
    one = equal(left, 1), equal(right, 1)
    if True in one:
        return left if one[1] else right
    if same is None and _promised.get():
        return right if isinstance(right, int) else left
    if same is None:
        raise UndecidableSize(may_differ(left, right))
    raise ValueError(
        f'sizes "{left}" and "{right}" always differ, so they do not broadcast: sizes must be equal, or one of them '
        "the number 1"
    )


def may_differ(left: Size, right: Size) -> str:
    """The sentence for sizes that are neither always equal nor always different: when, and what to write instead."""
    if isinstance(left, int) or isinstance(right, int):
        number, size = (left, right) if isinstance(left, int) else (right, left)
        return (
            f'size "{size}" may differ from {number}; if it is always {number} give it as a number in '
            f"Input(shape=...), and if it may be 1 expand it with ops.broadcast_to first"
        )
    sentence = f'sizes "{left}" and "{right}" may differ{_example(left, right)}; '
    shared = sorted(names(left) & names(right))
    step = _divisors(add(terms_of(left), terms_of(right), -1))
    for name in shared if step > 1 else ():
        multiple = {name: step * dim(name)}
        if equal(substitute(left, multiple), substitute(right, multiple)):
            return (
                f"{sentence}if {name} is always a multiple of {step}, say so by naming the size as one in "
                f'Input(shape=("{step}*{name}", ...))'
            )
    if shared:
        return f"{sentence}reshape, slice or pad one of them so that both are the same expression"
    return f'{sentence}if they are always equal give them the same name in Input(shape=("{left}", ...))'


def _divisors(terms: Terms) -> int:
    """The least common multiple of all integers that something is divided by."""
    found = 1
    for atom in atoms(terms):
        if atom.kind == FLOOR:
            found = lcm(found, constant_value(atom.operands[1]) or 1)
        found = lcm(found, *map(_divisors, atom.operands))
    return found


def _example(left: Size, right: Size) -> str:
    """Small values for which the sizes differ, as a remark; empty if none are found."""
    found = sorted(names(left) | names(right))
    if not names(left) & names(right):
        return ""  # sizes of different names need no proof that they may differ
    for values in iter_product(range(1, 9), repeat=len(found)) if len(found) <= 2 else ():
        given = dict(zip(found, values, strict=True))
        try:
            ends = evaluate(left, given), evaluate(right, given)
        except ValueError:
            continue
        if ends[0] != ends[1]:
            listed = ", ".join(f"{name} = {value}" for name, value in given.items())
            return f" (with {listed} they are {ends[0]} and {ends[1]})"
    return ""
