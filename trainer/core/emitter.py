"""What a primitive's lowering sees of the ONNX writer: values, and operators named by string."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from .dims import Shape, Size
from .spec import TensorSpec

if TYPE_CHECKING:
    from .graph import Graph


class Value(NamedTuple):
    """A value of the ONNX graph being written: its name and, as far as known, its spec."""

    name: str
    spec: TensorSpec

    @property
    def shape(self) -> Shape:
        """Sizes, symbolic ones included."""
        return self.spec.shape

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.spec.shape)

    @property
    def dtype(self) -> np.dtype:
        """Element type."""
        return self.spec.dtype


class Emitter(Protocol):
    """Writes ONNX nodes. `emit("Relu", x)` adds one and returns its value.

    Without `spec`, the result has the shape and dtype of the first input; pass `spec=` where it differs
    (for several outputs, `specs=`, one per output; then a tuple is returned; a spec of None is an omitted output).
    Attributes are plain Python values. An input of None is an omitted optional input.
    """

    opset: int
    on_gpu: bool
    """Whether the graph is known to run on a GPU, where other formulations are fast."""

    def __call__(
        self, operator: str, *inputs: Value | None, spec: TensorSpec | None = None, **attributes: Any
    ) -> Value:
        """One operator with one output."""
        ...

    def many(
        self, operator: str, *inputs: Value | None, specs: tuple[TensorSpec | None, ...], **attributes: Any
    ) -> tuple[Value, ...]:
        """One operator with several outputs."""
        ...

    def constant(self, array: Any, dtype: Any = None) -> Value:
        """A constant (shared when equal)."""
        ...

    def size(self, size: Size) -> Value:
        """A size as an int64 scalar; computed from shapes of values where it is symbolic."""
        ...

    def shape(self, sizes: Shape) -> Value:
        """Sizes as an int64 vector; computed from shapes of values where they are symbolic."""
        ...

    def cast(self, value: Value, dtype: Any) -> Value:
        """The value in another element type; itself when it has that type."""
        ...

    def transpose(self, value: Value, axes: tuple[int, ...]) -> Value:
        """The value with permuted axes; itself when the permutation changes nothing."""
        ...

    def reshape(self, value: Value, shape: Shape) -> Value:
        """The value in another shape; itself when it has that shape."""
        ...

    def graph(self, graph: Graph, *inputs: Value) -> tuple[Value, ...]:
        """The nodes of another graph in place, its inputs replaced by values."""
        ...

    def subgraph(self, graph: Graph, name: str) -> Any:
        """A graph as an attribute of If, Loop or Scan."""
        ...


def onnx_operator(operator: str, **fixed: Any) -> Any:
    """A lowering that is one ONNX operator with the inputs as they are and result like the first input."""

    def lower(emit: Emitter, *values: Value, **attributes: Any) -> Value:
        return emit(operator, *values, **fixed)

    return lower


__all__ = ["Emitter", "Value", "onnx_operator"]
