"""Weights alone in a file: `.safetensors` or `.npz`, named as `Model.weight_names` names them; Keras's are read."""

from __future__ import annotations

import importlib
import io
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..exporters.files import write_atomically
from . import keras_weights
from .files import check_target, read_file
from .weight_matching import assign_all, listed, match

ENDINGS = (".safetensors", ".npz")


def _safetensors() -> Any:
    try:
        return importlib.import_module("safetensors.numpy")
    except ImportError:
        raise ImportError(
            "files that end in .safetensors need the package safetensors: pip install safetensors; or use .npz"
        ) from None


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """What `Model.save_weights` does."""
    what = "save_weights"
    target = check_target(filepath, ENDINGS, overwrite, what)
    names = model.weight_names()
    if not names:
        raise ValueError(f"{what}: model '{model.name}' has no weights yet: call it on data or build(input_shape)")
    arrays = {name: variable.array for variable, name in names.items()}
    write_atomically(target, encode_arrays(target, arrays))


def encode_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of a file of arrays, of the kind that the path's ending names."""
    if path.suffix.lower() == ".safetensors":
        return _safetensors().save({k: np.ascontiguousarray(a).reshape(a.shape) for k, a in arrays.items()},
                                   metadata={"format": "sardonyx"})  # fmt: skip
    return npz_bytes(arrays)


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as the bytes of an .npz file; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return buffer.getvalue()


def read_arrays(path: Path, data: bytes, what: str = "load_weights") -> dict[str, np.ndarray]:
    """The arrays of a weights file. Raises `ValueError` for a damaged or foreign one."""
    if path.suffix.lower() == ".safetensors":
        library = _safetensors()
        own_error = importlib.import_module("safetensors").SafetensorError
        failures: tuple[type[Exception], ...] = (own_error, ValueError, KeyError, TypeError)
    else:
        library, failures = None, (zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError, NotImplementedError)
    try:
        if library is not None:
            return library.load(data)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name.removesuffix(".npy"): _member(archive, name) for name in archive.namelist()}
    except failures as error:
        raise ValueError(
            f"{what}: {str(path)!r} is no whole {path.suffix} file of arrays ({error}); write it again"
        ) from None


def _member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False) -> None:
    """What `Model.load_weights` does."""
    data = read_file(filepath, (*ENDINGS, *keras_weights.ENDINGS), "load_weights")
    names = model.weight_names()
    if not names:
        raise ValueError(
            f"load_weights: model '{model.name}' has no weights yet; call it on data or build(input_shape) first"
        )
    path, problems = Path(filepath), []
    if path.suffix.lower() in keras_weights.ENDINGS:
        pairs, missing, unexpected = keras_weights.read_keras_weights(model, path, data), [], []
    else:
        arrays = read_arrays(path, data)
        matched, missing, unexpected = match(names, arrays)
        pairs = [(variable, names[variable], arrays[name]) for variable, name in matched.items()]
    if missing:
        problems.append(f"the file lacks {listed(missing)}")
    if unexpected:
        problems.append(f"the model has no {listed(unexpected)}")
    if problems and not skip_mismatch:
        raise ValueError(
            f"load_weights: {str(filepath)!r} does not fit model '{model.name}': {'; '.join(problems)}. Nothing was "
            "loaded; pass skip_mismatch=True to load what fits"
        )
    skipped = assign_all(pairs, f"load_weights: {str(filepath)!r} does not fit model '{model.name}'", skip_mismatch)
    if skipped:
        problems.append(f"shapes differ for {listed(skipped)}")
    if problems:
        warnings.warn(f"load_weights: {str(filepath)!r} was loaded in part: {'; '.join(problems)}", stacklevel=3)
