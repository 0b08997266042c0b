"""What stands in a file under a variable's name leads back to the variable."""

import numpy as np
import pytest
from export_models import MODELS, graph_of
from onnx import numpy_helper

from sardonyx.exporters.convert import to_onnx
from sardonyx.exporters.origins import Origin, origins_text, read_origins


def weights_in(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


@pytest.mark.parametrize("name", MODELS)
def test_every_variable_can_be_read_back(name):
    graph = graph_of(name)
    model = to_onnx(graph, keep_weights=True)
    origins = read_origins({p.key: p.value for p in model.metadata_props}.get("sardonyx.origins", "{}"))
    found = {}
    for initializer, array in weights_in(model).items():
        origin = origins.get(initializer, Origin(initializer))
        found[origin.variable] = origin.undo(array)
    for variable in graph.variables:
        np.testing.assert_array_equal(found[variable.path or variable.name], variable.array)


def test_merged_weights_say_that_they_are():
    model = to_onnx(graph_of("small_cnn"))
    origins = read_origins({p.key: p.value for p in model.metadata_props}["sardonyx.origins"])
    assert origins["c_kernel"].steps is None
    with pytest.raises(ValueError, match="'c_kernel' was merged with other weights"):
        origins["c_kernel"].undo(weights_in(model)["c_kernel"])


def test_names_of_weights_can_be_given():
    graph = graph_of("mlp")
    model = to_onnx(graph, weight_names={v: f"mine/{i}" for i, v in enumerate(graph.variables)})
    assert set(weights_in(model)) == {"mine/0", "mine/1", "mine/2", "mine/3"}


def test_steps_are_undone_in_reverse():
    array = np.arange(24.0).reshape(2, 3, 4)
    origin = Origin("w").then("transpose", (2, 0, 1), (2, 3, 4)).then("reshape", (4, 6), (4, 2, 3))
    origin = origin.then("take", (1, 3, 0, 1, 5, 4, 2), (4, 6)).then("extend", (0, 1, 2), (4, 6))
    changed = array.transpose(2, 0, 1).reshape(4, 6)[:, [3, 0, 1, 5, 4, 2]]
    changed = np.concatenate([np.zeros((1, 6)), changed, np.zeros((2, 6))])
    np.testing.assert_array_equal(read_origins(origins_text({"x": origin}))["x"].undo(changed), array)


@pytest.mark.parametrize(
    "text", ['{"x": 1}', '{"x": {"variable": "x"}}', '{"x": {"variable": "x", "steps": [[1]]}}', "[1]"]
)
def test_malformed_origins(text):
    with pytest.raises(ValueError, match="malformed"):
        read_origins(text)


def test_unknown_step():
    with pytest.raises(ValueError, match="unknown step 'turn'"):
        Origin("x").then("turn", (), ()).undo(np.zeros(1))
