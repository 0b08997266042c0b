"""How an optimizer updates many variables: in place, small ones together; by `update_step` where a graph is made."""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_ as is_same
from typing import Any

import numpy as np

from .. import ops
from ..core.state import state
from ..core.tensor import Tensor
from ..core.variable import Variable
from .flat import SMALL, FlatUpdate
from .kernels import InPlace, update_in_place


class Updates:
    """The part of an optimizer that runs `update_step`, or the kernel that does the same."""

    _flat: dict[np.dtype, FlatUpdate]

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Update one variable and its state; to be written by subclasses."""
        raise NotImplementedError(f"{type(self).__name__} does not define update_step()")

    def place(self, variable: Variable) -> int:
        """Position of a variable's state."""
        raise NotImplementedError(f"{type(self).__name__} does not define place()")

    def update_all(self, gradients: list[Any], variables: list[Variable], rate: Any) -> None:
        """Update every variable: in place where there is a kernel and nobody records, else by `update_step`."""
        if state.traces or state.tapes:
            for gradient, variable in zip(gradients, variables, strict=True):
                self.update_step(gradient, variable, ops.cast(rate, variable.dtype))
            return
        if self._update_at_once(gradients, variables, rate):
            return
        kernels: dict[Any, InPlace | None] = {}
        small: dict[Any, list[tuple[np.ndarray, Variable]]] = {}
        for gradient, variable in zip(gradients, variables, strict=True):
            kind = variable.dtype
            if kind not in kernels:
                kernels[kind] = self.kernel(ops.cast(rate, kind)) if kind.kind == "f" else None
            kernel = kernels[kind]
            array = gradient.array if type(gradient) is Tensor else None
            if kernel is not None and (array is None or array.dtype != kind):
                array = ops.convert_to_tensor(gradient, dtype=kind).array
            if kernel is None or array is None or array.shape != variable.shape:
                self.update_step(gradient, variable, ops.cast(rate, kind))
            elif array.size <= SMALL:
                small.setdefault(kind, []).append((array, variable))
            else:
                update_in_place(kernel, array, variable, self.place(variable))
        for kind, pairs in small.items():
            kernel = kernels[kind]
            if kernel is not None:
                self._update_small(kernel, pairs)

    def _update_at_once(self, gradients: list[Any], variables: list[Variable], rate: Any) -> bool:
        """Update small variables of one dtype that were updated together before, without a look at each."""
        flat = self._flat.get(variables[0].dtype)
        own = () if flat is None else flat.rows[0].variables
        if flat is None or len(own) != len(variables) or not all(map(is_same, own, variables)):
            return False
        arrays: list[Any] = [gradient.array if type(gradient) is Tensor else None for gradient in gradients]
        for array, part in zip(arrays, flat.parts, strict=True):
            if array is not part and (array is None or array.shape != part.shape or array.dtype != part.dtype):
                return False
        kernel = self.kernel(rate if rate.dtype == flat.gradient.dtype else ops.cast(rate, flat.gradient.dtype))
        if kernel is None or len(flat.rows) != len(kernel.state) + 1:
            return False
        flat.run(arrays, kernel)
        return True

    def gradient_memory(self, variables: Sequence[Variable]) -> list[np.ndarray | None]:
        """For each variable, an array in which its next gradient is best computed; None where any will do."""
        known: dict[Variable, np.ndarray] = {}
        for flat in self._flat.values():
            known.update(zip(flat.rows[0].variables, flat.parts, strict=True))
        return [known.get(v) for v in variables]

    def _update_small(self, kernel: InPlace, pairs: list[tuple[np.ndarray, Variable]]) -> None:
        """Update variables of one dtype in one go; the memory is made anew when they are not those of the last time."""
        variables = [v for _, v in pairs]
        flat = self._flat.get(variables[0].dtype)
        if flat is None or not flat.fits(variables, len(kernel.state)):
            if len(set(variables)) < len(variables):  # one variable twice: one update after the other
                for gradient, variable in pairs:
                    update_in_place(kernel, gradient, variable, self.place(variable))
                return
            states = [[row[self.place(v)] for v in variables] for row in kernel.state]
            flat = self._flat[variables[0].dtype] = FlatUpdate(variables, states)
        flat.run([g for g, _ in pairs], kernel)

    def kernel(self, rate: Tensor) -> InPlace | None:
        """`update_step` as an update in place for variables of the rate's dtype; None where there is none."""
        return None
