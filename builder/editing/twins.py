"""Layers for an edited model: each stands in one model only, its weights may be those of another."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ...trainer.core.variable import Variable
from ..tracking import leaves


class Twins:
    """Makes for each layer one that has the same configuration and either the same weights or copies of them.

    A layer of its own in each model keeps `layer.output`, names and `trainable` of one model apart from those of the
    other. One object serves a whole edit, so that layers which refer to each other go on doing so.

    copies: whether weights are copied instead of shared
    """

    def __init__(self, copies: bool = False) -> None:
        self.copies = copies
        self.names: dict[int, str] = {}
        self._memo: dict[int, Any] = {}
        self._kept: list[Any] = []
        self._made: dict[int, Any] = {}

    def layer(self, layer: Any) -> Any:
        """The twin of a layer, the same one each time."""
        found = self._made.get(id(layer))
        if found is None:
            self._share(layer)
            found = self._made[id(layer)] = copy.deepcopy(layer, self._memo)
            self._kept.append(layer)
            if id(layer) in self.names:
                found.name = self.names[id(layer)]
        return found

    def variable(self, variable: Variable) -> Variable:
        """The variable that stands for one."""
        self._kept.append(variable)
        if not self.copies:
            return variable
        return copy.deepcopy(variable, self._memo)

    def give_back(self, layer: Any) -> None:
        """Let a layer of the user's own, new to the model, stand for itself."""
        self._made[id(layer)] = layer

    def _share(self, layer: Any) -> None:
        """What is not copied: arrays of constants always, weights unless copies are wanted."""
        variables = [] if self.copies else layer.variables
        constants: list[Any] = []
        seen: set[int] = set()
        for item in layer.walk_layers():
            constants += [x for x in leaves(vars(item), seen) if isinstance(x, np.ndarray)]
        for shared in [*variables, *constants]:
            self._memo[id(shared)] = shared
            self._kept.append(shared)
