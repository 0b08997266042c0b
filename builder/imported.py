"""ONNX files of other libraries as models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..exporters.imported import import_graph
from ..trainer.core.spec import TensorSpec
from ..trainer.core.tensor import Tensor
from .functional import Functional
from .input import Input


def imported_model(proto: Any, name: str | None = None, shapes: Mapping[str, Any] | None = None) -> Functional:
    """The model that an ONNX file describes: its operators are ours, its floating-point weights variables.

    proto: a `ModelProto`, checked by `exporters.limits.check_file`
    shapes: other shapes than the file's for inputs by name

    Raises `UnsupportedOperatorError` naming the node for what cannot be computed.
    """
    imported = import_graph(proto, shapes, make_input=_input)
    inputs, outputs = imported.graph.inputs, imported.graph.results
    return Functional(
        inputs[0] if len(inputs) == 1 else inputs, outputs[0] if len(outputs) == 1 else outputs, name=name
    )  # pyright: ignore[reportReturnType]


def _input(spec: TensorSpec, name: str) -> Tensor:
    return Input(batch_shape=spec.shape, dtype=spec.dtype.name, name=name)
