"""ONNX files read without trusting them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from .lazy import onnx
from .limits import Budget, check_mapped, open_external, ordinary_file, tensor_bytes
from .mapped import Mappings, all_tensors, filled, mark, place_of
from .source import Source


def read_model(path: str | os.PathLike[str], budget: Budget | None = None) -> Any:
    """The `ModelProto` in a file, checked against a budget, its external data read into it.

    Raises `FileNotFoundError`, `IsADirectoryError`, and `ValueError` for anything that is not a sound ONNX file.
    """
    source = open_source(path, budget)
    return filled(source.frame, source.mappings)


def open_source(path: str | os.PathLike[str], budget: Budget | None = None) -> Source:
    """A file as `read_model` reads it, but with the contents of large tensors left in the file, or files."""
    budget = budget or Budget()
    file, mappings = ordinary_file(path, budget), Mappings()
    model = check_mapped(file, mappings, budget)
    files: dict[str, int] = {}
    for tensor in all_tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL and place_of(tensor) is None:
            _map_external(file, tensor, mappings, files)
    return Source(model, mappings, file)


def _map_external(file: Path, tensor: Any, mappings: Mappings, files: dict[str, int]) -> None:
    """Let a tensor with external data say where in `mappings` it lies; each file is mapped and verified once."""
    size = tensor_bytes(tensor)
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    with open_external(f"'{file}'", file.parent, tensor, size) as data:
        offset = data.tell()
        if not size:
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
            tensor.raw_data = b""
            return
        if location not in files:
            _verify(f"'{file}'", location, entries.get("checksum"), data)
            files[location] = mappings.add_file(data)
    mark(tensor, mappings.marker(files[location], offset, size))


def _verify(label: str, location: str, expected: str | None, data: Any) -> None:
    """Compare the checksum (SHA-1 of the whole external file, as ONNX defines it), if one is given."""
    if expected is None:
        return
    data.seek(0)
    if hashlib.file_digest(data, "sha1").hexdigest() != expected.lower():
        raise ValueError(
            f"{label}: the external data in '{location}' is damaged: its checksum is not the one in the model"
        )
