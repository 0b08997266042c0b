"""From a traced graph to an ONNX model, and back out through onnxruntime: the short way for functions and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..trainer.core.graph import Graph
from ..trainer.core.variable import Variable
from ..trainer.core.variable import Variable
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
    metadata: dict[str, str] | None = None,
    weight_names: Mapping[Variable, str] | None = None,
) -> Any:
    """The ONNX model (protobuf) of a graph."""
    inputs = list(input_names or [x.name or f"input_{i}" for i, x in enumerate(graph.inputs)])
    outputs = list(output_names or [f"output_{i}" for i in range(len(graph.results))])
    return model_proto(lower_graph(graph, inputs, outputs, opset, weight_names=weight_names), opset, metadata)


def run_graph(graph: Graph, *values: Any, opset: int = DEFAULT_OPSET) -> list[np.ndarray]:
    """Run a graph in onnxruntime; the outputs in the order of `graph.results`."""
    running = session(to_onnx(graph, opset=opset).SerializeToString())
    feed = {x.name: np.asarray(v) for x, v in zip(running.get_inputs(), values, strict=True)}
    return running.run(None, feed)
