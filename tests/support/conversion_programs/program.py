"""One line of the corpus: a program, inputs that take every branch, and whether it is converted or refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Program:
    """`make` gives a function or a model of its own; `inputs` are the arguments of each run.

    refused: a pattern of the message, for what cannot be converted; `expression` stands in the line that it names
    free: which axes of which inputs have no known size, as {place of the input: axis}
    gradient: whether gradients are compared; they are where inputs are floating-point
    covers: functions of which the inputs reach every line; the program itself by default
    """

    name: str
    make: Callable[[], Any]
    inputs: tuple[tuple[Any, ...], ...]
    refused: str | None = None
    expression: str = ""
    free: dict[int, int] | None = None
    gradient: bool = True
    covers: tuple[Any, ...] = ()


def converted(function: Any, *inputs: Any, covers: tuple[Any, ...] | None = None, **options: Any) -> Program:
    """A function that is converted."""
    covered = (function,) if covers is None else covers
    return Program(function.__name__, lambda: function, _runs(inputs), covers=covered, **options)


def model(kind: Any, *inputs: Any, covers: tuple[Any, ...] | None = None, **options: Any) -> Program:
    """A model whose class is given; it is converted. An input may be a structure of arrays."""
    return Program(kind.__name__, kind, _runs(inputs), covers=(kind.call,) if covers is None else covers, **options)


def refused(function: Callable[..., Any], expression: str, message: str, *inputs: Any, **options: Any) -> Program:
    """A function or model class that is refused, with the expression that its message shows and a pattern of it."""
    make = function if isinstance(function, type) else lambda: function
    return Program(function.__name__, make, _runs(inputs), message, expression, **options)


def _runs(inputs: Sequence[Any]) -> tuple[tuple[Any, ...], ...]:
    return tuple(run if isinstance(run, tuple) else (run,) for run in inputs)


def floats(*values: Any) -> np.ndarray:
    """A float32 vector; a matrix of lists."""
    return np.array(values, np.float32)


def number(value: float) -> np.ndarray:
    """A float32 scalar."""
    return np.array(value, np.float32)


def whole(value: Any) -> np.ndarray:
    """An int32 scalar, or array of a list."""
    return np.array(value, np.int32)
