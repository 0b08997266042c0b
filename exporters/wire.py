"""The wire format of protobuf, as far as it takes to leave the contents of large tensors in the file.

A message is a row of fields; each begins with a number (field and kind), those of kind 2 with their length. The parts
of a model that lead to tensors are walked through; all other bytes are copied as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

LARGE = 4096
"""Bytes from which contents are left in the file."""

TENSOR, ENTRY = "tensor", "sparse"
PATHS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: TENSOR, 15: ENTRY},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: TENSOR, 6: "graph", 10: TENSOR, 11: "graph", 22: ENTRY, 23: ENTRY},
    ENTRY: {1: TENSOR, 2: TENSOR},
}
"""For each kind of message, the fields that lead to tensors."""

RAW_DATA, FLOAT_DATA, DATA_TYPE, DATA_LOCATION = 9, 4, 2, 14
FLOAT = 1
"""The element type of which the repeated numbers are the same bytes as raw contents."""

DEEPEST = 100

Mark = Callable[[int, int, bool], bytes]
"""The fields, serialized, that stand for contents at an offset, of a length, and whether they are repeated numbers."""


@dataclass(frozen=True)
class Field:
    number: int
    start: int
    content: int
    end: int
    is_message: bool


def without_contents(data: memoryview, mark: Mark) -> bytes:
    """A serialized `ModelProto` without the contents of large tensors, marked instead.

    Raises `ValueError` where the bytes are no protobuf message.
    """
    return b"".join(_parts(data, 0, len(data), "model", mark, 0))


def _parts(data: memoryview, start: int, end: int, kind: str, mark: Mark, depth: int) -> list[bytes | memoryview]:
    if depth > DEEPEST:
        raise ValueError(f"messages nest more than {DEEPEST} deep")
    inner = PATHS.get(kind, {})
    contents = _content_fields(data, start, end) if kind == TENSOR else ()
    parts: list[bytes | memoryview] = []
    copied, marked = start, False
    for field in fields(data, start, end):
        if marked and field.number == DATA_LOCATION:  # of two, the last would count: "in this file"
            parts.append(data[copied : field.start])
            copied = field.end
        if not field.is_message or field.end - field.content < LARGE:
            continue
        if field.number in contents:
            new = mark(field.content, field.end - field.content, field.number == FLOAT_DATA)
            marked = True
        elif field.number in inner:
            message = b"".join(_parts(data, field.content, field.end, inner[field.number], mark, depth + 1))
            if len(message) == field.end - field.content:
                continue
            new = varint(field.number << 3 | 2) + varint(len(message)) + message
        else:
            continue
        parts += (data[copied : field.start], new)
        copied = field.end
    parts.append(data[copied:end])
    return parts


def _content_fields(data: memoryview, start: int, end: int) -> tuple[int, ...]:
    """The fields of a tensor whose bytes are its contents as they lie in memory."""
    kinds = [_varint(data, f.content, end)[0] for f in fields(data, start, end) if f.number == DATA_TYPE]
    return (RAW_DATA, FLOAT_DATA) if kinds == [FLOAT] else (RAW_DATA,)


def fields(data: memoryview, start: int, end: int) -> Iterator[Field]:
    place = start
    while place < end:
        tag, content = _varint(data, place, end)
        kind = tag & 7
        if kind == 2:
            length, content = _varint(data, content, end)
            after = content + length
        elif kind == 0:
            after = _varint(data, content, end)[1]
        elif kind in (1, 5):
            after = content + (8 if kind == 1 else 4)
        else:
            raise ValueError("it is no protobuf message")
        if after > end:
            raise ValueError("a field is longer than what holds it")
        yield Field(tag >> 3, place, content, after, kind == 2)
        place = after


def _varint(data: memoryview, place: int, end: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = shift = 0
    while place < end and shift < 64:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
    raise ValueError("a number does not end")


def varint(value: int) -> bytes:
    """A number of variable length."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)
