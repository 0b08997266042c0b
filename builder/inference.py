"""Prediction on onnxruntime: the model's inference graph in a session, made again when weights have changed."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..exporters.convert import to_onnx
from ..exporters.runtime import session
from ..trainer.core import tree
from ..trainer.core.graph import Graph
from ..trainer.core.trace import Trace
from ..trainer.core.variable import Variable
from .call import CallContext, contexts
from .settings import Settings, read_settings


def model_graph(model: Any, training: bool = False) -> tuple[Graph, list[str], list[str]]:
    """The graph of a model with the names of inputs and outputs: traced anew, by calling each layer once."""
    reference = model.plan
    inputs = reference.input_tensors
    with Trace() as effects:
        contexts.stack.append(CallContext(training, []))
        try:
            outputs = reference.run(inputs)
        finally:
            contexts.stack.pop()
    outputs = tree.map_structure(lambda x: x.read() if isinstance(x, Variable) else x, outputs)
    graph = Graph(inputs, outputs, effects.assigned if training else {})
    return graph, model.input_names, model.output_names


def model_proto(model: Any, opset: int | None = None, metadata: dict[str, str] | None = None, **options: Any) -> Any:
    """The ONNX model of a model's inference graph."""
    graph, inputs, outputs = model_graph(model)
    extra = {} if opset is None else {"opset": opset}
    return to_onnx(graph, inputs, outputs, metadata=metadata, weight_names=model.weight_names(), **extra, **options)


class InferenceSession:
    """A cached onnxruntime session of a model."""

    def __init__(self, model: Any, device: str, providers: list[str] | None) -> None:
        self.model = model
        self.device = device
        self.providers = providers
        self.versions: list[int] = []
        self.sources: list[Any] = []
        self.running: Any = None
        self.specs: list[Any] = []
        self.settings: Settings = {}

    def refresh(self) -> None:
        """Make the session anew if any weight, the structure, or what the model's Python reads has changed."""
        variables = self.model.variables
        # the objects themselves are kept: the number that `id` gives is handed out again when one is gone
        sources, versions = [self.model.plan, *variables], [v.version for v in variables]
        same = len(sources) == len(self.sources) and all(map(operator.is_, sources, self.sources))
        if not same or versions != self.versions or read_settings(self.model) != self.settings:
            self.running = session(model_proto(self.model).SerializeToString(), self.providers, device=self.device)
            self.specs = [x.spec for x in self.model.plan.input_tensors]
            self.sources, self.versions = sources, versions
            self.settings = read_settings(self.model)

    def __call__(self, values: list[Any]) -> Any:
        """Outputs, in the model's structure, for inputs in the order of the model's inputs."""
        names = [x.name for x in self.running.get_inputs()]
        arrays = [np.asarray(v).astype(s.dtype, copy=False) for v, s in zip(values, self.specs, strict=True)]
        results = self.running.run(None, dict(zip(names, arrays, strict=True)))
        leaves = tree.flatten(self.model.plan.outputs)
        remaining = iter(results)
        return tree.pack_sequence_as(self.model.plan.outputs, [None if x is None else next(remaining) for x in leaves])
