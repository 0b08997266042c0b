"""Kernel gradients of convolutions as they are written for a GPU and for a processor: the same numbers."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

import sardonyx as sx
from sardonyx.exporters.convert import to_graph
from sardonyx.exporters.serialize import model_proto

CASES = {
    "3x3": ((2, 9, 8, 6), (3, 3, 6, 5), {}),
    "same": ((2, 9, 8, 6), (3, 3, 6, 5), {"padding": "same"}),
    "strides": ((2, 11, 10, 6), (3, 2, 6, 4), {"strides": (2, 3)}),
    "strides, same": ((2, 11, 10, 6), (3, 3, 6, 4), {"strides": 2, "padding": "same"}),
    "dilation": ((2, 11, 10, 6), (3, 3, 6, 4), {"dilation_rate": 2}),
    "one channel": ((3, 7, 7, 1), (3, 3, 1, 8), {}),
    "three channels": ((3, 8, 8, 3), (5, 5, 3, 8), {"padding": "same"}),
    "1x1": ((3, 6, 6, 12), (1, 1, 12, 7), {}),
    "1x1, strides": ((3, 7, 6, 12), (1, 1, 12, 7), {"strides": 2}),
    "1x1, few cells": ((3, 2, 2, 12), (1, 1, 12, 7), {}),
    "groups": ((2, 8, 8, 6), (3, 3, 2, 9), {"padding": "same"}),
    "depthwise": ((2, 8, 8, 6), (3, 3, 1, 6), {"padding": "same"}),
    "depthwise, two each": ((2, 8, 8, 5), (3, 3, 1, 10), {"strides": 2}),
    "depthwise, strides, same": ((2, 9, 8, 5), (3, 3, 1, 10), {"strides": 2, "padding": "same"}),
    "depthwise, dilation, same": ((2, 8, 9, 5), (3, 3, 1, 5), {"dilation_rate": 2, "padding": "same"}),
    "depthwise, high kernel": ((2, 3, 8, 4), (7, 3, 1, 4), {"padding": "same"}),
    "line": ((2, 12, 6), (4, 6, 5), {}),
    "line, causal": ((2, 12, 2), (4, 2, 5), {"padding": "causal", "dilation_rate": 2}),
    "volume": ((2, 5, 6, 5, 3), (2, 3, 2, 3, 4), {}),
    "volume, groups": ((2, 5, 6, 5, 4), (2, 3, 2, 2, 6), {}),
}


@pytest.mark.parametrize("batch", [None, "batch"], ids=["static", "symbolic"])
@pytest.mark.parametrize("on_gpu", [False, True], ids=["processor", "gpu"])
@pytest.mark.parametrize("name", CASES)
def test_each_form_gives_the_same_gradient(name: str, on_gpu: bool, batch: str | None):
    shape, taps, settings = CASES[name]

    def gradient(x: sx.Tensor, kernel: sx.Tensor) -> sx.Tensor:
        return sx.grad(sx.ops.sum(sx.ops.square(sx.ops.conv(x, kernel, **settings))), kernel)

    graph = sx.trace(gradient, sx.TensorSpec((batch or shape[0], *shape[1:])), sx.TensorSpec(taps))
    draw = np.random.default_rng(0)
    x, kernel = draw.normal(size=shape).astype("float32"), draw.normal(size=taps).astype("float32")
    expected = np.asarray(graph.run(x, kernel))
    model = model_proto(to_graph(graph, on_gpu=on_gpu), 21, {})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {i.name: v for i, v in zip(session.get_inputs(), (x, kernel), strict=True)})
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5 * np.abs(expected).max())


def operators(name: str, on_gpu: bool) -> set[str]:
    shape, taps, settings = CASES[name]

    def gradient(x: sx.Tensor, kernel: sx.Tensor) -> sx.Tensor:
        return sx.grad(sx.ops.sum(sx.ops.conv(x, kernel, **settings)), kernel)

    graph = sx.trace(gradient, sx.TensorSpec(shape), sx.TensorSpec(taps))
    return {node.operator for node in to_graph(graph, on_gpu=on_gpu).nodes}


@pytest.mark.parametrize("name", ["3x3", "strides", "depthwise", "volume, groups"])
def test_a_gpu_gets_products(name: str):
    assert "Conv" not in operators(name, True)


def test_few_channels_are_products_on_a_processor_too():
    assert "Conv" in operators("3x3", False)
    assert "Conv" not in operators("one channel", False)
    assert "Conv" not in operators("1x1", False)
