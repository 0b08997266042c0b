"""Layers and models made again with new weights: by their classes, or from what was recorded of them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

from ..trainer.core import tree
from . import later
from .architecture import build_recorded
from .configuration import constructor
from .layer import Layer
from .recording import Recordings
from .sharing import items_written, plain_config, replacing, write_layer, writing


def remade(layer: Any) -> Any:
    """A new layer like this one: from its configuration, or with the arguments that its constructor was given.

    Raises `TypeError` where the constructor's arguments are not known.
    """
    if hasattr(layer, "_class_origin"):
        return initialized_again(copy.deepcopy(layer))
    try:
        return type(layer).from_config(layer.get_config())
    except TypeError:
        return with_arguments(layer)


def initialized_again(layer: Any) -> Any:
    """A layer whose weights start anew, where it is known how they began."""
    for variable in layer.weights:
        if variable.initializer is not None:
            variable.assign(variable.initializer(variable.shape, dtype=variable.dtype.name))
    return layer


def with_arguments(layer: Any) -> Any:
    """A new layer by its class's constructor, with the arguments this one was made with; layers among them made anew.

    For arguments that have no form in a configuration, such as a lambda.
    """
    made: dict[int, Any] = {}

    def anew(x: Any) -> Any:
        if not isinstance(x, Layer):
            return x
        if id(x) not in made:
            made[id(x)] = remade(x)
        return made[id(x)]

    passed = {name: tree.map_structure(anew, value) for name, value in layer._arguments.items()}
    positional: list[Any] = []
    parameters = constructor(type(layer)).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL and f"*{p.name}" in passed for p in parameters):
        for p in parameters:
            if p.kind is inspect.Parameter.VAR_POSITIONAL:
                positional += passed.pop(f"*{p.name}")
                break
            positional.append(passed.pop(p.name))
    twin = type(layer)(*positional, **passed)
    twin.name, twin._trainable = layer.name, layer._trainable
    return twin


def made_again(model: Any) -> Any:
    """A new model of the same class, built if the model is; None where the constructor cannot be called again."""
    if hasattr(model, "_class_origin"):
        return None
    _, problem = plain_config(model)
    try:
        twin = with_arguments(model) if problem is not None else type(model).from_config(model.get_config())
    except Exception:  # a constructor of the user's own may raise anything
        if model._signature is None and model._plan is None:
            raise
        return None
    if model._signature is not None and twin._plan is None:
        twin._signature = model._signature
        twin.built = True
        _ = twin.plan
    return twin


def recorded_clone(
    model: Any,
    clone: Callable[[Any], Any] | None = None,
    call: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Any:
    """A `RecordedModel` of what was recorded of a model, its layers made by `clone`, called through `call`.

    Raises `ValueError` for a model that does not know its inputs yet.
    """
    recordings = Recordings(model, everywhere=True)
    with writing(recordings):
        if not recordings.covers(model):
            raise ValueError(
                f"clone_model: '{model.name}' ({type(model).__name__}) cannot be made again by its class and is not "
                "built, so that nothing is recorded of it: call it on data or build(input_shape) first"
            )
        entry = write_layer(model)
        numbers = {id(item): number for number, item in items_written().items()}
    layers = [] if clone is None else _replaced(model, recursive)
    with replacing({numbers[id(x)]: _maker(clone, x) for x in layers if id(x) in numbers}):
        twin = later.read_recorded(entry, "it was cloned")
    if call is not None:
        for layer in later.recorded_layers(twin) if recursive else [twin]:
            layer._call_function = call
    if hasattr(twin, "plan"):
        build_recorded(twin)
    return twin


def _maker(clone: Any, layer: Any) -> Callable[[], Any]:
    return lambda: clone(layer)


def _replaced(model: Any, recursive: bool) -> list[Any]:
    """The layers that a clone function makes: those of the model and, if wanted, of models inside it."""
    found: list[Any] = []
    for layer in model.child_layers():
        found += _replaced(layer, True) if recursive and hasattr(layer, "plan") else [layer]
    return found
