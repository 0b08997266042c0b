"""Files are the same bytes whether the contents of weights went through a protobuf or straight from their arrays."""

import hashlib
import os

import numpy as np
import onnx
import pytest
from export_models import graph_of, inputs_of
from onnx import TensorProto, helper, numpy_helper

import sardonyx as sx
from sardonyx.exporters import external
from sardonyx.exporters.convert import to_graph, to_onnx
from sardonyx.exporters.external import write_proto
from sardonyx.exporters.held import LARGE, Held
from sardonyx.exporters.mapped import mapped_array, place_of
from sardonyx.exporters.read import open_source, read_model
from sardonyx.exporters.runtime import session
from sardonyx.exporters.serialize import checked, model_proto
from sardonyx.exporters.sharing import weights_apart


@pytest.mark.parametrize("kind", ["mlp", "vgg"])
def test_the_same_bytes(kind, tmp_path):
    plain = to_onnx(graph_of(kind)).SerializeToString(deterministic=True)
    held = Held()
    write_proto(tmp_path / "m.onnx", checked(to_onnx(graph_of(kind), held=held)))
    assert (tmp_path / "m.onnx").read_bytes() == plain


GROWN = np.arange(1024, dtype="float32")
ARRAYS = {
    "float32": GROWN,
    "float64": GROWN.astype("float64"),
    "float16": GROWN.astype("float16"),
    "int64": GROWN.astype("int64"),
    "int8": np.arange(2048).astype("int8"),
    "bool": GROWN > 3,
    "permuted": GROWN.reshape(16, 8, 8).transpose(2, 0, 1),
    "every_other": np.arange(4096, dtype="float32")[::2],
    "small": GROWN[:4],
    "one": np.float32(3),
    "none": np.zeros((0, 5), "float32"),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_a_tensor_is_what_onnx_writes(kind, tmp_path):
    held = Held()
    array = np.asarray(ARRAYS[kind])
    tensor = held.tensor(array, "w")
    assert (place_of(tensor) is not None) == (array.nbytes >= LARGE)
    expected = numpy_helper.from_array(np.asarray(array, order="C"), "w")
    write_proto(tmp_path / "m.onnx", one_weight(tensor))
    assert (tmp_path / "m.onnx").read_bytes() == one_weight(expected).SerializeToString(deterministic=True)


def one_weight(tensor):
    """A file with a tensor in every place that can hold one."""
    outputs = [helper.make_tensor_value_info("y", tensor.data_type, list(tensor.dims))]
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    branch = helper.make_graph([helper.make_node("Identity", ["w"], ["b"])], "b", [], outputs[:0], [tensor])
    node = helper.make_node("If", ["x"], ["i"], then_branch=branch, else_branch=branch)
    nodes = [constant, node, helper.make_node("Identity", ["w"], ["y"])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.BOOL, [])]
    model = helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, [tensor], doc_string="d" * 300))
    model.training_info.add().algorithm.initializer.add().CopyFrom(tensor)
    return model


@pytest.mark.parametrize("largest", [10**9, 1000])
def test_an_opened_file_is_written_without_its_contents_in_memory(largest, tmp_path):
    floats = TensorProto(name="w", dims=[2000], data_type=1, float_data=np.arange(2000, dtype="float32"))
    for name, tensor in (("raw", numpy_helper.from_array(np.arange(2000.0), "w")), ("floats", floats)):
        model = one_weight(tensor)
        (tmp_path / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
        source = open_source(tmp_path / f"{name}.onnx")
        write_proto(tmp_path / "again.onnx", source.frame, largest)
        if largest > 1000:
            assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / f"{name}.onnx").read_bytes()
        else:
            assert (tmp_path / "again.onnx.data").exists()
            read = read_model(tmp_path / "again.onnx").graph.initializer[0]
            np.testing.assert_array_equal(numpy_helper.to_array(read), numpy_helper.to_array(tensor))


def test_a_session_shares_weights_and_permutes_once():
    graph = graph_of("vgg")
    plain = session(to_onnx(graph).SerializeToString(), device="cpu")
    held = Held()
    content, weights = weights_apart(model_proto(to_graph(graph), 21, held=held))
    assert weights and all(array.flags.c_contiguous for array in weights.values())
    variables = [v.array for v in graph.variables]
    assert any(np.shares_memory(array, v) for array in weights.values() for v in variables)
    feed = {plain.get_inputs()[0].name: inputs_of(graph)[0]}
    shared = session(content, device="cpu", weights=weights)
    del weights, held
    np.testing.assert_array_equal(plain.run(None, feed)[0], shared.run(None, feed)[0])


def stacked():
    """A model with permuted kernels, a flattened picture, moments of an optimizer and random states."""
    model = sx.Sequential(
        [
            sx.Input((8, 8, 3)),
            sx.layers.Conv2D(16, 3, activation="relu"),
            sx.layers.BatchNormalization(),
            sx.layers.Flatten(),
            sx.layers.Dropout(0.1),
            sx.layers.Dense(24),
        ]
    )
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(16, 8, 8, 3)).astype("float32")
    model.fit(x, np.ones((16, 24), "float32"), verbose=0)
    return model, x


@pytest.mark.parametrize("what", ["save", "export"])
def test_beyond_the_limit_a_second_file_holds_the_weights(what, tmp_path, monkeypatch):
    model, x = stacked()
    getattr(model, what)(tmp_path / "one.onnx")
    monkeypatch.setattr(external, "LARGEST", 5000)
    getattr(model, what)(tmp_path / "two.onnx")
    assert sorted(os.listdir(tmp_path)) == ["one.onnx", "two.onnx", "two.onnx.data"]
    onnx.checker.check_model(str(tmp_path / "two.onnx"), full_check=True)
    expected = model.predict(x, verbose=0)
    np.testing.assert_array_equal(run_file(tmp_path / "two.onnx", x), expected)
    first, second = (sx.models.load_model(tmp_path / f"{name}.onnx") for name in ("one", "two"))
    for a, b in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    second.save(tmp_path / "two.onnx")
    np.testing.assert_array_equal(sx.models.load_model(tmp_path / "two.onnx").predict(x, verbose=0), expected)


def run_file(path, x):
    running = session(str(path), device="cpu")
    return running.run(None, {running.get_inputs()[0].name: x})[0]


def test_two_files_appear_together_or_not_at_all(tmp_path, monkeypatch):
    model, _ = stacked()
    monkeypatch.setattr(external, "LARGEST", 5000)
    model.save(tmp_path / "m.onnx")
    before = {name: hashlib.sha1((tmp_path / name).read_bytes()).digest() for name in os.listdir(tmp_path)}
    model.layers[-1].kernel.assign(model.layers[-1].kernel * 2.0)
    monkeypatch.setattr(external, "_write_contents", broken)
    with pytest.raises(OSError, match="disk is full"):
        model.save(tmp_path / "m.onnx")
    assert before == {n: hashlib.sha1((tmp_path / n).read_bytes()).digest() for n in os.listdir(tmp_path)}


def broken(file, contents):
    file.write(contents[0].read())
    raise OSError("the disk is full")


def test_a_flattened_picture_is_not_stored_twice(tmp_path):
    model, x = stacked()
    model.save(tmp_path / "m.onnx", include_optimizer=False)
    weights = sum(v.numpy().nbytes for v in model.variables)
    assert (tmp_path / "m.onnx").stat().st_size < weights * 1.05 + 12_000
    again = sx.models.load_model(tmp_path / "m.onnx")
    for a, b in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.nightly
def test_more_than_two_gigabytes(tmp_path):
    """A real one: 2.2 GB, of arrays that take a thousandth of that in memory."""
    held, rows = Held(), [np.arange(64, dtype="float32") + i for i in range(9)]
    tensors = [held.tensor(np.broadcast_to(row, (1_000_000, 64)), f"w{i}") for i, row in enumerate(rows)]
    nodes = [helper.make_node("Gather", [tensor.name, "x"], [f"y{i}"]) for i, tensor in enumerate(tensors)]
    outputs = [helper.make_tensor_value_info(f"y{i}", 1, ["n", 64]) for i in range(len(tensors))]
    inputs = [helper.make_tensor_value_info("x", TensorProto.INT64, ["n"])]
    model = helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, tensors), ir_version=10)
    write_proto(tmp_path / "m.onnx", checked(model))
    assert (tmp_path / "m.onnx").stat().st_size < 10_000
    assert (tmp_path / "m.onnx.data").stat().st_size > 2**31
    source = open_source(tmp_path / "m.onnx")
    for tensor, row in zip(source.frame.graph.initializer, rows, strict=True):
        array = mapped_array(tensor)
        assert array is not None
        np.testing.assert_array_equal(array[[0, 7, -1]], np.stack([row] * 3))
