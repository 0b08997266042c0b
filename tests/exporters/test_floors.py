"""Exported files hold the operators that are needed, and no others."""

from collections import Counter

import onnx
import pytest
from export_models import MODELS, assert_same_in_onnxruntime, graph_of, ops, weight

import sardonyx as sx
from sardonyx.exporters.convert import to_graph

# Network, options, nodes at most, and how many of some operators exactly.
FLOORS = [
    ("mlp", {}, 4, {"Gemm": 2, "Relu": 1, "Softmax": 1}),
    ("lstm_sequence", {}, 4, {"LSTM": 1}),
    ("lstm_last", {}, 3, {"LSTM": 1}),
    ("transformer_end", {}, 4, {"LayerNormalization": 1, "Gelu": 1}),
    ("small_cnn", {}, 6, {"Conv": 1, "Transpose": 1, "BatchNormalization": 0}),
    ("small_cnn", {"keep_weights": True}, 7, {"Conv": 1, "Transpose": 1, "BatchNormalization": 1}),
    ("small_cnn", {"fold_batch_normalization": False}, 7, {"BatchNormalization": 1}),
    ("vgg", {}, 43, {"Conv": 16, "Transpose": 1, "Add": 0, "Gemm": 2}),
    ("vgg", {"keep_weights": True}, 43, {"Conv": 16, "Transpose": 1, "Add": 0, "Gemm": 2}),
    ("residual", {}, 33, {"Conv": 5, "Transpose": 1, "BatchNormalization": 0, "Pad": 0}),
    ("segmentation", {}, 11, {"Conv": 3, "Transpose": 2}),
]


@pytest.mark.parametrize(("name", "options", "most", "exactly"), FLOORS)
def test_no_more_nodes_than(name, options, most, exactly):
    model = assert_same_in_onnxruntime(graph_of(name), **options)
    counts = Counter(node.op_type for node in model.graph.node)
    assert counts.total() <= most, counts
    assert {operator: counts[operator] for operator in exactly} == exactly, counts


@pytest.mark.parametrize("opset", [17, 18, 20, 21, 23])
@pytest.mark.parametrize("name", MODELS)
def test_every_file_is_valid_and_equal(name, opset):
    model = assert_same_in_onnxruntime(graph_of(name), opset=opset)
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("optimize", [True, False])
def test_what_is_known_of_values_is_true(name, optimize):
    """Passes rely on the shapes noted while writing: they must be those that ONNX infers."""
    graph = to_graph(graph_of(name), optimize=optimize)
    model = onnx.shape_inference.infer_shapes(assert_same_in_onnxruntime(graph_of(name), optimize=optimize))
    for value in model.graph.value_info:
        sizes = [d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim]
        known = graph.specs[value.name].shape
        assert len(known) == len(sizes), value.name
        for size, inferred in zip(known, sizes, strict=True):
            assert inferred is None or not isinstance(size, int) or size == inferred, value.name


def test_the_same_graph_gives_the_same_bytes():
    first, second = (assert_same_in_onnxruntime(graph_of("residual"), metadata={"b": "1", "a": "2"}) for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_branches_and_loops_are_improved_inside():
    kernel = weight("kernel", 4, 4)

    def function(x):
        y = ops.cond(ops.sum(x) > 0, lambda: ops.matmul(x, kernel) + 1, lambda: ops.transpose(ops.transpose(x)) * 2)
        start = ops.convert_to_tensor(0)
        return ops.while_loop(lambda a, i: i < 3, lambda a, i: (ops.matmul(a, kernel), i + 1), (y, start))[0]

    model = assert_same_in_onnxruntime(sx.trace(function, sx.TensorSpec(("batch", 4))))
    onnx.checker.check_model(model, full_check=True)
    branches = next(node for node in model.graph.node if node.op_type == "If").attribute
    inside = {node.op_type for branch in branches for node in branch.g.node}
    assert "Transpose" not in inside and "Mul" in inside
