"""From a traced graph to an ONNX model, and back out through onnxruntime: the short way for functions and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..trainer.core.graph import Graph
from ..trainer.core.variable import Variable
from .ir import OnnxGraph
from .origins import Origin, origins_text
from .passes.pipeline import improve
from .runtime import session
from .serialize import model_proto
from .writer import lower_graph

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
) -> Any:
    """The ONNX model (protobuf) of a graph.

    weight_names: names of initializers; without one, a variable's path
    fold_batch_normalization: merge it into convolutions where its statistics are fixed
    keep_weights: write every variable so that it can be read back (metadata `sardonyx.origins` says how); nothing that
        would prevent that is folded
    optimize: False writes the operators as they were lowered, for comparison
    """
    inputs = list(input_names or [x.name or f"input_{i}" for i, x in enumerate(graph.inputs)])
    outputs = list(output_names or [f"output_{i}" for i in range(len(graph.results))])
    lowered = lower_graph(graph, inputs, outputs, opset, weight_names=weight_names)
    if optimize:
        improve(lowered, opset, fold_batch_normalization, keep_weights)
    return model_proto(lowered, opset, {**(metadata or {}), **_origins(lowered)})


def _origins(graph: OnnxGraph) -> dict[str, str]:
    """Metadata on the weights that do not stand in the file as they are in the model."""
    changed = {name: origin for name, origin in graph.origins.items() if origin != Origin(name)}
    return {"sardonyx.origins": origins_text(changed)} if changed else {}


def run_graph(graph: Graph, *values: Any, opset: int = DEFAULT_OPSET) -> list[np.ndarray]:
    """Run a graph in onnxruntime; the outputs in the order of `graph.results`."""
    running = session(to_onnx(graph, opset=opset).SerializeToString())
    feed = {x.name: np.asarray(v) for x, v in zip(running.get_inputs(), values, strict=True)}
    return running.run(None, feed)
