"""ONNX files as models that onnxruntime runs: whole, or where there are operators that we do not know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..exporters.fragments import Entry
from ..exporters.frozen_runs import FrozenRun, find_frozen_runs
from ..exporters.frozen_source import cut
from ..exporters.imported import DimensionNames, input_spec
from ..exporters.node_reading import ReadNode
from ..exporters.source import Source
from ..exporters.weights import clean_name
from ..trainer.core import tree
from ..trainer.core.tensor import Tensor
from .functional import Functional
from .input import Input
from .layers.frozen import FrozenONNX
from .lifting import LiftingImporter


def frozen_model(source: Source, name: str | None = None, shapes: Mapping[str, Any] | None = None) -> Functional:
    """The model that an ONNX file describes as one layer on onnxruntime; arguments as of `imported.imported_model`."""
    fragment, sizes = cut(source), DimensionNames()
    given = {x.name: x for x in source.frame.graph.input}
    unknown = [key for key in shapes or {} if key not in fragment.inputs]
    if unknown:
        raise ValueError(f"shapes: the file has no input {unknown[0]!r}; its inputs are {', '.join(fragment.inputs)}")
    specs = [input_spec(given[key], sizes, (shapes or {}).get(key)) for key in fragment.inputs]
    inputs = [
        Input(batch_shape=spec.shape, dtype=spec.dtype.name, name=clean_name(key))
        for key, spec in zip(fragment.inputs, specs, strict=True)
    ]
    outputs = FrozenONNX(fragment, name=clean_name(name or source.frame.graph.name or "frozen"))(*inputs)
    _name(outputs, fragment.outputs)
    return Functional(inputs[0] if len(inputs) == 1 else inputs, outputs, name=name)


def _name(outputs: Any, names: tuple[str, ...]) -> None:
    for x, key in zip(tree.flatten(outputs), names, strict=True):
        if isinstance(x, Tensor) and x.symbol is not None:
            x.symbol.name = key


class FreezingImporter(LiftingImporter):
    """Reads a file as layers, and keeps what we cannot compute or differentiate on onnxruntime."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.runs = {i: run for run in find_frozen_runs(self.source.frame) for i in run.nodes}
        touched = {id(group) for i, group in self.groups.items() if i in self.runs}
        self.groups = {i: group for i, group in self.groups.items() if id(group) not in touched}

    def read(self, i: int, node: ReadNode) -> None:
        """One node: part of what is frozen, which becomes a layer at its last node, or read as elsewhere."""
        run = self.runs.get(i)
        if run is None:
            super().read(i, node)
        elif i == run.nodes[-1]:
            self._freeze(run, node)

    def _freeze(self, run: FrozenRun, last: ReadNode) -> None:
        missing = [name for name in run.inputs if name not in self.entries]
        if missing:
            raise ValueError(
                f"{last.call.label}: the file names '{missing[0]}' as an input, but nothing before is that"
            )
        entries = [self.entries[name] for name in run.inputs]
        nodes = frozenset(run.nodes).union(*[entry.nodes for entry in entries])
        tensors = tuple(dict.fromkeys(name for entry in entries for name in entry.tensors))
        leaves = tuple(dict.fromkeys(name for entry in entries for name in entry.leaves))
        fragment, entering = self.pieces.cut(Entry(None, False, nodes, tensors, leaves), run.outputs)
        for variable in fragment.weights.values():
            variable.trainable = False
        layer = FrozenONNX(fragment, name=self.unique(f"frozen_{last.operator}"))
        outputs = layer(*[self.entries[name].value for name in entering])
        _name(outputs, run.outputs)
        for name, x in zip(run.outputs, tree.flatten(outputs), strict=True):
            self.entries[name] = Entry(x, True, tensors=(name,))
