"""Weights out of files that Keras wrote: `.h5` of either layout, and the `.keras` archive."""

from __future__ import annotations

import importlib
import io
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ..trainer.core.variable import Variable
from ..trainer.registry import snake_case

ENDINGS = (".h5", ".hdf5", ".keras")
INNER_FILE = "model.weights.h5"

Pairs = list[tuple[Variable, str, Any]]
"""Each variable with its name in the file and its data set there, not yet read."""

LARGEST_RATIO = 100
"""Times its own size that an archive may unpack to: weights hardly shrink, unless they are zeros or few."""


def read_keras_weights(model: Any, path: Path, data: bytes) -> list[tuple[Variable, str, np.ndarray]]:
    """Each variable of a model with its name in the model and in the file, and its value.

    Layers are matched as Keras does it: by their place among those that have weights (`layer_names` and
    `weight_names`, written by Keras 1 and 2), or by class and number (`.weights.h5` and `.keras`, written by Keras 3).
    Nothing is read but data within the file, of the shapes that the model has: the value of a misfit is of its shape,
    but takes no memory. Raises `ValueError` for a damaged file and for one with other layers, `ImportError` without
    h5py.
    """
    try:
        library: Any = importlib.import_module("h5py")
    except ImportError:
        raise ImportError(f"files that end in {path.suffix} need the package h5py: pip install h5py") from None
    content = _inner_file(path, data) if path.suffix.lower() == ".keras" else data
    try:
        with library.File(io.BytesIO(content), "r") as file:
            root = file["model_weights"] if "layer_names" not in file.attrs and "model_weights" in file else file
            found = _by_place(model, root, path) if "layer_names" in root.attrs else _by_class(model, file, path)
            names = model.weight_names()
            return [(v, f"{names[v]} ({name} in the file)", _value(v, data, name, path)) for v, name, data in found]
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"load_weights: {str(path)!r} is no whole HDF5 file of weights ({error}); get it again"
        ) from None


def _value(variable: Variable, data: Any, name: str, path: Path) -> np.ndarray:
    """The array of a data set, or one of no memory where it has another shape; refused if it is not numbers in here."""
    if data.external or data.is_virtual:
        raise ValueError(f"load_weights: {str(path)!r} takes {name} from another file; only data within it are read")
    if data.dtype.kind not in "fiub":
        raise ValueError(f"load_weights: {str(path)!r} has no numbers in {name}, but {data.dtype}")
    if tuple(data.shape) != variable.shape:
        return np.broadcast_to(np.zeros((), data.dtype), data.shape)
    return np.asarray(data)


def _inner_file(path: Path, data: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = archive.getinfo(INNER_FILE).file_size
            if size > max(LARGEST_RATIO * len(data), 2**26):
                raise ValueError(f"load_weights: {INNER_FILE} in {str(path)!r} claims to unpack to {size} bytes")
            return archive.read(INNER_FILE)
    except (zipfile.BadZipFile, KeyError, EOFError, OSError) as error:
        raise ValueError(
            f"load_weights: {str(path)!r} is no whole .keras archive with {INNER_FILE} in it ({error}); get it again"
        ) from None


def _text(name: Any) -> str:
    return name.decode("utf-8") if isinstance(name, bytes) else str(name)


def _by_place(model: Any, root: Any, path: Path) -> Pairs:
    """The layout of Keras 1 and 2: a list of layers, each with a list of weights."""
    stored = []
    for name in map(_text, root.attrs["layer_names"]):
        weights = [_text(weight) for weight in root[name].attrs["weight_names"]]
        if weights:
            stored.append((name, weights))
    own = [layer for layer in model.layers if layer.weights]
    if len(own) != len(stored):
        raise ValueError(
            f"load_weights: {str(path)!r} has weights for {len(stored)} layers, model '{model.name}' has {len(own)} "
            "layers with weights; build the model that the file was written for (with or without its top?)"
        )
    pairs: Pairs = []
    for layer, (name, weights) in zip(own, stored, strict=True):
        variables = sorted(layer.weights, key=lambda v: not (v.trainable or v.frozen))
        _refuse_count(layer, len(variables), name, len(weights), path)
        pairs += [(v, w, root[name][w]) for v, w in zip(variables, weights, strict=True)]
    return pairs


def _refuse_count(layer: Any, expected: int, name: str, given: int, path: Path) -> None:
    if expected != given:
        raise ValueError(
            f"load_weights: {str(path)!r} has {given} weights for layer '{name}', layer '{layer.name}' "
            f"({type(layer).__name__}) has {expected}; build the model that the file was written for"
        )


def _by_class(model: Any, group: Any, path: Path) -> Pairs:
    """The layout of Keras 3: a group for every layer, named after its class and numbered within the model."""
    pairs: Pairs = []
    counts: Counter[str] = Counter()
    for layer in model.layers:
        base = snake_case(type(layer).__name__)
        name = f"{base}_{counts[base]}" if counts[base] else base
        counts[base] += 1
        if not layer.weights:
            continue
        inner = group.get(f"layers/{name}")
        if inner is None:
            raise ValueError(
                f"load_weights: {str(path)!r} has no weights for layer '{layer.name}' of model '{model.name}': the "
                f"group layers/{name} is missing; build the model that the file was written for"
            )
        pairs += _layer_pairs(layer, inner, path)
    return pairs


def _layer_pairs(layer: Any, group: Any, path: Path) -> Pairs:
    """A layer's own variables stand in `vars`, those of inner layers in groups named after the attribute."""
    if "layers" in group and hasattr(layer, "layers"):
        return _by_class(layer, group, path)
    variables, stored = layer.own_variables(), group.get("vars", {})
    _refuse_count(layer, len(variables), group.name, len(stored), path)
    pairs: Pairs = [(v, f"{group.name}/vars/{i}", stored[str(i)]) for i, v in enumerate(variables)]
    children = {id(child): child for child in layer.child_layers() if child.weights}
    for attribute, value in vars(layer).items():
        if id(value) in children and attribute.lstrip("_") in group:
            pairs += _layer_pairs(children.pop(id(value)), group[attribute.lstrip("_")], path)
    if children:
        names = ", ".join(f"'{child.name}'" for child in children.values())
        raise ValueError(f"load_weights: {str(path)!r} has no group in {group.name} for the inner layers {names}")
    return pairs
