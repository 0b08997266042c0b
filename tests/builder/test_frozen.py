"""Somebody's file as a layer on onnxruntime: inside of models, in training, in files, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from lifting_cases import CASES, draw
from onnx import TensorProto, helper, numpy_helper

import sardonyx as sx
from sardonyx.exporters.operators import UnsupportedOperatorError
from sardonyx.trainer.core.errors import DtypeError

L = sx.layers
X = np.random.default_rng(0).normal(size=(3, 2, 6, 6)).astype(np.float32)


def written(path: Path, nodes: list[Any], weights: dict[str, np.ndarray], opset: int = 17, **options: Any) -> Path:
    """A graph from `x` (images of 2 channels) to `y`."""
    imports = [helper.make_opsetid("", opset), *[helper.make_opsetid(*d) for d in options.pop("domains", ())]]
    graph = helper.make_graph(
        nodes, "theirs", [helper.make_tensor_value_info("x", TensorProto.FLOAT, options.pop("shape", ["N", 2, 6, 6]))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, options.pop("made", ["N", 4, 3, 3]))],
        [numpy_helper.from_array(v, k) for k, v in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=imports, ir_version=8, **options)
    path.write_bytes(model.SerializeToString())
    return path


def images(path: Path, opset: int = 17) -> Path:
    """Conv, BatchNormalization, Relu."""
    case = CASES["Conv, BatchNormalization, Relu"]()
    case.opset = opset
    return case.write(path)


def in_runtime(path: Path, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def with_head(path: Path, **options: Any) -> Any:
    """The file's features, a new head of ours."""
    x = sx.Input((2, 6, 6), name="x")
    h = L.FrozenONNX(path, name="base", **options)(x)
    return sx.Model(x, L.Dense(3, name="head")(L.Flatten()(h)))


def near(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-5, atol=1e-5)


# how a model is made, and how it is asked
STYLES: dict[str, Callable[[Path], Any]] = {
    "alone": L.FrozenONNX,
    "sequential": lambda path: sx.Sequential([sx.Input((2, 6, 6)), L.FrozenONNX(path)]),
    "functional": lambda path: (x := sx.Input((2, 6, 6)), sx.Model(x, L.FrozenONNX(path)(x)))[1],
    "from bytes": lambda path: L.FrozenONNX(path.read_bytes()),
    "load_model": lambda path: sx.models.load_model(path, frozen=True),
}


@pytest.mark.parametrize("style", STYLES)
def test_numbers_are_onnxruntimes_in_every_style(style: str, tmp_path: Path):
    path = images(tmp_path / "f.onnx")
    model, expected = STYLES[style](path), in_runtime(path, X)
    np.testing.assert_array_equal(np.asarray(model(X)), expected)
    if hasattr(model, "predict"):
        near(model.predict(X, verbose=0), expected)
        assert model.output_shape == (None, 4, 3, 3)


def test_a_subclassed_model_holds_one(tmp_path: Path):
    path = images(tmp_path / "f.onnx")

    class Net(sx.Model):
        def __init__(self) -> None:
            super().__init__()
            self.base, self.head = L.FrozenONNX(path), L.GlobalAveragePooling2D(data_format="channels_first")

        def call(self, inputs: Any) -> Any:
            return self.head(self.base(inputs))

    net = Net()
    expected = in_runtime(path, X).mean((2, 3))
    near(net(X), expected)
    near(net.predict(X, verbose=0), expected)


@pytest.mark.parametrize("eager", [False, True])
def test_a_head_is_trained_upon_it(eager: bool, tmp_path: Path):
    model = with_head(images(tmp_path / "f.onnx"))
    before = model.get_layer("base").get_weights()
    model.compile(sx.optimizers.Adam(0.05), "mse", run_eagerly=eager)
    losses = model.fit(X, draw(3, 3), epochs=10, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert len(model.trainable_variables) == 2
    for a, b in zip(before, model.get_layer("base").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("opset", [9, 12, 17, 21])
def test_one_file_holds_the_nodes_of_both(opset: int, tmp_path: Path):
    path = images(tmp_path / "f.onnx", opset)
    model = with_head(path)
    model.export(tmp_path / "joined.onnx")
    proto = onnx.load(tmp_path / "joined.onnx")
    onnx.checker.check_model(proto, full_check=True)
    assert {n.op_type for n in proto.graph.node} <= {"Conv", "BatchNormalization", "Relu", "Gemm", "Reshape", "Flatten"}
    assert not proto.functions
    near(in_runtime(tmp_path / "joined.onnx", X), model(X))


def test_its_nodes_stand_in_graphs_of_any_version(tmp_path: Path):
    model = with_head(images(tmp_path / "f.onnx"))
    graph = sx.trace(model, sx.TensorSpec(("batch", 2, 6, 6)))
    for opset in (17, 21):
        proto = sx.exporters.to_onnx(graph, ["x"], ["y"], opset=opset)
        found = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": X})[0]
        near(found, model(X))


def test_it_is_saved_copied_and_described(tmp_path: Path):
    import copy

    path = images(tmp_path / "f.onnx")
    model = with_head(path)
    expected = np.asarray(model(X))
    model.save(tmp_path / "m.onnx")
    path.unlink()
    clone = sx.models.clone_model(model)
    clone.set_weights(model.get_weights())
    remade = sx.models.model_from_json(model.to_json())
    remade.set_weights(model.get_weights())
    for other in (sx.models.load_model(tmp_path / "m.onnx"), clone, remade, copy.deepcopy(model)):
        assert type(other.get_layer("base")) is L.FrozenONNX
        near(other(X), expected)


def test_the_whole_file_goes_back_as_it_was(tmp_path: Path):
    path = images(tmp_path / "f.onnx")
    model = sx.models.load_model(path, frozen=True)
    assert [type(x).__name__ for x in model.layers] == ["InputLayer", "FrozenONNX"]
    assert (model.input_names, model.output_names) == (["x"], ["y"])
    model.export(tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == path.read_bytes()


def test_a_part_between_tensors(tmp_path: Path):
    path = images(tmp_path / "f.onnx")
    middle = L.FrozenONNX(path, outputs=["a", "b"])
    a, b = middle(X)
    near(np.maximum(np.asarray(b), 0), in_runtime(path, X))
    tail = L.FrozenONNX(path, inputs=["a"], outputs=["y"])
    near(tail(np.asarray(a)), in_runtime(path, X))
    assert (tail.input_names, tail.output_names) == (("a",), ("y",))
    with pytest.raises(ValueError, match="has no tensor 'c'"):
        L.FrozenONNX(path, outputs=["c"])
    with pytest.raises(ValueError, match="needs the input 'x', too"):
        L.FrozenONNX(path, inputs=["b"], outputs=["a"])


def test_what_is_before_it_is_not_trained_without_a_word(tmp_path: Path):
    path = images(tmp_path / "f.onnx")

    def gradient(**options: Any) -> Any:
        before, base = L.Conv2D(2, 1, data_format="channels_first"), L.FrozenONNX(path, name="base", **options)
        with sx.GradientTape() as tape:
            loss = sx.ops.sum(base(before(X)))
        return tape.gradient(loss, before.trainable_variables)

    with pytest.raises(ValueError, match=r"'base' runs on onnxruntime and has no gradient.*stop_gradient=True"):
        gradient()
    assert gradient(stop_gradient=True) == [None, None]


def test_bad_input_is_named(tmp_path: Path):
    layer = L.FrozenONNX(images(tmp_path / "f.onnx"), name="base")
    with pytest.raises(DtypeError, match=r"the input 'x' is float32 in the file, got int64; convert it before"):
        layer(X.astype(np.int64))
    with pytest.raises(ValueError, match=r"takes 1 inputs \(x\), got 2"):
        layer([X, X])
    with pytest.raises(Exception, match="base"):
        layer(X[:, :1])
    near(layer(X.astype(np.float64)), layer(X))


def test_other_weights_make_another_session(tmp_path: Path):
    path = images(tmp_path / "f.onnx")
    layer = L.FrozenONNX(path)
    before = np.asarray(layer(X))
    layer.set_weights([np.zeros_like(w) if w.ndim == 4 else w for w in layer.get_weights()])
    assert np.abs(np.asarray(layer(X)) - before).max() > 0.1


# -- operators that we do not know -------------------------------------------------------------------------------------


def fused(path: Path) -> Path:
    """onnxruntime's own operator between two of ONNX's."""
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight"], ["a"], "/conv/Conv", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("FusedConv", ["a", "w"], ["b"], "fused", domain="com.microsoft", activation="Relu"),
        helper.make_node("Relu", ["b"], ["y"], "/relu/Relu"),
    ]
    weights = {"conv.weight": draw(4, 2, 3, 3), "w": draw(4, 4, 1, 1)}
    return written(path, nodes, weights, domains=[("com.microsoft", 1)])


def quantized(path: Path) -> Path:
    """A convolution of whole numbers between two of ours."""
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight"], ["a"], "/conv/Conv", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("QuantizeLinear", ["a", "s", "z"], ["q"], "quantize"),
        helper.make_node("QLinearConv", ["q", "s", "z", "w", "s", "zw", "s", "z"], ["r"], "quantized"),
        helper.make_node("DequantizeLinear", ["r", "s", "z"], ["d"], "unpack"),
        helper.make_node("Relu", ["d"], ["y"], "/relu/Relu"),
    ]
    weights = {
        "conv.weight": draw(4, 2, 3, 3), "s": np.float32(0.05), "z": np.uint8(128), "zw": np.int8(0),
        "w": np.random.default_rng(1).integers(-20, 20, (4, 4, 1, 1)).astype(np.int8),
    }  # fmt: skip
    return written(path, nodes, {k: np.asarray(v) for k, v in weights.items()})


@pytest.mark.parametrize("make", [fused, quantized])
def test_only_what_we_do_not_know_is_frozen(make: Callable[[Path], Path], tmp_path: Path):
    path = make(tmp_path / "f.onnx")
    model = sx.models.load_model(path, frozen="unsupported")
    assert [type(x).__name__ for x in model.layers[1:]] == ["Conv2D", "FrozenONNX", "ReLU"]
    expected = in_runtime(path, X)
    near(model(X), expected)
    near(model.predict(X, verbose=0), expected)
    assert model.output_shape == (None, 4, 3, 3)
    model.export(tmp_path / "again.onnx")
    np.testing.assert_array_equal(in_runtime(tmp_path / "again.onnx", X), expected)


def test_a_head_upon_a_file_with_operators_of_onnxruntime(tmp_path: Path):
    base = sx.models.load_model(fused(tmp_path / "f.onnx"), frozen="unsupported")
    model = sx.Model(base.input, L.Dense(2)(L.Flatten()(base.output)))
    model.compile("adam", "mse")
    model.fit(X, draw(3, 2), epochs=2, verbose=0)
    model.export(tmp_path / "joined.onnx")
    proto = onnx.load(tmp_path / "joined.onnx")
    assert "FusedConv" in {n.op_type for n in proto.graph.node}
    near(in_runtime(tmp_path / "joined.onnx", X), model(X))
    model.save(tmp_path / "saved.onnx")
    near(sx.models.load_model(tmp_path / "saved.onnx")(X), model(X))


def test_operators_that_nobody_knows_are_named(tmp_path: Path):
    nodes = [helper.make_node("Magic", ["x"], ["y"], "m", domain="my.company")]
    path = written(tmp_path / "f.onnx", nodes, {}, domains=[("my.company", 1)], made=["N", 2, 6, 6])
    with pytest.raises(UnsupportedOperatorError, match=r"does not know the operator Magic of 'my\.company'"):
        sx.models.load_model(path, frozen=True)(X)
    with pytest.raises(UnsupportedOperatorError, match="frozen='unsupported'"):
        sx.models.load_model(path)
    with pytest.raises(ValueError, match='frozen: expected True, False or "unsupported"'):
        sx.models.load_model(path, frozen="all")


def test_functions_of_the_file_come_with_it(tmp_path: Path):
    body = helper.make_function(
        "local", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    nodes = [helper.make_node("Twice", ["x"], ["h"], "t", domain="local"), helper.make_node("Relu", ["h"], ["y"], "r")]
    path = written(
        tmp_path / "f.onnx", nodes, {}, domains=[("local", 1)], functions=[body], shape=["N", 4], made=["N", 4]
    )
    x = draw(3, 4)
    inputs = sx.Input((4,), name="x")
    model = sx.Model(inputs, L.Dense(2)(L.FrozenONNX(path)(inputs)))
    model.export(tmp_path / "joined.onnx")
    near(in_runtime(tmp_path / "joined.onnx", x), model(x))
    graph = sx.trace(model, sx.TensorSpec(("batch", 4)))
    proto = sx.exporters.to_onnx(graph, ["x"], ["y"], opset=21)
    near(onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": x})[0], model(x))


def test_sizes_that_depend_on_values_are_new_ones(tmp_path: Path):
    nodes = [
        helper.make_node("NonZero", ["x"], ["n"]), helper.make_node("Transpose", ["n"], ["t"]),
        helper.make_node("Cast", ["t"], ["y"], to=TensorProto.FLOAT),
    ]  # fmt: skip
    path = written(tmp_path / "f.onnx", nodes, {}, shape=["N", 4], made=["M", 2])
    layer, x = L.FrozenONNX(path), sx.Input((4,))
    assert layer(x).shape[1] == 2
    assert not isinstance(layer(x).shape[0], int)
    model = sx.Model(x, L.Dense(2)(layer(x)))
    values = np.asarray([[0, 1, 0, 2], [3, 0, 0, 0]], np.float32)
    assert model(values).shape == (3, 2)


def test_damaged_descriptions_are_refused(tmp_path: Path):
    config = L.FrozenONNX(images(tmp_path / "f.onnx")).get_config()
    for damage in ({"model": "no base64"}, {"model": "AAAA"}, {"weights": [["a", [-1], "float32"]]}):
        with pytest.raises(ValueError, match="damaged"):
            L.FrozenONNX.from_config({**config, **damage})
    with pytest.raises(FileNotFoundError):
        L.FrozenONNX(tmp_path / "none.onnx")
    with pytest.raises(ValueError, match="not an ONNX file"):
        L.FrozenONNX(b"nothing of the kind")


def test_two_of_one_file_stand_side_by_side(tmp_path: Path):
    path = images(tmp_path / "f.onnx")
    x = sx.Input((2, 6, 6), name="x")
    model = sx.Model(x, L.Concatenate(axis=1)([L.FrozenONNX(path)(x), L.FrozenONNX(path)(sx.ops.negative(x))]))
    model.export(tmp_path / "joined.onnx")
    names = [n.name for n in onnx.load(tmp_path / "joined.onnx").graph.node]
    assert len(names) == len(set(names))
    near(in_runtime(tmp_path / "joined.onnx", X), model(X))
