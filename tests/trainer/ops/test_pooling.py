"""Pooling: values, gradients of two orders, and onnxruntime, one line a case."""

from functools import partial

import numpy as np
import pytest
from image_references import channels_first, pooling
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import run_graph
from sardonyx.trainer.core.errors import ShapeError

REDUCE = {"max": (ops.max_pool, np.max), "average": (ops.average_pool, np.mean)}


def pool(kind, name, image, pool_size, strides=None, padding="valid", data_format="channels_last"):
    function, reduce = REDUCE[kind]
    reference = partial(pooling, reduce, pool=pool_size, strides=strides, padding=padding)
    if data_format == "channels_first":
        reference = channels_first(reference)
    return case(
        f"{kind}_{name}", lambda x: function(x, pool_size, strides, padding, data_format), reference, image
    )  # fmt: skip


SHAPES = [
    ("1d", (6, 8, 3), 2),
    ("1d_overlap", (6, 8, 3), 3, 1),
    ("1d_same", (6, 7, 3), 3, 2, "same"),
    ("1d_first", (6, 3, 8), 2, None, "valid", "channels_first"),
    ("2d", (6, 4, 6, 3), 2),
    ("2d_leftover", (6, 5, 7, 3), 2),
    ("2d_overlap", (6, 5, 7, 3), 3, 2),
    ("2d_dense", (6, 5, 4, 2), (2, 3), 1),
    ("2d_gaps", (6, 7, 8, 2), 2, 3),
    ("2d_same_even", (6, 4, 6, 3), 2, 2, "same"),
    ("2d_same_odd", (6, 5, 7, 3), 2, 2, "same"),
    ("2d_same_overlap", (6, 5, 6, 3), 3, 1, "same"),
    ("2d_same_gaps", (6, 7, 8, 2), 2, 3, "same"),
    ("2d_mixed", (6, 6, 7, 2), (3, 1), (2, 1), "same"),
    ("2d_first_same", (6, 3, 5, 7), 3, 2, "same", "channels_first"),
    ("2d_one", (6, 4, 5, 2), 1),
    ("3d", (4, 4, 3, 5, 2), 2),
    ("3d_same_first", (4, 2, 3, 4, 3), (2, 2, 3), (2, 1, 2), "same", "channels_first"),
]


def adaptive(reduce, x, sizes):
    """Windows by the definition: floor(i n / m) to ceil((i + 1) n / m)."""
    for axis, m in enumerate(sizes, 1):
        n = x.shape[axis]
        parts = [np.take(x, range(i * n // m, -(-(i + 1) * n // m)), axis) for i in range(m)]
        x = np.stack([reduce(p, axis=axis) for p in parts], axis)
    return x


ADAPTIVE = [
    ("even", (6, 4, 6, 2), (2, 3)),
    ("uneven", (6, 7, 5, 2), (3, 2)),
    ("global", (6, 4, 5, 2), (1, 1)),
    ("mixed", (6, 7, 4, 2), (1, 4)),
    ("1d", (6, 11, 2), (4,)),
    ("3d", (4, 3, 4, 5, 2), (2, 2, 3)),
]
CASES = [pool(kind, *shape) for kind in REDUCE for shape in SHAPES]
CASES += [
    case(
        f"adaptive_average_{name}",
        partial(ops.adaptive_average_pool, output_size=n),
        partial(adaptive, np.mean, sizes=n),
        image,
    )
    for name, image, n in ADAPTIVE
]
CASES += [
    case(
        f"adaptive_max_{name}", partial(ops.adaptive_max_pool, output_size=n), partial(adaptive, np.max, sizes=n), image
    )
    for name, image, n in ADAPTIVE
]
CASES += [
    case(
        "max_integers",
        lambda x: ops.max_pool(x, 2, 1, "same"),
        partial(pooling, np.max, pool=2, strides=1, padding="same"),
        np.arange(-40, 50, dtype=np.int32).reshape(3, 5, 3, 2) % 17 - 30,
    ),
    case(
        "average_integers",
        lambda x: ops.average_pool(x, 2),
        lambda x: pooling(np.mean, x.astype(np.float32), 2),
        np.arange(60, dtype=np.int32).reshape(3, 5, 4),
    ),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_case(item, check):
    check_case(item, check)


TIES = [
    (2, 2, "valid", [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]),
    (3, 1, "valid", [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
    (3, 2, "same", [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]),
    (2, 2, "same", [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]),
]


@pytest.mark.parametrize(("size", "strides", "padding", "expected"), TIES)
def test_the_first_of_equal_cells_gets_the_gradient(size, strides, padding, expected):
    def gradient(x):
        with sx.GradientTape() as tape:
            tape.watch(x)
            total = ops.sum_to(ops.reshape(ops.max_pool(x, size, strides, padding), (-1,)), ())
        return tape.gradient(total, x)

    x = np.zeros((1, 4, 4, 1), np.float32)
    graph = sx.trace(gradient, sx.TensorSpec(x.shape))
    np.testing.assert_array_equal(gradient(sx.Tensor(x)).numpy()[0, :, :, 0], expected)
    np.testing.assert_array_equal(run_graph(graph, x)[0][0, :, :, 0], expected)


SIDE_BY_SIDE = [
    ((2, 4, 6, 3), 2, None, "valid"),
    ((2, 5, 7, 3), 2, None, "valid"),
    ((2, 5, 7, 3), 2, None, "same"),
    ((2, 8, 7, 3), 3, None, "valid"),
    ((2, 8, 7, 3), (2, 4), None, "same"),
    ((2, 6, 7, 2), (3, 1), (3, 1), "same"),
    ((2, 7, 3), 2, None, "valid"),
    ((2, 4, 5, 6, 3), (1, 2, 3), None, "valid"),
]


@pytest.mark.parametrize("opset", [17, 18, 22])
@pytest.mark.parametrize(("shape", "size", "strides", "padding"), SIDE_BY_SIDE)
def test_files_give_the_gradient_to_the_same_of_equal_cells(shape, size, strides, padding, opset):
    def gradient(x, weights):
        with sx.GradientTape() as tape:
            tape.watch(x)
            total = ops.sum(ops.max_pool(x, size, strides, padding) * weights)
        return tape.gradient(total, x)

    generator = np.random.default_rng(0)
    x = np.round(1.5 * generator.standard_normal(shape)).astype(np.float32)
    weights = generator.standard_normal(ops.max_pool(x, size, strides, padding).shape).astype(np.float32)
    graph = sx.trace(gradient, *[sx.TensorSpec(("batch", *a.shape[1:])) for a in (x, weights)])
    expected = gradient(sx.Tensor(x), sx.Tensor(weights)).numpy()
    np.testing.assert_array_equal(run_graph(graph, x, weights, opset=opset)[0], expected)


def test_ties_in_a_window_are_read_row_by_row():
    """Of equal cells in the upper right and the lower left, the upper right one is first."""
    x = sx.Tensor(np.asarray([[0.0, 1.0], [1.0, 0.0]], np.float32).reshape(1, 2, 2, 1))
    with sx.GradientTape() as tape:
        tape.watch(x)
        y = ops.max_pool(x, 2)
    np.testing.assert_array_equal(tape.gradient(y, x).numpy().reshape(2, 2), [[0, 1], [0, 0]])


@pytest.mark.parametrize("kind", REDUCE)
@pytest.mark.parametrize(
    ("size", "strides", "padding"), [(3, 2, "same"), (2, None, "valid"), (2, 1, "same"), (2, 3, "same")]
)
@pytest.mark.parametrize("image", [(2, 7, 8, 3), (2, 4, 5, 3)])
def test_symbolic_sizes_give_the_same_in_onnxruntime(kind, size, strides, padding, image):
    def gradients(x):
        with sx.GradientTape() as tape:
            tape.watch(x)
            y = REDUCE[kind][0](x, size, strides, padding)
            total = ops.sum_to(ops.reshape(y * y, (-1,)), ())
        return [y, tape.gradient(total, x)]

    graph = sx.trace(gradients, sx.TensorSpec(("batch", "height", "width", 3)))
    x = np.random.default_rng(0).standard_normal(image).astype(np.float32)
    for a, b, c in zip(graph.run(x), run_graph(graph, x), gradients(sx.Tensor(x)), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(a, c, rtol=1e-6, atol=1e-6)


def test_global_average_of_unknown_size():
    graph = sx.trace(lambda x: ops.adaptive_average_pool(x, 1), sx.TensorSpec(("batch", "height", "width", 2)))
    x = np.random.default_rng(0).standard_normal((3, 5, 4, 2)).astype(np.float32)
    expected = x.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(graph.run(x), expected, rtol=1e-5)
    np.testing.assert_allclose(run_graph(graph, x)[0], expected, rtol=1e-5)


IMAGE = np.ones((1, 4, 4, 2), np.float32)
ERRORS = [
    (lambda: ops.max_pool(np.ones((4, 4)), 2), ShapeError, "max_pool: expected a batch of signals"),
    (lambda: ops.max_pool(IMAGE, 5), ShapeError, "the window covers 5 cells of a spatial axis of only 4"),
    (lambda: ops.max_pool(IMAGE, (2, 2, 2)), ValueError, "pool_size needs one integer, or 2"),
    (lambda: ops.average_pool(IMAGE, 2, strides=0), ValueError, "average_pool: strides must be whole numbers"),
    (lambda: ops.average_pool(IMAGE, 2, padding="causal"), ValueError, "padding must be 'valid' or 'same'"),
    (lambda: ops.average_pool(IMAGE, 2, data_format="first"), ValueError, "data_format must be"),
    (lambda: ops.adaptive_max_pool(IMAGE, (1, 2, 3)), ValueError, "output_size needs one integer, or 2"),
    (lambda: ops.adaptive_max_pool(IMAGE[:, :0], 2), ShapeError, "is empty: no window has a cell"),
    (lambda: ops.adaptive_average_pool(IMAGE, 0), ValueError, "output_size must be whole numbers of at least 1"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS, ids=[e[2][:40] for e in ERRORS])
def test_error(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)


@pytest.mark.parametrize("windows", [1, 2, 3, (2, None), (None, 1)])
@pytest.mark.parametrize("function", [ops.adaptive_max_pool, ops.adaptive_average_pool])
def test_adaptive_pooling_of_unknown_sizes(function, windows):
    graph = sx.trace(lambda x: function(x, windows), sx.TensorSpec(("batch", "height", "width", 2)))
    for sizes in ((1, 4, 5, 2), (2, 7, 3, 2), (1, 1, 2, 2)):
        image = np.random.default_rng(0).normal(size=sizes).astype(np.float32)
        np.testing.assert_allclose(graph.run(image), function(image, windows).numpy(), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(run_graph(graph, image)[0], graph.run(image), rtol=1e-5, atol=1e-6)
