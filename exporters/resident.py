"""Variables whose values stay in onnxruntime between runs.

Each has two buffers, of which one holds the present value: a run reads it and writes the next value into the other, so
no operator can overwrite what another has still to read. On the CPU the buffers are NumPy arrays that onnxruntime works
on directly; on a GPU they are its own.
"""

from __future__ import annotations

import numpy as np

from ..trainer.core.variable import Variable
from .runtime import device_value


class Resident:
    """One variable's two buffers."""

    __slots__ = ("arrays", "device", "place", "stale", "values", "variable")

    def __init__(self, variable: Variable, device: str) -> None:
        self.variable = variable
        self.device = device
        first = np.array(variable.array, order="C")
        self.arrays = [first, np.empty_like(first)]
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
