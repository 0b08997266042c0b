"""Small variables and their state side by side in memory, so that one call of a kernel updates them all.

A variable's array is then a view of the memory of its row. Whoever holds a value, as a tensor, an array or a view of
it, keeps the memory it lies in: the row moves to new memory before the next update.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import getrefcount

import numpy as np

from ..core.variable import Variable, note_changes, outside_of
from ..ops.blocks import BLOCK
from .kernels import InPlace, run_in_blocks

SMALL = BLOCK
"""Elements up to which a variable is put beside others: above, its own work outweighs that of a call."""


class Row:
    """Variables of one dtype whose values lie in one array, in order."""

    def __init__(self, variables: Sequence[Variable]) -> None:
        self.variables = list(variables)
        self.memory = np.empty(0, variables[0].dtype)

    def writable(self) -> np.ndarray:
        """The memory with the values of the moment, seen by nobody but the variables."""
        outside = outside_of(self.memory, self.variables)
        # the attribute, the argument, and a view for each variable; see `Variable.writable`
        is_shared = getrefcount(self.memory) != 2 + len(self.variables) - len(outside)
        if is_shared or outside:
            self._gather(range(len(self.variables)) if is_shared else outside, is_shared)
        return self.memory

    def _gather(self, places: Sequence[int], is_shared: bool) -> None:
        """Bring the values of some variables, or all in new memory."""
        sizes = [v.array.size for v in self.variables]
        ends = np.cumsum(sizes)
        if is_shared or not self.memory.size:
            self.memory, places = np.empty(ends[-1], self.memory.dtype), range(len(sizes))
        for i in places:
            variable = self.variables[i]
            view = self.memory[ends[i] - sizes[i] : ends[i]].reshape(variable.shape)
            view[...] = variable.array
            variable.renew(view)


class FlatUpdate:
    """Updates of the same variables, time after time."""

    def __init__(self, variables: Sequence[Variable], states: Sequence[Sequence[Variable]]) -> None:
        self.rows = [Row(variables), *[Row(state) for state in states]]
        self._lay_out()

    def __getstate__(self) -> list[Row]:
        return self.rows

    def __setstate__(self, rows: list[Row]) -> None:
        """A copy has gradients of its own, whose pieces lie in one array as well."""
        self.rows = rows
        self._lay_out()

    def _lay_out(self) -> None:
        variables = self.rows[0].variables
        self.gradient = np.empty(sum(v.array.size for v in variables), variables[0].dtype)
        pieces = np.split(self.gradient, np.cumsum([v.array.size for v in variables])[:-1])
        self.parts = [piece.reshape(v.shape) for piece, v in zip(pieces, variables, strict=True)]
        """For each variable, where its gradient is to lie; whoever writes it there saves a copy."""

    def fits(self, variables: Sequence[Variable], states: int) -> bool:
        """Whether it was made for just these variables."""
        own = self.rows[0].variables
        return len(self.rows) == states + 1 and len(own) == len(variables) and all(map(_is, own, variables))

    def run(self, gradients: Sequence[np.ndarray], update: InPlace) -> None:
        """Update all of them in place."""
        for gradient, part in zip(gradients, self.parts, strict=True):
            if gradient is not part:
                part[...] = gradient
        run_in_blocks(update.kernel, [self.gradient, *[row.writable() for row in self.rows]], update.numbers)
        for row in self.rows:
            note_changes(row.variables)


def _is(first: object, second: object) -> bool:
    return first is second
