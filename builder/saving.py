"""Models in files: an ONNX file that any runtime runs, and that opens here as the model it was, to be trained on.

Architecture, compile options and the places of all values are in the metadata, as JSON; values that the inference graph
does not hold as they are (and the optimizer's state) are in the file's training information. Nothing is pickled; a file
names classes and functions, which must be known (registered, or given) when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..exporters import training_info
from ..exporters.external import write_proto
from ..exporters.held import Held
from ..exporters.origins import read_origins
from ..trainer.core.variable import Variable
from ..version import __version__
from .architecture import write_model
from .compile_config import compile_config, optimizer_state
from .files import check_target
from .inference import has_pieces, model_proto, untouched_proto
from .specs_config import write_specs
from .stored_arrays import keeping_arrays
from .stored_values import ValueStore

ENDINGS = (".onnx",)
PROPERTY = "sardonyx.model"
"""The entry of the file's metadata that holds the model."""
CONSTANTS = "sardonyx.constants/"
VARIABLES = "sardonyx.variables/"
FORMAT = 1


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None, include_optimizer: bool = True
) -> None:
    """Write a model to an .onnx file, whole or not at all; see `Model.save` (Keras name: `models.save_model`)."""
    target = check_target(filepath, ENDINGS, overwrite, "save")
    if zipped is not None:
        raise ValueError("save: zipped is not supported; an .onnx file is one file")
    check_built(model, "save")
    record, initial = describe(model, include_optimizer)
    held = Held()
    proto = untouched_proto(model, held=held)
    if proto is None:
        proto = model_proto(model, metadata=summary_properties(model), keep_weights=True, held=held)
    else:
        training_info.add_properties(proto, summary_properties(model))
    origins = read_origins(training_info.properties(proto).get("sardonyx.origins", "{}"))
    store = ValueStore(training_info.initializers(proto), origins)
    for name, entry in record["values"].items():
        entry["at"] = store.place(initial[name], name, name.removeprefix(VARIABLES))
    training_info.attach(proto, store.extra, held)
    entry = proto.metadata_props.add()
    entry.key, entry.value = PROPERTY, json.dumps(record, separators=(",", ":"))
    write_proto(target, proto)


def check_built(model: Any, what: str) -> None:
    """Raise `ValueError` for a model that does not know the shapes of its inputs yet."""
    try:
        model.signature()
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None


def summary_properties(model: Any) -> dict[str, str]:
    """What a file tells about its model to those who only look."""
    facts = {"class": type(model).__name__, "name": model.name, "version": __version__}
    return {**user_metadata(model), **{f"sardonyx.{key}": value for key, value in facts.items()}}


def user_metadata(model: Any) -> dict[str, str]:
    """What the user wants files to carry, such as the names of classes (`editing.add_metadata`)."""
    return dict(getattr(model, "_metadata", {}))


def describe(model: Any, include_optimizer: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Everything about a model as JSON, but for its values; and these by their keys."""
    with keeping_arrays() as kept:
        architecture = write_model(model)
    names = model.weight_names()
    values: dict[str, dict[str, Any]] = {}
    arrays: dict[str, np.ndarray] = {}

    def keep(key: str, array: np.ndarray, **facts: Any) -> None:
        arrays[key] = array
        values[key] = {"shape": list(array.shape), "dtype": array.dtype.name, **facts}

    for variable, name in names.items():
        facts = {"frozen": True} if variable.frozen else {}
        keep(f"{VARIABLES}{name}", variable.array, trainable=variable.trainable, path=variable.path, **facts)
    for i, variable in enumerate(random_states(model, names)):
        keep(f"sardonyx.random/{i}", variable.array)
    for name, array in kept.values():
        keep(f"{CONSTANTS}{name}", array)
    record: dict[str, Any] = {"format": FORMAT, "version": __version__, "architecture": architecture}
    if has_pieces(model):
        record["pieces"] = model.output_names
    if metadata := user_metadata(model):
        record["metadata"] = metadata
    if model._plan is None:
        record["signature"] = [write_specs(part) for part in model.signature()]
    if include_optimizer and model.compiled:
        record["compile"] = compile_config(model)
        record["optimizer"], state = optimizer_state(model, names)
        for key, array in state.items():
            keep(f"sardonyx.optimizer/{key}", array)
    record["values"] = values
    return record, arrays


def random_states(model: Any, names: Mapping[Variable, str]) -> list[Variable]:
    """States of the model's random generators, in order."""
    return [variable for variable in model.variables if variable not in names]
