"""Normalisations: values, gradients of two orders, and onnxruntime, one line a case."""

from functools import partial

import numpy as np
import pytest
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import run_graph
from sardonyx.trainer.core.errors import DtypeError, ShapeError
from sardonyx.trainer.ops.normalization import batch_normalization_training, group_normalization


def layer(x, gamma=1.0, beta=0.0, axis=(-1,), epsilon=1e-7, centered=True):
    """By the definition."""
    axis = tuple(sorted(a % x.ndim for a in axis))
    shape = [x.shape[a] if a in axis else 1 for a in range(x.ndim)]
    gamma, beta = (np.reshape(v, shape) if np.ndim(v) else v for v in (gamma, beta))
    mean = x.mean(axis, keepdims=True) if centered else 0.0
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axis, keepdims=True) + epsilon) * gamma + beta


def rms(x, scale=1.0, **options):
    return layer(x, scale, centered=False, **options)


def along(vector, x, axis):
    return np.reshape(vector, [-1 if a == axis % x.ndim else 1 for a in range(x.ndim)])


def batch(x, mean, variance, scale=1.0, offset=0.0, axis=-1, epsilon=1e-3):
    mean, variance, scale, offset = (along(v, x, axis) if np.ndim(v) else v for v in (mean, variance, scale, offset))
    return (x - mean) / np.sqrt(variance + epsilon) * scale + offset


def batch_training(x, scale, offset, axis=-1, epsilon=1e-3):
    others = tuple(a for a in range(x.ndim) if a != axis % x.ndim)
    mean, variance = x.mean(others), x.var(others)
    return batch(x, mean, variance, scale, offset, axis, epsilon), mean, variance


def group(x, gamma, beta, groups, axis=-1, epsilon=1e-3):
    last = np.moveaxis(x, axis, -1)
    split = last.reshape(*last.shape[:-1], groups, -1)
    over = (*range(1, split.ndim - 2), split.ndim - 1)
    normal = (split - split.mean(over, keepdims=True)) / np.sqrt(split.var(over, keepdims=True) + epsilon)
    return np.moveaxis(normal.reshape(last.shape) * gamma + beta, -1, axis)


def batch_given(axis=-1, **options):
    return lambda x, m, v, s, b: ops.batch_normalization(x, m, v * v + 0.5, axis, b, s, **options)


def expected_given(axis=-1, **options):
    return lambda x, m, v, s, b: batch(x, m, v * v + 0.5, s, b, axis, **options)


CASES = [
    case("layer", ops.layer_normalization, layer, (5, 7)),
    case("layer_weights", ops.layer_normalization, layer, (5, 7), (7,), (7,)),
    case(
        "layer_scale",
        lambda x, g: ops.layer_normalization(x, g, epsilon=1e-2),
        partial(layer, epsilon=1e-2),
        (5, 3, 7),
        (7,),
    ),
    case(
        "layer_bias", lambda x, b: ops.layer_normalization(x, None, b), lambda x, b: layer(x, 1.0, b), (5, 3, 7), (7,)
    ),
    case(
        "layer_axes",
        lambda x, g, b: ops.layer_normalization(x, g, b, axis=(1, 2)),
        partial(layer, axis=(1, 2)),
        (5, 3, 4),
        (3, 4),
        (3, 4),
    ),
    case(
        "layer_middle",
        lambda x, g, b: ops.layer_normalization(x, g, b, axis=1),
        partial(layer, axis=(1,)),
        (5, 3, 4),
        (3,),
        (3,),
    ),
    case(
        "layer_axes_apart",
        lambda x: ops.layer_normalization(x, axis=(-1, 1)),
        partial(layer, axis=(1, 3)),
        (5, 3, 2, 4),
    ),
    case(
        "layer_far_from_zero",
        ops.layer_normalization,
        layer,
        (5, 40),
        low=99.0,
        high=101.0,
        tolerance=1e-3,
        skip=("second_order",),
    ),
    case("layer_long", ops.layer_normalization, layer, (300, 33), (33,), (33,), skip=("second_order",)),
    case("layer_vector", ops.layer_normalization, layer, (8,), symbolic=False),
    case("rms", ops.rms_normalization, rms, (5, 7)),
    case("rms_scale", ops.rms_normalization, rms, (5, 2, 7), (7,)),
    case(
        "rms_axes", lambda x, s: ops.rms_normalization(x, s, axis=(1, 2)), partial(rms, axis=(1, 2)), (5, 3, 4), (3, 4)
    ),
    case(
        "rms_middle",
        lambda x, s: ops.rms_normalization(x, s, axis=1, epsilon=0.1),
        partial(rms, axis=(1,), epsilon=0.1),
        (5, 3, 4),
        (3,),
    ),
    case("batch", batch_given(), expected_given(), (6, 3), (3,), (3,), (3,), (3,)),
    case("batch_image", batch_given(epsilon=0.1), expected_given(epsilon=0.1), (6, 4, 5, 3), (3,), (3,), (3,), (3,)),
    case("batch_first", batch_given(1), expected_given(1), (6, 3, 4, 5), (3,), (3,), (3,), (3,)),
    case("batch_middle", batch_given(2), expected_given(2), (6, 4, 3, 5), (3,), (3,), (3,), (3,)),
    case(
        "batch_plain",
        lambda x, m, v: ops.batch_normalization(x, m, v * v + 1.0, -1),
        lambda x, m, v: batch(x, m, v * v + 1.0),
        (6, 5, 3),
        (3,),
        (3,),
    ),
    case(
        "batch_offset",
        lambda x, m, b: ops.batch_normalization(x, m, m * m + 1.0, -1, b),
        lambda x, m, b: batch(x, m, m * m + 1.0, offset=b),
        (6, 5, 3),
        (3,),
        (3,),
    ),
    case("training", lambda x, s, b: batch_normalization_training(x, -1, b, s), batch_training, (6, 3), (3,), (3,)),
    case(
        "training_image",
        lambda x, s, b: batch_normalization_training(x, -1, b, s),
        batch_training,
        (6, 3, 4, 5),
        (5,),
        (5,),
    ),
    case(
        "training_result",
        lambda x, s, b: batch_normalization_training(x, -1, b, s, 0.1)[0],
        lambda x, s, b: batch_training(x, s, b, epsilon=0.1)[0],
        (6, 3, 4, 5),
        (5,),
        (5,),
    ),
    case(
        "training_first",
        lambda x, s, b: batch_normalization_training(x, 1, b, s),
        partial(batch_training, axis=1),
        (6, 5, 3, 4),
        (5,),
        (5,),
    ),
    case(
        "training_plain",
        lambda x: batch_normalization_training(x, 2),
        lambda x: batch_training(x, 1.0, 0.0, axis=2),
        (6, 4, 5, 2),
    ),
    case(
        "training_long",
        lambda x, s, b: batch_normalization_training(x, -1, b, s),
        batch_training,
        (60, 9, 8, 5),
        (5,),
        (5,),
        skip=("second_order",),
        tolerance=2e-5,
    ),
    case(
        "group", lambda x, g, b: group_normalization(x, 2, -1, g, b), partial(group, groups=2), (5, 3, 4, 6), (6,), (6,)
    ),
    case(
        "group_one",
        lambda x, g, b: group_normalization(x, 1, -1, g, b),
        partial(group, groups=1),
        (5, 7, 4),
        (4,),
        (4,),
    ),
    case(
        "group_each",
        lambda x, g, b: group_normalization(x, 4, -1, g, b),
        partial(group, groups=4),
        (5, 7, 4),
        (4,),
        (4,),
    ),
    case(
        "group_first",
        lambda x, g, b: group_normalization(x, 3, 1, g, b, 1e-2),
        partial(group, groups=3, axis=1, epsilon=1e-2),
        (5, 6, 3, 4),
        (6,),
        (6,),
    ),
    case("group_flat", lambda x: group_normalization(x, 2), lambda x: group(x, 1.0, 0.0, 2), (5, 8)),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_case(item, check):
    check_case(item, check)


@pytest.mark.parametrize("opset", [17, 18, 20, 23, 24])
@pytest.mark.parametrize("name", ["layer_weights", "rms_scale", "rms_middle", "training_image", "group", "group_first"])
def test_older_and_newer_operators_give_the_same(name, opset):
    item = next(c for c in CASES if c.name == name)
    arrays = item.arrays()
    graph = sx.trace(
        item.function, *[sx.TensorSpec(("batch", *a.shape[1:]) if a.ndim > 1 else a.shape) for a in arrays]
    )
    expected = item.reference(*arrays)
    for a, b in zip(
        run_graph(graph, *arrays, opset=opset), expected if isinstance(expected, tuple) else [expected], strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_half_precision_is_summed_in_single():
    x = np.linspace(200, 300, 2000, dtype=np.float16).reshape(1, -1)
    found = ops.layer_normalization(x)
    assert found.dtype == "float16"
    np.testing.assert_allclose(found.numpy(), layer(x.astype(np.float64)), atol=2e-3)


X, V = np.ones((2, 3, 4), np.float32), np.ones(4, np.float32)
ERRORS = [
    (
        lambda: ops.layer_normalization(X, np.ones(3)),
        ShapeError,
        "layer_normalization: gamma needs one element for each",
    ),
    (lambda: ops.layer_normalization(X, V, np.ones(5)), ShapeError, "layer_normalization: beta needs one element"),
    (lambda: ops.layer_normalization(X, axis=3), ShapeError, "axis 3 is out of range"),
    (lambda: ops.rms_normalization(X, np.ones(3)), ShapeError, "rms_normalization: scale needs one element"),
    (
        lambda: ops.batch_normalization(X, V, np.ones(3), -1),
        ShapeError,
        "batch_normalization: variance needs one element",
    ),
    (lambda: ops.batch_normalization(X, V, V, 5), ShapeError, "axis 5 is out of range"),
    (lambda: group_normalization(X, 3), ShapeError, "cannot be split into 3 groups"),
    (lambda: group_normalization(X, 1, axis=0), ShapeError, "axis 0 is the batch"),
    (
        lambda: sx.trace(ops.layer_normalization, sx.TensorSpec((2, 3), "complex64")),
        DtypeError,
        "expected a floating-point tensor",
    ),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS, ids=[e[2][:40] for e in ERRORS])
def test_error(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)
