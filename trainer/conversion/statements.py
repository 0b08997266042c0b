"""Statements of converted code: branches and loops become functions that the runtime calls.

A block that ends a function is *terminal*: there, `return` inside an `if` is kept by nesting what follows into the
branch that goes on. `break` and `continue` are returns from the function that a loop's body becomes.
"""

from __future__ import annotations

import ast

from .expressions import Expressions, name, placed
from .matching import as_branches
from .mutations import Mutations
from .places import PREFIX
from .scopes import declared, falls_through, has_exit, has_return, is_generator, names_in, parameters, stored_names

__all__: list[str] = []


class Statements(Mutations):
    """Rewrites the body of one function; functions inside it get a rewriter of their own."""

    def __init__(self, helper: str, class_name: str | None, node: ast.FunctionDef) -> None:
        listed = parameters(node.args)
        Expressions.__init__(self, helper, class_name, listed[0] if listed else None)
        self.globals = declared(node.body, ast.Global)
        self.outer = declared(node.body, ast.Nonlocal)
        self.parameters = set(listed)
        self.assigned = stored_names(node.body)
        self.added: list[str] = []
        self.effects: dict[str, set[str]] = {}

    def function(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """The function, its body rewritten in place."""
        body = node.body
        keep = 1 if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) else 0
        rewritten = self.block(body[keep:], terminal=True)
        own = sorted((self.assigned | set(self.added)) - self.parameters - self.globals - self.outer)
        for kind, names in ((ast.Global, self.globals), (ast.Nonlocal, self.outer)):
            if names:
                rewritten.insert(0, placed(kind(sorted(names)), node))
        if own:  # never run: it makes the names local here, for the functions inside to share
            targets: list[ast.expr] = [name(x, ast.Store()) for x in own]
            binding = placed(ast.If(ast.Constant(False), [ast.Assign(targets, ast.Constant(None))], []), node)
            rewritten.insert(0, binding)
        node.body = [*body[:keep], *rewritten]
        return node

    def block(self, statements: list[ast.stmt], terminal: bool) -> list[ast.stmt]:
        """Statements rewritten in order; what follows an `if` with a `return` moves into its branches."""
        made: list[ast.stmt] = []
        for i, statement in enumerate(statements):
            rest = statements[i + 1 :]
            made += self.notes(statement)
            if isinstance(statement, ast.Match) and (branches := as_branches(self, statement)) is not None:
                return made + self.block([*branches, *rest], terminal)
            if isinstance(statement, ast.If) and has_return([statement]):
                if terminal:
                    return made + self.returning_if(statement, rest)
                made += self.native_if(statement)
            elif isinstance(statement, (ast.For, ast.While)):
                return made + self.block_after_loop(statement, rest, terminal)
            elif isinstance(statement, ast.With):
                made.append(self.with_block(statement, terminal and not rest))
            elif isinstance(statement, (ast.Try, ast.TryStar)):
                made.append(self.try_block(statement, terminal and not rest))
            else:
                made += self.statement(statement)
            if isinstance(statement, (ast.Return, ast.Raise, ast.Break, ast.Continue)):
                break
        return made

    def notes(self, node: ast.stmt) -> list[ast.stmt]:
        """Before a variable of another function changes, which a caller's branch must be able to undo."""
        found = stored_names([node]) & (self.globals | self.outer)
        if not found:
            return []
        listed: list[ast.expr] = [placed(name(x), node) for x in sorted(found)]
        variables = self.delayed(placed(ast.Tuple(listed, ast.Load()), node))
        return [placed(ast.Expr(self.runtime("changing", placed(variables, node), at=node)), node)]

    def statement(self, node: ast.stmt) -> list[ast.stmt]:
        """One statement that is neither a loop nor returns from within a branch."""
        if isinstance(node, ast.If):
            return self.plain_if(node)
        if isinstance(node, ast.Match):
            node.subject = self.visit(node.subject)
            for case in node.cases:
                if case.guard is not None:
                    case.guard = self.runtime("decided", self.visit(case.guard), at=case.guard)
                case.body = self.block(case.body, False)
            return [node]
        if isinstance(node, ast.FunctionDef) and not is_generator(node):
            node.decorator_list = [self.visit(x) for x in node.decorator_list]
            self.visit(node.args)
            return [Statements(self.helper, self.class_name, node).function(node)]
        if isinstance(node, ast.Assert):
            test, message = self.visit(node.test), self.visit(node.msg) if node.msg is not None else None
            node.test, node.msg = self.runtime("asserted", test, at=node.test), message
            return [node]
        if isinstance(node, ast.Raise) and node.exc is not None:
            node.exc = self.runtime("raised", self.visit(node.exc), at=node)
            return [node]
        return self.simple(node)

    def with_block(self, node: ast.With, terminal: bool) -> ast.stmt:
        for item in node.items:
            item.context_expr = self.visit(item.context_expr)
        node.body = self.block(node.body, terminal)
        return node

    def try_block(self, node: ast.Try | ast.TryStar, terminal: bool) -> ast.stmt:
        node.body = self.block(node.body, terminal and not node.orelse)
        node.orelse, node.finalbody = self.block(node.orelse, terminal), self.block(node.finalbody, False)
        for handler in node.handlers:
            handler.type = None if handler.type is None else self.visit(handler.type)
            handler.body = self.block(handler.body, terminal)
        return node

    # --- branches

    def added_function(
        self, purpose: str, body: list[ast.stmt], at: ast.AST, argument: str | None = None
    ) -> ast.FunctionDef:
        """A function of added code that shares the variables it assigns with the user's function."""
        made: ast.FunctionDef = ast.parse(f"def {self.fresh(purpose)}({argument or ''}): pass").body[0]  # type: ignore[assignment]
        stored = {x for x in stored_names(body) if not x.startswith(self.helper) or x in self.added}
        shared = sorted(stored - self.globals)
        heads: list[ast.stmt] = []
        if shared:
            heads.append(ast.Nonlocal(shared))
        if stored & self.globals:
            heads.append(ast.Global(sorted(stored & self.globals)))
        called = {x.id for statement in body for x in ast.walk(statement) if isinstance(x, ast.Name)}
        self.effects[made.name] = stored.union(*[self.effects[x] for x in called if x in self.effects])
        made.body = [placed(head, at) for head in heads] + (body or [placed(ast.Pass(), at)])
        for node in ast.walk(made.args):
            placed(node, at)
        return placed(made, at)

    def variables(self, functions: list[ast.expr], at: ast.AST) -> ast.expr:
        """`lambda: (a, b)` of the variables that functions assign: never called, its closure holds their cells."""
        effects = [self.effects[x.id] for x in functions if isinstance(x, ast.Name)]
        listed = [placed(name(x), at) for x in sorted(set().union(*effects))]
        return placed(self.delayed(placed(ast.Tuple(listed, ast.Load()), at)), at)  # type: ignore[arg-type]

    def plain_if(self, node: ast.If) -> list[ast.stmt]:
        test = self.visit(node.test)
        functions = [self.added_function("then", self.block(node.body, False), node)]
        names: list[ast.expr] = [name(functions[0].name), ast.Constant(None)]
        if node.orelse:
            functions.append(self.added_function("otherwise", self.block(node.orelse, False), node))
            names[1] = name(functions[1].name)
        call = self.runtime("branch", test, *names, self.variables(names, node), at=node.test)
        return [*functions, placed(ast.Expr(call), node)]

    def native_if(self, node: ast.If) -> list[ast.stmt]:
        """Inside `try` and `with`, a branch that returns stays Python's own: its condition must be known."""
        test = self.runtime("decided", self.visit(node.test), at=node.test)
        return [placed(ast.If(test, self.block(node.body, False), self.block(node.orelse, False)), node)]

    def returning_if(self, node: ast.If, rest: list[ast.stmt]) -> list[ast.stmt]:
        test = self.visit(node.test)
        body, orelse, made = list(node.body), list(node.orelse), []
        if rest and falls_through(body) and falls_through(orelse):
            after = self.added_function("rest", self.block(rest, True), rest[0])
            call = placed(ast.Call(placed(name(after.name), rest[0]), [], []), rest[0])
            made.append(after)
            tail: list[ast.stmt] = [placed(ast.Return(call), rest[0])]
            body, orelse = body + tail, orelse + tail
        elif falls_through(body):
            body += rest
        elif falls_through(orelse):
            orelse += rest
        then = self.added_function("then", self.block(body, True), node)
        otherwise = self.added_function("otherwise", self.block(orelse, True), node)
        names: list[ast.expr] = [name(then.name), name(otherwise.name)]
        call = self.runtime("branch", test, *names, self.variables(names, node), at=node.test)
        return [*made, then, otherwise, placed(ast.Return(call), node)]

    # --- loops

    def block_after_loop(self, node: ast.For | ast.While, rest: list[ast.stmt], terminal: bool) -> list[ast.stmt]:
        """A loop, its `else`, the `return` that left it, and what follows."""
        going, made, follow = None, [], []
        body = node.body
        if has_exit(body):
            going, returned, value = self.fresh("left"), self.fresh("returned"), self.fresh("value")
            leaves = has_return(body)
            self.added += [going, *([returned, value] if leaves else [])]
            body = ExitsAsReturns(going, returned, value).block(body)
            flags: list[ast.expr] = [name(x, ast.Store()) for x in ([going, returned] if leaves else [going])]
            made.append(placed(ast.Assign(flags, ast.Constant(False)), node))
            if node.orelse:
                follow.append(placed(ast.If(ast.UnaryOp(ast.Not(), name(going)), node.orelse, []), node.orelse[0]))
            if leaves:
                follow.append(placed(ast.If(name(returned), [ast.Return(name(value))], []), node))
        else:
            body = ExitsAsReturns("", "", "").block(body)
            follow += node.orelse
        made += self.while_loop(node, body, going) if isinstance(node, ast.While) else self.for_loop(node, body, going)
        for added in follow:
            ast.fix_missing_locations(added)
        return made + self.block([*follow, *rest], terminal)

    def while_loop(self, node: ast.While, body: list[ast.stmt], going: str | None) -> list[ast.stmt]:
        test: ast.expr = node.test
        made = self.visit(test)
        if going is not None:
            left = self.runtime("not_", name(going), at=node)
            made = self.runtime("and_", left, self.delayed(made), at=node) if not stored_names([test]) else made
            if stored_names([test]):
                made = placed(ast.BoolOp(ast.And(), [self.runtime("decided", left, at=node), made]), node)
        ask = self.added_function("test", [placed(ast.Return(made), node.test)], node)
        step = self.added_function("step", self.block(body, True), node)
        names: list[ast.expr] = [name(ask.name), name(step.name)]
        call = self.runtime("while_", *names, self.variables(names, node), at=node)
        return [ask, step, placed(ast.Expr(call), node)]

    def for_loop(self, node: ast.For, body: list[ast.stmt], going: str | None) -> list[ast.stmt]:
        item = self.fresh("item")
        bind = placed(ast.Assign([node.target], name(item)), node.target)
        iterable = self.visit(node.iter)
        step = self.added_function("step", self.block([bind, *body], True), node, item)
        ask: ast.expr = ast.Constant(None)
        if going is not None:
            ask = self.delayed(self.runtime("not_", name(going), at=node))
        variables = self.variables([name(step.name)], node)
        call = self.runtime("for_", iterable, name(step.name), ask, variables, at=node.iter)
        return [step, placed(ast.Expr(call), node)]


class ExitsAsReturns:
    """In the body of a loop: `continue` returns from it; `break` and `return` leave a note first."""

    def __init__(self, left: str, returned: str, value: str) -> None:
        self.left, self.returned, self.value = left, returned, value

    def block(self, statements: list[ast.stmt], inner: bool = False) -> list[ast.stmt]:
        """The statements, exits replaced; `inner` inside a loop of their own."""
        return [made for statement in statements for made in self.statement(statement, inner)]

    def statement(self, node: ast.stmt, inner: bool) -> list[ast.stmt]:
        leave = placed(ast.Return(None), node)
        if isinstance(node, ast.Continue) and not inner:
            return [leave]
        if isinstance(node, ast.Break) and not inner:
            return [self.note(self.left, ast.Constant(True), node), leave]
        if isinstance(node, ast.Return):
            value = node.value or placed(ast.Constant(None), node)
            notes = [self.note(self.value, value, node), self.note(self.returned, ast.Constant(True), node)]
            return [*notes, self.note(self.left, ast.Constant(True), node), leave]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return [node]
        deeper = inner or isinstance(node, (ast.For, ast.While))
        for field in ("body", "orelse", "finalbody"):
            if getattr(node, field, None):
                setattr(node, field, self.block(getattr(node, field), inner if field == "orelse" else deeper))
        for part in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
            part.body = self.block(part.body, inner)
        return [node]

    def note(self, flag: str, value: ast.expr, at: ast.AST) -> ast.stmt:
        """An assignment to an added variable."""
        return placed(ast.Assign([placed(name(flag, ast.Store()), at)], placed(value, value)), at)


def rewrite(node: ast.FunctionDef, helper: str, class_name: str | None) -> ast.FunctionDef:
    """A function definition whose control flow goes through the runtime named `helper`."""
    node.decorator_list = []
    node.returns = None
    for argument in ast.walk(node.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    # defaults are the original function's own; here they only have to be as many
    node.args.defaults = [placed(ast.Constant(None), x) for x in node.args.defaults]
    node.args.kw_defaults = [None if x is None else placed(ast.Constant(None), x) for x in node.args.kw_defaults]
    return Statements(helper, class_name, node).function(node)


def helper_name(node: ast.AST) -> str:
    """A name for the runtime that the user's function does not use."""
    used, found = names_in([node]), PREFIX
    while any(identifier.startswith(found) for identifier in used):
        found += "_"
    return found
