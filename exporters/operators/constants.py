"""Tensors from attributes, shapes and random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.dims import Dim, contains_dim
from ...trainer.core.state import state
from ...trainer.core.tensor import Tensor
from ..protos import element_type, text_array
from .table import Call, UnsupportedOperatorError, operator
from .values import Sizes, Value, fixed, integers, number, objects, sizes_or_tensor


@operator("Constant", raw=True)
def constant(call: Call) -> Value:
    """A value that stands in the file."""
    for name, value in call.attributes.items():
        if name in ("value", "sparse_value"):
            return Tensor(value)
        if name in ("value_float", "value_floats"):
            return Tensor(np.asarray(value, np.float32))
        if name in ("value_int", "value_ints"):
            return Tensor(np.asarray(value, np.int64))
        if name == "value_string":
            return Tensor(text_array([value], ()))
        if name == "value_strings":
            return Tensor(text_array(value, (len(value),)))
    raise ValueError(f"{call.label}: a constant without a value")


@operator("ConstantOfShape", raw=True)
def constant_of_shape(call: Call, shape: Any) -> Value:
    """One number, repeated."""
    value = np.asarray(call.get("value", np.zeros(1, np.float32))).reshape(-1)
    sizes = tuple(integers(call, shape, "the shape"))
    if contains_dim(sizes):
        return ops.broadcast_to(Tensor(value.reshape(())), sizes)
    return Tensor(np.full([int(size) for size in sizes], value[0], value.dtype))


@operator("EyeLike")
def eye_like(call: Call, x: Tensor) -> Tensor:
    """Ones on a diagonal."""
    dtype = element_type(call.get("dtype")) if call.get("dtype") else x.dtype
    return ops.cast(ops.eye(x.shape[0], x.shape[1], call.get("k", 0), dtype="float32"), dtype)


@operator("Range", raw=True)
def number_range(call: Call, start: Any, limit: Any, delta: Any) -> Value:
    """Numbers at equal distances; the ends may be sizes."""
    if any(isinstance(x, Sizes) for x in (start, limit, delta)):
        first, last, step = (integers(call, x, "an end of the range")[0] for x in (start, limit, delta))
        if isinstance(step, Dim):
            raise ValueError(f"{call.label}: the step must be a number, got {step}")
        return ops.arange(first, last, step, dtype=np.dtype(start.dtype).name)
    first, last, step = (fixed(call, x, "an end of the range").reshape(()) for x in (start, limit, delta))
    count = max(int(np.ceil((last - first) / step)), 0)
    return Tensor((first + np.arange(count) * step).astype(start.dtype))


@operator("Shape", raw=True)
def shape(call: Call, x: Value) -> Value:
    """The sizes of a tensor: numbers where they are known, else symbolic sizes."""
    return sizes_or_tensor(objects(list(x.shape[slice(call.get("start"), call.get("end"))])))


@operator("Size", raw=True)
def size(call: Call, x: Value) -> Value:
    """How many elements there are."""
    total: Any = 1
    for each in x.shape:
        total = total * each
    return sizes_or_tensor(objects([total]).reshape(()))


def _generator(call: Call) -> np.random.Generator:
    if state.traces:
        raise UnsupportedOperatorError(
            f"{call.label}: random numbers are drawn each time the file runs; a graph made here would hold one draw "
            "for ever. Cut the file before this node, or run it as it is with exporters.backend or onnxruntime."
        )
    seed = call.get("seed")
    return np.random.default_rng(None if seed is None else abs(hash(float(seed))))


@operator("RandomNormal", "RandomUniform")
def random_of_shape(call: Call) -> Tensor:
    """Random numbers, drawn when the file is read or run eagerly."""
    return _draw(call, tuple(call.get("shape")), element_type(call.get("dtype", 1)))


@operator("RandomNormalLike", "RandomUniformLike")
def random_like(call: Call, x: Tensor) -> Tensor:
    """Random numbers in the shape of a tensor."""
    return _draw(call, tuple(x.shape), element_type(call.get("dtype")) if call.get("dtype") else x.dtype)


def _draw(call: Call, shape: tuple[Any, ...], dtype: np.dtype) -> Tensor:
    if contains_dim(shape):
        raise ValueError(f"{call.label}: random numbers need a shape of numbers, got {shape}")
    draws = _generator(call)
    if "Normal" in call.operator:
        return Tensor(draws.normal(call.get("mean", 0.0), call.get("scale", 1.0), shape).astype(dtype))
    return Tensor(draws.uniform(call.get("low", 0.0), call.get("high", 1.0), shape).astype(dtype))


@operator("Bernoulli")
def bernoulli(call: Call, x: Tensor) -> Tensor:
    """1 with the given probabilities, else 0."""
    dtype = element_type(call.get("dtype")) if call.get("dtype") else x.dtype
    chances = fixed(call, x, "the probabilities")
    return Tensor((_generator(call).uniform(size=chances.shape) < chances).astype(dtype))


@operator("Multinomial")
def multinomial(call: Call, x: Tensor) -> Tensor:
    """Classes drawn with the given logarithms of chances."""
    logits = fixed(call, x, "the logarithms")
    noise = _generator(call).gumbel(size=(*logits.shape[:1], call.get("sample_size", 1), logits.shape[1]))
    return Tensor((logits[:, None] + noise).argmax(-1).astype(element_type(call.get("dtype", 6))))


@operator("Dropout")
def dropout(call: Call, x: Tensor, ratio: Any = None, training: Any = None) -> tuple[Tensor, ...]:
    """Nothing in inference; with the input `training_mode` elements are dropped."""
    share = call.get("ratio", 0.5) if ratio is None else number(call, ratio, "the ratio")
    mask = ops.ones(x.shape, "bool")
    if not number(call, training, "training_mode", False) or not share:
        return x, mask
    kept = Tensor(_generator(call).uniform(size=[int(size) for size in x.shape]) >= share)
    return ops.where(kept, ops.divide(x, Tensor(np.asarray(1 - share, x.dtype))), Tensor(np.zeros((), x.dtype))), kept
