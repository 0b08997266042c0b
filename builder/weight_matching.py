"""Weights of a model matched to those of a file, by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..trainer.core.errors import ShapeError, format_shape
from ..trainer.core.tensor import Tensor
from ..trainer.core.variable import Variable

_NUMBERED = re.compile(r"(.*?)_(\d+)$")


def canonical_names(names: Iterable[str]) -> dict[str, str]:
    """Each name with its parts numbered anew among their siblings.

    A layer without a name of its own is `dense_7` in one session and `dense_2` in another: what they have in common
    is their place. `block/dense_7/kernel`, `block/dense_9/kernel` become `block/dense/kernel`, `block/dense_1/kernel`.
    """
    parts = {name: name.split("/") for name in names}
    siblings: dict[tuple[str, ...], set[str]] = {}
    for path in parts.values():
        for i, part in enumerate(path):
            siblings.setdefault(tuple(path[:i]), set()).add(part)
    renamed: dict[tuple[str, ...], str] = {}
    for parent, children in siblings.items():
        counts: dict[str, int] = {}
        for child in sorted(children, key=_base_and_number):
            base = _base_and_number(child)[0]
            renamed[(*parent, child)] = f"{base}_{counts[base]}" if base in counts else base
            counts[base] = counts.get(base, 0) + 1
    return {name: "/".join(renamed[tuple(path[: i + 1])] for i in range(len(path))) for name, path in parts.items()}


def _base_and_number(part: str) -> tuple[str, int]:
    found = _NUMBERED.match(part)
    return (found[1], int(found[2])) if found else (part, 0)


def match(own: Mapping[Variable, str], names: Iterable[str]) -> tuple[dict[Variable, str], list[str], list[str]]:
    """The name in the file of each variable, then the names of the model and those of the file that have no partner.

    Where the names differ, but only by the numbers of automatic names, they are matched by place.
    """
    given = list(names)
    if set(own.values()) != set(given):
        ours, theirs = canonical_names(own.values()), canonical_names(given)
        if len(ours) == len(theirs) and set(ours.values()) == set(theirs.values()):
            back = {short: name for name, short in theirs.items()}
            return {variable: back[ours[name]] for variable, name in own.items()}, [], []
    known = set(given)
    missing = [name for name in own.values() if name not in known]
    unexpected = sorted(known - set(own.values()))
    return {variable: name for variable, name in own.items() if name in known}, missing, unexpected


def assign_all(pairs: Iterable[tuple[Variable, str, Any]], what: str, skip_mismatch: bool = False) -> list[str]:
    """Assign values, which are the variables' own from then on; nothing is changed unless all fit.

    Returns the names of those skipped for their shape.

    Raises `ShapeError` with every value that does not fit, unless they are to be skipped.
    """
    fitting, misfits, names = [], [], []
    for variable, name, value in pairs:
        if variable.shape == value.shape:
            fitting.append((variable, value))
        else:
            names.append(name)
            misfits.append(f"'{name}': expected {format_shape(variable.shape)}, got {format_shape(value.shape)}")
    if misfits and not skip_mismatch:
        raise ShapeError(f"{what}: shapes differ for {listed(misfits)}; nothing was loaded")
    for variable, value in fitting:
        variable.assign(Tensor(_own(value, variable.dtype)))
    return names


def _own(value: Any, dtype: np.dtype) -> np.ndarray:
    """The value itself where it has memory of its own, read for it alone, else a copy."""
    array = np.asarray(value)
    is_own = array.flags.owndata and array.flags.carray and array.dtype == dtype and array.ndim > 0
    return array if is_own else np.array(array, dtype, order="C")


def listed(names: list[str], most: int = 8) -> str:
    """Names for a message, the first few of them."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
