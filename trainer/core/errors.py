"""Exceptions of the library, and the user's own source line that belongs into their messages."""

from __future__ import annotations

import linecache
import os
import sys
from typing import NamedTuple

import numpy as np

PACKAGE_FOLDER = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
NUMPY_FOLDER = os.path.dirname(np.__file__) + os.sep
TESTS_FOLDER = os.path.join(PACKAGE_FOLDER, "tests") + os.sep
EXAMPLES_FOLDER = os.path.join(PACKAGE_FOLDER, "examples") + os.sep
STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep
SITE_PACKAGES = f"{os.sep}site-packages{os.sep}"


class ShapeError(ValueError):
    """Shapes, ranks or structures that do not fit together."""


class DtypeError(TypeError):
    """An element type that an operation cannot take."""


class SymbolicValueError(TypeError):
    """Python asked for the value of a tensor that has none before the model runs."""


class SourceLine(NamedTuple):
    """A line of the user's program."""

    file: str
    line: int
    function: str

    @property
    def text(self) -> str:
        """The source text of the line, stripped; empty when the file cannot be read."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        where = f'File "{self.file}", line {self.line}, in {self.function}'
        return f"{where}\n    {self.text}" if self.text else where


def is_own_file(file: str) -> bool:
    """Whether a source file belongs to the library rather than to its user."""
    return file.startswith(PACKAGE_FOLDER) and not file.startswith((TESTS_FOLDER, EXAMPLES_FOLDER))


def is_users_file(file: str) -> bool:
    """Whether a source file is the user's own: of neither the library, nor Python, nor an installed package."""
    return not is_own_file(file) and not file.startswith((STANDARD_LIBRARY, "<frozen")) and SITE_PACKAGES not in file


_PASSED: dict[str, bool] = {}
"""Of source files that were met on the stack: whether lines of them are passed over in the search for the user's."""


def user_line(depth: int = 1) -> SourceLine | None:
    """The innermost line on the stack that is not the library's own; None when there is none."""
    frame = sys._getframe(depth)
    while frame is not None:
        file = frame.f_code.co_filename
        passed = _PASSED.get(file)
        if passed is None:
            passed = _PASSED[file] = is_own_file(file) or file.startswith(("<frozen", NUMPY_FOLDER))
        if not passed:
            return SourceLine(file, frame.f_lineno, frame.f_code.co_name)
        frame = frame.f_back
    return None


def describe_received(value: object) -> str:
    """Shape and dtype of a value as it should appear in an error message."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None:
        return f"{value!r} ({type(value).__name__})"
    return f"{format_shape(shape)} {dtype}" if dtype is not None else format_shape(shape)


def format_shape(shape: object) -> str:
    """A shape as readable text: `(batch, 28, 28, 1)`."""
    if not isinstance(shape, (tuple, list)):
        return str(shape)
    sizes = ", ".join(str(size) for size in shape)
    return f"({sizes},)" if len(shape) == 1 else f"({sizes})"
