"""From the graph being written to the protobuf of an ONNX model."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..trainer.core.spec import TensorSpec
from ..version import __version__
from .held import Held, tensor_of
from .ir import OnnxGraph, OnnxNode
from .lazy import onnx
from .mapped import all_tensors, fill, place_of

IR_VERSION = 10
"""Of ONNX 1.16: understood by every onnxruntime since 1.18; raised only when the opset needs it."""


def element_type(dtype: np.dtype) -> int:
    """ONNX's number for an element type."""
    return onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def value_info(name: str, spec: TensorSpec) -> Any:
    """Name, element type and shape of an input or output; symbolic sizes keep their text."""
    shape = [size if isinstance(size, int) else str(size) for size in spec.shape]
    return onnx.helper.make_tensor_value_info(name, element_type(spec.dtype), shape)


def node_proto(node: OnnxNode) -> Any:
    """The protobuf of a node."""
    kept = node.attributes.get("kept")
    if kept is not None:
        return kept.to_proto(node.inputs, node.outputs)
    attributes = {key: _attribute(node.operator, key, value) for key, value in sorted(node.attributes.items())}
    return onnx.helper.make_node(
        node.operator, node.inputs, node.outputs, name=node.name, domain=node.domain or None, **attributes
    )


def _attribute(operator: str, key: str, value: Any) -> Any:
    if isinstance(value, OnnxGraph):
        return graph_proto(value)
    if isinstance(value, np.dtype):
        return element_type(value)
    if isinstance(value, np.ndarray):
        return onnx.numpy_helper.from_array(value)
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    return list(value) if isinstance(value, tuple) else value


def graph_proto(graph: OnnxGraph, held: Held | None = None) -> Any:
    """The protobuf of a graph, its initializers included; contents of large ones stay in `held` if that is given."""
    made = onnx.helper.make_graph(
        [node_proto(node) for node in graph.nodes],
        graph.name,
        [value_info(name, graph.specs[name]) for name in graph.inputs],
        [value_info(name, graph.specs[name]) for name in graph.outputs],
        [tensor_of(np.asarray(array), name, held) for name, array in graph.initializers.items()],
    )
    if graph.protos:
        read = graph.uses()
        for name, tensor in graph.protos.items():
            if read[name]:
                _add_initializer(made, name, tensor)
    return made


def _add_initializer(graph: Any, name: str, tensor: Any) -> None:
    """An initializer as it stood in a file."""
    if isinstance(tensor, onnx.SparseTensorProto):
        graph.sparse_initializer.add().CopyFrom(tensor)
        graph.sparse_initializer[-1].values.name = name
    else:
        graph.initializer.add().CopyFrom(tensor)
        graph.initializer[-1].name = name


def model_proto(graph: OnnxGraph, opset: int, metadata: dict[str, str] | None = None, held: Held | None = None) -> Any:
    """A complete model; contents of large initializers stay in `held` if that is given."""
    ir_version = max(IR_VERSION, onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)]))
    model = onnx.helper.make_model(
        graph_proto(graph, held),
        opset_imports=[onnx.helper.make_opsetid(*x) for x in (("", opset), *sorted(graph.domains.items()))],
        producer_name="sardonyx",
        producer_version=__version__,
        ir_version=ir_version,
    )
    onnx.helper.set_model_props(model, dict(sorted((metadata or {}).items())))
    return model


def checked(model: Any) -> Any:
    """The model, after onnx's own checker with full shape inference; raises `ValueError` if it finds a fault.

    A fault here is one of this library's: the message asks for a report.
    """
    try:
        onnx.checker.check_model(_stand_in(model), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ValueError(
            f"the exported file does not pass onnx's checker, which is a fault of sardonyx; please report it: {error}"
        ) from error
    return model


def _stand_in(model: Any) -> Any:
    """The same graph where large initializers, whose contents lie elsewhere, are inputs: nothing that is to be checked
    depends on what they hold. The model itself where it has none."""
    large = {x.name for x in model.graph.initializer if place_of(x) is not None}
    if not large:
        return model
    twin = type(model)()
    twin.CopyFrom(model)
    graph = twin.graph
    known = {x.name for x in graph.input}
    kept = [x for x in graph.initializer if x.name not in large]
    for tensor in graph.initializer:
        if tensor.name in large and tensor.name not in known:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for tensor in all_tensors(twin):
        fill(tensor)
    return twin
