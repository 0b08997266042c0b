"""Classes and functions of the user's own, known by name when a configuration is read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
_objects: dict[str, Any] = {}
_names: dict[Any, str] = {}


class _Scopes(threading.local):
    """Per-thread stack of names that hold inside `custom_object_scope`."""

    def __init__(self) -> None:
        self.stack: list[Mapping[str, Any]] = []


_scopes = _Scopes()


class custom_object_scope:
    """A context in which the given names stand for the given classes and functions (Keras name).

    `custom_objects` maps names to classes or functions. Scopes nest; the innermost wins. Raises `TypeError` for
    anything but a mapping.

    >>> import sardonyx as sx
    >>> from sardonyx.trainer.registry import custom_object_scope, get_registered_object
    >>> with custom_object_scope({"double": lambda x: 2 * x}):
    ...     get_registered_object("double")(3)
    6
    """

    def __init__(self, custom_objects: Mapping[str, Any]) -> None:
        if not isinstance(custom_objects, Mapping):
            raise TypeError(
                "custom_object_scope: expected a dictionary of names to classes or functions, such as "
                f'{{"MyLayer": MyLayer}}, got {type(custom_objects).__name__}'
            )
        self.custom_objects = custom_objects

    def __enter__(self) -> custom_object_scope:
        _scopes.stack.append(self.custom_objects)
        return self

    def __exit__(self, *_: object) -> None:
        _scopes.stack.pop()


CustomObjectScope = custom_object_scope


def get_custom_objects() -> dict[str, Any]:
    """The registered names and what they stand for; a change to this dictionary holds everywhere (Keras name)."""
    return _objects


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[T], T]:
    """A decorator that makes a class or function known as `package>name`, so that a saved model finds it again.

    `name` is the object's own name unless given. A class needs `get_config`; raises `ValueError` where it has none,
    or where the name stands for something else already (the same definition run again replaces the old one).

    >>> from sardonyx.trainer.registry import get_registered_name, register_keras_serializable
    >>> @register_keras_serializable(package="demo")
    ... def cubed(x):
    ...     return x * x * x
    >>> get_registered_name(cubed)
    'demo>cubed'
    """

    def register(target: T) -> T:
        _register(target, package, name)
        return target

    return register


def _register(target: Any, package: str, name: str | None) -> None:
    own_name = getattr(target, "__name__", None) if name is None else name
    if not own_name or not callable(target):
        raise ValueError(f"register_keras_serializable: expected a class or a function, got {target!r}")
    if isinstance(target, type) and not hasattr(target, "get_config"):
        raise ValueError(
            f"register_keras_serializable: class {target.__name__} has no get_config(), so it cannot be rebuilt. "
            "Add a get_config() that returns the arguments of __init__ as a dictionary."
        )
    registered = f"{package}>{own_name}"
    known = _objects.get(registered)
    if known is not None and known is not target and _origin(known) != _origin(target):
        raise ValueError(
            f"register_keras_serializable: {registered!r} already stands for {known!r}; choose another package or name"
        )
    _objects[registered] = target
    _names[target] = registered


register_serializable = register_keras_serializable


def _origin(target: Any) -> tuple[Any, Any]:
    return getattr(target, "__module__", None), getattr(target, "__qualname__", None)


def get_registered_name(obj: Any) -> str:
    """The name `package>name` of a registered class or function, or the object's own name (Keras name)."""
    return _names.get(obj) or obj.__name__


def is_registered(obj: Any) -> bool:
    """Whether a class or function was given a name by `register_keras_serializable`."""
    return obj in _names


def get_registered_object(
    name: str, custom_objects: Mapping[str, Any] | None = None, module_objects: Mapping[str, Any] | None = None
) -> Any:
    """What a name stands for, or None (Keras name).

    Looked for in the open scopes (innermost first), in `custom_objects`, among registered names, and in
    `module_objects`.
    """
    for names in (*reversed(_scopes.stack), custom_objects or {}, _objects, module_objects or {}):
        if name in names:
            return names[name]
    return None


def find_without_package(name: str) -> Any:
    """The registered object whose name without package this is, if there is one only; else None."""
    matches = {id(found): found for key, found in _objects.items() if key.rpartition(">")[2] == name}
    return next(iter(matches.values())) if len(matches) == 1 else None
