"""What a model's Python reads besides tensors and weights: attributes, globals, arrays; to notice their changes."""

from __future__ import annotations

import functools
import zlib
from collections import Counter
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..trainer.conversion.marks import installed_folders
from ..trainer.core.errors import SymbolicValueError, is_own_file
from ..trainer.core.variable import Variable

if TYPE_CHECKING:
    from .layer import Layer

Settings = dict[str, Any]

PLAIN = (bool, int, float, complex, str, bytes, type(None))
LONGEST = 1000
"""Longer lists and dictionaries are compared by their length alone."""

HOUSE = f"{__name__.partition('.')[0]}."

NOT_SETTINGS = frozenset(("built", "name", "stop_training", "trainable", "supports_masking", "autocast"))


def read_settings(model: Layer) -> Settings:
    """The values, by where they stand, that the functions of a model's layers may read when they run.

    Seen are attributes that the user's classes name, globals and variables of closures that they and the functions they
    call name, plain numbers and texts, lists, tuples and dictionaries of them, and the contents of NumPy arrays.
    """
    reader = _Reader()
    for layer in model.walk_layers():
        reader.layer(layer)
    return reader.found


def read_surroundings(function: Any) -> tuple[Settings, list[Any]]:
    """What a function may read besides its arguments, as `read_settings`, and the layers and other objects of the
    library that it can reach: by globals, closures, and the object that it is a method of."""
    reader = _Reader()
    reader.value("function", function)
    return reader.found, reader.met


def plain_values(holder: Any) -> list[Any]:
    """Plain values in the attributes of a layer, an optimizer or a loss."""
    held = vars(holder).items()
    return [id(holder), *[x for x in held if isinstance(x[1], (bool, int, float, str)) and x[0] not in OWN]]


OWN = ("built", "stop_training", "_loss_tracker", "_untracked_loss")
"""Attributes of the library's own that say nothing about what a step computes."""


def refuse_changes(before: Settings, after: Settings) -> None:
    """Raise `SymbolicValueError` for a number or an array that the model itself changed while it was traced."""
    for label, old in before.items():
        new = after.get(label, old)
        if new != old and _counts(old) and _counts(new):
            raise SymbolicValueError(
                f"{label} is changed by the model itself while it is traced: the graph would hold its value of that "
                "moment for ever.\n"
                "  Keep it in a weight: self.count = self.add_weight(shape=(), initializer='zeros', trainable=False), "
                "and self.count.assign_add(1); what only counts calls, count outside of call()."
            )


def _counts(value: Any) -> bool:
    return (isinstance(value, (int, float)) and not isinstance(value, bool)) or isinstance(value, _Contents)


class _Contents(tuple):
    """Shape, element type and checksum of an array."""

    __slots__ = ()


class _Reader:
    def __init__(self) -> None:
        self.found: Settings = {}
        self.seen: set[int] = set()
        self.names: Counter[str] = Counter()
        self.met: list[Any] = []

    def layer(self, layer: Any) -> None:
        self.names[layer.name] += 1
        name = layer.name if self.names[layer.name] == 1 else f"{layer.name}#{self.names[layer.name]}"
        functions = own_functions(type(layer))
        if not functions:
            for attribute, value in vars(layer).items():
                is_setting = type(value) in PLAIN or isinstance(value, FunctionType) or hasattr(value, "walk_layers")
                if is_setting and attribute[0] != "_" and attribute not in NOT_SETTINGS:
                    self.found[f"{name}.{attribute}"] = value
            return
        self.attributes(layer, f"{name}.", functions)

    def attributes(self, owner: Any, label: str, functions: tuple[FunctionType, ...]) -> None:
        """Attributes of an object that functions of its class name, and what those functions read."""
        self.seen.add(id(owner))
        held = vars(owner)
        for function in functions:
            for name in names_of(function.__code__):
                if name in held and name not in NOT_SETTINGS:
                    self.value(label + name, held[name])
            self.function(function)

    def function(self, function: FunctionType) -> None:
        if id(function.__code__) in self.seen:
            return
        self.seen.add(id(function.__code__))
        module = function.__globals__.get("__name__", "")
        for name in names_of(function.__code__):
            if name in function.__globals__:
                self.value(f"{module}.{name}", function.__globals__[name])
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                self.value(f"{function.__qualname__}.{name}", cell.cell_contents)
            except ValueError:  # not assigned yet
                continue

    def value(self, label: str, value: Any) -> None:
        kind = type(value)
        if kind in PLAIN or kind in (list, tuple, dict, set, np.ndarray) or isinstance(value, np.generic):
            self.found[label] = _frozen(value)
        elif kind is FunctionType and is_users(value):
            self.found[label] = value.__code__
            self.function(value)
        elif kind is MethodType and isinstance(value.__func__, FunctionType) and is_users(value.__func__):
            self.function(value.__func__)
            self.value(f"{label}.__self__", value.__self__)
        elif id(value) not in self.seen and _is_plain_object(value) and (functions := own_functions(kind)):
            self.attributes(value, f"{label}.", functions)
        elif id(value) not in self.seen and is_librarys(value):
            self.seen.add(id(value))
            self.met.append(value)


def is_librarys(value: Any) -> bool:
    """Whether a value is a layer, or an object of a class of the library's such as an optimizer or a loss."""
    if hasattr(value, "walk_layers"):
        return not isinstance(value, type)
    return _is_plain_object(value) and type(value).__module__.startswith(HOUSE)


def _is_plain_object(value: Any) -> bool:
    """Whether attributes of an object may be settings; layers are read by themselves."""
    return hasattr(value, "__dict__") and not isinstance(value, (Variable, type)) and not hasattr(value, "walk_layers")


def _frozen(value: Any) -> Any:
    """A value that does not change, equal for equal settings; what is no plain value counts by its type."""
    kind = type(value)
    if kind is float or isinstance(value, np.floating):
        return value if value == value else "nan"
    if kind in PLAIN:
        return value
    if kind is np.ndarray and value.dtype.kind in "biufcSU":
        return _Contents((value.shape, value.dtype.str, zlib.crc32(value.tobytes())))
    if kind in (list, tuple, dict, set):
        if len(value) > LONGEST:
            return kind, len(value)
        parts = value.items() if kind is dict else sorted(value, key=repr) if kind is set else value
        return kind, tuple([_frozen(part) for part in parts])
    return value.item() if isinstance(value, np.generic) else kind


@functools.lru_cache(maxsize=4096)
def names_of(code: CodeType) -> tuple[str, ...]:
    """Globals and attributes that a function, or one inside it, names."""
    found = list(code.co_names)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            found += names_of(part)
    return tuple(dict.fromkeys(found))


@functools.lru_cache(maxsize=1024)
def own_functions(kind: type) -> tuple[FunctionType, ...]:
    """The user's own functions among those of a class and its bases."""
    found = [value for base in kind.__mro__ for value in vars(base).values()]
    plain = [getattr(value, "__func__", getattr(value, "fget", value)) for value in found]
    return tuple(value for value in plain if isinstance(value, FunctionType) and is_users(value))


def is_users(function: FunctionType) -> bool:
    """Whether a function belongs to neither the library nor an installed package."""
    file = function.__code__.co_filename
    return not is_own_file(file) and not file.startswith(installed_folders())
