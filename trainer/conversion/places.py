"""Where a program keeps state: variables, attributes, items. What a branch changes there can be seen and undone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import CellType
from typing import Any

import numpy as np

from .merging import snapshot
from .refusals import Missing, refuse

__all__: list[str] = []

ABSENT = Missing("a variable that is not assigned")


class Cell:
    """A variable of the user's function, shared with the functions that its branches became."""

    def __init__(self, cell: CellType, name: str, added: bool) -> None:
        self.cell, self.name, self.added = cell, name, added
        self.key: Any = id(cell)

    def get(self) -> Any:
        """The value; `ABSENT` when there is none."""
        try:
            return self.cell.cell_contents
        except ValueError:
            return ABSENT

    def set(self, value: Any) -> None:
        """Assign, or delete with `ABSENT`."""
        if value is not ABSENT:
            self.cell.cell_contents = value
        elif self.get() is not ABSENT:
            del self.cell.cell_contents


class Entry:
    """A global variable, as an entry of a module's dictionary."""

    added = False

    def __init__(self, names: dict[str, Any], name: str) -> None:
        self.names, self.name = names, name
        self.key: Any = (id(names), name)

    def get(self) -> Any:
        """The value; `ABSENT` when there is none."""
        return self.names.get(self.name, ABSENT)

    def set(self, value: Any) -> None:
        """Assign, or delete with `ABSENT`."""
        if value is ABSENT:
            self.names.pop(self.name, None)
        else:
            self.names[self.name] = value


class Attribute:
    """An attribute of an object."""

    added = False

    def __init__(self, owner: Any, attribute: str) -> None:
        self.owner, self.attribute = owner, attribute
        self.key: Any = (id(owner), attribute)
        self.name = f"{type(owner).__name__}.{attribute}"

    def get(self) -> Any:
        """The value; `ABSENT` when there is none."""
        return getattr(self.owner, self.attribute, ABSENT)

    def set(self, value: Any) -> None:
        """Assign, or delete with `ABSENT`."""
        if value is not ABSENT:
            setattr(self.owner, self.attribute, value)
        elif hasattr(self.owner, self.attribute):
            delattr(self.owner, self.attribute)


class Contents:
    """The contents of a list, dictionary or set."""

    added = False

    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.key: Any = id(owner)
        self.name = f"the {type(owner).__name__}"

    def get(self) -> Any:
        """A copy of the contents."""
        return self.owner.copy()

    def set(self, value: Any) -> None:
        """Put other contents in."""
        if isinstance(self.owner, list):
            self.owner[:] = value
        else:
            self.owner.clear()
            self.owner.update(value)


Place = Cell | Entry | Attribute | Contents


PREFIX = "_sardonyx_"
"""How the names of added variables begin."""


def variables_of(function: Callable[..., Any]) -> list[Place]:
    """The variables that `lambda: (a, b)` names: cells of its closure, and globals."""
    code: Any = function.__code__
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    found: list[Place] = [Cell(cell, name, name.startswith(PREFIX)) for name, cell in cells]
    return found + [Entry(function.__globals__, name) for name in code.co_names]


class Journal:
    """What a branch or step changes outside of its own variables, with what was there before."""

    def __init__(self) -> None:
        self.places: dict[Any, Place] = {}
        self.before: dict[Any, Any] = {}

    def note(self, place: Place) -> None:
        """Remember the value of a place that is about to change."""
        if place.key not in self.places:
            self.places[place.key] = place
            self.before[place.key] = place.get()

    def __enter__(self) -> Journal:
        open_.journals.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        open_.journals.remove(self)
        self.after = {key: snapshot(place.get()) for key, place in self.places.items()}
        for key, place in self.places.items():
            place.set(self.before[key])


class Open(threading.local):
    """Journals of the branches and steps that are being traced, innermost last."""

    def __init__(self) -> None:
        self.journals: list[Journal] = []


open_ = Open()


def touch(owner: Any) -> None:
    """Before a list, dictionary or set changes: a branch can undo it."""
    if open_.journals:
        if isinstance(owner, (list, dict, set)):
            open_.journals[-1].note(Contents(owner))
        else:
            refuse(
                f"a {type(owner).__name__} changes inside a branch or loop that depends on a tensor, and the change "
                "cannot be undone for the case in which it does not run",
                "Compute the new value there, and change the object after the branch or loop.",
            )


def set_attribute(owner: Any, attribute: str, value: Any) -> None:
    """`owner.attribute = value`."""
    if open_.journals:
        open_.journals[-1].note(Attribute(owner, attribute))
    setattr(owner, attribute, value)


def delete_attribute(owner: Any, attribute: str) -> None:
    """`del owner.attribute`."""
    if open_.journals:
        open_.journals[-1].note(Attribute(owner, attribute))
    delattr(owner, attribute)


def set_item(owner: Any, key: Any, value: Any) -> None:
    """`owner[key] = value`."""
    if isinstance(owner, np.ndarray) and getattr(value, "array", owner) is None:
        refuse(
            "a tensor is written into a NumPy array: its value is known only when the model runs",
            "Keep a tensor: ops.stack or ops.concatenate of parts, ops.slice_update, ops.scatter_update. What shall "
            "last from call to call is a weight: self.add_weight(..., trainable=False) and assign.",
        )
    touch(owner)
    owner[key] = value


def delete_item(owner: Any, key: Any) -> None:
    """`del owner[key]`."""
    touch(owner)
    del owner[key]


def assign(place: Place, value: Any) -> None:
    """Set a place that a branch or step changed beside its own variables; one around it can undo that."""
    if open_.journals:
        open_.journals[-1].note(place)
    place.set(value)


def changing(variables: Any) -> None:
    """Before variables of an outer function, or globals, change: a branch can undo it."""
    if open_.journals:
        for place in variables_of(variables):
            open_.journals[-1].note(place)
