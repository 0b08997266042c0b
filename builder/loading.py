"""Models out of files and texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..exporters import training_info
from ..exporters.read import open_source
from ..exporters.source import Source
from ..trainer.core.errors import ShapeError
from ..trainer.core.variable import first_values_later
from ..trainer.custom_objects import custom_object_scope
from ..trainer.serialization import safe_mode_scope
from .architecture import build_recorded, read_model
from .compile_config import compile_as_known, restore_optimizer
from .files import check_source
from .imported import imported_model
from .knowing import know_again
from .model_files import ModelFiles
from .recorded_model import RecordedModel
from .recorded_notes import warn_of_loss
from .saving import CONSTANTS, ENDINGS, FORMAT, PROPERTY, random_states
from .specs_config import read_specs
from .stored_arrays import known_arrays
from .stored_values import read_value
from .weight_matching import assign_all, listed, match

DAMAGED = (KeyError, IndexError, TypeError, AttributeError, RecursionError)


def load_model(
    filepath: Any,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    *,
    shapes: Mapping[str, Sequence[Any]] | None = None,
    lift: bool = True,
    frozen: bool | str = False,
) -> Any:
    """The model that `Model.save` wrote: layers, weights, compile options and the optimizer's state (Keras name).

    Any other ONNX file opens too: its nodes become layers, its floating-point weights variables. These are frozen, so
    that a new head can be trained on what is there; `model.unfreeze()` frees all, `model.unfreeze("layer4*")` some.

    custom_objects: the user's own classes and functions by name, where they are not registered
    compile: whether to compile the model as it was, ready to be trained on
    safe_mode: whether to refuse code in the file (of `Lambda` layers); none is run in either case
    shapes: of other libraries' files, other shapes for inputs by name: numbers, names, or None for any size
    lift: whether nodes of such a file that are one layer of ours become that layer (Conv2D, Dense, LSTM, ...)
    frozen: True runs such a file whole on onnxruntime (`FrozenONNX`), without a gradient; "unsupported" only the parts
        whose operators are not known here or have no gradient

    A class that is not known here, or cannot be made again, is replaced by what was recorded of it (`RecordedModel`),
    with a warning that names it and what is lost; so are unknown metrics left out, and a model whose loss or optimizer
    is unknown stays uncompiled. Raises `ValueError` for an incomplete or damaged file, `UnsupportedOperatorError` for
    one with operators that cannot be computed here, `FileNotFoundError` and `IsADirectoryError`.

    >>> import tempfile, pathlib, sardonyx as sx
    >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(pathlib.Path(folder) / "m.onnx")
    ...     sx.models.load_model(pathlib.Path(folder) / "m.onnx").count_params()
    10
    """
    path = check_source(filepath, ENDINGS, "load_model")
    try:
        source = open_source(path)
        properties = training_info.properties(source.frame)
        if PROPERTY not in properties:
            return opened(source, path.stem, shapes, lift, frozen)
        if shapes:
            raise ValueError("shapes= is for files of other libraries; this one was saved here: give its Input sizes")
        record = read_record(properties)
        values = read_values(record, source.frame)
    except ShapeError as error:
        raise ShapeError(f"load_model: {str(filepath)!r} cannot be opened: {error}\n  {OTHER_SHAPES}") from None
    except ValueError as error:
        raise ValueError(f"load_model: {str(filepath)!r} cannot be opened: {error}") from None
    with custom_object_scope(custom_objects or {}), first_values_later():
        constants = {k.removeprefix(CONSTANTS): v for k, v in values.items() if k.startswith(CONSTANTS)}
        with safe_mode_scope(safe_mode), known_arrays(constants):
            model = read_model(record["architecture"])
        if not isinstance(model, ModelFiles):
            raise ValueError(f"load_model: {str(filepath)!r} describes a {type(model).__name__}, which is no model")
        if "signature" in record and not isinstance(model, RecordedModel):
            build_from_signature(model, record["signature"])
        build_recorded(model)
        own = restore_values(model, record, values, str(filepath))
        notes: list[str] = []
        if compile and record.get("compile") is not None:
            notes = compile_as_known(model, record["compile"])
        if compile and record.get("compile") is not None and model.compiled:  # type: ignore[attr-defined]
            prefix = "sardonyx.optimizer/"
            state = {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
            restore_optimizer(model.optimizer, record["optimizer"], own, state)  # type: ignore[attr-defined]
    if "metadata" in record:
        vars(model)["_metadata"] = {str(key): str(value) for key, value in record["metadata"].items()}
    if "pieces" in record:
        know_again(model, source, record["pieces"])
    warn_of_loss(model, "load_model", notes)
    return model


OTHER_SHAPES = (
    "If the file's names of sizes say something else than what it computes, give other shapes: "
    "load_model(path, shapes={'input': ('batch', 3)})"
)


def opened(source: Source, name: str, shapes: Any, lift: bool, frozen: bool | str) -> Any:
    """The model of another library's file. Raises `ValueError` for one whose parts do not fit each other."""
    try:
        return imported_model(source, name, shapes, lift, frozen)
    except DAMAGED as error:
        if str(error).startswith("shapes:"):
            raise
        raise ValueError(
            f"it is damaged, or none that ONNX allows ({type(error).__name__}: {error}); onnx.checker.check_model may "
            "say more"
        ) from error


def read_record(properties: Mapping[str, str]) -> dict[str, Any]:
    """The description of the model in a file's metadata. Raises `ValueError` when there is none, or a damaged one."""
    try:
        record = json.loads(properties[PROPERTY])
        if not isinstance(record, dict) or record["format"] > FORMAT:
            raise ValueError(f"it was saved by a newer version, {record['version']}; upgrade to open it")
        if not isinstance(record["architecture"], dict) or not isinstance(record["values"], dict):
            raise ValueError("its description of the model is damaged")
    except (json.JSONDecodeError, *DAMAGED) as error:
        raise ValueError(f"its description of the model is damaged ({type(error).__name__}: {error})") from None
    return record


def read_values(record: Mapping[str, Any], proto: Any) -> dict[str, Any]:
    """All values by their keys. Raises `ValueError` when one is missing."""
    initializers, extra = training_info.initializers(proto), training_info.attached(proto)
    values = {}
    for key, entry in record["values"].items():
        try:
            values[key] = read_value(entry["at"], entry["shape"], initializers, extra)
            if values[key].dtype.name != entry["dtype"]:
                raise ValueError(f"expected {entry['dtype']}, found {values[key].dtype.name}")
        except (ValueError, *DAMAGED) as error:
            raise ValueError(f"the value {key!r} is missing or damaged ({error}): is the file whole?") from None
    return values


def build_from_signature(model: Any, config: Any) -> None:
    """Make the weights of a subclassed model for the arguments its `call` had."""
    args, keywords = read_specs(config)
    model.compute_output_spec(*args, **keywords)
    model._signature = (args, keywords)
    model._view = None


def restore_values(model: Any, record: Mapping[str, Any], values: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Give the model its weights and random states; returns its variables by their names in the file."""
    prefix = "sardonyx.variables/"
    stored = [key.removeprefix(prefix) for key in values if key.startswith(prefix)]
    names = model.weight_names()
    matched, missing, unexpected = match(names, stored)
    if missing or unexpected:
        raise ValueError(
            f"load_model: {path!r} does not fit what class {type(model).__name__} builds now: "
            f"weights not in the file: {listed(missing) or 'none'}; only in the file: {listed(unexpected) or 'none'}. "
            "Has the code of the class changed since?"
        )
    states = random_states(model, names)
    seeds = [values[key] for key in values if key.startswith("sardonyx.random/")]
    if len(states) != len(seeds):
        raise ValueError(f"load_model: {path!r} holds {len(seeds)} random states, the model has {len(states)}")
    pairs = [(variable, names[variable], values[prefix + name]) for variable, name in matched.items()]
    pairs += [(variable, variable.path, value) for variable, value in zip(states, seeds, strict=True)]
    assign_all(pairs, f"load_model: {path!r} does not fit the model")
    for variable, name in matched.items():
        entry = record["values"][prefix + name]
        variable.trainable, variable.frozen = entry["trainable"], bool(entry.get("frozen", False))
        variable.path = str(entry.get("path", variable.path))
    return {name: variable for variable, name in matched.items()}


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model that `Model.to_json` described, with new weights (Keras name: `models.model_from_json`).

    Classes that are not known here are replaced by what was recorded of them, with a warning, as in `load_model`.
    Raises `ValueError` for what is no JSON, or describes no model.

    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(2)], name="small")
    >>> sx.models.model_from_json(model.to_json()).name
    'small'
    """
    try:
        config = json.loads(json_string)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"model_from_json: the text is no JSON ({error}); expected what to_json() returned") from None
    with custom_object_scope(custom_objects or {}):
        model = read_model(config) if isinstance(config, Mapping) else None
        if not isinstance(model, ModelFiles):
            raise ValueError(f"model_from_json: the text describes no model, but {str(json_string)[:60]!r}")
        build_recorded(model)
    warn_of_loss(model, "model_from_json", [])
    return model


__all__ = ["load_model", "model_from_json"]
