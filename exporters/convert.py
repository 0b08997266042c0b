"""From a traced graph to an ONNX model, and back out through onnxruntime: the short way for functions and tests."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..trainer.core.graph import Graph
from ..trainer.core.variable import Variable
from .external import write_model
from .files import check_writable
from .held import Held
from .ir import OnnxGraph
from .opsets import check_opset
from .origins import Origin, origins_text
from .passes.pipeline import improve
from .runtime import explain, session
from .serialize import model_proto
from .writer import Keeper, lower_graph

DEFAULT_OPSET = 21
"""Taken by onnxruntime 1.20 (November 2024) and later."""


def to_onnx(
    graph: Graph,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset: int = DEFAULT_OPSET,
    metadata: Mapping[str, str] | None = None,
    *,
    weight_names: Mapping[Variable, str] | None = None,
    fold_batch_normalization: bool = True,
    keep_weights: bool = False,
    optimize: bool = True,
    keeper: Keeper | None = None,
    held: Held | None = None,
) -> Any:
    """The ONNX model (protobuf) of a graph. Raises `ValueError` for an opset that cannot be written and run here.

    weight_names: names of initializers; without one, a variable's path
    fold_batch_normalization: merge it into convolutions where its statistics are fixed
    keep_weights: write every variable so that it can be read back (metadata `sardonyx.origins` says how); nothing that
        would prevent that is folded
    optimize: False writes the operators as they were lowered, for comparison
    keeper: writes parts of the graph itself, in their own version of the operators
    held: takes the arrays of large weights, of which the model then has no copy; keep it as long as the model
    """
    options = {"weight_names": weight_names, "fold_batch_normalization": fold_batch_normalization, "keeper": keeper}
    lowered = to_graph(graph, input_names, output_names, opset, keep_weights=keep_weights, optimize=optimize, **options)
    return model_proto(lowered, opset, {**(metadata or {}), **_origins(lowered)}, held)


def to_graph(
    graph: Graph,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset: int = DEFAULT_OPSET,
    *,
    weight_names: Mapping[Variable, str] | None = None,
    fold_batch_normalization: bool = True,
    keep_weights: bool = False,
    optimize: bool = True,
    keeper: Keeper | None = None,
    on_gpu: bool = False,
) -> OnnxGraph:
    """The ONNX graph of a graph, before it becomes protobuf; arguments as of `to_onnx`.

    on_gpu: written as a GPU runs it fastest, where that differs; the same numbers to rounding
    """
    if keeper is None:
        check_opset(opset)
    inputs = list(input_names or [x.name or f"input_{i}" for i, x in enumerate(graph.inputs)])
    outputs = list(output_names or [f"output_{i}" for i in range(len(graph.results))])
    lowered = lower_graph(graph, inputs, outputs, opset, weight_names=weight_names, keeper=keeper, on_gpu=on_gpu)
    return improve(lowered, opset, fold_batch_normalization, keep_weights) if optimize else lowered


def write_onnx(
    path: str | os.PathLike[str],
    graph: Graph,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset: int = DEFAULT_OPSET,
    metadata: Mapping[str, str] | None = None,
    **options: Any,
) -> Path:
    """Write the ONNX file of a graph, whole or not at all; beyond 2 GB the weights go to a second file, `<name>.data`.

    Arguments as of `to_onnx`. Raises `FileNotFoundError`, `IsADirectoryError` or `PermissionError` before any work.
    """
    check_writable(path)
    lowered = to_graph(graph, input_names, output_names, opset, **options)
    return write_model(path, lowered, opset, {**(metadata or {}), **_origins(lowered)})


def _origins(graph: OnnxGraph) -> dict[str, str]:
    """Metadata on the weights that do not stand in the file as they are in the model."""
    changed = {name: origin for name, origin in graph.origins.items() if origin != Origin(name)}
    return {"sardonyx.origins": origins_text(changed)} if changed else {}


def run_graph(graph: Graph, *values: Any, opset: int = DEFAULT_OPSET) -> list[np.ndarray]:
    """Run a graph in onnxruntime; the outputs in the order of `graph.results`.

    Raises `RuntimeError` naming the node and the user's line where onnxruntime fails.
    """
    lowered = to_graph(graph, opset=opset)
    try:
        running = session(model_proto(lowered, opset).SerializeToString())
        feed = {x.name: np.asarray(v) for x, v in zip(running.get_inputs(), values, strict=True)}
        return running.run(None, feed)
    except Exception as error:
        if type(error).__module__.startswith("onnxruntime"):
            raise explain(error, lowered.sources()) from error
        raise
