"""What each operator does to a transposed input: how its attributes and other inputs change when it reads the base."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...trainer.core.dims import equal, is_static
from ..ir import OnnxNode
from .layout_operators import ELEMENTWISE, ONE_AXIS, REDUCTIONS, UNARY

if TYPE_CHECKING:
    from .layout import Axes, Layout

Rule = Callable[["Layout", OnnxNode], bool]


def most_common_axes(layout: Layout, node: OnnxNode, rank: int) -> Axes | None:
    """The transposition that most inputs share."""
    counts = Counter(layout.forms[name].axes for name in node.inputs if name in layout.forms)
    fitting = [(count, axes) for axes, count in counts.items() if len(axes) == rank]
    return max(fitting)[1] if fitting else None


def joined(layout: Layout, node: OnnxNode) -> tuple[list[str], Axes] | None:
    """All inputs in one layout, where fewer Transposes are written for that than it saves."""
    spec = layout.spec(node.outputs[0])
    axes = most_common_axes(layout, node, spec.rank) if spec is not None else None
    if axes is None:
        return None
    saved = {layout.forms[n].base for n in node.inputs if n in layout.forms and layout.forms[n].axes == axes}
    bases = {name: layout.other_form(name, axes) for name in node.inputs if name}
    missing = [name for name, base in bases.items() if base is None]
    if any((other := layout.spec(name)) is None or other.rank != len(axes) for name in missing):
        return None
    if sum(not layout.is_wanted(name, axes) for name in missing) >= len(saved):
        return None
    bases.update({name: layout.forced_form(name, axes) for name in missing})
    return [bases[name] or "" if name else "" for name in node.inputs], axes


def elementwise(layout: Layout, node: OnnxNode) -> bool:
    """Broadcasting operators: the other inputs are brought into the layout of the transposed ones."""
    found = joined(layout, node)
    if found is None:
        return False
    layout.emit(node, *found)
    return True


def concat(layout: Layout, node: OnnxNode) -> bool:
    """Concat along an axis of the base."""
    found = joined(layout, node)
    if found is None:
        return False
    inputs, axes = found
    layout.emit(node, inputs, axes, axis=axes[node.attributes["axis"]])
    return True


def one_axis(layout: Layout, node: OnnxNode) -> bool:
    """Operators along one axis; ArgMax and ArgMin may remove it."""
    base, axes = layout.forms[node.inputs[0]]
    axis = node.attributes.get("axis", ONE_AXIS[node.operator]) % len(axes)
    removed = node.operator.startswith("Arg") and not node.attributes.get("keepdims", 1)
    layout.emit(node, [base, *node.inputs[1:]], without(axes, [axis]) if removed else axes, axis=axes[axis])
    return True


def without(axes: Axes, removed: list[int]) -> Axes:
    """The transposition that is left when axes of the value are removed from it and from the base."""
    kept = [a for i, a in enumerate(axes) if i not in removed]
    order = sorted(kept)
    return tuple(order.index(a) for a in kept)


def given_axes(layout: Layout, node: OnnxNode, place: int, rank: int) -> list[int] | None:
    """Axes given as a constant input or as an attribute."""
    if len(node.inputs) > place and node.inputs[place]:
        array = layout.array(node.inputs[place])
        return None if array is None else [int(a) % rank for a in array]
    axes = node.attributes.get("axes")
    return None if axes is None else [int(a) % rank for a in axes]


def with_axes(layout: Layout, node: OnnxNode, inputs: list[str], place: int, axes: list[int], left: Axes) -> bool:
    """Write the node with other axes, which stand in the input at a place or in an attribute."""
    if "axes" in node.attributes:
        layout.emit(node, inputs, left, axes=axes)
    else:
        inputs = [*inputs, *[""] * (place + 1 - len(inputs))]
        inputs[place] = layout.shared.constant(axes, np.int64)
        layout.emit(node, inputs, left)
    return True


def reduction(layout: Layout, node: OnnxNode) -> bool:
    """Reductions over given axes."""
    base, axes = layout.forms[node.inputs[0]]
    given = given_axes(layout, node, 1, len(axes))
    if given is None:
        return False
    left = axes if node.attributes.get("keepdims", 1) else without(axes, given)
    return with_axes(layout, node, [base, *node.inputs[1:]], 1, sorted(axes[a] for a in given), left)


def squeeze(layout: Layout, node: OnnxNode) -> bool:
    """Squeeze of given axes."""
    base, axes = layout.forms[node.inputs[0]]
    given = given_axes(layout, node, 1, len(axes))
    if given is None:
        return False
    return with_axes(layout, node, [base, *node.inputs[1:]], 1, sorted(axes[a] for a in given), without(axes, given))


def unsqueeze(layout: Layout, node: OnnxNode) -> bool:
    """Unsqueeze: new axes stand at the same places of the base."""
    base, axes = layout.forms[node.inputs[0]]
    array = layout.array(node.inputs[1])
    if array is None:
        return False
    rank = len(axes) + len(array)
    new = [int(a) % rank for a in array]
    places = [i for i in range(rank) if i not in new]
    left = list(range(rank))
    for i, axis in enumerate(axes):
        left[places[i]] = places[axis]
    layout.emit(node, [base, node.inputs[1]], tuple(left))
    return True


def slice_(layout: Layout, node: OnnxNode) -> bool:
    """Slice along given axes, or along the first ones."""
    base, axes = layout.forms[node.inputs[0]]
    starts = layout.spec(node.inputs[1])
    given = given_axes(layout, node, 3, len(axes))
    if given is None and len(node.inputs) < 4 and starts is not None and is_static(starts.shape):
        given = list(range(int(starts.shape[0])))  # pyright: ignore[reportArgumentType]
    if given is None:
        return False
    return with_axes(layout, node, [base, *node.inputs[1:]], 3, [axes[a] for a in given], axes)


def pad(layout: Layout, node: OnnxNode) -> bool:
    """Pad by constant amounts on all axes."""
    amounts = layout.array(node.inputs[1])
    if amounts is None or len(node.inputs) > 3:
        return False
    base, axes = layout.forms[node.inputs[0]]
    back = [axes.index(i) for i in range(len(axes))]
    moved = layout.shared.constant(amounts.reshape(2, -1)[:, back].ravel())
    layout.emit(node, [base, moved, *node.inputs[2:]], axes)
    return True


def per_axis(layout: Layout, node: OnnxNode) -> bool:
    """Tile and Resize: constants with one number an axis."""
    base, axes = layout.forms[node.inputs[0]]
    arrays = [layout.array(name) if name else np.zeros(0) for name in node.inputs[1:]]
    if "axes" in node.attributes or any(a is None or a.size not in (0, len(axes)) for a in arrays):
        return False
    if node.attributes.get("mode") in ("linear", "cubic") and sorted(axes[2:]) != list(range(2, len(axes))):
        return False  # on a GPU, onnxruntime interpolates along the last axes, whichever the sizes differ in
    back = [axes.index(i) for i in range(len(axes))]
    moved = [
        layout.shared.constant(a[back]) if a is not None and a.size else name
        for a, name in zip(arrays, node.inputs[1:], strict=True)
    ]
    layout.emit(node, [base, *moved], axes)
    return True


def trailing(layout: Layout, node: OnnxNode) -> bool:
    """Normalization over the last axes, when these stand where they stood."""
    base, axes = layout.forms[node.inputs[0]]
    first = node.attributes.get("axis", -1) % len(axes)
    if list(axes[first:]) != list(range(first, len(axes))) or len(node.outputs) > 1:
        return False
    layout.emit(node, [base, *node.inputs[1:]], axes)
    return True


def shape(layout: Layout, node: OnnxNode) -> bool:
    """One size of the value is one size of the base."""
    base, axes = layout.forms[node.inputs[0]]
    sizes = list(axes[slice(node.attributes.get("start", 0), node.attributes.get("end"))])
    if len(sizes) != 1:
        return False
    attributes = {"start": sizes[0], "end": sizes[0] + 1}
    layout.nodes.append(OnnxNode("Shape", [base], node.outputs, attributes, node.name, source=node.source))
    return True


def reshape(layout: Layout, node: OnnxNode) -> bool:
    """Reshape of a transposition that moves sizes of 1 only, or that flattens an image before weights."""
    base, axes = layout.forms[node.inputs[0]]
    before, after = layout.spec(node.inputs[0]), layout.spec(node.outputs[0])
    target = layout.array(node.inputs[1])
    if before is None or after is None or target is None:
        return False
    if any(i >= len(axes) or axes[i] != i for i in np.flatnonzero(target == 0)):
        return False  # a 0 copies the size at its place, which is another in the base
    moved = [a for a, size in zip(axes, before.shape, strict=True) if equal(size, 1) is not True]
    if moved == sorted(moved):
        layout.nodes.append(
            OnnxNode("Reshape", [base, node.inputs[1]], node.outputs, node.attributes, node.name, source=node.source)
        )
        return True
    flattens = after.rank == 2 and axes[0] == 0 and equal(before.shape[0], after.shape[0]) is True
    if not flattens or not is_static(before.shape[1:]) or not _only_weights_follow(layout, node.outputs[0]):
        return False
    flat = layout.shared.unique(node.outputs[0])
    layout.scope.graph.specs[flat] = after
    layout.nodes.append(
        OnnxNode("Reshape", [base, node.inputs[1]], [flat], node.attributes, node.name, source=node.source)
    )
    layout.remember_flat(
        node.outputs[0], flat, tuple(int(size) for size in before.shape[1:]), tuple(a - 1 for a in axes[1:])
    )
    return True


def _only_weights_follow(layout: Layout, name: str) -> bool:
    """Whether every reader is a product with a matrix of weights, or an elementwise operator followed by such."""
    pending = [name]
    while pending:
        current = pending.pop()
        if current in layout.outputs or not layout.consumers[current]:
            return False
        for node in layout.consumers[current]:
            if node.operator in UNARY:
                pending += node.outputs
            elif not _is_product(layout, node, current):
                return False
    return True


def _is_product(layout: Layout, node: OnnxNode, name: str) -> bool:
    if node.operator not in ("MatMul", "Gemm") or node.inputs[0] != name or name in node.inputs[1:]:
        return False
    weights = layout.array(node.inputs[1])
    turned = node.attributes.get("transA", 0) or node.attributes.get("transB", 0)
    return weights is not None and weights.ndim == 2 and not turned


def after_flattening(layout: Layout, node: OnnxNode) -> bool:
    """A product of permuted features has its weights permuted; elementwise operators do not mind."""
    flat = layout.flats[node.inputs[0]]
    if node.operator in UNARY:
        made = layout.shared.unique(node.outputs[0])
        layout.scope.graph.specs[made] = layout.scope.graph.specs[node.outputs[0]]
        layout.flats[node.outputs[0]] = flat._replace(base=made)
        outputs, inputs = [made], [flat.base]
    else:
        outputs, inputs = node.outputs, [flat.base, _permuted(layout, node.inputs[1], flat), *node.inputs[2:]]
        inputs = [*inputs[:2], *[layout.value(name) for name in inputs[2:]]]
    layout.nodes.append(OnnxNode(node.operator, inputs, outputs, node.attributes, node.name, source=node.source))
    return True


def _permuted(layout: Layout, weights: str, flat: Any) -> str:
    array = layout.array(weights)
    units = array.shape[1] if array is not None else 0
    rank = len(flat.sizes)
    back = tuple(flat.axes.index(i) for i in range(rank))
    shaped = layout.shared.derive(weights, "reshape", (*flat.sizes, units))
    turned = layout.shared.derive(shaped, "transpose", (*back, rank))
    return layout.shared.derive(turned, "reshape", (int(np.prod(flat.sizes)), units))


RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, elementwise),
    **dict.fromkeys(ONE_AXIS, one_axis),
    **dict.fromkeys(REDUCTIONS, reduction),
    "Concat": concat,
    "LayerNormalization": trailing,
    "Pad": pad,
    "RMSNormalization": trailing,
    "Reshape": reshape,
    "Resize": per_axis,
    "Shape": shape,
    "Slice": slice_,
    "Squeeze": squeeze,
    "Tile": per_axis,
    "Unsqueeze": unsqueeze,
}
