"""One stack of layers written in each of the three styles."""

from collections.abc import Callable, Sequence
from typing import Any

import sardonyx as sx

Stack = Sequence[Callable[[], Any]]


def sequential(stack: Stack, shape: tuple[Any, ...], dtype: str | None = None) -> Any:
    return sx.Sequential([sx.Input(shape, dtype=dtype), *[make() for make in stack]])


def functional(stack: Stack, shape: tuple[Any, ...], dtype: str | None = None) -> Any:
    inputs = x = sx.Input(shape, dtype=dtype)
    for make in stack:
        x = make()(x)
    return sx.Model(inputs, x)


class Stacked(sx.Model):
    """Layers in a list, called in order."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.stack = [make() for make in stack]

    def call(self, inputs: Any) -> Any:
        for layer in self.stack:
            inputs = layer(inputs)
        return inputs


def subclassed(stack: Stack, shape: tuple[Any, ...], dtype: str | None = None) -> Any:
    return Stacked(stack).trace(sx.TensorSpec((None, *shape), dtype or "float32"))


STYLES: dict[str, Callable[..., Any]] = {
    "sequential": sequential, "functional": functional, "subclassed": subclassed,
}  # fmt: skip
