"""`Dim`, a size that is known only when the model runs."""

from __future__ import annotations

from numbers import Integral
from typing import Any, NoReturn

from .dim_bounds import lower, upper, vanishes
from .dim_normal import floor_divide, modulo
from .dim_parse import parse_terms
from .dim_terms import Terms, add, constant, constant_value, multiply, names, raised, scaled
from .dim_text import text


class UndecidableSize(ValueError):
    """A question about a size whose answer depends on values that are known only when the model runs."""


class Dim:
    """A symbolic integer expression over named sizes, in normal form; immutable and hashable.

    Made by `dim("batch")`, `parse("2*time + 1")`, and by arithmetic: `+ - * // % **` with integers and other sizes.
    A result that is constant is an `int`. `==` compares normal forms; `<`, `<=`, `>`, `>=` hold for all named
    sizes >= 1 or raise `UndecidableSize`.

    >>> from sardonyx.trainer.core.dims import dim
    >>> time = dim("time")
    >>> (4 * time + 2) // 2, time - time, -(-time // 2)
    (2*time + 1, 0, (time + 1)//2)
    """

    __slots__ = ("_hash", "_terms")

    # NumPy's integers leave arithmetic with a size to the size.
    __array_ufunc__ = None

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._hash = hash(terms)

    def __add__(self, other: Any) -> Any:
        terms = _operand(other, "+")
        return NotImplemented if terms is None else as_result(add(self._terms, terms))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        terms = _operand(other, "-")
        return NotImplemented if terms is None else as_result(add(self._terms, terms, -1))

    def __rsub__(self, other: Any) -> Any:
        terms = _operand(other, "-")
        return NotImplemented if terms is None else as_result(add(terms, self._terms, -1))

    def __mul__(self, other: Any) -> Any:
        terms = _operand(other, "*")
        return NotImplemented if terms is None else as_result(multiply(self._terms, terms))

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        terms = _operand(other, "//")
        return NotImplemented if terms is None else as_result(floor_divide(self._terms, terms))

    def __rfloordiv__(self, other: Any) -> Any:
        terms = _operand(other, "//")
        return NotImplemented if terms is None else as_result(floor_divide(terms, self._terms))

    def __mod__(self, other: Any) -> Any:
        terms = _operand(other, "%")
        return NotImplemented if terms is None else as_result(modulo(self._terms, terms))

    def __rmod__(self, other: Any) -> Any:
        terms = _operand(other, "%")
        return NotImplemented if terms is None else as_result(modulo(terms, self._terms))

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __pow__(self, power: Any) -> Any:
        if not isinstance(power, Integral) or isinstance(power, bool):
            return NotImplemented
        if power < 0:
            raise ValueError(f"({self})**{power} is not a whole number; a size takes powers >= 0")
        return as_result(raised(self._terms, int(power)))

    def __truediv__(self, other: Any) -> Any:
        if _operand(other, "/") is None:
            return NotImplemented
        if isinstance(other, int) and other == 1:
            return self
        raise TypeError(f"({self}) / ({other}) may be a fraction, and sizes are whole numbers; use // instead of /")

    def __rtruediv__(self, other: Any) -> Any:
        if _operand(other, "/") is None:
            return NotImplemented
        raise TypeError(f"({other}) / ({self}) may be a fraction, and sizes are whole numbers; use // instead of /")

    def __neg__(self) -> Dim:
        return Dim(scaled(self._terms, -1))

    def __pos__(self) -> Dim:
        return self

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, Dim):
            return self._hash == other._hash and self._terms == other._terms
        return NotImplemented

    def __hash__(self) -> int:
        return self._hash

    def __lt__(self, other: Any) -> bool:
        terms = _operand(other, "<")
        return NotImplemented if terms is None else _positive(add(terms, self._terms, -1), self, "<", other)

    def __gt__(self, other: Any) -> bool:
        terms = _operand(other, ">")
        return NotImplemented if terms is None else _positive(add(self._terms, terms, -1), self, ">", other)

    def __le__(self, other: Any) -> bool:
        terms = _operand(other, "<=")
        return NotImplemented if terms is None else not _positive(add(self._terms, terms, -1), self, "<=", other)

    def __ge__(self, other: Any) -> bool:
        terms = _operand(other, ">=")
        return NotImplemented if terms is None else not _positive(add(terms, self._terms, -1), self, ">=", other)

    def __bool__(self) -> bool:
        zero = vanishes(self._terms)
        if zero is None:
            raise _undecidable(f"{self} is different from 0", self._terms)
        return not zero

    def __index__(self) -> NoReturn:
        raise TypeError(
            f"size '{self}' is known only when the model runs, so it cannot become a Python number here; use it in "
            "shapes and arithmetic, or ops.convert_to_tensor(x.shape[1]) to use it as a value"
        )

    __int__ = __float__ = __index__

    def __str__(self) -> str:
        return text(self._terms)

    __repr__ = __str__

    def __copy__(self) -> Dim:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Dim:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (text(self._terms),)


Size = int | Dim
Shape = tuple[Size, ...]


def as_result(terms: Terms) -> Size:
    value = constant_value(terms)
    return Dim(terms) if value is None else value


def terms_of(size: Size) -> Terms:
    """The polynomial of a size; a TypeError for what is not one."""
    terms = _operand(size, "as a size")
    if terms is None:
        raise TypeError(f"a size is an int or a symbolic size (Dim); got {size!r} ({type(size).__name__})")
    return terms


def _restore(written: str) -> Size:
    return as_result(parse_terms(written))


def _operand(value: Any, operation: str) -> Terms | None:
    if type(value) is int:
        return constant(value)
    if isinstance(value, Dim):
        return value._terms
    if isinstance(value, float):
        raise TypeError(
            f"sizes are whole numbers; got the float {value!r} for {operation}. Use an int, and // to divide"
        )
    if isinstance(value, Integral) and not isinstance(value, bool):
        return constant(int(value))
    return None


def _positive(difference: Terms, left: Size, asked: str, right: Size) -> bool:
    least = lower(difference, 1)
    if least is not None and least > 0:
        return True
    most = upper(difference, 1)
    if most is not None and most <= 0:
        return False
    raise _undecidable(f"{left} {asked} {right}", difference)


def _undecidable(question: str, terms: Terms) -> UndecidableSize:
    found = " and ".join(f"'{name}'" for name in sorted(names(terms)))
    return UndecidableSize(
        f"cannot tell whether {question}: {found} is known only when the model runs (all that is known is that a "
        "size is at least 1). Choose inside the model with ops.where or ops.cond, or give the size as a number in "
        "Input(shape=...)"
    )
