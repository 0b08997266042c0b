"""Control flow in the `call` of models and layers, in every style: all see one graph."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import run_graph


class Gate(sx.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.count = sx.Variable(0, dtype="int32", trainable=False, name="count")

    def call(self, x, training=False):
        if ops.mean(x) > 0:
            self.count.assign_add(1)
            y = self.doubled(x)
        else:
            y = -x
        for _ in range(2):
            y = y + 1 if training else y
        return y

    def doubled(self, x):
        return x * 2 if ops.max(x) < 3 else x


class Net(sx.Model):
    def __init__(self):
        super().__init__()
        self.first = sx.layers.Dense(4, name="first")
        self.gate = Gate(name="gate")
        self.blocks = [sx.layers.Dense(4, activation="relu", name=f"block_{i}") for i in range(2)]

    def call(self, x):
        hidden = self.first(x)
        for block in self.blocks:
            hidden = block(hidden)
        if ops.sum(hidden) > 1:
            hidden = self.gate(hidden)
        return hidden


def subclassed():
    return Net()


def sequential():
    return sx.Sequential([sx.Input((3,)), sx.layers.Dense(4), Gate(), sx.layers.Dense(4)])


def functional():
    inputs = sx.Input((3,))
    doubled = sx.layers.Lambda(lambda t: t * 2 if ops.sum(t) > 0 else t)(Gate()(sx.layers.Dense(4)(inputs)))
    return sx.Model(inputs, doubled)


@pytest.mark.parametrize("make", [subclassed, sequential, functional])
def test_every_style(make, tmp_path):
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    model = make()
    model(x)
    path = tmp_path / "model.onnx"
    model.export(path)
    session = sx.exporters.load(path) if hasattr(sx.exporters, "load") else None
    for factor in (1, -1, 10, -10):
        expected = np.asarray(model(x * factor))
        np.testing.assert_allclose(model.predict(x * factor, verbose=0), expected, rtol=1e-4, atol=1e-5)
        if session is not None:
            np.testing.assert_allclose(np.asarray(session(x * factor)), expected, rtol=1e-4, atol=1e-5)
        graph = sx.trace(model, sx.TensorSpec(("batch", 3)))
        np.testing.assert_allclose(run_graph(graph, x * factor)[0], expected, rtol=1e-4, atol=1e-5)
    model.compile("sgd", "mse")
    assert np.isfinite(model.fit(x, np.zeros((5, 4), np.float32), epochs=1, verbose=0).history["loss"]).all()


def test_summary_shows_the_choice():
    model = Net()
    model.trace(sx.TensorSpec((None, 3)))
    lines = []
    model.summary(print_fn=lines.append)
    assert "cond" in "\n".join(lines)


def test_gradients_through_branch_and_loop():
    def program(x):
        total = 0.0
        for row in x:
            total = total * 0.5 + ops.sum(row * row) if ops.sum(row) > 0 else total - ops.sum(row)
        while total > 10.0:
            total = total / 2
        return total

    def gradient(x):
        return sx.grad(program)(x)

    graph = sx.trace(gradient, sx.TensorSpec(("n", 3)))
    for seed, size in ((0, 4), (1, 2), (2, 7)):
        x = np.random.default_rng(seed).normal(size=(size, 3)).astype(np.float32) * 3
        expected = np.asarray(gradient(ops.convert_to_tensor(x)))
        np.testing.assert_allclose(graph.run(x), expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(run_graph(graph, x)[0], expected, rtol=1e-4, atol=1e-5)


def test_loss_and_metric_functions_are_converted():
    def loss(y_true, y_pred):
        difference = ops.mean(ops.abs(y_true - y_pred))
        return difference if difference > 1 else difference * difference

    made = sx.losses.LossFunctionWrapper(loss) if hasattr(sx.losses, "LossFunctionWrapper") else loss
    graph = sx.trace(made, sx.TensorSpec((4,)), sx.TensorSpec((4,)))
    y = np.zeros(4, np.float32)
    for scale, expected in ((3.0, 3.0), (0.5, 0.25)):
        np.testing.assert_allclose(graph.run(y, y + np.float32(scale)), expected, rtol=1e-6)


def test_a_layer_inside_a_branch_says_where_its_results_are():
    class Gated(sx.Model):
        def __init__(self):
            super().__init__()
            self.expert = sx.layers.Dense(2, name="expert")

        def call(self, x):
            if sx.ops.sum(x) > 0:
                x = self.expert(x)
            return x

    model = Gated()
    model.build((None, 2))
    with pytest.raises(AttributeError, match=r"'expert' has no single output.*inside a branch or loop.*model\.tensors"):
        _ = model.get_layer("expert").output
    cut = sx.Model(model.input, model.tensors()["cond"])
    np.testing.assert_array_equal(cut(np.ones((1, 2), "float32")), model(np.ones((1, 2), "float32")))
