"""What is in an opened file, and what of it can be trained."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..exporters.importer import opset_versions
from ..exporters.source import Source
from ..exporters.weights import constant_reasons
from ..trainer.core.errors import format_shape
from .loading import load_model
from .original import piece_of, sources_of


@dataclass(frozen=True)
class WeightFact:
    """One array of the file.

    layer: that holds it as a variable; empty for a constant
    trained: whether training changes it now
    reason: why it is trained or not
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layer: str
    trained: bool
    reason: str


@dataclass(frozen=True)
class FileReport:
    """What `describe` found; printed, it is a table.

    inputs, outputs: names with element type and shape
    opsets: versions of the operators by domain ("" is ONNX's own); empty for a model of no file
    operators: how often each stands in the file
    frozen_parts: layers that run on onnxruntime as they are, without a gradient
    """

    name: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    opsets: Mapping[str, int]
    producer: str
    operators: Mapping[str, int]
    weights: tuple[WeightFact, ...]
    frozen_parts: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.name}" + (f", written by {self.producer}" if self.producer else "")]
        lines += [f"  input  {name}: {spec}" for name, spec in self.inputs.items()]
        lines += [f"  output {name}: {spec}" for name, spec in self.outputs.items()]
        lines += [f"  opset  {domain or 'ai.onnx'} {version}" for domain, version in self.opsets.items()]
        lines.append("  nodes  " + (", ".join(f"{k} {n}" for k, n in self.operators.items()) or "none"))
        lines += [f"  on onnxruntime, without a gradient: {name}" for name in self.frozen_parts]
        reasons: dict[tuple[bool, str], list[WeightFact]] = {}
        for fact in self.weights:
            reasons.setdefault((fact.trained, fact.reason), []).append(fact)
        for (trained, reason), facts in sorted(reasons.items(), key=lambda item: not item[0][0]):
            count = sum(int(np.prod(fact.shape)) for fact in facts)
            lines.append(f"  {'trained' if trained else 'fixed  '} {len(facts)} arrays, {count:,} numbers: {reason}")
        return "\n".join(lines)


def describe(model: Any) -> FileReport:
    """What a model, or an ONNX file, takes and gives, of which operators it is, which weights are trained, and why not.

    model: a model, or the path of a file

    Raises what `load_model` raises.

    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((4,), name="x"), sx.layers.Dense(2, name="y")], name="net")
    >>> print(sx.models.describe(model))
    net
      input  x: float32 (batch, 4)
      output y: float32 (batch, 2)
      nodes  none
      trained 2 arrays, 10 numbers: of a layer that is not frozen
    """
    if isinstance(model, (str, os.PathLike)):
        model = load_model(model)
    plan = model.plan
    sources = sources_of(plan.layers())
    nodes = Counter(node.op_type for source in sources for node in source.frame.graph.node)
    facts = _variables(model)
    known = {fact.name for fact in facts}
    for source in sources:
        facts += [fact for fact in _constants(source) if fact.name not in known]
    return FileReport(
        model.name,
        {name: _spec(x) for name, x in zip(model.input_names, plan.input_tensors, strict=True)},
        {name: _spec(x) for name, x in zip(model.output_names, plan.output_tensors, strict=True)},
        opset_versions(sources[0].frame) if sources else {},
        f"{sources[0].frame.producer_name} {sources[0].frame.producer_version}".strip() if sources else "",
        dict(nodes.most_common()),
        tuple(facts),
        tuple(layer.name for layer in model.walk_layers() if type(layer).__name__ == "FrozenONNX"),
    )


def _spec(x: Any) -> str:
    return f"{x.dtype.name} {format_shape(x.shape)}"


def _variables(model: Any) -> list[WeightFact]:
    found: dict[int, WeightFact] = {}
    names = {id(v): name for layer in model.walk_layers() for name, v in _file_names(layer).items()}
    for layer in model.walk_layers():
        for v in layer.own_variables():
            trained = v.trainable and layer.trainable
            reason = "of a layer that is not frozen"
            if not v.trainable:
                reason = "statistics, measured and not learned"
            elif not layer.trainable:
                reason = "of a frozen layer; model.unfreeze() or unfreeze(pattern) frees it"
            name = str(names.get(id(v), v.path))
            found.setdefault(id(v), WeightFact(name, v.shape, v.dtype.name, layer.name, trained, reason))
    return list(found.values())


def _file_names(layer: Any) -> Mapping[str, Any]:
    piece = piece_of(layer)
    return {} if piece is None else piece.variables


def _constants(source: Source) -> list[WeightFact]:
    return [
        WeightFact(name, shape, dtype, "", False, reason)
        for name, (shape, dtype, reason) in constant_reasons(source.frame).items()
    ]
