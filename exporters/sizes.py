"""Where the value of a symbolic size can be read when the model runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..trainer.core.dims import Dim, evaluate, names
from ..trainer.core.emitter import Value
from ..trainer.core.spec import TensorSpec

if TYPE_CHECKING:
    from .writer import Writer

INT64 = np.dtype(np.int64)


class SizeSources:
    """For each named size, a value and an axis whose size is `factor * name + offset`."""

    def __init__(self, parent: SizeSources | None = None) -> None:
        self.parent = parent
        self.found: dict[str, tuple[Value, int, int, int]] = {}

    def known(self) -> set[str]:
        """All names that can be read."""
        return set(self.found) | (self.parent.known() if self.parent else set())

    def add(self, value: Value) -> None:
        """Learn which sizes a value's shape gives; the plainest source wins."""
        for axis, size in enumerate(value.shape):
            if not isinstance(size, Dim) or len(names(size)) != 1:
                continue
            (name,) = names(size)
            at = [evaluate(size, {name: n}) for n in (0, 1, 2, 3)]
            factor, offset = at[1] - at[0], at[0]
            if factor == 0 or at[2] - at[1] != factor or at[3] - at[2] != factor:
                continue
            if name not in self.found or (factor == 1 and offset == 0 and self.found[name][2:] != (1, 0)):
                self.found[name] = (value, axis, factor, offset)

    def emit(self, writer: Writer, name: str) -> Value:
        """Write the nodes that read a size: an int64 vector of one element."""
        if name not in self.found:
            if self.parent is None:
                raise ValueError(f"export: the size '{name}' cannot be read from any input of the model")
            return self.parent.emit(writer, name)
        value, axis, factor, offset = self.found[name]
        size = writer("Shape", value, start=axis, end=axis + 1, spec=TensorSpec((1,), INT64))
        if offset:
            size = writer("Sub", size, writer.constant([offset], INT64))
        return writer("Div", size, writer.constant([factor], INT64)) if factor != 1 else size
