"""Normalization: operators, and the nodes that exporters wrote before there were any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .patterns import Const, Match, OneOf, match, op
from .table import decomposed, finder
from .view import Found, GraphView

GIVEN = ("gamma", "beta", "moving_mean", "moving_variance")


@finder("BatchNormalization")
def batch_normalization(view: GraphView, i: int) -> Found | None:
    """With fixed statistics; as a layer it measures them again when it is trained."""
    node, options = view.nodes[i], view.attributes(i)
    arrays = [view.weight(name) for name in node.input[1:]]
    living = options.get("training_mode", 0) or not options.get("spatial", 1) or any(list(node.output)[1:])
    if living or any(a is None or a.ndim != 1 for a in arrays):
        return None
    weights = {key: view.source(name) for key, name in zip(GIVEN, node.input[1:], strict=True)}
    config = {"axis": 1, "epsilon": options.get("epsilon", 1e-5), "momentum": options.get("momentum", 0.9)}
    return Found(
        "BatchNormalization", (i,), (node.input[0],), (node.output[0],), config, weights, _rank_of_two,
    )  # fmt: skip


def _rank_of_two(inputs: Sequence[Any]) -> dict[str, Any] | None:
    return {} if len(inputs[0].shape) >= 2 and isinstance(inputs[0].shape[1], int) else None


@finder("LayerNormalization")
def layer_normalization(view: GraphView, i: int) -> Found | None:
    """The operator, its scale and shift weights of the normalized axes' shape."""
    node, options = view.nodes[i], view.attributes(i)
    scale, shift = view.weight(view.given(i, 1)), view.weight(view.given(i, 2))
    if scale is None or (view.given(i, 2) and (shift is None or shift.shape != scale.shape)):
        return None
    if any(list(node.output)[1:]) or options.get("stash_type", 1) != 1:
        return None
    weights = {"gamma": view.source(node.input[1])}
    if shift is not None:
        weights["beta"] = view.source(node.input[2])
    config = {"epsilon": options.get("epsilon", 1e-5), "center": shift is not None}
    settle = _over_last(scale.shape, options.get("axis", -1))
    return Found("LayerNormalization", (i,), (node.input[0],), (node.output[0],), config, weights, settle)


def _over_last(shape: tuple[int, ...], first: int | None = None) -> Any:
    """Settles for tensors whose last axes are those of the scale, which begin with `first`."""

    def settle(inputs: Sequence[Any]) -> dict[str, Any] | None:
        given = inputs[0].shape
        count = len(shape)
        begins = first is None or (first if first < 0 else first - len(given)) == -count
        if len(given) <= count or tuple(given[-count:]) != shape or not begins:
            return None
        return {"axis": -1 if count == 1 else list(range(-count, 0))}

    return settle


def divided(x: Any, square: Any) -> OneOf:
    """A value by the root of another, in three ways of writing it."""
    root = op("Sqrt", square)
    return OneOf((op("Div", x, root), op("Mul", x, op("Reciprocal", root)), op("Mul", x, op("Div", 1, root))))


MEAN = op("ReduceMean", "x", ...)
CENTRED = op("Sub", "x", MEAN)
SQUARE = OneOf((op("Pow", CENTRED, 2), op("Mul", CENTRED, CENTRED)))
SPREAD = op("Add", op("ReduceMean", SQUARE, ...), Const("epsilon"))
STANDARD = divided(CENTRED, SPREAD)
STEEPNESS = op("Mul", OneOf((op("Reciprocal", op("Sqrt", SPREAD)), op("Div", 1, op("Sqrt", SPREAD)))), Const("gamma"))
WRITTEN = (
    op("Add", op("Mul", STANDARD, Const("gamma")), Const("beta")),
    op("Add", op("Mul", "x", STEEPNESS), op("Sub", Const("beta"), op("Mul", MEAN, STEEPNESS))),
    op("Add", op("Sub", Const("beta"), op("Mul", MEAN, STEEPNESS)), op("Mul", "x", STEEPNESS)),
)
"""A layer normalization as PyTorch wrote it, and as TensorFlow's batch_normalization does."""


@decomposed("Add")
def layer_normalization_in_parts(view: GraphView, i: int) -> Found | None:
    """Mean, variance, division, scale and shift, all nodes apart."""
    output = view.nodes[i].output[0]
    for tree in WRITTEN:
        found = match(view, tree, output)
        if found is not None:
            return _layer_normalization(view, found, output)
    return None


def _layer_normalization(view: GraphView, found: Match, output: str) -> Found | None:
    scale, shift = (view.weight(found.names[key]) for key in ("gamma", "beta"))
    axis, epsilon = _last_axis(view, found), _epsilon(view, found)
    if scale is None or shift is None or scale.ndim != 1 or shift.shape != scale.shape:
        return None
    if axis is None or epsilon is None:
        return None
    weights = {key: view.source(found.names[key]) for key in ("gamma", "beta")}
    settle = _over_last(scale.shape, axis)
    config = {"epsilon": epsilon}
    return Found("LayerNormalization", found.nodes, (found.names["x"],), (output,), config, weights, settle)


def _last_axis(view: GraphView, found: Match) -> int | None:
    """The axis over which all means of a match go, which keep it; None where they differ."""
    means = [k for k in found.nodes if view.operator(k) == "ReduceMean"]
    axes = [reduced_axes(view, k) for k in means]
    kept = all(view.attributes(k).get("keepdims", 1) for k in means)
    first = axes[0]
    return first[0] if kept and first is not None and len(first) == 1 and all(a == first for a in axes) else None


def _epsilon(view: GraphView, found: Match) -> float | None:
    array = view.array(found.names["epsilon"])
    return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


MEAN_SQUARE = op("Add", op("ReduceMean", OneOf((op("Pow", "x", 2), op("Mul", "x", "x"))), ...), Const("epsilon"))
UNIT = divided("x", MEAN_SQUARE)
SCALED = op("Mul", OneOf((UNIT, op("Cast", UNIT, to=1))), Const("scale"))
"""PyTorch's models compute it in single precision, and cast also where that is what they have."""


@decomposed("Mul")
def root_mean_square_in_parts(view: GraphView, i: int) -> Found | None:
    """Divided by the root of the mean square, and scaled, all nodes apart: the normalization of language models."""
    output = view.nodes[i].output[0]
    found = match(view, SCALED, output)
    if found is None:
        return None
    scale, axis, epsilon = view.weight(found.names["scale"]), _last_axis(view, found), _epsilon(view, found)
    if scale is None or scale.ndim != 1 or axis is None or epsilon is None:
        return None
    weights, over_last = {"scale": view.source(found.names["scale"])}, _over_last(scale.shape, axis)

    def settle(inputs: Sequence[Any]) -> dict[str, Any] | None:
        return over_last(inputs) if inputs[0].dtype.name == "float32" else None

    return Found(
        "RMSNormalization", found.nodes, (found.names["x"],), (output,), {"epsilon": epsilon}, weights, settle,
    )  # fmt: skip


@finder("RMSNormalization")
def root_mean_square(view: GraphView, i: int) -> Found | None:
    """The operator, its scale a weight of the normalized axes' shape."""
    node, options = view.nodes[i], view.attributes(i)
    scale = view.weight(view.given(i, 1))
    if scale is None or options.get("stash_type", 1) != 1:
        return None
    config, settle = {"epsilon": options.get("epsilon", 1e-5)}, _over_last(scale.shape, options.get("axis", -1))
    weights = {"scale": view.source(node.input[1])}
    return Found("RMSNormalization", (i,), (node.input[0],), (node.output[0],), config, weights, settle)


def reduced_axes(view: GraphView, i: int) -> list[int] | None:
    """The axes that a reducing node is told, by attribute or by a constant; None for all, or computed ones."""
    axes = view.attributes(i).get("axes")
    if axes is None and view.given(i, 1):
        array = view.array(view.given(i, 1))
        axes = None if array is None else array.reshape(-1).tolist()
    return None if axes is None else [int(a) for a in axes]


@finder("InstanceNormalization", "GroupNormalization")
def grouped(view: GraphView, i: int) -> Found | None:
    """Groups of channels, each by its own mean and variance; numbers one a channel."""
    node, options = view.nodes[i], view.attributes(i)
    x, scale, shift = node.input
    arrays = [view.weight(name) for name in (scale, shift)]
    whole = view.operator(i) == "InstanceNormalization"
    if any(a is None or a.ndim != 1 for a in arrays) or (not whole and view.version < 21):
        return None
    weights = {key: view.source(name) for key, name in zip(GIVEN, (scale, shift), strict=False)}
    config = {"groups": -1 if whole else options["num_groups"], "axis": 1, "epsilon": options.get("epsilon", 1e-5)}
    return Found("GroupNormalization", (i,), (x,), (node.output[0],), config, weights, _rank_of_two)


SPLIT = op("Reshape", "x", Const("split"))
GROUPS = op("Reshape", op("InstanceNormalization", SPLIT, Const("ones"), Const("zeros")), ...)
"""Channels divided by their groups' deviations, as PyTorch writes it."""


@decomposed("Add")
def groups_in_parts(view: GraphView, i: int) -> Found | None:
    """Groups of channels in the place of channels, and back, then a scale and a shift: PyTorch's GroupNorm."""
    output = view.nodes[i].output[0]
    found = match(view, op("Add", op("Mul", GROUPS, Const("gamma")), Const("beta")), output)
    if found is None:
        return None
    ones, zeros, split = (view.array(found.names[key]) for key in ("ones", "zeros", "split"))
    scale, shift = (view.weight(found.names[key]) for key in ("gamma", "beta"))
    if ones is None or zeros is None or split is None or scale is None or shift is None:
        return None
    inner = next(k for k in found.nodes if view.operator(k) == "InstanceNormalization")
    sizes = split.reshape(-1).tolist()
    plain = not zeros.any() and (ones == 1).all() and len(sizes) == 3 and sizes[0] == 0 and sizes[2] == -1
    count = scale.shape[0]
    if not plain or scale.size != count or shift.shape != scale.shape or count % ones.size:
        return None
    weights = {key: view.source(found.names[key], ("reshape", (count,))) for key in ("gamma", "beta")}
    config = {"groups": ones.size, "axis": 1, "epsilon": view.attributes(inner).get("epsilon", 1e-5)}

    def settle(inputs: Sequence[Any]) -> dict[str, Any] | None:
        shape = inputs[0].shape
        return {} if len(shape) == scale.ndim + 1 and shape[1] == count else None

    return Found("GroupNormalization", found.nodes, (found.names["x"],), (output,), config, weights, settle)
