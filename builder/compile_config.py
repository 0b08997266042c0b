"""What `compile` was given, as JSON, and the state of the optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..trainer.core.variable import Variable
from ..trainer.serialization import deserialize_object, serialize_object
from .sharing import is_writing


def compile_config(model: Any) -> dict[str, Any] | None:
    """The arguments of `compile`; None before it, and inside the configuration of another model.

    Raises `TypeError` naming the argument that JSON cannot hold.
    """
    arguments = model._compile_arguments
    if arguments is None or is_writing():
        return None
    config = {}
    for name, value in arguments.items():
        try:
            config[name] = serialize_object(value)
        except TypeError as error:
            raise TypeError(
                f"model '{model.name}': the argument {name} of compile() cannot be written into a configuration: "
                f"{error}; or save without it: save(path, include_optimizer=False)"
            ) from None
    return config


def compile_from_config(model: Any, config: Mapping[str, Any]) -> None:
    """Compile a model as `compile_config` describes."""
    model.compile(**{name: deserialize_object(value) for name, value in config.items()})


def compile_as_known(model: Any, config: Mapping[str, Any]) -> list[str]:
    """Compile a model as far as optimizer, losses and metrics are known here; returns what is missing.

    Without its optimizer or loss the model stays as it is; unknown metrics are left out.
    """
    values: dict[str, Any] = {}
    notes: list[str] = []
    for name, value in config.items():
        if name in ("metrics", "weighted_metrics"):
            values[name] = _known_metrics(value, notes)
            continue
        try:
            values[name] = deserialize_object(value)
        except ValueError as error:
            return [f"the model is not compiled, because its {name} is not known here ({error})"]
    try:
        model.compile(**values)
    except ValueError as error:
        return [f"the model is not compiled ({error})"]
    return notes


def _known_metrics(value: Any, notes: list[str]) -> Any:
    if isinstance(value, list):
        kept = [_known_metrics(x, notes) for x in value]
        return [x for x, given in zip(kept, value, strict=True) if x is not None or given is None]
    if isinstance(value, Mapping) and value.get("class_name") == "__tuple__":
        return _known_metrics(list(value["config"]), notes)
    if isinstance(value, Mapping) and "class_name" not in value:
        return {key: _known_metrics(x, notes) for key, x in value.items()}
    try:
        return deserialize_object(value)
    except ValueError as error:
        notes.append(f"a metric is left out, because it is not known here ({error})")
        return None


def optimizer_state(model: Any, names: Mapping[Variable, str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A description of the optimizer's state, and its arrays by number."""
    optimizer = model.optimizer
    arrays: dict[str, np.ndarray] = {}
    optimizer.save_own_variables(arrays)
    trained = [names[v] for v in optimizer._trainable_variables if v in names]
    if len(trained) != len(optimizer._trainable_variables):
        foreign = next(v for v in optimizer._trainable_variables if v not in names)
        raise ValueError(
            f"model '{model.name}': its optimizer also trains '{foreign.path}', which is not a weight of the model, so "
            "its state cannot be saved with it; save(path, include_optimizer=False) leaves it out"
        )
    excluded = [names[v] for v in optimizer._no_decay if v in names]
    description = {
        "built": optimizer.built,
        "variables": trained,
        "without_decay": sorted(excluded),
        "without_decay_names": list(optimizer._no_decay_names),
    }
    return description, arrays


def restore_optimizer(
    optimizer: Any, config: Mapping[str, Any], own: Mapping[str, Variable], state: dict[str, Any]
) -> None:
    """Put an optimizer into the state that `optimizer_state` described; `own` are the variables by name in the file."""
    if config["without_decay"] or config["without_decay_names"]:
        excluded = [own[name] for name in config["without_decay"]]
        optimizer.exclude_from_weight_decay(var_list=excluded, var_names=config["without_decay_names"])
    if config["built"]:
        optimizer.build([own[name] for name in config["variables"]])
    optimizer.load_own_variables(state)
