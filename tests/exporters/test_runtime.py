"""Sessions, opsets, and the comparison of NumPy with onnxruntime."""

import onnx
import pytest
from export_models import graph_of, inputs_of
from onnx import numpy_helper

import sardonyx as sx
from sardonyx.exporters.comparison import compare
from sardonyx.exporters.convert import run_graph, to_onnx
from sardonyx.exporters.opsets import newest_opset
from sardonyx.exporters.runtime import CUDA, onnxruntime, session, session_device


def content():
    return to_onnx(graph_of("mlp")).SerializeToString()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, r"""device: expected "cpu", "gpu" \(or "cuda"\) or "auto", got 'tpu'"""),
        ({"providers": ["MadeUp"]}, "providers: 'MadeUp' is not in the installed onnxruntime"),
    ],
)
def test_unknown_places(options, message):
    with pytest.raises(ValueError, match=message):
        session(content(), **options)


def test_a_demanded_gpu_is_there_or_an_error():
    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime can use a GPU")
    with pytest.raises(RuntimeError, match=r"sardonyx\[gpu\]"):
        session(content(), device="cuda")
    assert session_device(session(content())) == "cpu"


@pytest.mark.parametrize("opset", [16, 1000, "21", True])
def test_unknown_opset(opset):
    with pytest.raises(ValueError, match=f"17 to {newest_opset()}"):
        to_onnx(graph_of("mlp"), opset=opset)


def test_the_newest_opset_runs():
    graph = graph_of("mlp")
    assert len(run_graph(graph, *inputs_of(graph), opset=newest_opset())) == 1


def test_errors_name_node_and_line():
    graph = sx.trace(lambda x, i: sx.ops.take(x, i, axis=0), sx.TensorSpec((3,)), sx.TensorSpec((1,), "int64"))
    with pytest.raises(RuntimeError, match=r"operator Gather at 'Gather' failed(.|\n)*test_runtime.py"):
        run_graph(graph, *[sx.ops.convert_to_numpy(a) for a in (sx.ops.zeros(3), sx.ops.cast([7], "int64"))])


@pytest.mark.parametrize("name", ["mlp", "small_cnn", "residual", "lstm_sequence"])
def test_equal(name, tmp_path):
    graph = graph_of(name)
    onnx.save(to_onnx(graph), tmp_path / "m.onnx")
    found = compare(graph, tmp_path / "m.onnx", inputs_of(graph))
    assert found and found.first is None and found.largest < 1e-5
    assert found.compared > 0
    assert "equal" in str(found) and "DIFFERENT" not in str(found)


def test_the_first_node_that_differs_is_named():
    graph = graph_of("mlp")
    model = to_onnx(graph)
    for tensor in model.graph.initializer:
        if tensor.name == "d2_bias":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 2 + 1, "d2_bias"))
    found = compare(graph, model, inputs_of(graph))
    assert not found
    assert found.first is not None and found.first.node == "Gemm at 'Gemm_1'"
    assert "DIFFERENT" in str(found) and "first difference: Gemm at 'Gemm_1'" in str(found)


def test_another_models_file():
    other = sx.trace(lambda x, y: x + y, sx.TensorSpec((2,)), sx.TensorSpec((2,)))
    with pytest.raises(ValueError, match="the graph has 2 inputs, the file has 1"):
        compare(other, content(), [])
