"""Which names statements assign, and how control leaves them, read from the syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

__all__: list[str] = []

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def stored_names(nodes: Iterable[ast.AST]) -> set[str]:
    """Names of the function's own scope that statements or expressions assign or delete."""
    found: set[str] = set()
    for node in nodes:
        _collect(node, found, inside_comprehension=False)
    return found


def _collect(node: ast.AST, found: set[str], inside_comprehension: bool) -> None:
    if isinstance(node, ast.NamedExpr):
        found.add(node.target.id)  # binds in the function even from inside a comprehension
    elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) and not inside_comprehension:
        found.add(node.id)
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        found.add(node.name)
    elif isinstance(node, ast.alias):
        found.add(node.asname or node.name.partition(".")[0])
    elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
        found.add(node.name)
    elif isinstance(node, ast.MatchMapping) and node.rest:
        found.add(node.rest)
    if not isinstance(node, SCOPES):
        inside = inside_comprehension or isinstance(node, COMPREHENSIONS)
        for child in ast.iter_child_nodes(node):
            _collect(child, found, inside)


def own_nodes(statements: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes of statements that run in the function itself, those of inner functions and classes left out."""
    for node in statements:
        yield node
        if not isinstance(node, SCOPES):
            yield from own_nodes(ast.iter_child_nodes(node))


def declared(statements: Iterable[ast.AST], kind: type[ast.Global] | type[ast.Nonlocal]) -> set[str]:
    """Names that the function declares `global` or `nonlocal`."""
    return {name for node in own_nodes(statements) if isinstance(node, kind) for name in node.names}


def is_generator(node: ast.FunctionDef) -> bool:
    """Whether a function yields: its statements must stay in it."""
    return any(isinstance(part, (ast.Yield, ast.YieldFrom, ast.Await)) for part in own_nodes(node.body))


def has_return(statements: Iterable[ast.AST]) -> bool:
    """Whether the function may return from inside the statements."""
    return any(isinstance(node, ast.Return) for node in own_nodes(statements))


def has_exit(statements: Iterable[ast.AST]) -> bool:
    """Whether a `return`, or a `break` of the loop whose body the statements are, stands in them."""
    return has_return(statements) or any(isinstance(node, ast.Break) for node in loop_nodes(statements))


def loop_nodes(statements: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Nodes of a loop's body, those of inner loops left out (of which `else` belongs to the outer one)."""
    for node in statements:
        yield node
        if isinstance(node, (ast.For, ast.While, ast.AsyncFor)):
            yield from loop_nodes(node.orelse)
        elif not isinstance(node, SCOPES):
            yield from loop_nodes(ast.iter_child_nodes(node))


def falls_through(statements: list[ast.stmt]) -> bool:
    """Whether control may reach what stands after the statements."""
    if not statements:
        return True
    last = statements[-1]
    if isinstance(last, (ast.Return, ast.Raise)):
        return False
    if isinstance(last, ast.If):
        return falls_through(last.body) or falls_through(last.orelse)
    if isinstance(last, ast.With):
        return falls_through(last.body)
    return True


def names_in(nodes: Iterable[ast.AST]) -> set[str]:
    """Every name written anywhere in a tree."""
    found: set[str] = set()
    for root in nodes:
        for node in ast.walk(root):
            if isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.arg):
                found.add(node.arg)
    return found


def parameters(arguments: ast.arguments) -> list[str]:
    """Names of a function's parameters."""
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    starred = [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]
    return [argument.arg for argument in [*listed, *starred]]
