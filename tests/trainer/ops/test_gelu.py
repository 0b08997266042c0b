"""gelu under a tape, where slopes are kept from forwards: against double precision, of any order, and as a graph."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.trainer.ops.activation import gelu_training_primitive

ops = sx.ops
SAMPLE = np.linspace(-9, 9, 40_001)


def gradient(order, approximate):
    def value(x):
        return ops.sum(ops.gelu(x, approximate=approximate) * (1.0 if order == 1 else ops.cos(x)))

    first = sx.grad(value)
    return first if order == 1 else sx.grad(lambda x: ops.sum(first(x)))


@pytest.mark.parametrize("approximate", [False, True])
@pytest.mark.parametrize("order", [1, 2])
def test_gradients_are_those_of_double_precision(order, approximate):
    single, double = (
        gradient(order, approximate)(ops.convert_to_tensor(SAMPLE.astype(kind))).numpy()
        for kind in ("float32", "float64")
    )
    np.testing.assert_allclose(single, double, atol=4e-6 if order == 1 else 2e-4)


def test_the_tape_of_a_second_gradient_does_not_use_kept_slopes():
    x = ops.convert_to_tensor(np.float32([[0.3, -1.2]]))
    with sx.GradientTape() as outer:
        outer.watch(x)
        with sx.GradientTape() as inner:
            inner.watch(x)
            y = ops.gelu(x, approximate=False)
        slope = inner.gradient(y, x)
    curvature = outer.gradient(slope, x).numpy()
    expected = np.exp(-np.square(x.numpy()) / 2) / np.sqrt(2 * np.pi) * (2 - np.square(x.numpy()))
    np.testing.assert_allclose(curvature, expected, rtol=1e-5)


@pytest.mark.parametrize("approximate", [False, True])
def test_a_graph_of_value_and_slope_gives_the_same(approximate):
    x = sx.Input((4,))
    model = sx.Model(x, list(gelu_training_primitive(x, approximate=approximate)))
    sample = np.random.default_rng(0).standard_normal((3, 4)).astype("float32")
    expected = [t.numpy() for t in gelu_training_primitive(ops.convert_to_tensor(sample), approximate=approximate)]
    for found, wanted in zip(model.predict(sample, runtime="onnxruntime", verbose=0), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
