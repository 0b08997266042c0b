"""Files for inputs of which something is true that they cannot say: they open, run equal, and tell a broken promise."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from promised_files import CASES, Case, squeezed_if_one
from their_files import close, draw, in_runtime, model_of, node, value

import sardonyx as sx

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def written(folder: Path, model: onnx.ModelProto) -> Path:
    path = folder / "theirs.onnx"
    onnx.save(model, path)
    return path


def predicted(model: Any, feed: dict[str, Any], runtime: str = "numpy") -> list[np.ndarray]:
    found = model.predict(feed if len(feed) > 1 else next(iter(feed.values())), verbose=0, runtime=runtime)
    return found if isinstance(found, list) else [found]


@every_case
def test_it_computes_what_onnxruntime_computes_and_goes_back_as_it_was(tmp_path: Path, case: Case):
    path = written(tmp_path, case.make())
    model, expected = sx.models.load_model(path), in_runtime(path, case.kept)
    close(predicted(model, case.kept), expected)
    close(predicted(model, case.kept, "onnxruntime"), expected)
    model.export(tmp_path / "ours.onnx")
    assert onnx.load(tmp_path / "ours.onnx") == onnx.load(path)


@every_case
def test_saved_cut_or_cloned_it_is_the_same(tmp_path: Path, case: Case):
    path = written(tmp_path, case.make())
    model, expected = sx.models.load_model(path), in_runtime(path, case.kept)
    model.save(tmp_path / "saved.onnx")
    close(predicted(sx.models.load_model(tmp_path / "saved.onnx"), case.kept), expected)
    twin = sx.models.clone_model(model)
    twin.set_weights(model.get_weights())
    close(predicted(twin, case.kept), expected)
    twice = sx.Model(model.input, sx.ops.multiply(model.outputs[0], 2.0))
    twice.export(tmp_path / "twice.onnx")
    close(in_runtime(tmp_path / "twice.onnx", case.kept), [2 * expected[0]])


@pytest.mark.parametrize("case", [c for c in CASES.values() if c.broken], ids=[k for k, c in CASES.items() if c.broken])
def test_a_broken_promise_is_an_error_where_it_runs(tmp_path: Path, case: Case):
    model = sx.models.load_model(written(tmp_path, case.make()))
    assert case.broken is not None
    with pytest.raises(sx.ShapeError, match="layer '"):
        predicted(model, case.broken)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_skip_connection_trains(tmp_path: Path, compiled: bool):
    model = sx.models.load_model(written(tmp_path, CASES["a skip connection"].make()))
    model.unfreeze()
    model.compile(sx.optimizers.SGD(0.01), "mse", jit_compile=compiled)
    x = draw(4, 1, 6, 8)
    losses = model.fit(x, np.zeros((4, 2, 6, 8)), epochs=3, batch_size=2, shuffle=False, verbose=0).history["loss"]
    assert losses[2] < losses[1] < losses[0]


def test_models_of_ones_own_are_still_told_that_sizes_may_differ():
    first, second = sx.Input((None, 3)), sx.Input((None, 3))
    with pytest.raises(sx.ShapeError, match="may differ"):
        sx.layers.Add()([first, second])


def test_a_choice_by_values_is_not_taken_for_a_promise(tmp_path: Path):
    model = squeezed_if_one()
    del model.graph.node[:3]
    model.graph.input.append(value("single", [], onnx.TensorProto.BOOL))
    with pytest.raises(ValueError, match="must agree"):
        sx.models.load_model(written(tmp_path, model))


def test_contents_may_stand_before_their_place(tmp_path: Path):
    """PyTorch writes of each large weight, after its contents, that they stand in the file."""
    weight = numpy_helper.from_array(draw(64, 64), "w")
    model = model_of([node("MatMul", ["x", "w"], ["y"], "product")], [value("x", ["n", 64])], [value("y", ["n", 64])])
    model.graph.initializer.append(weight)
    model.graph.initializer[0].data_location = onnx.TensorProto.DEFAULT
    path = written(tmp_path, model)
    assert path.read_bytes().count(b"p\x00") and len(weight.raw_data) == 16384
    opened, x = sx.models.load_model(path), draw(2, 64)
    close(predicted(opened, {"x": x}), in_runtime(path, {"x": x}))
    opened.export(tmp_path / "ours.onnx")
    close(in_runtime(tmp_path / "ours.onnx", {"x": x}), in_runtime(path, {"x": x}))


def stateful(rate: bool = True) -> onnx.ModelProto:
    """A voice detector's face: samples, a state whose first axis is no batch, and the rate as one number."""
    nodes = [
        node("ReduceSum", ["x", "one"], ["sum"], "sum", keepdims=1),
        node("Mul", ["state", "sum"], ["next"], "state_next"),
        node("Mul", ["sum", "rate"], ["y"], "scaled"),
    ]
    inputs = [value("x", ["batch", None]), value("state", [2, "batch", 3]), value("rate", [])]
    outputs = [value("y", ["batch", 1]), value("next", [2, "batch", 3])]
    return model_of(nodes, inputs, outputs, {"one": np.asarray([1])})


STATE = {"x": draw(40, 5), "state": draw(2, 40, 3), "rate": np.asarray(3, np.float32)}


@pytest.mark.parametrize("runtime", ["numpy", "onnxruntime", "auto"])
def test_inputs_without_an_axis_of_samples_are_one_batch(tmp_path: Path, runtime: str):
    path = written(tmp_path, stateful())
    model = sx.models.load_model(path)
    close(predicted(model, STATE, runtime), in_runtime(path, STATE))
    close(model.predict(list(STATE.values()), verbose=0, runtime=runtime), in_runtime(path, STATE))


def test_a_fixed_first_axis_is_not_cut(tmp_path: Path):
    path = written(tmp_path, model_of([node("Abs", ["x"], ["y"], "abs")], [value("x", [80, 2])], [value("y", [80, 2])]))
    x = draw(80, 2)
    close(predicted(sx.models.load_model(path), {"x": x}), [np.abs(x)])


def test_rows_that_become_one_result_are_not_cut(tmp_path: Path):
    nodes = [node("ReduceMean", ["x"], ["y"], "mean", keepdims=0)]
    path = written(tmp_path, model_of(nodes, [value("x", ["n", 2])], [value("y", [])]))
    x = draw(100, 2)
    close(predicted(sx.models.load_model(path), {"x": x}), [x.mean()])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"state": draw(3, 40, 3)}, sx.ShapeError, "input 'state': expected shape"),
        ({"x": draw(4)}, sx.ShapeError, "input 'x': expected shape"),
        ({"rate": draw(2)}, sx.ShapeError, "input 'rate': expected shape"),
        ({"rate": "fast"}, TypeError, "expected real numbers"),
    ],
)
def test_what_does_not_fit_is_told_by_its_input(tmp_path: Path, change: dict, error: type, message: str):
    model = sx.models.load_model(written(tmp_path, stateful()))
    with pytest.raises(error, match=message):
        model.predict({**STATE, **change}, verbose=0, runtime="numpy")


def test_training_needs_an_axis_of_samples(tmp_path: Path):
    model = sx.models.load_model(written(tmp_path, stateful()))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="is a single number; expected an array with one row a sample"):
        model.evaluate(STATE, [draw(40, 1), draw(2, 40, 3)], verbose=0)
