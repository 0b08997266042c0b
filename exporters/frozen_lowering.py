"""Nodes of somebody's file in a graph that is being written: in its version of the operators, names made unique."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..trainer.core.emitter import Value
from ..trainer.core.spec import TensorSpec
from .fragments import Fragment
from .importer import opset_versions
from .ir import OnnxNode
from .keeping import KEPT, KeptNode
from .lazy import LazyModule, onnx
from .mapped import filled
from .meaning import means_the_same
from .node_reading import ReadNode, plain_domain

inliner: Any = LazyModule("onnx.inliner")


def write_nodes(
    emit: Any, fragment: Fragment, given: Mapping[str, Value], specs: Sequence[TensorSpec], label: str
) -> list[Value]:
    """The results of a piece of a file whose inputs and weights are values of the graph being written."""
    model = in_version(fragment, emit.opset, given, label)
    names = {name: value.name for name, value in given.items()}
    for tensor in model.graph.initializer:
        if tensor.name not in names:
            names[tensor.name] = emit.root.proto(tensor.name, tensor, id(model))
    opsets = opset_versions(model)
    for proto in model.graph.node:
        if not (proto.output and proto.output[0] in names):
            _write(emit, ReadNode(proto, opsets), names)
    emit.root.onnx.domains.update({domain: version for domain, version in opsets.items() if domain})
    made = [Value(names[name], spec) for name, spec in zip(fragment.outputs, specs, strict=True)]
    for value in made:
        emit.onnx.specs[value.name] = value.spec
        emit.sources.add(value)
    return made


def _write(emit: Any, node: ReadNode, names: dict[str, str]) -> None:
    reads = list(dict.fromkeys([*[x for x in node.inputs if x], *node.reads()]))
    outputs = [emit.unique(x) if x else "" for x in node.outputs]
    named = emit.unique(node.call.name) if node.call.name else ""
    kept = KeptNode(node.proto, reads, named)
    operator, inputs = f"{KEPT}{node.operator}", [names[x] for x in reads]
    emit.onnx.nodes.append(OnnxNode(operator, inputs, list(outputs), {"kept": kept}, named, plain_domain(node.domain)))
    names.update((a, b) for a, b in zip(node.outputs, outputs, strict=True) if a)


def in_version(fragment: Fragment, opset: int, given: Mapping[str, Value], label: str) -> Any:
    """The nodes with functions of the file in place, and as they are written in a version of ONNX's operators.

    Raises `ValueError` where ONNX cannot convert them.
    """
    model = type(fragment.model)()
    model.CopyFrom(fragment.model)
    model = filled(model, fragment.source.mappings if fragment.source is not None else None)
    if model.functions:
        _type_inputs(model, given)
        model = inliner.inline_local_functions(model)
    own = opset_versions(model)
    wanted = {**own, "": opset}
    if "" not in own or all(means_the_same(node, own, wanted) for node in model.graph.node):
        return model
    _type_inputs(model, given)
    try:
        return onnx.version_converter.convert_version(model, opset)
    except Exception as error:  # its errors are those of a C++ library
        raise ValueError(
            f"{label}: its operators are of version {own['']}, and ONNX cannot convert them to {opset} ({error}). "
            f"Export with opset={own['']}, or convert the file first"
        ) from None


def _type_inputs(model: Any, given: Mapping[str, Value]) -> None:
    """Say shapes and types of all that enters: weights are inputs then, too."""
    graph = model.graph
    del graph.input[:]
    for name, value in given.items():
        shape = [size if isinstance(size, int) else str(size) for size in value.shape]
        kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        graph.input.append(onnx.helper.make_tensor_value_info(name, kind, shape))
    kept = [node for node in graph.node if not (node.output and node.output[0] in given)]
    del graph.node[:]
    graph.node.extend(kept)
