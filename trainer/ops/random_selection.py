"""Random choices: of a class by its logit, of an order along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dims import product
from ..core.dtypes import as_dtype
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec, normalize_axis
from ..core.tensor import Tensor
from .convert import convert_to_tensor, to_float
from .random_bits import bits, check_seed, emit_bits, shift_right
from .random_samples import permutation_primitive
from .seed import draw_seed

__all__: list[str] = []

FLOAT32, INT32, INT64 = (np.dtype(kind) for kind in ("float32", "int32", "int64"))


def _categorical_infer(logits: TensorSpec, seed: TensorSpec, *, count: int, dtype: np.dtype) -> TensorSpec:
    check_seed(seed)
    if logits.rank != 2:
        raise ShapeError(f"expected logits of shape (batch, classes), got {format_shape(logits.shape)}")
    return TensorSpec((logits.shape[0], count), dtype)


def _categorical_run(logits: np.ndarray, seed: np.ndarray, *, count: int, dtype: np.dtype) -> np.ndarray:
    """The largest of logit + Gumbel noise: exact, whatever the scale of the logits, and never a class of logit -inf."""
    rows, classes = logits.shape
    unit = (bits(seed, rows * count * classes) >> 9).view(INT32).astype(FLOAT32)
    unit += np.float32(0.5)
    unit *= np.float32(2.0**-23)
    noise = -np.log(-np.log(unit)).reshape(rows, count, classes)
    return (logits.astype(FLOAT32, copy=False)[:, None, :] + noise).argmax(-1).astype(dtype, copy=False)


def _categorical_lower(emit: Emitter, logits: Value, seed: Value, *, count: int, dtype: np.dtype) -> Value:
    rows, classes = logits.shape
    shape = (rows, count, classes)
    words = shift_right(emit, emit_bits(emit, seed, product(shape)), 9)
    unit = emit("Add", emit.cast(emit.cast(words, INT32), FLOAT32), emit.constant(np.array(0.5, FLOAT32)))
    unit = emit("Mul", unit, emit.constant(np.array(2.0**-23, FLOAT32)))
    noise = emit("Neg", emit("Log", emit("Neg", emit("Log", unit))))
    wide = emit.reshape(emit.cast(logits, FLOAT32), (rows, 1, classes))
    total = emit("Add", emit.reshape(noise, shape), wide)
    best = emit("ArgMax", total, axis=2, keepdims=0, spec=TensorSpec((rows, count), INT64))
    return emit.cast(best, dtype)


categorical_primitive = Primitive(
    "random_categorical", _categorical_run, _categorical_infer, _categorical_lower, residuals="none"
)


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Tensor:
    """Classes drawn with probability softmax(logits): logits (batch, classes) give (batch, num_samples) class indices.

    Source: the Gumbel-max method; Keras name `random.categorical`.

    >>> import sardonyx as sx
    >>> sx.random.categorical([[0.0, -1e9], [-1e9, 0.0]], 3, seed=1).tolist()
    [[0, 0, 0], [1, 1, 1]]
    """
    kind = as_dtype(dtype)
    if kind.kind not in "iu":
        raise DtypeError(f"categorical: expected an integer dtype, got {kind.name}")
    return categorical_primitive(to_float(logits), draw_seed(seed), count=int(num_samples), dtype=kind)


def _shuffle_run(x: np.ndarray, order: np.ndarray, *, axis: int) -> np.ndarray:
    return np.take(x, order, axis=axis)


def _unshuffle_run(x: np.ndarray, order: np.ndarray, *, axis: int) -> np.ndarray:
    return np.take(x, np.argsort(order), axis=axis)


def _order_infer(x: TensorSpec, order: TensorSpec, *, axis: int) -> TensorSpec:
    return TensorSpec(x.shape, x.dtype)


def _shuffle_lower(emit: Emitter, x: Value, order: Value, *, axis: int) -> Value:
    return emit("Gather", x, order, axis=axis)


def _unshuffle_lower(emit: Emitter, x: Value, order: Value, *, axis: int) -> Value:
    specs = (order.spec, order.spec)
    inverse = emit.many("TopK", order, emit.shape(order.shape), axis=0, largest=0, sorted=1, specs=specs)[1]
    return emit("Gather", x, inverse, axis=axis)


shuffle_primitive = Primitive(
    name="shuffle",
    run=_shuffle_run,
    infer=_order_infer,
    lower=_shuffle_lower,
    vjp=(lambda g, out, x, order, *, axis: unshuffle_primitive(g, order, axis=axis), None),
    residuals="inputs",
)

unshuffle_primitive = Primitive(
    name="unshuffle",
    run=_unshuffle_run,
    infer=_order_infer,
    lower=_unshuffle_lower,
    vjp=(lambda g, out, x, order, *, axis: shuffle_primitive(g, order, axis=axis), None),
    residuals="inputs",
)


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Tensor:
    """The slices of `x` along an axis in random order (Keras name: `random.shuffle`).

    >>> import sardonyx as sx
    >>> sorted(sx.random.shuffle([3, 1, 2], seed=1).tolist())
    [1, 2, 3]
    """
    tensor = convert_to_tensor(x)
    where = normalize_axis(axis, len(tensor.shape))
    order = permutation_primitive(draw_seed(seed), size=tensor.shape[where])
    return shuffle_primitive(tensor, order, axis=where)
