"""Layers that stand in several places of one configuration: written once, and one object again when read.

The outermost model whose configuration is written (or read) opens a scope; every model below it shares the scope.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from ..trainer.custom_objects import get_registered_name, is_registered
from ..trainer.serialization import deserialize_object, serialize_object
from . import later


class Recordings(Protocol):
    """What is recorded of the layers of a model, as far as this file needs to know it."""

    everywhere: bool

    def of(self, layer: Any) -> dict[str, Any] | None:
        """The recorded computation of a layer; None for a layer that needs none."""
        ...


class _Scopes(threading.local):
    """Per thread: objects written so far with their numbers, those described, and objects read so far by number."""

    def __init__(self) -> None:
        self.written: dict[int, tuple[int, Any]] | None = None
        self.described: set[int] = set()
        self.recordings: Recordings | None = None
        self.plain = False
        self.read: dict[int, Any] | None = None
        self.replacements: Mapping[int, Callable[[], Any]] = {}


_scopes = _Scopes()


def is_writing() -> bool:
    """Whether the configuration of a model around this one, or one without recordings, is being written."""
    return _scopes.written is not None or _scopes.plain


@contextmanager
def writing(recordings: Recordings | None = None) -> Iterator[None]:
    """A scope in which a layer is written once; `recordings` are those of the outermost model."""
    outermost = _scopes.written is None
    if outermost:
        _scopes.written, _scopes.described, _scopes.recordings = {}, set(), recordings
    try:
        yield
    finally:
        if outermost:
            _scopes.written, _scopes.described, _scopes.recordings = None, set(), None


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


@contextmanager
def replacing(replacements: Mapping[int, Callable[[], Any]]) -> Iterator[None]:
    """Inside, other layers stand for those of these numbers."""
    before, _scopes.replacements = _scopes.replacements, replacements
    try:
        yield
    finally:
        _scopes.replacements = before


@contextmanager
def apart() -> Iterator[None]:
    """Inside, configurations are complete in themselves: nothing is shared with what is outside."""
    before = _scopes.written, _scopes.described, _scopes.recordings, _scopes.read
    _scopes.written, _scopes.described, _scopes.recordings, _scopes.read = None, set(), None, None
    try:
        yield
    finally:
        _scopes.written, _scopes.described, _scopes.recordings, _scopes.read = before


def number_of(item: Any) -> int:
    """The number under which a layer or variable stands in the configuration that is being written."""
    written = _scopes.written
    if written is None:
        raise RuntimeError("number_of: no scope is open")
    return written.setdefault(id(item), (len(written), item))[0]


def items_written() -> dict[int, Any]:
    """Layers and variables written so far, by number."""
    return dict((_scopes.written or {}).values())


def is_described(item: Any) -> bool:
    """Whether a layer or variable was written out before; from now on it was."""
    known = id(item) in _scopes.described
    _scopes.described.add(id(item))
    return known


def write_layer(layer: Any) -> dict[str, Any]:
    """The configuration of a layer, or only its number where it was written before.

    With it goes its recorded computation, where its class may be missing when it is read. Raises `TypeError` for a
    layer that can be neither configured nor recorded.
    """
    entry = {"name": layer.name, "shared_id": number_of(layer)}
    if is_described(layer):
        return entry
    recordings = _scopes.recordings
    if recordings is None:
        return {**entry, **serialize_object(layer)}
    plain, problem = plain_config(layer)
    recorded = recordings.of(layer) if recordings.everywhere or problem is not None else None
    if recorded is not None:
        return {**entry, **plain, "recorded": recorded}
    if problem is not None:
        raise problem
    return {**entry, **serialize_object(layer)}


def plain_config(layer: Any) -> tuple[dict[str, Any], TypeError | None]:
    """Class and arguments of a layer, complete in themselves; without the arguments, and why, if they have no form."""
    origin = getattr(layer, "_class_origin", None)
    if origin is not None:
        return dict(origin), None if origin["config"] is not None else TypeError(origin["unwritable"])
    before, _scopes.plain = _scopes.plain, True
    try:
        with apart():
            return serialize_object(layer), None
    except TypeError as error:
        place = {"module": type(layer).__module__, "class_name": get_registered_name(type(layer)).rpartition(">")[2]}
        if is_registered(type(layer)):
            place["registered_name"] = get_registered_name(type(layer))
        return {**place, "config": None, "unwritable": str(error)}, error
    finally:
        _scopes.plain = before


def read_layer(config: Mapping[str, Any]) -> Any:
    """The layer that `write_layer` described. Raises `ValueError` for a number that stands for none."""
    read = _scopes.read
    if read is None:
        raise RuntimeError("read_layer: no scope is open")
    number = config.get("shared_id")
    if "class_name" in config and isinstance(number, int) and number in _scopes.replacements:
        layer = _scopes.replacements[number]()
        remember(number, layer)
        return layer
    if "class_name" in config:
        plain = {k: v for k, v in config.items() if k not in ("name", "shared_id", "recorded")}
        if isinstance(config.get("recorded"), Mapping):
            return _class_or_recording(config, plain)
        layer = deserialize_object(plain)
        remember(number, layer)
        return layer
    if number not in read:
        raise ValueError(
            f"configuration: the layer {config.get('name')!r} refers to a layer described elsewhere, but there is none"
        )
    return read[number]


def remember(number: Any, item: Any) -> None:
    """Note an object that was read under its number."""
    if _scopes.read is not None and isinstance(number, int):
        _scopes.read[number] = item


def objects_read() -> dict[int, Any]:
    """Objects read so far in this scope, by number; more may come."""
    return {} if _scopes.read is None else _scopes.read


def _class_or_recording(config: Mapping[str, Any], plain: Mapping[str, Any]) -> Any:
    """A layer of its class where that is known and takes the configuration; otherwise what was recorded of it."""
    read = later.read_recorded
    if config["recorded"].get("forced"):
        return read(config, "it is called where only its operations were recorded")
    if plain.get("config") is None:
        return read(config, f"its constructor's arguments are not in the file: {plain.get('unwritable')}")
    try:
        with apart():
            layer = deserialize_object(dict(plain))
    except Exception as error:  # a constructor of the user's own may raise anything
        return read(config, str(error))
    remember(config.get("shared_id"), layer)
    return layer
