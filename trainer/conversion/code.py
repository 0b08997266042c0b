"""The one place where code is made: a transformed syntax tree becomes a function.

The tree always comes from a function that this process is running already (`source.find_definition`); nothing that is
read from a model file reaches it.
"""

from __future__ import annotations

import ast
import builtins
from types import CellType, CodeType, FunctionType
from typing import Any

__all__: list[str] = []

FUTURES = 0x1FF0000
"""Flags of `from __future__ import ...` in a code object."""


def compile_definition(
    definition: ast.FunctionDef, code: CodeType, class_name: str | None, helper: str
) -> CodeType:
    """The code of a definition that stands where `code` stands: same file, lines, free variables and private names."""
    # its own name would hide what a recursive function calls by it: a global of its module
    definition.name = f"{helper}{definition.name}"
    inner: ast.stmt = definition
    if class_name is not None:
        inner = ast.parse(f"class {class_name}: pass").body[0]
        inner.body = [definition]  # type: ignore[attr-defined]
    module = ast.parse("def factory(): pass")
    factory: Any = module.body[0]
    factory.args.args = [ast.arg(arg=name) for name in [*code.co_freevars, helper]]
    # what the definition says of its own class by name is a global or a cell of its function's, never the class here
    names = [class_name] if class_name is not None and class_name not in code.co_freevars else []
    factory.body = [*([ast.Global(names=names)] if names else []), inner]
    ast.fix_missing_locations(module)
    made = builtins.compile(module, code.co_filename, "exec", flags=code.co_flags & FUTURES, dont_inherit=True)
    for name in ["factory", *([class_name] if class_name is not None else []), definition.name]:
        made = next(part for part in made.co_consts if isinstance(part, CodeType) and part.co_name == name)
    return _renamed(made, code, helper)


def _renamed(made: CodeType, code: CodeType, helper: str) -> CodeType:
    """Functions that the transformation added bear the name of the user's function, so that messages name that."""

    def rename(part: Any) -> Any:
        if not isinstance(part, CodeType):
            return part
        added = part.co_name.startswith(helper) or any(name.startswith(f"{helper}lambda") for name in part.co_varnames)
        inner = tuple(rename(x) for x in part.co_consts)
        if not added:
            return part.replace(co_consts=inner)
        return part.replace(co_consts=inner, co_name=code.co_name, co_qualname=code.co_qualname)

    consts = tuple(rename(part) for part in made.co_consts)
    first = code.co_firstlineno
    return made.replace(co_consts=consts, co_name=code.co_name, co_qualname=code.co_qualname, co_firstlineno=first)


def make_function(code: CodeType, original: FunctionType, helper: str, runtime: Any) -> FunctionType:
    """A function of the code with the original's globals, defaults and closure (the same cells: state stays shared)."""
    cells = dict(zip(original.__code__.co_freevars, original.__closure__ or (), strict=True))
    cells[helper] = CellType(runtime)
    closure = tuple(cells[name] for name in code.co_freevars)
    made = FunctionType(code, original.__globals__, original.__name__, original.__defaults__, closure)
    made.__kwdefaults__ = original.__kwdefaults__
    made.__qualname__, made.__module__ = original.__qualname__, original.__module__
    made.__doc__ = original.__doc__
    made.__dict__.update(original.__dict__)
    return made
