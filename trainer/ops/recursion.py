"""Recursion over trees: a state for every node, made from those of its children."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import tree
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.tensor import Tensor
from .axes import expand_dims
from .bodies import is_symbolic
from .broadcast import reshape
from .control import scan
from .convert import convert_to_tensor
from .create import full
from .gather import take
from .join import concatenate, stack
from .scatter import scatter_update
from .sequence import arange

__all__ = ["fold_tree"]


def fold_tree(f: Callable[[Any, Any, Tensor], Any], inputs: Any, children: Any, absent: Any) -> Any:
    """The states of all nodes of a tree, from the leaves up: `f(input, states of the children, present)` (ONNX: Scan).

    inputs: a structure of tensors `(nodes, ...)`, what each node carries
    children: integers `(nodes, arity)`, the numbers of each node's children; -1 where there is none. Children come
        before their parents: `children[i] < i`
    absent: the state of a child that is not there, in the structure of what `f` gives
    f: receives a node's inputs, the states of its children `(arity, ...)` and `present` `(arity,)`, boolean

    Gives states `(nodes, ...)`; the root is the last. Several trees may share one table. The number of nodes and the
    arity may be symbolic: then one graph serves every tree. Raises `DtypeError` or `ShapeError` for children that are
    no table of integers, and `ValueError` for a child that does not come before its parent; in a graph, where that is
    known too late, a state of floating-point numbers made from it is NaN.

    >>> import sardonyx as sx
    >>> values = sx.ops.convert_to_tensor([1.0, 2.0, 10.0])
    >>> children = [[-1, -1], [-1, -1], [0, 1]]
    >>> sx.ops.fold_tree(lambda x, below, _: x + sx.ops.sum(below), values, children, 0.0).tolist()
    [1.0, 2.0, 13.0]
    """
    nodes = tree.map_structure(convert_to_tensor, inputs)
    table = convert_to_tensor(children)
    empty = tree.map_structure(convert_to_tensor, absent)
    if table.dtype.kind != "i":
        raise DtypeError(f"fold_tree: expected children as signed integers, got {table.dtype.name}")
    if len(table.shape) != 2:
        raise ShapeError(f"fold_tree: expected children of shape (nodes, arity), got {format_shape(table.shape)}")
    if is_symbolic(nodes, table, empty):
        return _fold_symbolically(f, nodes, table, empty)
    return _fold_eagerly(f, nodes, np.asarray(table), empty)


def _fold_eagerly(f: Any, nodes: Any, children: np.ndarray, absent: Any) -> Any:
    late = children >= np.arange(len(children))[:, None]
    if late.any():
        row, column = np.argwhere(late)[0]
        raise ValueError(
            f"fold_tree: node {row} has the child {children[row, column]}; children must come before their parents"
        )
    states: list[Any] = []
    for i, row in enumerate(children):
        below = [states[k] if k >= 0 else absent for k in row.tolist()]
        found = tree.map_structure(lambda *parts: stack(parts), *below) if below else _no_children(absent)
        states.append(f(tree.map_structure(lambda x, i=i: x[i], nodes), found, Tensor(row >= 0)))
    if not states:
        return tree.map_structure(lambda x: full((0, *x.shape), 0, x.dtype), absent)
    return tree.map_structure(lambda *parts: stack(parts), *states)


def _no_children(absent: Any) -> Any:
    return tree.map_structure(lambda x: full((0, *x.shape), 0, x.dtype), absent)


def _fold_symbolically(f: Any, nodes: Any, children: Tensor, absent: Any) -> Any:
    """A table of states that a scan fills row by row; row 0 is the absent child, the rest begins as NaN."""
    count = children.shape[0]

    def begin(x: Tensor) -> Tensor:
        unknown = float("nan") if x.dtype.kind == "f" else 0
        return concatenate([expand_dims(x, 0), full((count, *x.shape), unknown, x.dtype)], axis=0)

    def step(states: Any, slices: Any) -> Any:
        values, row, place = slices
        below = tree.map_structure(lambda x: take(x, row + 1, axis=0), states)
        made = tree.map_structure(convert_to_tensor, f(values, below, row >= 0))
        target = reshape(place, (1, 1))
        write = lambda x, new: scatter_update(x, target, expand_dims(new, 0))  # noqa: E731 - a name for the next line
        return tree.map_structure(write, states, made), None

    places = arange(1, count + 1, dtype="int32")
    states, _ = scan(step, tree.map_structure(begin, absent), (nodes, children, places))
    return tree.map_structure(lambda x: x[1:], states)
