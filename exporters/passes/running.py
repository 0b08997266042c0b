"""For graphs that run on a CPU and are not looked at: what onnxruntime does in less time in another form."""

from __future__ import annotations

import numpy as np

from ...trainer.core.spec import TensorSpec, same_shape
from ..ir import OnnxGraph, OnnxNode
from .dead import remove_dead
from .scope import Scope, Shared, Sweep

REDUCTIONS = ("ReduceMean", "ReduceSum")
LONG, FEW, MANY = 512, 64, 256
"""A product over at least so many terms whose result has between so many rows and more than twice as many columns."""


def suit_runtime(graph: OnnxGraph, opset: int) -> None:
    """Before: any valid graph. After: no value is both averaged and summed over the same axes, and no long product of
    two transposed matrices packs the larger one."""
    scope = Scope(Shared(graph, opset), graph)
    seen: dict[tuple[str, tuple[int, ...]], OnnxNode] = {}
    changed = Sweep(scope).run(lambda sweep, node: _reduce_once(sweep, node, seen), REDUCTIONS)
    changed |= Sweep(scope).run(_swap, ("Gemm",))
    if changed:
        remove_dead(scope)


def _reduce_once(
    sweep: Sweep, node: OnnxNode, seen: dict[tuple[str, tuple[int, ...]], OnnxNode]
) -> list[OnnxNode] | None:
    """A sum is a mean times a number, and the other way round."""
    axes = sweep.array(node.inputs[1]) if len(node.inputs) == 2 else None
    spec = sweep.spec(node.inputs[0])
    if axes is None or spec is None or spec.dtype.char not in "fd":
        return None
    own = tuple(sorted(int(a) % spec.rank for a in axes))
    sizes = [spec.shape[a] for a in own]
    first = seen.setdefault((node.inputs[0], own), node)
    before, after = sweep.spec(first.outputs[0]), sweep.spec(node.outputs[0])
    if first.operator == node.operator or before is None or after is None:
        return None
    if not all(isinstance(n, int) and n for n in (*sizes, *after.shape)):
        return None
    count = float(np.prod([float(n) for n in sizes]))  # pyright: ignore[reportArgumentType]
    factor = sweep.shared.constant(count if node.operator == "ReduceSum" else 1.0 / count, spec.dtype)
    name, nodes = first.outputs[0], []
    if not same_shape(before.shape, after.shape):
        shape = sweep.shared.constant(after.shape, np.int64)
        name = sweep.shared.unique(f"{node.outputs[0]}:reduced")
        sweep.scope.graph.specs[name] = after
        title = sweep.shared.unique(f"{node.name}/Reshape")
        nodes = [OnnxNode("Reshape", [first.outputs[0], shape], [name], {}, title, source=node.source)]
    title = sweep.shared.unique(f"{node.name}/Mul")
    return [*nodes, OnnxNode("Mul", [name, factor], node.outputs, {}, title, source=node.source)]


def _swap(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
    """onnxruntime lays the second factor out anew; its cost shows where the result has few rows."""
    first, out = sweep.spec(node.inputs[0]), sweep.spec(node.outputs[0])
    if len(node.inputs) != 2 or node.attributes != {"transA": 1} or first is None or out is None:
        return None
    terms, (rows, columns) = first.shape[0], out.shape
    if not (isinstance(terms, int) and isinstance(rows, int) and isinstance(columns, int)):
        return None
    if terms < LONG or not FEW <= rows <= MANY or columns < 2 * rows:
        return None
    turned = sweep.shared.unique(f"{node.outputs[0]}:turned")
    sweep.scope.graph.specs[turned] = TensorSpec((columns, rows), out.dtype)
    title = sweep.shared.unique(f"{node.name}/Transpose")
    return [
        OnnxNode("Gemm", node.inputs[::-1], [turned], {"transA": 1}, node.name, source=node.source),
        OnnxNode("Transpose", [turned], node.outputs, {"perm": [1, 0]}, title, source=node.source),
    ]
