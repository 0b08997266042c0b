"""The training step of a model as files that any onnxruntime runs, without this package."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ..exporters.convert import DEFAULT_OPSET, to_graph
from ..exporters.files import write_atomically
from ..exporters.serialize import checked, model_proto
from ..exporters.state_graph import unique_names
from ..exporters.training_info import describe_training, to_bytes
from ..trainer.core import tree
from ..trainer.core.dims import promised
from ..trainer.core.dtypes import dtype_name
from ..trainer.core.graph import Graph
from ..trainer.core.spec import TensorSpec
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import Trace, symbolic_input
from ..trainer.core.variable import Variable
from .files import check_target
from .inference import model_graph
from .onnx_operator import OnnxOperator
from .saving import check_built
from .training_loops import LOOPS

NEXT = "/next"
"""What is appended to a variable's name in the output that holds its next value."""
MANIFEST = "sardonyx.training"


def export_training(
    model: Any, filepath: Any, labels: Any = None, opset: int = DEFAULT_OPSET, overwrite: bool = True
) -> dict[str, Path]:
    """Write the training step of a compiled model as plain ONNX, to be run by any onnxruntime; returns the files.

    Beside `train.onnx` (batch, labels, learning rate and state to loss, metrics and the next state) stand `eval.onnx`
    (batch, labels, state to loss and metrics), `predict.onnx` (batch to outputs; the weights may be fed, too),
    `state.onnx` (nothing to the first state) and sample loops in Python, JavaScript and C#. A manifest (metadata
    `sardonyx.training`, JSON) names inputs, labels, outputs and state; the value of a variable `v` after a step is the
    output `v/next`. `predict.onnx` also carries the step as ONNX's own `training_info`.

    labels: a `TensorSpec` for each output with a loss, where the shape of the labels cannot be told from the loss
    opset: ONNX's version

    Raises `ValueError` for a model that is not built or compiled, `NotImplementedError` for a step that ONNX cannot
    express, `OSError`s for what cannot be written; nothing is written then.

    >>> import tempfile, pathlib, sardonyx as sx
    >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(3)])
    >>> model.compile("adam", sx.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = sx.export_training(model, pathlib.Path(folder) / "train.onnx")
    >>> sorted(files)
    ['eval', 'loop.cs', 'loop.mjs', 'loop.py', 'predict', 'state', 'train']
    """
    target = check_target(filepath, (".onnx",), overwrite, "export_training")
    check_built(model, "export_training")
    if not model.compiled:
        raise ValueError(
            f"model '{model.name}' is not compiled: call compile(optimizer, loss) before export_training()"
        )
    step = _Step(model, labels)
    contents = step.files(opset)
    names = {key: target if key == "train" else target.with_name(f"{key}.onnx") for key in contents}
    loops = {key: target.with_name(key) for key in LOOPS}
    for path in [*names.values(), *loops.values()]:
        check_target(path, (path.suffix,), overwrite, "export_training")
    for key, path in names.items():
        write_atomically(path, contents[key])
    for key, path in loops.items():
        write_atomically(path, LOOPS[key].replace("train.onnx", target.name).encode())
    return {**names, **loops}


class _Step:
    """The graphs of one model's steps, and the names of all that goes in and out."""

    def __init__(self, model: Any, labels: Any) -> None:
        self.model = model
        self.inputs = [symbolic_input(TensorSpec(("batch", *x.shape[1:]), x.dtype), x.name) for x in model.inputs]
        self.labels = self._labels(labels)
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self.train = self._trace(model.train_step)
        self.evaluate = self._trace(model.test_step)
        self.rate = model.optimizer._rate if isinstance(model.optimizer._rate, Variable) else None
        held = list(dict.fromkeys([*model.variables, *self.train.variables, *self.train.assigns]))
        own = {id(v) for metric in model.metrics for v in metric.variables}
        self.state = [v for v in held if v is not self.rate and id(v) not in own]
        self.names = unique_names(self.state, model.weight_names())

    def _labels(self, given: Any) -> Any:
        """Symbolic labels in the structure of the outputs."""
        outputs = tree.flatten(self.model.output)
        names = self.model.output_names
        if given is not None:
            specs = tree.flatten(given)
            if len(specs) != len(outputs) or not all(isinstance(x, TensorSpec) for x in specs):
                raise ValueError(
                    f"export_training: labels: expected a TensorSpec for each of the outputs {names}, got {given!r}"
                )
        else:
            specs = [self._label_spec(i, x) for i, x in enumerate(outputs)]
        made = [
            symbolic_input(s, "labels" if len(names) == 1 else f"labels_{n}") for s, n in zip(specs, names, strict=True)
        ]
        return tree.pack_sequence_as(self.model.output, made)

    def _label_spec(self, place: int, output: Tensor) -> TensorSpec:
        losses = self.model._ready(self.model.output).losses
        sparse = "sparse" in type(losses[place]).__name__.lower() or "sparse" in str(getattr(losses[place], "name", ""))
        if sparse:
            return TensorSpec(("batch", *output.shape[1:-1]), "int32")
        return TensorSpec(("batch", *output.shape[1:]), output.dtype)

    def _trace(self, step: Callable[[Any], Any]) -> Graph:
        """The graph of a step on one batch, whose metrics start anew."""
        inputs = self.inputs[0] if len(self.inputs) == 1 else tree.pack_sequence_as(self.model.input, self.inputs)
        has_pieces = any(isinstance(layer, OnnxOperator) for layer in self.model.walk_layers())
        with promised() if has_pieces else nullcontext(), Trace() as effects:
            for metric in self.model.metrics:
                metric.reset_state()
            logs = dict(step((inputs, self.labels)))
        metrics = {id(v) for metric in self.model.metrics for v in metric.variables}
        assigns = {v: x for v, x in effects.assigned.items() if id(v) not in metrics}
        return Graph([*self.inputs, *tree.flatten(self.labels)], logs, assigns)

    def files(self, opset: int) -> dict[str, bytes]:
        """The contents of the files by their names."""
        proto = {
            "train": self._proto(self.train, opset, self.rate),
            "eval": self._proto(self.evaluate, opset, None),
            "state": self._initial(opset),
        }
        predict = self._predict(opset)
        values = {self.names[v]: v.array for v in self.state}
        if self.rate is not None:
            values["learning_rate"] = self.rate.array
        describe_training(predict, proto["train"], values, NEXT)
        return {key: to_bytes(value) for key, value in {**proto, "predict": predict}.items()}

    def _proto(self, graph: Graph, opset: int, rate: Variable | None) -> Any:
        read = [v for v in self.state if v in set(graph.variables) | set(graph.assigns)]
        first = [*graph.inputs, *([rate.symbol()] if rate is not None else [])]
        assigned = [v for v in self.state if v in graph.assigns]
        logs = list(graph.outputs)
        whole = Graph(
            [*first, *[v.symbol() for v in read]], [*graph.outputs.values(), *[graph.assigns[v] for v in assigned]]
        )
        names = [x.name or "input" for x in graph.inputs] + ["learning_rate"] * (rate is not None)
        inputs = [*names, *[self.names[v] for v in read]]
        outputs = [*logs, *[self.names[v] + NEXT for v in assigned]]
        lowered = to_graph(whole, inputs, outputs, opset)
        manifest = self._manifest(read, assigned, logs, rate)
        return checked(model_proto(lowered, opset, {MANIFEST: json.dumps(manifest)}))

    def _manifest(
        self, read: Sequence[Variable], assigned: Sequence[Variable], logs: Sequence[str], rate: Variable | None
    ) -> dict[str, Any]:
        return {
            "inputs": [_described(x) for x in self.inputs],
            "labels": [_described(x) for x in tree.flatten(self.labels)],
            "learning_rate": None if rate is None else float(rate.array),
            "outputs": list(logs),
            "state": [self.names[v] for v in read],
            "next_state": {self.names[v]: self.names[v] + NEXT for v in assigned},
        }

    def _initial(self, opset: int) -> Any:
        """A model without inputs whose outputs are the state to begin with."""
        values = Graph([], [Tensor(v.array) for v in self.state])
        lowered = to_graph(values, [], [self.names[v] for v in self.state], opset)
        return checked(model_proto(lowered, opset, {}))

    def _predict(self, opset: int) -> Any:
        """The inference graph; weights are initializers and inputs, so that later values may be fed."""
        graph, inputs, outputs = model_graph(self.model)
        state = set(self.state)
        read = [v for v in graph.variables if v in state]
        whole = Graph([*graph.inputs, *[v.symbol() for v in read]], graph.outputs)
        lowered = to_graph(whole, [*inputs, *[self.names[v] for v in read]], outputs, opset)
        lowered.initializers.update({self.names[v]: v.array for v in read})
        return checked(model_proto(lowered, opset, {}))


def _described(x: Tensor) -> dict[str, Any]:
    return {
        "name": x.name,
        "dtype": dtype_name(x.dtype),
        "shape": [size if isinstance(size, int) else str(size) for size in x.shape],
    }
