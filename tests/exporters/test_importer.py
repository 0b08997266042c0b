"""What the reader of ONNX files says of what it cannot compute, and forms that ONNX's own cases do not have."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sardonyx.builder.imported import imported_model
from sardonyx.exporters import backend
from sardonyx.exporters.operators import UnsupportedOperatorError
from sardonyx.exporters.source import Source


def model_of(nodes, inputs, outputs, initializers=(), opset=21, functions=(), domains=()):
    """A model of float inputs by name and shape."""
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    made = [helper.make_value_info(name, onnx.TypeProto()) for name in outputs]
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in initializers]
    graph = helper.make_graph(nodes, "g", given, made, weights)
    imports = [helper.make_opsetid("", opset), *[helper.make_opsetid(d, 1) for d in domains]]
    return helper.make_model(graph, opset_imports=imports, functions=list(functions))


ERRORS = [
    (
        lambda: model_of([helper.make_node("Magic", ["x"], ["y"], "spell", domain="their.own")], {"x": [2]}, ["y"],
                         domains=["their.own"]),
        UnsupportedOperatorError,
        r"operator Magic of the domain 'their.own', version 1, at the node 'spell'.*onnxruntime",
    ),
    (
        lambda: model_of([helper.make_node("Relu", ["z"], ["y"])], {"x": [2]}, ["y"]),
        ValueError,
        "names 'z' as an input of Relu, but no node",
    ),
    (
        lambda: model_of([helper.make_node("Add", ["x", "w"], ["y"], "sum")], {"x": [2]}, ["y"],
                         [("w", np.ones(3, np.float32))]),
        ValueError,
        r"Add 'sum' \(version 21\): add: .*shapes",
    ),
    (
        lambda: model_of([helper.make_node("Concat", ["x", "x"], ["y"], "both", axis=3)], {"x": [2]}, ["y"]),
        ValueError,
        r"Concat 'both' \(version 21\)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "message"), ERRORS, ids=["operator", "name", "shape", "axis"])
def test_error_names_the_node(make, kind, message):
    with pytest.raises(kind, match=message):
        backend.run_model(make(), [np.ones(2, np.float32)])


def test_random_numbers_are_drawn_by_a_run_and_never_frozen_into_a_graph():
    model = model_of([helper.make_node("RandomNormalLike", ["x"], ["y"], "noise")], {"x": [2]}, ["y"])
    assert backend.run_model(model, [np.ones(2, np.float32)])[0].shape == (2,)
    with pytest.raises(UnsupportedOperatorError, match="'noise'.*a graph made here would hold one draw for ever"):
        imported_model(Source(model))


def test_initializer_that_is_an_input_may_be_given_or_not():
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    model = model_of(nodes, {"x": [2], "w": [2]}, ["y"], [("w", np.float32([5, 6]))])
    x = np.float32([1, 2])
    assert backend.run_model(model, [x])[0].tolist() == [6, 8]
    assert backend.run_model(model, {"x": x, "w": np.float32([0, 0])})[0].tolist() == [1, 2]


def test_functions_of_the_file_are_computed_with_their_attributes():
    body = helper.make_node("LeakyRelu", ["a"], ["b"])
    reference = onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    body.attribute.append(reference)
    function = helper.make_function("own", "Leaky", ["a"], ["b"], [body], [helper.make_opsetid("", 21)], ["slope"])
    call = helper.make_node("Leaky", ["x"], ["y"], domain="own", slope=0.5)
    model = model_of([call], {"x": [2]}, ["y"], functions=[function], domains=["own"])
    assert backend.run_model(model, [np.float32([-4, 4])])[0].tolist() == [-2, 4]


def test_body_reads_values_from_outside():
    inner = helper.make_node("Mul", ["x", "w"], ["inside"])
    other = helper.make_node("Neg", ["x"], ["outside"])
    branches = [helper.make_graph([n], "b", [], [helper.make_value_info(n.output[0], onnx.TypeProto())])
                for n in (inner, other)]  # fmt: skip
    nodes = [helper.make_node("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1])]
    for chosen, expected in ((True, [3, 6]), (False, [-1, -2])):
        model = model_of(nodes, {"x": [2]}, ["y"], [("w", np.float32(3)), ("c", np.asarray(chosen))])
        assert backend.run_model(model, [np.float32([1, 2])])[0].tolist() == expected


@pytest.mark.parametrize(
    ("device", "supported"), [("CPU", True), ("cpu:0", True), ("CUDA", False)], ids=["plain", "numbered", "gpu"]
)
def test_device(device, supported):
    assert backend.supports_device(device) is supported
