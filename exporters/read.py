"""ONNX files read without trusting them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from .lazy import onnx
from .limits import Budget, check_file, open_external, tensor_bytes, tensors


def read_model(path: str | os.PathLike[str], budget: Budget | None = None) -> Any:
    """The `ModelProto` in a file, checked against a budget, its external data read into it.

    Raises `FileNotFoundError`, `IsADirectoryError`, and `ValueError` for anything that is not a sound ONNX file.
    """
    file = Path(path).expanduser()
    model = check_file(file, budget)
    checksums: dict[str, str] = {}
    for tensor in tensors(model):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        size = tensor_bytes(tensor)
        with open_external(f"'{file}'", file.parent, tensor, size) as data:
            _verify(f"'{file}'", tensor, data, checksums)
            tensor.raw_data = data.read(size)
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]
    return model


def _verify(label: str, tensor: Any, data: Any, checksums: dict[str, str]) -> None:
    """Compare the checksum (SHA-1 of the whole external file, as ONNX defines it), if one is given."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    expected, location = entries.get("checksum"), entries.get("location", "")
    if expected is None:
        return
    if location not in checksums:
        place = data.tell()
        data.seek(0)
        checksums[location] = hashlib.file_digest(data, "sha1").hexdigest()
        data.seek(place)
    if checksums[location] != expected.lower():
        raise ValueError(
            f"{label}: the external data in '{location}' is damaged: its checksum is not the one in the model"
        )
