"""Expressions of converted code: whatever asks for a truth value, or calls something, goes through the runtime."""

from __future__ import annotations

import ast
from typing import Any, TypeVar

from .scopes import stored_names

__all__: list[str] = []

COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not",
}  # fmt: skip

# Functions that look at the frame they are called from stay where they are.
LOOK_AT_FRAME = ("super", "locals", "globals", "vars", "dir", "eval", "exec", "breakpoint")

NodeType = TypeVar("NodeType", bound=ast.AST)


class Expressions(ast.NodeTransformer):
    """Rewrites expressions; `helper` is the name under which the runtime stands in converted code."""

    def __init__(self, helper: str, class_name: str | None, first_parameter: str | None) -> None:
        self.helper = helper
        self.class_name = class_name
        self.first_parameter = first_parameter
        self.count = 0

    def fresh(self, purpose: str) -> str:
        """A name that the user's program does not have."""
        self.count += 1
        return f"{self.helper}{purpose}_{self.count}"

    def runtime(self, name: str, *arguments: ast.expr, at: ast.AST) -> ast.Call:
        """A call of a function of the runtime."""
        function = placed(ast.Attribute(ast.Name(self.helper, ast.Load()), name, ast.Load()), at)
        # the line of a call is the last one of what is called: here the first line of a statement of several
        if hasattr(function, "lineno"):
            function.end_lineno, function.end_col_offset = function.lineno, function.col_offset
        return placed(ast.Call(function, list(arguments), []), at)

    def delayed(self, expression: ast.expr) -> ast.Lambda:
        """`lambda: expression`, marked as added, so that messages name the user's function."""
        arguments = ast.arguments([], [], ast.arg(f"{self.helper}lambda"), [], [], None, [])
        return placed(ast.Lambda(arguments, expression), expression)

    def mangled(self, name: str) -> str:
        """A private name (`__x`) as the class around the function spells it."""
        if self.class_name is None or not name.startswith("__") or name.endswith("__"):
            return name
        return f"_{self.class_name.lstrip('_')}{name}" if self.class_name.strip("_") else name

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if isinstance(node.func, ast.Name) and node.func.id in LOOK_AT_FRAME:
            if node.func.id == "super" and not node.args and self.first_parameter is not None:
                # without arguments `super` looks at the first argument of the frame, which may now be an added one
                node.args = [ast.Name("__class__", ast.Load()), ast.Name(self.first_parameter, ast.Load())]
            else:
                self.generic_visit(node)
            return node
        self.generic_visit(node)
        node.func = self.runtime("callee", node.func, at=node.func)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        native = any(stored_names([value]) for value in node.values[1:])  # `:=` cannot bind from inside a lambda
        self.generic_visit(node)
        name = "and_" if isinstance(node.op, ast.And) else "or_"
        if native:
            node.values = [*[self.runtime("decided", v, at=v) for v in node.values[:-1]], node.values[-1]]
            return node
        result = node.values[0]
        for value in node.values[1:]:
            result = self.runtime(name, result, self.delayed(value), at=node)
        return result

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        return self.runtime("not_", node.operand, at=node) if isinstance(node.op, ast.Not) else node

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        native = bool(stored_names([node.body, node.orelse]))
        self.generic_visit(node)
        if native:
            node.test = self.runtime("decided", node.test, at=node.test)
            return node
        return self.runtime("choice", node.test, self.delayed(node.body), self.delayed(node.orelse), at=node)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        native = any(stored_names([value]) for value in node.comparators[1:])
        self.generic_visit(node)
        if native:
            return node
        signs = [ast.Constant(COMPARISONS[type(op)]) for op in node.ops]
        if len(signs) == 1:
            if signs[0].value in ("is", "is not"):
                return node
            return self.runtime("compare", signs[0], node.left, node.comparators[0], at=node)
        later = [self.delayed(value) for value in node.comparators]
        pairs: list[ast.expr] = [ast.Tuple([s, v], ast.Load()) for s, v in zip(signs, later, strict=True)]
        return self.runtime("compare_chain", node.left, *pairs, at=node)

    def visit_ListComp(self, node: ast.ListComp) -> ast.expr:
        generator = node.generators[0]
        simple = len(node.generators) == 1 and not generator.ifs and isinstance(generator.target, ast.Name)
        if not simple or generator.is_async or stored_names([node.elt]):
            self.generic_visit(node)
            return node
        self.generic_visit(node)
        arguments = ast.arguments([], [ast.arg(generator.target.id)], None, [], [], None, [])  # type: ignore[attr-defined]
        function = placed(ast.Lambda(arguments, node.elt), node.elt)
        return self.runtime("list_of", generator.iter, function, at=node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        before, self.first_parameter = self.first_parameter, None
        self.generic_visit(node)
        self.first_parameter = before
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        return node


def placed(node: NodeType, at: ast.AST) -> NodeType:
    """A new node at the place of one of the user's."""
    return ast.copy_location(node, at)


def name(identifier: str, context: Any = None) -> ast.Name:
    """A name as an expression, or as a target."""
    return ast.Name(identifier, context or ast.Load())
