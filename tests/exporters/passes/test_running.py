"""Graphs of steps on a CPU in the form that onnxruntime runs in less time: the operators, and the numbers of both."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.exporters.ir import OnnxGraph, OnnxNode
from sardonyx.exporters.passes.running import suit_runtime
from sardonyx.exporters.runtime import session
from sardonyx.exporters.serialize import model_proto
from sardonyx.trainer.core.spec import TensorSpec

KEPT, FLAT, TURN = {"keepdims": 1}, {"keepdims": 0}, {"transA": 1}
BOTH = [("ReduceMean x a -> m", FLAT), ("ReduceSum x a -> s", KEPT)]
LAST = [("ReduceSum x a -> m", KEPT), ("ReduceMean x b -> s", KEPT)]
LONG, SQUARE, WIDE = (512, 64), (512, 512), (512, 128)

# Name, nodes, shapes of all values, operators afterwards.
CASES = [
    ("sum_of_a_mean", BOTH, {"x": (3, 4, 5), "m": (3, 5), "s": (3, 1, 5)}, "ReduceMean Reshape Mul"),
    ("mean_of_a_sum", LAST, {"x": (3, 4, 5), "m": (3, 1, 5), "s": (3, 1, 5)}, "ReduceSum Mul"),
    ("same_kind", [BOTH[0], ("ReduceMean x a -> s", KEPT)], {"x": (3, 4, 5), "m": (3, 5), "s": (3, 1, 5)},
     "ReduceMean ReduceMean"),
    ("other_axes", [BOTH[0], ("ReduceSum x c -> s", KEPT)], {"x": (3, 4, 5), "m": (3, 5), "s": (3, 4, 1)},
     "ReduceMean ReduceSum"),
    ("unknown_size", BOTH, {"x": (3, "n", 5), "m": (3, 5), "s": (3, 1, 5)}, "ReduceMean ReduceSum"),
    ("long_product", [("Gemm x y -> m", TURN)], {"x": LONG, "y": WIDE, "m": (64, 128)}, "Gemm Transpose"),
    ("many_rows", [("Gemm x y -> m", TURN)], {"x": SQUARE, "y": (512, 1024), "m": (512, 1024)}, "Gemm"),
    ("square", [("Gemm x y -> m", TURN)], {"x": LONG, "y": LONG, "m": (64, 64)}, "Gemm"),
    ("few_terms", [("Gemm x y -> m", TURN)], {"x": (256, 64), "y": (256, 128), "m": (64, 128)}, "Gemm"),
    ("both_turned", [("Gemm x y -> m", {"transA": 1, "transB": 1})], {"x": LONG, "y": (128, 512), "m": (64, 128)},
     "Gemm"),
    ("with_a_bias", [("Gemm x y z -> m", TURN)], {"x": LONG, "y": WIDE, "z": (128,), "m": (64, 128)}, "Gemm"),
]  # fmt: skip
AXES = {"a": [1], "b": [-2], "c": [2]}


def made(nodes, shapes):
    read = {name for text, _ in nodes for name in text.split(" -> ")[0].split()[1:]}
    written = [text.split(" -> ")[1] for text, _ in nodes]
    graph = OnnxGraph("g", inputs=[name for name in shapes if name in read], outputs=written)
    for i, (text, attributes) in enumerate(nodes):
        operator, *inputs = text.split(" -> ")[0].split()
        graph.nodes.append(OnnxNode(operator, inputs, [written[i]], dict(attributes), f"n{i}"))
    for name in read & AXES.keys():
        graph.initializers[name] = np.array(AXES[name], np.int64)
        graph.specs[name] = TensorSpec((1,), np.int64)
    graph.specs.update({name: TensorSpec(shape, np.float32) for name, shape in shapes.items()})
    return graph


def run(graph, arrays):
    return session(model_proto(graph, 21, {}).SerializeToString(), device="cpu").run(None, arrays)


@pytest.mark.parametrize(("nodes", "shapes", "after"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_suited_to_the_runtime(nodes, shapes, after):
    random = np.random.default_rng(0)
    graph = made(nodes, shapes)
    arrays = {
        name: random.normal(size=[7 if size == "n" else size for size in shapes[name]]).astype(np.float32)
        for name in graph.inputs
    }
    wanted = run(graph, arrays)
    suit_runtime(graph, 21)
    assert [node.operator for node in graph.nodes] == after.split()
    assert len({node.name for node in graph.nodes}) == len(graph.nodes)
    for one, other in zip(run(graph, arrays), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
