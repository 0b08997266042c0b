"""The networks of the benchmark, each written once for sardonyx and Keras, and for PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Case(NamedTuple):
    """One network, written for `k` (sardonyx or Keras) and for PyTorch, its data, and how it is trained."""

    ours: Callable[[Any], Any]
    theirs: Callable[[], nn.Module]
    shape: tuple[int, ...]
    classes: int
    batch: int
    batches: int
    vocabulary: int = 0


# -- dense ---------------------------------------------------------------------------------------------------------


def dense(*widths: int) -> tuple[Callable[[Any], Any], Callable[[], nn.Module]]:
    """A network of dense layers, relu between them."""

    def ours(k: Any) -> Any:
        hidden = [k.layers.Dense(width, activation="relu") for width in widths[1:-1]]
        return k.Sequential([k.Input((widths[0],)), *hidden, k.layers.Dense(widths[-1])])

    def theirs() -> nn.Module:
        parts = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
        return nn.Sequential(*parts[:-1])

    return ours, theirs


# -- images --------------------------------------------------------------------------------------------------------


class ChannelsLastFlatten(nn.Module):
    """Flatten in the order of channels-last images, so that both libraries have the same dense weights."""

    def forward(self, x: Any) -> Any:
        return x.permute(0, 2, 3, 1).flatten(1)


def our_images(k: Any) -> Any:
    """conv32-conv64-pool-dense128 on images of 28 x 28."""
    convolutions = [k.layers.Conv2D(filters, 3, activation="relu") for filters in (32, 64)]
    head = [k.layers.MaxPooling2D(2), k.layers.Flatten(), k.layers.Dense(128, activation="relu"), k.layers.Dense(10)]
    return k.Sequential([k.Input((28, 28, 1)), *convolutions, *head])


def their_images() -> nn.Module:
    """The same network in PyTorch."""
    convolutions = nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)
    return nn.Sequential(*convolutions, ChannelsLastFlatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10))


def our_resnet(k: Any) -> Any:
    """Four residual blocks of width 32 on images of 32 x 32."""
    inputs = k.Input((32, 32, 3))
    x = k.layers.ReLU()(
        k.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(
            k.layers.Conv2D(32, 3, padding="same", use_bias=False)(inputs)
        )
    )
    for _ in range(4):
        y = k.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(
            k.layers.Conv2D(32, 3, padding="same", use_bias=False)(x)
        )
        y = k.layers.Conv2D(32, 3, padding="same", use_bias=False)(k.layers.ReLU()(y))
        x = k.layers.ReLU()(k.layers.Add()([x, k.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(y)]))
    return k.Model(inputs, k.layers.Dense(10)(k.layers.GlobalAveragePooling2D()(x)))


class Residual(nn.Module):
    """A residual block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.last_norm = nn.BatchNorm2d(width)

    def forward(self, x: Any) -> Any:
        y = functional.relu(self.norm(self.first(x)))
        return functional.relu(x + self.last_norm(self.second(y)))


class Average(nn.Module):
    """Global average pooling."""

    def forward(self, x: Any) -> Any:
        return x.mean((2, 3))


def their_resnet() -> nn.Module:
    """The same network in PyTorch."""
    stem = nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()
    return nn.Sequential(*stem, *[Residual(32) for _ in range(4)], Average(), nn.Linear(32, 10))


MOBILE = ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1))


def our_mobile(k: Any) -> Any:
    """A stack of depthwise and pointwise convolutions on images of 32 x 32."""
    x = inputs = k.Input((32, 32, 3))
    x = k.layers.ReLU()(
        k.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(
            k.layers.Conv2D(32, 3, padding="same", use_bias=False)(x)
        )
    )
    for width, stride in MOBILE:
        if stride == 2:
            x = k.layers.ZeroPadding2D(1)(x)
        x = k.layers.DepthwiseConv2D(3, stride, padding="same" if stride == 1 else "valid", use_bias=False)(x)
        x = k.layers.ReLU()(k.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x))
        x = k.layers.ReLU()(
            k.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(k.layers.Conv2D(width, 1, use_bias=False)(x))
        )
    return k.Model(inputs, k.layers.Dense(10)(k.layers.GlobalAveragePooling2D()(x)))


def their_mobile() -> nn.Module:
    """The same network in PyTorch."""
    parts: list[nn.Module] = [nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()]
    before = 32
    for width, stride in MOBILE:
        parts += [nn.Conv2d(before, before, 3, stride, 1, groups=before, bias=False), nn.BatchNorm2d(before), nn.ReLU()]
        parts += [nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        before = width
    return nn.Sequential(*parts, Average(), nn.Linear(before, 10))


# -- sequences -----------------------------------------------------------------------------------------------------


def our_transformer(k: Any) -> Any:
    """One block of width 128 with 4 heads on 64 tokens, pre-norm."""
    tokens = k.Input((64,), dtype="int32")
    x = k.layers.Embedding(1000, 128)(tokens)
    h = k.layers.LayerNormalization(epsilon=1e-5)(x)
    x = x + k.layers.MultiHeadAttention(4, 32)(h, h)
    h = k.layers.Dense(512, activation=lambda v: k.ops.gelu(v, approximate=False))(
        k.layers.LayerNormalization(epsilon=1e-5)(x)
    )
    x = x + k.layers.Dense(128)(h)
    return k.Model(tokens, k.layers.Dense(10)(k.layers.GlobalAveragePooling1D()(x)))


class Block(nn.Module):
    """The same network in PyTorch, attention by its fused function."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1000, 128)
        self.norm = nn.LayerNorm(128)
        self.query, self.key, self.value, self.out = (nn.Linear(128, 128) for _ in range(4))
        self.last_norm = nn.LayerNorm(128)
        self.wide, self.narrow, self.head = nn.Linear(128, 512), nn.Linear(512, 128), nn.Linear(128, 10)

    def forward(self, tokens: Any) -> Any:
        x = self.embedding(tokens)
        h = self.norm(x)
        q, k, v = (layer(h).unflatten(-1, (4, 32)).transpose(1, 2) for layer in (self.query, self.key, self.value))
        a = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.out(a)
        x = x + self.narrow(functional.gelu(self.wide(self.last_norm(x))))
        return self.head(x.mean(1))


def recurrent(kind: str) -> tuple[Callable[[Any], Any], Callable[[], nn.Module]]:
    """One recurrent layer of 64 units over 50 steps of 32 numbers."""

    def ours(k: Any) -> Any:
        layer = k.layers.LSTM(64) if kind == "lstm" else k.layers.GRU(64)
        return k.Sequential([k.Input((50, 32)), layer, k.layers.Dense(10)])

    class Theirs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = (nn.LSTM if kind == "lstm" else nn.GRU)(32, 64, batch_first=True)
            if kind == "lstm":  # ours has one bias
                nn.init.zeros_(self.layer.bias_hh_l0).requires_grad_(False)
            self.head = nn.Linear(64, 10)

        def forward(self, x: Any) -> Any:
            return self.head(self.layer(x)[0][:, -1])

    return ours, Theirs


CASES = {
    "tiny": Case(*dense(20, 64, 64, 3), (20,), 3, 32, 60),
    "mlp": Case(*dense(784, 512, 256, 10), (784,), 10, 128, 10),
    "cnn": Case(our_images, their_images, (28, 28, 1), 10, 64, 4),
    "resnet": Case(our_resnet, their_resnet, (32, 32, 3), 10, 32, 3),
    "mobile": Case(our_mobile, their_mobile, (32, 32, 3), 10, 32, 4),
    "transformer": Case(our_transformer, Block, (64,), 10, 32, 4, 1000),
    "lstm": Case(*recurrent("lstm"), (50, 32), 10, 32, 8),
    "gru": Case(*recurrent("gru"), (50, 32), 10, 32, 8),
}


def data(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Random samples and labels, a whole number of batches."""
    generator = np.random.default_rng(0)
    shape = (case.batch * case.batches, *case.shape)
    if case.vocabulary:
        x = generator.integers(0, case.vocabulary, shape).astype(np.int32)
    else:
        x = generator.standard_normal(shape, dtype=np.float32)
    return x, generator.integers(0, case.classes, shape[0])


def their_data(x: np.ndarray) -> torch.Tensor:
    """Samples as PyTorch has them: images with channels first."""
    return torch.tensor(np.ascontiguousarray(np.moveaxis(x, -1, 1)) if x.ndim == 4 else x)
