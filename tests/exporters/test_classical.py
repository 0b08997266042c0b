"""Operators of ai.onnx.ml, forward, against onnxruntime."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx_cases import cases, difference

import sardonyx as sx
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

SPLITS = {
    "nodes_treeids": [0, 0, 0, 0, 0, 1, 1, 1], "nodes_nodeids": [0, 1, 2, 3, 4, 0, 1, 2],
    "nodes_featureids": [0, 0, 1, 0, 0, 2, 0, 0], "nodes_values": [0.1, 0.0, -0.2, 0.0, 0.0, 0.3, 0.0, 0.0],
    "nodes_truenodeids": [1, 0, 3, 0, 0, 1, 0, 0], "nodes_falsenodeids": [2, 0, 4, 0, 0, 2, 0, 0],
    "nodes_modes": ["BRANCH_LEQ", "LEAF", "BRANCH_GT", "LEAF", "LEAF", "BRANCH_LT", "LEAF", "LEAF"],
}  # fmt: skip


def leaves(prefix: str, ids: list[int], weights: list[float]) -> dict:
    """What the leaves of `SPLITS` say: to which target or class, and what."""
    places = {f"{prefix}_treeids": [0, 0, 0, 1, 1], f"{prefix}_nodeids": [1, 3, 4, 1, 2]}
    return {**SPLITS, **places, f"{prefix}_ids": ids, f"{prefix}_weights": weights}


SIGNED, POSITIVE = [0.5, -1.0, 2.0, 0.25, -0.75], [0.1, 0.4, 0.2, 0.3, 0.15]
VECTORS = {"n_supports": 2, "support_vectors": [0.5, -1.0, 2.0, 1.0, 0.0, -0.5], "coefficients": [0.7, -0.4]}
NODES += [
    ("Imputer", {"imputed_value_floats": [9.0, 8.0, 7.0], "replaced_value_float": float("nan")}, 1),
    ("TreeEnsembleRegressor", {**leaves("target", [0, 0, 0, 0, 0], SIGNED), "n_targets": 1}, 1),
    ("TreeEnsembleRegressor", {**leaves("target", [0, 1, 0, 1, 0], SIGNED), "n_targets": 2}, 1),
    *[("TreeEnsembleRegressor", {**leaves("target", [0] * 5, SIGNED), **options}, 1) for options in (
        {"n_targets": 1, "base_values": [1.5]}, {"n_targets": 1, "aggregate_function": "AVERAGE"},
        {"n_targets": 1, "aggregate_function": "MAX"}, {"n_targets": 1, "aggregate_function": "MIN"},
    )],
    ("TreeEnsembleClassifier", {**leaves("class", [0, 1, 2, 1, 0], POSITIVE), "classlabels_int64s": [3, 5, 7]}, 2),
    ("TreeEnsembleClassifier",
     {**leaves("class", [0, 1, 2, 1, 0], SIGNED), "classlabels_int64s": [3, 5, 7], "post_transform": "SOFTMAX"}, 2),
    ("TreeEnsembleClassifier", {**leaves("class", [1] * 5, POSITIVE), "classlabels_int64s": [0, 1]}, 2),
    ("TreeEnsembleClassifier", {**leaves("class", [0] * 5, SIGNED), "classlabels_int64s": [0, 1]}, 2),
    ("TreeEnsembleClassifier",
     {**leaves("class", [0] * 5, SIGNED), "classlabels_int64s": [0, 1], "post_transform": "LOGISTIC"}, 2),
    *[("SVMRegressor", {**VECTORS, "kernel_type": kind, "kernel_params": [0.5, 1.0, 3.0], "rho": [0.2]}, 1)
      for kind in ("LINEAR", "RBF", "POLY", "SIGMOID")],
    ("SVMRegressor", {"coefficients": [0.5, -1.0, 2.0], "rho": [0.1], "n_supports": 0, "kernel_type": "LINEAR",
                      "kernel_params": [0.0, 0.0, 0.0]}, 1),
    ("OneHotEncoder", {"cats_int64s": [-1, 0, 1]}, 1),
    ("FeatureVectorizer", {"inputdimensions": [3]}, 1),
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


@pytest.mark.parametrize("place", range(len(NODES)), ids=[f"{n[0]}-{i}" for i, n in enumerate(NODES)])
def test_files_of_classical_models_open(tmp_path: Path, place: int):
    operator, attributes, outputs = NODES[place]
    if "classlabels_strings" in attributes:
        return  # texts are no tensors of a graph
    file = model_of(operator, attributes, outputs)
    (tmp_path / "m.onnx").write_bytes(file.SerializeToString())
    model = sx.models.load_model(tmp_path / "m.onnx")
    expected = onnxruntime.InferenceSession(str(tmp_path / "m.onnx")).run(None, {"x": ROWS})
    for results in (model(ROWS), model.predict(ROWS, verbose=0)):
        found = [np.asarray(x) for x in sx.tree.flatten(results)]
        assert not difference(list(expected), found, 1e-5, 1e-6)
    model.export(tmp_path / "ours.onnx")
    assert onnx.load(tmp_path / "ours.onnx") == file
    twice = sx.Model(model.input, model.outputs[-1] * 2.0)
    twice.export(tmp_path / "twice.onnx")
    found = onnxruntime.InferenceSession(str(tmp_path / "twice.onnx")).run(None, {"x": ROWS})[0]
    np.testing.assert_allclose(found, 2 * expected[-1], rtol=1e-5)


def test_dictionaries_of_scores_are_the_scores(tmp_path: Path):
    attributes = {**THREE, "classlabels_ints": [3, 5, 7], "multi_class": 1, "post_transform": "SOFTMAX"}
    file = model_of("LinearClassifier", attributes, 2)
    file.graph.node.add().CopyFrom(
        helper.make_node("ZipMap", ["scores"], ["maps"], "zip", domain="ai.onnx.ml", classlabels_int64s=[3, 5, 7])
    )
    file.graph.output[1].name = "maps"
    (tmp_path / "m.onnx").write_bytes(file.SerializeToString())
    maps = onnxruntime.InferenceSession(str(tmp_path / "m.onnx")).run(None, {"x": ROWS})[1]
    expected = np.asarray([list(row.values()) for row in maps])
    model = sx.models.load_model(tmp_path / "m.onnx")
    for results in (model(ROWS), model.predict(ROWS, verbose=0)):
        np.testing.assert_allclose(np.asarray(results[1]), expected, rtol=1e-5)
    model.export(tmp_path / "ours.onnx")
    assert onnx.load(tmp_path / "ours.onnx") == file


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
