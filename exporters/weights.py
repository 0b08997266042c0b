"""The weights of a file: initializers, constants, and what is unpacked from narrower types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..trainer.core.tensor import Tensor
from ..trainer.core.variable import Variable
from .importer import Program
from .node_reading import ReadNode
from .protos import element_type, tensor_array

STATISTICS = {"BatchNormalization": (3, 4)}
"""Inputs that are measured, not learned."""

UNLEARNED = {
    "QuantizeLinear": (1, 2), "DequantizeLinear": (1, 2), "Resize": (1, 2), "Upsample": (1,), "Clip": (1, 2),
    "Pad": (2,), "Dropout": (1,), "OneHot": (2,), "Range": (0, 1, 2), "NonMaxSuppression": (2, 3, 4),
    "QLinearConv": tuple(range(1, 8)), "QLinearMatMul": tuple(range(1, 8)), "ConstantOfShape": (0,),
    "DynamicQuantizeLinear": (0,), "MelWeightMatrix": tuple(range(5)),
}  # fmt: skip
"""Inputs that say what an operator does."""

UNPACKED = ("DequantizeLinear", "Cast")
"""Operators behind which exporters keep weights in a narrower type."""


def find_weights(model: Any, trainable: bool = True) -> dict[str, Variable]:
    """The floating-point weights of a model by name, as variables that hold the file's arrays.

    Single numbers stay constants; so do masks, and what says what an operator does, such as scales of a Resize.
    """
    fixed = roles(model.graph.node, STATISTICS)
    return {
        name: weight_variable(name, array, trainable and name not in fixed)
        for name, array in stored_weights(model).items()
    }


def stored_weights(model: Any) -> dict[str, np.ndarray]:
    """The values that a file gives to its weights, by the names of initializers or of what nodes make of these."""
    nodes = model.graph.node
    arrays: dict[str, np.ndarray] = {x.name: tensor_array(x) for x in model.graph.initializer}
    single: set[str] = set()
    for node in nodes:
        if node.op_type == "Constant" and not node.domain and node.attribute and node.attribute[0].name == "value":
            arrays[node.output[0]] = tensor_array(node.attribute[0].t)
            single.update(node.output if arrays[node.output[0]].size == 1 else ())
    packed: set[str] = set()
    outputs = {x.name for x in model.graph.output}
    read: set[str] = set()
    for node in nodes:
        found = _unpacked(model, node, arrays) if node.op_type in UNPACKED and node.output[0] not in outputs else None
        if found is None:
            read.update(node.input)
        else:
            arrays[node.output[0]] = found
            packed.update(node.input)
    unlearned = roles(nodes, UNLEARNED) | single
    return {
        name: array for name, array in arrays.items()
        if array.dtype.kind == "f" and array.dtype.num < 256 and array.ndim and name not in unlearned
        and (name not in packed or name in read) and _is_finite(array)
    }  # fmt: skip


def constant_reasons(model: Any) -> dict[str, tuple[tuple[int, ...], str, str]]:
    """Shape, element type, and the reason, of each initializer that is no weight."""
    weights = stored_weights(model)
    nodes = model.graph.node
    packed = {x for node in nodes if node.output and node.output[0] in weights for x in node.input}
    unlearned = roles(nodes, UNLEARNED)
    found: dict[str, tuple[tuple[int, ...], str, str]] = {}
    for tensor in model.graph.initializer:
        if tensor.name in weights or tensor.name in packed:
            continue
        dtype = element_type(tensor.data_type)
        if dtype.kind != "f" or dtype.num >= 256:
            reason = "no floating-point numbers"
        elif tensor.name in unlearned:
            reason = "says how an operator works"
        else:
            reason = "a single number" if not tensor.dims else "a mask, with infinite elements"
        found[tensor.name] = tuple(tensor.dims), dtype.name, reason
    return found


def _is_finite(array: np.ndarray) -> bool:
    """Whether a small array is a weight's and not a mask's, which has infinite elements."""
    return array.size > 65536 or bool(np.isfinite(array).all())


def roles(nodes: Any, table: Mapping[str, tuple[int, ...]]) -> set[str]:
    """Names that stand in certain inputs of certain operators."""
    return {
        node.input[i] for node in nodes if not node.domain for i in table.get(node.op_type, ()) if i < len(node.input)
    }


def _unpacked(model: Any, node: Any, arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """The value of a node that makes floats of constants of a narrower type; None for others."""
    if node.domain or any(name not in arrays for name in node.input if name):
        return None
    program = Program(type(model)(opset_import=model.opset_import))
    scope: dict[str, Any] = {name: Tensor(arrays[name]) for name in node.input if name}
    program.run_node(ReadNode(node, program.opsets), scope, {})
    found, source = scope[node.output[0]], arrays[node.input[0]]
    array = found.array if isinstance(found, Tensor) else None
    if array is None or array.dtype.kind != "f" or array.dtype.num >= 256:
        return None
    return array if source.dtype.kind != "f" or source.itemsize < array.itemsize else None


def weight_variable(name: str, array: np.ndarray, trainable: bool) -> Variable:
    """A variable under the file's name that holds the array."""
    variable = Variable.holding(array, trainable, clean_name(name).rsplit(".", 1)[-1] or "weight")
    variable.path = name
    return variable


def clean_name(name: str) -> str:
    """A name from a file without what separates scopes here."""
    return name.replace("/", ".").strip(".") or "unnamed"
