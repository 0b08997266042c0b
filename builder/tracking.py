"""What a layer owns, found by looking at its attributes: variables, sub-layers, random generators.

Looking when asked, instead of wrapping attributes when they are set, lets users keep plain lists and dictionaries and
append to them at any time.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..trainer.core.variable import Variable

if TYPE_CHECKING:
    from .layer import Layer


ATOMS = frozenset((bool, int, float, str, type(None), FunctionType, np.ndarray))
"""Types of values that hold neither variables nor layers."""


def leaves(value: Any, seen: set[int]) -> Iterator[Any]:
    """Objects in nested lists, tuples, sets and dictionaries, each container once."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, (list, tuple, set, dict)):
            if id(item) not in seen:
                seen.add(id(item))
                children = list(item.values()) if isinstance(item, dict) else list(item)
                pending.extend(reversed(children))
        else:
            yield item


def owned(layer: Any, kinds: tuple[type, ...] | type) -> list[Any]:
    """Objects of the given kinds among a layer's attributes, in the order in which they were set, without repeats."""
    found: dict[int, Any] = {}
    seen: set[int] = set()
    untracked = layer.UNTRACKED
    for name, value in vars(layer).items():
        if type(value) in ATOMS or name in untracked:
            continue
        if isinstance(value, kinds):
            found.setdefault(id(value), value)
        elif isinstance(value, (list, tuple, set, dict)) and value:
            for leaf in leaves(value, seen):
                if isinstance(leaf, kinds):
                    found.setdefault(id(leaf), leaf)
    return list(found.values())


def sub_layers(layer: Layer, kind: type) -> list[Any]:
    """Direct sub-layers."""
    return [x for x in owned(layer, kind) if x is not layer]


def walk(layer: Layer, kind: type) -> list[Any]:
    """The layer and everything below it, depth first, each once."""
    found: dict[int, Any] = {}
    pending: list[Any] = [layer]
    while pending:
        item = pending.pop()
        if id(item) in found:
            continue
        found[id(item)] = item
        pending.extend(reversed(item.child_layers()))
    return [x for x in found.values() if isinstance(x, kind)]


def unique_variables(variables: Iterator[Variable] | list[Variable]) -> list[Variable]:
    """Variables without repeats, in order."""
    return list({id(v): v for v in variables}.values())


class Settled:
    """A model's trainable variables, looked for again only when something about its layers has changed.

    Noticed are layers frozen or built, weights added or frozen, and attributes set for the first time; not what is
    appended to a user's own list. So this serves for the length of a `fit`, in which nobody appends.
    """

    def __init__(self, model: Layer) -> None:
        self.model = model
        self.layers: list[Layer] = []
        self.variables: list[Variable] = []
        self.marks: list[Any] = []
        self.attributes: list[Any] = []
        self.metrics: list[Any] = []

    def metrics_held(self, kind: type) -> list[Any]:
        """Metrics in the model's attributes, looked for again only when one of these is another object."""
        attributes = [value for name, value in vars(self.model).items() if name not in self.model.UNTRACKED]
        if len(attributes) != len(self.attributes) or not all(map(operator.is_, attributes, self.attributes)):
            self.attributes, self.metrics = attributes, owned(self.model, kind)
        return self.metrics

    def trainable_variables(self) -> list[Variable]:
        """The variables of the moment."""
        if not self.marks or self._marks() != self.marks:
            self.layers = self.model.walk_layers()
            self.variables = self.model.find_trainable_variables()
            self.marks = self._marks()
        return list(self.variables)

    def _marks(self) -> list[Any]:
        marks: list[Any] = []
        for layer in self.layers:
            marks += (layer.trainable, layer.built, len(layer.__dict__))
            marks += [v.trainable for v in layer._weights]
            marks += [v.trainable for v in layer.__dict__.get("plan_variables", ())]
        return marks


@contextmanager
def settled(model: Layer) -> Iterator[None]:
    """Within this, the model's trainable variables are looked for only when its layers change."""
    outer = model._settled
    model._settled = Settled(model)
    try:
        yield
    finally:
        model._settled = outer


def copied(layer: Layer, key: str, value: Any, memo: dict[int, Any]) -> Any:
    """A deep copy of a layer's attribute; what Python cannot copy, such as a lock or a file, is shared.

    Raises `TypeError` where that holds layers or weights, which must not be shared.
    """
    try:
        return copy.deepcopy(value, memo)
    except TypeError as error:
        if any(isinstance(x, Variable) or hasattr(x, "child_layers") for x in leaves(value, set())):
            raise TypeError(f"layer '{layer.name}': the attribute '{key}' cannot be copied ({error})") from None
        return value
