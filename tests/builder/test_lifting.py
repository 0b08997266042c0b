"""Runs of nodes in somebody's file become the layers that they are: same numbers, same gradients, same file again."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from lifting_cases import CASES, Case, draw

import sardonyx as sx
from sardonyx.builder.imported import imported_model
from sardonyx.exporters.read import open_source


@cache
def case_of(name: str) -> Case:
    return CASES[name]()


@pytest.fixture
def path(name: str, tmp_path: Path) -> Path:
    return case_of(name).write(tmp_path / "theirs.onnx")


def in_runtime(path: Path, x: np.ndarray) -> list[Any]:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})


def results(model: Any, x: np.ndarray) -> list[np.ndarray]:
    found = model(x)
    return [np.asarray(y) for y in (found if isinstance(found, list) else [found])]


def gradients(model: Any, x: np.ndarray) -> list[np.ndarray]:
    """Those of the weights, in the file's layouts where the layer has its own."""
    model.trainable = True
    with sx.GradientTape() as tape:
        found = model(x, training=False)
        outputs = found if isinstance(found, list) else [found]
        loss = sum(sx.ops.sum(sx.ops.sin(y)) for y in outputs)
    return [np.asarray(g) for g in tape.gradient(loss, model.trainable_variables)]


@pytest.mark.parametrize("name", CASES)
def test_layers_are_found_and_named(name: str, path: Path):
    case, model = case_of(name), sx.models.load_model(path)
    layers = [x for x in model.layers if not isinstance(x, sx.layers.InputLayer)]
    ours = {x.name: type(x).__name__ for x in layers if not hasattr(x, "operator")}
    assert ours == case.layers
    assert [x.operator for x in layers if hasattr(x, "operator")] == list(case.left)


@pytest.mark.parametrize("name", CASES)
def test_numbers_are_those_of_the_nodes_and_of_onnxruntime(name: str, path: Path):
    case, model = case_of(name), sx.models.load_model(path)
    x, nodes = case.data(), imported_model(open_source(path), lift=False)
    found = results(model, x)
    for y, by_nodes, expected in zip(found, results(nodes, x), in_runtime(path, x), strict=True):
        np.testing.assert_allclose(y, by_nodes, rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_the_nodes(name: str, path: Path):
    case, model = case_of(name), sx.models.load_model(path)
    nodes = imported_model(open_source(path), lift=False)
    sums = [sorted(float(np.abs(g).sum()) for g in gradients(m, case.data())) for m in (model, nodes)]
    if case.layers.get("rnn"):  # the file has two biases where the layer has their sum
        assert sums[0] and sum(sums[0]) > 0
        return
    for found in sums[0]:  # of a layer in parts, the nodes hold constants that the layer does without
        assert any(found == pytest.approx(expected, rel=1e-4, abs=1e-4) for expected in sums[1]), sums


@pytest.mark.parametrize("name", CASES)
def test_untouched_it_is_written_as_it_was(name: str, path: Path, tmp_path: Path):
    case, model = case_of(name), sx.models.load_model(path)
    model.export(tmp_path / "ours.onnx")
    ours, theirs = (onnx.load(p) for p in (tmp_path / "ours.onnx", path))
    assert [n.SerializeToString() for n in ours.graph.node] == [n.SerializeToString() for n in theirs.graph.node]
    x = case.data()
    for a, b in zip(in_runtime(tmp_path / "ours.onnx", x), in_runtime(path, x), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", [name for name, make in CASES.items() if make().weights])
def test_with_other_weights_the_file_has_the_same_nodes(name: str, path: Path, tmp_path: Path):
    case, model = case_of(name), sx.models.load_model(path)
    for variable in model.weights:
        variable.assign(variable.numpy() * 1.1)
    model.export(tmp_path / "ours.onnx")
    ours, theirs = (onnx.load(p) for p in (tmp_path / "ours.onnx", path))
    assert [n.op_type for n in ours.graph.node] == [n.op_type for n in theirs.graph.node]
    assert {x.name for x in ours.graph.initializer} == {x.name for x in theirs.graph.initializer}
    for a, b in zip(in_runtime(tmp_path / "ours.onnx", case.data()), results(model, case.data()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_lifted_models_are_saved_cloned_and_described(name: str, path: Path, tmp_path: Path):
    case, model = case_of(name), sx.models.load_model(path)
    model.save(tmp_path / "saved.onnx")
    expected = results(model, case.data())
    clone = sx.models.clone_model(model)
    clone.set_weights(model.get_weights())
    remade = sx.models.model_from_json(model.to_json())
    remade.set_weights(model.get_weights())
    for other in (sx.models.load_model(tmp_path / "saved.onnx"), clone, remade):
        assert [type(x) for x in other.layers] == [type(x) for x in model.layers]
        for a, b in zip(results(other, case.data()), expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_layers_are_found_by_their_names_in_the_file(tmp_path: Path):
    model = sx.models.load_model(CASES["Conv, BatchNormalization, Relu"]().write(tmp_path / "f.onnx"))
    conv = model.get_layer("conv")
    assert model.get_layer("/conv/Conv") is conv is model.get_layer("a")
    assert {"a", "b", "y"} <= set(model.tensors())
    cut = sx.Model(model.input, model.tensors()["b"])
    assert cut.output_names == ["b"]
    with pytest.raises(ValueError, match="has no layer"):
        model.get_layer("/conv/Con")


def test_batch_normalization_and_dropout_live_in_training(tmp_path: Path):
    model = sx.models.load_model(CASES["Conv, BatchNormalization, Relu"]().write(tmp_path / "f.onnx"))
    x = CASES["Conv, BatchNormalization, Relu"]().data()
    before = model.get_layer("bn").moving_mean.numpy()
    model.trainable = True
    model(x, training=True)
    assert np.abs(model.get_layer("bn").moving_mean.numpy() - before).max() > 1e-3
    dropping = sx.models.load_model(CASES["Dropout"]().write(tmp_path / "d.onnx"))
    dropping.trainable = True
    assert dropping.get_layer("d").rate == pytest.approx(0.3)
    assert (np.asarray(dropping(np.ones((50, 4), np.float32), training=True)) == 0).any()


@pytest.mark.parametrize("operator", ["Clip", "Relu"])
def test_whole_numbers_stay_whole(tmp_path: Path, operator: str):
    inputs = {"Clip": "x,low,high", "Relu": "x"}[operator].split(",")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(operator, inputs, ["y"])], "theirs",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.INT64, ["N", 3])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT64, ["N", 3])],
        [onnx.numpy_helper.from_array(np.asarray(v, np.int64), k) for k, v in (("low", 0), ("high", 5))],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "f.onnx")
    found = np.asarray(sx.models.load_model(tmp_path / "f.onnx")(np.asarray([[-2, 4, 5]])))
    assert found.dtype == np.int64
    assert found.tolist() == [[0, 4, 5]]


def test_a_changed_layer_is_written_anew(tmp_path: Path):
    path = CASES["Gemm"]().write(tmp_path / "f.onnx")
    model = sx.models.load_model(path)
    model.get_layer("fc").activation = sx.activations.relu
    model.export(tmp_path / "ours.onnx")
    x = CASES["Gemm"]().data()
    expected = np.maximum(in_runtime(path, x)[0], 0)
    np.testing.assert_allclose(in_runtime(tmp_path / "ours.onnx", x)[0], expected, rtol=1e-5, atol=1e-6)


def test_weights_of_one_axis_that_a_file_shares_are_each_layers_own(tmp_path: Path):
    nodes = [
        ("Gemm", "x,a.weight,zero", "h", "/a/Gemm", {"transB": 1}),
        ("Gemm", "h,b.weight,zero", "y", "/b/Gemm", {"transB": 1}),
    ]
    weights = {"a.weight": draw(4, 4), "b.weight": draw(4, 4) + 1, "zero": np.zeros(4, np.float32)}
    path = Case(nodes, weights, (1, 4), {}).write(tmp_path / "f.onnx")
    model = sx.models.load_model(path)
    model.get_layer("a").bias.assign(np.ones(4))
    model.export(tmp_path / "ours.onnx")
    x = draw(3, 4)
    expected = (x @ weights["a.weight"].T + 1) @ weights["b.weight"].T
    np.testing.assert_allclose(np.asarray(model(x)), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(in_runtime(tmp_path / "ours.onnx", x)[0], expected, rtol=1e-4, atol=1e-5)


def test_a_kernel_between_equal_layers_stays_one(tmp_path: Path):
    model = sx.models.load_model(CASES["one layer called twice"]().write(tmp_path / "f.onnx"))
    assert len(model.weights) == 1
    assert len(model.get_layer("tied").calls) == 2


def test_summary_reads_like_the_network(tmp_path: Path):
    model = sx.models.load_model(CASES["Conv, BatchNormalization, Relu"]().write(tmp_path / "f.onnx"))
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    for text in ("conv (Conv2D)", "bn (BatchNormalization)", "relu (ReLU)", "(N, 4, 3, 3)"):
        assert text in lines[0]
