"""Inputs of models."""

from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers as L
from sardonyx.trainer.core.errors import DtypeError, ShapeError

SHAPES: list[tuple[dict[str, Any], str]] = [
    ({"shape": (3,)}, "(batch, 3)"),
    ({"shape": ()}, "(batch,)"),
    ({"shape": [3, 4]}, "(batch, 3, 4)"),
    ({"shape": (3,), "batch_size": 5}, "(5, 3)"),
    ({"batch_shape": (None, 3)}, "(batch, 3)"),
    ({"batch_shape": (5, 3)}, "(5, 3)"),
    ({"shape": ("time", 3)}, "(batch, time, 3)"),
    ({"shape": ("time", "2*time")}, "(batch, time, 2*time)"),
]


@pytest.mark.parametrize(("arguments", "shape"), SHAPES)
def test_shapes(arguments: dict[str, Any], shape: str):
    assert f"shape={shape}," in repr(sx.Input(**arguments))


def test_sizes_not_known_are_different_sizes():
    x = sx.Input((None, None))
    assert x.shape[1] is not x.shape[2]
    assert L.InputLayer((None, 4)).batch_shape == (None, None, 4)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "bool", "float16"])
def test_dtypes(dtype: str):
    assert sx.Input((3,), dtype=dtype).dtype == dtype


BAD: list[tuple[dict[str, Any], Any, str]] = [
    ({}, ValueError, "`shape` is missing"),
    ({"shape": (3,), "batch_shape": (None, 3)}, ValueError, "not both"),
    ({"shape": 3}, ShapeError, r"a shape is a tuple such as \(3,\)"),
    ({"shape": "time"}, ShapeError, r"a shape is a tuple such as \('time',\)"),
    ({"batch_shape": 3}, ShapeError, "a shape is a tuple"),
    ({"shape": 0}, ShapeError, r"a shape is a tuple such as \(0,\)"),
    ({"shape": (3,), "sparse": True}, ValueError, "sparse and ragged tensors are not supported"),
    ({"shape": (3,), "ragged": True}, ValueError, "pass dense arrays"),
    ({"shape": (-1,)}, ValueError, "-1"),
    ({"shape": (2.5,)}, TypeError, "2.5"),
    ({"shape": (3,), "dtype": "float31"}, (TypeError, ValueError), "float31"),
    ({"shape": (3,), "name": "a/b"}, ValueError, "without '/'"),
    ({"shape": ("2 time",)}, ValueError, "2 time"),
]


@pytest.mark.parametrize(("arguments", "kind", "text"), BAD)
def test_bad_inputs(arguments: dict[str, Any], kind: Any, text: str):
    with pytest.raises(kind, match=text):
        sx.Input(**{"name": "x", **arguments})


def test_names():
    assert [sx.Input((1,)).name for _ in range(2)] == ["input_layer", "input_layer_1"]
    assert sx.Input((1,), name="image").name == "image"


def test_an_input_of_another_tensor():
    inner = L.Dense(4)(sx.Input((3,)))
    x = sx.Input(tensor=inner, name="inner")
    assert x.shape[1] == 4
    assert sx.Model(x, x * 2)(np.ones((2, 4), np.float32)).shape == (2, 4)


def test_equal_names_are_equal_sizes():
    a, b = sx.Input(("time", 3), name="a"), sx.Input(("time", 3), name="b")
    assert (a + b).shape == a.shape
    model = sx.Model([a, b], a + b)
    assert model([np.ones((2, 5, 3)), np.ones((2, 5, 3))]).shape == (2, 5, 3)


FITS: list[tuple[Any, tuple[int, ...]]] = [
    ((2, 3), (3,)),
    ((2, 3, 1), (3,)),
    ((2, 3), (3, 1)),
]


@pytest.mark.parametrize(("given", "expected"), FITS)
def test_a_last_axis_of_one_is_optional(given: Any, expected: Any):
    model = sx.Sequential([sx.Input(expected), L.Identity()])
    assert model(np.ones(given)).shape == (2, *expected)


REJECTED: list[tuple[Any, Any, str]] = [
    ((3,), (3,), r"expected shape \(batch, 3\), got \(3,\); the batch axis is missing"),
    ((2, 4), (3,), r"expected shape \(batch, 3\), got \(2, 4\)"),
    ((2, 8, 8), (8, 8, 3), "the last axis .channels. is missing"),
    ((2, 3, 8, 8), (8, 8, 3), "the data is channels first"),
    ((2, 5), (3, 3), r"expected shape \(batch, 3, 3\), got \(2, 5\)"),
]


@pytest.mark.parametrize(("given", "expected", "text"), REJECTED)
@pytest.mark.parametrize("how", ["call", "numpy", "onnxruntime"])
def test_data_that_does_not_fit(given: Any, expected: Any, text: str, how: str):
    model = sx.Sequential([sx.Input(expected, name="x"), L.Identity()])
    with pytest.raises(ShapeError, match=f"input 'x': .*{text}"):
        model(np.ones(given)) if how == "call" else model.predict(np.ones(given), runtime=how, verbose=0)


def test_a_fixed_batch_is_demanded():
    model = sx.Sequential([sx.Input((3,), batch_size=2), L.Identity()])
    assert model(np.ones((2, 3))).shape == (2, 3)
    with pytest.raises(ShapeError, match=r"expected shape \(2, 3\), got \(4, 3\)"):
        model(np.ones((4, 3)))


def test_specs_check_dtype_rank_and_size():
    class Strict(sx.Layer):
        def __init__(self, spec: Any) -> None:
            super().__init__(name="strict")
            self.input_spec = spec

        def call(self, inputs: Any) -> Any:
            return inputs

    x = np.ones((2, 3), np.float32)
    assert Strict(sx.InputSpec(shape=(None, 3), dtype="float32"))(x).shape == (2, 3)
    for spec, kind, text in [
        (sx.InputSpec(ndim=3), ShapeError, "expected rank 3.*of rank 2"),
        (sx.InputSpec(min_ndim=3), ShapeError, "rank 3 or more"),
        (sx.InputSpec(max_ndim=1), ShapeError, "rank 1 or less"),
        (sx.InputSpec(axes={-1: 4}), ShapeError, r"expected size 4 on axis -1, got shape \(2, 3\)"),
        (sx.InputSpec(axes={2: 4}), ShapeError, "expected an axis 2"),
        (sx.InputSpec(dtype="int32"), DtypeError, "expected dtype int32, got float32"),
        ([sx.InputSpec(), sx.InputSpec()], ShapeError, "expected 2 inputs, got 1"),
    ]:
        with pytest.raises(kind, match=f"layer 'strict' .*{text}"):
            Strict(spec)(x)
