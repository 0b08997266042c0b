"""Whether a node means the same in two versions of ONNX's operators."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from .lazy import onnx
from .limits import subgraphs
from .node_reading import plain_domain

SILENT = {"Upsample", "Scan", "BatchNormalization", "Resize", "AveragePool", "MaxPool", "GroupNormalization"}
"""Operators that have changed what they compute without changing how they are called."""


def means_the_same(node: Any, before: Mapping[str, int], after: Mapping[str, int]) -> bool:
    """Whether a node and those inside it are the same in a file of other versions, by domain."""
    domain = plain_domain(node.domain)
    old, new = before.get(domain, 1), after.get(domain, before.get(domain, 1))
    if old != new and not _same_operator(domain, node.op_type, old, new):
        return False
    return all(means_the_same(inner, before, after) for graph in subgraphs(node) for inner in graph.node)


@cache
def _same_operator(domain: str, name: str, old: int, new: int) -> bool:
    try:
        schemas = [onnx.defs.get_schema(name, version, domain) for version in (old, new)]
    except onnx.defs.SchemaError:
        return False
    if schemas[0].since_version == schemas[1].since_version:
        return True
    return name not in SILENT and not schemas[1].deprecated and _signature(schemas[0]) == _signature(schemas[1])


def _signature(schema: Any) -> tuple[Any, ...]:
    """Inputs, outputs, attributes and their defaults: versions that agree in these differ in types alone."""
    attributes = {
        name: (str(entry.type), entry.required, entry.default_value.SerializeToString())
        for name, entry in schema.attributes.items()
    }
    names = [tuple(x.name for x in values) for values in (schema.inputs, schema.outputs)]
    return (*names, tuple(sorted(attributes.items())))
