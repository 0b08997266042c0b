"""Cutting a model at a tensor inside a nested one: by path, in every mixture of styles."""

import numpy as np
import pytest

import sardonyx as sx

layers = sx.layers


def encoder() -> sx.Model:
    x = sx.Input((8,), name="features")
    return sx.Model(
        x, layers.Dense(5, activation="relu", name="second")(layers.Dense(4, name="first")(x)), name="encoder"
    )


class Subclassed(sx.Model):
    def __init__(self, inner: sx.Model) -> None:
        super().__init__()
        self.encoder = inner
        self.head = layers.Dense(2, name="head")

    def call(self, x):
        return self.head(self.encoder(x * 2))


def functional(inner: sx.Model) -> sx.Model:
    x = sx.Input((8,))
    return sx.Model(x, layers.Dense(2, name="head")(inner(x * 2)))


def sequential(inner: sx.Model) -> sx.Model:
    return sx.Sequential([sx.Input((8,)), layers.Rescaling(2.0), inner, layers.Dense(2, name="head")])


def subclassed(inner: sx.Model) -> sx.Model:
    model = Subclassed(inner)
    model.build((None, 8))
    return model


CASES = [
    (functional, "encoder/first", 2.0),
    (functional, "encoder/second", 2.0),
    (sequential, "encoder/first", 2.0),
    (subclassed, "encoder/first", 2.0),
]


@pytest.mark.parametrize(("make", "path", "scale"), CASES, ids=lambda x: getattr(x, "__name__", str(x)))
def test_an_inner_tensor_by_path_means_its_place_in_the_outer_model(make, path, scale):
    inner = encoder()
    model = make(inner)
    x = np.random.default_rng(0).standard_normal((3, 8)).astype("float32")
    cut = sx.Model(model.input, [model.get_layer(path).output, model.output])
    inside, outside = cut(x)
    expected = sx.Model(inner.input, inner.get_layer(path.split("/")[1]).output)(x * scale)
    np.testing.assert_allclose(np.asarray(inside), np.asarray(expected), rtol=1e-6)
    np.testing.assert_allclose(np.asarray(outside), np.asarray(model(x)), rtol=1e-6)


def test_inner_tensors_of_a_model_inside_a_model_inside_a_model():
    inner = encoder()
    x = sx.Input((8,), name="x")
    middle = functional(inner)
    outer = sx.Model(x, middle(x))
    cut = sx.Model(outer.input, outer.get_layer(f"{middle.name}/encoder/first").output)
    data = np.ones((2, 8), "float32")
    np.testing.assert_allclose(np.asarray(cut(data)), np.asarray(inner.get_layer("first")(data * 2)), rtol=1e-6)


def test_a_layer_called_twice_asks_which_call_is_meant():
    inner = encoder()
    x = sx.Input((8,))
    model = sx.Model(x, inner(x) + inner(x * 2))
    with pytest.raises(sx.ShapeError, match=r"layer 'first' is called 2 times between these inputs.*layer.calls\[i\]"):
        sx.Model(model.input, model.get_layer("encoder/first").output)


def test_a_tensor_of_another_model_is_still_refused():
    other, model = functional(encoder()), functional(encoder())
    with pytest.raises(sx.ShapeError, match="not among the inputs of the model"):
        sx.Model(model.input, other.output)


def test_what_is_built_upon_an_inner_tensor_becomes_part_of_the_outer_model():
    inner = encoder()
    model = functional(inner)
    new = layers.Dense(3, name="new")
    grown = sx.Model(model.input, sx.ops.concatenate([new(inner.output), model.output], axis=-1))
    x = np.ones((2, 8), "float32")
    expected = np.concatenate([new(inner(x * 2)), model(x)], axis=-1)
    np.testing.assert_allclose(np.asarray(grown(x)), expected, rtol=1e-6)
    assert grown.get_layer("new").output.shape == (*model.output.shape[:1], 3)
    assert len(new.calls) == 1
