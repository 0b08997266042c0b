"""Numbers of a distribution from random bits: each a kernel in cache-sized blocks, and the same steps in ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dims import Shape, Size, product
from ..core.emitter import Emitter, Value
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from .random_bits import (
    BLOCK,
    UINT32,
    bits,
    blocks,
    check_count,
    check_seed,
    emit_bits,
    emit_first,
    emit_half_words,
    hash_into,
    keys_of,
    shift_right,
    sizes,
)

__all__: list[str] = []

FLOAT32, FLOAT64, INT32, INT64 = (np.dtype(kind) for kind in ("float32", "float64", "int32", "int64"))
BOOL = np.dtype(bool)


def working_dtype(dtype: np.dtype) -> np.dtype:
    """Half precision is drawn in single precision and rounded."""
    return FLOAT32 if dtype.itemsize < 4 else dtype


def _infer(seed: TensorSpec, *, shape: Shape, dtype: np.dtype, **attributes: Any) -> TensorSpec:
    check_seed(seed)
    check_count(shape)
    return TensorSpec(shape, dtype)


def _uniform_run(seed: np.ndarray, *, shape: Shape, low: float, high: float, dtype: np.dtype) -> np.ndarray:
    numbers = sizes(shape)
    count = int(np.prod(numbers, dtype=np.int64))
    work = working_dtype(dtype)
    out = _unit_double(seed, count) if work == FLOAT64 else _unit_single(seed, count)
    if (low, high) != (0.0, 1.0):
        out *= work.type(high - low)
        out += work.type(low)
    if (low, high) != (0.0, 1.0) or work != dtype:
        out = out.astype(dtype, copy=False)
        np.minimum(out, _below(high, dtype), out=out)
    return out.reshape(numbers)


def _below(high: float, dtype: np.dtype) -> Any:
    """The greatest number of the type below `high`: rounding must not reach the open end of the interval."""
    return np.nextafter(dtype.type(high), dtype.type(-np.inf))


def _unit_single(seed: np.ndarray, count: int) -> np.ndarray:
    """24 random bits as float32 in [0, 1)."""
    keys, out = keys_of(seed), np.empty(count, FLOAT32)
    words, scratch = np.empty((2, min(count, BLOCK)), UINT32)
    for block in blocks(count):
        part = out[block]
        hash_into(words[: part.size], scratch[: part.size], block.start, keys)
        np.right_shift(words, 8, out=scratch)
        part[...] = scratch[: part.size].view(INT32)  # converting signed integers is faster than unsigned ones
        part *= np.float32(2.0**-24)
    return out


def _unit_double(seed: np.ndarray, count: int) -> np.ndarray:
    """53 random bits as float64 in [0, 1): the upper 27 first, the lower 26 from as many positions further on."""
    words = bits(seed, 2 * count)
    upper, lower = (words[:count] >> 5).astype(FLOAT64), (words[count:] >> 6).astype(FLOAT64)
    return (upper * 2.0**26 + lower) * 2.0**-53


def _constant(emit: Emitter, value: float, dtype: np.dtype) -> Value:
    return emit.constant(np.array(value, dtype))


def _emit_unit(emit: Emitter, seed: Value, count: Size, dtype: np.dtype) -> Value:
    if dtype != FLOAT64:
        words = shift_right(emit, emit_bits(emit, seed, count), 8)
        return emit("Mul", emit.cast(emit.cast(words, INT32), FLOAT32), _constant(emit, 2.0**-24, FLOAT32))
    words = emit_bits(emit, seed, 2 * count)
    upper = emit.cast(shift_right(emit, emit_first(emit, words, count), 5), FLOAT64)
    lower = emit.cast(shift_right(emit, _emit_rest(emit, words, count), 6), FLOAT64)
    total = emit("Add", emit("Mul", upper, _constant(emit, 2.0**26, FLOAT64)), lower)
    return emit("Mul", total, _constant(emit, 2.0**-53, FLOAT64))


def _emit_rest(emit: Emitter, values: Value, start: Size) -> Value:
    """Values in one axis from `start` on."""
    end, axis = emit.constant(np.array([np.iinfo(np.int64).max])), emit.constant(np.array([0], INT64))
    spec = TensorSpec((values.shape[0] - start,), values.dtype)
    return emit("Slice", values, emit.shape((start,)), end, axis, spec=spec)


def _uniform_lower(emit: Emitter, seed: Value, *, shape: Shape, low: float, high: float, dtype: np.dtype) -> Value:
    work = working_dtype(dtype)
    out = _emit_unit(emit, seed, product(shape), work)
    if (low, high) != (0.0, 1.0):
        out = emit("Add", emit("Mul", out, _constant(emit, high - low, work)), _constant(emit, low, work))
    if (low, high) != (0.0, 1.0) or work != dtype:
        out = emit("Min", emit.cast(out, dtype), emit.constant(np.array(_below(high, dtype))))
    return emit.reshape(out, shape)


uniform_primitive = Primitive("random_uniform", _uniform_run, _infer, _uniform_lower, residuals="none")

HALF_TURN = 2.0 * np.pi * 2.0**-32


def _normal_run(seed: np.ndarray, *, shape: Shape, mean: float, stddev: float, dtype: np.dtype) -> np.ndarray:
    """Box and Muller: radii from the first half of the positions, angles from the second."""
    numbers = sizes(shape)
    count = int(np.prod(numbers, dtype=np.int64))
    half, work = (count + 1) // 2, working_dtype(dtype)
    keys, out = keys_of(seed), np.empty(2 * half, work)
    words, scratch = np.empty((2, min(half, BLOCK)), UINT32)
    radius, angle = np.empty((2, min(half, BLOCK)), work)
    for block in blocks(half):
        size = block.stop - block.start
        w, s, r, a = words[:size], scratch[:size], radius[:size], angle[:size]
        hash_into(w, s, block.start, keys)
        np.right_shift(w, 1, out=s)
        r[...] = s.view(INT32)
        r *= work.type(2.0**-31)
        r += work.type(2.0**-32)
        np.log(r, out=r)
        r *= work.type(-2.0 * stddev * stddev)
        np.sqrt(r, out=r)
        hash_into(w, s, block.start + half, keys)
        a[...] = w.view(INT32)
        a *= work.type(HALF_TURN)
        np.multiply(r, np.cos(a), out=out[block])
        np.sin(a, out=a)
        np.multiply(r, a, out=out[block.start + half : block.stop + half])
    if mean:
        out += work.type(mean)
    return out[:count].astype(dtype, copy=False).reshape(numbers)


def _normal_lower(emit: Emitter, seed: Value, *, shape: Shape, mean: float, stddev: float, dtype: np.dtype) -> Value:
    count, work = product(shape), working_dtype(dtype)
    half = (count + 1) // 2
    words = emit_bits(emit, seed, 2 * half)
    first, second = emit_first(emit, words, half), _emit_rest(emit, words, half)
    r = emit.cast(emit.cast(shift_right(emit, first, 1), INT32), work)
    r = emit("Add", emit("Mul", r, _constant(emit, 2.0**-31, work)), _constant(emit, 2.0**-32, work))
    r = emit("Sqrt", emit("Mul", emit("Log", r), _constant(emit, -2.0 * stddev * stddev, work)))
    # through int64: a conversion of a word above 2**31 straight to int32 is not defined by ONNX
    signed = emit.cast(second, INT64)
    wraps = emit.cast(shift_right(emit, second, 31), INT64)
    signed = emit("Sub", signed, emit("Mul", wraps, emit.constant(np.array(2**32, INT64))))
    a = emit("Mul", emit.cast(signed, work), _constant(emit, HALF_TURN, work))
    spec = TensorSpec((2 * half,), work)
    out = emit("Concat", emit("Mul", r, emit("Cos", a)), emit("Mul", r, emit("Sin", a)), axis=0, spec=spec)
    if mean:
        out = emit("Add", out, _constant(emit, mean, work))
    return emit.reshape(emit.cast(emit_first(emit, out, count), dtype), shape)


normal_primitive = Primitive("random_normal", _normal_run, _infer, _normal_lower, residuals="none")

# M. Giles, "Approximating the erfinv function" (GPU Computing Gems, 2011), single precision, central branch.
ERFINV = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
          -0.00417768164, 0.246640727, 1.50140941)  # fmt: skip
TWO_SIGMA = 0.9544997361036416
"""Probability that a normal number lies within two standard deviations."""


def _truncated_run(seed: np.ndarray, *, shape: Shape, dtype: np.dtype) -> np.ndarray:
    """The inverse of the distribution function; within two deviations one polynomial gives it to 3e-7."""
    work = working_dtype(dtype)
    u = _uniform_run(seed, shape=shape, low=0.0, high=1.0, dtype=work).reshape(-1)
    w, p = np.empty((2, min(u.size, BLOCK)), work)
    for block in blocks(u.size):
        y = u[block]
        y *= work.type(2 * TWO_SIGMA)
        y -= work.type(TWO_SIGMA)
        wb, pb = w[: y.size], p[: y.size]
        np.multiply(y, y, out=wb)
        np.subtract(1, wb, out=wb)
        np.log(wb, out=wb)
        np.subtract(-2.5, wb, out=wb)
        pb[...] = ERFINV[0]
        for coefficient in ERFINV[1:]:
            pb *= wb
            pb += work.type(coefficient)
        y *= pb
        y *= work.type(np.sqrt(2.0))
    np.clip(u, -2, 2, out=u)
    return u.astype(dtype, copy=False).reshape(sizes(shape))


def _truncated_lower(emit: Emitter, seed: Value, *, shape: Shape, dtype: np.dtype) -> Value:
    work = working_dtype(dtype)

    def c(value: float) -> Value:
        return _constant(emit, value, work)

    y = emit("Sub", emit("Mul", _emit_unit(emit, seed, product(shape), work), c(2 * TWO_SIGMA)), c(TWO_SIGMA))
    one_minus = emit("Sub", c(1.0), emit("Mul", y, y), spec=y.spec)
    w = emit("Sub", c(-2.5), emit("Log", one_minus), spec=y.spec)
    p = emit("Add", emit("Mul", w, c(ERFINV[0])), c(ERFINV[1]))
    for coefficient in ERFINV[2:]:
        p = emit("Add", emit("Mul", p, w), c(coefficient))
    out = emit("Mul", emit("Mul", y, p), c(np.sqrt(2.0)))
    out = emit("Clip", out, c(-2.0), c(2.0))
    return emit.reshape(emit.cast(out, dtype), shape)


truncated_normal_primitive = Primitive(
    "random_truncated_normal", _truncated_run, _infer, _truncated_lower, residuals="none"
)


def _integers_run(seed: np.ndarray, *, shape: Shape, low: int, span: int, dtype: np.dtype) -> np.ndarray:
    """The upper word of bits times span: no division, and no bias above 2**-32 times the span."""
    numbers = sizes(shape)
    words = bits(seed, int(np.prod(numbers, dtype=np.int64))).astype(np.uint64)
    words *= np.uint64(span)
    words >>= np.uint64(32)
    out = words.view(INT64)
    out += low
    return out.astype(dtype, copy=False).reshape(numbers)


def _integers_lower(emit: Emitter, seed: Value, *, shape: Shape, low: int, span: int, dtype: np.dtype) -> Value:
    words = emit.cast(emit_bits(emit, seed, product(shape)), INT64)
    wide = emit.cast(emit("Mul", words, emit.constant(np.array(span, INT64))), np.uint64)
    out = emit("Add", emit.cast(shift_right(emit, wide, 32), INT64), emit.constant(np.array(low, INT64)))
    return emit.reshape(emit.cast(out, dtype), shape)


integers_primitive = Primitive("random_integers", _integers_run, _infer, _integers_lower, residuals="none")


def _mask_infer(seed: TensorSpec, *, shape: Shape, threshold: int) -> TensorSpec:
    return _infer(seed, shape=shape, dtype=BOOL)


def _mask_run(seed: np.ndarray, *, shape: Shape, threshold: int) -> np.ndarray:
    """True with probability 1 - threshold / 2**16: one word of bits serves two elements."""
    numbers = sizes(shape)
    count = int(np.prod(numbers, dtype=np.int64))
    out = np.empty(count, BOOL)
    keys = keys_of(seed)
    words, scratch = np.empty((2, min((count + 1) // 2, BLOCK)), UINT32)
    for block in blocks((count + 1) // 2):
        size = block.stop - block.start
        hash_into(words[:size], scratch[:size], block.start, keys)
        part = out[2 * block.start : 2 * block.stop]
        halves = words[:size].astype("<u4", copy=False).view("<u2")[: part.size]
        np.greater_equal(halves, np.uint16(threshold), out=part)
    return out.reshape(numbers)


def _mask_lower(emit: Emitter, seed: Value, *, shape: Shape, threshold: int) -> Value:
    count = product(shape)
    halves = emit_half_words(emit, seed, count)
    kept = emit("Greater", halves, emit.constant(np.array(threshold - 1, INT32)), spec=TensorSpec((count,), BOOL))
    return emit.reshape(kept, shape)


mask_primitive = Primitive("random_mask", _mask_run, _mask_infer, _mask_lower, residuals="none")


def _permutation_run(seed: np.ndarray, *, size: Size) -> np.ndarray:
    return np.argsort(bits(seed, size.__index__()), kind="stable")


def _permutation_infer(seed: TensorSpec, *, size: Size) -> TensorSpec:
    check_seed(seed)
    check_count((size,))
    return TensorSpec((size,), INT64)


def _permutation_lower(emit: Emitter, seed: Value, *, size: Size) -> Value:
    words = emit.cast(emit_bits(emit, seed, size), INT64)
    specs = (words.spec, TensorSpec((size,), INT64))
    return emit.many("TopK", words, emit.shape((size,)), axis=0, largest=0, sorted=1, specs=specs)[1]


permutation_primitive = Primitive(
    "random_permutation", _permutation_run, _permutation_infer, _permutation_lower, residuals="none"
)
