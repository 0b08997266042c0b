"""Text to sizes: `"2*time + 1"`, `"width//2"`, `"max(a, b)"`. Nothing of the text is ever executed."""

from __future__ import annotations

import ast
from keyword import iskeyword
from unicodedata import normalize

from .dim_normal import extremum, floor_divide, modulo
from .dim_terms import MAXIMUM, MINIMUM, Terms, add, atoms, constant, multiply, name_terms, raised, scaled, weight

_ALLOWED = "names, whole numbers, + - * // % ** ( ) and max(...), min(...)"
_FUNCTIONS = {"max": MAXIMUM, "min": MINIMUM}
# A size may come from a stranger's file: what no model needs must not cost time or memory.
_LONGEST, _HEAVIEST, _MOST_TERMS, _MOST_OPERANDS, _LARGEST, _HIGHEST_POWER = 4000, 2000, 256, 16, 2**63, 16
# How deep it may be nested: a step down costs 1 in sums and products, _NESTING in all else.
_DEEPEST, _NESTING = 200, 8


class _Refused(ValueError):
    """What is wrong with a part of the text."""


def check_name(name: str) -> str:
    """The name itself, if a size can be called so; otherwise a ValueError that says why not."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a size must be a string such as 'batch'; got {name!r} ({type(name).__name__})")
    if not name.isidentifier() or iskeyword(name) or name in _FUNCTIONS or normalize("NFKC", name) != name:
        raise ValueError(
            f"a size cannot be called {name!r}: use letters, digits and _ , not starting with a digit, and no "
            "Python keyword, 'max' or 'min'; for example 'batch' or 'time_steps'"
        )
    return name


def parse_terms(text: str) -> Terms:
    """The polynomial that the text describes."""
    if not isinstance(text, str):
        raise TypeError(f"a size is parsed from a string such as '2*time + 1'; got {text!r} ({type(text).__name__})")
    try:
        if len(text) > _LONGEST:
            raise _Refused(f"it is longer than {_LONGEST} characters")
        return _terms(_syntax(text), 0)
    except _Refused as error:
        shown = text if len(text) <= 80 else text[:77] + "..."
        raise ValueError(f"cannot read {shown!r} as a size: {error}; allowed are {_ALLOWED}") from None


def _syntax(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _Refused("it is not a whole expression" if text.strip() else "it is empty") from None


def _terms(node: ast.expr, depth: int) -> Terms:
    if depth > _DEEPEST:
        raise _Refused("it is nested too deep")
    match node:
        case ast.Constant(value=int() as value) if not isinstance(value, bool):
            result = constant(value)
        case ast.Name(id=name):
            result = _name(name)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            result = scaled(_terms(operand, depth + 1), -1 if isinstance(node.op, ast.USub) else 1)
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int() as power)):
            if not 0 <= power <= _HIGHEST_POWER:
                raise _Refused(f"a power must be between 0 and {_HIGHEST_POWER}, got {power}")
            result = raised(_terms(left, depth + 1), power, _multiply)
        case ast.BinOp(left=left, op=operation, right=right):
            deeper = depth + (1 if isinstance(operation, ast.Add | ast.Sub | ast.Mult) else _NESTING)
            result = _binary(operation, _terms(left, deeper), _terms(right, deeper))
        case ast.Call(func=ast.Name(id=function), args=[_, *_] as operands, keywords=[]) if function in _FUNCTIONS:
            if len(operands) > _MOST_OPERANDS:
                raise _Refused(f"{function} takes at most {_MOST_OPERANDS} operands here")
            result = extremum(_FUNCTIONS[function], tuple(_terms(operand, depth + _NESTING) for operand in operands))
        case _:
            raise _Refused(f"{ast.unparse(node)!r} has no meaning in a size")
    return _checked(result)


def _name(name: str) -> Terms:
    try:
        return name_terms(check_name(name))
    except ValueError as error:
        raise _Refused(str(error)) from None


def _binary(operation: ast.operator, left: Terms, right: Terms) -> Terms:
    match operation:
        case ast.Add():
            return add(left, right)
        case ast.Sub():
            return add(left, right, -1)
        case ast.Mult():
            return _multiply(left, right)
        case ast.FloorDiv() | ast.Mod() if not right:
            raise _Refused("it divides by 0")
        case ast.FloorDiv():
            return floor_divide(left, right)
        case ast.Mod():
            return modulo(left, right)
        case ast.Div():
            raise _Refused("'/' may give a fraction, write '//'")
        case _:
            raise _Refused(f"the operator {type(operation).__name__} has no meaning in a size")


def _multiply(left: Terms, right: Terms) -> Terms:
    if len(left) * len(right) > _MOST_TERMS:
        raise _Refused("it is too large")
    return _checked(multiply(left, right))


def _checked(terms: Terms) -> Terms:
    if len(terms) > _MOST_TERMS or any(abs(coefficient) >= _LARGEST for _, coefficient in terms):
        raise _Refused("it is too large")
    if terms and sum(power for _, power in terms[0][0]) > _HIGHEST_POWER:
        raise _Refused("it is too large")
    if weight(terms) > _HEAVIEST or any(len(atom.operands) > _MOST_OPERANDS for atom in atoms(terms)):
        raise _Refused("it is too large")
    return terms
