"""Whether a model's layers hold the very objects that they held before: cheaper than to look for all weights again."""

from __future__ import annotations

import operator
from typing import Any

from ..trainer.ops.seed import SeedGenerator
from .settings import own_functions, plain_values, read_settings

Containers = (list, tuple, set, dict)


class Seen:
    """What the attributes of a model's layers held at one moment, and what the user's own functions read then.

    Kept are the objects in all attributes, and in lists, tuples, sets and dictionaries among them at any depth. Objects
    are compared by identity, which is safe because they are kept alive. Nothing is said of the values of variables:
    their versions tell.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        layers = model.walk_layers()
        self.homes: list[dict[str, Any]] = []
        self.containers: list[Any] = []
        met: set[int] = set()
        for layer in layers:
            self._watch(vars(layer), layer.UNTRACKED, met)
        self.names = [tuple(home) for home in self.homes]
        self.objects = self._objects()
        self.plain = [plain_values(layer) for layer in layers]
        self.has_users_code = any(own_functions(type(layer)) for layer in layers)
        self.settings = read_settings(model) if self.has_users_code else {}

    def _watch(self, home: dict[str, Any], untracked: frozenset[str], met: set[int]) -> None:
        self.homes.append(home)
        for name, value in home.items():
            if isinstance(value, SeedGenerator) and id(value) not in met:
                met.add(id(value))
                self._watch(vars(value), frozenset(), met)
            elif isinstance(value, Containers) and name not in untracked:
                self._watch_container(value, met)

    def _watch_container(self, value: Any, met: set[int]) -> None:
        pending = [value]
        while pending:
            container = pending.pop()
            if id(container) in met:
                continue
            met.add(id(container))
            children = list(container.values() if isinstance(container, dict) else container)
            for child in children:
                if isinstance(child, SeedGenerator) and id(child) not in met:
                    met.add(id(child))
                    self._watch(vars(child), frozenset(), met)
            pending += [child for child in children if isinstance(child, Containers)]
            if not isinstance(container, tuple):  # a tuple that is held stays as it is
                self.containers.append(container)

    def _objects(self) -> list[Any]:
        found: list[Any] = []
        for home in self.homes:
            found += home.values()
        for container in self.containers:
            if isinstance(container, dict):
                found += container
                found += container.values()
            else:
                found += container
            found.append(None)  # two lists, one longer and one shorter by the same objects, differ
        return found

    def is_unchanged(self) -> bool:
        """Whether all is as it was."""
        objects = self._objects()
        return (
            len(objects) == len(self.objects)
            and all(map(operator.is_, objects, self.objects))
            and all(map(operator.eq, map(tuple, self.homes), self.names))
            and (not self.has_users_code or read_settings(self.model) == self.settings)
        )
