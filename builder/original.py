"""Models out of somebody's file written back: as the file was, or what is left of it as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..exporters.convert import DEFAULT_OPSET, to_onnx
from ..exporters.fragments import Fragment
from ..exporters.frame import frame_of
from ..exporters.held import Held
from ..exporters.importer import opset_versions
from ..exporters.keeping import Keeper, Part
from ..exporters.source import Source
from ..exporters.weights import clean_name
from ..trainer.core.graph import Graph, Node
from ..trainer.core.tensor import Tensor
from ..trainer.core.variable import Variable
from .call import LayerCall
from .plan import Plan


@dataclass(frozen=True)
class Piece:
    """What a layer is of a file.

    fragment: its nodes
    inputs: names of the tensors that the layer is called on, the fragment's first inputs
    first_name: the name that the layer had when the file was read
    variables: weights by their names in the file, where the layer has them as they are there
    values: weights as the file would have them, where the layer holds them in another layout
    """

    fragment: Fragment
    inputs: Sequence[str]
    first_name: str
    variables: Mapping[str, Variable]
    values: Mapping[str, np.ndarray]


def piece_of(layer: Any, place: int = 0) -> Piece | None:
    """What a layer is of a file; None for layers that are nothing of one, or no longer do what its nodes do.

    place: of the call that is meant, among the calls of a layer that stands for several groups of nodes
    """
    fragment = getattr(layer, "fragment", None)
    if isinstance(fragment, Fragment):
        return Piece(fragment, fragment.inputs, layer.first_name, fragment.weights, {})
    lifted = getattr(layer, "lifted", None)
    if lifted is None or not lifted.is_as_read(layer):
        return None
    uses = [(lifted.inputs, lifted.fragment), *lifted.again]
    if place >= len(uses):
        return None
    inputs, fragment = uses[place]
    return Piece(fragment, inputs, lifted.first_name, {}, lifted.values())


def sources_of(layers: Sequence[Any]) -> list[Source]:
    """The files that layers come from."""
    found = [piece.fragment.source for layer in layers if (piece := piece_of(layer)) is not None]
    return list({id(x): x for x in found if x is not None}.values())


def input_names(plan: Plan, names: Sequence[str], sources: Sequence[Source]) -> list[str]:
    """Names of inputs as the file has them, where nothing else was said since."""
    own = {clean_name(name): name for source in sources[:1] for name in source.inputs}
    return [own.get(name, name) for name in names]


def original_file(model: Any, opset: int | None = None, or_path: bool = False, held: Held | None = None) -> Any:
    """The `ModelProto` of the file that a model came from, with the weights of now; None where more has changed.

    opset: the version that is wanted; another one is a change, too
    or_path: give the path instead where the file is as it was, weights included
    held: takes the contents of large tensors, of which the model then has no copy
    """
    found = _untouched(model)
    if found is None:
        return None
    source, values = found
    if opset is not None and opset_versions(source.frame).get("") != opset:
        return None
    path = source.file(values) if or_path else None
    return source.proto(values, held) if path is None else path


def _untouched(model: Any) -> tuple[Source, dict[str, np.ndarray]] | None:
    """The file of which a model is all and nothing else, and the weights of now."""
    plan: Plan = model.plan
    sources = sources_of(plan.layers())
    if len(sources) != 1:
        return None
    source = sources[0]
    names = _names(plan, source)
    if [names.get(id(x)) for x in plan.output_tensors] != source.outputs or _renamed(model, source):
        return None
    owners: dict[str, Variable] = {}
    values: dict[str, np.ndarray] = {}
    for piece in map(piece_of, plan.layers()):
        if piece is None:
            return None
        for name, variable in piece.variables.items():
            if owners.setdefault(name, variable) is not variable:
                return None
            values[name] = variable.array
        values.update(piece.values)
    return source, values


def _renamed(model: Any, source: Source) -> bool:
    """Whether inputs or outputs have other names than in the file."""
    outputs = list(dict.fromkeys(source.outputs))
    named = [name for name in model.output_names if name in outputs]
    return named != outputs or input_names(model.plan, model.input_names, [source]) != source.inputs


def _names(plan: Plan, source: Source) -> dict[int, str]:
    """For tensors of a plan that are values of the file, their names there; nothing if a step is not of the file."""
    given = {x.name: x.type.tensor_type.shape.dim for x in source.frame.graph.input}
    if len(plan.input_tensors) != len(source.inputs):
        return {}
    names: dict[int, str] = {}
    for x, name in zip(plan.input_tensors, source.inputs, strict=True):
        sizes = [d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else None for d in given[name]]
        if sizes and sizes != [size if isinstance(size, int) else None for size in x.shape]:
            return {}
        names[id(x)] = name
    places: Counter[int] = Counter()
    for step in plan.steps:
        piece = piece_of(step.layer, places[id(step.layer)]) if isinstance(step, LayerCall) else None
        if isinstance(step, LayerCall) and not isinstance(getattr(step.layer, "fragment", None), Fragment):
            places[id(step.layer)] += 1
        if piece is None or not isinstance(step, LayerCall) or step.layer.name != piece.first_name:
            return {}
        if [_name(x, names) for x in _arguments(step)] != list(piece.inputs):
            return {}
        names.update((id(x), name) for x, name in zip(step.output_tensors(), piece.fragment.outputs, strict=True))
    return names


def _arguments(call: LayerCall) -> list[Any]:
    """Tensors and variables among the arguments of a call, each once."""
    leaves = [x for arg in call.args for x in (arg if isinstance(arg, (list, tuple)) else [arg])]
    return list({id(x): x for x in leaves if isinstance(x, (Tensor, Variable))}.values())


def _name(x: Any, names: Mapping[int, str]) -> str | None:
    return names.get(id(x)) if isinstance(x, Tensor) else x.path


def parts_of(graph: Graph) -> list[tuple[Part, list[Node]]]:
    """The calls of layers that are pieces of files, with the nodes of the graph that were made in them."""
    found: dict[int, tuple[Part | None, list[Node]]] = {}
    places: Counter[int] = Counter()
    for node in graph.nodes:
        for call in node.scope.ancestors() if isinstance(node.scope, LayerCall) else ():
            if id(call) not in found:
                is_node = isinstance(getattr(call.layer, "fragment", None), Fragment)
                found[id(call)] = (_part(call, 0 if is_node else places[id(call.layer)]), [])
                places[id(call.layer)] += 1
            if found[id(call)][0] is not None:
                found[id(call)][1].append(node)
                break
    return [(part, nodes) for part, nodes in found.values() if part is not None]


def complete(graph: Graph) -> list[tuple[Part, list[Node]]]:
    """The parts of a graph, which gets the nodes of tensors that a part takes only to look at their sizes."""
    parts, count = parts_of(graph), -1
    while len(graph.nodes) != count:
        count = len(graph.nodes)
        entering = [x for part, _ in parts for x in part.arguments if isinstance(x, Tensor)]
        graph.nodes = Graph(graph.inputs, [*graph.results, *entering]).nodes
        parts = parts_of(graph)
    return parts


def _part(call: LayerCall, place: int) -> Part | None:
    """The call as a piece of a file; None where it is not called as its nodes were."""
    piece = piece_of(call.layer, place)
    if piece is None:
        return None
    arguments, results = _arguments(call), call.output_tensors()
    fragment = piece.fragment
    if len(arguments) != len(fragment.inputs) or len(results) != len(fragment.outputs):
        return None
    renamed = None if call.layer.name == piece.first_name else call.layer.name
    return Part(fragment, arguments, results, renamed, piece.values)


def rewritten(model: Any, graph: Graph, output_names: Sequence[str], options: Mapping[str, Any]) -> Any:
    """The ONNX model of a graph in which pieces of files stand as they stood there, as far as that can be.

    options: of `exporters.convert.to_onnx`, with the version of the operators if one is wanted
    """
    parts = complete(graph)
    sources, wanted = sources_of(model.plan.layers()), options.get("opset")
    frame = frame_of(sources, wanted, True)
    keeper = Keeper(parts, graph, frame.opsets)
    if wanted is None and not keeper.keeps_all(graph):  # what is written anew needs a version that we write
        frame = frame_of(sources, None, False)
        keeper = Keeper(parts, graph, frame.opsets)
    names = {v: name for part, _ in parts if not part.values for name, v in part.fragment.weights.items()}
    found = to_onnx(
        graph, input_names(model.plan, model.input_names, sources), output_names,
        **{
            **options, "opset": frame.opsets.get("", DEFAULT_OPSET), "keeper": keeper,
            "weight_names": {**options["weight_names"], **names},
        },
    )  # fmt: skip
    return frame.dress(found, fill=options.get("held") is None)


def gives_maps(model: Any) -> bool:
    """Whether the file of a model gives dictionaries where the model gives tensors, for `ZipMap` makes them."""
    pieces = [piece_of(layer) for layer in model.plan.layers()]
    return any(piece is not None and piece.fragment.main.op_type == "ZipMap" for piece in pieces)
