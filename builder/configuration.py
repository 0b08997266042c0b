"""Configurations of layers, collected from their constructors instead of being written out in each class."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..trainer.core.dtypes import floatx
from ..trainer.serialization import deserialize_object, serialize_object

if TYPE_CHECKING:
    from .layer import Layer

BASE_ARGUMENTS = ("name", "trainable", "dtype")


@lru_cache(maxsize=4096)
def constructor(cls: type) -> inspect.Signature:
    """The signature of a class's constructor."""
    return inspect.signature(cls)


def bind_arguments(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The constructor's arguments by name, defaults included; empty when they do not fit (the call will say so)."""
    signature = constructor(cls)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return {}
    bound.apply_defaults()
    arguments: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            arguments.update(value)
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            if value:
                arguments[f"*{name}"] = value
        else:
            arguments[name] = value
    return arguments


def layer_config(layer: Layer) -> dict[str, Any]:
    """What `Layer.get_config` returns: base arguments as they are now, the others from attributes or as passed."""
    config: dict[str, Any] = {"name": layer.name, "trainable": layer.trainable}
    if layer.dtype != floatx():
        config["dtype"] = layer.dtype
    for name, passed in layer._arguments.items():
        if name in BASE_ARGUMENTS:
            continue
        if name.startswith("*"):
            raise TypeError(
                f"layer '{layer.name}': the constructor of {type(layer).__name__} takes {name}, which a configuration "
                "cannot name; write get_config() and from_config() in the class"
            )
        value = vars(layer).get(name, passed)
        try:
            config[name] = serialize_plainly(value)
        except TypeError as error:
            raise TypeError(
                f"layer '{layer.name}': the argument '{name}' of {type(layer).__name__} cannot be written into a "
                f"configuration ({error}); write get_config() in the class"
            ) from None
    return config


def serialize_plainly(value: Any) -> Any:
    """As JSON: shapes and sizes as lists, functions of the library by name, objects as their configurations."""
    if isinstance(value, tuple) and all(x is None or isinstance(x, (int, str, np.integer)) for x in value):
        return [x.item() if isinstance(x, np.integer) else x for x in value]
    serialized = serialize_object(value)
    is_function = isinstance(serialized, dict) and serialized.get("class_name") == "function"
    if is_function and not serialized.get("registered_name"):
        return serialized["config"]
    return serialized


def layer_from_config(cls: type, config: dict[str, Any]) -> Any:
    """What `Layer.from_config` does: nested configurations become objects, then the constructor is called.

    A constructor that takes no name gets it afterwards.
    """
    parameters = constructor(cls).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    apart = {n: config[n] for n in ("name", "trainable") if n in config and n not in parameters and not takes_any}
    layer = cls(**{name: revive(value) for name, value in config.items() if name not in apart})
    layer.name = apart.get("name", layer.name)
    if apart.get("trainable", True) is False:
        layer.trainable = False
    return layer


def revive(value: Any) -> Any:
    """An object for the configuration of one; everything else unchanged."""
    if isinstance(value, dict) and "class_name" in value and "config" in value:
        return deserialize_object(value)
    if isinstance(value, list):
        return [revive(x) for x in value]
    return {k: revive(v) for k, v in value.items()} if isinstance(value, dict) else value
