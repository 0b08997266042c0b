"""Scaled dot-product attention (Keras name: `ops.dot_product_attention`; Vaswani et al. 2017)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.dims import Shape, agree
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.operators import FUNCTIONS
from ..core.primitive import Primitive
from ..core.spec import TensorSpec, same_shape
from ..core.state import state
from ..core.tensor import Tensor
from .arithmetic import absolute, add, divide
from .arrange import repeat
from .attention_kernels import backward, forward, lowest, visible
from .axes import expand_dims, transpose
from .broadcast import reshape
from .comparison import greater_equal, logical_and
from .convert import cast, promote_all
from .linalg import matmul
from .memory import empty
from .rules import broadcast_shapes
from .selection import where
from .sequence import arange
from .softmax import softmax

__all__ = ["dot_product_attention"]

HEADS_FIRST = (0, 2, 1, 3)


def _infer(
    query: TensorSpec, key: TensorSpec, value: TensorSpec, bias: Any, mask: Any, *, scale: float, causal: bool
) -> TensorSpec:
    return TensorSpec((*query.shape[:3], value.shape[3]), query.dtype)


def _run_training(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, bias: Any, mask: Any, *, scale: float, causal: bool
) -> tuple[np.ndarray, np.ndarray]:
    batch, steps, heads, _ = query.shape
    weights = empty((batch, heads, steps, key.shape[1]), query.dtype)
    return forward(query, key, value, bias, mask, scale=scale, causal=causal, kept=weights), weights


def in_operations(
    query: Any, key: Any, value: Any, bias: Any, mask: Any, scale: float, causal: bool, soft_cap: float | None = None
) -> Tensor:
    """Attention as products and a softmax."""
    scores = matmul(transpose(query, HEADS_FIRST) * scale, transpose(key, (0, 2, 3, 1)))
    if soft_cap is not None:
        scores = divide(scores, add(1.0, divide(absolute(scores), soft_cap)))
    if bias is not None:
        scores = add(scores, bias)
    if causal:
        rows, columns = arange(query.shape[1], dtype="int32"), arange(key.shape[1], dtype="int32")
        earlier = greater_equal(expand_dims(rows, -1), columns)
        mask = earlier if mask is None else logical_and(mask, earlier)
    if mask is not None:
        scores = where(mask, scores, lowest(query.dtype))
    return transpose(matmul(softmax(scores), transpose(value, HEADS_FIRST)), HEADS_FIRST)


def _lower(
    emit: Emitter, query: Value, key: Value, value: Value, bias: Value | None, mask: Value | None, *, scale: float,
    causal: bool,
) -> Value:  # fmt: skip
    # Attention hides what comes later with -inf; a row that is masked as a whole would come out as NaN
    if emit.opset >= 23 and query.dtype == np.float32 and not (causal and mask is not None):
        return _lower_fused(emit, query, key, value, bias, mask, scale, causal)
    return _lower_training(emit, query, key, value, bias, mask, scale=scale, causal=causal)[0]


def _lower_training(
    emit: Emitter, query: Value, key: Value, value: Value, bias: Value | None, mask: Value | None, *, scale: float,
    causal: bool,
) -> tuple[Value, Value]:  # fmt: skip
    """Result and weights in products and a softmax."""
    scaled = emit("Mul", query, emit.constant(np.array(scale, query.dtype)))
    batch, steps, heads, _ = query.shape
    spec = TensorSpec((batch, heads, steps, key.shape[1]), query.dtype)
    scores = emit("MatMul", emit.transpose(scaled, HEADS_FIRST), emit.transpose(key, (0, 2, 3, 1)), spec=spec)
    if bias is not None:
        scores = emit("Add", scores, bias)
    seen = _emit_visible(emit, steps, key.shape[1], mask, causal)
    if seen is not None:
        scores = emit("Where", seen, scores, _low(emit, query.dtype), spec=spec)
    weights = emit("Softmax", scores, axis=3)
    out = TensorSpec((batch, heads, steps, value.shape[3]), query.dtype)
    seen = emit("MatMul", weights, emit.transpose(value, HEADS_FIRST), spec=out)
    return emit.transpose(seen, HEADS_FIRST), weights


def _emit_visible(emit: Emitter, steps: Any, others: Any, mask: Value | None, causal: bool) -> Value | None:
    """What may be seen; None where everything may."""
    if not causal:
        return mask
    square = TensorSpec((steps, others), np.int64)
    ones = emit("ConstantOfShape", emit.shape(square.shape), value=np.ones(1, np.int64), spec=square)
    earlier = emit.cast(emit("Trilu", ones, upper=0), bool)
    both = None if mask is None else TensorSpec((*mask.shape[:2], *square.shape), bool)
    return earlier if mask is None else emit("And", mask, earlier, spec=both)


def _low(emit: Emitter, dtype: np.dtype) -> Value:
    return emit.constant(np.array(lowest(dtype), dtype))


def _lower_fused(
    emit: Emitter, query: Value, key: Value, value: Value, bias: Value | None, mask: Value | None, scale: float,
    causal: bool,
) -> Value:  # fmt: skip
    """ONNX's Attention takes (batch, time, heads * depth): no transposition on either side."""
    merged = [emit.reshape(x, (x.shape[0], x.shape[1], x.shape[2] * x.shape[3])) for x in (query, key, value)]
    if mask is not None:
        # a finite bias, not a boolean mask: rows with everything masked stay uniform
        added = emit.constant(np.array(0, query.dtype)) if bias is None else bias
        shape = broadcast_shapes(mask.shape, added.shape)
        bias = emit("Where", mask, added, _low(emit, query.dtype), spec=TensorSpec(shape, query.dtype))
    times = (query.shape[1], key.shape[1])
    if bias is not None and not same_shape(bias.shape[2:], times):
        full = (*bias.shape[:2], *times)
        bias = emit("Expand", bias, emit.shape(full), spec=TensorSpec(full, bias.dtype))
    result = (*query.shape[:3], value.shape[3])
    spec = TensorSpec((*result[:2], result[2] * result[3]), query.dtype)
    heads = query.shape[2]
    out = emit(
        "Attention", *merged, bias, is_causal=int(causal), scale=scale, q_num_heads=heads, kv_num_heads=heads, spec=spec
    )
    return emit.reshape(out, result)


def _vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any, *, scale: float, causal: bool) -> list[Tensor | None]:
    """For bodies that are differentiated after they were made; with a tape open, attention is made of operations."""
    present = [i for i, x in enumerate(inputs[:4]) if x is not None]

    def forwards(*tensors: Tensor) -> list[Tensor]:
        given = dict(zip(present, tensors, strict=True))
        query, key, value, bias = (given.get(i) for i in range(4))
        return [in_operations(query, key, value, bias, inputs[4], scale, causal)]

    found = FUNCTIONS["function_vjp"](forwards, [inputs[i] for i in present], gradients, range(len(present)))
    answer: list[Tensor | None] = [None] * 5
    for i, g in zip(present, found, strict=True):
        answer[i] = g
    return answer


def _vjp_training(
    gradients: Any, outputs: Any, inputs: Any, needed: Any, *, scale: float, causal: bool
) -> list[Tensor | None]:
    """From the weights that were kept; in operations where the bias has a gradient too."""
    if needed[3]:
        return _vjp(gradients[:1], outputs[:1], inputs, needed, scale=scale, causal=causal)
    found = attention_gradient_primitive(gradients[0], *inputs, *outputs, scale=scale, causal=causal)
    return [*found, None, None]


def _run_gradient(
    g: np.ndarray, query: np.ndarray, key: np.ndarray, value: np.ndarray, bias: Any, mask: Any, out: np.ndarray,
    weights: np.ndarray, *, scale: float, causal: bool,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    seen = visible(query.shape[1], key.shape[1], mask, causal)
    return backward(g, query, key, value, out, weights, seen, scale)


def _lower_gradient(
    emit: Emitter, g: Value, query: Value, key: Value, value: Value, bias: Any, mask: Value | None, out: Value,
    weights: Value, *, scale: float, causal: bool,
) -> tuple[Value, ...]:  # fmt: skip
    """Each product with its first factor in rows, as matrix products like it best; that of the value is made turned."""
    dtype = query.dtype
    batch, steps, heads, _ = query.shape
    factor, turned = emit.constant(np.array(scale, dtype)), (0, 2, 3, 1)
    # a softmax takes the weighted mean of its slopes out: row by row, the gradient times the result
    means = emit("ReduceSum", emit("Mul", g, out), emit.constant(np.array([3])), keepdims=1,
                 spec=TensorSpec((batch, steps, heads, 1), dtype))  # fmt: skip
    slopes = emit("MatMul", emit.transpose(g, HEADS_FIRST), emit.transpose(value, turned), spec=weights.spec)
    slopes = emit("Mul", weights, emit("Sub", slopes, emit.transpose(means, HEADS_FIRST)))
    # what is hidden has no share and hence no slope, but in rows that a mask hides as a whole
    seen = None if mask is None else _emit_visible(emit, steps, key.shape[1], mask, causal)
    if seen is not None:
        slopes = emit("Mul", slopes, emit.cast(seen, dtype), spec=weights.spec)

    def product(first: Value, second: Value) -> Value:
        shape = (batch, heads, first.shape[2], second.shape[3])
        return emit("MatMul", first, second, spec=TensorSpec(shape, dtype))

    d_query = emit("Mul", product(slopes, emit.transpose(key, HEADS_FIRST)), factor)
    d_key = product(emit.transpose(emit("Mul", query, factor), turned), slopes)  # scaled as on the way forward
    d_value = product(emit.transpose(g, turned), weights)
    back = (0, 3, 1, 2)
    return emit.transpose(d_query, HEADS_FIRST), emit.transpose(d_key, back), emit.transpose(d_value, back)


def _vjp_gradient(
    gradients: Any, outputs: Any, inputs: Any, needed: Any, *, scale: float, causal: bool
) -> list[Tensor | None]:
    """Second order: the gradient as operations of gradient, query, key and value; what was kept follows from them."""
    bias, mask = inputs[4:6]

    def gradient(g: Tensor, *tensors: Tensor) -> list[Tensor]:
        def forwards(query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
            return [in_operations(query, key, value, bias, mask, scale, causal)]

        return FUNCTIONS["function_vjp"](forwards, tensors, [g], range(3))

    return [*FUNCTIONS["function_vjp"](gradient, inputs[:4], gradients, range(4)), None, None, None, None]


def _infer_training(query: TensorSpec, key: TensorSpec, *rest: Any, scale: float, causal: bool) -> Any:
    weights = TensorSpec((query.shape[0], query.shape[2], query.shape[1], key.shape[1]), query.dtype)
    return _infer(query, key, *rest, scale=scale, causal=causal), weights


attention_primitive = Primitive("attention", forward, _infer, _lower, joint_vjp=_vjp, residuals="inputs")
attention_training_primitive = Primitive(
    "attention_training", _run_training, _infer_training, _lower_training, joint_vjp=_vjp_training,
    tags={"takes_missing_gradients": True},
)  # fmt: skip
attention_gradient_primitive = Primitive(
    "attention_gradient", _run_gradient, lambda g, query, key, value, *rest, **_: (query, key, value), _lower_gradient,
    joint_vjp=_vjp_gradient, residuals="inputs",
)  # fmt: skip


def _check(query: Tensor, key: Tensor, value: Tensor) -> None:
    for name, x in (("query", query), ("key", key), ("value", value)):
        if len(x.shape) != 4:
            raise ShapeError(
                f"dot_product_attention: expected a {name} (batch, time, heads, depth), got {format_shape(x.shape)}"
            )
        if x.dtype.kind != "f":
            raise DtypeError(f"dot_product_attention: expected a floating-point {name}, got {x.dtype.name}")
    if not agree(query.shape[3], key.shape[3]) or not agree(query.shape[0], key.shape[0]):
        raise ShapeError(
            "dot_product_attention: query and key must agree in batch and depth, got "
            f"{format_shape(query.shape)} and {format_shape(key.shape)}"
        )
    if not same_shape(key.shape[:3], value.shape[:3]):
        raise ShapeError(
            "dot_product_attention: key and value must agree in batch, time and heads, got "
            f"{format_shape(key.shape)} and {format_shape(value.shape)}"
        )
    heads, shared = query.shape[2], key.shape[2]
    if not isinstance(heads, int) or not isinstance(shared, int) or heads % shared:
        raise ShapeError(
            f"dot_product_attention: the query's heads must be a multiple of the key's, got {heads} and {shared}"
        )


def _four_axes(name: str, x: Tensor, scores: Shape) -> Tensor:
    """A bias or mask with all axes of the scores; raises `ShapeError` where it does not broadcast to them."""
    try:
        fits = broadcast_shapes(x.shape, scores) == scores
    except ShapeError:
        fits = False
    if not fits:
        raise ShapeError(
            f"dot_product_attention: expected a {name} that broadcasts to (batch, heads, query time, key time) = "
            f"{format_shape(scores)}, got {format_shape(x.shape)}"
        )
    return reshape(x, (*[1] * (4 - len(x.shape)), *x.shape))


def dot_product_attention(
    query: Any, key: Any, value: Any, bias: Any = None, mask: Any = None, scale: float | None = None,
    is_causal: bool = False, flash_attention: bool | None = None, attn_logits_soft_cap: float | None = None,
) -> Tensor:  # fmt: skip
    """`softmax(query key^T scale + bias) value` for every head: (batch, time, heads, depth) to the query's shape.

    `bias` and `mask` (True: may be seen) broadcast to (batch, heads, query time, key time); `scale` is
    `1 / sqrt(depth)` unless given; `is_causal` hides what comes later. A key and value with fewer heads are shared by
    groups of query heads. Raises `ShapeError` where shapes do not fit. ONNX: Attention from opset 23 on, before
    MatMul and Softmax.

    >>> import sardonyx as sx
    >>> x = sx.ops.ones((2, 5, 3, 4))
    >>> sx.ops.dot_product_attention(x, x, x, is_causal=True).shape
    (2, 5, 3, 4)
    """
    q, k, v = promote_all(query, key, value)
    _check(q, k, v)
    if flash_attention:
        raise ValueError("dot_product_attention: flash_attention=True asks for a GPU kernel; leave it None")
    groups = q.shape[2] // k.shape[2]
    if groups > 1:
        k, v = repeat(k, groups, axis=2), repeat(v, groups, axis=2)
    factor = 1.0 / math.sqrt(q.shape[3]) if scale is None else float(scale)
    scores = (q.shape[0], q.shape[2], q.shape[1], k.shape[1])
    added = None if bias is None else _four_axes("bias", cast(bias, q.dtype), scores)
    seen = None if mask is None else _four_axes("mask", cast(mask, bool), scores)
    if state.tapes and attn_logits_soft_cap is None and q.dtype.char in "fd":
        return attention_training_primitive(q, k, v, added, seen, scale=factor, causal=is_causal)[0]
    if state.tapes or attn_logits_soft_cap is not None:
        return in_operations(q, k, v, added, seen, factor, is_causal, attn_logits_soft_cap)
    return attention_primitive(q, k, v, added, seen, scale=factor, causal=is_causal)
