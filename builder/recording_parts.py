"""What a layer holds in its attributes: the names and nesting of its layers, weights and random generators."""

from __future__ import annotations

from typing import Any

from ..trainer.core.variable import Variable
from ..trainer.ops.seed import SeedGenerator
from .layer import Layer
from .sharing import read_layer, write_layer

KINDS = (Layer, Variable, SeedGenerator)
PLANNED = "layers of the graph"
Part = list[Any]


def parts(layer: Any, variables: list[Variable], generators: list[SeedGenerator]) -> dict[str, Part]:
    """Attributes that hold layers, variables or generators, in order; a model's planned layers first."""
    recorded = getattr(layer, "parts", None) if hasattr(layer, "_class_origin") else None
    numbers = {id(x): ["variable", i] for i, x in enumerate(variables)}
    numbers.update({id(x): ["generator", i] for i, x in enumerate(generators)})
    found: dict[str, Any] = {}
    if recorded is not None:
        found = recorded
    else:
        if getattr(layer, "_plan", None) is not None:
            found[PLANNED] = layer.child_layers()
        found.update({k: v for k, v in vars(layer).items() if k not in layer.UNTRACKED and k != "_weights"})
    return {name: _write(value, layer, numbers, []) for name, value in found.items() if _holds_any(value, layer, set())}


def _holds_any(value: Any, owner: Any, seen: set[int]) -> bool:
    if isinstance(value, (list, tuple, set, dict)):
        if id(value) in seen:
            return False
        seen.add(id(value))
        return any(_holds_any(x, owner, seen) for x in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, KINDS) and value is not owner


def _write(value: Any, owner: Any, numbers: dict[int, Part], around: list[Any]) -> Part:
    if any(value is x for x in around) or value is owner:
        return ["other"]
    if isinstance(value, dict):
        return ["dict", [[str(k), _write(v, owner, numbers, [*around, value])] for k, v in value.items()]]
    if isinstance(value, (list, tuple, set)):
        kind = type(value).__name__ if type(value) in (list, tuple, set) else "tuple"
        return [kind, [_write(x, owner, numbers, [*around, value]) for x in value]]
    if isinstance(value, Layer):
        return ["layer", write_layer(value)]
    return numbers.get(id(value), ["other"])


def read_parts(config: dict[str, Part], variables: list[Variable], generators: list[SeedGenerator]) -> dict[str, Any]:
    """What `parts` wrote, out of new layers, variables and generators."""

    def read(part: Part) -> Any:
        kind, *inner = part
        if kind == "dict":
            return {key: read(value) for key, value in inner[0]}
        if kind in ("list", "tuple", "set"):
            made = [read(value) for value in inner[0]]
            return tuple(made) if kind == "tuple" else made  # of a set too, to keep the order
        if kind == "layer":
            return read_layer(inner[0])
        if kind in ("variable", "generator"):
            return (variables if kind == "variable" else generators)[inner[0]]
        return None

    return {name: read(part) for name, part in config.items()}
