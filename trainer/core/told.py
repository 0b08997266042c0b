"""Errors that name the user's own line: at the doors of the library, and where its objects are made."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from .errors import NUMPY_FOLDER, DtypeError, ShapeError, SourceLine, is_own_file, user_line

P = ParamSpec("P")
R = TypeVar("R")
KINDS = frozenset({ValueError, TypeError, RuntimeError, IndexError, AttributeError, ShapeError, DtypeError})


def tells_line(function: Callable[P, R]) -> Callable[P, R]:
    """A function of which the library's own errors end with the line on which the user called."""

    @functools.wraps(function)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            tell_line(error)
            raise

    return told


def tell_line(error: Exception) -> None:
    """Close the message of an error of the library with the innermost line of the user's, unless it names one."""
    if type(error) not in KINDS or len(error.args) != 1 or not isinstance(error.args[0], str):
        return
    text = error.args[0]
    if 'File "' in text:
        return
    raised_by_us, line = _lines_of(error.__traceback__)
    line = line or user_line(2)
    if raised_by_us and line is not None:
        error.args = (f"{text}\n  at {line}",)


def _lines_of(traceback: TracebackType | None) -> tuple[bool, SourceLine | None]:
    """Whether an error was raised in the library, and the innermost line of the user's on the way there."""
    line, ours = None, False
    while traceback is not None:
        code = traceback.tb_frame.f_code
        ours = is_own_file(code.co_filename)
        if not ours and not code.co_filename.startswith(("<frozen", NUMPY_FOLDER)):
            line = SourceLine(code.co_filename, traceback.tb_lineno, code.co_name)
        traceback = traceback.tb_next
    return ours, line


class Told:
    """A base of classes whose constructors name the user's line in errors, and insist on `super().__init__()`."""

    made_by: str = "name"
    """An attribute that the base's `__init__` sets: what is missing tells that it was not called."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _guarded(cls.__init__)


def _guarded(construct: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(construct)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            construct(self, *args, **kwargs)
        except Exception as error:
            if type(self).__init__ is __init__:
                if isinstance(error, AttributeError) and self.made_by not in vars(self):
                    raise _not_made(type(self), construct) from None
                tell_line(error)
            raise
        if type(self).__init__ is __init__ and self.made_by not in vars(self):
            raise _not_made(type(self), construct)

    return __init__


def _not_made(cls: type, construct: Callable[..., None]) -> RuntimeError:
    code = getattr(construct, "__code__", None)
    line = SourceLine(code.co_filename, code.co_firstlineno, code.co_name) if code is not None else user_line(3)
    return RuntimeError(f"{cls.__name__}: call super().__init__() first in its __init__()\n  at {line}")
