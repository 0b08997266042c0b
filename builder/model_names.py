"""Names in a model: of outputs, of layers by path, of weights."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from ..trainer.core import tree
from ..trainer.core.later import LazyModule
from ..trainer.core.variable import Variable
from .call import LayerCall
from .layer import Layer
from .plan import Plan

difflib: Any = LazyModule("difflib")


def output_names(plan: Plan) -> list[str]:
    """Names of a plan's outputs: dictionary keys, or names that a file gave them, or those of their layers."""
    found: list[str] = []
    for path, x in tree.flatten_with_path(plan.outputs):
        keys = [str(key) for key in path if isinstance(key, str)]
        symbol = x.symbol if x is not None else None
        node = symbol.node if symbol is not None else None
        scope = node.scope if node is not None else None
        layer_name = list(scope.ancestors())[-1].layer.name if isinstance(scope, LayerCall) else None
        given = symbol.name if symbol is not None and node is not None else None
        own = node.primitive.name if node is not None else f"output_{len(found)}"
        name = "/".join(keys) or given or layer_name or own
        count, base = 1, name
        while name in found:
            name, count = f"{base}_{count}", count + 1
        found.append(name)
    return found


def given_names(outputs: Any) -> list[str | None]:
    """The names that a file or the user gave the tensors of a plan's outputs."""
    symbols = [x.symbol for x in tree.flatten(outputs) if x is not None]
    return [s.name if s is not None and s.node is not None else None for s in symbols]


def give_names(outputs: Any, names: Sequence[str | None]) -> None:
    """Give outputs that were made again the names that `given_names` found."""
    for x, name in zip([x for x in tree.flatten(outputs) if x is not None], names, strict=True):
        if name and x.symbol is not None and x.symbol.node is not None:
            x.symbol.name = name


def find_layer(model: Any, name: str) -> Layer:
    """The layer of a name or path below a model, or of a node or its result in the file that the model came from."""
    children: Sequence[Layer] = [*model._input_layers, *model.child_layers()]
    by_name = {layer.name: layer for layer in children}
    if name in by_name:
        return by_name[name]
    in_file = next((layer for layer in children if name in names_in_file(layer)), None)
    if in_file is not None:
        return in_file
    current: Any = model
    for part in name.split("/"):
        inputs = getattr(current, "_input_layers", [])
        found = {x.name: x for x in (*inputs, *current.child_layers())}
        if part not in found:
            close = difflib.get_close_matches(part, found, 3)
            hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
            raise ValueError(
                f"{'model' if inputs else 'layer'} '{current.name}' has no layer {part!r}{hint} "
                f"It has: {', '.join(list(found)[:40])}{', ...' if len(found) > 40 else ''}"
            )
        current = found[part]
    return current


def names_in_file(layer: Any) -> Collection[str]:
    """Names of nodes, and of what they make, for which a layer stands in the ONNX file that it came from."""
    lifted, fragment = getattr(layer, "lifted", None), getattr(layer, "fragment", None)
    if lifted is not None:
        return lifted.names
    return () if fragment is None else {fragment.main.name, *fragment.main.output} - {""}


def weight_names(model: Layer) -> dict[Variable, str]:
    """Names by position in the tree of layers; a number is appended where two would be the same."""
    names: dict[Variable, str] = {}
    taken: set[str] = set()
    pending: list[tuple[Layer, str]] = [(model, "")]
    seen: set[int] = set()
    while pending:
        layer, path = pending.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        for variable in layer.own_variables():
            base = name = f"{path}/{variable.name}" if path else variable.name
            count = 1
            while name in taken:
                name, count = f"{base}_{count}", count + 1
            if variable not in names:
                taken.add(name)
                names[variable] = name
        children = layer.child_layers()
        pending.extend((x, f"{path}/{x.name}" if path else x.name) for x in reversed(children))
    return names
