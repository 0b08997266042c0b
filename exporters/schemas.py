"""Operators that ONNX itself defines as functions of others: their definitions, for those not in our table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..trainer.core.dims import Dim
from ..trainer.core.tensor import Tensor
from .lazy import onnx
from .operators import Sizes
from .protos import attribute_value, element_code


def function_of(domain: str, node: Any, version: int, inputs: Sequence[Any]) -> Any:
    """The definition (`FunctionProto`) of a node's operator as nodes; None where ONNX does not define it so."""
    try:
        schema = onnx.defs.get_schema(node.op_type, version, domain)
    except onnx.defs.SchemaError:
        return None
    if schema.has_function:
        return schema.function_body
    if not schema.has_context_dependent_function:
        return None
    kinds = [_type_of(x).SerializeToString() for x in inputs]
    versions = [v for v in schema.context_dependent_function_opset_versions if v <= version]
    chosen = max(versions) if versions else schema.context_dependent_function_opset_versions[0]
    body = onnx.FunctionProto()
    body.ParseFromString(
        schema.get_context_dependent_function_with_opset_version(chosen, node.SerializeToString(), kinds)
    )
    return body if body.node else None


def attribute_defaults(domain: str, name: str, version: int) -> dict[str, Any]:
    """What ONNX says about attributes that a node of an operator does not have."""
    schema = onnx.defs.get_schema(name, version, domain)
    given = {key: entry.default_value for key, entry in schema.attributes.items()}
    return {key: attribute_value(value, None) for key, value in given.items() if value.name}


def _type_of(value: Any) -> Any:
    if isinstance(value, list):
        return onnx.helper.make_sequence_type_proto(_type_of(value[0] if value else None))
    if isinstance(value, (Tensor, Sizes)) or hasattr(value, "dtype"):
        shape = [str(size) if isinstance(size, Dim) else size for size in value.shape]
        return onnx.helper.make_tensor_type_proto(element_code(value.dtype), shape)
    return onnx.TypeProto()
