"""Objects as plain configurations (JSON), and back: only what is registered is ever built."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from .core.dims import Dim, as_size
from .core.dtypes import dtype_name
from .core.later import LazyModule
from .core.tensor import Tensor
from .core.variable import Variable
from .custom_objects import (
    custom_object_scope,
    find_without_package,
    get_registered_name,
    get_registered_object,
    is_registered,
)

difflib: Any = LazyModule("difflib")

PACKAGE = "sardonyx"


class Names(Protocol):
    """A registry, as far as this file needs to know it."""

    kind: str

    def lookup(self, name: str) -> Any:
        """The class or function of a name, or None."""
        ...

    def names(self) -> list[str]:
        """Every name."""
        ...


MODULES: dict[str, Names] = {}
"""Registries by the public module that offers their entries."""
WAITING = ("losses", "metrics", "optimizers")
"""Modules beside this one that are executed when they are first used."""
_known: dict[Any, tuple[str, str]] = {}


class _Mode(threading.local):
    """Per-thread stack of what `safe_mode` is."""

    def __init__(self) -> None:
        self.stack: list[bool] = []


_mode = _Mode()


class safe_mode_scope:
    """A context in which configurations may (`False`) or may not (`True`, the default) carry code, as `Lambda` does."""

    def __init__(self, safe_mode: bool) -> None:
        self.safe_mode = safe_mode

    def __enter__(self) -> safe_mode_scope:
        _mode.stack.append(self.safe_mode)
        return self

    def __exit__(self, *_: object) -> None:
        _mode.stack.pop()


def in_safe_mode() -> bool:
    """Whether code in a configuration must be refused."""
    return _mode.stack[-1] if _mode.stack else True


def name_known_objects(entry: Any, module: str, name: str) -> None:
    """Note where one of the library's own classes or functions is found; the first place counts."""
    _known.setdefault(entry, (module, name))


def known_as(obj: Any) -> tuple[str, str] | None:
    """Module and name of one of the library's own classes or functions; None for others."""
    try:
        return _known.get(obj)
    except TypeError:
        return None


def did_you_mean(close: Sequence[str]) -> str:
    """The closest names as the middle of a message."""
    return f"; did you mean {' or '.join(repr(name) for name in close)}?" if close else "."


def serialize_object(obj: Any) -> Any:
    """A value, or an object with `get_config`, as what JSON can hold (Keras name: `serialize_keras_object`).

    Objects become {"module", "class_name", "config", "registered_name"}; containers, arrays, dtypes, slices and
    symbolic sizes are kept. Raises `TypeError` for what cannot be rebuilt, such as a lambda.

    >>> from sardonyx.trainer.registry import deserialize_object, serialize_object
    >>> serialize_object({"size": (2, 3)})
    {'size': {'class_name': '__tuple__', 'config': [2, 3]}}
    >>> deserialize_object(serialize_object({"size": (2, 3)}))
    {'size': (2, 3)}
    """
    if obj is None or (isinstance(obj, (str, bool, int, float)) and not isinstance(obj, np.generic)):
        return obj
    if isinstance(obj, (list, tuple, Mapping)):
        return _serialize_container(obj)
    special = _serialize_special(obj)
    if special is not None:
        return special
    if isinstance(obj, type):
        return {"class_name": "__class__", "config": _serialize_callable(obj), **_place(obj)}
    if hasattr(obj, "get_config"):
        return _serialize_instance(obj)
    if callable(obj) and hasattr(obj, "__name__"):
        return {"class_name": "function", "config": _serialize_callable(obj), **_place(obj)}
    raise TypeError(
        f"cannot write {obj!r} ({type(obj).__name__}) into a configuration: expected numbers, strings, containers, "
        "arrays, registered functions, or objects with get_config()"
    )


def _serialize_container(obj: Any) -> Any:
    if isinstance(obj, tuple):
        return {"class_name": "__tuple__", "config": [serialize_object(x) for x in obj]}
    if isinstance(obj, list):
        return [serialize_object(x) for x in obj]
    for key in obj:
        if not isinstance(key, str):
            raise TypeError(f"cannot write a dictionary with the key {key!r} into a configuration: keys are strings")
    return {key: serialize_object(value) for key, value in obj.items()}


def _serialize_special(obj: Any) -> Any:
    """Values with a form of their own; None for all others."""
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, (Tensor, Variable)):
        return _array_config("__tensor__", np.asarray(obj))
    if isinstance(obj, np.ndarray):
        return _array_config("__numpy__", obj)
    if isinstance(obj, np.dtype):
        return dtype_name(obj)
    if isinstance(obj, Dim):
        return {"class_name": "__size__", "config": str(obj)}
    if isinstance(obj, slice):
        return {"class_name": "__slice__", "config": [serialize_object(x) for x in (obj.start, obj.stop, obj.step)]}
    return {"class_name": "__ellipsis__", "config": None} if obj is Ellipsis else None


def _array_config(class_name: str, array: np.ndarray) -> dict[str, Any]:
    value = {"value": array.tolist(), "dtype": dtype_name(array.dtype), "shape": list(array.shape)}
    return {"class_name": class_name, "config": value}


def _place(obj: Any) -> dict[str, Any]:
    """Where a class or function is found again."""
    known = known_as(obj)
    if is_registered(obj) or known is None:
        return {"module": obj.__module__, "registered_name": get_registered_name(obj)}
    return {"module": f"{PACKAGE}.{known[0]}", "registered_name": None}


def _serialize_callable(obj: Any) -> str:
    if obj.__name__ == "<lambda>":
        raise TypeError(
            "a lambda cannot be written into a configuration: it has no name to be found by. Write it as a function "
            "with `def` and decorate it with register_keras_serializable()"
        )
    known = known_as(obj)
    return obj.__name__ if known is None else known[1]


def _serialize_instance(obj: Any) -> dict[str, Any]:
    kind = type(obj)
    place = _place(kind)
    config = {
        "module": place["module"],
        "class_name": _serialize_callable(kind),
        "config": _serialize_container(obj.get_config()),
        "registered_name": place["registered_name"],
    }
    for key in ("build_config", "compile_config"):
        extra = getattr(obj, f"get_{key}", lambda: None)()
        if extra is not None:
            config[key] = serialize_object(extra)
    return config


def deserialize_object(
    config: Any,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    home: Names | None = None,
) -> Any:
    """The value or object of a configuration (Keras name: `deserialize_keras_object`).

    `custom_objects` maps names to the user's own classes and functions. `home` is the registry in which a
    configuration without a module is looked up. Nothing is imported by name and no code is run: raises `ValueError`
    for a class or function that is not known, `TypeError` for a malformed configuration.
    """
    if custom_objects:
        with custom_object_scope(custom_objects):
            return deserialize_object(config, None, safe_mode, home)
    if safe_mode is False and in_safe_mode():
        with safe_mode_scope(False):
            return _deserialize(config, home)
    return _deserialize(config, home)


def _deserialize(config: Any, home: Names | None) -> Any:
    if isinstance(config, (list, tuple)):
        return type(config)([_deserialize(x, None) for x in config])
    if not isinstance(config, Mapping):
        return config
    if "class_name" not in config or "config" not in config:
        return {key: _deserialize(value, None) for key, value in config.items()}
    class_name, inner = config["class_name"], config["config"]
    if not isinstance(class_name, str):
        raise TypeError(f'configuration: "class_name" is a string, got {class_name!r}')
    if class_name in _SPECIAL:
        return _rebuild_special(class_name, inner, _deserialize_child)
    if class_name in ("function", "__class__"):
        return _known_object(inner, config, home)
    return _build(_known_object(class_name, config, home), config)


def _deserialize_child(config: Any) -> Any:
    return _deserialize(config, None)


def _rebuild_special(class_name: str, inner: Any, child: Any) -> Any:
    try:
        return _SPECIAL[class_name](inner, child)
    except (KeyError, TypeError, ValueError) as error:
        raise TypeError(f"configuration: {class_name} cannot be read from {inner!r:.200} ({error})") from None


def _array(inner: Any, child: Any) -> np.ndarray:
    return np.array(inner["value"], dtype=inner["dtype"]).reshape(inner.get("shape", np.shape(inner["value"])))


_SPECIAL: dict[str, Any] = {
    "__tuple__": lambda inner, child: tuple(child(x) for x in inner),
    "__numpy__": _array,
    "__tensor__": lambda inner, child: Tensor(_array(inner, child)),
    "__size__": lambda inner, child: as_size(inner),
    "__slice__": lambda inner, child: slice(*(child(x) for x in inner)),
    "__ellipsis__": lambda inner, child: Ellipsis,
}


def plain_values(config: Any) -> Any:
    """A configuration whose tuples, arrays, slices and sizes are values again, objects in it still configurations."""
    if isinstance(config, (list, tuple)):
        return type(config)([plain_values(x) for x in config])
    if not isinstance(config, Mapping):
        return config
    if config.get("class_name") in _SPECIAL and "config" in config:
        return _rebuild_special(config["class_name"], config["config"], plain_values)
    return {key: plain_values(value) for key, value in config.items()}


def _build(cls: Any, config: Mapping[str, Any]) -> Any:
    inner = config["config"]
    if not isinstance(cls, type):
        return cls
    if not isinstance(inner, Mapping):
        raise TypeError(
            f'configuration of {cls.__name__}: "config" is a dictionary of arguments, got {type(inner).__name__}'
        )
    values = plain_values(inner)
    made = cls.from_config(values) if hasattr(cls, "from_config") else cls(**values)
    if config.get("build_config") and hasattr(made, "build_from_config"):
        made.build_from_config(plain_values(config["build_config"]))
    if config.get("compile_config") and hasattr(made, "compile_from_config"):
        made.compile_from_config(plain_values(config["compile_config"]))
    return made


def _known_object(name: Any, config: Mapping[str, Any], home: Names | None) -> Any:
    """The class or function that a configuration names: the user's own, of the module it names, or the only one."""
    if not isinstance(name, str):
        raise TypeError(f"configuration: a function is named by a string, got {name!r}")
    registered, module = config.get("registered_name"), config.get("module")
    for candidate in (registered, name):
        found = get_registered_object(candidate) if isinstance(candidate, str) else None
        if found is not None:
            return found
    places = str(module).split(".") if module else []
    own = places[:1] in ([PACKAGE], ["keras"], ["builtins"], [])
    _wake(places if own else ())
    for place in reversed(places if own else []):
        found = MODULES[place].lookup(name) if place in MODULES else None
        if found is not None:
            return found
    if own:
        found = home.lookup(name) if home is not None else None
        _wake(WAITING)
        everywhere = {id(entry): entry for m in MODULES.values() if (entry := m.lookup(name)) is not None}
        if found is not None or len(everywhere) == 1:
            return found if found is not None else next(iter(everywhere.values()))
    found = find_without_package(name)
    if found is not None:
        return found
    raise ValueError(_unknown(name, module, own, home))


def _wake(places: Iterable[str]) -> None:
    """Execute the modules that are meant, where nobody has used them yet: what they define is known only then."""
    for place in places:
        if place in WAITING and place not in MODULES:
            dir(sys.modules[f"{__package__}.{place}"])


def _unknown(name: str, module: Any, own: bool, home: Names | None) -> str:
    short = name.rpartition(">")[2]
    place = f" (from module {module!r})" if module else ""
    hint = "."
    if own:
        names = home.names() if home is not None else sorted({n for m in MODULES.values() for n in m.names()})
        hint = did_you_mean(difflib.get_close_matches(name, names, n=3, cutoff=0.7))
    return (
        f"configuration: {name!r}{place} is not known here{hint} If it is your own, decorate it with "
        f"register_keras_serializable(), or pass custom_objects={{{short!r}: {short}}}"
    )
