"""Prediction on onnxruntime: the model's inference graph in a session, made again when weights have changed."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import exporters
from ..exporters.runtime import session
from ..trainer.core import tree
from ..trainer.core.graph import Graph
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import Trace
from ..trainer.core.variable import Variable
from ..trainer.threads import session_threads
from . import later
from .call import CallContext, contexts
from .seen import Seen
from .settings import Settings, read_settings

if TYPE_CHECKING:
    from ..exporters.held import Held


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


def has_pieces(model: Any) -> bool:
    """Whether layers of a model are pieces of somebody's file."""
    return any(getattr(layer, key, None) is not None for layer in model.plan.layers() for key in ("fragment", "lifted"))


def untouched_proto(model: Any, opset: int | None = None, held: Held | None = None) -> Any:
    """The file that a model came from, with the weights of now; None where more than these has changed."""
    return later.original_file(model, opset, held=held) if has_pieces(model) else None


def model_proto(model: Any, opset: int | None = None, metadata: dict[str, str] | None = None, **options: Any) -> Any:
    """The ONNX model of a model's inference graph. What comes from somebody's file stands in it as it stood there."""
    graph, inputs, outputs = model_graph(model)
    extra: dict[str, Any] = {"metadata": metadata, "weight_names": model.weight_names(), **options}
    if opset is not None:
        extra["opset"] = opset
    if has_pieces(model) and not {"optimize", "fold_batch_normalization"} & options.keys():
        return later.rewritten(model, graph, outputs, extra)
    return exporters.to_onnx(graph, inputs, outputs, **extra)


def session_content(model: Any, held: Held, anew: bool = False) -> Any:
    """What onnxruntime runs for a model: the file it came from if that is untouched, unless all is to be made anew.

    A path, or the model with the contents of large weights in `held`.
    """
    if anew or (has_pieces(model) and later.gives_maps(model)):
        graph, inputs, outputs = model_graph(model)
        return exporters.to_onnx(graph, inputs, outputs, weight_names=model.weight_names(), held=held)
    found = later.original_file(model, or_path=True, held=held) if has_pieces(model) else None
    return model_proto(model, held=held) if found is None else found


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
        self.input_names: list[str] = []
        self.seen: Seen | None = None
        self.accepted: set[tuple[Any, ...]] = set()

    def is_current(self) -> bool:
        """Whether nothing that the session was made of has changed; False where that takes a closer look."""
        seen = self.seen
        return seen is not None and [v.version for v in self.sources[1:]] == self.versions and seen.is_unchanged()

    def refresh(self) -> None:
        """Make the session anew if any weight, the structure, or what the model's Python reads has changed."""
        if self.is_current():
            return
        variables = self.model.variables
        # the objects themselves are kept: the number that `id` gives is handed out again when one is gone
        sources, versions = [self.model.plan, *variables], [v.version for v in variables]
        same = len(sources) == len(self.sources) and all(map(operator.is_, sources, self.sources))
        if not same or versions != self.versions or read_settings(self.model) != self.settings:
            self._make()
            self.sources, self.versions = sources, versions
            self.settings = read_settings(self.model)
        self.seen = Seen(self.model)

    def _make(self) -> None:
        self.seen = None
        try:
            self.running = self._session()
        except Exception:  # onnxruntime's classes of errors have no common name
            if not has_pieces(self.model):
                raise
            self.running = self._session(anew=True)  # of a version it does not know, say
        self.specs = [x.spec for x in self.model.plan.input_tensors]
        self.input_names = [x.name for x in self.running.get_inputs()]
        self.accepted = set()

    def _session(self, anew: bool = False) -> Any:
        held = later.Held()
        content = session_content(self.model, held, anew)
        options: dict[str, Any] = {"threads": session_threads(), "device": self.device}
        if isinstance(content, Path):
            return session(str(content), self.providers, **options)
        content, weights = later.weights_apart(content)
        return session(content, self.providers, weights=weights, **options)

    def __call__(self, values: list[Any]) -> Any:
        """Outputs, in the model's structure, for inputs in the order of the model's inputs."""
        arrays = [np.asarray(v).astype(s.dtype, copy=False) for v, s in zip(values, self.specs, strict=True)]
        results = self.running.run(None, dict(zip(self.input_names, arrays, strict=True)))
        outputs = self.model.plan.outputs
        if isinstance(outputs, Tensor):
            return results[0]
        remaining = iter(results)
        return tree.map_structure(lambda x: None if x is None else next(remaining), outputs)

    def accept(self, x: Any, values: list[Any]) -> None:
        """Remember that an array could be taken as it is: others of its kind need not be looked at again."""
        if len(values) == 1 and type(x) is np.ndarray and isinstance(self.sources[0].outputs, Tensor):
            spec = self.specs[0]
            as_is = x.shape == np.shape(values[0]) and x.dtype == spec.dtype and x.ndim > 0
            if as_is and not isinstance(spec.shape[0], int):
                self.accepted.add((x.dtype, *x.shape[1:]))

    def run_accepted(self, x: np.ndarray) -> np.ndarray | None:
        """The model's only output for an array like one that was accepted; None where the long way is to be taken."""
        if not x.shape or not x.shape[0] or (x.dtype, *x.shape[1:]) not in self.accepted or not self.is_current():
            return None
        try:
            return self.running.run(None, {self.input_names[0]: x})[0]
        except Exception:  # onnxruntime's classes of errors have no common name; the long way raises it with its cause
            return None
