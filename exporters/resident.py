"""Variables whose values stay in onnxruntime between runs.

Each has two buffers, of which one holds the present value: a run reads it and writes the next value into the other, so
no operator can overwrite what another has still to read. On the CPU the buffers are NumPy arrays that onnxruntime works
on directly; on a GPU they are its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..trainer.core.variable import Variable
from .runtime import device_value


class Resident:
    """One variable's two buffers."""

    __slots__ = ("arrays", "device", "place", "row", "stale", "values", "variable")

    def __init__(
        self, variable: Variable, device: str, arrays: list[np.ndarray] | None = None, row: ResidentRow | None = None
    ) -> None:
        self.variable = variable
        self.device = device
        self.row = row
        first = np.array(variable.array, order="C") if arrays is None else arrays[0]
        self.arrays = [first, np.empty_like(first)] if arrays is None else arrays
        self.values = [device_value(array, device) for array in self.arrays]
        self.place = 0
        self.stale = False

    def fetch(self) -> np.ndarray:
        """A copy of the present value."""
        return self.arrays[self.place].copy() if self.device == "cpu" else self.values[self.place].numpy()

    def changed(self) -> None:
        """The variable was assigned from Python."""
        self.stale = True

    def take_over(self) -> None:
        """Bring what was assigned from Python into the buffer."""
        value = np.ascontiguousarray(self.variable.array)
        if self.device == "cpu":
            np.copyto(self.arrays[self.place], value)
        else:
            self.values[self.place].update_inplace(value)
        self.stale = False

    def moved(self) -> None:
        """A run has written the next value."""
        self.place = 1 - self.place
        self.variable.moved()


class ResidentRow:
    """Variables on the CPU whose buffers lie side by side, so that one operator works on all of them."""

    def __init__(self, variables: Sequence[Variable]) -> None:
        for variable in variables:
            variable.settle(None)
        first = np.concatenate([variable.array.reshape(-1) for variable in variables])
        self.arrays = [first, np.empty_like(first)]
        self.values = [device_value(array, "cpu") for array in self.arrays]
        self.homes: list[Resident] = []
        end = 0
        for variable in variables:
            start, end = end, end + variable.array.size
            parts = [array[start:end].reshape(variable.shape) for array in self.arrays]
            self.homes.append(Resident(variable, "cpu", parts, self))
            variable.settle(self.homes[-1])

    @property
    def place(self) -> int:
        """Which of the two buffers holds the present values."""
        return self.homes[0].place

    def serves(self, variables: Sequence[Variable]) -> bool:
        """Whether just these variables live here, all in the same buffer."""
        homes = [variable._home for variable in variables]
        return homes == self.homes and all(home.place == self.place for home in self.homes)


def resident_row(variables: Sequence[Variable]) -> ResidentRow:
    """The buffers of variables side by side, shared by all engines that want just these beside each other."""
    home = variables[0]._home
    row = home.row if isinstance(home, Resident) else None
    return row if row is not None and row.serves(variables) else ResidentRow(variables)


def resident(variable: Variable, device: str) -> Resident:
    """The buffers of a variable on a device, shared by all engines that work on it."""
    home = variable._home
    if isinstance(home, Resident) and home.device == device:
        return home
    variable.settle(None)
    home = Resident(variable, device)
    variable.settle(home)
    return home


def release(variable: Variable) -> None:
    """Bring a variable's value back to Python and give its buffers up."""
    variable.settle(None)
