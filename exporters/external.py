"""Models in files: one file, or beyond 2 GB a second one with the weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from .files import check_writable, written_atomically
from .held import Held
from .ir import OnnxGraph
from .mapped import all_tensors, place_of
from .serialize import model_proto
from .streaming import Content, chunks, serialized_parts, whole_size

LARGEST = 2**31 - 2**20
"""Bytes of one file (protobuf ends at 2 GB)."""

ALIGNMENT = 4096
"""Of tensors in the second file, so that it can be mapped into memory."""


def write_model(
    path: str | os.PathLike[str],
    graph: OnnxGraph,
    opset: int,
    metadata: dict[str, str] | None = None,
    largest: int | None = None,
) -> Path:
    """Write the model of a graph as `write_proto` does."""
    held = Held()
    return write_proto(path, model_proto(graph, opset, metadata, held), largest)


def write_proto(path: str | os.PathLike[str], model: Any, largest: int | None = None) -> Path:
    """Write a `ModelProto`: whole or not at all, as one file unless it takes more than `largest` bytes (2 GB).

    Then the contents that it does not hold itself go to a second file, `<name>.data`. No contents are copied. Returns
    the path. Raises `FileNotFoundError`, `IsADirectoryError` or `PermissionError` before any work is done.
    """
    target = check_writable(path)
    if whole_size(model) > (LARGEST if largest is None else largest):
        return _write_two(target, model)
    parts = serialized_parts(model)
    with written_atomically(target) as file:
        for chunk in chunks(parts):
            file.write(chunk)
    return target


def _write_two(target: Path, model: Any) -> Path:
    """The model in one file, contents in another; neither takes its name before both are written."""
    frame, location = type(model)(), f"{target.name}.data"
    frame.CopyFrom(model)
    tensors = [(tensor, Content(*place)) for tensor in all_tensors(frame) if (place := place_of(tensor)) is not None]
    with written_atomically(target) as file, written_atomically(target.with_name(location)) as data:
        offsets, checksum = _write_contents(data, [content for _, content in tensors])
        for (tensor, content), offset in zip(tensors, offsets, strict=True):
            del tensor.external_data[:]
            entries = {"location": location, "offset": offset, "length": content.size, "checksum": checksum}
            for key, value in entries.items():
                tensor.external_data.add(key=key, value=str(value))
        file.write(frame.SerializeToString(deterministic=True))
    return target


def _write_contents(file: IO[bytes], contents: Sequence[Content]) -> tuple[list[int], str]:
    """Write contents one after the other; returns where each begins, and the checksum of the file."""
    digest = hashlib.sha1(usedforsecurity=False)
    offsets: list[int] = []
    end = 0
    for content in contents:
        gap = bytes(-end % ALIGNMENT)
        for part in (gap, content.read()):
            file.write(part)
            digest.update(part)
        offsets.append(end + len(gap))
        end = offsets[-1] + content.size
    return offsets, digest.hexdigest()
