"""Files appear whole or not at all, and nothing is believed of those that are read."""

import os

import numpy as np
import onnx
import pytest
from export_models import graph_of, inputs_of
from onnx import TensorProto, helper, numpy_helper

from sardonyx.exporters.convert import to_graph, to_onnx, write_onnx
from sardonyx.exporters.external import write_model
from sardonyx.exporters.files import write_atomically, written_atomically
from sardonyx.exporters.limits import Budget, check_file
from sardonyx.exporters.read import read_model
from sardonyx.exporters.runtime import session


def test_written_whole(tmp_path):
    write_atomically(tmp_path / "a.bin", b"first")
    write_atomically(tmp_path / "a.bin", b"second")
    assert (tmp_path / "a.bin").read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_an_error_leaves_the_old_file_and_no_other(tmp_path):
    write_atomically(tmp_path / "a.bin", b"first")

    def half() -> None:
        with written_atomically(tmp_path / "a.bin") as file:
            file.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert (tmp_path / "a.bin").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("missing/m.onnx", FileNotFoundError, "the folder .*missing' does not exist"),
        (".", IsADirectoryError, "it is a folder"),
        ("file/m.onnx", NotADirectoryError, "is a file, not a folder"),
    ],
)
def test_unwritable(tmp_path, path, error, message):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(error, match=message):
        write_onnx(tmp_path / path, graph_of("mlp"))


def test_one_file_unless_it_is_too_large(tmp_path):
    graph = graph_of("vgg")
    write_onnx(tmp_path / "small.onnx", graph)
    assert os.listdir(tmp_path) == ["small.onnx"]
    write_model(tmp_path / "large.onnx", to_graph(graph), 21, largest=1000)
    assert sorted(os.listdir(tmp_path)) == ["large.onnx", "large.onnx.data", "small.onnx"]
    onnx.checker.check_model(str(tmp_path / "large.onnx"), full_check=True)
    small, large = (session(str(tmp_path / name), device="cpu") for name in ("small.onnx", "large.onnx"))
    feed = {"x": inputs_of(graph)[0]}
    np.testing.assert_array_equal(small.run(None, feed)[0], large.run(None, feed)[0])
    assert len(read_model(tmp_path / "large.onnx").graph.initializer) == len(
        read_model(tmp_path / "small.onnx").graph.initializer
    )


def test_damaged_external_data(tmp_path):
    write_model(tmp_path / "m.onnx", to_graph(graph_of("vgg")), 21, largest=1000)
    data = tmp_path / "m.onnx.data"
    content = bytearray(data.read_bytes())
    content[10] ^= 1
    data.write_bytes(content)
    with pytest.raises(ValueError, match="damaged: its checksum"):
        read_model(tmp_path / "m.onnx")
    data.write_bytes(content[:100])
    with pytest.raises(ValueError, match="has 100 bytes, needed are"):
        read_model(tmp_path / "m.onnx")


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "", "linked", "hard", "a\\b", "missing"])
def test_external_data_elsewhere(tmp_path, location):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(4))
    (folder / "linked").symlink_to(tmp_path / "secret")
    os.link(tmp_path / "secret", folder / "hard")
    tensor = TensorProto(name="w", dims=[1], data_type=1, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    (folder / "m.onnx").write_bytes(model_with([tensor]).SerializeToString())
    with pytest.raises(ValueError, match="external data of tensor 'w'"):
        read_model(folder / "m.onnx")


def model_with(initializers=(), nodes=(), functions=()):
    values = [helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    nodes = list(nodes) or [helper.make_node("Identity", ["x"], ["y"])]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], initializers)
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("f", 1)]
    return helper.make_model(graph, opset_imports=imports, functions=list(functions))


def nested_functions(depth):
    """Each function calls the one below twice: 2**depth nodes in a few bytes."""
    made = []
    for i in range(depth):
        domain, below = ("f", f"f{i - 1}") if i else ("", "Neg")
        calls = [helper.make_node(below, [a], [b], domain=domain) for a, b in (("x", "t"), ("t", "y"))]
        made.append(helper.make_function("f", f"f{i}", ["x"], ["y"], calls, [helper.make_opsetid("", 21)]))
    return model_with((), [helper.make_node(f"f{depth - 1}", ["x"], ["y"], domain="f")], made)


def nested_graphs(depth):
    node = helper.make_node("Identity", ["x"], ["y"])
    for _ in range(depth):
        body = helper.make_graph([node], "b", [], [helper.make_tensor_value_info("y", 1, [1])])
        node = helper.make_node("If", ["x"], ["y"], then_branch=body, else_branch=body)
        if len(node.SerializeToString()) > 1 << 16:
            break
    return model_with((), [node])


def endless():
    call = helper.make_node("f0", ["x"], ["y"], domain="f")
    return model_with(
        (), [call], [helper.make_function("f", "f0", ["x"], ["y"], [call], [helper.make_opsetid("", 21)])]
    )


def short_tensor():
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    tensor.raw_data = tensor.raw_data[:7]
    return model_with([tensor])


HUGE = TensorProto(name="w", dims=[2**40, 2**20], data_type=1)
FOREIGN = [
    ("empty", b"", "the file is empty"),
    ("text", b"this is no model at all", "is not an ONNX file"),
    ("zip", b"PK\x03\x04" + bytes(100), "is not an ONNX file"),
    ("cut", None, "is not an ONNX file, or is cut off"),
    ("functions", nested_functions(25).SerializeToString(), "33,554,432 nodes after inlining"),
    ("deep", nested_functions(60).SerializeToString(), "graphs nest"),
    ("graphs", nested_graphs(8).SerializeToString(), None),
    ("endless", endless().SerializeToString(), "'f0' calls itself"),
    ("huge", model_with([HUGE]).SerializeToString(), "more than 17,179,869,184"),
    ("negative", model_with([TensorProto(name="w", dims=[-1], data_type=1)]).SerializeToString(), "negative size -1"),
    (
        "type",
        model_with([TensorProto(name="w", dims=[1], data_type=999)]).SerializeToString(),
        "unknown element type 999",
    ),
    ("short", short_tensor().SerializeToString(), "has 7 bytes of data where its shape needs 16"),
]


@pytest.mark.parametrize(("content", "message"), [c[1:] for c in FOREIGN], ids=[c[0] for c in FOREIGN])
def test_foreign_files(tmp_path, content, message):
    path = tmp_path / "m.onnx"
    path.write_bytes(to_onnx(graph_of("mlp")).SerializeToString()[:-40] if content is None else content)
    if message is None:
        assert read_model(path).graph.node
        return
    with pytest.raises(ValueError, match=message):
        read_model(path)


def test_budget_can_be_set():
    content = to_onnx(graph_of("mlp")).SerializeToString()
    assert check_file(content).graph.node
    for budget, message in [
        (Budget(nodes=3), "4 nodes"),
        (Budget(file_bytes=9), "bytes, more than the 9"),
        (Budget(total_bytes=9), "tensors of"),
    ]:
        with pytest.raises(ValueError, match=message):
            check_file(content, budget)


@pytest.mark.parametrize(("path", "error"), [("none.onnx", FileNotFoundError), (".", IsADirectoryError)])
def test_nothing_to_read(tmp_path, path, error):
    with pytest.raises(error):
        read_model(tmp_path / path)
