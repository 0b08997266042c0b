"""Derivatives inside a deployed file: right in onnxruntime against finite differences in float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import sardonyx as sx
from sardonyx import layers as L

ops = sx.ops
random = np.random.default_rng(0)


def energy_of(f: Callable[[Any], Any], *shape: int) -> tuple[Any, Any, Any]:
    """A model whose output is a scalar a sample, its input, and the output."""
    x = sx.Input(shape, name="positions")
    energy = f(x)
    return sx.Model(x, energy), x, energy


def scalar(x: Any) -> Any:
    return ops.sum(x, axis=list(range(1, len(x.shape))))


def scanned(x: Any) -> Any:
    first = ops.zeros_like(x[:, 0])
    return ops.sum(ops.scan(lambda c, v: (ops.tanh(c + v), None), first, ops.transpose(x, (1, 0, 2)))[0], axis=-1)


def crossentropy(x: Any) -> Any:
    return sx.losses.sparse_categorical_crossentropy(ops.zeros_like(x[:, 0], dtype="int32"), x, from_logits=True)


PROBES: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "elementwise": (lambda x: scalar(ops.sin(x) * ops.exp(-(x**2)) + ops.gelu(x)), (5,)),
    "matmul": (lambda x: scalar(ops.tanh(ops.matmul(x, ops.transpose(x, (0, 2, 1))))), (3, 4)),
    "dense": (lambda x: scalar(L.Dense(1)(L.Dense(8, activation="tanh")(x))), (5,)),
    "convolution": (lambda x: scalar(ops.tanh(L.Conv2D(4, 3, strides=2, padding="same")(x))), (7, 6, 2)),
    "max-pool": (lambda x: scalar(ops.square(L.MaxPooling2D(2)(x))), (6, 4, 2)),
    "scan": (scanned, (5, 3)),
    "crossentropy": (crossentropy, (6,)),
    "normalization": (lambda x: scalar(ops.square(L.LayerNormalization(epsilon=1e-2)(x)) * ops.arange(1.0, 6.0)), (5,)),
    "attention": (lambda x: scalar(ops.square(L.MultiHeadAttention(2, 3)(x, x))), (4, 6)),
    "lstm": (lambda x: scalar(L.LSTM(4)(x)), (5, 3)),
}


def finite_differences(probe: str, weights: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """Central differences of the summed output, all of it in float64."""
    sx.config.set_floatx("float64")
    try:
        model = energy_of(PROBES[probe][0], *PROBES[probe][1])[0]
        model.set_weights(weights)
        found = np.zeros(x.shape)
        for place in np.ndindex(*x.shape):
            step = np.zeros(x.shape)
            step[place] = 1e-5
            ahead, behind = (float(np.sum(np.asarray(model(x.astype(float) + s)))) for s in (step, -step))
            found[place] = (ahead - behind) / 2e-5
    finally:
        sx.config.set_floatx("float32")
    return found


@pytest.mark.parametrize("probe", PROBES)
def test_forces_in_onnxruntime(probe: str, tmp_path: Path):
    sx.utils.set_random_seed(0)
    f, shape = PROBES[probe]
    model, positions, energy = energy_of(f, *shape)
    forces = -sx.grad(energy, positions)
    model.export(tmp_path / "m.onnx", outputs={"energy": energy, "forces": forces})
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    assert [x.name for x in session.get_outputs()] == ["energy", "forces"]
    for batch in (1, 3):
        x = random.standard_normal((batch, *shape)).astype("float32")
        found_energy, found = session.run(None, {"positions": x})
        np.testing.assert_allclose(found_energy, model(x), rtol=1e-5, atol=1e-5)
        expected = -finite_differences(probe, model.get_weights(), x)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_derivatives_are_trained_on():
    x = sx.Input((2,), name="positions")
    energy = L.Dense(1)(L.Dense(16, activation="tanh")(x))
    model = sx.Model(x, {"energy": energy, "forces": -sx.grad(energy, x)})
    points = random.uniform(-1, 1, (256, 2)).astype("float32")
    targets = {"energy": (points**2).sum(1, keepdims=True) / 2, "forces": -points}
    model.compile(sx.optimizers.Adam(0.02), "mse", jit_compile=True)
    history = model.fit(points, targets, epochs=40, verbose=0).history
    assert history["forces_loss"][-1] < 0.02 < 0.2 < history["forces_loss"][0]


def test_saliency_and_a_hessian_through_layers_frozen_in_a_file(tmp_path: Path):
    image = sx.Input((6, 6, 1), name="image")
    scores = L.Dense(3)(L.Flatten()(L.Conv2D(4, 3, activation="tanh")(image)))
    saliency = ops.max(ops.absolute(sx.grad(ops.max(scores, axis=1), image)), axis=-1)
    point = sx.Input((3,), name="point")
    value = ops.sum(point**3 * ops.roll(point, 1, axis=1), axis=1)
    slope = sx.grad(value, point)
    hessian = ops.stack([sx.grad(slope[:, i], point) for i in range(3)], axis=1)
    sx.Model(image, scores).export(tmp_path / "saliency.onnx", outputs={"scores": scores, "saliency": saliency})
    sx.Model(point, value).export(tmp_path / "hessian.onnx", outputs=[hessian])
    x = random.standard_normal((2, 6, 6, 1)).astype("float32")
    found = onnxruntime.InferenceSession(tmp_path / "saliency.onnx").run(["saliency"], {"image": x})[0]
    with sx.GradientTape() as tape:
        tensor = ops.convert_to_tensor(x)
        tape.watch(tensor)
        best = ops.max(sx.Model(image, scores)(tensor), axis=1)
    np.testing.assert_allclose(found, np.abs(tape.gradient(best, tensor))[..., 0], atol=1e-5)
    a, b, c = np.array([[1.0, 2.0, 3.0]], "float32")[0]
    expected = [[6 * a * c, 3 * b**2, 3 * a**2], [3 * b**2, 6 * b * a, 3 * c**2], [3 * a**2, 3 * c**2, 6 * c * b]]
    session = onnxruntime.InferenceSession(tmp_path / "hessian.onnx")
    np.testing.assert_allclose(
        session.run(None, {"point": np.array([[a, b, c]], "float32")})[0][0], expected, rtol=1e-5
    )


def test_what_does_not_fit_is_told(tmp_path: Path):
    model, positions, energy = energy_of(PROBES["elementwise"][0], 5)
    other = sx.Input((5,))
    np.testing.assert_array_equal(
        sx.Model([positions, other], sx.grad(energy, other))([np.ones((1, 5))] * 2), [[0.0] * 5]
    )
    with pytest.raises(TypeError, match=r"grad of a symbolic tensor: expected symbolic tensors.*open a GradientTape"):
        sx.grad(energy, np.ones(3))
    with pytest.raises(sx.ShapeError, match="not among the inputs of the model"):
        model.export(tmp_path / "m.onnx", outputs={"x": other * 2})
    with pytest.raises(ValueError, match="give input_signature or outputs, not both"):
        model.export(tmp_path / "m.onnx", input_signature=[sx.TensorSpec((1, 5))], outputs=[energy])
