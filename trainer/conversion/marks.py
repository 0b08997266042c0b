"""Which functions stay as they are written: those with a mark, and those of installed packages."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from ..core.later import LazyModule

sysconfig: Any = LazyModule("sysconfig")

Function = TypeVar("Function", bound=Callable[..., Any])

MARK = "_sardonyx_do_not_convert"


def do_not_convert(function: Function) -> Function:
    """Let a function run as plain Python while a model is traced: its `if`, `while` and `for` stay Python's.

    A condition on a tensor is then refused in it, as everywhere outside of converted code. Gives the function itself.

    >>> import sardonyx as sx
    >>> @sx.do_not_convert
    ... def depth(x, limit):
    ...     return limit if x.shape[-1] > limit else x.shape[-1]
    >>> depth(sx.ops.zeros((2, 3)), 2)
    2
    """
    setattr(function, MARK, True)
    return function


@functools.cache
def installed_folders() -> tuple[str, ...]:
    """How file names of code begin that is not the user's: the standard library, installed packages, made code."""
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return tuple(folders | {"<frozen", "<__array"})
