"""The domain ai.onnx.ml: scaling, encoding, linear models and trees, forward."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from ..protos import text_array
from .table import Call, UnsupportedOperatorError, operator
from .values import fixed, is_string, scalar_like

DOMAIN = "ai.onnx.ml"


def _vector(values: Any, like: np.dtype) -> Tensor:
    return Tensor(np.asarray(values, like))


def _as_float(x: Tensor) -> Tensor:
    return x if x.dtype == np.float32 else ops.cast(x, np.float32)


@operator("Scaler", domain=DOMAIN)
def scale(call: Call, x: Tensor) -> Tensor:
    """(x - offset) * scale, one number or one a feature."""
    x = _as_float(x)
    return (x - _vector(call.get("offset", [0.0]), x.dtype)) * _vector(call.get("scale", [1.0]), x.dtype)


@operator("Normalizer", domain=DOMAIN)
def normalize(call: Call, x: Tensor) -> Tensor:
    """Rows divided by their largest element, sum or length."""
    x = _as_float(x)
    kind = call.get("norm", "MAX")
    if kind == "MAX":
        size = ops.amax(ops.abs(x), -1, True)
    elif kind == "L1":
        size = ops.sum(ops.abs(x), -1, True)
    else:
        size = ops.sqrt(ops.sum(ops.square(x), -1, True))
    return ops.divide_no_nan(x, size)


@operator("Binarizer", domain=DOMAIN)
def binarize(call: Call, x: Tensor) -> Tensor:
    """1 above a threshold, else 0."""
    return ops.cast(ops.greater(x, scalar_like(call.get("threshold", 0.0), x)), x.dtype)


@operator("ArrayFeatureExtractor", domain=DOMAIN)
def extract(call: Call, x: Tensor, places: Tensor) -> Tensor:
    """Elements of the last axis."""
    found = ops.take(x, ops.reshape(places, (-1,)), axis=-1)
    return ops.reshape(found, (1, -1)) if len(x.shape) == 1 else found


@operator("LabelEncoder", domain=DOMAIN, since=2)
def encode(call: Call, x: Tensor) -> Tensor:
    """Labels replaced by others from a table."""
    kinds = ("strings", "int64s", "floats")
    keys = next((call.get(f"keys_{k}") for k in kinds if call.get(f"keys_{k}")), call.get("keys_tensor"))
    kind = next((k for k in kinds if call.get(f"values_{k}")), None)
    values = call.get("values_tensor") if kind is None else call.get(f"values_{kind}")
    if keys is None or values is None:
        raise UnsupportedOperatorError(f"{call.label}: the table of labels is missing")
    default = call.get("default_tensor")
    if default is None:
        default = {
            "strings": call.get("default_string", "_Unused"), "int64s": call.get("default_int64", -1),
            "floats": call.get("default_float", -0.0),
        }[kind or "int64s"]  # fmt: skip
    else:
        default = np.asarray(default).reshape(-1)[0]
    table = dict(zip(np.asarray(keys, object).tolist(), np.asarray(values, object).tolist(), strict=True))
    unknown = next((v for k, v in table.items() if k != k), default)  # NaN is no key that a table finds
    array = fixed(call, x, "what is looked up in a table")
    found = [table.get(label, unknown if label != label else default) for label in array.reshape(-1).tolist()]
    if kind == "strings" or isinstance(default, str):
        return Tensor(text_array(found, array.shape))
    dtype = {"int64s": np.int64, "floats": np.float32}.get(kind or "", getattr(values, "dtype", np.int64))
    return Tensor(np.asarray(found, dtype).reshape(array.shape))


@operator("LinearRegressor", domain=DOMAIN)
def regress(call: Call, x: Tensor) -> Tensor:
    """A linear map of features to targets."""
    count = call.get("targets", 1)
    weights = np.asarray(call.get("coefficients"), np.float32).reshape(count, -1)
    found = ops.matmul(_as_float(x), Tensor(weights.T.copy()))
    bias = call.get("intercepts")
    return _finished(call, found if not bias else found + _vector(bias, np.dtype(np.float32)))


def _finished(call: Call, scores: Tensor) -> Tensor:
    """Scores as the node's `post_transform` wants them."""
    kind = call.get("post_transform", "NONE")
    if kind == "LOGISTIC":
        return ops.sigmoid(scores)
    if kind == "SOFTMAX":
        return ops.softmax(scores, -1)
    if kind == "NONE":
        return scores
    raise UnsupportedOperatorError(f"{call.label}: post_transform {kind} is not read; NONE, LOGISTIC and SOFTMAX are")


@operator("LinearClassifier", domain=DOMAIN)
def classify(call: Call, x: Tensor) -> tuple[Tensor, Tensor]:
    """The label of the highest score, and the scores."""
    texts, numbers = call.get("classlabels_strings"), call.get("classlabels_ints")
    bias = np.asarray(call.get("intercepts") or [0.0], np.float32)
    weights = np.asarray(call.get("coefficients"), np.float32).reshape(len(bias), -1)
    scores = ops.matmul(_as_float(x), Tensor(weights.T.copy())) + Tensor(bias)
    labels: Any = texts or numbers
    if len(bias) == 1 and len(labels) == 2:
        kind = call.get("post_transform", "NONE")
        if kind not in ("NONE", "LOGISTIC"):
            raise UnsupportedOperatorError(
                f"{call.label}: post_transform {kind} of a single score is not read; NONE and LOGISTIC are"
            )
        best = ops.cast(ops.greater(scores[:, 0], scalar_like(0, scores)), np.int64)
        second = ops.sigmoid(scores) if kind == "LOGISTIC" else scores
        scores = ops.concatenate([scalar_like(1, second) - second, second], axis=-1)
        return _labelled(call, best, labels), scores
    best = ops.argmax(scores, axis=-1)
    return _labelled(call, best, labels), _finished(call, scores)


def _labelled(call: Call, best: Tensor, labels: list[Any]) -> Tensor:
    if isinstance(labels[0], str):
        return Tensor(text_array(labels, (len(labels),))[fixed(call, best, "the best class, whose label is a text,")])
    return ops.take(Tensor(np.asarray(labels, np.int64)), best, axis=0)


_BRANCHES = {
    0: np.less_equal, 1: np.less, 2: np.greater_equal, 3: np.greater, 4: np.equal, 5: np.not_equal
}  # fmt: skip


@operator("TreeEnsemble", domain=DOMAIN, since=5)
def trees(call: Call, x: Tensor) -> Tensor:
    """Sums (or means, least, greatest) over trees of the weights of the leaves that rows reach."""
    rows = fixed(call, x, "the features of a tree")
    if is_string(x):
        raise UnsupportedOperatorError(f"{call.label}: trees of texts are not read")
    width, mode = call.get("n_targets", 1), call.get("aggregate_function", 1)
    found = np.zeros((len(call.get("tree_roots")), len(rows), width), rows.dtype)
    for tree, root in enumerate(call.get("tree_roots")):
        for i, row in enumerate(rows):
            target, weight = _leaf(call, row, root)
            found[tree, i, target] = weight
    total = {0: found.mean, 1: found.sum, 2: found.min, 3: found.max}[mode](axis=0)
    kind = call.get("post_transform", 0)
    if kind > 2:
        raise UnsupportedOperatorError(f"{call.label}: post_transform {kind} is not read; 0, 1 and 2 are")
    result = Tensor(total.astype(rows.dtype))
    return result if not kind else ops.softmax(result, -1) if kind == 1 else ops.sigmoid(result)


def _leaf(call: Call, row: np.ndarray, node: int) -> tuple[int, Any]:
    """Target and weight of the leaf that a row of features reaches from a node."""
    is_leaf = False
    members = call.get("membership_values")
    sets = np.split(members, np.flatnonzero(np.isnan(members)) + 1) if members is not None else []
    modes = call.get("nodes_modes")
    order = np.cumsum(np.asarray(modes) == 6) - 1
    for _ in range(len(modes) + 1):
        if is_leaf:
            return call.get("leaf_targetids")[node], call.get("leaf_weights")[node]
        value, split = row[call.get("nodes_featureids")[node]], call.get("nodes_splits")[node]
        if modes[node] == 6:
            holds = bool(np.any(sets[order[node]] == value))
        else:
            holds = bool(_BRANCHES[int(modes[node])](value, split))
        if np.isnan(value) and call.get("nodes_missing_value_tracks_true"):
            holds = bool(call.get("nodes_missing_value_tracks_true")[node])
        side = "true" if holds else "false"
        node, is_leaf = call.get(f"nodes_{side}nodeids")[node], bool(call.get(f"nodes_{side}leafs")[node])
    raise ValueError(f"{call.label}: the branches of a tree run in a circle")
