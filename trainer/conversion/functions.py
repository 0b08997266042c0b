"""Which functions are converted, and how a call in converted code finds the converted one."""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import random
from collections.abc import Callable
from types import BuiltinMethodType, CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

from ..core.draws import are_allowed, frozen_draw
from ..core.errors import is_own_file
from ..core.operators import FUNCTIONS
from . import builtin_functions, iteration
from .code import compile_definition, make_function
from .iteration import Collected
from .marks import MARK, installed_folders
from .places import touch
from .source import NoSource, find_definition
from .statements import helper_name, rewrite

__all__: list[str] = []

NOT_PLAIN = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

GENERATOR = "a generator or coroutine runs as it is written; let it return a list instead"

_converted: dict[CodeType, tuple[CodeType, str] | None] = {}
_made: set[CodeType] = set()
_reasons: dict[tuple[str, str], str] = {}


def converted(function: Any) -> Any:
    """A callable whose Python control flow becomes the graph's where tensors decide; itself where there is none.

    >>> import sardonyx as sx
    >>> def clipped(x):
    ...     if sx.ops.max(x) > 1:
    ...         x = x / sx.ops.max(x)
    ...     return x
    >>> graph = sx.trace(clipped, sx.TensorSpec((3,)))
    >>> graph.nodes[-1].primitive.name
    'cond'
    """
    if isinstance(function, FunctionType):
        return _converted_function(function)
    if isinstance(function, MethodType):
        inner = converted(function.__func__)
        return function if inner is function.__func__ else MethodType(inner, function.__self__)
    if isinstance(function, functools.partial):
        return functools.partial(converted(function.func), *map(_callback, function.args), **function.keywords)
    call = None if isinstance(function, type) else inspect.getattr_static(type(function), "__call__", None)
    if isinstance(call, FunctionType) and not is_own_file(call.__code__.co_filename):
        return MethodType(converted(call), function)
    return function


def _converted_function(function: FunctionType) -> FunctionType:
    code = function.__code__
    if code in _made or not _is_users(function):
        return function
    if code not in _converted:
        try:
            _converted[code] = _convert(function)
        except NoSource as reason:
            _converted[code] = None
            _reasons[code.co_filename, code.co_name] = (
                f"{reason}; define the function in a file, and import it anew after an edit"
            )
    found = _converted[code]
    return function if found is None else make_function(found[0], function, found[1], _runtime[0])


def _is_users(function: FunctionType) -> bool:
    """Whether a function is the user's own, and plain enough to be converted."""
    code = function.__code__
    if is_own_file(code.co_filename) or code.co_filename.startswith(installed_folders()):
        return False
    if hasattr(function, MARK):
        _reasons[code.co_filename, code.co_name] = "the function is decorated with do_not_convert"
        return False
    if code.co_flags & NOT_PLAIN:
        _reasons[code.co_filename, code.co_name] = GENERATOR
        return False
    return True


def _convert(function: FunctionType) -> tuple[CodeType, str]:
    found = find_definition(function)
    node: Any = copy.deepcopy(found.definition)
    if isinstance(node, ast.Lambda):
        value = ast.copy_location(ast.Return(node.body), node.body)
        definition: Any = ast.parse("def _(): pass").body[0]
        definition.name, definition.args, definition.body = "<lambda>", node.args, [value]
        node = ast.copy_location(definition, node)
    helper = helper_name(node)
    rewritten = rewrite(node, helper, found.class_name)
    code = compile_definition(rewritten, function.__code__, found.class_name, helper)
    _remember(code)
    return code, helper


def _remember(code: CodeType) -> None:
    """Converted functions, and those inside them, are not converted again."""
    _made.add(code)
    if code.co_flags & NOT_PLAIN:
        _reasons[code.co_filename, code.co_name] = GENERATOR
    for part in code.co_consts:
        if isinstance(part, CodeType):
            _remember(part)


def why_unconverted(file: str, name: str) -> str | None:
    """Why a function of the user's runs unconverted; None when it does not."""
    return _reasons.get((file, name))


GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)


def refuse_draw(function: Any) -> None:
    """Raise `SymbolicValueError` for a method of a generator of Python's or NumPy's, such as `np.random.rand`."""
    generator = getattr(function, "__self__", None)
    if isinstance(generator, GENERATORS) and not are_allowed():
        name = getattr(function, "__name__", "")
        raise frozen_draw(f"{type(generator).__module__.partition('.')[0]}'s {type(generator).__name__}.{name}")


CHANGING = {
    "add", "append", "appendleft", "clear", "discard", "extend", "fill", "insert", "itemset", "pop", "popitem",
    "popleft", "put", "remove", "resize", "reverse", "setdefault", "sort", "update",
}  # fmt: skip


def callee(function: Any) -> Any:
    """What a call in converted code really calls."""
    refuse_draw(function)
    if isinstance(function, (FunctionType, MethodType)):
        code = getattr(getattr(function, "__func__", function), "__code__", None)
        if code is not None and is_own_file(code.co_filename):
            own = builtin_functions.METHODS.get(getattr(function, "__func__", None))
            return _library(function) if own is None else MethodType(own, function.__self__)  # type: ignore[union-attr]
        return converted(function)
    if isinstance(function, BuiltinMethodType):
        if function.__name__ in CHANGING and not inspect.ismodule(function.__self__):
            touch(function.__self__)
        return REPLACED.get(function, function)
    try:
        replaced = REPLACED.get(function)
    except TypeError:  # an object that cannot be hashed
        return function
    if replaced is not None:
        return replaced
    return function if isinstance(function, type) else converted(function)


def _library(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the library, which gets the user's functions converted, and what loops collected as tensors."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        if any(type(x) is Collected for x in (*arguments, *keywords.values())):
            return _on_collected(function, arguments, keywords)
        return function(*map(_callback, arguments), **{k: _callback(v) for k, v in keywords.items()})

    return call


def _on_collected(function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    named = function.__name__
    if named in ("stack", "concatenate") and len(arguments) == 1:
        found = arguments[0]
        return (found.stacked if named == "stack" else found.joined)(keywords.get("axis", 0))
    if named in ("stack", "concatenate") and len(arguments) == 2:
        found = arguments[0]
        return (found.stacked if named == "stack" else found.joined)(arguments[1])
    plain = [x.stacked() if type(x) is Collected else x for x in arguments]
    return function(*plain, **{k: v.stacked() if type(v) is Collected else v for k, v in keywords.items()})


def _callback(value: Any) -> Any:
    """An argument that is a function of the user's, converted."""
    return converted(value) if isinstance(value, (FunctionType, MethodType, functools.partial)) else value


def list_of(iterable: Any, function: Callable[[Any], Any]) -> Any:
    """`[function(x) for x in iterable]`."""
    steps = iteration.steps_of(iterable)
    if steps is None:
        return [function(x) for x in iterable]
    return Collected([], FUNCTIONS["map"](function, steps.streams))


REPLACED: dict[Any, Any] = builtin_functions.REPLACED
_runtime: list[Any] = []


def use_runtime(runtime: Any) -> None:
    """Name the object whose functions converted code calls."""
    _runtime[:] = [runtime]
