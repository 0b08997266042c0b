"""What is asked of a file before anything is built from it or onnxruntime sees it."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .lazy import onnx
from .mapped import Mappings, all_tensors, place_of
from .wire import varint, without_contents


@dataclass(frozen=True)
class Budget:
    """How much a file may ask for.

    file_bytes: size of the file, without external data
    nodes: operators after every call of a function is replaced by its body
    nesting: graphs within graphs, and functions calling functions
    tensor_bytes: one tensor
    total_bytes: all tensors together, external ones included
    """

    file_bytes: int = 2**31
    nodes: int = 1_000_000
    nesting: int = 32
    tensor_bytes: int = 2**34
    total_bytes: int = 2**36


def check_file(source: str | os.PathLike[str] | bytes, budget: Budget | None = None) -> Any:
    """Check an ONNX file, or the bytes of one, against a budget; returns its `ModelProto`, external data unread.

    Raises `FileNotFoundError` or `IsADirectoryError`, and `ValueError` for what is empty, truncated, no ONNX file, over
    the budget, or reads outside of its folder.
    """
    budget = budget or Budget()
    if isinstance(source, bytes):
        label, content, folder = "ONNX model", source, None
        _check_size(label, len(source), budget)
    else:
        path = ordinary_file(source, budget)
        label, content, folder = f"'{path}'", path.read_bytes(), path.parent
    model = _parsed(label, content)
    _Check(label, model, budget, folder).all()
    return model


def check_mapped(path: Path, mappings: Mappings, budget: Budget) -> Any:
    """As `check_file`, but the contents of large tensors stay in the file: places of `mappings`."""
    label = f"'{path}'"
    with open(path, "rb") as file:
        number = mappings.add_file(file)

    def mark(offset: int, length: int, as_numbers: bool) -> bytes:
        key, value = b"sardonyx.place", mappings.marker(number, offset, length, as_numbers).encode()
        entry = b"\x0a" + varint(len(key)) + key + b"\x12" + varint(len(value)) + value
        return b"\x70\x01\x6a" + varint(len(entry)) + entry  # data_location: EXTERNAL, and one external_data

    try:
        content = without_contents(memoryview(mappings.maps[number]), mark)
    except ValueError:
        raise ValueError(f"{label} is not an ONNX file, or is cut off") from None
    model = _parsed(label, content)
    _Check(label, model, budget, path.parent).all()
    return model


def ordinary_file(source: str | os.PathLike[str], budget: Budget) -> Path:
    """The path of a file that may be opened. Raises as `check_file`."""
    path = Path(source).expanduser()
    if path.is_dir():
        raise IsADirectoryError(f"'{path}' is a folder, not an ONNX file")
    if not path.exists():
        raise FileNotFoundError(f"'{path}': no such file")
    if not path.is_file():
        raise ValueError(f"'{path}' is no ordinary file")
    _check_size(f"'{path}'", path.stat().st_size, budget)
    return path


def _check_size(label: str, size: int, budget: Budget) -> None:
    if not size:
        raise ValueError(f"{label}: the file is empty")
    if size > budget.file_bytes:
        raise ValueError(f"{label}: {size:,} bytes, more than the {budget.file_bytes:,} that are allowed")


def _parsed(label: str, content: bytes) -> Any:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except Exception:  # protobuf has several implementations, each with its own class of error
        raise ValueError(f"{label} is not an ONNX file, or is cut off") from None
    if not model.ir_version or not model.HasField("graph") or not model.opset_import:
        raise ValueError(f"{label} is not an ONNX file: it has no version, no graph or no operator set")
    return model


def tensor_bytes(tensor: Any) -> int:
    """Bytes that a tensor of the file takes. Raises `ValueError` for negative sizes or an unknown element type."""
    count = 1
    for size in tensor.dims:
        if size < 0:
            raise ValueError(f"tensor '{tensor.name}' has the negative size {size}")
        count *= size
    if tensor.data_type == onnx.TensorProto.STRING:
        return count
    try:
        item = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"tensor '{tensor.name}' has the unknown element type {tensor.data_type}") from None
    bits = PACKED.get(onnx.TensorProto.DataType.Name(tensor.data_type))
    return count * item if bits is None else -(-count * bits // 8)


class _Check:
    """The checks of one model."""

    def __init__(self, label: str, model: Any, budget: Budget, folder: Path | None) -> None:
        self.label = label
        self.model = model
        self.budget = budget
        self.folder = folder
        self.functions = {(f.domain, f.name): f for f in model.functions}
        self.counted: dict[tuple[str, str], tuple[int, int]] = {}
        self.open: set[tuple[str, str]] = set()

    def all(self) -> None:
        """Nodes and nesting first: they bound the work of the rest."""
        nodes, depth = self._size(self.model.graph.node, 1)
        for key in self.functions:
            self._function_size(key, 1)
        self._demand(depth <= self.budget.nesting, f"graphs nest {depth} deep, more than {self.budget.nesting}")
        self._demand(nodes <= self.budget.nodes, f"{nodes:,} nodes after inlining, more than {self.budget.nodes:,}")
        graph = self.model.graph
        self._names(graph.name, *[x.name for x in (*graph.input, *graph.output)])
        total = 0
        for tensor in all_tensors(self.model):
            total += self._tensor(tensor)
        self._demand(
            total <= self.budget.total_bytes, f"tensors of {total:,} bytes, more than {self.budget.total_bytes:,}"
        )

    def _demand(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise ValueError(f"{self.label}: {otherwise}")

    def _names(self, *names: Any) -> None:
        wrong = next((name for name in names if not isinstance(name, str)), None)
        self._demand(wrong is None, f"the name {wrong!r} is no text in UTF-8")

    def _size(self, nodes: Any, level: int) -> tuple[int, int]:
        """Number of nodes after inlining, and depth."""
        self._demand(level <= self.budget.nesting, f"graphs nest more than {self.budget.nesting} deep")
        count, depth = 0, 1
        for node in nodes:
            self._names(node.op_type, node.name, node.domain, *node.input, *node.output)
            inner = (
                self._function_size((node.domain, node.op_type), level)
                if (node.domain, node.op_type) in self.functions
                else (1, 0)
            )
            parts = [inner, *[self._size(g.node, level + 1) for g in subgraphs(node)]]
            count += sum(n for n, _ in parts)
            depth = max(depth, 1 + max(d for _, d in parts))
        return count, depth

    def _function_size(self, key: tuple[str, str], level: int) -> tuple[int, int]:
        self._demand(key not in self.open, f"the function '{key[1]}' calls itself")
        if key not in self.counted:
            self.open.add(key)
            self.counted[key] = self._size(self.functions[key].node, level + 1)
            self.open.discard(key)
        return self.counted[key]

    def _tensor(self, tensor: Any) -> int:
        self._names(tensor.name)
        try:
            size = tensor_bytes(tensor)
        except ValueError as error:
            raise ValueError(f"{self.label}: {error}") from None
        self._demand(
            size <= self.budget.tensor_bytes,
            f"tensor '{tensor.name}' has {size:,} bytes, more than {self.budget.tensor_bytes:,}",
        )
        place = place_of(tensor)
        if place is not None:
            self._contents(tensor, place[0].length(place[1]), size)
        elif tensor.data_location == onnx.TensorProto.EXTERNAL:
            with open_external(self.label, self.folder, tensor, size):
                pass
        elif tensor.HasField("raw_data"):
            self._contents(tensor, len(tensor.raw_data), size)
        else:
            self._numbers(tensor)
        return size

    def _contents(self, tensor: Any, given: int, size: int) -> None:
        self._demand(
            given == size, f"tensor '{tensor.name}' has {given:,} bytes of data where its shape needs {size:,}"
        )

    def _numbers(self, tensor: Any) -> None:
        """A tensor whose elements stand in the fields for numbers and texts: as many as its shape says."""
        fields = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
        given, needed = sum(len(getattr(tensor, name)) for name in fields), math.prod(tensor.dims)
        kinds = onnx.TensorProto
        if tensor.data_type in (kinds.COMPLEX64, kinds.COMPLEX128):
            needed *= 2
        bits = PACKED.get(kinds.DataType.Name(tensor.data_type), 8)
        self._demand(
            given in (needed, -(-needed * bits // 8)),
            f"tensor '{tensor.name}' is damaged: it has {given:,} numbers where its shape needs {needed:,}",
        )


PACKED = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}
"""Bits of an element, where several share a byte."""


def open_external(label: str, folder: Path | None, tensor: Any, size: int) -> Any:
    """The open file, at the right place, of a tensor's external data; everything is decided on the opened descriptor.

    Raises `ValueError` for a path outside the model's folder, links, and data that is too short.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    problem = f"{label}: external data of tensor '{tensor.name}'"
    parts = Path(location).parts
    if (
        folder is None
        or not location
        or os.path.isabs(location)
        or ".." in parts
        or "\\" in location
        or ":" in location
    ):
        raise ValueError(f"{problem}: {location!r} is not a file under the model's folder")
    target = folder / location
    if target.resolve().parent != folder.resolve().joinpath(*parts[:-1]):
        raise ValueError(f"{problem}: '{location}' leads out of the model's folder through a link")
    try:
        handle = os.open(target, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise ValueError(f"{problem}: cannot open '{location}' ({error.strerror})") from None
    file = os.fdopen(handle, "rb")
    try:
        _seek_external(problem, location, file, entries, size)
    except BaseException:
        file.close()
        raise
    return file


def _seek_external(problem: str, location: str, file: Any, entries: dict[str, str], size: int) -> None:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise ValueError(f"{problem}: '{location}' is no ordinary file of its own (it is linked, or a device)")
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
    except ValueError:
        raise ValueError(f"{problem}: offset and length must be whole numbers") from None
    if offset < 0 or length != size or offset + length > status.st_size:
        raise ValueError(
            f"{problem}: '{location}' has {status.st_size:,} bytes, needed are {size:,} from {offset:,} on"
        )
    file.seek(offset)


def subgraphs(node: Any) -> Iterator[Any]:
    """The graphs among the attributes of a node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
