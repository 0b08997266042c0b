"""Sequences written token by token until they end: greedy search and beam search over a step of the user's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import tree
from ..core.dims import Size
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.tensor import Tensor
from .arithmetic import add, divide, multiply
from .arrange import repeat
from .axes import expand_dims
from .broadcast import broadcast_to, reshape
from .comparison import equal, greater_equal, less, logical_and, logical_not, not_equal
from .control import while_loop
from .convert import cast, convert_to_tensor
from .create import full, zeros
from .division import floor_divide, mod
from .gather import take, take_along_axis
from .join import concatenate
from .power import power
from .reduce import all as all_of
from .reduce import any as any_of
from .reduce import argmax
from .selection import where
from .sequence import arange
from .softmax import log_softmax
from .sorting import argsort, top_k

__all__ = ["beam_search", "greedy_search"]

Step = Callable[[Tensor, Tensor, Any], tuple[Any, Any]]
IMPOSSIBLE = float("-inf")
UNLIKELIEST = -1e30
"""Scores below are those of sequences that are none: TopK on a GPU turns -inf into the lowest finite number."""


def greedy_search(
    step: Step, start_tokens: Any, states: Any, end_token: int | None, maximum_length: Size,
    choose: Callable[[Tensor, Tensor], Any] | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The likeliest token at every step, until all sequences of the batch have ended (ONNX: Loop).

    step: `step(tokens, position, states)` gives logits `(batch, vocabulary)` and new states of the same shapes;
        `tokens` `(batch,)` are those of the step before, `position` counts from 0
    start_tokens: `(batch,)` integers for the first step
    states: a structure of tensors, such as recurrent states or a cache of fixed size
    end_token: the token that ends a sequence; None never ends one early
    maximum_length: steps at most; a number or a symbolic size
    choose: `choose(logits, position)` gives the next tokens `(batch,)` instead of the likeliest ones, such as a sample

    Gives tokens `(batch, maximum_length)` of int32, filled with `end_token` (0 without one) behind the end, and lengths
    `(batch,)` without the end. Raises `ShapeError` or `DtypeError` for start tokens or logits that do not fit.

    >>> import sardonyx as sx
    >>> def count_up(tokens, position, states):
    ...     return sx.ops.one_hot(tokens + 1, 5), states
    >>> tokens, lengths = sx.ops.greedy_search(count_up, [0, 2], (), end_token=4, maximum_length=6)
    >>> tokens.tolist(), lengths.tolist()
    ([[1, 2, 3, 4, 4, 4], [3, 4, 4, 4, 4, 4]], [3, 1])
    """
    start = _start("greedy_search", start_tokens)
    batch = start.shape[0]
    blank = 0 if end_token is None else int(end_token)
    columns = arange(maximum_length, dtype="int32")

    def advance(position: Any, tokens: Any, running: Any, lengths: Any, table: Any, states: Any) -> Any:
        logits, states = _logits("greedy_search", step, tokens, position, states, end_token)
        chosen = argmax(logits, axis=-1) if choose is None else choose(logits, position)
        chosen = where(running, cast(chosen, "int32"), blank)
        if end_token is not None:
            running = logical_and(running, not_equal(chosen, blank))
        table = where(equal(columns, position), expand_dims(chosen, 1), table)
        return position + 1, chosen, running, lengths + cast(running, "int32"), table, states

    limit = convert_to_tensor(maximum_length, "int32")
    found = while_loop(
        lambda position, tokens, running, *_: logical_and(position < limit, any_of(running)),
        advance,
        (convert_to_tensor(0, "int32"), start, full((batch,), True, bool), zeros((batch,), "int32"),
         full((batch, maximum_length), blank, "int32"), states),
    )  # fmt: skip
    return found[4], found[3]


def _start(name: str, tokens: Any) -> Tensor:
    start = convert_to_tensor(tokens)
    if start.dtype.kind not in "iu":
        raise DtypeError(f"{name}: expected integer start_tokens, got {start.dtype.name}")
    if len(start.shape) != 1:
        raise ShapeError(f"{name}: expected start_tokens of shape (batch,), got {format_shape(start.shape)}")
    return cast(start, "int32")


def _logits(name: str, step: Step, tokens: Any, position: Any, states: Any, end_token: int | None) -> Any:
    """What a step gives, checked."""
    result = step(tokens, position, states)
    if not isinstance(result, tuple) or len(result) != 2:
        raise ValueError(f"{name}: expected step to return two values, logits and states; got {type(result).__name__}")
    logits = convert_to_tensor(result[0])
    if len(logits.shape) != 2 or logits.dtype.kind != "f":
        raise ShapeError(
            f"{name}: expected step to return floating-point logits of shape (rows, vocabulary), got "
            f"{logits.dtype.name} of shape {format_shape(logits.shape)}; of logits over time, give the last step's"
        )
    size = logits.shape[1]
    if end_token is not None and isinstance(size, int) and not 0 <= end_token < size:
        raise ValueError(f"{name}: end_token {end_token} is not in a vocabulary of {size} tokens")
    return logits, result[1]


def beam_search(
    step: Step, start_tokens: Any, states: Any, end_token: int, maximum_length: Size, beams: int = 4,
    length_penalty: float = 0.6,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The likeliest sequences, of `beams` kept at every step (ONNX: Loop); finished ones are kept aside until the end.

    A sequence scores log p / ((5 + n) / 6) ** length_penalty, n its tokens with the end (Wu et al. 2016). The search
    stops when no sequence still open can come before those finished. Arguments as of `greedy_search`, and:

    states: every tensor's first axis is the batch; inside, rows are `batch * beams`
    beams: sequences kept for each entry of the batch
    length_penalty: from 0, which compares probabilities, up: favours longer sequences

    Gives, best first, tokens `(batch, beams, maximum_length)` of int32 filled with `end_token`, lengths
    `(batch, beams)` without the end, and scores. Those that reach `maximum_length` unfinished stand behind the finished
    ones; where there are fewer sequences than beams the rest score -inf. Raises as `greedy_search` does, and
    `ValueError` for `beams` or `length_penalty` out of range.

    >>> import sardonyx as sx
    >>> def fixed(tokens, position, states):
    ...     return sx.ops.zeros_like(sx.ops.one_hot(tokens, 3)) + sx.ops.log([0.2, 0.5, 0.3]), states
    >>> tokens, lengths, scores = sx.ops.beam_search(fixed, [0], (), 2, 3, beams=2, length_penalty=0.0)
    >>> tokens.tolist(), lengths.tolist(), sx.ops.exp(scores).numpy()
    ([[[2, 2, 2], [1, 2, 2]]], [[0, 1]], array([[0.3 , 0.15]], dtype=float32))
    """
    start = _start("beam_search", start_tokens)
    if isinstance(beams, bool) or not isinstance(beams, int) or beams < 1:
        raise ValueError(f"beam_search: expected a positive number of beams, got {beams!r}")
    if not length_penalty >= 0:
        raise ValueError(f"beam_search: expected a length_penalty of 0 or more, got {length_penalty!r}")
    search = _BeamSearch(step, start.shape[0], int(end_token), maximum_length, beams, float(length_penalty))
    values = while_loop(search.may_improve, search.advance, search.begin(start, states))
    return search.ranked(*values[:7])


class _BeamSearch:
    """The loop's variables are: the position; tokens last written (rows,); scores (batch, beams) and tables (batch,
    beams, length) of open sequences; scores, tables and lengths of finished ones; the user's states."""

    def __init__(self, step: Step, batch: Size, end: int, length: Size, beams: int, penalty: float) -> None:
        self.step, self.batch, self.end, self.length = step, batch, end, length
        self.beams, self.penalty = beams, penalty

    def begin(self, start: Tensor, states: Any) -> tuple[Any, ...]:
        """One open sequence a row; the other beams are impossible as yet."""
        beams, batch = self.beams, self.batch
        first = broadcast_to(convert_to_tensor([0.0] + [IMPOSSIBLE] * (beams - 1), "float32"), (batch, beams))
        table = full((batch, beams, self.length), self.end, "int32")
        wide = tree.map_structure(lambda x: repeat(convert_to_tensor(x), beams, axis=0), states)
        none = full((batch, beams), IMPOSSIBLE, "float32")
        lengths = zeros((batch, beams), "int32")
        return convert_to_tensor(0, "int32"), repeat(start, beams), first, table, none, table, lengths, wide

    def normalized(self, scores: Tensor, length: Any) -> Tensor:
        """Scores of sequences of a length, the end counted."""
        return divide(scores, power(divide(add(cast(length, "float32"), 5.0), 6.0), self.penalty))

    def may_improve(self, position: Tensor, _: Tensor, scores: Tensor, __: Tensor, finished: Tensor, *rest: Any) -> Any:
        """Whether an open sequence, were the rest of it certain, would come before one that is finished."""
        limit = convert_to_tensor(self.length, "int32")
        settled = greater_equal(finished[:, -1], self.normalized(scores[:, 0], limit))
        return logical_and(position < limit, logical_not(all_of(settled)))

    def advance(
        self, position: Tensor, tokens: Tensor, scores: Tensor, table: Tensor, finished: Tensor, kept: Tensor,
        lengths: Tensor, states: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        """One token more: twice as many candidates as beams, so that enough of them go on."""
        beams = self.beams
        logits, states = _logits("beam_search", self.step, tokens, position, states, self.end)
        size = logits.shape[1]
        if not isinstance(size, int) or size < 2:
            raise ShapeError(f"beam_search: expected logits over a known vocabulary of 2 tokens or more, got {size}")
        total = reshape(log_softmax(cast(logits, "float32")), (self.batch, beams, size)) + expand_dims(scores, -1)
        best, places = top_k(reshape(total, (self.batch, beams * size)), 2 * beams)
        parents, chosen = floor_divide(places, size), mod(places, size)
        longer = take_along_axis(table, expand_dims(parents, -1), axis=1)
        here = equal(arange(self.length, dtype="int32"), position)
        longer = where(here, expand_dims(chosen, -1), longer)
        ended = equal(chosen, self.end)

        scores, order = top_k(where(ended, IMPOSSIBLE, best), beams)
        table = take_along_axis(longer, expand_dims(order, -1), axis=1)
        tokens = reshape(take_along_axis(chosen, order, axis=1), (-1,))
        first = multiply(arange(self.batch, dtype="int32"), beams)
        rows = reshape(take_along_axis(parents, order, axis=1) + expand_dims(first, 1), (-1,))
        states = tree.map_structure(lambda x: take(x, rows, axis=0), states)

        news = where(ended, self.normalized(best, position + 1), IMPOSSIBLE)
        finished, order = top_k(concatenate([finished, news], axis=1), beams)
        kept = take_along_axis(concatenate([kept, longer], axis=1), expand_dims(order, -1), axis=1)
        lasting = broadcast_to(position, (self.batch, 2 * beams))
        lengths = take_along_axis(concatenate([lengths, lasting], axis=1), order, axis=1)
        return position + 1, tokens, scores, table, finished, kept, lengths, states

    def ranked(
        self, position: Tensor, _: Tensor, scores: Tensor, table: Tensor, finished: Tensor, kept: Tensor,
        lengths: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Finished sequences first; where there are too few, open ones behind them."""
        beams = self.beams
        every = concatenate([finished, self.normalized(scores, position)], axis=1)
        groups = convert_to_tensor(np.repeat([0, 1], beams).astype(np.int32))
        none = less(every, UNLIKELIEST)
        groups, every = where(none, 2, groups), where(none, IMPOSSIBLE, every)
        order = argsort(groups, axis=1)[:, :beams]  # stable: each group is in order already
        tables = take_along_axis(concatenate([kept, table], axis=1), expand_dims(order, -1), axis=1)
        sizes = concatenate([lengths, broadcast_to(position, (self.batch, beams))], axis=1)
        return tables, take_along_axis(sizes, order, axis=1), take_along_axis(every, order, axis=1)
