"""The kernels of dense layers against the operations they stand for: values, gradients of any order, ONNX."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.exporters.convert import run_graph
from sardonyx.trainer.ops.dense import dense_primitive, dense_relu_primitive, fits_kernel

ops = sx.ops
GENERATOR = np.random.default_rng(0)


def tensors(*shapes):
    return [ops.convert_to_tensor(GENERATOR.standard_normal(shape).astype("float32")) for shape in shapes]


def decomposed(rectified):
    return lambda x, kernel, bias: (ops.relu if rectified else lambda v: v)(ops.add(ops.matmul(x, kernel), bias))


CASES = [(p, rows) for p in (dense_primitive, dense_relu_primitive) for rows in ((5,), (2, 3), (300,))]


@pytest.mark.parametrize(("primitive", "rows"), CASES, ids=str)
def test_values_and_gradients_are_those_of_the_operations(primitive, rows):
    arguments = tensors((*rows, 40), (40, 130), (130,))
    plain = decomposed(primitive is dense_relu_primitive)
    np.testing.assert_array_equal(primitive(*arguments).numpy(), plain(*arguments).numpy())

    def first(function):
        return sx.grad(lambda *a: ops.sum(ops.tanh(function(*a))), (0, 1, 2))

    def second(function):
        return sx.grad(lambda *a: sum(ops.sum(ops.square(g)) for g in first(function)(*a)), (0, 1, 2))

    for order in (first, second):
        for found, expected in zip(order(primitive)(*arguments), order(plain)(*arguments), strict=True):
            np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=2e-4, atol=2e-3)


@pytest.mark.parametrize("primitive", [dense_primitive, dense_relu_primitive], ids=str)
def test_a_graph_of_the_primitive_is_plain_operators(primitive, tmp_path):
    kernel, bias = tensors((4, 3), (3,))
    x = sx.Input((4,))
    model = sx.Model(x, primitive(x, kernel, bias))
    sample = GENERATOR.standard_normal((2, 4)).astype("float32")
    expected = decomposed(primitive is dense_relu_primitive)(sample, kernel, bias).numpy()
    np.testing.assert_allclose(model.predict(sample, runtime="onnxruntime", verbose=0), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("x", "kernel", "bias", "fits"),
    [
        ((2, 4), (4, 3), (3,), True), ((2, 5, 4), (4, 3), (3,), True), ((4,), (4, 3), (3,), False),
        ((2, 5), (4, 3), (3,), False), ((2, 4), (4, 3), (1,), False), ((0, 4), (4, 3), (3,), False),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_left_to_the_operations(x, kernel, bias, fits):
    assert fits_kernel(*tensors(x, kernel, bias)) is fits


def pooled(function, axes):
    """The sum of squares of a mean over rows of a dense layer's results: its gradient repeats itself."""
    return lambda *a: ops.sum(ops.square(ops.mean(function(*a), axis=axes)))


REPEATED = [
    ((3, 5, 4), 1),
    ((3, 5, 4), 0),
    ((3, 5, 4), (0, 1)),
    ((2, 3, 5, 4), (1, 2)),
    ((2, 3, 5, 4), 2),
    ((1, 1, 4), 1),
]


@pytest.mark.parametrize("layer", [dense_primitive, decomposed(False)], ids=["kernel", "operations"])
@pytest.mark.parametrize(("shape", "axes"), REPEATED, ids=str)
def test_a_gradient_that_repeats_itself_gives_the_same(layer, shape, axes):
    arguments = tensors(shape, (4, 6), (6,))

    def plain(x, kernel, bias):
        return ops.add(ops.sum(ops.multiply(ops.expand_dims(x, -1), kernel), axis=-2), bias)

    def first(function):
        return sx.grad(pooled(function, axes), (0, 1, 2))

    def second(function):
        return sx.grad(lambda *a: sum(ops.sum(ops.square(g)) for g in first(function)(*a)), (0, 1, 2))

    for order in (first, second):
        for found, expected in zip(order(layer)(*arguments), order(plain)(*arguments), strict=True):
            np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)
    graph = sx.trace(first(layer), *[sx.TensorSpec(("batch", *shape[1:])), *[x.spec for x in arguments[1:]]])
    for found, expected in zip(
        run_graph(graph, *[x.numpy() for x in arguments]), first(plain)(*arguments), strict=True
    ):
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)
