"""Models written as classes: traced into graphs, cut, called on other shapes, with any structure of arguments."""

from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers as L
from sardonyx.trainer.core.errors import ShapeError

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


class Block(sx.Layer):
    """Two layers and a sum."""

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = L.Dense(width, activation="tanh", name="first")
        self.second = L.Dense(width, name="second")

    def call(self, inputs: Any) -> Any:
        return inputs + self.second(self.first(inputs))


class Net(sx.Model):
    """Layers called in a loop."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.blocks = [Block(3, name=f"block_{i}") for i in range(3)]
        self.drop = L.Dropout(0.5)
        self.head = L.Dense(2, name="head")

    def call(self, inputs: Any, training: Any = None) -> Any:
        for block in self.blocks:
            inputs = block(inputs)
        return self.head(self.drop(inputs, training=training))


STARTS: dict[str, Any] = {
    "call": lambda m: m(X),
    "build": lambda m: m.build((None, 3)),
    "trace": lambda m: m.trace(sx.TensorSpec((None, 3))),
    "predict": lambda m: m.predict(X, verbose=0),
    "symbolic call": lambda m: m(sx.Input((3,))),
    "fit": lambda m: (m.compile("sgd", "mse"), m.fit(X, X[:, :2], verbose=0)),
}


@pytest.mark.parametrize("case", STARTS)
def test_starts(case: str):
    model = Net()
    STARTS[case](model)
    assert model.built and len(model.weights) == 14
    assert model.input_shape == (None, 3) and model.output_shape == (None, 2)
    assert sorted(model.weight_names().values())[0] == "block_0/first/bias"
    for count in (1, 4):
        np.testing.assert_allclose(model.predict(X[:count], verbose=0), model(X[:count]), atol=1e-6)


@pytest.mark.parametrize("case", STARTS)
def test_paths_are_the_same_however_it_starts(case: str):
    model = Net()
    STARTS[case](model)
    assert model.weights[0].path.endswith("block_0/first/kernel")


def test_questions_before_the_start():
    model = Net(name="net")
    for ask in (lambda: model.input, lambda: model.output, lambda: model.plan, lambda: model.output_names):
        with pytest.raises(
            ValueError, match=r"model 'net' \(Net\) does not know the shapes of its inputs yet: call it once"
        ):
            ask()
    assert model.weights == [] and not model.built


def test_layers_are_found_by_path_and_cut():
    model = Net()
    model(X)
    second = model.get_layer("block_1/second")
    assert second is model.blocks[1].second
    cut = sx.Model(model.input, [model.get_layer("block_0").output, second.output, model.output])
    results = cut.predict(X, verbose=0)
    np.testing.assert_allclose(results[0], model.blocks[0](X), atol=1e-6)
    between = results[0] + results[1]
    np.testing.assert_allclose(model.head(model.blocks[2](between)), results[2], atol=1e-5)
    with pytest.raises(ValueError, match="layer 'block_1' has no layer 'secnd'; did you mean 'second'"):
        model.get_layer("block_1/secnd")


def test_a_cut_shares_weights():
    model = Net()
    model(X)
    cut = sx.Model(model.input, model.get_layer("block_0").output)
    assert {id(v) for v in cut.weights} <= {id(v) for v in model.weights}
    before = cut(X).numpy()
    model.set_weights([w + 0.1 for w in model.get_weights()])
    assert np.abs(cut(X).numpy() - before).max() > 0.01


class Pair(sx.Model):
    """A dictionary in, a dictionary out."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = L.Dense(2, name="left"), L.Dense(2, name="right")

    def call(self, inputs: Any) -> Any:
        a, b = self.left(inputs["a"]), self.right(inputs["b"])
        return {"sum": a + b, "parts": [a, b]}


@pytest.mark.parametrize("start", ["call", "build", "trace"])
def test_dictionaries(start: str):
    model, given = Pair(), {"b": X[:, :2], "a": X}
    if start == "call":
        model(given)
    elif start == "build":
        model.build({"a": (None, 3), "b": (None, 2)})
    else:
        model.trace({"a": sx.TensorSpec((None, 3)), "b": sx.TensorSpec((None, 2))})
    assert sorted(model.input_names) == ["a", "b"]
    assert model.output_shape == {"sum": (None, 2), "parts": [(None, 2), (None, 2)]}
    expected = model(given)
    for runtime in ("numpy", "onnxruntime"):
        got = model.predict(given, runtime=runtime, verbose=0)
        sx.tree.assert_same_structure(got, expected)
        for a, b in zip(sx.tree.flatten(got), sx.tree.flatten(expected), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


class Keywords(sx.Model):
    """Arguments by place and by name."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = L.Dense(2)

    def call(self, query: Any, context: Any = None, scale: float = 1.0) -> Any:
        x = self.dense(query) * scale
        return x if context is None else x + context


KEYWORDS: dict[str, Any] = {
    "one": lambda m: m(X),
    "place": lambda m: m(X, X[:, :2]),
    "keyword": lambda m: m(X, context=X[:, :2]),
    "all keywords": lambda m: m(query=X, context=X[:, :2]),
    "number": lambda m: m(X, scale=3.0),
}


@pytest.mark.parametrize("case", KEYWORDS)
def test_arguments_by_name(case: str, tmp_path: Any):
    model = Keywords()
    result = KEYWORDS[case](model)
    names = ["query"] if case in ("one", "number") else ["query", "context"]
    assert model.input_names == names
    file = str(tmp_path / "m.onnx")
    model.export(file)
    from_file = sx.builder.prediction.run_file(file, *[X, X[:, :2]][: len(names)])
    np.testing.assert_allclose(from_file[0], result, atol=1e-6)


def test_symbolic_calls_with_keywords():
    model = Keywords()
    a, b = sx.Input((3,), name="a"), sx.Input((2,), name="b")
    outer = sx.Model([a, b], model(a, context=b, scale=2.0))
    given = [X, X[:, :2]]
    np.testing.assert_allclose(outer.predict(given, verbose=0), model(X, X[:, :2], scale=2.0), atol=1e-6)


def test_other_shapes_later():
    class Rows(sx.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = L.Dense(2)

        def call(self, inputs: Any) -> Any:
            return sx.ops.sum(self.dense(inputs), axis=1)

    model = Rows()
    assert model(np.ones((2, 5, 3))).shape == (2, 2)
    assert model(np.ones((4, 7, 3))).shape == (4, 2)
    assert model.input_shape == (None, 5, 3)
    model.trace(sx.TensorSpec((None, None, 3)))
    assert model.input_shape == (None, None, 3)
    for length in (5, 7):
        value = np.random.default_rng(length).normal(size=(2, length, 3)).astype(np.float32)
        np.testing.assert_allclose(model.predict(value, verbose=0), model(value), atol=1e-5)
    with pytest.raises(ShapeError, match="layer .*dense.*expected .*3.* got"):
        model(np.ones((2, 5, 4)))


def test_sizes_in_call():
    class Flat(sx.Model):
        def call(self, inputs: Any) -> Any:
            return sx.ops.reshape(inputs, (inputs.shape[0], -1)) / inputs.shape[-1]

    model = Flat()
    model.build((None, 4, 5))
    value = np.random.default_rng(1).normal(size=(3, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(model.predict(value, verbose=0), value.reshape(3, -1) / 5, rtol=1e-6)


def test_own_variables_and_build():
    class Scale(sx.Model):
        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")
            self.built = True

        def call(self, inputs: Any) -> Any:
            return inputs * self.scale

    for start in (lambda m: m(X), lambda m: m.build((None, 3))):
        model = Scale()
        start(model)
        assert [v.name for v in model.trainable_variables] == ["scale"]
        np.testing.assert_allclose(model(X), X)
    np.testing.assert_allclose(model.predict(X, verbose=0), X) if model._signature else model(X)


def test_layers_made_outside_of_call_by_a_plan():
    """A class that holds a functional model and a Sequential side by side."""

    class Both(sx.Model):
        def __init__(self) -> None:
            super().__init__()
            x = sx.Input((3,))
            self.graph = sx.Model(x, L.Dense(3, name="inner")(x), name="graph")
            self.stack = sx.Sequential([L.Dense(3, name="deep")], name="stack")

        def call(self, inputs: Any) -> Any:
            return self.stack(self.graph(inputs))

    model = Both()
    model(X)
    assert len(model.weights) == 4
    cut = sx.Model(model.input, [model.get_layer("graph/inner").output, model.get_layer("stack/deep").output])
    inner, deep = cut.predict(X, verbose=0)
    np.testing.assert_allclose(inner, model.graph(X), atol=1e-6)
    np.testing.assert_allclose(deep, model(X), atol=1e-6)


def test_no_call():
    with pytest.raises(NotImplementedError, match="model 'empty': class Model does not define call"):
        sx.Model(name="empty")(X)
    with pytest.raises(TypeError, match="positional argument"):
        Net(3)  # type: ignore[call-arg]
