"""Simple statements of converted code: attributes and items are changed through the runtime, which can undo it."""

from __future__ import annotations

import ast

from .expressions import Expressions, name, placed

__all__: list[str] = []

OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.MatMult: "@", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>",
}  # fmt: skip


class Mutations(Expressions):
    """Rewrites assignments and deletions; what they do to objects can be undone after a branch was traced."""

    def simple(self, node: ast.stmt) -> list[ast.stmt]:
        """One statement without statements inside."""
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            return [placed(ast.Pass(), node)]  # declared once, at the top of the function
        if isinstance(node, ast.AnnAssign):
            if node.value is None:
                return [placed(ast.Pass(), node)]
            return self.assignment([node.target], node.value, node)
        if isinstance(node, ast.Assign):
            return self.assignment(node.targets, node.value, node)
        if isinstance(node, ast.AugAssign):
            return self.augmented(node)
        if isinstance(node, ast.Delete):
            return [made for target in node.targets for made in self.deletion(target, node)]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return [node]
        if isinstance(node, ast.Return) and node.value is not None and not self.is_added(node.value):
            node.value = self.runtime("result", self.visit(node.value), at=node.value)
            return [node]
        return [self.visit(node)]

    def is_added(self, node: ast.expr) -> bool:
        """Whether an expression is a variable of added code."""
        return isinstance(node, ast.Name) and node.id.startswith(self.helper)

    def assignment(self, targets: list[ast.expr], value: ast.expr, at: ast.stmt) -> list[ast.stmt]:
        """`a = b.c, d[0] = value`: parts of objects are set last, from variables of their own."""
        later: list[ast.stmt] = []
        replaced = [self.target(target, later) for target in targets]
        return [placed(ast.Assign(replaced, self.visit(value)), at), *later]

    def target(self, node: ast.expr, later: list[ast.stmt]) -> ast.expr:
        """The target with a new variable in the place of each attribute and item."""
        if isinstance(node, (ast.Tuple, ast.List)):
            node.elts = [self.target(part, later) for part in node.elts]
            return node
        if isinstance(node, ast.Starred):
            node.value = self.target(node.value, later)
            return node
        if isinstance(node, ast.Name):
            return node
        held = self.fresh("held")
        later.append(placed(ast.Expr(self.store(node, name(held), node)), node))
        return placed(name(held, ast.Store()), node)

    def store(self, target: ast.expr, value: ast.expr, at: ast.AST) -> ast.expr:
        """A call that sets an attribute or an item."""
        if isinstance(target, ast.Attribute):
            constant = placed(ast.Constant(self.mangled(target.attr)), target)
            return self.runtime("set_attribute", self.visit(target.value), constant, placed(value, at), at=at)
        assert isinstance(target, ast.Subscript)
        key = self.visit(target.slice)
        return self.runtime("set_item", self.visit(target.value), key, placed(value, at), at=at)

    def augmented(self, node: ast.AugAssign) -> list[ast.stmt]:
        """`a += b`, and `a.b += c` with `a` computed once."""
        sign = placed(ast.Constant(OPERATORS[type(node.op)]), node)
        value = self.visit(node.value)
        target = node.target
        if isinstance(target, ast.Name):
            made = self.runtime("augmented", sign, placed(name(target.id), target), value, at=node)
            return [placed(ast.Assign([target], made), node)]
        held = [self.fresh("owner"), self.fresh("key")]
        owner = placed(ast.Assign([name(held[0], ast.Store())], self.visit(target.value)), node)
        if isinstance(target, ast.Attribute):
            constant = placed(ast.Constant(self.mangled(target.attr)), target)
            read = placed(ast.Attribute(name(held[0]), target.attr, ast.Load()), target)
            made = self.runtime("augmented", sign, read, value, at=node)
            done = self.runtime("set_attribute", name(held[0]), constant, made, at=node)
            return [owner, placed(ast.Expr(done), node)]
        key = placed(ast.Assign([name(held[1], ast.Store())], self.visit(target.slice)), node)
        read = placed(ast.Subscript(name(held[0]), name(held[1]), ast.Load()), target)
        made = self.runtime("augmented", sign, read, value, at=node)
        done = self.runtime("set_item", name(held[0]), name(held[1]), made, at=node)
        return [owner, key, placed(ast.Expr(done), node)]

    def deletion(self, target: ast.expr, at: ast.stmt) -> list[ast.stmt]:
        """`del` of a variable stays; of an attribute or item it can be undone."""
        if isinstance(target, (ast.Tuple, ast.List)):
            return [made for part in target.elts for made in self.deletion(part, at)]
        if isinstance(target, ast.Attribute):
            constant = placed(ast.Constant(self.mangled(target.attr)), target)
            call = self.runtime("delete_attribute", self.visit(target.value), constant, at=at)
        elif isinstance(target, ast.Subscript):
            call = self.runtime("delete_item", self.visit(target.value), self.visit(target.slice), at=at)
        else:
            return [placed(ast.Delete([target]), at)]
        return [placed(ast.Expr(call), at)]
