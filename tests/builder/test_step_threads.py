"""Training on NumPy ends with the same bits for any number of threads, as Python's steps and as flat ones."""

import threading
from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.trainer import flat_large
from sardonyx.trainer.ops import parallel

layers = sx.layers


def dense() -> Any:
    return sx.Sequential([
        sx.Input((70,)), layers.Dense(300, activation="relu"), layers.Dense(130, activation="gelu"), layers.Dense(3),
    ])  # fmt: skip


def images() -> Any:
    return sx.Sequential([
        sx.Input((12, 12, 3)), layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.Conv2D(16, 3, padding="same", use_bias=False), layers.BatchNormalization(), layers.ReLU(),
        layers.MaxPooling2D(2), layers.DepthwiseConv2D(3), layers.Flatten(), layers.Dense(3),
    ])  # fmt: skip


def tokens() -> Any:
    inputs = sx.Input((14,), dtype="int32")
    x = layers.Embedding(20, 32)(inputs)
    x = x + layers.MultiHeadAttention(2, 16)(layers.LayerNormalization()(x), x)
    return sx.Model(inputs, layers.Dense(3)(layers.GRU(12)(x)))


draw = np.random.default_rng(5)
MODELS = {
    "dense": (dense, draw.standard_normal((96, 70), np.float32)),
    "images": (images, draw.standard_normal((48, 12, 12, 3), np.float32)),
    "tokens": (tokens, draw.integers(0, 20, (48, 14)).astype(np.int32)),
}


@pytest.fixture(autouse=True)
def restored():
    yield
    sx.config.set_threads(None)


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_weights_do_not_depend_on_threads(name: str, eagerly: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parallel, "SHARE", 1e-9)
    monkeypatch.setattr(flat_large, "SHARE", 1e-9)
    make, x = MODELS[name]
    y = np.arange(len(x)) % 3
    found = []
    for threads in (1, 2, 3):
        sx.config.set_threads(threads)
        sx.utils.set_random_seed(2)
        model = make()
        loss = sx.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, jit_compile=False, run_eagerly=eagerly)
        losses = model.fit(x, y, batch_size=24, epochs=4 if eagerly else 14, verbose=0).history["loss"]
        found.append([np.asarray(losses), *model.get_weights()])
        assert threading.active_count() == 1
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(b, a)
