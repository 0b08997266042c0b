"""Functions of Python's standard library as syntax trees; of every statement whether control can go on behind it."""

from __future__ import annotations

import ast
import sysconfig
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

SKIPPED = {"site-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo"}
LOOPS = (ast.For, ast.AsyncFor, ast.While)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
LEAVING = (ast.Return, ast.Raise, ast.Break, ast.Continue)
NO_NODES = (ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop)
BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")


@dataclass(eq=False)
class Node:
    """A node of a tree: the number of its token, its children (None: absent), and of statements the label."""

    token: int
    children: list[Node | None]
    label: bool | None = None
    name: str = ""
    line: int = 0
    is_compound: bool = False
    source: str = field(default="", repr=False)


@cache
def post_order(tree: Node) -> list[Node]:
    """All nodes, children before their parents; the root is the last."""
    return [*(node for child in tree.children if child is not None for node in post_order(child)), tree]


@cache
def height(tree: Node) -> int:
    """The longest way down to a leaf."""
    return 1 + max((height(child) for child in tree.children if child is not None), default=-1)


def children_table(tree: Node, arity: int | None = None) -> np.ndarray:
    """The places of each node's children in post-order, int32 `(nodes, arity)`, -1 where there is none."""
    nodes = post_order(tree)
    place = {id(node): i for i, node in enumerate(nodes)}
    rows = np.full((len(nodes), arity or max(1, *(len(node.children) for node in nodes))), -1, np.int32)
    for row, node in zip(rows, nodes, strict=True):
        row[: len(node.children)] = [-1 if child is None else place[id(child)] for child in node.children]
    return rows


def binary(tree: Node) -> Node:
    """The same tree with two children a node: `f(a, b, c)` becomes `f(a, and(b, c))`, a missing child None."""
    children = [None if child is None else binary(child) for child in tree.children]
    while len(children) > 2:
        children[-2:] = [Node(0, children[-2:], name="and")]
    filled = children + [None] * (2 - len(children))
    return Node(tree.token, filled, tree.label, tree.name, tree.line, tree.is_compound, tree.source)


# -- the label: can control go on behind a statement? ------------------------------------------------------------------


def goes_on(statement: Any) -> bool:
    """Whether control can reach what follows a statement (The Java Language Specification, 14.22, for Python)."""
    if isinstance(statement, LEAVING):
        return False
    if isinstance(statement, ast.If):
        return block_goes_on(statement.body) or block_goes_on(statement.orelse)
    if isinstance(statement, LOOPS):
        test = getattr(statement, "test", None)
        is_endless = isinstance(test, ast.Constant) and bool(test.value)
        return has_break(statement.body) or (not is_endless and block_goes_on(statement.orelse))
    if isinstance(statement, (ast.With, ast.AsyncWith)):
        return block_goes_on(statement.body)
    if isinstance(statement, ast.Try):
        tried = block_goes_on([*statement.body, *statement.orelse])
        handled = any(block_goes_on(handler.body) for handler in statement.handlers)
        return block_goes_on(statement.finalbody) and (tried or handled)
    if isinstance(statement, ast.Match):
        last = statement.cases[-1]
        takes_all = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None and last.guard is None
        return not takes_all or any(block_goes_on(case.body) for case in statement.cases)
    return True


def block_goes_on(statements: list[Any]) -> bool:
    """Whether control can reach the end of statements one after the other."""
    return all(map(goes_on, statements))


def has_break(statements: list[Any]) -> bool:
    """Whether a `break` in these statements leaves the loop around them."""
    for statement in statements:
        if isinstance(statement, ast.Break):
            return True
        if isinstance(statement, SCOPES):
            continue
        inner = ("orelse",) if isinstance(statement, LOOPS) else BLOCKS
        if any(has_break(getattr(statement, block, [])) for block in inner):
            return True
    return False


# -- from source text to trees -----------------------------------------------------------------------------------------


def functions_in(path: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions of a file with their source text; nothing of a file that this Python cannot read."""
    try:
        text = path.read_text(encoding="utf-8")
        parsed = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    lines = text.splitlines()
    for found in ast.walk(parsed):
        if isinstance(found, ast.FunctionDef):
            yield "\n".join(lines[found.lineno - 1 : found.end_lineno]), found


def as_tree(part: Any, vocabulary: dict[str, int] | None = None, first_line: int = 1) -> Node:
    """A node for each part of the program and for each block of statements; without a vocabulary all tokens are 0."""
    name, children = type(part).__name__, []
    if isinstance(part, ast.Constant) and part.value is True:
        name = "True"
    fields = [("body", part.body)] if isinstance(part, ast.FunctionDef) else ast.iter_fields(part)
    for key, value in fields:
        parts = [p for p in (value if isinstance(value, list) else [value]) if isinstance(p, ast.AST)]
        parts = [p for p in parts if not isinstance(p, NO_NODES)]
        inner = [as_tree(p, vocabulary, first_line) for p in parts]
        if inner and key in BLOCKS and isinstance(value, list):
            token = vocabulary.get(key, 1) if vocabulary else 0
            inner = [Node(token, list(inner), name=key)]
        children += inner
    token = vocabulary.get(name, 1) if vocabulary else 0
    node = Node(token, children, name=name, line=getattr(part, "lineno", 0) - first_line)
    if isinstance(part, ast.stmt):
        nested = isinstance(part, ast.FunctionDef)
        node.label = block_goes_on(part.body) if nested else goes_on(part)
        node.is_compound = hasattr(part, "body")
    return node


def is_suitable(function: ast.FunctionDef, longest: int) -> bool:
    """Not too large, no function inside, statements within statements, and a way out besides the end."""
    inside = [part for statement in function.body for part in ast.walk(statement)]
    leaves = any(isinstance(part, (ast.Return, ast.Raise)) for part in inside)
    compound = sum(isinstance(part, ast.stmt) and hasattr(part, "body") for part in inside)
    return leaves and compound >= 2 and len(inside) <= 2 * longest and not any(isinstance(p, SCOPES) for p in inside)


def load_functions(count: int, longest: int) -> tuple[dict[str, int], list[Node], list[Node]]:
    """Tokens by name, and different functions, a fifth held out; control reaches the end of every second one."""
    library = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(p for p in library.rglob("*.py") if not SKIPPED & set(p.relative_to(library).parts))
    found: dict[bool, dict[str, tuple[str, ast.FunctionDef]]] = {True: {}, False: {}}
    order = np.random.default_rng(0).permutation(len(files))
    for i in order:
        for source, function in functions_in(files[i]):
            kind = found[block_goes_on(function.body)]
            if len(kind) < count // 2 and is_suitable(function, longest):
                node = as_tree(function)
                if len(post_order(node)) <= longest:
                    kind.setdefault(ast.dump(ast.Module(function.body, [])), (source, function))
        if all(len(kind) == count // 2 for kind in found.values()):
            break
    pairs = [pair for both in zip(*(kind.values() for kind in found.values()), strict=False) for pair in both]
    names = Counter(node.name for _, function in pairs for node in post_order(as_tree(function)))
    vocabulary = {name: i for i, name in enumerate(["and", "unknown", *sorted(names)])}
    trees = []
    for source, function in pairs:
        trees.append(as_tree(function, vocabulary, function.lineno))
        trees[-1].source = source
    held_out = len(trees) // 5
    return vocabulary, trees[held_out:], trees[:held_out]
