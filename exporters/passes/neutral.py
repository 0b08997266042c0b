"""Shortens chains: a reshape of a reshape, a cast of a cast, arithmetic with 0 and 1."""

from __future__ import annotations

import numpy as np

from ...trainer.core.dims import equal
from ...trainer.core.spec import same_shape
from ..ir import OnnxNode
from .scope import Scope, Sweep

NEUTRAL = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1, "Pow": 1}
"""The number with which an operator changes nothing."""

RESHAPES = ("Reshape", "Squeeze", "Unsqueeze", "Flatten")


def remove_neutral(scope: Scope) -> bool:
    """Before: constants are folded. After: nothing is added to 0 or multiplied by 1, where that does not broadcast."""
    return Sweep(scope).run(_remove_neutral, NEUTRAL)


def _remove_neutral(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
    pairs = [tuple(node.inputs)]
    if node.operator in ("Add", "Mul"):
        pairs.append((node.inputs[1], node.inputs[0]))
    for kept, other in pairs:
        array = sweep.array(other)
        if array is None or not array.size or array.size > 1 << 16:
            continue
        before, after = sweep.spec(kept), sweep.spec(node.outputs[0])
        if before is None or after is None:
            continue
        # a weight that happens to be all zeros (a fresh bias) stays: the file must not depend on values that train
        if other in sweep.shared.root.origins or not (array == NEUTRAL[node.operator]).all():
            continue
        if same_shape(before.shape, after.shape) and before.dtype == after.dtype:
            return [OnnxNode("Identity", [kept], node.outputs, {}, node.name, source=node.source)]
    return None


def merge_reshapes(scope: Scope) -> bool:
    """Before: constants are folded. After: no Reshape to a fixed shape follows one of `RESHAPES`."""
    return Sweep(scope).run(_merge_reshapes, ("Reshape",))


def _merge_reshapes(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
    first = sweep.maker(node.inputs[0], *RESHAPES)
    target = sweep.array(node.inputs[1])
    before, after = (sweep.spec(first.inputs[0]) if first is not None else None), sweep.spec(node.outputs[0])
    if first is None or target is None or before is None or after is None:
        return None
    for i in np.flatnonzero(target == 0):  # a 0 copies a size of what is reshaped: it must be the same before
        if i >= before.rank or equal(before.shape[i], after.shape[i]) is not True:
            return None
    inputs = [first.inputs[0], node.inputs[1]]
    return [OnnxNode("Reshape", inputs, node.outputs, node.attributes, node.name, source=node.source)]


def merge_casts(scope: Scope) -> bool:
    """Before: any valid graph. After: no Cast follows a Cast that loses nothing."""
    return Sweep(scope).run(_merge_casts, ("Cast",))


def _merge_casts(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
    first = sweep.maker(node.inputs[0], "Cast")
    before = sweep.spec(first.inputs[0]) if first is not None else None
    between = np.dtype(first.attributes["to"]) if first is not None else None
    if first is None or before is None or between is None or not np.can_cast(before.dtype, between, "safe"):
        return None
    if before.dtype.kind in "iu" and before.dtype.itemsize == 8 and between.kind == "f":
        return None  # NumPy calls it safe, yet large integers are rounded
    return [OnnxNode("Cast", [first.inputs[0]], node.outputs, node.attributes, node.name, source=node.source)]
