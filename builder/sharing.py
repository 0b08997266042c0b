"""Layers that stand in several places of one configuration: written once, and one object again when read.

The outermost model whose configuration is written (or read) opens a scope; every model below it shares the scope.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..trainer.serialization import deserialize_object, serialize_object


class _Scopes(threading.local):
    """Per thread: layers written so far with their numbers, and layers read so far by number."""

    def __init__(self) -> None:
        self.written: dict[int, tuple[int, Any]] | None = None
        self.read: dict[int, Any] | None = None


_scopes = _Scopes()


def is_writing() -> bool:
    """Whether the configuration of a model around this one is being written."""
    return _scopes.written is not None


@contextmanager
def writing() -> Iterator[None]:
    """A scope in which a layer is written once."""
    outermost = _scopes.written is None
    if outermost:
        _scopes.written = {}
    try:
        yield
    finally:
        if outermost:
            _scopes.written = None


@contextmanager
def reading() -> Iterator[None]:
    """A scope in which a layer is made once."""
    outermost = _scopes.read is None
    if outermost:
        _scopes.read = {}
    try:
        yield
    finally:
        if outermost:
            _scopes.read = None


def write_layer(layer: Any) -> dict[str, Any]:
    """The configuration of a layer, or only its number where it was written before."""
    written = _scopes.written
    if written is None:
        raise RuntimeError("write_layer: no scope is open")
    if id(layer) in written:
        return {"name": layer.name, "shared_id": written[id(layer)][0]}
    number = len(written)
    written[id(layer)] = (number, layer)
    return {"name": layer.name, "shared_id": number, **serialize_object(layer)}


def read_layer(config: Mapping[str, Any]) -> Any:
    """The layer that `write_layer` described. Raises `ValueError` for a number that stands for none."""
    read = _scopes.read
    if read is None:
        raise RuntimeError("read_layer: no scope is open")
    number = config.get("shared_id")
    if "class_name" in config:
        layer = deserialize_object({k: v for k, v in config.items() if k not in ("name", "shared_id")})
        if number is not None:
            read[number] = layer
        return layer
    if number not in read:
        raise ValueError(
            f"configuration: the layer {config.get('name')!r} refers to a layer described elsewhere, but there is none"
        )
    return read[number]
