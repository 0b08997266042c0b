"""Small networks of many kinds, and data for them: what flat steps must compute to the last bit as Python does."""

from collections.abc import Callable
from typing import Any

import numpy as np

import sardonyx as sx

L = sx.layers
COUNT = 24
random = np.random.default_rng(0)
X = random.standard_normal((COUNT, 4)).astype("float32")
Y = random.integers(0, 3, COUNT)
IMAGES = random.standard_normal((COUNT, 10, 10, 3)).astype("float32")
LARGE = random.standard_normal((COUNT, 20, 20, 3)).astype("float32")
TOKENS = random.integers(0, 11, (COUNT, 7))
SERIES = random.standard_normal((COUNT, 6, 4)).astype("float32")


def dense() -> Any:
    return sx.Sequential([sx.Input((4,)), L.Dense(16, activation="relu"), L.Dense(16, activation="tanh"), L.Dense(3)])


def mixed() -> Any:
    return sx.Sequential([
        sx.Input((4,)), L.Dense(6, activation="gelu", kernel_regularizer="l2"), L.Dropout(0.3, seed=1),
        L.BatchNormalization(), L.Dense(5, activation="softmax", activity_regularizer="l1"), L.LayerNormalization(),
        L.Dense(3),
    ])  # fmt: skip


def images() -> Any:
    return sx.Sequential([
        sx.Input((10, 10, 3)), L.Conv2D(4, 3, activation="relu"), L.BatchNormalization(), L.MaxPooling2D(2),
        L.Conv2D(5, 3, strides=2, padding="same"), L.Flatten(), L.Dense(3),
    ])  # fmt: skip


def tokens() -> Any:
    x = sx.Input((7,), dtype="int64")
    h = L.Embedding(11, 8)(x)
    h = L.Add()([h, L.MultiHeadAttention(2, 4)(h, h)])
    return sx.Model(x, L.Dense(3)(L.GlobalAveragePooling1D()(h)))


def series() -> Any:
    return sx.Sequential([sx.Input((6, 4)), L.LSTM(5, return_sequences=True), L.GRU(4), L.Dense(3)])


def pooled_images() -> Any:
    return sx.Sequential([
        sx.Input((20, 20, 3)), L.Conv2D(16, 3, activation="relu"), L.MaxPooling2D(2),
        L.Conv2D(16, 3, activation="relu", use_bias=False), L.MaxPooling2D(2), L.Conv2D(20, 3, padding="same"),
        L.Flatten(), L.Dense(9, activation="relu"), L.Dense(3),
    ])  # fmt: skip


def depthwise() -> Any:
    return sx.Sequential([
        sx.Input((20, 20, 3)), L.SeparableConv2D(16, 3, padding="same"), L.BatchNormalization(), L.ReLU(),
        L.DepthwiseConv2D(3, strides=2, padding="same"), L.Activation("relu6"), L.Conv2D(8, 1),
        L.GlobalAveragePooling2D(), L.Dense(3),
    ])  # fmt: skip


def residual() -> Any:
    x = sx.Input((20, 20, 3))
    h = L.ReLU()(L.BatchNormalization()(L.Conv2D(16, 3, padding="same", use_bias=False)(x)))
    g = L.ReLU()(L.BatchNormalization()(L.Conv2D(16, 3, padding="same", use_bias=False)(h)))
    h = L.ReLU()(L.Add()([h, L.BatchNormalization()(L.Conv2D(16, 3, padding="same")(g))]))
    return sx.Model(x, L.Dense(3)(L.GlobalAveragePooling2D()(h)))


def transformer() -> Any:
    x = sx.Input((7,), dtype="int64")
    h = L.Embedding(11, 16)(x)
    for _ in range(2):
        h = L.LayerNormalization()(L.Add()([h, L.MultiHeadAttention(2, 8)(h, h, use_causal_mask=True)]))
        g = L.Dropout(0.1, seed=4)(L.Dense(16)(L.Dense(32, activation="gelu")(h)))
        h = L.LayerNormalization()(L.Add()([h, g]))
    return sx.Model(x, L.Dense(3)(L.GlobalAveragePooling1D()(h)))


def masked() -> Any:
    return sx.Sequential([
        sx.Input((7,), dtype="int64"), L.Embedding(11, 8, mask_zero=True), L.Bidirectional(L.LSTM(8)), L.Dense(3),
    ])  # fmt: skip


def waves() -> Any:
    return sx.Sequential([
        sx.Input((6, 4)), L.Conv1D(8, 3, activation="relu", padding="causal"), L.MaxPooling1D(2),
        L.Conv1DTranspose(4, 3), L.GroupNormalization(2), L.Flatten(), L.Dense(3, activation="elu"),
    ])  # fmt: skip


def shared() -> Any:
    x = sx.Input((4,))
    layer = L.Dense(4, activation="relu")
    h = layer(layer(x))
    return sx.Model(x, L.Dense(3)(L.Concatenate()([h, layer(h)])))


NETWORKS: dict[str, tuple[Callable[[], Any], np.ndarray]] = {
    "dense": (dense, X), "mixed": (mixed, X), "images": (images, IMAGES), "tokens": (tokens, TOKENS),
    "series": (series, SERIES), "pooled images": (pooled_images, LARGE), "depthwise": (depthwise, LARGE),
    "residual": (residual, LARGE), "transformer": (transformer, TOKENS), "masked": (masked, TOKENS),
    "waves": (waves, SERIES), "shared": (shared, X),
    "matrices": (lambda: sx.Sequential([sx.Input((6, 4)), L.Dense(5, "relu"), L.Flatten(), L.Dense(3)]), SERIES),
}  # fmt: skip
