"""Models in files: one file, or beyond 2 GB a second one with the weights."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from .files import check_writable, written_atomically
from .ir import OnnxGraph
from .lazy import onnx
from .serialize import model_proto

LARGEST = 2**31 - 2**24
"""Bytes of weights that fit into one file (protobuf ends at 2 GB; the rest is for what is not weights)."""

OWN_FILE = 1024
"""Bytes from which a tensor moves into the second file, if there is one."""

ALIGNMENT = 4096
"""Of tensors in the second file, so that it can be mapped into memory."""


def write_model(
    path: str | os.PathLike[str],
    graph: OnnxGraph,
    opset: int,
    metadata: dict[str, str] | None = None,
    largest: int = LARGEST,
) -> Path:
    """Write the model of a graph: whole or not at all, as one file unless its weights exceed `largest` bytes.

    Returns the path. Raises `FileNotFoundError`, `IsADirectoryError` or `PermissionError` before any work is done.
    """
    target = check_writable(path)
    if sum(array.nbytes for array in graph.initializers.values()) <= largest:
        content = model_proto(graph, opset, metadata).SerializeToString(deterministic=True)
        with written_atomically(target) as file:
            file.write(content)
        return target
    outside = {name: array for name, array in graph.initializers.items() if array.nbytes >= OWN_FILE}
    inside = OnnxGraph(
        **{**_fields(graph), "initializers": {n: a for n, a in graph.initializers.items() if n not in outside}}
    )
    model = model_proto(inside, opset, metadata)
    location = f"{target.name}.data"
    places, checksum = _write_arrays(target.with_name(location), outside)
    for name, (offset, length) in places.items():
        model.graph.initializer.append(_external_tensor(name, outside[name], location, offset, length, checksum))
    with written_atomically(target) as file:
        file.write(model.SerializeToString(deterministic=True))
    return target


def _fields(graph: OnnxGraph) -> dict[str, Any]:
    return {name: getattr(graph, name) for name in graph.__dataclass_fields__}


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> tuple[dict[str, tuple[int, int]], str]:
    """Write arrays one after the other; returns offset and length of each, and the checksum of the file."""
    places: dict[str, tuple[int, int]] = {}
    digest = hashlib.sha1(usedforsecurity=False)
    offset = 0
    with written_atomically(path) as file:
        for name, array in arrays.items():
            gap = bytes(-offset % ALIGNMENT)
            content = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
            for part in (gap, content):
                file.write(part)
                digest.update(part)
            offset += len(gap)
            places[name] = (offset, len(content))
            offset += len(content)
    return places, digest.hexdigest()


def _external_tensor(name: str, array: np.ndarray, location: str, offset: int, length: int, checksum: str) -> Any:
    tensor = onnx.TensorProto(
        name=name,
        dims=array.shape,
        data_type=onnx.helper.np_dtype_to_tensor_dtype(array.dtype),
        data_location=onnx.TensorProto.EXTERNAL,
    )
    for key, value in (("location", location), ("offset", offset), ("length", length), ("checksum", checksum)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor
