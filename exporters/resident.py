"""Variables whose values stay in onnxruntime between runs.

Each has two buffers, of which one holds the present value: a run reads it and writes the next value into the other, so
no operator can overwrite what another has still to read. On the CPU the buffers are NumPy arrays that onnxruntime works
on directly; on a GPU they are its own. Variables beside each other are places in two buffers that they share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..trainer.core.variable import Variable, note_moves
from .runtime import device_value


class Buffers:
    """Two arrays of a device, one for the present values and one for the next.

    arrays: their memory where that is NumPy's: on the CPU
    seen: elsewhere, copies of both, made when somebody asks for a part
    """

    __slots__ = ("arrays", "device", "seen", "values")

    def __init__(self, first: np.ndarray, device: str) -> None:
        self.device = device
        arrays = [first, np.empty_like(first)]
        self.values = [device_value(array, device) for array in arrays]
        self.arrays = arrays if device == "cpu" else None
        self.seen: dict[int, np.ndarray] = {}

    def here(self, place: int) -> np.ndarray:
        """One of the arrays as a vector, to be read, or changed before `send`."""
        if self.arrays is not None:
            return self.arrays[place].reshape(-1)
        found = self.seen.get(place)
        if found is None:
            found = self.seen[place] = self.values[place].numpy().reshape(-1)
        return found

    def send(self, place: int) -> None:
        """Bring what was changed in the copy to the device."""
        if self.arrays is None:
            value = self.values[place]
            value.update_inplace(self.seen[place].reshape(value.shape()))

    def where(self, place: int, start: int, variable: Variable) -> tuple[Any, ...]:
        """Where a variable's elements lie from `start` on, as bindings are told it."""
        pointer = self.values[place].data_ptr() + start * variable.dtype.itemsize
        return self.device, 0, variable.dtype, list(variable.shape), pointer


class Resident:
    """Where in two buffers one variable has its place."""

    __slots__ = ("buffers", "device", "part", "place", "row", "stale", "variable")

    def __init__(self, variable: Variable, buffers: Buffers, start: int = 0, row: ResidentRow | None = None) -> None:
        self.variable = variable
        self.buffers = buffers
        self.device = buffers.device
        self.part = slice(start, start + variable.array.size)
        self.row = row
        self.place = 0
        self.stale = False

    def fetch(self) -> np.ndarray:
        """A copy of the present value."""
        if self.row is None and self.buffers.arrays is None:
            return self.buffers.values[self.place].numpy()
        return self.buffers.here(self.place)[self.part].reshape(self.variable.shape).copy()

    def changed(self) -> None:
        """The variable was assigned from Python."""
        self.stale = True

    def bind(self, binding: Any, name: str) -> None:
        """Let the present value be an input of a run."""
        if self.row is None:
            binding.bind_ortvalue_input(name, self.buffers.values[self.place])
        else:
            binding.bind_input(name, *self.buffers.where(self.place, self.part.start, self.variable))

    def bind_next(self, binding: Any, name: str) -> None:
        """Let an output of a run be the next value."""
        if self.row is None:
            binding.bind_ortvalue_output(name, self.buffers.values[1 - self.place])
        else:
            binding.bind_output(name, *self.buffers.where(1 - self.place, self.part.start, self.variable))


class ResidentRow:
    """Variables whose places are side by side in the same buffers, so that one operator works on all of them."""

    def __init__(self, variables: Sequence[Variable], device: str) -> None:
        for variable in variables:
            variable.settle(None)
        self.buffers = Buffers(np.concatenate([variable.array.reshape(-1) for variable in variables]), device)
        self.homes: list[Resident] = []
        start = 0
        for variable in variables:
            self.homes.append(Resident(variable, self.buffers, start, self))
            start = self.homes[-1].part.stop
            variable.settle(self.homes[-1])

    @property
    def place(self) -> int:
        """Which of the two buffers holds the present values."""
        return self.homes[0].place

    def serves(self, variables: Sequence[Variable], device: str) -> bool:
        """Whether just these variables live here, all in the same buffer."""
        homes = [variable._home for variable in variables]
        return (
            self.buffers.device == device
            and homes == self.homes
            and all(home.place == self.place for home in self.homes)
        )


def resident_row(variables: Sequence[Variable], device: str) -> ResidentRow:
    """The buffers of variables side by side, shared by all engines that want just these beside each other."""
    home = variables[0]._home
    row = home.row if isinstance(home, Resident) else None
    return row if row is not None and row.serves(variables, device) else ResidentRow(variables, device)


def resident(variable: Variable, device: str) -> Resident:
    """The buffers of a variable on a device, shared by all engines that work on it."""
    home = variable._home
    if isinstance(home, Resident) and home.device == device:
        return home
    variable.settle(None)
    home = Resident(variable, Buffers(np.array(variable.array, order="C"), device))
    variable.settle(home)
    return home


def bring_over(homes: Sequence[Resident]) -> None:
    """Bring what was assigned from Python into the buffers, each of which travels once."""
    changed: dict[tuple[int, int], Resident] = {}
    for home in homes:
        if home.stale:
            home.buffers.here(home.place)[home.part] = home.variable.array.reshape(-1)
            home.stale = False
            changed[id(home.buffers), home.place] = home
    for home in changed.values():
        home.buffers.send(home.place)
        if home.row is None:
            home.buffers.seen.clear()


def note_run(homes: Sequence[Resident]) -> None:
    """A run has written the next values."""
    for home in homes:
        home.place = 1 - home.place
        if home.buffers.seen:
            home.buffers.seen.clear()
    note_moves([home.variable for home in homes])


def release(variable: Variable) -> None:
    """Bring a variable's value back to Python and give its buffers up."""
    variable.settle(None)
