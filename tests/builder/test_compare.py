"""A model against its exported file: equal, or the first node that differs is named."""

from pathlib import Path

import numpy as np
import onnx
import pytest

import sardonyx as sx
from sardonyx import layers


class Net(sx.Model):
    """A subclassed model."""

    def __init__(self) -> None:
        super().__init__(name="net")
        self.conv = layers.Conv2D(4, 3, activation="relu", name="conv")
        self.head = layers.Dense(3, name="head")

    def call(self, image):
        x = self.conv(image)
        return self.head(sx.ops.mean(x, axis=(1, 2)))


@pytest.fixture
def model() -> sx.Model:
    net = Net()
    net.build((None, 6, 6, 1))
    return net


DATA = np.random.default_rng(0).standard_normal((5, 6, 6, 1)).astype(np.float32)


def test_an_exported_model_is_equal(model: sx.Model, tmp_path: Path):
    model.export(tmp_path / "m.onnx")
    found = sx.exporters.compare(model, tmp_path / "m.onnx", DATA)
    assert found
    assert found.largest < 1e-5


def test_a_changed_file_names_the_first_node_that_differs(model: sx.Model, tmp_path: Path):
    model.export(tmp_path / "m.onnx")
    file = onnx.load(tmp_path / "m.onnx")
    bias = next(t for t in file.graph.initializer if t.name == "conv/bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(4, 0.5, np.float32), "conv/bias"))
    found = sx.exporters.compare(model, file, [DATA])
    assert not found
    assert found.first is not None
    assert "conv" in str(found.first)


def test_inputs_are_taken_by_name(tmp_path: Path):
    late, early = sx.Input((2,), name="late"), sx.Input((3,), name="early")
    x = layers.Concatenate()([layers.Dense(2)(late), layers.Dense(2)(early)])
    model = sx.Model({"late": late, "early": early}, {"out": x})
    model.export(tmp_path / "m.onnx")
    data = {"late": DATA[:, 0, :2, 0], "early": DATA[:, 1, :3, 0]}
    assert sx.exporters.compare(model, tmp_path / "m.onnx", data)
    with pytest.raises(ValueError, match=r"the file's inputs are early, late; got late, other"):
        sx.exporters.compare(model, tmp_path / "m.onnx", {"late": data["late"], "other": data["early"]})
