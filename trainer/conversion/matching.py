"""`match` over values, as a chain of branches; other patterns stay Python's own."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from .expressions import name, placed

if TYPE_CHECKING:
    from .statements import Statements

__all__: list[str] = []


def as_branches(rewriter: Statements, node: ast.Match) -> list[ast.stmt] | None:
    """`if` and `elif` for a `match` whose patterns are values, alternatives of them, or a name; else None."""
    if not all(_is_value(case.pattern) for case in node.cases):
        return None
    subject = rewriter.fresh("subject")
    chain: list[ast.stmt] = []
    for case in reversed(node.cases):
        test = _test(case.pattern, subject)
        body = case.body
        bound = case.pattern.name if isinstance(case.pattern, ast.MatchAs) else None
        if bound is not None:
            if case.guard is not None:
                return None  # the guard may read the name
            target = placed(name(bound, ast.Store()), case.pattern)
            body = [placed(ast.Assign([target], placed(name(subject), case.pattern)), case.pattern), *body]
        if case.guard is not None:
            test = case.guard if test is None else placed(ast.BoolOp(ast.And(), [test, case.guard]), case.pattern)
        chain = body if test is None else [placed(ast.If(test, body, chain), case.pattern)]
    start = placed(ast.Assign([placed(name(subject, ast.Store()), node)], node.subject), node)
    for made in chain:
        ast.fix_missing_locations(made)
    return [start, *chain]


def _is_value(pattern: ast.pattern) -> bool:
    if isinstance(pattern, ast.MatchOr):
        return all(_is_value(x) and not isinstance(x, ast.MatchAs) for x in pattern.patterns)
    if isinstance(pattern, ast.MatchAs):
        return pattern.pattern is None
    return isinstance(pattern, (ast.MatchValue, ast.MatchSingleton))


def _test(pattern: ast.pattern, subject: str) -> ast.expr | None:
    """The condition under which a pattern fits; None for always."""
    if isinstance(pattern, ast.MatchOr):
        tests = [test for x in pattern.patterns if (test := _test(x, subject)) is not None]
        return placed(ast.BoolOp(ast.Or(), tests), pattern)
    if isinstance(pattern, ast.MatchAs):
        return None
    if isinstance(pattern, ast.MatchSingleton):
        return placed(ast.Compare(name(subject), [ast.Is()], [ast.Constant(pattern.value)]), pattern)
    assert isinstance(pattern, ast.MatchValue)
    return placed(ast.Compare(name(subject), [ast.Eq()], [pattern.value]), pattern)
