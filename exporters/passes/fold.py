"""Computes with NumPy what depends on initializers and constants alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...trainer.core.dims import is_static
from ..ir import OnnxNode
from ..origins import Origin
from .scope import Scope, Sweep

LARGEST_GROWTH = 1 << 16
"""Bytes by which a result may be larger than what it is computed from."""

Folder = Callable[..., "np.ndarray | list[np.ndarray]"]


def _slice(x: np.ndarray, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> np.ndarray:
    index = [slice(None)] * x.ndim
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        # a negative end beyond the first element is how ONNX reaches that element backwards
        stop = None if step < 0 and end < -x.shape[axis] else int(end)
        index[int(axis)] = slice(int(start), stop, int(step))
    return x[tuple(index)]


def _reshape(x: np.ndarray, shape: np.ndarray, allowzero: int = 0) -> np.ndarray:
    sizes = [x.shape[i] if size == 0 and not allowzero else int(size) for i, size in enumerate(shape)]
    return x.reshape(sizes)


def _unsqueeze(x: np.ndarray, axes: np.ndarray) -> np.ndarray:
    return np.expand_dims(x, tuple(int(a) for a in axes))


def _squeeze(x: np.ndarray, axes: np.ndarray | None = None) -> np.ndarray:
    return np.squeeze(x, None if axes is None else tuple(int(a) for a in axes))


def _split(x: np.ndarray, sizes: np.ndarray | None = None, axis: int = 0, num_outputs: int = 0) -> list[np.ndarray]:
    if sizes is None:
        width = -(-x.shape[axis] // num_outputs)
        return np.split(x, range(width, x.shape[axis], width), axis)
    return np.split(x, np.cumsum(sizes)[:-1], axis)


def _divide(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.dtype.kind not in "iu":
        return np.asarray(x / y)
    if np.any(y == 0):
        raise ArithmeticError
    return np.asarray(np.sign(x) * np.sign(y) * (np.abs(x) // np.abs(y)), x.dtype)


def _mod(x: np.ndarray, y: np.ndarray, fmod: int = 0) -> np.ndarray:
    if x.dtype.kind in "iu" and np.any(y == 0):
        raise ArithmeticError
    return np.fmod(x, y) if fmod else np.mod(x, y)


MOVES: dict[str, Folder] = {
    "Concat": lambda *arrays, axis: np.concatenate(arrays, axis),
    "Expand": lambda x, shape: np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape))),
    "Gather": lambda x, index, axis=0: np.take(x, index, axis),
    "Identity": lambda x: x,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Transpose": lambda x, perm: x.transpose(perm),
    "Unsqueeze": _unsqueeze,
}

ARITHMETIC: dict[str, Folder] = {
    "Abs": np.abs,
    "Add": lambda x, y: x + y,
    "Cast": lambda x, to: x.astype(to),
    "Div": _divide,
    "Exp": np.exp,
    "MatMul": lambda x, y: x @ y,
    "Max": lambda *arrays: np.asarray(_reduced(np.maximum, arrays)),
    "Min": lambda *arrays: np.asarray(_reduced(np.minimum, arrays)),
    "Mod": _mod,
    "Mul": lambda x, y: x * y,
    "Neg": lambda x: -x,
    "Reciprocal": np.reciprocal,
    "Sqrt": np.sqrt,
    "Sub": lambda x, y: x - y,
}


def _reduced(function: Any, arrays: tuple[np.ndarray, ...]) -> Any:
    result = arrays[0]
    for array in arrays[1:]:
        result = function(result, array)
    return result


def fold_constants(scope: Scope) -> bool:
    """Before: any valid graph. After: no node of a foldable operator reads only initializers and makes something of
    similar size, unless it makes an output or would hide a weight that must stay readable. Results are views of the
    weights where NumPy allows it."""
    return Sweep(scope).run(_fold, (*MOVES, *ARITHMETIC, "Shape", "ConstantOfShape"))


def _fold(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
    if node.operator != "Shape" and not sweep.shared.root.initializers.keys() >= set(filter(None, node.inputs)):
        return None
    if any(name in sweep.outputs for name in node.outputs):
        return None
    results = _values(sweep, node)
    if results is None:
        return None
    for name, array in zip(node.outputs, results, strict=True):
        if name:
            sweep.replace(name, sweep.shared.initializer(_name(sweep, node, name), array, _origin(sweep, node, array)))
    return []


def _values(sweep: Sweep, node: OnnxNode) -> list[np.ndarray] | None:
    if node.operator == "Shape":
        return _known_shape(sweep, node)
    arrays = [sweep.array(name) if name else None for name in node.inputs]
    if node.operator == "ConstantOfShape":
        filled = np.broadcast_to(node.attributes.get("value", np.zeros(1, np.float32)), tuple(arrays[0]))  # pyright: ignore
        return [np.array(filled)] if filled.nbytes <= LARGEST_GROWTH else None
    inputs = [a for a in arrays if a is not None]
    weights = any(name in sweep.shared.root.origins for name in node.inputs)
    if weights and sweep.shared.keep_weights and not _invertible(sweep, node):
        return None
    function = MOVES.get(node.operator) or ARITHMETIC[node.operator]
    try:
        with np.errstate(all="ignore"):
            result = function(*(arrays if node.operator == "Slice" else inputs), **node.attributes)
    except (ValueError, IndexError, ArithmeticError, TypeError):
        return None  # what cannot be computed now is left to the runtime, whose error names the node
    results = [np.asarray(a) for a in (result if isinstance(result, list) else [result])]
    if sum(a.nbytes for a in results) > sum(a.nbytes for a in inputs) + LARGEST_GROWTH:
        return None
    return _checked(sweep, node, results)


def _checked(sweep: Sweep, node: OnnxNode, results: list[np.ndarray]) -> list[np.ndarray] | None:
    """The results if they are what the graph expects (NumPy promotes where ONNX does not)."""
    if len(results) != len(node.outputs):
        return None
    for name, array in zip(node.outputs, results, strict=True):
        spec = sweep.spec(name) if name else None
        if spec is not None and spec.dtype != array.dtype:
            return None
    return results


def _known_shape(sweep: Sweep, node: OnnxNode) -> list[np.ndarray] | None:
    spec = sweep.spec(node.inputs[0])
    if spec is None:
        return None
    sizes = spec.shape[slice(node.attributes.get("start", 0), node.attributes.get("end"))]
    return [np.asarray(sizes, np.int64)] if is_static(sizes) else None


def _invertible(sweep: Sweep, node: OnnxNode) -> bool:
    origin = _origin(sweep, node, None)
    return origin is not None and origin.steps is not None


def _name(sweep: Sweep, node: OnnxNode, output: str) -> str:
    """Derived weights keep their variable's name in view; constants are called that."""
    origins = [sweep.shared.root.origins[name] for name in node.inputs if name in sweep.shared.root.origins]
    return f"{origins[0].variable}:{node.operator.lower()}" if origins else "constant"


def _origin(sweep: Sweep, node: OnnxNode, result: np.ndarray | None) -> Origin | None:
    """How the result of a node comes from a variable: None for constants."""
    read = [name for name in node.inputs if name in sweep.shared.root.origins]
    if not read:
        return None
    origin = sweep.shared.root.origins[read[0]]
    lost = Origin(origin.variable, None)
    if len(read) > 1:
        return lost
    array = sweep.shared.root.initializers[read[0]]
    if node.operator == "Transpose":
        return origin.then("transpose", tuple(node.attributes["perm"]), array.shape)
    if node.operator in ("Reshape", "Squeeze", "Unsqueeze", "Identity"):
        return origin.then("reshape", result.shape if result is not None else array.shape, array.shape)
    if node.operator == "Gather" and node.inputs[0] == read[0]:
        index = sweep.array(node.inputs[1])
        axis = node.attributes.get("axis", 0)
        if index is not None and index.ndim == 1 and np.array_equal(np.sort(index), np.arange(array.shape[axis])):
            return origin.then("take", (axis, *index.tolist()), array.shape)
    if node.operator == "Concat":
        return _extended(sweep, node, origin, array)
    return lost


def _extended(sweep: Sweep, node: OnnxNode, origin: Origin, array: np.ndarray) -> Origin:
    axis = node.attributes["axis"] % array.ndim
    widths = [other.shape[axis] for name in node.inputs if (other := sweep.array(name)) is not None]
    place = next(i for i, name in enumerate(node.inputs) if name in sweep.shared.root.origins)
    return origin.then("extend", (axis, sum(widths[:place]), sum(widths[place + 1 :])), array.shape)
