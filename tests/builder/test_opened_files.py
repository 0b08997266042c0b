"""Idioms of exporters: each file opens, computes what onnxruntime computes, trains, and goes back as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from their_files import (
    FILES,
    called,
    channels_last,
    close,
    data,
    draw,
    in_runtime,
    model_of,
    names_of,
    node,
    value,
    write,
)

import sardonyx as sx

every_file = pytest.mark.parametrize("name", FILES)


@every_file
def test_it_computes_what_onnxruntime_computes(tmp_path: Path, name: str):
    path = write(tmp_path, name)
    model, feed = sx.models.load_model(path), data(path)
    close(called(model, feed), in_runtime(path, feed))


@every_file
def test_untouched_it_goes_back_byte_for_byte_also_after_being_saved_here(tmp_path: Path, name: str):
    path = write(tmp_path, name)
    model, original = sx.models.load_model(path), onnx.load(path)
    model.export(tmp_path / "ours.onnx")
    assert onnx.load(tmp_path / "ours.onnx") == original
    model.save(tmp_path / "saved.onnx")
    sx.models.load_model(tmp_path / "saved.onnx").export(tmp_path / "again.onnx")
    assert onnx.load(tmp_path / "again.onnx") == original


@every_file
def test_after_training_all_but_the_weights_is_as_it_was(tmp_path: Path, name: str):
    path = write(tmp_path, name)
    model, feed, original = sx.models.load_model(path), data(path), onnx.load(path)
    model.unfreeze()
    assert len(model.trainable_variables) == FILES[name][1]
    for variable in model.trainable_variables:
        variable.assign(variable.numpy() * 1.5)
    model.export(tmp_path / "ours.onnx")
    found = onnx.load(tmp_path / "ours.onnx")
    close(in_runtime(tmp_path / "ours.onnx", feed), called(model, feed))
    assert [x.name for x in found.graph.output] == [x.name for x in original.graph.output]
    assert (found.graph.name, found.graph.doc_string) == ("their graph", "what it is for")
    assert found.graph.output[0].doc_string == "what comes out"
    assert {x.key: x.value for x in found.metadata_props} == {"names": "cat,dog"}
    assert found.opset_import == original.opset_import
    kept = [x for x in found.graph.node if x in original.graph.node]
    assert len(kept) >= len(original.graph.node) - FILES[name][1]


@every_file
def test_with_something_new_behind_it_the_rest_stays(tmp_path: Path, name: str):
    path = write(tmp_path, name)
    model, feed, original = sx.models.load_model(path), data(path), onnx.load(path)
    twice = sx.Model(model.input, sx.ops.multiply(model.outputs[0], 2.0))
    twice.export(tmp_path / "ours.onnx")
    found = onnx.load(tmp_path / "ours.onnx")
    close(in_runtime(tmp_path / "ours.onnx", feed), [2 * in_runtime(path, feed)[0]])
    assert [x.name for x in found.graph.input][: len(feed)] == list(feed)
    if original.opset_import[0].version >= 17:
        assert names_of(original) <= names_of(found)
    assert {x.key: x.value for x in found.metadata_props}["names"] == "cat,dog"


@every_file
def test_gradients_of_all_weights_are_those_of_finite_differences(tmp_path: Path, name: str):
    path = write(tmp_path, name)
    model, feed = sx.models.load_model(path), data(path)
    model.unfreeze()
    factors = [draw(*x.shape, seed=3) for x in called(model, feed)]
    values = list(feed.values())

    def loss() -> Any:
        results = sx.tree.flatten(model(values[0] if len(values) == 1 else values))
        return sum(sx.ops.sum(x * f) for x, f in zip(results, factors, strict=True))

    with sx.GradientTape() as tape:
        total = loss()
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(total, model.trainable_variables), strict=True
    ):
        direction, start, ends = draw(*variable.shape, seed=5), variable.numpy(), []
        for sign in (1, -1):
            variable.assign(start + sign * 2e-3 * direction)
            ends.append(float(np.asarray(loss())))
        variable.assign(start)
        slope = (ends[0] - ends[1]) / 4e-3
        np.testing.assert_allclose(np.sum(np.asarray(gradient) * direction), slope, rtol=2e-2, atol=5e-3)


def test_layers_keep_names_and_are_cut_and_cloned_like_others(tmp_path: Path):
    model = sx.models.load_model(write(tmp_path, "a function of its own"))
    assert [layer.name for layer in model.layers] == ["x", "block", "head"]
    cut = sx.Model(model.input, model.get_layer("block").output)
    x = draw(2, 4)
    cut.export(tmp_path / "cut.onnx")
    close(in_runtime(tmp_path / "cut.onnx", {"x": x}), called(cut, {"x": x}))
    found = onnx.load(tmp_path / "cut.onnx")
    assert [n.name for n in found.graph.node if n.domain] == ["block"] and len(found.functions) == 1
    twin = sx.models.clone_model(model)
    twin.set_weights(model.get_weights())
    close(called(twin, {"x": x}), called(model, {"x": x}))


def test_the_newest_operators_take_nodes_that_have_not_changed_since(tmp_path: Path):
    model, x = sx.models.load_model(write(tmp_path, "channels last")), draw(2, 6, 5, 2)
    model.export(tmp_path / "newer.onnx", opset=20)
    found = onnx.load(tmp_path / "newer.onnx")
    assert found.opset_import[0].version == 20
    assert [n.name for n in found.graph.node] == [n.name for n in channels_last().graph.node]
    close(in_runtime(tmp_path / "newer.onnx", {"x:0": x}), called(model, {"x:0": x}))


def test_normalization_and_dropout_live_in_training(tmp_path: Path):
    nodes = [
        node("BatchNormalization", ["x", "s", "b", "m", "v"], ["n"], "bn", momentum=0.5),
        node("Dropout", ["n"], ["y"], "drop"),
    ]
    ones, zeros = np.ones(3, np.float32), np.zeros(3, np.float32)
    weights = {"s": ones, "b": zeros, "m": zeros, "v": ones}
    file = model_of(nodes, [value("x", ["N", 3])], [value("y", ["N", 3])], weights)
    (tmp_path / "m.onnx").write_bytes(file.SerializeToString())
    for lift in (True, False):
        model, x = sx.models.load_model(tmp_path / "m.onnx", lift=lift), draw(64, 3) + 5
        model.unfreeze()
        moving = next(v for v in model.non_trainable_variables if v.path.endswith("m"))
        still = np.asarray(model(x))
        np.testing.assert_allclose(still, x, rtol=1e-4)
        living = np.asarray(model(x, training=True))
        assert 0.3 < np.mean(living == 0) < 0.7
        np.testing.assert_allclose(moving.numpy(), 0.5 * x.mean(0), rtol=1e-4)
        model.export(tmp_path / "after.onnx")
        found = onnx.load(tmp_path / "after.onnx")
        assert [n.op_type for n in found.graph.node] == ["BatchNormalization", "Dropout"]
        np.testing.assert_allclose(in_runtime(tmp_path / "after.onnx", {"x": x})[0], np.asarray(model(x)), rtol=1e-4)


def test_weights_lie_in_the_file_until_they_change(tmp_path: Path):
    weights = {"w": draw(64, 64), "b": draw(64)}
    nodes = [node("Gemm", ["x", "w", "b"], ["y"], "fc")]
    file = model_of(nodes, [value("x", ["N", 64])], [value("y", ["N", 64])], weights)
    path, feed = tmp_path / "m.onnx", {"x": draw(2, 64)}
    onnx.save_model(file, path, save_as_external_data=True, location="m.data", size_threshold=0)
    model = sx.models.load_model(path, lift=False)
    kernel = next(v for v in model.weights if v.ndim == 2)
    assert not kernel.array.flags.owndata
    before = (tmp_path / "m.data").read_bytes()
    expected = in_runtime(path, feed)
    kernel.assign(kernel.numpy() * 2)
    assert (tmp_path / "m.data").read_bytes() == before
    model.export(path)
    assert not any(t.data_location for t in onnx.load(path, load_external_data=False).graph.initializer)
    assert not np.allclose(in_runtime(path, feed)[0], expected[0])


def test_other_shapes_for_inputs(tmp_path: Path):
    path = write(tmp_path, "channels last")
    model = sx.models.load_model(path, shapes={"x:0": ("n", "height", 8, 2)})
    assert [str(size) for size in model.inputs[0].shape] == ["n", "height", "8", "2"]
    assert np.asarray(model(draw(1, 9, 8, 2))).shape == (1, 9, 8, 3)
    for shapes, kind, message in [
        ({"y": (1,)}, ValueError, "the file has no input 'y'; its inputs are x:0"),
        ({"x:0": (1, 2)}, ValueError, "the input 'x:0' has 4 axes in the file, got 2"),
        ({"x:0": "n"}, TypeError, "expected a tuple of sizes for the input 'x:0'"),
    ]:
        with pytest.raises(kind, match=message):
            sx.models.load_model(path, shapes=shapes)


def test_a_report_says_what_is_trained_and_why_not(tmp_path: Path):
    path = write(tmp_path, "inputs left out")
    model = sx.models.load_model(path)
    report = sx.models.describe(path)
    assert (report.inputs, report.outputs) == ({"x": "float32 (N, 2, 3, 3)"}, {"y": "float32 (N, 3)"})
    assert report.opsets == {"": 17} and report.operators["Resize"] == 1 and report.producer == "theirs"
    reasons = {fact.name.rpartition("/")[2]: (fact.trained, fact.reason) for fact in report.weights}
    assert "of a frozen layer" in reasons["w"][1] and "says how an operator works" in reasons["scales"][1]
    model.unfreeze()
    assert [fact.trained for fact in sx.models.describe(model).weights].count(True) == 1
    assert "1 arrays, 6 numbers: of a layer that is not frozen" in str(sx.models.describe(model))


def test_large_weights_written_as_numbers_stay_numbers(tmp_path: Path):
    file = model_of([node("MatMul", ["x", "w"], ["y"])], [value("x", ["N", 64])], [value("y", ["N", 64])])
    weight = draw(64, 64)
    file.graph.initializer.append(onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, (64, 64), weight.reshape(-1)))
    (tmp_path / "m.onnx").write_bytes(file.SerializeToString())
    model = sx.models.load_model(tmp_path / "m.onnx")
    np.testing.assert_array_equal(model.weights[0].numpy(), weight)
    model.export(tmp_path / "ours.onnx")
    assert onnx.load(tmp_path / "ours.onnx") == file
