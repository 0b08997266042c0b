"""Models of every style as ONNX files that onnxruntime runs."""

from typing import Any

import numpy as np
import onnx
import pytest

import sardonyx as sx
from sardonyx import layers as L
from sardonyx.builder.prediction import run_file

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def names(values: Any) -> list[str]:
    return [v.name for v in values]


def shape(value: Any) -> list[Any]:
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


def two() -> Any:
    a, b = sx.Input((3,), name="left"), sx.Input((3,), name="right")
    return sx.Model([a, b], {"total": L.Dense(2)(a) + 1, "joined": L.Concatenate()([a, b])})


def test_names_and_shapes_of_a_file(tmp_path: Any):
    model = two()
    model.export(tmp_path / "m.onnx")
    proto = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(proto, full_check=True)
    assert names(proto.graph.input) == ["left", "right"]
    assert sorted(names(proto.graph.output)) == ["joined", "total"]
    assert shape(proto.graph.input[0]) == ["batch", 3]
    results = dict(zip(names(proto.graph.output), run_file(tmp_path / "m.onnx", X, X), strict=True))
    for key, value in model([X, X]).items():
        np.testing.assert_allclose(results[key], value, atol=1e-6)


@pytest.mark.parametrize("opset", [18, 20, 21])
def test_opsets(opset: int, tmp_path: Any):
    model = two()
    model.export(tmp_path / "m.onnx", opset=opset)
    assert onnx.load(tmp_path / "m.onnx").opset_import[0].version == opset
    assert len(run_file(tmp_path / "m.onnx", X, X)) == 2


class Net(sx.Model):
    """A layer and a loose operation."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = L.Dense(2)

    def call(self, inputs: Any) -> Any:
        return sx.ops.tanh(self.dense(inputs)) * 2


def test_a_signature_fixes_the_batch(tmp_path: Any):
    for model in (Net(), sx.Sequential([sx.Input((3,)), L.Dense(2)])):
        model.export(tmp_path / "m.onnx", input_signature=[sx.TensorSpec((4, 3), name="data")])
        proto = onnx.load(tmp_path / "m.onnx")
        assert shape(proto.graph.input[0]) == [4, 3]
        np.testing.assert_allclose(run_file(tmp_path / "m.onnx", X)[0], model(X), atol=1e-6)


def test_export_shows_inference(tmp_path: Any):
    model = sx.Sequential([sx.Input((3,)), L.Dropout(0.5), L.GaussianNoise(3.0), L.BatchNormalization()])
    model(X, training=True)
    model.export(tmp_path / "m.onnx")
    np.testing.assert_allclose(run_file(tmp_path / "m.onnx", X)[0], model(X), atol=1e-6)
    assert not {"Dropout", "RandomNormalLike"} & {n.op_type for n in onnx.load(tmp_path / "m.onnx").graph.node}


ERRORS: dict[str, tuple[Any, str, dict[str, Any], type, str]] = {
    "format": (two, "m.onnx", {"format": "tf_saved_model"}, ValueError, "expected format 'onnx', got 'tf_saved_model'"),
    "not built": (Net, "m.onnx", {}, ValueError, "net"),
    "no folder": (two, "nowhere/m.onnx", {}, OSError, "nowhere"),
    "opset": (two, "m.onnx", {"opset": 3}, ValueError, "opset"),
    "signature": (two, "m.onnx", {"input_signature": [3]}, TypeError, "input_signature holds a sx.TensorSpec"),
    "too few specs": (two, "m.onnx", {"input_signature": [sx.TensorSpec((4, 3))]}, ValueError, "has 2 inputs .*has 1"),
    "exists": (two, "old.onnx", {"overwrite": False}, OSError, "old.onnx"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_leave_nothing_behind(case: str, tmp_path: Any):
    make, file, options, kind, text = ERRORS[case]
    (tmp_path / "old.onnx").write_bytes(b"old")
    with pytest.raises(kind, match=text):
        make().export(tmp_path / file, **options)
    assert [p.name for p in tmp_path.iterdir()] == ["old.onnx"]
    assert (tmp_path / "old.onnx").read_bytes() == b"old"


@pytest.mark.slow
@pytest.mark.parametrize("style", ["sequential", "functional"])
def test_a_thousand_layers(style: str, tmp_path: Any):
    inputs = sx.Input((3,))
    layers = [L.Dense(3, kernel_initializer="orthogonal") for _ in range(1000)]
    if style == "sequential":
        model: Any = sx.Sequential([inputs, *layers])
    else:
        x = inputs
        for layer in layers:
            x = layer(x)
        model = sx.Model(inputs, x)
    model.export(tmp_path / "m.onnx")
    np.testing.assert_allclose(run_file(tmp_path / "m.onnx", X)[0], model(X), atol=1e-3)
