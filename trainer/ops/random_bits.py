"""Random bits from a hash of (seed, position): the same ones in NumPy and in ONNX, in any order, without hidden state.

A seed is two 32-bit words. They become two keys; the bits at a position are three rounds of multiply and xor-shift of
(position + first key), the second key entering after the first round (multipliers by C. Wellons and T. Ettl,
"hash prospector"). Multipliers are below 2**31, so that a product fits int64 in runtimes without unsigned products.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..core.dims import Shape, Size, product
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor

__all__: list[str] = []

WORD = 0xFFFFFFFF
BLOCK = 1 << 13
"""Positions hashed at a time: the words and the scratch stay in the first-level caches."""

SHIFTS = (16, 15, 15, 14)
MULTIPLIERS = (0x21F0AAAD, 0x735A2D97, 0x31848BAB)
KEY_POSITIONS = {"numbers": (0x3C6EF372, 0x1F83D9AB), "seeds": (0x510E527F, 0x6A09E667)}
"""Where the two keys of a purpose are hashed: new seeds never share keys with numbers drawn from the same seed."""

_positions = np.arange(BLOCK, dtype=np.uint32)
_positions.flags.writeable = False

INT64 = np.dtype(np.int64)
UINT32 = np.dtype(np.uint32)


def hash_word(position: int, key: int, second_key: int) -> int:
    """The 32 bits at one position, in Python integers."""
    x = (position + key) & WORD
    x = ((x ^ x >> SHIFTS[0]) * MULTIPLIERS[0]) & WORD
    x = ((x ^ x >> SHIFTS[1] ^ second_key) * MULTIPLIERS[1]) & WORD
    x = ((x ^ x >> SHIFTS[2]) * MULTIPLIERS[2]) & WORD
    return x ^ x >> SHIFTS[3]


def keys_of(seed: np.ndarray, purpose: str = "numbers") -> tuple[int, int]:
    """The two keys of a seed of two words."""
    first, second = seed.tolist()
    positions = KEY_POSITIONS[purpose]
    return hash_word(positions[0], first, second), hash_word(positions[1], first, second)


def hash_into(words: np.ndarray, scratch: np.ndarray, start: int, keys: tuple[int, int]) -> None:
    """Fill `words` (at most `BLOCK` of uint32) with the bits at the positions from `start` on."""
    np.add(_positions[: words.size], (start + keys[0]) & WORD, out=words)
    for i, multiplier in enumerate(MULTIPLIERS):
        np.right_shift(words, SHIFTS[i], out=scratch)
        np.bitwise_xor(words, scratch, out=words)
        if i == 1:
            np.bitwise_xor(words, keys[1], out=words)
        np.multiply(words, multiplier, out=words)
    np.right_shift(words, SHIFTS[3], out=scratch)
    np.bitwise_xor(words, scratch, out=words)


def blocks(count: int) -> Iterator[slice]:
    """Slices of at most `BLOCK` positions."""
    for start in range(0, count, BLOCK):
        yield slice(start, min(start + BLOCK, count))


def bits(seed: np.ndarray, count: int, purpose: str = "numbers") -> np.ndarray:
    """`count` words of 32 random bits (uint32)."""
    keys = keys_of(seed, purpose)
    words, scratch = np.empty(count, UINT32), np.empty(min(count, BLOCK), UINT32)
    for block in blocks(count):
        part = words[block]
        hash_into(part, scratch[: part.size], block.start, keys)
    return words


def sizes(shape: Shape) -> tuple[int, ...]:
    """The shape in numbers; raises where a size is symbolic, and the operation becomes a node.

    It is looked at before there is memory for the draw: some systems promise any amount, and end who takes it.
    """
    found = tuple([size.__index__() for size in shape])
    check_count(found)
    return found


def check_seed(seed: TensorSpec) -> None:
    """Raises unless the spec is that of a seed: two words of uint32."""
    if seed.shape != (2,):
        raise ShapeError(f"a seed is two words of uint32, shape (2,), got shape {format_shape(seed.shape)}")
    if seed.dtype != UINT32:
        raise DtypeError(f"a seed is two words of uint32, got {seed.dtype.name}")


def check_count(shape: Shape) -> None:
    """Raises for more numbers in one draw than there are positions."""
    count = product(shape)
    if isinstance(count, int) and count > 1 << 31:
        raise ShapeError(
            f"one draw gives at most 2**31 numbers, shape {format_shape(shape)} has {count}; draw it in parts"
        )


def emit_bits(emit: Emitter, seed: Value, count: Size, purpose: str = "numbers") -> Value:
    """`count` words of random bits (uint32, one axis) as ONNX integer operators."""
    if emit.opset < 18:
        raise NotImplementedError(
            f"random numbers: ONNX has BitwiseXor since opset 18, this file is written for {emit.opset}. Export with "
            "opset=18 or newer, or export the model for inference (training=False), where dropout does nothing."
        )
    seed_words = emit.cast(seed, INT64)
    first, second = (_pick(emit, seed_words, i) for i in range(2))
    keys = _emit_hash(emit, emit.constant(np.array(KEY_POSITIONS[purpose], INT64)), first, emit.cast(second, UINT32))
    key, second_key = emit.cast(_pick(emit, keys, 0), INT64), _pick(emit, keys, 1)
    zero, one = emit.constant(np.array(0, INT64)), emit.constant(np.array(1, INT64))
    positions = emit("Range", zero, emit.size(count), one, spec=TensorSpec((count,), INT64))
    return _emit_hash(emit, positions, key, second_key)


def _pick(emit: Emitter, words: Value, index: int) -> Value:
    return emit("Gather", words, emit.constant(np.array([index], INT64)), axis=0, spec=TensorSpec((1,), words.dtype))


def _emit_hash(emit: Emitter, positions: Value, key: Value, second_key: Value) -> Value:
    x = emit.cast(emit("Add", positions, key), UINT32)
    for i, multiplier in enumerate(MULTIPLIERS):
        x = emit("BitwiseXor", x, shift_right(emit, x, SHIFTS[i]))
        if i == 1:
            x = emit("BitwiseXor", x, second_key)
        # int64 products are exact and every runtime has them; the cast keeps the low 32 bits
        wide = emit("Mul", emit.cast(x, INT64), emit.constant(np.array(multiplier, INT64)))
        x = emit.cast(wide, UINT32)
    return emit("BitwiseXor", x, shift_right(emit, x, SHIFTS[3]))


def shift_right(emit: Emitter, words: Value, count: int) -> Value:
    """Words shifted right by a constant number of bits."""
    return emit("BitShift", words, emit.constant(np.array(count, words.dtype)), direction="RIGHT")


def emit_half_words(emit: Emitter, seed: Value, count: Size) -> Value:
    """`count` random numbers of 16 bits as int32: each word's low half, then its high half."""
    words = emit_bits(emit, seed, (count + 1) // 2)
    pair = (words.shape[0], 1)
    low = emit("BitwiseAnd", words, emit.constant(np.array(0xFFFF, UINT32)))
    high = shift_right(emit, words, 16)
    halves = [emit.reshape(emit.cast(half, np.int32), pair) for half in (low, high)]
    flat = emit("Concat", *halves, axis=1, spec=TensorSpec((words.shape[0], 2), np.int32))
    return emit_first(emit, emit.reshape(flat, (2 * words.shape[0],)), count)


def emit_first(emit: Emitter, values: Value, count: Size) -> Value:
    """The first `count` of values in one axis."""
    if values.shape[0] == count:
        return values
    start, axis = emit.constant(np.array([0], INT64)), emit.constant(np.array([0], INT64))
    return emit("Slice", values, start, emit.shape((count,)), axis, spec=TensorSpec((count,), values.dtype))


def _bits_infer(seed: TensorSpec, *, shape: Shape, purpose: str) -> TensorSpec:
    check_seed(seed)
    check_count(shape)
    return TensorSpec(shape, UINT32)


def _bits_lower(emit: Emitter, seed: Value, *, shape: Shape, purpose: str) -> Value:
    return emit.reshape(emit_bits(emit, seed, product(shape), purpose), shape)


def _bits_run(seed: np.ndarray, *, shape: Shape, purpose: str) -> np.ndarray:
    numbers = sizes(shape)
    return bits(seed, product(numbers).__index__(), purpose).reshape(numbers)


bits_primitive = Primitive("random_bits", _bits_run, _bits_infer, _bits_lower, residuals="none")


def _advance_infer(seed: TensorSpec) -> TensorSpec:
    check_seed(seed)
    return TensorSpec((2,), UINT32)


def _advance_lower(emit: Emitter, seed: Value) -> Value:
    wide = emit("Add", emit.cast(seed, INT64), emit.constant(np.array([0, 1], INT64)))
    return emit.cast(wide, UINT32)


_step = np.array([0, 1], UINT32)

advance_primitive = Primitive(
    "random_advance", lambda seed: seed + _step, _advance_infer, _advance_lower, residuals="none"
)


def random_bits(seed: Tensor, shape: Shape, purpose: str = "numbers") -> Tensor:
    """Words of 32 random bits (uint32) of a shape, for a seed of two words (uint32)."""
    return bits_primitive(seed, shape=shape, purpose=purpose)
