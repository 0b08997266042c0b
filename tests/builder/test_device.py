"""The device scope: its names, what it reaches, and training on a GPU where there is one."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.exporters.runtime import CUDA, engine_device, onnxruntime
from sardonyx.trainer.core.device import asked_device

NAMES = [("cpu", "cpu"), ("CPU:0", "cpu"), ("cpu:3", "cpu"), ("gpu", "cuda"), ("gpu:0", "cuda"), ("cuda", "cuda")]


def has_gpu() -> bool:
    return engine_device("auto") == "cuda"


def small_model():
    sx.utils.set_random_seed(3)
    layers = [
        sx.layers.Conv2D(4, 3, padding="same"), sx.layers.BatchNormalization(), sx.layers.ReLU(),
        sx.layers.MaxPooling2D(2), sx.layers.Dropout(0.2), sx.layers.Flatten(), sx.layers.Dense(3),
    ]  # fmt: skip
    model = sx.Sequential([sx.Input((8, 8, 2)), *layers])
    loss = sx.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(sx.optimizers.Adam(1e-3), loss, metrics=["accuracy"], jit_compile=True)
    return model


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(64, 8, 8, 2)).astype("float32"), rng.integers(0, 3, 64)


@pytest.mark.parametrize(("name", "kind"), NAMES)
def test_names(name, kind):
    with sx.device(name):
        assert asked_device() == kind
        assert asked_device("auto") == kind
        assert asked_device("cpu") == "cpu"
    assert asked_device() == "auto"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tpu", 'expected "cpu", "gpu" .*, got \'tpu\''),
        ("gpu:x", "got 'gpu:x'"),
        (None, "got None"),
        ("gpu:1", r"'gpu:1' is not the first GPU(.|\n)*CUDA_VISIBLE_DEVICES=1"),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(ValueError, match=message):
        sx.device(name)


def test_scopes_nest_and_end_with_an_error():
    outer = sx.device("gpu")
    with outer, sx.device("cpu"):
        assert asked_device() == "cpu"
        with outer:
            assert asked_device() == "cuda"
    with pytest.raises(KeyError), outer:
        raise KeyError
    assert asked_device() == "auto"


def test_a_missing_gpu_is_told_before_anything_is_lost():
    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime can use a GPU")
    model, (x, y) = small_model(), data()
    before = [w.copy() for w in model.get_weights()]
    with sx.device("gpu"):
        with pytest.raises(RuntimeError, match=r"the model cannot run on a GPU here(.|\n)*sardonyx\[gpu\]"):
            model.fit(x, y, verbose=0)
        with pytest.raises(RuntimeError, match="the model cannot run on a GPU here"):
            model.predict(x, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    with sx.device("gpu"), pytest.raises(RuntimeError, match="the model cannot run on a GPU here"):
        sx.function(lambda a: a * 2.0)(sx.ops.ones(3))


def test_a_change_of_device_changes_no_number():
    """Two epochs, with the scope entered in between: the variables go from one engine's memory to the other's."""
    found = []
    for scopes in (["cpu", "cpu"], ["auto", "cpu"], ["cpu", "auto"]):
        model, (x, y) = small_model(), data()
        for scope in scopes:
            with sx.device(scope):
                model.fit(x, y, batch_size=16, shuffle=False, verbose=0)
        found.append(model.get_weights())
    tolerance = 2e-3 if has_gpu() else 0  # a GPU multiplies matrices with fewer bits
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
