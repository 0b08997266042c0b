"""The syntax tree of a function, found by its code object in the user's own file."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import NamedTuple

__all__: list[str] = []

Definition = ast.FunctionDef | ast.Lambda


class NoSource(Exception):
    """Why the source text of a function cannot be had."""


class Found(NamedTuple):
    """A function's definition, and the name of the class around it (for names that begin with two underscores)."""

    definition: Definition
    class_name: str | None


_files: dict[str, tuple[list[str], list[Found]]] = {}


def find_definition(function: FunctionType) -> Found:
    """The definition that a function was compiled from. Raises `NoSource` with the reason when there is none."""
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines:
        raise NoSource(f"the source text of {code.co_filename!r} cannot be read")
    fits = [found for found in _definitions(code.co_filename, lines) if _fits(found.definition, code)]
    if len(fits) > 1:
        fits = [found for found in fits if _encloses(found.definition, code)]
    if len(fits) != 1:
        raise NoSource(
            f"line {code.co_firstlineno} of {code.co_filename!r} no longer reads as the function that is running"
            if not fits
            else f"line {code.co_firstlineno} holds several functions that cannot be told apart"
        )
    return fits[0]


def _definitions(file: str, lines: list[str]) -> list[Found]:
    known = _files.get(file)
    if known is None or known[0] != lines:
        try:
            parsed = ast.parse("".join(lines), file)
        except SyntaxError as error:
            raise NoSource(f"the source text of {file!r} is not the program that is running ({error.msg})") from None
        known = _files[file] = (list(lines), list(_walk(parsed, None)))
    return known[1]


def _walk(node: ast.AST, class_name: str | None) -> Iterator[Found]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.Lambda)):
            yield Found(child, class_name)
        yield from _walk(child, child.name if isinstance(child, ast.ClassDef) else class_name)


def _fits(node: Definition, code: CodeType) -> bool:
    arguments = node.args
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    if len(listed) != code.co_argcount + code.co_kwonlyargcount:
        return False
    if isinstance(node, ast.Lambda):
        return code.co_name == "<lambda>" and node.lineno == code.co_firstlineno
    first = min([node.lineno, *[decorator.lineno for decorator in node.decorator_list]])
    return code.co_name == node.name and first == code.co_firstlineno


def _encloses(node: Definition, code: CodeType) -> bool:
    """Whether the instructions of the code stand within the body of the definition."""
    body = node.body[0] if isinstance(node, ast.FunctionDef) else node.body
    end = node.body[-1] if isinstance(node, ast.FunctionDef) else node.body
    low, high = (body.lineno, body.col_offset), (end.end_lineno or 0, end.end_col_offset or 0)
    places = [(a, c, b, d) for a, b, c, d in code.co_positions() if None not in (a, b, c, d) and (b, d) != (a, 0)]
    inside = [(a, c) >= low and (b, d) <= high for a, c, b, d in places if (a, c, b, d) != (low[0], 0, low[0], 0)]  # type: ignore[operator]
    return bool(inside) and all(inside)
