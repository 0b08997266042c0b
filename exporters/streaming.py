"""Models whose large tensors lie elsewhere (`held`, `mapped`), serialized around the contents, which are not copied."""

from __future__ import annotations

import re
import secrets
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from .mapped import Contents, all_tensors, place_of
from .wire import PATHS, TENSOR, fields, varint

MARK_BYTES = 32
"""Of the text that stands for contents: a multiple of the four bytes of a number."""


class Content(NamedTuple):
    """Contents that are read when they are written."""

    holder: Contents
    number: int

    def read(self) -> memoryview:
        """The bytes."""
        return self.holder.content(self.number)

    @property
    def size(self) -> int:
        """How many they are."""
        return self.holder.length(self.number)


Part = bytes | memoryview | Content


def whole_size(model: Any) -> int:
    """About the bytes of a model with all contents in place."""
    places = [place_of(tensor) for tensor in all_tensors(model)]
    return model.ByteSize() + sum(holder.length(number) for holder, number in filter(None, places))


def serialized_parts(model: Any) -> Sequence[Part]:
    """What to write one after the other: the same bytes as of the model with all contents in place."""
    frame, token, contents = type(model)(), secrets.token_hex(12), list[Content]()
    frame.CopyFrom(model)
    for tensor in all_tensors(frame):
        found = place_of(tensor)
        if found is None:
            continue
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        text = f"{token}{len(contents):08x}".encode()
        contents.append(Content(*found))
        if found[0].as_numbers(found[1]):
            tensor.float_data.extend(memoryview(text).cast("f"))  # letters and digits are never a NaN
        else:
            tensor.raw_data = text
    data = frame.SerializeToString(deterministic=True)
    marks = [(x.start(), contents[int(x[1], 16)]) for x in re.finditer(token.encode() + b"([0-9a-f]{8})", data)]
    if len(marks) != len(contents):
        raise ValueError("a model holds the text that stood for the contents of its tensors; write it again")
    return _Filling(memoryview(data), marks).parts(0, len(data), "model") if marks else [data]


def size_of(parts: Sequence[Part]) -> int:
    """Bytes of parts together."""
    return sum(part.size if isinstance(part, Content) else len(part) for part in parts)


def chunks(parts: Sequence[Part]) -> Iterator[bytes | memoryview]:
    """The bytes of parts, contents read one after the other."""
    for part in parts:
        yield part.read() if isinstance(part, Content) else part


class _Filling:
    """A serialized model in which marks stand for contents."""

    def __init__(self, data: memoryview, marks: Sequence[tuple[int, Content]]) -> None:
        self.data = data
        self.marks = marks
        self.places = [place for place, _ in marks]

    def parts(self, start: int, end: int, kind: str) -> list[Part]:
        """A message of some kind with contents for marks, and the lengths that this makes."""
        found: list[Part] = []
        copied = start
        for one in fields(self.data, start, end):
            place = bisect_left(self.places, one.content)
            if not one.is_message or place == len(self.places) or self.places[place] >= one.end:
                continue
            if kind == TENSOR:
                inner: list[Part] = [self.marks[place][1]]
            else:
                inner = self.parts(one.content, one.end, PATHS[kind][one.number])
            found += [self.data[copied : one.start], varint(one.number << 3 | 2) + varint(size_of(inner)), *inner]
            copied = one.end
        return [*found, self.data[copied:end]]
