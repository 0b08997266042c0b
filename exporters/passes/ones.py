"""Sizes of one move without data: such a Transpose is a Reshape, and a reduction keeps the axes that it empties."""

from __future__ import annotations

import numpy as np

from ...trainer.core.dims import equal
from ...trainer.core.spec import TensorSpec, same_shape
from ..ir import OnnxNode
from .scope import Scope, Sweep

REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd")


def reshape_ones(scope: Scope) -> bool:
    """Before: the layout is settled. After: a Transpose moves more than sizes of one, or two sizes are unknown."""
    return Sweep(scope).run(_reshape, ("Transpose",))


def _reshape(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
    before, after = sweep.spec(node.inputs[0]), sweep.spec(node.outputs[0])
    if before is None or after is None or sweep.array(node.inputs[0]) is not None:
        return None
    moved = [axis for axis in node.attributes["perm"] if equal(before.shape[axis], 1) is not True]
    unknown = sum(not isinstance(size, int) for size in after.shape)
    if moved != sorted(moved) or unknown > 1 or 0 in after.shape:
        return None
    shape = sweep.shared.constant([size if isinstance(size, int) else -1 for size in after.shape], np.int64)
    name = sweep.shared.unique(node.name.replace("Transpose", "Reshape"))
    return [OnnxNode("Reshape", [node.inputs[0], shape], node.outputs, {}, name, source=node.source)]


def keep_reduced(scope: Scope) -> bool:
    """Before: reshapes are merged. After: no Reshape gives a reduction, used once, the axes back that it removed."""
    return Sweep(scope, count_uses=True).run(_keep, ("Reshape",))


def _keep(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
    made = sweep.maker(node.inputs[0], *REDUCTIONS)
    if made is None or made.attributes.get("keepdims", 1) or not sweep.only_use(node.inputs[0]):
        return None
    before, after = sweep.spec(made.inputs[0]), sweep.spec(node.outputs[0])
    axes = _axes(sweep, made)
    if before is None or after is None or axes is None:
        return None
    axes = [axis % before.rank for axis in axes]
    kept = TensorSpec([1 if axis in axes else size for axis, size in enumerate(before.shape)], before.dtype)
    if not same_shape(kept.shape, after.shape):
        return None
    attributes = {**made.attributes, "keepdims": 1}
    return [OnnxNode(made.operator, made.inputs, node.outputs, attributes, made.name, source=made.source)]


def _axes(sweep: Sweep, node: OnnxNode) -> list[int] | None:
    if "axes" in node.attributes:
        return list(node.attributes["axes"])
    array = sweep.array(node.inputs[1]) if len(node.inputs) > 1 and node.inputs[1] else None
    return None if array is None else array.tolist()
