"""Pooling, rearranging and merging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...trainer.core.dims import product
from ..operators import Sizes
from .convolution import padding_of
from .normalization import reduced_axes
from .table import finder
from .view import Found, GraphView


def of_one(kind: str, view: GraphView, i: int, settle: Any = None, **config: Any) -> Found:
    """A layer that is one node of one tensor."""
    return Found(kind, (i,), (view.nodes[i].input[0],), (view.nodes[i].output[0],), config, settle=settle)


@finder("MaxPool", "AveragePool")
def pooling(view: GraphView, i: int) -> Found | None:
    """Windows without gaps; averages that leave the frame out."""
    options = view.attributes(i)
    window = options.get("kernel_shape") or []
    largest, padding = view.operator(i) == "MaxPool", padding_of(options, window) if len(window) in (1, 2, 3) else None
    surplus = options.get("ceil_mode", 0) or max(options.get("dilations") or [1]) > 1 or any(view.nodes[i].output[1:])
    if padding is None or surplus or (not largest and options.get("count_include_pad", 0) and padding != "valid"):
        return None
    return of_one(
        f"{'Max' if largest else 'Average'}Pooling{len(window)}D", view, i, _rank(len(window) + 2),
        pool_size=tuple(window), strides=tuple(options.get("strides") or [1] * len(window)), padding=padding,
        data_format="channels_first",
    )  # fmt: skip


def _rank(rank: int) -> Any:
    return lambda inputs: {} if len(inputs[0].shape) == rank and inputs[0].dtype.kind == "f" else None


@finder("GlobalAveragePool", "GlobalMaxPool")
def global_pooling(view: GraphView, i: int) -> Found | None:
    """Over all of space, whose axes stay with size 1."""
    kind = view.operator(i).removesuffix("Pool")
    found = of_one(f"{kind}Pooling2D", view, i, data_format="channels_first", keepdims=True)
    found.settle = _by_rank(f"{kind}Pooling")
    return found


def _by_rank(kind: str, axes: list[int] | None = None) -> Any:
    """The kind of global pooling for tensors of a rank, if these axes are all of space."""

    def settle(inputs: Sequence[Any]) -> dict[str, Any] | None:
        rank = len(inputs[0].shape)
        if rank not in (3, 4, 5):
            return None
        if axes is None:
            return {"kind": f"{kind}{rank - 2}D"}
        own = sorted(a % rank for a in axes)
        places = {"channels_first": list(range(2, rank)), "channels_last": list(range(1, rank - 1))}
        fitting = next((name for name, place in places.items() if place == own), None)
        return None if fitting is None else {"kind": f"{kind}{rank - 2}D", "data_format": fitting}

    return settle


@finder("ReduceMean", "ReduceMax")
def reduced_space(view: GraphView, i: int) -> Found | None:
    """A mean or maximum over space."""
    axes = reduced_axes(view, i)
    if axes is None:
        return None
    kind = f"Global{'Average' if view.operator(i) == 'ReduceMean' else 'Max'}Pooling"
    keep = bool(view.attributes(i).get("keepdims", 1))
    return of_one(f"{kind}2D", view, i, _by_rank(kind, axes), keepdims=keep)


@finder("Flatten")
def flatten(view: GraphView, i: int) -> Found | None:
    """All axes but the first."""
    settle = _rank_at_least_two if view.attributes(i).get("axis", 1) == 1 else None
    return None if settle is None else of_one("Flatten", view, i, settle)


def _rank_at_least_two(inputs: Sequence[Any]) -> dict[str, Any] | None:
    return {} if len(inputs[0].shape) >= 2 else None


@finder("Reshape")
def reshape(view: GraphView, i: int) -> Found | None:
    """Samples in another shape; the target may be computed from sizes."""
    if view.attributes(i).get("allowzero", 0) or len(view.nodes[i].input) < 2:
        return None
    found = of_one("Reshape", view, i, _reshaped)
    found.extra = (view.nodes[i].input[1],)
    return found


def _reshaped(inputs: Sequence[Any], target: Any = None) -> dict[str, Any] | None:
    shape = inputs[0].shape
    sizes = target.array.reshape(-1).tolist() if isinstance(target, Sizes) else _numbers(target)
    if not sizes or len(shape) < 2:
        return None
    rest = [shape[k] if n == 0 and k < len(shape) else n for k, n in enumerate(sizes)][1:]
    if not all(isinstance(n, int) for n in rest) or rest.count(-1) > 1:
        return None
    counts = product(shape[1:]) == product([n for n in rest if n != -1]) and -1 not in rest
    if not (sizes[0] == 0 or sizes[0] == shape[0] or (sizes[0] == -1 and counts)):
        return None
    if len(rest) == 1 and isinstance(product(shape[1:]), int) and rest[0] in (-1, product(shape[1:])):
        return {"kind": "Flatten"}
    return {"target_shape": tuple(rest)}


def _numbers(target: Any) -> list[int]:
    array = getattr(target, "array", None)
    return [] if array is None else np.asarray(array).reshape(-1).tolist()


@finder("Transpose")
def permute(view: GraphView, i: int) -> Found | None:
    """Axes of each sample in another order."""
    axes = view.attributes(i).get("perm")
    if not axes or axes[0] != 0 or len(axes) < 3 or list(axes) == sorted(axes):
        return None
    return of_one("Permute", view, i, dims=tuple(axes[1:]))


MERGES = {"Add": "Add", "Sum": "Add", "Mul": "Multiply", "Sub": "Subtract", "Max": "Maximum", "Min": "Minimum"}


@finder(*MERGES)
def merge(view: GraphView, i: int) -> Found | None:
    """Two or more tensors of one rank, element by element."""
    inputs = tuple(view.nodes[i].input)
    kind = MERGES[view.operator(i)]
    if len(inputs) < 2 or len(set(inputs)) < len(inputs):
        return None
    return Found(kind, (i,), inputs, (view.nodes[i].output[0],), settle=_one_rank, as_list=True)


def _one_rank(inputs: Sequence[Any]) -> dict[str, Any] | None:
    ranks = {len(x.shape) for x in inputs}
    return {} if len(ranks) == 1 and ranks != {0} and all(x.dtype == inputs[0].dtype for x in inputs) else None


@finder("Concat")
def concatenate(view: GraphView, i: int) -> Found | None:
    """Tensors side by side."""
    axis, inputs = view.attributes(i).get("axis", 1), tuple(view.nodes[i].input)
    if axis == 0 or len(inputs) < 2:
        return None
    return Found(
        "Concatenate", (i,), inputs, (view.nodes[i].output[0],), {"axis": axis}, settle=_one_rank, as_list=True
    )


@finder("Pad")
def zero_padding(view: GraphView, i: int) -> Found | None:
    """Zeros around the space of images."""
    options = view.attributes(i)
    pads, fill = options.get("pads"), options.get("value", 0.0)
    if pads is None:
        arrays = [view.array(view.given(i, place)) if view.given(i, place) else None for place in (1, 2)]
        if arrays[0] is None or view.given(i, 3):
            return None
        pads = arrays[0].tolist()
        fill = 0.0 if not view.given(i, 2) else None if arrays[1] is None else float(arrays[1].reshape(-1)[0])
    rank = len(pads) // 2
    if options.get("mode", "constant") != "constant" or fill != 0 or rank not in (3, 4, 5) or min(pads) < 0:
        return None
    pairs = [[int(a), int(b)] for a, b in zip(pads[:rank], pads[rank:], strict=True)]
    layout = "channels_first" if not any(pairs[0] + pairs[1]) else "channels_last"
    if any(pairs[0]) or (layout == "channels_last" and any(pairs[-1])):
        return None
    space = pairs[2:] if layout == "channels_first" else pairs[1:-1]
    padding = tuple(space[0]) if rank == 3 else tuple(tuple(p) for p in space)
    return of_one(f"ZeroPadding{rank - 2}D", view, i, _rank(rank), padding=padding, data_format=layout)


@finder("Dropout")
def dropout(view: GraphView, i: int) -> Found | None:
    """Dropout: nothing while predicting, alive while training."""
    node, rate = view.nodes[i], view.attributes(i).get("ratio", 0.5)
    if view.version >= 12:
        array = view.array(view.given(i, 1)) if view.given(i, 1) else np.asarray(0.5)
        rate = None if array is None else float(array.reshape(-1)[0])
    if rate is None or any(view.readers.get(name) for name in node.output[1:]):
        return None
    return of_one("Dropout", view, i, _rank_at_least_two, rate=rate)


REPEATING = (("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil"))
"""Ways of resizing by a whole factor that repeat every element."""


@finder("Upsample", "Resize")
def up_sampling(view: GraphView, i: int) -> Found | None:
    """Images enlarged by whole factors, every element repeated."""
    options = view.attributes(i)
    place = 1 if view.operator(i) == "Upsample" or view.version < 11 else 2
    array = view.array(view.given(i, place)) if view.given(i, place) else None
    scales = options.get("scales") or (array.tolist() if array is not None else [])
    repeats = options.get("mode", "nearest") == "nearest" and not any(view.given(i, k) for k in (3,))
    if view.operator(i) == "Resize" and view.version >= 11:
        mode = options.get("coordinate_transformation_mode", "half_pixel")
        repeats &= (mode, options.get("nearest_mode", "round_prefer_floor")) in REPEATING
    whole = len(scales) == 4 and scales[:2] == [1, 1] and all(s == int(s) and s >= 1 for s in scales)
    if not repeats or not whole:
        return None
    size = (int(scales[2]), int(scales[3]))
    return of_one("UpSampling2D", view, i, _rank(4), size=size, data_format="channels_first")
