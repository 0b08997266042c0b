"""Models as JSON: configurations where there are any, recorded computations where a class may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..trainer.serialization import serialize_object
from . import later
from .configuration import layer_config
from .recorded_checks import check_growth
from .recorder import trace_mode
from .recording import Recordings
from .recording_layout import is_container
from .sharing import is_writing, read_layer, reading, write_layer, writing


def write_model(model: Any) -> dict[str, Any]:
    """A model with all that is needed to have it again in a process without its classes.

    Raises `TypeError` for one that has neither a configuration nor, being unbuilt, a recorded computation.
    """
    with writing(Recordings(model, everywhere=True)):
        return serialize_object(model) if is_container(model) else write_layer(model)


def own_config(model: Any) -> dict[str, Any]:
    """Arguments of a model's constructor; where they cannot be written, what was recorded of it.

    Raises `TypeError` for a model whose arguments cannot be written and that does not know its inputs yet.
    """
    try:
        return model.plain_config() if hasattr(model, "plain_config") else layer_config(model)
    except TypeError as error:
        if is_writing():
            raise
        recordings = Recordings(model, everywhere=False)
        with writing(recordings):
            if not recordings.covers(model):
                raise TypeError(
                    f"{error}; or build the model first: what it computes is recorded then, which needs no arguments"
                ) from None
            return {"name": model.name, "trainable": model.trainable, "recorded_model": write_layer(model)}


def read_model(config: Mapping[str, Any]) -> Any:
    """The model that `write_model` described, with new weights."""
    with reading():
        return read_layer(config)


def recorded_from_config(config: Mapping[str, Any]) -> Any:
    """The model that `own_config` described by what was recorded of it."""
    model = read_model(config["recorded_model"])
    build_recorded(model)
    return model


def build_recorded(model: Any) -> None:
    """Make the weights of recorded layers, by following what was recorded, in both modes."""
    recorded = later.recorded_layers(model)
    if not recorded or (model._plan is None and model._signature is None):
        return
    for layer in recorded:
        check_growth(layer)
    model._view = None
    _ = model.plan
    if not any("training" in layer.missing for layer in recorded):
        trace_mode(model, True)
