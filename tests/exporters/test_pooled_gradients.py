"""Max-pooling and its gradient in one graph share slices and gates; the numbers stay those of NumPy."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import run_graph, to_graph


def plain(x):
    return ops.max_pool(ops.relu(x), 2)


def without_relu(x):
    return ops.max_pool(x, 2)


def overlapping(x):
    return ops.max_pool(ops.relu(x), 3, 2, "same")


def twice(x):
    y = ops.relu(x)
    return ops.max_pool(y, 2) + ops.max_pool(y, 3, 2, "same")


def also_unpooled(x):
    y = ops.relu(x)
    return ops.max_pool(y, 2) * ops.average_pool(y, 2)


def other_limit(x):
    return ops.max_pool(ops.where(x > 0.5, x, 0.0), 2)


CASES = [
    # network, images, comparisons with zero, and how many cells of an image they look at
    (plain, (2, 6, 8, 3), [4 * 3 * 3]),
    (plain, (2, 5, 7, 3), [3 * 2 * 3]),
    (without_relu, (2, 6, 8, 3), []),
    (overlapping, (2, 6, 8, 3), [4 * 3 * 3]),
    (twice, (2, 6, 8, 3), [6 * 8 * 3]),
    (also_unpooled, (2, 6, 8, 3), [6 * 8 * 3]),
    (other_limit, (2, 6, 8, 3), [6 * 8 * 3]),
]


@pytest.mark.parametrize("batch", [2, "batch"])
@pytest.mark.parametrize(("network", "shape", "gates"), CASES)
def test_gates_move_to_the_windows_where_nothing_else_reads_the_gradient(network, shape, gates, batch):
    def gradient(x):
        with sx.GradientTape() as tape:
            tape.watch(x)
            y = network(x)
            total = ops.sum(ops.square(y) * (1.0 + ops.arange(y.shape[2], dtype="float32"))[:, None])
        return [y, tape.gradient(total, x)]

    x = np.round(np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    graph = sx.trace(gradient, sx.TensorSpec((batch, *shape[1:])))
    for found, expected in zip(run_graph(graph, x), gradient(sx.Tensor(x)), strict=True):
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-6)
    lowered = to_graph(graph)
    sizes = [lowered.specs[node.outputs[0]].shape[1:] for node in lowered.nodes if node.operator == "Greater"]
    assert [int(np.prod(size)) for size in sizes] == gates
    operators = {node.operator for node in lowered.nodes}
    is_aligned = network not in (overlapping, twice)
    assert is_aligned == (not operators & {"MaxPool", "ScatterElements"})
