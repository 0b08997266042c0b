"""Which layers of a model are stored as themselves, which as recorded computations, and how each is referred to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..trainer.core.variable import Variable
from ..trainer.ops.seed import SeedGenerator, global_seed_generator
from ..trainer.serialization import PACKAGE, known_as
from .model_registry import MODELS
from .sharing import number_of, plain_config
from .tracking import owned, unique_variables


def is_container(layer: Any) -> bool:
    """Whether a layer is a Sequential or Functional model of the library's class, described by its layers."""
    return type(layer) in (MODELS.entries["Sequential"], MODELS.entries["Functional"])


def own_variables(layer: Any) -> list[Variable]:
    """Variables of a layer itself in the order in which they were made."""
    return unique_variables([*layer._weights, *owned(layer, Variable)])


def is_of_the_library(config: Any) -> bool:
    """Whether a configuration names classes and functions of the library alone."""
    if isinstance(config, Mapping):
        if "class_name" in config and ("module" in config or "registered_name" in config):
            module = str(config.get("module") or PACKAGE)
            if config.get("registered_name") or module.partition(".")[0] != PACKAGE:
                return False
        return all(is_of_the_library(value) for value in config.values())
    return all(map(is_of_the_library, config)) if isinstance(config, (list, tuple)) else True


class Layout:
    """The layers below a model that a configuration names, each either itself, a container or recorded.

    forced: layers, by identity, that are to be recorded though their class is the library's
    """

    def __init__(self, model: Any, forced: set[int]) -> None:
        self.model = model
        self.forced = forced
        self.recorded: set[int] = set()
        self.layers: dict[int, Any] = {}
        pending = [model]
        while pending:
            layer = pending.pop()
            if id(layer) in self.layers:
                continue
            self.layers[id(layer)] = layer
            if not is_container(layer) and self._needs_recording(layer):
                self.recorded.add(id(layer))
            if id(layer) in self.recorded or is_container(layer):
                pending.extend(reversed(layer.child_layers()))
        self._places = self._find_places()

    def _needs_recording(self, layer: Any) -> bool:
        if id(layer) in self.forced or hasattr(layer, "_class_origin") or known_as(type(layer)) is None:
            return True
        plain, problem = plain_config(layer)
        return problem is not None or not is_of_the_library(plain)

    def plain_layers(self) -> list[Any]:
        """Layers that are stored as themselves."""
        return [x for key, x in self.layers.items() if key not in self.recorded and not is_container(x)]

    def containers(self) -> list[Any]:
        """Sequential and Functional models inside the model."""
        return [x for x in self.layers.values() if is_container(x) and x is not self.model]

    def _find_places(self) -> dict[int, tuple[Any, str, int]]:
        places: dict[int, tuple[Any, str, int]] = {}
        for layer in self.layers.values():
            if id(layer) in self.recorded:
                found = [("own", own_variables(layer))]
                found.append(("generator", [g.state for g in owned(layer, SeedGenerator)]))
            else:
                found = [("weight", layer.own_variables() if is_container(layer) else layer.weights)]
            for kind, variables in found:
                for i, variable in enumerate(variables):
                    place = _index(layer.weights, variable) if is_container(layer) else i
                    places.setdefault(id(variable), (layer, kind, place))
        return places

    def owner(self, variable: Variable) -> Any:
        """The layer by which a variable is found; None for one that belongs to no layer of the model."""
        place = self._places.get(id(variable))
        return None if place is None else place[0]

    def reference(self, variable: Variable) -> dict[str, Any]:
        """Where a variable is found again."""
        place = self._places.get(id(variable))
        if place is not None:
            inner: dict[str, Any] = {"layer": number_of(place[0]), place[1]: place[2]}
        elif variable is global_seed_generator().state:
            inner = {"global_seed": True}
        else:
            inner = {"loose": number_of(variable)}
        return {"class_name": "__variable__", "config": inner}


def _index(variables: list[Variable], wanted: Variable) -> int:
    return next(i for i, variable in enumerate(variables) if variable is wanted)
