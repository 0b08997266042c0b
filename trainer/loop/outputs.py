"""Losses and metrics matched to a model's outputs: one for all, by position, or by output name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core import tree
from ..core.later import LazyModule

difflib: Any = LazyModule("difflib")


def by_output(given: Any, names: Sequence[str], what: str, many: bool) -> list[Any]:
    """One entry per output from what the user gave; `many`: an entry may itself be a list (metrics).

    Raises `ValueError` for unknown output names (with the closest ones) and for lists of the wrong length.
    """
    count = len(names)
    if given is None:
        return [None] * count
    if isinstance(given, Mapping):
        unknown = [key for key in given if key not in names]
        if unknown:
            close = difflib.get_close_matches(str(unknown[0]), [str(n) for n in names], 1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            raise ValueError(f"{what}: the model has no output {unknown[0]!r}{hint} Outputs: {list(names)}")
        return [given.get(name) for name in names]
    if isinstance(given, (list, tuple)):
        if count == 1 and (many or len(given) == 1):
            return [list(given) if many else given[0]]
        if many and not any(isinstance(item, (list, tuple)) or item is None for item in given) and len(given) != count:
            return [list(given)] * count
        if len(given) != count:
            raise ValueError(f"{what}: expected {count} entries, one for each output {list(names)}; got {len(given)}")
        return list(given)
    return [given] * count


def flatten_outputs(y_pred: Any, names: Sequence[str]) -> list[Any]:
    """Predictions in the order of the output names: dictionaries by key, everything else by position."""
    if isinstance(y_pred, dict) and set(names) == set(y_pred):
        return [y_pred[name] for name in names]
    return tree.flatten(y_pred)


def match_targets(y: Any, y_pred: Any, names: Sequence[str], what: str = "y") -> list[Any]:
    """Targets (or weights) in the order of the output names; raises `ValueError` naming what does not fit."""
    count = len(names)
    if y is None:
        return [None] * count
    if isinstance(y, Mapping):
        unknown = [key for key in y if key not in names]
        if unknown:
            raise ValueError(
                f"{what} has the key {unknown[0]!r}, which is no output of the model; outputs: {list(names)}"
            )
        return [y.get(name) for name in names]
    if count == 1:
        flat = tree.flatten(y)
        if len(flat) != 1:
            raise ValueError(f"{what} has {len(flat)} arrays, the model has one output")
        return flat
    if isinstance(y, (list, tuple)) and len(y) == count:
        ordered = list(y)
        by_key = isinstance(y_pred, dict) and set(y_pred) == set(names)
        return [ordered[list(y_pred).index(n)] for n in names] if by_key else ordered
    raise ValueError(
        f"{what} has {len(y) if isinstance(y, (list, tuple)) else 1} array(s), the model has {count} outputs "
        f"{list(names)}; give a list in that order, or a dictionary by output name"
    )


def names_of_outputs(y_pred: Any, known: Sequence[str] | None) -> list[str]:
    """Output names: those the model knows if their number fits, else dictionary keys, else numbers."""
    leaves = tree.flatten_with_path(y_pred)
    if known is not None and len(known) == len(leaves):
        return list(known)
    keys = ["/".join(str(k) for k in path) for path, _ in leaves]
    if isinstance(y_pred, dict):
        return keys
    return [f"output_{key}" if key else "output" for key in keys]
