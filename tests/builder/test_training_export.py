"""The training step as files: run by onnxruntime alone, in Python and in Node.js, equal to the NumPy core."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import sardonyx as sx
from sardonyx import layers as L

STEPS, BATCH = 200, 32


def digits() -> tuple[np.ndarray, np.ndarray]:
    (x, y), _ = sx.datasets.digits.load_data()
    return (x.reshape(len(x), -1) / 16).astype("float32"), y.astype("int32")


def classifier(optimizer: Any = "adam") -> Any:
    sx.utils.set_random_seed(0)
    model = sx.Sequential(
        [sx.Input((64,), name="image"), L.Dense(32, activation="relu", name="hidden"), L.Dropout(0.1, seed=1),
         L.BatchNormalization(name="norm"), L.Dense(10, name="head")]
    )  # fmt: skip
    loss = sx.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    return model


def batches() -> list[tuple[np.ndarray, np.ndarray]]:
    x, y = digits()
    places = [(i * 8) % (len(x) - BATCH) for i in range(STEPS)]
    return [(x[p : p + BATCH], y[p : p + BATCH]) for p in places]


def on_numpy(model: Any) -> list[float]:
    losses = []
    for x, y in batches():
        model.reset_metrics()
        losses.append(model.train_on_batch(x, y, return_dict=True)["loss"])
    return losses


def sample_loop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The sample loop in Python as a module."""
    monkeypatch.chdir(folder)
    spec = importlib.util.spec_from_file_location("loop", folder / "loop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_python_trains_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    files = sx.export_training(classifier(), tmp_path / "train.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in files.values())
    loop = sample_loop(tmp_path, monkeypatch)
    model = classifier()
    found = [loop.train({"image": x}, {"labels": y})["loss"] for x, y in batches()]
    np.testing.assert_allclose(found, on_numpy(model), atol=1e-3)
    for variable, name in model.weight_names().items():
        np.testing.assert_allclose(loop.state[name], variable, atol=1e-3)
    x, y = digits()
    weights = {name: loop.state[name] for name in [v.name for v in onnxruntime.InferenceSession(
        tmp_path / "eval.onnx").get_inputs()] if name in loop.state}  # fmt: skip
    results = onnxruntime.InferenceSession(tmp_path / "eval.onnx").run(None, {"image": x, "labels": y, **weights})
    np.testing.assert_allclose(results, model.evaluate(x, y, batch_size=len(x), verbose=0), atol=1e-3)
    predict = onnxruntime.InferenceSession(tmp_path / "predict.onnx")
    fed = {x.name: loop.state[x.name] for x in predict.get_overridable_initializers()}
    np.testing.assert_allclose(predict.run(None, {"image": x, **fed})[0], model.predict(x, verbose=0), atol=1e-2)
    np.testing.assert_allclose(predict.run(None, {"image": x})[0], classifier().predict(x, verbose=0), atol=1e-4)


NODE = """
import { readFileSync, writeFileSync } from "node:fs";
import * as ort from "onnxruntime-node";
import { train, plan } from "./loop.mjs";
const bytes = readFileSync("batches.bin");
const data = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
const size = 32 * 65, losses = [];
for (let i = 0; i * size < data.length; i++) {
  const part = data.subarray(i * size, (i + 1) * size);
  const image = new ort.Tensor("float32", part.slice(0, 32 * 64), [32, 64]);
  const labels = new ort.Tensor("int32", Int32Array.from(part.slice(32 * 64)), [32]);
  losses.push((await train({ image }, { labels })).loss);
}
writeFileSync("losses.json", JSON.stringify({ losses, inputs: plan.inputs }));
"""


@pytest.mark.slow
def test_node_trains_from_the_file(tmp_path: Path):
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("Node.js is not installed")
    install = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "onnxruntime-node@1.22.0"]
    done = subprocess.run(install, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"npm cannot install onnxruntime-node here: {done.stderr[-200:]}")
    sx.export_training(classifier(), tmp_path / "train.onnx")
    (tmp_path / "main.mjs").write_text(NODE)
    rows = [np.concatenate([x.ravel(), y.astype("float32")]) for x, y in batches()]
    (tmp_path / "batches.bin").write_bytes(np.concatenate(rows).astype("<f4").tobytes())
    done = subprocess.run([node, "main.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "losses.json").read_text())
    assert told["inputs"] == [{"name": "image", "dtype": "float32", "shape": ["batch", 64]}]
    np.testing.assert_allclose(told["losses"], on_numpy(classifier()), atol=1e-3)


def test_training_info_is_filled_as_specified(tmp_path: Path):
    sx.export_training(classifier(sx.optimizers.Nadam(0.01)), tmp_path / "train.onnx")
    model = onnx.load(tmp_path / "predict.onnx")
    onnx.checker.check_model(model, full_check=True)
    (info,) = model.training_info
    names = {x.name for x in [*model.graph.initializer, *info.algorithm.initializer]}
    outputs = {x.name for x in info.algorithm.output}
    assert [x.name for x in info.algorithm.input] == ["image", "labels"]
    assert {x.key for x in info.update_binding} <= names
    assert {x.value for x in info.update_binding} <= outputs
    assert "nadam/u_product" in {x.key for x in info.update_binding}
    # run as the specification says: the algorithm with both graphs' initializers
    values = {x.name: onnx.numpy_helper.to_array(x) for x in [*model.graph.initializer, *info.algorithm.initializer]}
    step = onnx.ModelProto()
    step.CopyFrom(model)
    del step.training_info[:]
    step.graph.CopyFrom(info.algorithm)
    known = {x.name for x in step.graph.initializer}
    step.graph.initializer.extend(x for x in model.graph.initializer if x.name not in known)
    session = onnxruntime.InferenceSession(step.SerializeToString())
    x, y = batches()[0]
    found = dict(
        zip([o.name for o in session.get_outputs()], session.run(None, {"image": x, "labels": y}), strict=True)
    )
    reference = classifier(sx.optimizers.Nadam(0.01))
    reference.train_on_batch(x, y)
    binding = {entry.key: found[entry.value] for entry in info.update_binding}
    for variable, name in reference.weight_names().items():
        np.testing.assert_allclose(binding.get(name, values.get(name)), variable, atol=1e-5)


def test_several_inputs_and_outputs_a_schedule_and_given_labels(tmp_path: Path):
    a, b = sx.Input((3,), name="a"), sx.Input((4, 2), name="b")
    h = L.Dense(5)(L.Concatenate()([a, L.LSTM(3)(b)]))
    model = sx.Model({"a": a, "b": b}, {"value": L.Dense(1)(h), "kind": L.Dense(3, activation="softmax")(h)})
    rate = sx.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    losses = {"value": "mse", "kind": "categorical_crossentropy"}
    model.compile(sx.optimizers.SGD(rate, momentum=0.9), losses, metrics={"kind": ["accuracy"]})
    sx.export_training(model, tmp_path / "step.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "step.onnx")
    plan = json.loads(session.get_modelmeta().custom_metadata_map["sardonyx.training"])
    assert plan["learning_rate"] is None
    assert [x["name"] for x in plan["labels"]] == ["labels_kind", "labels_value"]
    assert set(plan["outputs"]) == {"loss", "kind_loss", "value_loss", "kind_accuracy"}
    specs = {"kind": sx.TensorSpec(("batch", 3), "float64"), "value": sx.TensorSpec(("batch", 1))}
    sx.export_training(model, tmp_path / "step.onnx", labels=specs)
    plan = json.loads(
        onnxruntime.InferenceSession(tmp_path / "step.onnx").get_modelmeta().custom_metadata_map["sardonyx.training"]
    )
    assert plan["labels"][0]["dtype"] == "float64"
    assert "step.onnx" in (tmp_path / "loop.py").read_text()
    with pytest.raises(ValueError, match=r"labels: expected a TensorSpec for each of the outputs \['kind', 'value'\]"):
        sx.export_training(model, tmp_path / "step.onnx", labels=[sx.TensorSpec(("batch", 3))])


def test_what_cannot_be_written_is_told_before_anything_is(tmp_path: Path):
    with pytest.raises(ValueError, match=r"is not compiled: call compile\(optimizer, loss\) before export_training"):
        sx.export_training(sx.Sequential([sx.Input((4,)), L.Dense(3)]), tmp_path / "train.onnx")
    x = sx.Input((3, 3))
    model = sx.Model(x, sx.ops.inv(x))
    model.compile("sgd", "mse")
    with pytest.raises(NotImplementedError, match="inv"):
        sx.export_training(model, tmp_path / "train.onnx")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        sx.export_training(classifier(), tmp_path / "no" / "train.onnx")
    with pytest.raises(ValueError, match="ends in .onnx"):
        sx.export_training(classifier(), tmp_path / "train.h5")
    assert not list(tmp_path.iterdir())
    (tmp_path / "eval.onnx").write_text("mine")
    with pytest.raises(FileExistsError, match=r"eval\.onnx"):
        sx.export_training(classifier(), tmp_path / "train.onnx", overwrite=False)
