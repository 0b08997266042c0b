"""Operators of ai.onnx.ml, forward, against onnxruntime."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx_cases import cases, difference

from sardonyx.exporters import backend
from sardonyx.exporters.operators import UnsupportedOperatorError

ROWS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
THREE = {"coefficients": [0.5, -1.0, 2.0, 1.0, 0.0, -0.5, 0.25, 1.5, -1.0], "intercepts": [0.1, -0.2, 0.3]}
TWO = {"coefficients": [0.5, -1.0, 2.0], "intercepts": [0.1]}
ABOVE = {"coefficients": [0.5, 1.0, 2.0], "intercepts": [0.1]}
BOTH = {"coefficients": [-0.5, 1.0, -2.0, 0.5, -1.0, 2.0], "intercepts": [-0.1, 0.1]}

NODES = [
    ("Scaler", {"offset": [0.5, 1.0, -1.0], "scale": [2.0, 0.5, 3.0]}, 1),
    ("Scaler", {"offset": [0.5], "scale": [2.0]}, 1),
    ("Normalizer", {"norm": "L1"}, 1),
    ("Normalizer", {"norm": "L2"}, 1),
    ("Binarizer", {"threshold": 0.25}, 1),
    ("LinearRegressor", {**THREE, "targets": 3}, 1),
    ("LinearRegressor", {**TWO, "targets": 1}, 1),
    ("LinearClassifier", {**THREE, "classlabels_ints": [3, 5, 7], "multi_class": 1, "post_transform": "SOFTMAX"}, 2),
    ("LinearClassifier", {**THREE, "classlabels_ints": [3, 5, 7], "multi_class": 1, "post_transform": "LOGISTIC"}, 2),
    ("LinearClassifier", {**BOTH, "classlabels_ints": [0, 1], "multi_class": 1, "post_transform": "SOFTMAX"}, 2),
    ("LinearClassifier", {**TWO, "classlabels_ints": [0, 1], "post_transform": "LOGISTIC"}, 2),
    ("LinearClassifier", {**TWO, "classlabels_ints": [0, 1]}, 2),
    ("LinearClassifier", {**ABOVE, "classlabels_ints": [0, 1], "post_transform": "LOGISTIC"}, 2),
    ("LinearClassifier", {**BOTH, "classlabels_strings": ["no", "yes"], "multi_class": 1}, 2),
]


def model_of(operator: str, attributes: dict, outputs: int) -> onnx.ModelProto:
    names = ["label", "scores"][:outputs]
    node = helper.make_node(operator, ["x"], names, operator.lower(), domain="ai.onnx.ml", **attributes)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_value_info(name, onnx.TypeProto()) for name in names],
    )  # fmt: skip
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


@pytest.mark.parametrize(("operator", "attributes", "outputs"), NODES, ids=[f"{n[0]}-{i}" for i, n in enumerate(NODES)])
def test_results_are_those_of_onnxruntime(operator: str, attributes: dict, outputs: int):
    model = model_of(operator, attributes, outputs)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": ROWS})
    assert not difference(list(expected), list(backend.run_model(model, [ROWS])), 1e-5, 1e-6)


def test_transforms_that_are_not_read_are_told():
    model = model_of("LinearRegressor", {**TWO, "targets": 1, "post_transform": "PROBIT"}, 1)
    with pytest.raises(UnsupportedOperatorError, match="LinearRegressor 'linearregressor': post_transform PROBIT"):
        backend.run_model(model, [ROWS])


@pytest.mark.slow
def test_cases_of_onnx_pass():
    own = [case for case in cases("node") if case.domains == {"ai.onnx.ml"}]
    assert len(own) >= 8
    for case in own:
        for inputs, outputs in case.data:
            wrong = difference(outputs, list(backend.run_model(case.model, inputs)), case.rtol, case.atol)
            assert not wrong, f"{case.name}: {wrong}"
