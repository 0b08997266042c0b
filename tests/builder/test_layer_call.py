"""Calling layers: modes, arguments, element types, shapes without data, copies."""

import copy
from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers as L

ones = np.ones((2, 3), np.float32)


class Holder(sx.Layer):
    """Keeps whatever it is given."""

    def __init__(self, held: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.held = held

    def call(self, inputs: Any) -> Any:
        for layer in self.child_layers():
            inputs = layer(inputs)
        return inputs


def dense(name: str = "d") -> Any:
    return L.Dense(3, name=name)


class Query(sx.Layer):
    """Builds with named shapes."""

    def build(self, query_shape: Any, value_shape: Any) -> None:
        self.kernel = self.add_weight((query_shape[-1], value_shape[-1]), name="kernel")

    def call(self, query: Any, value: Any) -> Any:
        return sx.ops.matmul(query, self.kernel) + value


# -- training ------------------------------------------------------------------------------------------------------


class Mode(sx.Layer):
    """Remembers the mode it was called in."""

    def call(self, inputs: Any, training: Any = None) -> Any:
        self.mode = training
        return inputs


class Eager(Mode):
    """Trains unless told otherwise."""

    def call(self, inputs: Any, training: Any = True) -> Any:
        return super().call(inputs, training)


class Quiet(sx.Layer):
    """Calls its layer without a word about the mode, and does not take the argument itself."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs)


class Insistent(Quiet):
    """Fixes the mode of its layer."""

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs, training=True)


MODES: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "no argument": (lambda m: m, {}, None),
    "explicit true": (lambda m: m, {"training": True}, True),
    "explicit false": (lambda m: m, {"training": False}, False),
    "explicit none": (lambda m: m, {"training": None}, None),
    "through a layer without the argument": (Quiet, {"training": True}, True),
    "through two": (lambda m: Quiet(Quiet(m)), {"training": True}, True),
    "through a sequential": (lambda m: sx.Sequential([Quiet(m)]), {"training": True}, True),
    "through nothing": (Quiet, {}, None),
    "fixed inside": (Insistent, {"training": False}, True),
    "fixed in a graph": (lambda m: functional(m, training=True), {"training": False}, True),
    "open in a graph": (lambda m: functional(m, training=None), {"training": True}, True),
    "a graph in a graph": (lambda m: functional(functional(m)), {"training": True}, True),
}


def functional(layer: Any, **kwargs: Any) -> Any:
    x = sx.Input((3,))
    return sx.Model(x, layer(x, **kwargs))


@pytest.mark.parametrize("case", MODES)
def test_modes_travel(case: str):
    wrap, arguments, expected = MODES[case]
    mode = Mode()
    layer = wrap(mode)
    layer(ones, **arguments)
    assert mode.mode is expected


def test_the_default_of_call_counts_only_at_the_top():
    layer = Eager()
    layer(ones)
    assert layer.mode is True
    Quiet(layer)(ones, training=False)
    assert layer.mode is False


def test_mode_by_position():
    layer = Mode()
    layer(ones, True)
    assert layer.mode is True


# -- arguments -----------------------------------------------------------------------------------------------------


class Arguments(sx.Layer):
    """Takes tensors and other things, by place and by name."""

    def call(self, inputs: Any, other: Any = None, *, scale: float = 1.0, mode: str = "add", extra: Any = None) -> Any:
        x = inputs * scale
        if other is not None:
            x = x + other if mode == "add" else x - other
        return x if extra is None else x + extra["deep"][0]


CALLS: dict[str, tuple[Any, Any]] = {
    "one": (lambda f, x: f(x), 1),
    "place": (lambda f, x: f(x, x), 2),
    "keyword tensor": (lambda f, x: f(x, other=x), 2),
    "number": (lambda f, x: f(x, x, scale=3.0), 4),
    "text": (lambda f, x: f(x, x, mode="subtract"), 0),
    "nested": (lambda f, x: f(x, extra={"deep": [x]}), 2),
    "first by keyword": (lambda f, x: f(inputs=x, other=x), 2),
    "an array beside": (lambda f, x: f(x, ones[0] * 4), 5),
    "an array in a structure": (lambda f, x: f(x, extra={"deep": [ones[0] * 4]}), 5),
}


@pytest.mark.parametrize("case", CALLS)
def test_arguments_at_once_and_in_a_graph(case: str):
    make, expected = CALLS[case]
    layer = Arguments()
    assert np.all(make(layer, sx.ops.convert_to_tensor(ones)).numpy() == expected)
    x = sx.Input((3,))
    model = sx.Model(x, make(layer, x))
    assert np.all(model(ones).numpy() == expected)
    assert np.all(model.predict(ones, verbose=0) == expected)


@pytest.mark.parametrize(
    ("value", "dtype", "got"),
    [
        (np.ones(2), None, "float32"),
        (np.ones(2), "float64", "float64"),
        (np.ones(2, np.float32), "float64", "float64"),
        (np.ones(2, np.int64), None, "int64"),
        (np.ones(2, np.int32), "float16", "int32"),
        (np.ones(2, bool), None, "bool"),
        ([1.0, 2.0], None, "float32"),
        ([[1, 2], [3, 4]], None, "int32"),
        (np.ones(2, np.float16), None, "float32"),
    ],
)
def test_floats_get_the_dtype_of_the_layer_and_integers_keep_theirs(value: Any, dtype: Any, got: str):
    assert L.Identity(dtype=dtype)(value).dtype == got


def test_autocast_can_be_off():
    assert Mode(autocast=False)(sx.ops.convert_to_tensor(np.ones(2), "float64")).dtype == "float64"


def test_structures_are_cast_leaf_by_leaf():
    class Whole(sx.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs

    out = Whole()({"a": np.ones(2), "b": [np.ones(2, np.int32), None]})
    assert out["a"].dtype == "float32" and out["b"][0].dtype == "int32" and out["b"][1] is None


# -- shapes without data -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "shape", "expected"),
    [
        (lambda: L.Dense(5), (None, 3), (None, 5)),
        (lambda: L.Dense(5), (7, 3), (7, 5)),
        (lambda: L.Conv2D(4, 3), (None, 8, 8, 1), (None, 6, 6, 4)),
        (lambda: L.Conv2D(4, 3, padding="same"), (None, None, None, 1), (None, None, None, 4)),
        (L.Flatten, (None, 4, 5), (None, 20)),
        (L.Concatenate, [(None, 2), (None, 3)], (None, 5)),
        (lambda: L.LSTM(4, return_sequences=True), (None, None, 2), (None, None, 4)),
    ],
)
def test_output_shapes(make: Any, shape: Any, expected: Any):
    assert make().compute_output_shape(shape) == expected


def test_output_shapes_by_name():
    assert Query().compute_output_shape(query_shape=(None, 3), value_shape=(None, 5)) == (None, 5)


def test_output_specs():
    spec = L.Dense(5).compute_output_spec(sx.Input((3,)))
    assert (spec.shape[1], spec.dtype) == (5, "float32")
    assert L.Embedding(9, 2).symbolic_call(sx.TensorSpec((None, 4), "int32")).shape[1:] == (4, 2)


# -- copies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [dense, lambda: Holder([dense("a"), {"k": dense("b")}])], ids=["layer", "holder"])
def test_deep_copies_share_nothing(make: Any):
    layer = make()
    expected = layer(ones).numpy()
    twin = copy.deepcopy(layer)
    np.testing.assert_array_equal(twin(ones).numpy(), expected)
    assert not {id(v) for v in twin.weights} & {id(v) for v in layer.weights}
    twin.set_weights([w + 1 for w in twin.get_weights()])
    np.testing.assert_array_equal(layer(ones).numpy(), expected)


def test_input_and_output_of_a_layer():
    layer = dense("d")
    with pytest.raises(AttributeError, match="layer 'd' has no single input: it is not part of a model yet"):
        _ = layer.input
    x = sx.Input((3,))
    y = layer(x)
    assert layer.input is x and layer.output is y
    layer(y)
    with pytest.raises(AttributeError, match="is called 2 times"):
        _ = layer.output
    assert layer.calls[0].outputs is y
