"""Values are found by the identity of tensors: nothing that a writer has seen may be forgotten while it writes."""

import gc
from typing import Any

import numpy as np

import sardonyx as sx
from sardonyx.exporters.convert import run_graph

COUNT = 60


def piece(i: int) -> Any:
    """A graph that lives no longer than it is written, with constants of its own."""
    spec = sx.TensorSpec((3,))
    if i % 2:
        return sx.trace(lambda x: sx.ops.tanh(x * sx.ops.convert_to_tensor(np.float32([1, i, 2]))), spec)
    return sx.trace(lambda x: x + sx.ops.convert_to_tensor(np.float32([i, 1, 0])) * np.float32(0.5), spec)


def lower(emit: Any, x: Any) -> Any:
    for i in range(COUNT):
        (x,) = emit.graph(piece(i), x)
        gc.collect(0)
    return x


def run(x: np.ndarray) -> np.ndarray:
    for i in range(COUNT):
        x = np.asarray(piece(i).run(x)).reshape(3)
    return x


def test_graphs_written_in_place_are_not_mistaken_for_each_other():
    chain = sx.Primitive(name="chain_of_pieces", run=run, infer=lambda x: x, lower=lower)
    graph = sx.trace(chain, sx.TensorSpec((3,)))
    x = np.float32([0.1, -0.2, 0.3])
    np.testing.assert_allclose(run_graph(graph, x)[0], run(x), rtol=1e-5)


def test_large_constants_of_another_dtype_are_not_mistaken_for_each_other():
    """Each is converted, so that the array that was given is gone when the next one comes."""

    def lower_sum(emit: Any, x: Any) -> Any:
        for i in range(20):
            x = emit("Add", x, emit.constant(np.full((2000,), i, np.float64), "float32"), spec=x.spec)
        return x

    large = sx.Primitive(name="sum_of_constants", run=lambda x: x + 190, infer=lambda x: x, lower=lower_sum)
    graph = sx.trace(large, sx.TensorSpec((2000,)))
    x = np.zeros(2000, "float32")
    np.testing.assert_allclose(run_graph(graph, x)[0], np.full(2000, 190))
