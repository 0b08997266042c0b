"""What a `for` runs over when its length is not known: steps along tensors, and what such a loop collects."""

from __future__ import annotations

import operator
from typing import Any, NoReturn

import numpy as np

from ..core import tree
from ..core.dims import Dim, Size
from ..core.tensor import Tensor
from ..ops.broadcast import reshape
from ..ops.convert import convert_to_tensor
from ..ops.join import concatenate, stack
from ..ops.reduce import sum as reduce_sum
from ..ops.sequence import arange
from .branches import symbolic
from .refusals import refuse

__all__: list[str] = []

UNROLLED = 16
"""A `for` over a tensor of at most so many rows is written out; a longer one becomes a Scan."""


class Steps:
    """An iterable of tensors along axis 0 of `streams`; `length` steps."""

    def __init__(self, streams: Any, length: Size) -> None:
        self.streams, self.length = streams, length

    def __iter__(self) -> NoReturn:
        refuse(
            "a Python iteration over a number of steps that is known only when the model runs",
            "Write it as a plain `for` statement, whose results are appended to a list, or use ops.map or ops.scan.",
        )

    def __len__(self) -> int:
        return self.length  # type: ignore[return-value]  # Python itself refuses what is no number


class Counter:
    """`range(start, stop, step)` of which tensors are bounds: how often it runs only the model's run shows."""

    def __init__(self, start: Any, stop: Any, step: int) -> None:
        self.start, self.stop, self.step = start, stop, step

    def goes_on(self, number: Any) -> Any:
        """Whether a number is within the range."""
        return number < self.stop if self.step > 0 else number > self.stop

    __iter__ = Steps.__iter__


def steps_of(value: Any) -> Steps | None:
    """The steps that iterating over a value takes, when that is to be a loop of the graph."""
    if isinstance(value, Steps):
        return value
    if isinstance(value, Collected):
        value = value.stacked()
    tensor = symbolic(value)
    if tensor is None or not tensor.shape:
        return None
    return Steps(tensor, tensor.shape[0]) if isinstance(tensor.shape[0], Dim) or tensor.shape[0] > UNROLLED else None


def range_(*limits: Any) -> Any:
    """`range`, of tensors and sizes too."""
    known = [x.array.item() if isinstance(x, Tensor) and x.array is not None else x for x in limits]
    if not any(isinstance(x, Dim) or symbolic(x) is not None for x in known):
        return range(*known)
    tensors = [x if isinstance(x, (int, Dim)) else convert_to_tensor(x) for x in known]
    for x in tensors:
        if isinstance(x, Tensor) and (x.shape != () or x.dtype.kind not in "iu"):
            refuse(f"range of {x!r}: expected whole numbers", "Use ops.cast(x, 'int32') on a scalar.", TypeError)
    if any(isinstance(x, Tensor) for x in tensors):
        start, stop, step = (0, *tensors, 1) if len(tensors) == 1 else (*tensors, 1)[:3]
        if not isinstance(step, int) or step == 0:
            refuse(f"range with the step {step!r}", "Use a step that is a number other than 0, and multiply inside.")
        return Counter(start, stop, step)
    numbers = arange(*tensors)
    return Steps(numbers, numbers.shape[0])


def enumerate_(iterable: Any, start: Any = 0) -> Any:
    """`enumerate`, of unknown lengths too."""
    steps = steps_of(iterable)
    if steps is None:
        return enumerate(iterable, start)
    return Steps((arange(steps.length) + start, steps.streams), steps.length)


def zip_(*iterables: Any, strict: bool = False) -> Any:
    """`zip`, of unknown lengths too, which must be the same."""
    found = [steps_of(x) for x in iterables]
    if all(steps is None for steps in found):
        return zip(*iterables, strict=strict)
    made = []
    for iterable, steps in zip(iterables, found, strict=True):
        if steps is None:
            if symbolic(iterable) is None and not isinstance(iterable, (list, tuple, np.ndarray, Tensor)):
                refuse(
                    f"zip of a tensor of unknown length with a {type(iterable).__name__}",
                    "Make a tensor of it first: ops.convert_to_tensor(list(values)).",
                )
            tensor = convert_to_tensor(iterable)
            steps = Steps(tensor, tensor.shape[0])
        made.append(steps)
    lengths = [steps.length for steps in made]
    if any(length != lengths[0] for length in lengths):
        refuse(
            f"zip over lengths {', '.join(map(str, lengths))}, of which only the model's run shows which is shortest",
            "Slice them to one length first, or give the sizes one name in Input(shape=...).",
        )
    return Steps(tuple(steps.streams for steps in made), lengths[0])


def reversed_(iterable: Any) -> Any:
    """`reversed`, of unknown lengths too."""
    steps = steps_of(iterable)
    if steps is None:
        return reversed(list(iterable)) if isinstance(iterable, Tensor) else reversed(iterable)
    return Steps(tree.map_structure(lambda x: x[::-1], steps.streams), steps.length)


class Collected:
    """What a loop of unknown length appended to a list: a tensor (or a structure of them) with an axis of steps."""

    def __init__(self, before: list[Any], steps: Any) -> None:
        self.before, self.steps = before, steps

    def stacked(self, axis: int = 0) -> Any:
        """`ops.stack` of the list."""
        if tree.is_nested(self.steps):
            refuse(
                "a list of tuples that a loop of unknown length collected cannot be stacked",
                "Append each part to a list of its own.",
            )
        whole = self.steps
        if self.before:
            whole = concatenate([stack(self.before), whole], axis=0)
        if axis == 0:
            return whole
        rank = len(whole.shape)
        place = axis % rank
        order = list(range(1, rank))
        order.insert(place, 0)
        return whole.transpose(order)

    def joined(self, axis: int = 0) -> Any:
        """`ops.concatenate` of the list."""
        rank = len(self.stacked().shape) - 1
        place = axis % rank
        whole = self.stacked(place)
        shape = whole.shape
        return reshape(whole, (*shape[:place], shape[place] * shape[place + 1], *shape[place + 2 :]))

    def total(self) -> Any:
        """`sum` of the list."""
        return reduce_sum(self.stacked(), axis=0)

    @property
    def length(self) -> Any:
        """`len` of the list."""
        return self.stacked().shape[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (slice, tuple)):
            return self.stacked()[index]
        return self.stacked()[index if isinstance(index, int) else operator.index(index)]

    def __iter__(self) -> Any:
        return iter(self.stacked())

    def append(self, value: Any) -> None:
        """Refused: one list, one loop."""
        refuse(
            "appending to a list that a loop of unknown length has already filled",
            "Stack it first, and join: ops.concatenate([ops.stack(found), value[None]]).",
        )

    extend = insert = append
