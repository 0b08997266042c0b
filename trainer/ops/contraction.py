"""Kernels of Einstein summation: a plan of matrix products, worked out once for each pattern of labels.

Patterns are canonical: every axis has a letter of its own, operands are separated by commas, the result is explicit.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np


class Plan(NamedTuple):
    """How two operands become one stack of matrix products. Axes are numbers into the operands."""

    left_sum: tuple[int, ...]
    right_sum: tuple[int, ...]
    left_order: tuple[int, ...]
    right_order: tuple[int, ...]
    batch: int
    left_free: int
    result_order: tuple[int, ...]
    multiplies: bool


@lru_cache(maxsize=1024)
def plan_pair(left: str, right: str, result: str) -> Plan:
    """The plan for two operands without repeated labels."""
    shared = [c for c in left if c in right]
    batch = [c for c in result if c in shared]
    inner = [c for c in shared if c not in result]
    left_free = [c for c in result if c in left and c not in right]
    right_free = [c for c in result if c in right and c not in left]
    left_kept = [c for c in left if c in result or c in right]
    right_kept = [c for c in right if c in result or c in left]
    made = batch + left_free + right_free
    return Plan(
        tuple(i for i, c in enumerate(left) if c not in left_kept),
        tuple(i for i, c in enumerate(right) if c not in right_kept),
        tuple(left_kept.index(c) for c in batch + left_free + inner),
        tuple(right_kept.index(c) for c in batch + inner + right_free),
        len(batch),
        len(left_free),
        tuple(made.index(c) for c in result),
        not inner,
    )


def contract_pair(x: np.ndarray, y: np.ndarray, left: str, right: str, result: str) -> np.ndarray:
    """Two operands as matrix products, or as a product with broadcasting where nothing is summed."""
    plan = plan_pair(left, right, result)
    x = x.sum(plan.left_sum, dtype=x.dtype) if plan.left_sum else x
    y = y.sum(plan.right_sum, dtype=y.dtype) if plan.right_sum else y
    x, y = x.transpose(plan.left_order), y.transpose(plan.right_order)
    batch, middle = plan.batch, plan.batch + plan.left_free
    rows, inner = x.shape[batch:middle], x.shape[middle:]
    columns = y.shape[batch + len(inner) :]
    if plan.multiplies:
        made = x.reshape(x.shape[:middle] + (1,) * len(columns)) * y.reshape(
            y.shape[:batch] + (1,) * len(rows) + columns
        )
        return made.transpose(plan.result_order)
    depth = math.prod(inner)
    first = x.reshape(*x.shape[:batch], math.prod(rows), depth)
    second = y.reshape(*y.shape[:batch], depth, math.prod(columns))
    made = first @ second
    return made.reshape(made.shape[:batch] + rows + columns).transpose(plan.result_order)


def diagonalise(x: np.ndarray, labels: str) -> tuple[np.ndarray, str]:
    """An operand whose repeated labels are taken along the diagonal."""
    unique = "".join(dict.fromkeys(labels))
    return (x, labels) if unique == labels else (np.einsum(f"{labels}->{unique}", x), unique)


def drop_broadcast(arrays: list[np.ndarray], labels: list[str]) -> tuple[list[np.ndarray], list[str]]:
    """Without axes of size 1 whose label has another size in another operand."""
    sizes: dict[str, int] = {}
    for array, names in zip(arrays, labels, strict=True):
        for name, size in zip(names, array.shape, strict=True):
            sizes[name] = sizes.get(name, 1) if size == 1 else size
    for i, (array, names) in enumerate(zip(arrays, labels, strict=True)):
        thin = tuple(k for k, name in enumerate(names) if array.shape[k] == 1 and sizes[name] != 1)
        if thin:
            arrays[i] = array.squeeze(thin)
            labels[i] = "".join(name for k, name in enumerate(names) if k not in thin)
    return arrays, labels


@lru_cache(maxsize=1024)
def pair_order(pattern: str, shapes: tuple[tuple[int, ...], ...]) -> list[tuple[int, ...]]:
    """Which operands to contract next: numpy's greedy order."""
    return np.einsum_path(pattern, *[np.broadcast_to(0, shape) for shape in shapes], optimize="greedy")[0][1:]


def contract(pattern: str, *operands: np.ndarray) -> np.ndarray:
    """Einstein summation of any number of operands, by matrix products."""
    inputs, result = pattern.split("->")
    prepared = [diagonalise(x, names) for x, names in zip(operands, inputs.split(","), strict=True)]
    arrays, labels = drop_broadcast([x for x, _ in prepared], [names for _, names in prepared])
    if len(arrays) > 2:
        order = pair_order(",".join(labels) + "->" + "".join(c for c in result), tuple(x.shape for x in arrays))
        for group in order[:-1]:
            _contract_group(arrays, labels, tuple(sorted(group, reverse=True)), result)
    while len(arrays) > 2:
        _contract_group(arrays, labels, (len(arrays) - 1, len(arrays) - 2), result)
    if len(arrays) == 2:
        return contract_pair(arrays[0], arrays[1], labels[0], labels[1], result)
    x, names = arrays[0], labels[0]
    summed = tuple(i for i, name in enumerate(names) if name not in result)
    x = x.sum(summed, dtype=x.dtype) if summed else x
    kept = [name for name in names if name in result]
    return x.transpose([kept.index(name) for name in result])


def _contract_group(arrays: list[np.ndarray], labels: list[str], group: tuple[int, ...], result: str) -> None:
    """Replace a group of operands by their product, which keeps what the rest still needs."""
    x, names = arrays.pop(group[0]), labels.pop(group[0])
    for place in group[1:]:
        y, other = arrays.pop(place), labels.pop(place)
        needed = set(result).union(*labels)
        kept = "".join(c for c in dict.fromkeys(names + other) if c in needed)
        x, names = contract_pair(x, y, names, other, kept), kept
    arrays.append(x)
    labels.append(names)
