"""Nodes and graphs of ONNX files, read once: names, attributes as Python values, and the function that computes."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

from ..trainer.core.tensor import Tensor
from .operators import Call, find
from .protos import attribute_value, tensor_array


class ReadNode:
    """One node.

    proto: the `NodeProto`
    call: what the operator's function gets; without attributes that are graphs, or refer to those of a function
    function: the entry of our table, if there is one
    key: domain, name and overload, by which functions of a file are found
    """

    __slots__ = ("call", "domain", "function", "graphs", "inputs", "key", "outputs", "proto", "references")

    def __init__(self, proto: Any, opsets: Mapping[str, int]) -> None:
        self.proto = proto
        self.inputs = list(proto.input)
        self.outputs = list(proto.output)
        self.domain = plain_domain(proto.domain)
        self.references: dict[str, str] = {}
        self.graphs: dict[str, ReadGraph] = {}
        attributes: dict[str, Any] = {}
        for attribute in proto.attribute:
            if attribute.ref_attr_name:
                self.references[attribute.name] = attribute.ref_attr_name
            elif attribute.HasField("g"):
                self.graphs[attribute.name] = ReadGraph(attribute.g, opsets, ())
            else:
                attributes[attribute.name] = attribute_value(attribute, None)
        wanted = tuple(bool(name) for name in self.outputs)
        self.call = Call(proto.op_type, proto.name, opsets.get(self.domain, 1), attributes, wanted)
        self.function = find(self.domain, proto.op_type, self.call.version)
        self.key = (self.domain, proto.op_type, getattr(proto, "overload", ""))

    @property
    def operator(self) -> str:
        """The operator's name."""
        return self.call.operator

    @property
    def unfinished(self) -> bool:
        """Whether attributes depend on where the node stands."""
        return bool(self.references or self.graphs)

    def reads(self) -> list[str]:
        """Names that the node reads: its inputs, and what its graphs read of the graph around them."""
        found = [name for name in self.inputs if name]
        for graph in self.graphs.values():
            found += graph.captured()
        return list(dict.fromkeys(found))


class ReadGraph:
    """A graph: its nodes but those whose result is `given`, its constants as tensors but those that are."""

    def __init__(self, proto: Any, opsets: Mapping[str, int], given: Container[str]) -> None:
        self.proto = proto
        self.inputs = [x.name for x in proto.input]
        self.outputs = [x.name for x in proto.output]
        self.result_types = [x.type for x in proto.output]
        self.nodes = [ReadNode(n, opsets) for n in proto.node if not (n.output and n.output[0] in given)]
        dense = [(x.name, x) for x in proto.initializer]
        tensors = [*dense, *[(x.values.name, x) for x in proto.sparse_initializer]]
        self.given = {name for name, _ in tensors}
        self.constants = {name: Tensor(tensor_array(x)) for name, x in tensors if name not in given}

    def captured(self) -> Iterator[str]:
        """Names that are read and not made here."""
        known = {*self.inputs, *self.given}
        for node in self.nodes:
            yield from (name for name in node.reads() if name not in known)
            known.update(node.outputs)
        yield from (name for name in self.outputs if name not in known)


def plain_domain(name: str) -> str:
    """The domain, ONNX's own as an empty text."""
    return "" if name == "ai.onnx" else name
