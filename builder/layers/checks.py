"""Checks of constructor arguments that layers share; each names layer, argument, what was expected and what came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...trainer.ops.windows import standard_padding


def positive_integer(layer: str, argument: str, value: Any) -> int:
    """A positive integer; raises `ValueError` for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{layer}: {argument} must be a positive integer, got {value!r}")
    return int(value)


def integer_tuple(layer: str, argument: str, value: Any, rank: int, least: int = 1) -> tuple[int, ...]:
    """`rank` integers from one or as many; raises `ValueError` for anything else."""
    values: Sequence[Any] = (value,) * rank if isinstance(value, (int, np.integer)) else value
    fine = isinstance(values, (tuple, list)) and len(values) == rank
    if not fine or not all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) and v >= least for v in values):
        raise ValueError(f"{layer}: {argument} must be an integer of {least} or more, or {rank} of them; got {value!r}")
    return tuple(int(v) for v in values)


def one_of(layer: str, argument: str, value: Any, allowed: Sequence[Any]) -> Any:
    """One of some values; raises `ValueError` listing them otherwise."""
    if value not in allowed:
        raise ValueError(f"{layer}: {argument} must be one of {', '.join(map(repr, allowed))}; got {value!r}")
    return value


def padding_of(layer: str, value: Any, rank: int, allowed: Sequence[str] = ("valid", "same")) -> Any:
    """The name of a padding, or cells before and after each axis as lists; raises `ValueError` for anything else."""
    if isinstance(value, (list, tuple)):
        return [list(pair) for pair in standard_padding(value, layer, allowed, rank)]
    return one_of(layer, "padding", str(value).lower(), allowed)


def fraction(layer: str, argument: str, value: Any) -> float:
    """A number from 0 up to (not including) 1; 1 itself is allowed where Keras allows it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{layer}: {argument} must be a number between 0 and 1, got {value!r}")
    return float(value)


def data_format_of(layer: str, value: Any) -> str:
    """ "channels_last" (the default) or "channels_first"."""
    if value is None:
        return "channels_last"
    return one_of(layer, "data_format", value, ("channels_last", "channels_first"))
