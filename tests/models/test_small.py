"""The small networks learn, say the same in onnxruntime, and refuse what they cannot be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import sardonyx as sx

RNG = np.random.default_rng(0)


def stripes(size: int, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Images with a bright row or a bright column, and which it is."""
    y = RNG.integers(0, 2, 64)
    x = RNG.normal(0, 0.1, (64, size, size, channels)).astype(np.float32)
    for image, kind, place in zip(x, y, RNG.integers(0, size, 64), strict=True):
        (image if kind else image.transpose(1, 0, 2))[place] += 1
    return x, y


def blobs() -> tuple[np.ndarray, np.ndarray]:
    x = RNG.normal(0, 0.3, (32, 16, 16, 1)).astype(np.float32)
    y = np.zeros_like(x)
    for i, (row, column) in enumerate(RNG.integers(0, 10, (32, 2))):
        y[i, row : row + 6, column : column + 6] = 1
    return x + y, y


def texts() -> tuple[np.ndarray, np.ndarray]:
    y = RNG.integers(0, 2, 64)
    x = RNG.integers(3, 20, (64, 10)).astype(np.int32)
    x[np.arange(64), RNG.integers(0, 6, 64)] = 1 + y
    x[:, 7:] *= RNG.integers(0, 2, (64, 1))
    return x, y


def series() -> tuple[np.ndarray, np.ndarray]:
    x = RNG.normal(size=(32, 20, 1)).astype(np.float32)
    y = np.zeros_like(x)
    y[:, 3:] = x[:, :-3]
    return x, y


CASES: list[tuple[str, Callable[[], Any], Callable[[], Any], str]] = [
    ("LeNet", lambda: sx.models.LeNet((16, 16, 1), 2), lambda: stripes(16), "sparse_categorical_crossentropy"),
    (
        "VisionTransformer",
        lambda: sx.models.VisionTransformer((16, 16, 1), 2, width=16, depth=2),
        lambda: stripes(16),
        "sparse_categorical_crossentropy",
    ),
    (
        "VisionTransformer-token",
        lambda: sx.models.VisionTransformer((16, 16, 1), 2, width=16, depth=2, pooling="token"),
        lambda: stripes(16),
        "sparse_categorical_crossentropy",
    ),
    ("UNet", lambda: sx.models.UNet((16, 16, 1), width=4, depth=2), blobs, "binary_crossentropy"),
    (
        "TextTransformer",
        lambda: sx.models.TextTransformer(20, 2, length=10, width=16, dropout=0.0),
        texts,
        "sparse_categorical_crossentropy",
    ),
    ("TemporalConvNet", lambda: sx.models.TemporalConvNet(1, filters=8, depth=2), series, "mse"),
]


@pytest.mark.parametrize(("build", "data", "loss"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_learns_and_exports(build: Any, data: Any, loss: str, tmp_path: Path):
    model, (x, y) = build(), data()
    model.compile(sx.optimizers.Adam(0.01), loss)
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=12, batch_size=16, verbose=0)
    assert model.evaluate(x, y, verbose=0) < 0.6 * before
    model.export(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (actual,) = session.run(None, {session.get_inputs()[0].name: x[:5]})
    np.testing.assert_allclose(actual, model.predict(x[:5], verbose=0), rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "saved.onnx")
    twin = sx.models.load_model(tmp_path / "saved.onnx")
    np.testing.assert_allclose(twin.predict(x[:5], verbose=0), actual, rtol=1e-4, atol=1e-5)


def test_a_forecast_sees_the_past_alone():
    model = sx.models.TemporalConvNet(1, filters=4)
    x, _ = series()
    later = x.copy()
    later[:, 12:] += 1
    a, b = model.predict(x, verbose=0), model.predict(later, verbose=0)
    np.testing.assert_allclose(a[:, :12], b[:, :12], atol=1e-6)
    assert np.abs(a[:, 12:] - b[:, 12:]).max() > 1e-3


def test_no_token_changes_nothing():
    model = sx.models.TextTransformer(20, 3, length=10)
    short = np.array([[4, 7, 9]], np.int32)
    padded = np.array([[4, 7, 9, 0, 0, 0]], np.int32)
    np.testing.assert_allclose(model.predict(short, verbose=0), model.predict(padded, verbose=0), atol=1e-5)


# How it is called, the kind of error, and what it says.
REFUSED = [
    (lambda: sx.models.VisionTransformer((30, 32, 3)), sx.ShapeError, "30×32 do not divide into patches of 4×4"),
    (lambda: sx.models.VisionTransformer(width=10, heads=4), ValueError, "heads=4 does not divide width=10"),
    (lambda: sx.models.VisionTransformer(pooling="max"), ValueError, "pooling must be 'avg' or 'token', got 'max'"),
    (lambda: sx.models.TextTransformer(9, 2, width=10), ValueError, "TextTransformer: heads=4 does not divide width"),
    (
        lambda: sx.models.TextTransformer(9, 2, length=4).predict(np.ones((1, 5), np.int32), verbose=0),
        sx.ShapeError,
        "a sequence has 5 positions, length=4 allows no more; make length larger",
    ),
    (lambda: sx.models.UNet((20, 64, 1)), sx.ShapeError, r"must be multiples of 8 \(depth=3\), got .*\(20, 64, 1\)"),
    (
        lambda: sx.layers.PositionEmbedding(4)(sx.ops.zeros((1, 5, 2))),
        sx.ShapeError,
        "a sequence has 5 positions, length=4 allows no more; make length larger",
    ),
]


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED)
def test_refused(call: Callable[[], Any], kind: type[Exception], message: str):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("build", "least"),
    [
        (lambda: sx.models.LeNet((16, 16, 1)), 0.95),
        (lambda: sx.models.VisionTransformer((16, 16, 1), width=32, depth=2), 0.93),
        (lambda: sx.models.VisionTransformer((16, 16, 1), width=32, depth=2, pooling="token"), 0.93),
    ],
    ids=["LeNet", "VisionTransformer-avg", "VisionTransformer-token"],
)
def test_reads_digits(build: Any, least: float):
    """Written digits of people whose writing was not seen in training."""
    (x, y), (x_test, y_test) = digits()
    model = build()
    model.compile(sx.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=20, batch_size=32, verbose=0)
    assert model.evaluate(x_test, y_test, verbose=0)[1] > least


@pytest.mark.nightly
def test_finds_digits():
    """The points of a digit, out of an image with noise over it."""
    (x, _), (x_test, _) = digits()
    noise = np.random.default_rng(1)
    noisy, noisy_test = (part + noise.normal(0, 0.5, part.shape).astype(np.float32) for part in (x, x_test))
    model = sx.models.UNet((None, None, 1), width=8, depth=2)
    model.compile(sx.optimizers.Adam(3e-3), "binary_crossentropy", metrics=[sx.metrics.BinaryIoU([1], threshold=0.5)])
    model.fit(noisy, x > 0.5, epochs=6, batch_size=32, verbose=0)
    assert model.evaluate(noisy_test, x_test > 0.5, verbose=0)[1] > 0.75
    assert model.predict(np.zeros((1, 32, 24, 1)), verbose=0).shape == (1, 32, 24, 1)


def digits() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Images of 16×16 points, values 0 ... 1, and the digits written."""
    (x, y), (x_test, y_test) = sx.datasets.digits.load_data()
    x, x_test = (
        np.asarray(part, np.float32).reshape(-1, 8, 8, 1).repeat(2, 1).repeat(2, 2) / part.max() for part in (x, x_test)
    )
    return (x, y), (x_test, y_test)
