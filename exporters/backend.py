"""The interface of `onnx.backend` over the NumPy core: `prepare`, `run_model`, `run_node`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..trainer.core.tensor import Tensor
from .importer import Program
from .lazy import onnx
from .operators import Sizes
from .protos import tensor_array


class Prepared:
    """A model that is ready to run."""

    def __init__(self, model: Any) -> None:
        self.program = Program(model)

    def run(self, inputs: Any, **options: Any) -> tuple[Any, ...]:
        """The outputs, as arrays or lists of arrays, for inputs in the order of the graph's or by name."""
        names = [x.name for x in self.program.model.graph.input]
        if not isinstance(inputs, Mapping):
            inputs = [inputs] if isinstance(inputs, np.ndarray) else inputs
            own = names if len(inputs) == len(names) else [x.name for x in self.program.inputs]
            inputs = dict(zip(own, inputs, strict=False))
        given: dict[str, Any] = dict.fromkeys(x.name for x in self.program.inputs)
        given.update({name: to_value(x) for name, x in inputs.items()})
        return tuple(from_value(x) for x in self.program(given))


def to_value(x: Any) -> Any:
    """What the reader computes with: tensors, lists, None."""
    if x is None or isinstance(x, Tensor):
        return x
    if isinstance(x, onnx.TensorProto):
        return Tensor(tensor_array(x))
    return [to_value(v) for v in x] if isinstance(x, (list, tuple)) else Tensor(np.asarray(x))


def from_value(x: Any) -> Any:
    """Arrays, lists and None of what the reader computed."""
    if isinstance(x, list):
        return [from_value(v) for v in x]
    if isinstance(x, Sizes):
        x = x.tensor()
    return x.numpy() if isinstance(x, Tensor) else x


def prepare(model: Any, device: str = "CPU", **options: Any) -> Prepared:
    """A `ModelProto` ready to run. Raises `UnsupportedOperatorError` when it runs, for what cannot be computed.

    >>> import onnx, numpy as np
    >>> from sardonyx.exporters import backend
    >>> node = onnx.helper.make_node("Relu", ["x"], ["y"])
    >>> backend.run_node(node, [np.float32([-1, 2])])
    (array([0., 2.], dtype=float32),)
    """
    return Prepared(model)


def run_model(model: Any, inputs: Any, device: str = "CPU", **options: Any) -> tuple[Any, ...]:
    """The outputs of a `ModelProto`."""
    return prepare(model, device).run(inputs)


def run_node(
    node: Any, inputs: Sequence[Any], device: str = "CPU", outputs_info: Any = None, **options: Any
) -> tuple[Any, ...]:
    """The outputs of one node, in the newest version of its operator or that of `opset_version`."""
    version = options.get("opset_version") or onnx.defs.onnx_opset_version()
    empty = onnx.TypeProto()
    graph = onnx.helper.make_graph(
        [node], "node", [onnx.helper.make_value_info(name, empty) for name in node.input if name],
        [onnx.helper.make_value_info(name, empty) for name in node.output if name],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid(node.domain, version)])
    return prepare(model).run(inputs)


def supports_device(device: str) -> bool:
    """Whether a device can be used: the CPU."""
    return device.split(":", maxsplit=1)[0].upper() == "CPU"
