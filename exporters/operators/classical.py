"""The domain ai.onnx.ml: scaling, encoding and linear models, forward."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from ..protos import text_array
from .labels import DOMAIN, as_float, finished, labelled
from .table import Call, UnsupportedOperatorError, operator
from .values import fixed, scalar_like


def _vector(values: Any, like: np.dtype) -> Tensor:
    return Tensor(np.asarray(values, like))


@operator("Scaler", domain=DOMAIN)
def scale(call: Call, x: Tensor) -> Tensor:
    """(x - offset) * scale, one number or one a feature."""
    x = as_float(x)
    return (x - _vector(call.get("offset", [0.0]), x.dtype)) * _vector(call.get("scale", [1.0]), x.dtype)


@operator("Normalizer", domain=DOMAIN)
def normalize(call: Call, x: Tensor) -> Tensor:
    """Rows divided by their largest element, sum or length."""
    x = as_float(x)
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
    found = ops.matmul(as_float(x), Tensor(weights.T.copy()))
    bias = call.get("intercepts")
    return finished(call, found if not bias else found + _vector(bias, np.dtype(np.float32)))


@operator("LinearClassifier", domain=DOMAIN)
def classify(call: Call, x: Tensor) -> tuple[Tensor, Tensor]:
    """The label of the highest score, and the scores."""
    texts, numbers = call.get("classlabels_strings"), call.get("classlabels_ints")
    bias = np.asarray(call.get("intercepts") or [0.0], np.float32)
    weights = np.asarray(call.get("coefficients"), np.float32).reshape(len(bias), -1)
    scores = ops.matmul(as_float(x), Tensor(weights.T.copy())) + Tensor(bias)
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
        return labelled(call, best, labels), scores
    best = ops.argmax(scores, axis=-1)
    return labelled(call, best, labels), finished(call, scores)


@operator("Imputer", domain=DOMAIN)
def impute(call: Call, x: Tensor) -> Tensor:
    """A value in the place of each that is missing: NaN, or a number that stands for it."""
    is_whole = x.dtype.kind in "iu"
    values = call.get("imputed_value_int64s" if is_whole else "imputed_value_floats")
    if not values:
        raise ValueError(f"{call.label}: the values to put in are missing")
    gap = call.get("replaced_value_int64" if is_whole else "replaced_value_float", 0)
    missing = ops.isnan(x) if not is_whole and np.isnan(gap) else ops.equal(x, scalar_like(gap, x))
    return ops.where(missing, _vector(values, x.dtype), x)


@operator("OneHotEncoder", domain=DOMAIN)
def one_hot(call: Call, x: Tensor) -> Tensor:
    """1 at the place of each category, all zeros for others (`zeros`)."""
    texts = call.get("cats_strings")
    if texts:
        array = fixed(call, x, "a text that is encoded")
        return Tensor((array[..., None] == text_array(texts, (len(texts),))).astype(np.float32))
    kinds = Tensor(np.asarray(call.get("cats_int64s"), np.int64))
    return ops.cast(ops.equal(ops.expand_dims(ops.cast(x, "int64"), -1), kinds), "float32")


@operator("FeatureVectorizer", domain=DOMAIN)
def join_features(call: Call, *inputs: Tensor) -> Tensor:
    """Features side by side, as float32."""
    flat = [ops.reshape(as_float(x), (x.shape[0], -1)) if len(x.shape) != 2 else as_float(x) for x in inputs]
    return ops.concatenate(flat, axis=-1)


@operator("ZipMap", domain=DOMAIN)
def keep_scores(call: Call, x: Tensor) -> Tensor:
    """The scores themselves: the dictionaries that onnxruntime makes of them are no tensors."""
    return x


@operator("SVMRegressor", domain=DOMAIN)
def support_vectors(call: Call, x: Tensor) -> Tensor:
    """A sum over support vectors, or a linear map."""
    x, count = as_float(x), call.get("n_supports", 0)
    coefficients = np.asarray(call.get("coefficients"), np.float32)
    found = _kernel(call, x, count) if count else x
    shift = _vector(call.get("rho", [0.0])[:1], x.dtype)
    scores = ops.matmul(found, Tensor(coefficients.reshape(-1, 1))) + shift
    if call.get("one_class", 0):
        scores = ops.where(ops.greater(scores, scalar_like(0, scores)), scalar_like(1, scores), scalar_like(-1, scores))
    return finished(call, scores)


def _kernel(call: Call, x: Tensor, count: int) -> Tensor:
    """The kernel between rows and support vectors: (rows, vectors)."""
    vectors = np.asarray(call.get("support_vectors"), np.float32).reshape(count, -1)
    gamma, shift, degree = (*call.get("kernel_params", []), 0.0, 0.0, 0.0)[:3]
    kind = call.get("kernel_type", "LINEAR")
    if kind == "RBF":
        gap = ops.expand_dims(x, 1) - Tensor(vectors[None])
        return ops.exp(ops.sum(ops.square(gap), -1) * scalar_like(-gamma, x))
    dots = ops.matmul(x, Tensor(vectors.T.copy()))
    if kind == "LINEAR":
        return dots
    scaled = dots * scalar_like(gamma, x) + scalar_like(shift, x)
    return ops.tanh(scaled) if kind == "SIGMOID" else ops.power(scaled, scalar_like(degree, x))
