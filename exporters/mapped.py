"""Contents of large tensors that stay in the file: mapped into memory, or read where they lie unaligned.

A `TensorProto` whose contents were left out says where they are: its external data has the single entry `KEY` with the
number of a place in a `Mappings` and the token of that object. The token is random, so that no file can forge one.
"""

from __future__ import annotations

import mmap
import os
import secrets
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol
from weakref import WeakValueDictionary

import numpy as np

from .lazy import onnx

KEY = "sardonyx.place"


@dataclass(frozen=True)
class Place:
    """Bytes in one of the files; `as_numbers` if they stood in the field for float32 numbers."""

    file: int
    offset: int
    length: int
    as_numbers: bool = False


class Contents(Protocol):
    """What knows the contents of tensors by numbers."""

    def content(self, number: int) -> memoryview:
        """The bytes of a tensor."""
        ...

    def length(self, number: int) -> int:
        """How many they are."""
        ...

    def as_numbers(self, number: int) -> bool:
        """Whether they stand in the field for float32 numbers."""
        ...

    def array(self, number: int, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """They as an array."""
        ...


@dataclass(eq=False)
class Mappings:
    """The files of a model, open as long as one of its arrays is."""

    token: str = field(default_factory=lambda: secrets.token_hex(16))
    maps: list[mmap.mmap] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    arrays: dict[tuple[int, str, tuple[int, ...]], np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        register(self.token, self)
        weakref.finalize(self, _close, self.handles)

    def add_file(self, file: BinaryIO) -> int:
        """Map an open file; its number. Later changes of an array stay in memory and never reach the file."""
        self.maps.append(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
        self.handles.append(os.dup(file.fileno()))
        return len(self.maps) - 1

    def marker(self, file: int, offset: int, length: int, as_numbers: bool = False) -> str:
        """What a tensor says that lies there."""
        self.places.append(Place(file, offset, length, as_numbers))
        return f"{self.token}:{len(self.places) - 1}"

    def content(self, number: int) -> memoryview:
        """The bytes of a place."""
        place = self.places[number]
        return memoryview(self.maps[place.file])[place.offset : place.offset + place.length]

    def length(self, number: int) -> int:
        """How many bytes a place has."""
        return self.places[number].length

    def as_numbers(self, number: int) -> bool:
        """Whether the bytes of a place stood in the field for float32 numbers."""
        return self.places[number].as_numbers

    def array(self, number: int, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """The bytes of a place as an array: the mapping itself where it is aligned, else read from the file, once."""
        key = (number, dtype.str, shape)
        if key not in self.arrays:
            found = np.frombuffer(self.content(number), dtype)
            self.arrays[key] = found.reshape(shape) if found.flags.aligned else self._read(number, dtype, shape)
        return self.arrays[key]

    def _read(self, number: int, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """A copy of a place that takes no memory besides: pages of a mapping that are looked at are in memory, too."""
        place = self.places[number]
        found = np.empty(shape, dtype)
        with os.fdopen(os.dup(self.handles[place.file]), "rb", buffering=0) as file:
            file.seek(place.offset)
            content = found.reshape(-1).view(np.uint8).data
            done = 0
            while done < place.length:
                count = file.readinto(content[done:])
                if not count:
                    raise ValueError("the file became shorter while it was read")
                done += count
        return found


def _close(handles: list[int]) -> None:
    for handle in handles:
        os.close(handle)


_known: WeakValueDictionary[str, Contents] = WeakValueDictionary()


def register(token: str, contents: Contents) -> None:
    """Let tensors with this token lie in `contents` as long as that lives."""
    _known[token] = contents


def mark(tensor: Any, marker: str) -> None:
    """Let a tensor say where its contents are."""
    tensor.data_location = onnx.TensorProto.EXTERNAL
    del tensor.external_data[:]
    tensor.external_data.add(key=KEY, value=marker)


def place_of(tensor: Any) -> tuple[Contents, int] | None:
    """Where a tensor's contents were left; None for a tensor that holds its own, or lies in another file."""
    if tensor.data_location != onnx.TensorProto.EXTERNAL or len(tensor.external_data) != 1:
        return None
    entry = tensor.external_data[0]
    token, _, number = entry.value.partition(":")
    known = _known.get(token) if entry.key == KEY else None
    return None if known is None else (known, int(number))


def mapped_array(tensor: Any) -> np.ndarray | None:
    """The array of a tensor whose contents were left in the file; None for others."""
    found = place_of(tensor)
    if found is None:
        return None
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    return found[0].array(found[1], dtype, tuple(tensor.dims))


def filled(model: Any, mappings: Mappings | None) -> Any:
    """The model with all contents in place again."""
    if mappings is not None and mappings.places:
        for tensor in all_tensors(model):
            fill(tensor)
    return model


def fill(tensor: Any) -> None:
    """Put the contents of a tensor in place again, if they were left elsewhere."""
    found = place_of(tensor)
    if found is None:
        return
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    content = found[0].content(found[1])
    if found[0].as_numbers(found[1]):
        tensor.float_data.extend(np.frombuffer(content, np.float32))
    else:
        tensor.raw_data = bytes(content)


def all_tensors(model: Any) -> Iterator[Any]:
    """Every tensor of a model: initializers and attributes, in graphs of nodes, functions and training too."""
    training = [graph for info in model.training_info for graph in (info.initialization, info.algorithm)]
    pending = [model.graph, *model.functions, *training]
    while pending:
        graph = pending.pop()
        if isinstance(graph, onnx.GraphProto):
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    pending.append(attribute.g)
                pending.extend(attribute.graphs)
                if attribute.HasField("t"):
                    yield attribute.t
                if attribute.HasField("sparse_tensor"):
                    yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
                yield from attribute.tensors
