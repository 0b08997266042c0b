"""Look-up by name: a string, configuration, class or instance becomes the loss, metric, optimizer ... it stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .core.later import LazyModule
from .custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    find_without_package,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    register_serializable,
)
from .serialization import (
    MODULES,
    deserialize_object,
    did_you_mean,
    in_safe_mode,
    known_as,
    name_known_objects,
    safe_mode_scope,
    serialize_object,
)

difflib: Any = LazyModule("difflib")

__all__ = [
    "CustomObjectScope",
    "Registry",
    "custom_object_scope",
    "deserialize_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "in_safe_mode",
    "register_keras_serializable",
    "register_serializable",
    "safe_mode_scope",
    "serialize_object",
    "snake_case",
]
T = TypeVar("T")


def snake_case(name: str) -> str:
    """A class name as Keras writes it in lower case: `MeanSquaredError` is `mean_squared_error`."""
    spaced = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced).lower()


class Registry:
    """The classes and functions of one kind, by name.

    kind: what an entry is called in messages, such as "optimizer"
    module: the public module that offers the entries, such as "optimizers"; kept in configurations
    base: the class of what `get` returns; None admits every callable object
    functions: whether a function of the user's own may stand for an object
    prefers_classes: whether a name that a class and a function share gives the class

    >>> from sardonyx.trainer.registry import Registry
    >>> shapes = Registry("shape", "shapes")
    >>> @shapes.register("sq")
    ... class BigSquare:
    ...     pass
    >>> type(shapes.get("big_square")) is type(shapes.get("sq")) is BigSquare
    True
    """

    def __init__(
        self, kind: str, module: str, base: type | None = None, functions: bool = True, prefers_classes: bool = False
    ) -> None:
        self.kind = kind
        self.module = module
        self.base = base
        self.functions = functions
        self.prefers_classes = prefers_classes
        self.entries: dict[str, Any] = {}
        self._implied: dict[str, Any] = {}
        MODULES[module] = self

    def register(self, *aliases: str) -> Callable[[T], T]:
        """A decorator that adds a class or function under its own name, its snake_case name and the aliases."""

        def decorate(entry: T) -> T:
            self.add(entry, *aliases)
            return entry

        return decorate

    def add(self, entry: Any, *aliases: str) -> None:
        """Add a class or function; raises `ValueError` where a name stands for something else already."""
        name = entry.__name__
        for key in (name, *aliases):
            if self.entries.get(key, entry) is not entry:
                raise ValueError(f"{self.kind} {key!r} already stands for {self.entries[key]!r}")
            self.entries[key] = entry
        for key in (snake_case(name), name.lower(), *(alias.lower() for alias in aliases)):
            if key not in self._implied or not isinstance(self._implied[key], type):
                self._implied[key] = entry
        name_known_objects(entry, self.module, name)

    def names(self) -> list[str]:
        """Every name that `find` accepts, sorted."""
        return sorted({*self.entries, *self._implied})

    def find(self, name: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The class or function of a name, the user's own first; raises `ValueError` with the closest names."""
        found = get_registered_object(name, custom_objects)
        if found is None:
            implied = self._implied.get(name.lower())
            preferred = self.prefers_classes and isinstance(implied, type)
            found = implied if preferred else self.entries.get(name, implied)
        if found is None:
            found = find_without_package(name)
        if found is None:
            raise ValueError(self._unknown(name))
        return found

    def lookup(self, name: str) -> Any:
        """The class or function the registry itself has under a name, or None."""
        return self.entries.get(name, self._implied.get(name))

    def _unknown(self, name: str) -> str:
        by_lower_case = {key.lower(): key for key in [*self.names(), *self.entries]}
        close = difflib.get_close_matches(name.lower(), list(by_lower_case), n=3, cutoff=0.5)
        hint = did_you_mean([by_lower_case[key] for key in close])
        return (
            f"unknown {self.kind} {name!r}{hint} Known: {', '.join(sorted(self.entries))}. "
            "One of your own: pass the object itself, or register it with register_keras_serializable()."
        )

    def get(self, identifier: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The object that an identifier stands for.

        None stays None. A name or class gives a new instance (or the function of that name), a configuration
        (dictionary) is deserialised, an instance or function is returned as it is. Raises `ValueError` for unknown
        names and `TypeError` for what is no such object.
        """
        if identifier is None:
            return None
        if isinstance(identifier, str):
            found = self.find(identifier, custom_objects)
        elif isinstance(identifier, Mapping):
            found = self.deserialize(identifier, custom_objects)
        else:
            found = identifier
        return self._instance(found, identifier)

    def _instance(self, found: Any, identifier: Any) -> Any:
        if isinstance(found, type):
            if self.base is not None and not issubclass(found, self.base):
                raise TypeError(self._wrong(identifier))
            try:
                return found()
            except TypeError as error:
                raise TypeError(
                    f"{self.kind} {found.__name__} cannot be made from its name alone ({error}); pass an instance"
                ) from None
        if (self.base is not None and isinstance(found, self.base)) or (self.functions and callable(found)):
            return found
        raise TypeError(self._wrong(identifier))

    def _wrong(self, identifier: Any) -> str:
        base = f" of class {self.base.__name__}" if self.base is not None else ""
        function = ", or a function" if self.functions else ""
        return (
            f"expected {_article(self.kind)} {self.kind}: a name, a configuration, an object{base}{function}; "
            f"got {identifier!r} ({type(identifier).__name__})"
        )

    def serialize(self, obj: Any) -> Any:
        """The configuration of an object of this kind, or the plain name of one of its functions."""
        if callable(obj) and known_as(obj) is not None and not isinstance(obj, type):
            return known_as(obj)[1]  # pyright: ignore[reportOptionalSubscript]
        return serialize_object(obj)

    def deserialize(self, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The object of a configuration or name; a bare `{"class_name", "config"}` is looked up in this registry."""
        if isinstance(config, str):
            return self.get(config, custom_objects)
        return deserialize_object(config, custom_objects, home=self)


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"
