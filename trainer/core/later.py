"""Packages whose modules are loaded when one of their names is first asked for (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def loaded_later(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose names live in modules that few programs need.

    `homes`: for each name, the module in the package that defines it. The package imports the same names under
    `TYPE_CHECKING`, so that editors, type checkers and the rules on imports see what they would see otherwise; those
    who use them import the package and write `package.name`. It is for whole rooms, such as drawing, whose loading
    would be a good part of the time that importing the library takes; never for getting around a cycle.
    """

    def load(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{home}"), name)
        setattr(sys.modules[package], name, value)  # the next time, it is found without coming here
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return load, names
