"""The state of a training loop of one's own in one file: models, optimizers, random generators, counters.

An `.npz` or `.safetensors` file of arrays; what is no array (the kind of each entry, Python values, states of NumPy's
generators) is JSON in the array `checkpoint.json`. Nothing is pickled, and nothing in a file makes an object: a file
fills the objects that the program made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..exporters.files import write_atomically
from ..trainer.core.variable import Variable
from ..trainer.ops.seed import global_seed_generator
from ..version import __version__
from .checkpoint_entries import KINDS, Change, Entry, entry_of
from .files import check_target, read_file
from .layer import Layer
from .model_names import weight_names
from .weights_file import ENDINGS, encode_arrays, read_arrays

HEADER = "checkpoint.json"
GLOBAL_RANDOM = "sardonyx.random"
FORMAT = 1


class Checkpoint:
    """Everything a training loop needs to go on exactly where it was (TensorFlow name: `tf.train.Checkpoint`).

    `state` names what belongs to the loop: models and layers, optimizers, metrics, variables, seed generators, NumPy
    generators, tensors, arrays, and Python values (numbers, strings, None, lists and dictionaries of these). Python
    values, tensors and arrays are attributes that the loop changes: `checkpoint.step += 1`. The state of
    `sx.random` without a seed is always included.

    `save` writes all of it, whole or not at all; `restore` puts it back into the same objects, or into those of a new
    process that made them alike. Raises `TypeError` for what cannot be saved.

    >>> import sardonyx as sx, numpy as np, tempfile, os
    >>> model = sx.Sequential([sx.Input((3,)), sx.layers.Dense(2)])
    >>> loop = sx.saving.Checkpoint(model=model, optimizer=sx.optimizers.Adam(), rng=np.random.default_rng(1), step=0)
    >>> loop.step += 5
    >>> path = os.path.join(tempfile.mkdtemp(), "loop.npz")
    >>> loop.save(path)
    >>> before, loop.step = loop.rng.random(), 0
    >>> loop.restore(path)
    >>> loop.step, loop.rng.random() == before
    (5, True)
    """

    _state: dict[str, Any]

    def __init__(self, **state: Any) -> None:
        for name, value in state.items():
            if hasattr(type(self), name) or name.startswith("_") or not name.isidentifier():
                raise ValueError(f"Checkpoint: {name!r} cannot be the name of an entry; give it another")
            entry_of(name, value)
        object.__setattr__(self, "_state", dict(state))

    def __getattr__(self, name: str) -> Any:
        state = self.__dict__.get("_state", {})
        if name not in state:
            raise AttributeError(f"Checkpoint has no {name!r}; it holds {', '.join(state) or 'nothing'}")
        return state[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._state:
            raise AttributeError(
                f"Checkpoint has no {name!r}; everything it saves is named when it is made: Checkpoint({name}=...)"
            )
        entry_of(name, value)
        self._state[name] = value

    def __repr__(self) -> str:
        return f"<Checkpoint {', '.join(f'{name}: {type(value).__name__}' for name, value in self._state.items())}>"

    def save(self, filepath: Any, overwrite: bool = True) -> None:
        """Write the state to an .npz or .safetensors file, whole or not at all.

        Raises `ValueError` for another ending, a model without weights yet, or an optimizer of variables that are not
        part of the checkpoint; `FileExistsError` without `overwrite`; and what a missing folder raises.
        """
        target = check_target(filepath, ENDINGS, overwrite, "Checkpoint.save")
        names = self._variable_names()
        arrays: dict[str, np.ndarray] = {f"{GLOBAL_RANDOM}/state": global_seed_generator().state.array}
        entries: dict[str, dict[str, Any]] = {}
        for name, entry in self._entries().items():
            facts, own = entry.write(names)
            entries[name] = {"kind": entry.kind, **facts}
            arrays.update({f"{name}/{key}": array for key, array in own.items()})
        header = json.dumps({"format": FORMAT, "version": __version__, "entries": entries})
        arrays[HEADER] = np.frombuffer(header.encode(), np.uint8)
        write_atomically(target, encode_arrays(target, arrays))

    def restore(self, filepath: Any) -> None:
        """Put back what `save` wrote. Nothing is changed unless everything fits.

        Raises `FileNotFoundError`, and `ValueError` for a damaged or foreign file, or one whose names, kinds, shapes
        or dtypes differ from those of this checkpoint: all differences are told.
        """
        what = f"Checkpoint.restore: {str(filepath)!r}"
        arrays = read_arrays(Path(filepath), read_file(filepath, ENDINGS, "Checkpoint.restore"), "Checkpoint.restore")
        stored = _header(arrays, what)
        entries = self._entries()
        problems = _differences(entries, stored)
        if problems:
            raise ValueError(f"{what} does not fit this checkpoint: {'; '.join(problems)}. Nothing was restored")
        entries[GLOBAL_RANDOM] = entry_of(GLOBAL_RANDOM, global_seed_generator())
        parts = {name: _part(arrays, f"{name}/") for name in entries}
        own = _variables_in_file(entries, parts)
        changes: dict[str, Change] = {}
        for name, entry in entries.items():
            try:
                changes[name] = entry.prepare(stored.get(name, {}), parts[name], own)
            except KeyError as error:
                problems.append(f"{name}: the file does not tell its {error}")
            except (TypeError, ValueError) as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise ValueError(f"{what} does not fit this checkpoint: {'; '.join(problems)}. Nothing was restored")
        for name, change in changes.items():
            replaced = change()
            if replaced is not None:
                self._state[name] = replaced[0]

    def _entries(self) -> dict[str, Entry]:
        return {name: entry_of(name, value) for name, value in self._state.items()}

    def _variable_names(self) -> dict[Variable, str]:
        """Each variable that the checkpoint holds by its name in the file, for optimizers to say what they train."""
        found: dict[Variable, str] = {}
        for name, value in self._state.items():
            if isinstance(value, Variable):
                found.setdefault(value, name)
            elif isinstance(value, Layer):
                for variable, weight in weight_names(value).items():
                    found.setdefault(variable, f"{name}/{weight}")
        return found


def _part(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}


def _variables_in_file(entries: Mapping[str, Entry], parts: Mapping[str, dict[str, np.ndarray]]) -> dict[str, Variable]:
    """The variables that optimizers may train, by the names that the file has for them."""
    found: dict[str, Variable] = {}
    for name, entry in entries.items():
        if isinstance(entry.value, Variable):
            found[name] = entry.value
        elif isinstance(entry.value, Layer):
            found.update({f"{name}/{key}": variable for key, variable in entry.stored(parts[name]).items()})
    return found


def _header(arrays: Mapping[str, np.ndarray], what: str) -> dict[str, dict[str, Any]]:
    """The entries that a file tells of. Raises `ValueError` for what is no checkpoint, or one of a later format."""
    raw = arrays.get(HEADER)
    if raw is None or raw.dtype != np.uint8 or raw.ndim != 1:
        raise ValueError(f"{what} is no checkpoint of a loop; weights alone are read by Model.load_weights")
    try:
        record = json.loads(raw.tobytes().decode())
        version, entries = record["format"], record["entries"]
        kinds = {name: entry["kind"] for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{what} is damaged: its description cannot be read ({error})") from None
    if version != FORMAT:
        raise ValueError(f"{what} has format {version!r}; this version of sardonyx reads format {FORMAT}")
    unknown = sorted({str(kind) for kind in kinds.values() if str(kind) not in KINDS})
    if unknown:
        raise ValueError(f"{what} is damaged: it holds unknown kinds: {', '.join(unknown)}")
    return entries


def _differences(entries: Mapping[str, Entry], stored: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How the names and kinds of a file differ from those that are there."""
    missing = [name for name in entries if name not in stored]
    unexpected = [name for name in stored if name not in entries]
    problems = [f"the file lacks {', '.join(missing)}"] if missing else []
    if unexpected:
        problems.append(f"the file also holds {', '.join(unexpected)}")
    for name, entry in entries.items():
        if name in stored and stored[name]["kind"] != entry.kind:
            problems.append(f"{name}: expected {entry.kind}, the file holds {stored[name]['kind']}")
    return problems
