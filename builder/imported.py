"""ONNX files of other libraries as models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..exporters.fragments import Fragment, is_symbolic
from ..exporters.imported import Importer
from ..exporters.source import Source
from ..exporters.weights import clean_name
from ..trainer.core.draws import own_draws
from ..trainer.core.spec import TensorSpec
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import Trace
from .frozen import FreezingImporter, frozen_model
from .functional import Functional
from .input import Input
from .lifting import LiftingImporter
from .onnx_operator import NotTensorsError, OnnxOperator


def imported_model(
    source: Source,
    name: str | None = None,
    shapes: Mapping[str, Any] | None = None,
    lift: bool = True,
    frozen: bool | str = False,
) -> Functional:
    """The model that an ONNX file describes: its nodes are layers, its floating-point weights variables, all frozen.

    source: a file, checked by `exporters.read.open_source`
    shapes: other shapes than the file's for inputs by name
    lift: whether runs of nodes that are one layer of ours become that layer
    frozen: "unsupported" keeps what we cannot compute or differentiate on onnxruntime, True the whole file

    Raises `UnsupportedOperatorError` naming the node for what cannot be computed.
    """
    if frozen is True:
        return frozen_model(source, name, shapes)
    if frozen not in (False, "unsupported"):
        raise ValueError(f'frozen: expected True, False or "unsupported", got {frozen!r}')
    kind = FreezingImporter if frozen else LiftingImporter if lift else Importer
    with Trace(records=True), own_draws():  # layers are made here, and a file's nodes run no code of the user's

        def place(fragment: Fragment, values: Sequence[Any], name: str) -> list[Tensor] | None:
            return _layer(importer, fragment, values, name)

        importer: Importer = kind(source, place, _input, shapes)
        imported = importer.run()
    inputs, outputs = imported.inputs, imported.outputs
    model = Functional(
        inputs[0] if len(inputs) == 1 else inputs, outputs[0] if len(outputs) == 1 else outputs, name=name
    )
    if model.weights:
        model.freeze()  # what somebody has trained is kept until it is said what shall change
    return model


def _layer(importer: Importer, fragment: Fragment, values: Sequence[Any], name: str) -> list[Tensor] | None:
    """The results of a layer that is a piece of the file; None where they are not all symbolic tensors."""
    layer = OnnxOperator(fragment, name=importer.free_name(name))
    try:
        results = layer(*values)
    except NotTensorsError:
        return None
    made = results if isinstance(results, list) else [results]
    if not all(map(is_symbolic, made)):
        return None
    importer.unique(name)
    return made


def _input(spec: TensorSpec, name: str) -> Tensor:
    return Input(batch_shape=spec.shape, dtype=spec.dtype.name, name=clean_name(name))
