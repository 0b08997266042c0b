"""ONNX files of other libraries open as models: they predict, train, are cut, saved and exported."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import sardonyx as sx
from sardonyx.exporters.operators import UnsupportedOperatorError


def their_file(folder: Path, version: int = 13, half: bool = False) -> Path:
    """Conv, BatchNormalization, Relu, a Reshape that computes its shape, and Gemm: as PyTorch writes them."""
    draw = np.random.default_rng(0)

    def weight(name, *shape):
        return name, draw.normal(size=shape).astype(np.float32)

    weights = dict([
        weight("conv.weight", 4, 2, 3, 3), weight("conv.bias", 4), weight("bn.weight", 4), weight("bn.bias", 4),
        weight("bn.mean", 4), weight("fc.weight", 3, 64), weight("fc.bias", 3),
    ])  # fmt: skip
    weights["bn.var"] = np.abs(draw.normal(size=4)).astype(np.float32) + 0.5
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight", "conv.bias"], ["a"], "/conv/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "bn.weight", "bn.bias", "bn.mean", "bn.var"], ["b"], "/bn"),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Shape", ["c"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"], axis=0),
        helper.make_node("Unsqueeze", ["n", "axes"], ["n1"]),
        helper.make_node("Concat", ["n1", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["c", "shape"], ["flat"]),
        helper.make_node("Gemm", ["flat", "fc.weight", "fc.bias"], ["logits"], transB=1),
    ]
    constants = {"zero": np.int64(0), "axes": np.int64([0]), "rest": np.int64([-1])}
    if half:
        for name in ("fc.weight", "fc.bias"):
            nodes.insert(0, helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
            weights[f"{name}.half"] = weights.pop(name).astype(np.float16)
    graph = helper.make_graph(
        nodes, "theirs", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2, 4, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in {**weights, **constants}.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)
    onnx.checker.check_model(model)
    (folder / "theirs.onnx").write_bytes(model.SerializeToString())
    return folder / "theirs.onnx"


def in_runtime(path: Path, x: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})


IMAGES = np.random.default_rng(1).normal(size=(5, 2, 4, 4)).astype(np.float32)


@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16 behind Cast"])
def test_predictions_are_those_of_onnxruntime(tmp_path: Path, half: bool):
    path = their_file(tmp_path, half=half)
    model = sx.models.load_model(path)
    expected = in_runtime(path, IMAGES)[0]
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.asarray(model(IMAGES)), expected, rtol=1e-4, atol=1e-5)


def test_names_sizes_and_weights_are_those_of_the_file(tmp_path: Path):
    model = sx.models.load_model(their_file(tmp_path))
    assert (model.input_names, model.output_names) == (["x"], ["logits"])
    assert str(model.inputs[0].shape[0]) == "N"
    assert model.trainable_variables == []
    model.unfreeze()
    assert {v.path for v in model.trainable_variables} == {
        "conv.weight", "conv.bias", "bn.weight", "bn.bias", "fc.weight", "fc.bias"
    }  # fmt: skip
    assert {v.path for v in model.non_trainable_variables} == {"bn.mean", "bn.var"}


def test_weights_in_half_precision_become_variables_in_single(tmp_path: Path):
    model = sx.models.load_model(their_file(tmp_path, half=True))
    model.unfreeze()
    found = {v.path: v.dtype.name for v in model.trainable_variables}
    assert found["fc.weight"] == found["fc.bias"] == "float32"


def test_it_trains_and_goes_back_to_a_file(tmp_path: Path):
    model = sx.models.load_model(their_file(tmp_path))
    labels = np.asarray([0, 1, 2, 0, 1])
    model.unfreeze()
    model.compile("adam", sx.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = model.fit(IMAGES, labels, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    model.export(tmp_path / "ours.onnx")
    model.save(tmp_path / "saved.onnx")
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(in_runtime(tmp_path / "ours.onnx", IMAGES)[0], expected, rtol=1e-4, atol=1e-5)
    again = sx.models.load_model(tmp_path / "saved.onnx")
    np.testing.assert_allclose(again.predict(IMAGES, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_finite_differences(tmp_path: Path):
    model = sx.models.load_model(their_file(tmp_path))
    model.unfreeze()
    draw = np.random.default_rng(2)
    with sx.GradientTape() as tape:
        loss = sx.ops.sum(sx.ops.square(model(IMAGES)))
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
    ):
        direction = draw.normal(size=variable.shape).astype(np.float32)
        start, ends = variable.numpy(), []
        for sign in (1, -1):
            variable.assign(start + sign * 1e-3 * direction)
            ends.append(float(np.square(np.asarray(model(IMAGES)), dtype=np.float64).sum()))
        variable.assign(start)
        slope = (ends[0] - ends[1]) / 2e-3
        np.testing.assert_allclose(np.sum(np.asarray(gradient) * direction), slope, rtol=2e-2, atol=0.5)


def test_a_new_head_on_somebodys_file(tmp_path: Path):
    base = sx.models.load_model(their_file(tmp_path))
    model = sx.Model(base.input, sx.layers.Dense(2, name="head")(base.output))
    assert model.predict(IMAGES, verbose=0).shape == (5, 2)
    assert [v.path for v in model.trainable_variables] == ["head/kernel", "head/bias"]


def test_exported_files_of_our_own_open_too(tmp_path: Path):
    own = sx.Sequential([sx.Input((4,)), sx.layers.Dense(3, activation="relu"), sx.layers.Dense(2)])
    own.export(tmp_path / "own.onnx")
    x = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)
    found = sx.models.load_model(tmp_path / "own.onnx").predict(x, verbose=0)
    np.testing.assert_allclose(found, own.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def one_node(folder: Path, *arguments: object, inputs: dict[str, object], **attributes: object) -> Path:
    node = helper.make_node(*arguments, **attributes)
    given = [
        shape if isinstance(shape, onnx.ValueInfoProto)
        else helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in inputs.items()
    ]  # fmt: skip
    graph = helper.make_graph([node], "g", given, [helper.make_value_info("y", onnx.TypeProto())])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("their.own", 3)]
    (folder / "m.onnx").write_bytes(helper.make_model(graph, opset_imports=imports).SerializeToString())
    return folder / "m.onnx"


def test_operators_without_a_form_of_ours_stand_in_the_graph(tmp_path: Path):
    path = one_node(
        tmp_path, "RoiAlign", ["x", "rois", "batch"], ["y"], output_height=2, output_width=2, sampling_ratio=2,
        inputs={"x": [1, 2, 6, 6], "rois": ["R", 4], "batch": helper.make_tensor_value_info("batch", 7, ["R"])},
    )  # fmt: skip
    model = sx.models.load_model(path)
    draw = np.random.default_rng(4)
    corners = np.sort(draw.uniform(0, 5, size=(3, 2, 2)), axis=1).reshape(3, 4)
    values = [draw.normal(size=(1, 2, 6, 6)).astype(np.float32), corners.astype(np.float32), np.zeros(3, np.int64)]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = session.run(None, dict(zip(["x", "rois", "batch"], values, strict=True)))[0]
    model.save(tmp_path / "saved.onnx")
    for found in (model, sx.models.load_model(tmp_path / "saved.onnx")):
        np.testing.assert_allclose(np.asarray(found(values)), expected, rtol=1e-4, atol=1e-5)


SEQUENCE = helper.make_value_info(
    "x", helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [2]))
)
REFUSED = [
    ("operator", ("Magic", ["x"], ["y"], "spell"), {"domain": "their.own"}, {"x": [2]},
     "operator Magic of the domain 'their.own', version 3, at the node 'spell'"),
    ("computed shape", ("Reshape", ["x", "s"], ["y"], "flat"), {},
     {"x": [2], "s": helper.make_tensor_value_info("s", TensorProto.INT64, [1])},
     "Reshape 'flat': the shape is computed from the model's inputs, and must be a constant"),
    ("sequence", ("SequenceLength", ["x"], ["y"]), {}, {"x": SEQUENCE}, "the input 'x' is sequence"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "node", "attributes", "inputs", "message"), REFUSED, ids=[r[0] for r in REFUSED])
def test_what_cannot_be_computed_is_told(tmp_path: Path, what, node, attributes, inputs, message):
    path = one_node(tmp_path, *node, inputs=inputs, **attributes)
    with pytest.raises(UnsupportedOperatorError, match=message):
        sx.models.load_model(path)
