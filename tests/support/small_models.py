"""Small models in every style, for tests of what holds for all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

import sardonyx as sx
from sardonyx.builder import layers
from sardonyx.builder.functional import Functional
from sardonyx.builder.model import Model
from sardonyx.builder.sequential import Sequential
from sardonyx.trainer import ops


def sequential() -> Any:
    """Convolution, statistics, dropout: all kinds of state."""
    return Sequential(
        [
            layers.Input((6, 6, 1)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(4),
        ]
    )


def functional() -> Any:
    """The same with an operation between layers and a nested model."""
    x = layers.Input((6, 6, 1), name="image")
    h = layers.BatchNormalization()(layers.Conv2D(3, 3, activation="relu")(x))
    h = layers.Dropout(0.3)(layers.Flatten()(h * 1.5))
    head = Sequential([layers.Input((48,)), layers.Dense(5, activation="tanh"), layers.Dropout(0.2), layers.Dense(4)])
    return Functional(x, head(h))


class Net(Model):
    """The same as a class, with an argument."""

    def __init__(self, width: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.convolve = layers.Conv2D(width, 3, activation="relu")
        self.normalize = layers.BatchNormalization()
        self.rest = [layers.Flatten(), layers.Dropout(0.3), layers.Dense(4)]

    def call(self, x: Any) -> Any:
        x = ops.multiply(self.normalize(self.convolve(x)), 1.5)
        for layer in self.rest:
            x = layer(x)
        return x


def subclassed() -> Any:
    """A built `Net`."""
    model = Net(width=2)
    model.build((None, 6, 6, 1))
    return model


STYLES = {"sequential": sequential, "functional": functional, "subclassed": subclassed}


def data(count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Images and classes."""
    generator = np.random.default_rng(0)
    return generator.normal(size=(count, 6, 6, 1)).astype("float32"), generator.integers(0, 4, count)


def outputs(model: Any, *inputs: Any) -> list[np.ndarray]:
    """Results in inference mode, flat."""
    return [np.asarray(x) for x in sx.tree.flatten(model(*inputs, training=False))]


def share_values(source: Any, target: Any) -> None:
    """Give a model the values of another of the same structure."""
    for a, b in zip(source.variables, target.variables, strict=True):
        b.assign(a.numpy())
