"""Arrays that travel in an ONNX file beside the inference graph: weights in their own form, an optimizer's state.

They stand among the initializers of ONNX's `training_info`, which runtimes for inference leave alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .held import Held, tensor_of
from .lazy import onnx
from .mapped import mapped_array

LARGEST = 2**31 - 1
"""Bytes that one protobuf message can hold."""


def attach(model: Any, arrays: Mapping[str, np.ndarray], held: Held | None = None) -> None:
    """Add named arrays to a model; contents of large ones stay in `held` if that is given."""
    if arrays:
        algorithm = model.training_info.add().algorithm
        algorithm.name = "sardonyx"
        algorithm.initializer.extend(tensor_of(np.asarray(array), name, held) for name, array in arrays.items())


def attached(model: Any) -> dict[str, np.ndarray]:
    """The arrays that `attach` added."""
    return {x.name: _array(x) for info in model.training_info for x in info.algorithm.initializer}


def initializers(model: Any) -> dict[str, np.ndarray]:
    """The initializers of the inference graph."""
    return {x.name: _array(x) for x in model.graph.initializer}


def describe_training(model: Any, step: Any, state: Mapping[str, np.ndarray], suffix: str) -> None:
    """Say in a model's `training_info` how it is trained: the graph of `step` is its algorithm.

    As ONNX's specification has it, the algorithm sees the inference graph's initializers by name and brings its own
    (moments, counters, the learning rate), and `update_binding` says which output replaces which initializer. The
    graph's inputs are those of `step` that are no initializers: batch and labels.

    state: first values by name
    """
    known = {x.name for x in model.graph.initializer}
    info = model.training_info.add()
    info.algorithm.CopyFrom(step.graph)
    del info.algorithm.input[:]
    info.algorithm.input.extend(x for x in step.graph.input if x.name not in state)
    own = [x.name for x in step.graph.input if x.name in state and x.name not in known]
    info.algorithm.initializer.extend(onnx.numpy_helper.from_array(np.asarray(state[name]), name) for name in own)
    made = {x.name for x in step.graph.output}
    for name in state:
        if name + suffix in made:
            info.update_binding.add(key=name, value=name + suffix)


def _array(tensor: Any) -> np.ndarray:
    """The value of a tensor in the file itself. Raises `ValueError` for one that is elsewhere, or damaged."""
    mapped = mapped_array(tensor)
    if mapped is not None:
        return mapped
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise ValueError(f"the tensor '{tensor.name}' lies in another file; expected it in the model's own")
    try:
        return onnx.numpy_helper.to_array(tensor)
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"the tensor '{tensor.name}' is damaged: {error}") from None


def properties(model: Any) -> dict[str, str]:
    """The texts in a model's metadata."""
    return {entry.key: entry.value for entry in model.metadata_props}


def add_properties(model: Any, texts: Mapping[str, str]) -> None:
    """Add texts to a model's metadata, in the place of those of the same keys."""
    kept = [(x.key, x.value) for x in model.metadata_props if x.key not in texts]
    onnx.helper.set_model_props(model, dict([*kept, *sorted(texts.items())]))


def to_bytes(model: Any) -> bytes:
    """The serialized model. Raises `ValueError` for one above 2 GB."""
    size = model.ByteSize()
    if size > LARGEST:
        raise ValueError(f"the model takes {size / 2**30:.1f} GB; a file of its own holds 2 GB at most")
    return model.SerializeToString(deterministic=True)


def from_bytes(data: bytes) -> Any:
    """The model of a file's bytes. Raises `ValueError` when they are no (whole) ONNX model."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # the class of protobuf's error depends on how protobuf was built
        raise ValueError(f"it is no ONNX file, or only a part of one ({error})") from None
    if not data or not model.ir_version or not model.HasField("graph"):
        raise ValueError("it is no ONNX file, or only a part of one")
    return model
