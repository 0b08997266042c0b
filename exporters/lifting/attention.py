"""Attention by several heads, written as products, reshapes and a softmax."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

import numpy as np

from ..operators import Sizes
from .patterns import Const, Match, OneOf, match, op
from .table import decomposed
from .view import Found, GraphView

HEADS_BEFORE_TIME = [0, 2, 1, 3]


def dense(x: Any, key: str) -> OneOf:
    """A product with a weight, with or without a bias."""
    product = op("MatMul", x, Const(f"{key}/kernel"))
    return OneOf((op("Add", product, Const(f"{key}/bias")), product))


def heads(key: str) -> Any:
    """(batch, time, features) to (batch, heads, time, depth)."""
    return op("Transpose", op("Reshape", dense(key, key), f"{key}/sizes"), perm=HEADS_BEFORE_TIME)


TURNED = OneOf((
    op("Transpose", op("Reshape", dense("key", "key"), "key/sizes"), perm=[0, 2, 3, 1]),
    op("Transpose", heads("key"), perm=[0, 1, 3, 2]),
))  # fmt: skip
SCALED = OneOf((op("Mul", heads("query"), Const("factor")), op("Div", heads("query"), Const("divisor"))))
TURNED_AND_SCALED = OneOf((op("Mul", TURNED, Const("factor_2")), op("Div", TURNED, Const("divisor_2"))))
DEPTH = op("Slice", op("Shape", heads("query")), Const("first"), ...)
ROOT = op("Sqrt", op("Cast", op("Div", 1, op("Sqrt", op("Cast", DEPTH)))))
"""The fourth root of 1 / depth: PyTorch's scaled_dot_product_attention scales both factors."""
PLAIN = op("MatMul", heads("query"), TURNED)
SCORES = OneOf((
    op("MatMul", op("Mul", heads("query"), ROOT), op("Mul", TURNED, ROOT)),
    op("Div", PLAIN, Const("divisor")), op("Mul", PLAIN, Const("factor")), op("MatMul", SCALED, TURNED_AND_SCALED),
    op("MatMul", SCALED, TURNED), PLAIN,
))  # fmt: skip
MIXED = op("MatMul", op("Softmax", SCORES), heads("value"))
TOGETHER = op("Reshape", op("Transpose", MIXED, perm=HEADS_BEFORE_TIME), "attention_output/sizes")
PARTS = ("query", "key", "value", "attention_output")


@decomposed("Add", "MatMul")
def multi_head_attention(view: GraphView, i: int) -> Found | None:
    """Projections to heads, attention without a mask, the projection back."""
    output = view.nodes[i].output[0]
    found = match(view, dense(TOGETHER, "attention_output"), output)
    if found is None:
        return None
    kernels = [view.weight(found.names[f"{part}/kernel"]) for part in PARTS]
    biases = [found.names.get(f"{part}/bias") for part in PARTS]
    softmax = next(k for k in found.nodes if view.operator(k) == "Softmax")
    on_last = view.attributes(softmax).get("axis", -1 if view.version >= 13 else 1) in (-1, 3)
    use_bias = biases[0] is not None
    if not on_last or any(k is None or k.ndim != 2 for k in kernels):
        return None
    if any((b is not None) != use_bias for b in biases):
        return None
    if use_bias and any((b := view.weight(name or "")) is None or b.ndim != 1 for name in biases):
        return None
    kinds = ("kernel", "bias") if use_bias else ("kernel",)
    weights = {f"{part}/{kind}": view.source(found.names[f"{part}/{kind}"]) for part in PARTS for kind in kinds}
    inputs = tuple(found.names[key] for key in ("query", "value", "key"))
    extra = tuple(found.names[f"{part}/sizes"] for part in PARTS)
    shapes = {part: kernel.shape for part, kernel in zip(PARTS, kernels, strict=True) if kernel is not None}
    nodes = tuple(dict.fromkeys((softmax, *found.nodes)))
    settle = _settled(shapes, _scale(view, found), use_bias)
    config = {"use_bias": use_bias}
    return Found("MultiHeadAttention", nodes, inputs, (output,), config, weights, settle, extra=extra)


def _scale(view: GraphView, found: Match) -> float | None:
    """What scores are multiplied by; None where it is computed from the depth."""
    if "first" in found.names:
        first = view.array(found.names["first"])
        return None if first is not None and first.reshape(-1).tolist() == [-1] else float("nan")
    scale = 1.0
    for key in ("factor", "factor_2", "divisor", "divisor_2"):
        if key in found.names:
            array = view.array(found.names[key])
            number = float(array.reshape(-1)[0]) if array is not None and array.size == 1 else float("nan")
            scale = scale * number if key.startswith("factor") else scale / number
    return scale


def _settled(kernels: dict[str, tuple[int, ...]], scale: float | None, use_bias: bool) -> Any:
    """Settles where the reshapes part the last axis into heads, and put them together again."""

    def settle(inputs: Any, *targets: Any) -> dict[str, Any] | None:
        parted = [_sizes(target)[2:] for target in targets[:3]]
        if any(len(x) != 2 or not all(isinstance(n, int) and n > 0 for n in x) for x in parted):
            return None
        (count, depth), (_, key_depth), (_, value_depth) = parted
        fits = len({x[0] for x in parted}) == 1 and depth == key_depth
        widths = {part: prod(x) for part, x in zip(PARTS, parted, strict=False)}
        fits &= all(kernels[part][1] == width for part, width in widths.items())
        fits &= kernels["attention_output"][0] == count * value_depth and all(len(x.shape) == 3 for x in inputs)
        merged = _sizes(targets[3])
        fits &= len(merged) == 3 and merged[2] in (-1, count * value_depth)
        fits &= scale is None or bool(np.isclose(scale, 1 / sqrt(depth), 1e-6))
        if not fits:
            return None
        shapes: dict[str, tuple[int, ...]] = {}
        for part, (heads_of, depth_of) in zip(PARTS, parted, strict=False):
            shapes[f"{part}/kernel"] = (kernels[part][0], heads_of, depth_of)
            if use_bias:
                shapes[f"{part}/bias"] = (heads_of, depth_of)
        shapes["attention_output/kernel"] = (count, value_depth, kernels["attention_output"][1])
        options = {"num_heads": count, "key_dim": depth, "value_dim": value_depth, "shapes": shapes}
        return {**options, "output_shape": kernels["attention_output"][1]}

    return settle


def _sizes(target: Any) -> list[Any]:
    if isinstance(target, Sizes):
        return target.array.reshape(-1).tolist()
    array = getattr(target, "array", None)
    return [] if array is None else np.asarray(array).reshape(-1).tolist()
