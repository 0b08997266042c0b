"""A file that onnx's checker would refuse is never written."""

import onnx
import pytest

import sardonyx as sx
from sardonyx.exporters.serialize import checked


def test_a_sound_model_passes():
    model = sx.exporters.to_onnx(sx.trace(sx.ops.relu, sx.TensorSpec(("batch", 3))))
    assert checked(model) is model


def test_a_fault_is_told():
    model = sx.exporters.to_onnx(sx.trace(sx.ops.relu, sx.TensorSpec(("batch", 3))))
    model.graph.node.append(onnx.helper.make_node("Relu", ["nowhere"], ["y"]))
    with pytest.raises(ValueError, match="does not pass onnx's checker, which is a fault of sardonyx"):
        checked(model)
