"""What is refused, in words: what was found, why a graph cannot hold it, and the rewrite that works."""

from __future__ import annotations

from typing import Any, NoReturn

from ..core.errors import SymbolicValueError, user_line

__all__: list[str] = []


def refusal(what: str, rewrite: str, kind: type[Exception] = SymbolicValueError) -> Exception:
    """An error that says what cannot be converted, where, and what to write instead."""
    line = user_line(2)
    where = f"\n  {line}" if line else ""
    return kind(f"{what}{where}\n  {rewrite}")


def refuse(what: str, rewrite: str, kind: type[Exception] = SymbolicValueError) -> NoReturn:
    """Raise `refusal`."""
    raise refusal(what, rewrite, kind)


class Missing:
    """Stands where a variable has no single value after a branch or loop: any use of it raises what it holds."""

    __slots__ = ("kind", "text")
    kind: type[Exception]
    text: str

    def __init__(self, text: str, kind: type[Exception] = SymbolicValueError) -> None:
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "kind", kind)

    def error(self) -> Exception:
        """The error of using it, with the user's line of the use."""
        line = user_line(2)
        return self.kind(f"{self.text}\n  used at {line}" if line else self.text)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # Python's own question what the object can do
            raise AttributeError(name)
        raise self.error()


def _raise(self: Missing, *arguments: Any, **keywords: Any) -> NoReturn:
    raise self.error()


SPECIAL_METHODS = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift", "radd",
    "rsub", "rmul", "rtruediv", "rfloordiv", "rmod", "rpow", "rmatmul", "rand", "ror", "rxor", "eq", "ne", "lt", "le",
    "gt", "ge", "neg", "pos", "abs", "invert", "bool", "int", "float", "index", "len", "iter", "getitem", "setitem",
    "contains", "call", "array", "array_ufunc", "format", "str", "setattr", "enter",
)  # fmt: skip

for _name in SPECIAL_METHODS:
    setattr(Missing, f"__{_name}__", _raise)
Missing.__hash__ = object.__hash__


def is_missing(value: Any) -> bool:
    """Whether a variable has no value."""
    return type(value) is Missing
