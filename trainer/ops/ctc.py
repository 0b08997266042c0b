"""Connectionist temporal classification: labels without times (Graves et al. 2006; Keras name: `ops.ctc_loss`)."""

from __future__ import annotations

from typing import Any

from ..core.dims import equal as same_size
from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from .arithmetic import add, multiply, negative, subtract
from .axes import expand_dims, transpose
from .broadcast import broadcast_to, reshape
from .comparison import equal, less, logical_or, not_equal
from .control import scan
from .convert import cast, to_float
from .create import full_like
from .crossentropy_primitives import class_mask
from .elementwise import exp, log, logaddexp
from .gather import take_along_axis
from .join import concatenate, stack
from .linalg import matmul
from .reduce import argmax, max, sum
from .selection import where
from .sequence import arange
from .softmax import log_softmax
from .sorting import argsort

__all__ = ["ctc_decode", "ctc_loss"]

IMPOSSIBLE = -1e5
"""Logarithm of the probability of what cannot be: finite, so that differences of two of them are no NaN."""


def _check(target: Tensor, output: Tensor, target_length: Tensor, output_length: Tensor) -> None:
    if len(output.shape) != 3:
        raise ShapeError(f"ctc_loss: expected output of shape (batch, time, classes), got {format_shape(output.shape)}")
    batch = output.shape[0]
    lengths = (("target_length", target_length, 1), ("output_length", output_length, 1))
    for name, x, rank in (("target", target, 2), *lengths):
        if len(x.shape) != rank or same_size(x.shape[0], batch) is not True:
            wanted = format_shape((batch, "length") if rank == 2 else (batch,))
            raise ShapeError(f"ctc_loss: expected {name} of shape {wanted}, got {format_shape(x.shape)}")


def _with_blanks(target: Tensor, blank: int) -> Tensor:
    """Labels with a blank between any two and at both ends: (batch, 2 * labels + 1)."""
    blanks = full_like(target, blank)
    pairs = reshape(stack([blanks, target], axis=2), (target.shape[0], 2 * target.shape[1]))
    return concatenate([pairs, blanks[:, :1]], axis=1)


def _log(condition: Tensor, dtype: Any) -> Tensor:
    """0 where something may be, `IMPOSSIBLE` where not."""
    return multiply(subtract(1.0, cast(condition, dtype)), IMPOSSIBLE)


def ctc_loss(target: Any, output: Any, target_length: Any, output_length: Any, mask_index: int = 0) -> Tensor:
    """`-log` of the probability that logits (batch, time, classes) spell the labels (batch, length), for each sample.

    Lengths (batch,) say how much of each counts; `mask_index` is the class that stands for no label. Raises
    `ShapeError` where shapes do not fit. Computed in logarithms by a scan over time.

    >>> import sardonyx as sx
    >>> loss = sx.ops.ctc_loss([[1]], sx.ops.zeros((1, 2, 2)), [1], [2])
    >>> round(float(sx.ops.exp(-loss)[0]), 4)  # three of four paths: 1-1, 1-blank, blank-1
    0.75
    """
    labels, logits = cast(target, "int32"), to_float(output)
    lengths, steps = cast(target_length, "int32"), cast(output_length, "int32")
    _check(labels, logits, lengths, steps)
    dtype = logits.dtype
    states = _with_blanks(labels, mask_index)
    emitted = matmul(log_softmax(logits), transpose(class_mask(states, logits.shape[2], dtype), (0, 2, 1)))
    number = states.shape[1]
    positions = arange(number, dtype="int32")
    # a blank may be left out between two different labels
    jumps = concatenate([full_like(states[:, :2], mask_index), states[:, :-2]], axis=1)
    may_jump = _log(not_equal(states, jumps), dtype)
    start = broadcast_to(_log(less(positions, 2), dtype), (states.shape[0], number))
    time = arange(logits.shape[1], dtype="int32")
    counts = less(expand_dims(time, -1), steps)

    def step(before: Tensor, now: Any) -> Any:
        scores, counts_now, first = now
        outside = full_like(before[:, :1], IMPOSSIBLE)
        stay_or_move = logaddexp(before, concatenate([outside, before[:, :-1]], axis=1))
        jump = add(concatenate([outside, outside, before[:, :-2]], axis=1), may_jump)
        reached = add(where(first, before, logaddexp(stay_or_move, jump)), scores)
        return where(expand_dims(counts_now, -1), reached, before), None

    streams = (transpose(emitted, (1, 0, 2)), counts, equal(time, 0))
    last, _ = scan(step, start, streams)
    ends = expand_dims(multiply(lengths, 2), -1)
    is_end = logical_or(equal(positions, ends), equal(positions, subtract(ends, 1)))
    return negative(_log_sum(add(last, _log(is_end, dtype))))


def _log_sum(x: Tensor) -> Tensor:
    from_largest = max(x, axis=1, keepdims=True)
    return add(reshape(from_largest, (x.shape[0],)), log(sum(exp(subtract(x, from_largest)), axis=1)))


def ctc_decode(
    inputs: Any, sequence_lengths: Any, strategy: str = "greedy", beam_width: int = 100, top_paths: int = 1,
    merge_repeated: bool = True, mask_index: int = 0,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The labels that logits (batch, time, classes) spell, filled up with -1, and minus the sum of the best logits.

    Results: (1, batch, time) of int32 and (batch, 1). `strategy` is "greedy": the best class at every step, repeated
    ones merged, `mask_index` left out. Raises `ValueError` for another one.

    >>> import sardonyx as sx
    >>> logits = [[[0.0, 9.0], [0.0, 9.0], [9.0, 0.0]]]
    >>> sx.ops.ctc_decode(logits, [3])[0].tolist()
    [[[1, -1, -1]]]
    """
    if strategy != "greedy":
        raise ValueError(f'ctc_decode: expected strategy "greedy", got {strategy!r}')
    scores, lengths = to_float(inputs), cast(sequence_lengths, "int32")
    if len(scores.shape) != 3:
        raise ShapeError(f"ctc_decode: expected inputs (batch, time, classes), got {format_shape(scores.shape)}")
    steps = scores.shape[1]
    blank = mask_index
    positions = arange(steps, dtype="int32")
    counts = less(positions, expand_dims(lengths, -1))
    best = where(counts, cast(argmax(scores, axis=-1), "int32"), blank)
    top = multiply(max(scores, axis=-1), cast(counts, scores.dtype))
    if merge_repeated:
        before = concatenate([full_like(best[:, :1], -1), best], axis=1)[:, :-1]
        best = where(equal(best, before), blank, best)
    is_blank = equal(best, blank)
    order = argsort(where(is_blank, cast(steps, "int32"), positions), axis=-1)
    found = take_along_axis(where(is_blank, -1, best), order, axis=-1)
    return expand_dims(found, 0), negative(sum(top, axis=1, keepdims=True))
