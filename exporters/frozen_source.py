"""Pieces of ONNX files that are to run on onnxruntime: between which tensors, with which weights."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..trainer.core.variable import Variable
from .fragments import Fragment
from .lazy import onnx
from .limits import check_file, subgraphs
from .protos import tensor_array
from .read import open_source
from .source import Source
from .weights import clean_name


def open_fragment(
    model: str | os.PathLike[str] | bytes, inputs: Sequence[str] | None = None, outputs: Sequence[str] | None = None
) -> Fragment:
    """The part of an ONNX file, or of the bytes of one, between tensors by their names in it; all of it by default.

    Raises `FileNotFoundError`, and `ValueError` for what is no sound ONNX file, and for names that it does not have, or
    outputs that need more inputs.
    """
    source = Source(check_file(model)) if isinstance(model, bytes) else open_source(Path(model))
    return cut(source, inputs, outputs)


def cut(source: Source, inputs: Sequence[str] | None = None, outputs: Sequence[str] | None = None) -> Fragment:
    """The part of a file between tensors."""
    frame = source.frame
    graph = frame.graph
    starts, ends = list(inputs or source.inputs), list(dict.fromkeys(outputs or source.outputs))
    nodes, read = _between(graph, starts, ends)
    model = onnx.ModelProto(ir_version=frame.ir_version, opset_import=frame.opset_import)
    model.graph.name = graph.name or "frozen"
    model.graph.input.extend(onnx.ValueInfoProto(name=name) for name in starts)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in ends)
    model.graph.node.extend(nodes)
    model.functions.extend(frame.functions)
    weights: dict[str, Variable] = {}
    for tensor in graph.initializer:
        if tensor.name in read and tensor.name not in starts:
            if _is_weight(tensor):
                weights[tensor.name] = held(tensor.name, tensor_array(tensor))
            else:
                model.graph.initializer.append(tensor)
    for sparse in graph.sparse_initializer:
        if sparse.values.name in read:
            model.graph.sparse_initializer.append(sparse)
    return Fragment(model, weights, source)


def held(name: str, array: np.ndarray) -> Variable:
    """A variable under the file's name that is never trained."""
    variable = Variable.holding(array, False, clean_name(name).rsplit(".", 1)[-1] or "weight")
    variable.path = name
    return variable


def _is_weight(tensor: Any) -> bool:
    """Whether a tensor is numbers that a model holds: floats, and the whole numbers of quantized weights."""
    kinds = onnx.TensorProto
    narrow = tensor.data_type in (kinds.INT8, kinds.UINT8)
    return bool(tensor.dims) and (narrow or tensor.data_type in (kinds.FLOAT, kinds.FLOAT16, kinds.DOUBLE))


def _between(graph: Any, inputs: Sequence[str], outputs: Sequence[str]) -> tuple[list[Any], set[str]]:
    """The nodes that make the outputs of the inputs, in order, and all that these read."""
    makers = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    constants = {x.name for x in graph.initializer} | {x.values.name for x in graph.sparse_initializer}
    known = {x.name for x in graph.input} | constants | makers.keys()
    strange = next((name for name in (*inputs, *outputs) if name not in known), None)
    if strange is not None:
        raise ValueError(f"the file has no tensor '{strange}'; it has {', '.join(sorted(known)[:20])}, ...")
    found: set[int] = set()
    read: set[str] = set()
    pending = list(outputs)
    while pending:
        name = pending.pop()
        if name in read or not name:
            continue
        read.add(name)
        if name in inputs or name in constants:
            continue
        if name not in makers:
            raise ValueError(f"the output needs the input '{name}', too, which is not among inputs={list(inputs)}")
        if makers[name] not in found:
            found.add(makers[name])
            pending.extend(captured(graph.node[makers[name]]))
    return [graph.node[i] for i in sorted(found)], read


def captured(node: Any) -> list[str]:
    """Names that a node reads: its inputs, and what graphs among its attributes take from outside."""
    found = list(node.input)
    for graph in subgraphs(node):
        own = {x.name for x in (*graph.input, *graph.initializer)} | {name for n in graph.node for name in n.output}
        inside = [name for n in graph.node for name in captured(n)] + [x.name for x in graph.output]
        found += [name for name in inside if name and name not in own]
    return found


def to_text(fragment: Fragment) -> str:
    """The nodes as text, weights left out."""
    return base64.b64encode(fragment.to_bytes()).decode("ascii")


def from_text(text: str, weights: Sequence[Sequence[Any]]) -> Fragment:
    """The piece of a file that `to_text` wrote, its weights zero. Raises `ValueError` for a damaged one."""
    try:
        model = check_file(base64.b64decode(text, validate=True))
        found = {
            str(name): held(str(name), np.broadcast_to(np.zeros((), np.dtype(dtype)), tuple(shape)))
            for name, shape, dtype in weights
        }
    except (TypeError, ValueError) as error:
        raise ValueError(f"configuration of FrozenONNX: its piece of a file is damaged ({error})") from None
    return Fragment(model, found, Source(model))
