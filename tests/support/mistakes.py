"""Wrong programs and what is held of them: the error, its words, the user's own line, and weights as they were."""

from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import numpy as np
from styles import STYLES

import sardonyx as sx
from sardonyx import layers as L

R = np.random.default_rng(0)
X, Y = R.normal(size=(40, 4)).astype("float32"), R.normal(size=(40, 1)).astype("float32")
IMAGES, SERIES = R.normal(size=(40, 8, 8, 3)).astype("float32"), R.normal(size=(40, 5, 4)).astype("float32")
TOKENS, LABELS = R.integers(0, 9, (40, 5)), np.arange(40) % 3
ONE_HOT = np.eye(3, dtype="float32")[LABELS]


class Nets:
    """Makes compiled models in one style, and remembers the weights they begin with."""

    def __init__(self, style: str) -> None:
        self.style = style
        self.made: list[tuple[Any, list[np.ndarray]]] = []

    def __call__(self, *layers: Any, shape: Any = (4,), dtype: Any = None, loss: Any = "mse", **options: Any) -> Any:
        model = STYLES[self.style]([lambda layer=layer: layer for layer in layers], shape, dtype)
        model.compile(options.pop("optimizer", "sgd"), loss, **options)
        self.made.append((model, model.get_weights()))
        return model

    def dense(self, units: int = 1, activation: str | None = None, **options: Any) -> Any:
        """One Dense layer."""
        return self(L.Dense(units, activation=activation), **options)

    def classes(self, loss: str = "sparse_categorical_crossentropy", **options: Any) -> Any:
        """Three classes."""
        return self.dense(3, "softmax", loss=loss, **options)

    def words(self, rows: int = 9) -> Any:
        """An embedding of five tokens."""
        return self(L.Embedding(rows, 4), L.Flatten(), L.Dense(1), shape=(5,), dtype="int32")

    def images(self, *layers: Any, shape: Any = (8, 8, 3), **options: Any) -> Any:
        """A convolution and what follows it."""
        return self(L.Conv2D(2, 3), *layers, shape=shape, **options)

    def unchanged(self) -> bool:
        """Whether every model has the weights it began with."""
        return all(
            all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
            for model, before in self.made
        )


def own_layer(call: Callable[..., Any], **layers: Any) -> Any:
    """A model of the user's own with some layers and a function for its `call`."""

    class Own(sx.Model):
        def __init__(self) -> None:
            super().__init__(name="own")
            for name, layer in layers.items():
                setattr(self, name, layer)

    Own.call = call  # type: ignore[method-assign]
    return Own()


def source_lines(function: Callable[..., Any]) -> set[int]:
    """The lines of a function and of those inside it."""
    return {line for code in _codes(function.__code__) for *_, line in code.co_lines() if line}


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def names_the_line(message: str, function: Callable[..., Any]) -> bool:
    """Whether a message names a line of the function."""
    file = function.__code__.co_filename
    return any(f'File "{file}", line {line},' in message for line in source_lines(function))
