"""Batches as structures of arrays: conversion, packing and unpacking of inputs, targets and weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import tree
from ..core.dtypes import default_float
from ..core.tensor import Tensor
from ..core.variable import Variable


def as_array(value: Any, what: str) -> Any:
    """A NumPy array (or tensor, kept) of whatever can be one: lists, data frames, PyTorch tensors.

    float64 data becomes the default float, so that a model does not compute in double precision by accident.
    Raises `TypeError` for data that is no array of numbers, `ValueError` for rows of different lengths.
    """
    if value is None or isinstance(value, Tensor):
        return value if value is None or value.array is None else value.array
    if isinstance(value, Variable):
        return value.numpy()
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:
        kind = type(value).__name__
        raise ValueError(f"{what}: expected rows of one length, got {kind} of rows that differ ({error})") from None
    if array.dtype.kind in "USMmc":
        raise TypeError(f"{what}: expected real numbers, got an array of dtype {array.dtype}; encode it as numbers")
    if array.dtype.kind == "O":
        raise TypeError(
            f"{what}: expected arrays of numbers of one shape, got {type(value).__name__} that NumPy can only hold as "
            "objects; are the rows of different lengths?"
        )
    if array.dtype == np.float64:
        return array.astype(default_float())
    return array


def arrays_of(structure: Any, what: str) -> Any:
    """`as_array` of every leaf; lists of plain numbers, nested or not, are one array and no structure."""
    if isinstance(structure, (list, tuple)) and structure and all(_is_row(item) for item in structure):
        return as_array(structure, what)
    if isinstance(structure, dict):
        return {key: arrays_of(value, f"{what}[{key!r}]") for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return tree.rebuild(structure, [arrays_of(value, f"{what}[{i}]") for i, value in enumerate(structure)])
    return as_array(structure, what)


def _is_row(value: Any) -> bool:
    """Whether a value is a number or text, or nested lists of such; decided by the first of each list."""
    if isinstance(value, (list, tuple)):
        return bool(value) and _is_row(value[0])
    return isinstance(value, (int, float, str, np.number, np.bool_))


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """A batch as a tuple, absent parts left out (Keras name: `utils.pack_x_y_sample_weight`).

    >>> from sardonyx.trainer.data.structure import pack_x_y_sample_weight
    >>> pack_x_y_sample_weight(1, 2)
    (1, 2)
    """
    if y is None:
        return x if not isinstance(x, (tuple, list)) else (x,)
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Inputs, targets and weights of a batch, None for absent ones (Keras name: `utils.unpack_x_y_sample_weight`).

    Raises `ValueError` for a tuple of more than three parts.
    """
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            f"a batch is x, (x, y) or (x, y, sample_weight); got {len(data)} parts. Several inputs go into one list or "
            "dictionary: ([x1, x2], y)"
        )
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight


def leading_sizes(structure: Any) -> list[tuple[str, int]]:
    """Number of samples of each array, with the keys that lead to it."""
    found = []
    for path, leaf in tree.flatten_with_path(structure):
        if leaf is not None:
            label = "".join(f"[{key!r}]" for key in path)
            if not leaf.shape:
                raise ValueError(f"data{label} is a single number; expected an array with one row a sample")
            found.append((label, int(leaf.shape[0])))
    return found


def check_same_length(**parts: Any) -> int:
    """The number of samples that all arrays share; raises `ValueError` naming those that differ, or for none."""
    sizes = [(f"{name}{label}", size) for name, part in parts.items() for label, size in leading_sizes(part)]
    if not sizes:
        raise ValueError("no data: x is None or empty")
    if len({size for _, size in sizes}) > 1:
        listed = ", ".join(f"{name}: {size}" for name, size in sizes)
        raise ValueError(f"arrays of different numbers of samples: {listed}")
    if sizes[0][1] == 0:
        raise ValueError(f"empty data: {sizes[0][0]} has 0 samples")
    return sizes[0][1]
