"""Packages whose modules are loaded when one of their names is first asked for (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
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
