"""Modules that are loaded when something in them is first asked for (PEP 562 for those of our own)."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Mapping
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any


def loaded_later(module: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a module or package of which some names live in modules that few programs need.

    `homes`: for each name, the module that defines it, relative and with its dots, or the name itself if it is that
    module. The module imports the same names under `TYPE_CHECKING`, so that editors, type checkers and the rules on
    imports see what they would see otherwise; those who use them import the module and write `module.name`. It is for
    whole rooms, such as drawing, whose loading would be a good part of the time that importing the library takes;
    never for getting around a cycle.
    """

    def load(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        found = importlib.import_module(home, sys.modules[module].__package__)
        value = found if home == f".{name}" else getattr(found, name)
        setattr(sys.modules[module], name, value)  # the next time, it is found without coming here
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[module]), *homes})

    return load, names


class _ExecutedLater(ModuleType):
    """A module of ours until a name is asked for that it has not: then it is executed and is a module like any other.

    Unlike `importlib.util.LazyLoader`'s, it has its path: with those, importing a module of a package that waits
    executes that module twice.
    """

    def __getattr__(self, name: str) -> Any:
        with _executing:
            if type(self) is _ExecutedLater:
                object.__setattr__(self, "__class__", ModuleType)
                spec: Any = self.__spec__
                try:
                    spec.loader.exec_module(self)
                except BaseException:
                    self.__class__ = _ExecutedLater  # the next try shows the same error, not a module cut short
                    raise
        return getattr(self, name)

    def __dir__(self) -> list[str]:
        self.__getattr__("__name__")
        return dir(self)


_executing = threading.RLock()


def executed_later(package: str, module: str) -> ModuleType:
    """A module of a package, executed when something in it is first asked for: most programs need none of it.

    Raises `ImportError` where it is missing.
    """
    spec = PathFinder.find_spec(f"{package}.{module}", sys.modules[package].__path__)
    if spec is None or spec.loader is None:
        raise ImportError(f"the module {package}.{module} is missing; install the package again")
    found = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    found.__class__ = _ExecutedLater
    setattr(sys.modules[package], module, found)
    return found


class LazyModule:
    """Stands for a module of another package, or of Python's own, until one of its attributes is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._module: Any = None

    def __getattr__(self, attribute: str) -> Any:
        if self._module is None:
            self._module = importlib.import_module(self._name)
        return getattr(self._module, attribute)
