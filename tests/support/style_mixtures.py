"""One network in every style, and in mixtures of styles: an encoder inside, dropout, a head."""

from __future__ import annotations

from typing import Any

import sardonyx as sx
from sardonyx import layers as L

WIDTH = 8


def _encoder_layers() -> list[Any]:
    return [L.Dense(6, activation="relu", name="hidden"), L.BatchNormalization(name="norm")]


def _outer_layers() -> list[Any]:
    return [L.Dropout(0.4, seed=5, name="drop"), L.Dense(3, activation="softmax", name="head")]


class Encoder(sx.Model):
    """The encoder as a class, its layers in a list."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)
        self.stack = _encoder_layers()

    def call(self, features: Any) -> Any:
        for layer in self.stack:
            features = layer(features)
        return features


class EncoderLayer(L.Layer):
    """The encoder as a layer of the user's own, its layers in attributes."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)
        self.hidden, self.norm = _encoder_layers()

    def call(self, features: Any, training: bool | None = None) -> Any:
        return self.norm(self.hidden(features), training=training)


class Network(sx.Model):
    """The network as a class, around an encoder of any style."""

    def __init__(self, encoder: Any, name: str | None = None) -> None:
        super().__init__(name=name)
        self.encoder = encoder
        self.drop, self.head = _outer_layers()

    def call(self, features: Any, training: bool | None = None) -> Any:
        h = self.encoder(features, training=training)
        h = self.drop(h, training=True) if training else self.drop(h)
        return self.head(h)


def sequential_encoder() -> Any:
    """A stack."""
    return sx.Sequential([sx.Input((WIDTH,), name="features"), *_encoder_layers()], name="encoder")


def functional_encoder() -> Any:
    """A graph."""
    features = x = sx.Input((WIDTH,), name="features")
    for layer in _encoder_layers():
        x = layer(x)
    return sx.Model(features, x, name="encoder")


def in_sequential(encoder: Any) -> Any:
    """The network as a stack."""
    return sx.Sequential([sx.Input((WIDTH,), name="features"), encoder, *_outer_layers()], name="network")


def in_functional(encoder: Any) -> Any:
    """The network as a graph."""
    features = sx.Input((WIDTH,), name="features")
    x = encoder(features)
    for layer in _outer_layers():
        x = layer(x)
    return sx.Model(features, x, name="network")


def in_subclass(encoder: Any) -> Any:
    """The network as a class, built."""
    model = Network(encoder, name="network")
    model.build((None, WIDTH))
    return model


STYLES: dict[str, Any] = {
    "sequential": lambda: in_sequential(sequential_encoder()),
    "functional": lambda: in_functional(functional_encoder()),
    "subclassed": lambda: in_subclass(Encoder(name="encoder")),
    "subclassed around a layer": lambda: in_subclass(EncoderLayer(name="encoder")),
    "subclassed around functional": lambda: in_subclass(functional_encoder()),
    "subclassed around sequential": lambda: in_subclass(sequential_encoder()),
    "functional around subclassed": lambda: in_functional(Encoder(name="encoder")),
    "functional around a layer": lambda: in_functional(EncoderLayer(name="encoder")),
    "functional around sequential": lambda: in_functional(sequential_encoder()),
    "sequential around subclassed": lambda: in_sequential(Encoder(name="encoder")),
    "sequential around functional": lambda: in_sequential(functional_encoder()),
}
