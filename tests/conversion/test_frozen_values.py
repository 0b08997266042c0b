"""Values that conversion cannot see: arrays, attributes, globals, random draws, weights outside of layers."""

import random
import types

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import run_graph
from sardonyx.exporters.runtime import session
from sardonyx.trainer.core.errors import SymbolicValueError

X = np.arange(6, dtype=np.float32).reshape(2, 3)
SCALE = 2.0
TABLE = np.array([1.0, 2.0, 3.0], np.float32)
OPTIONS = {"shift": 1.0, "parts": [1.0, 2.0]}
HOLDER = types.SimpleNamespace()


def times_scale(x):
    return x * SCALE


class Reads(sx.Model):
    """Reads attributes, a global, an array, a dictionary and a helper's global."""

    def __init__(self):
        super().__init__()
        self.factor, self.table, self.mode = 3.0, np.ones(3, np.float32), "plus"

    def call(self, x):
        y = times_scale(x) * self.factor + self.table * TABLE + OPTIONS["parts"][0]
        return y + OPTIONS["shift"] if self.mode == "plus" else y - OPTIONS["shift"]


def exported(model, folder):
    model.export(folder / "model.onnx")
    running = session(str(folder / "model.onnx"))
    return running.run(None, {running.get_inputs()[0].name: X})[0]


CHANGES = {
    "attribute": lambda model, patch: setattr(model, "factor", 5.0),
    "text": lambda model, patch: setattr(model, "mode", "minus"),
    "array_in_place": lambda model, patch: model.table.__setitem__(1, 7.0),
    "array_replaced": lambda model, patch: setattr(model, "table", np.full(3, 4.0, np.float32)),
    "global": lambda model, patch: patch.setitem(globals(), "SCALE", 9.0),
    "global_array": lambda model, patch: patch.setitem(globals(), "TABLE", TABLE * 2),
    "global_dictionary": lambda model, patch: patch.setitem(OPTIONS, "shift", -4.0),
    "list_in_dictionary": lambda model, patch: patch.setitem(OPTIONS, "parts", [8.0]),
    "helper": lambda model, patch: patch.setitem(globals(), "times_scale", lambda x: x - 1.0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_call_reads_may_change(change, tmp_path, monkeypatch):
    model = Reads()
    model(X)
    before = model(X).numpy()
    np.testing.assert_allclose(model.predict(X, verbose=0), before)
    np.testing.assert_allclose(exported(model, tmp_path), before)
    change(model, monkeypatch)
    after = model(X).numpy()
    assert not np.allclose(before, after)
    np.testing.assert_allclose(model.predict(X, verbose=0), after)
    np.testing.assert_allclose(exported(model, tmp_path), after)
    cut = sx.Model(model.input, model.output)
    np.testing.assert_allclose(cut(X).numpy(), after)


def test_a_layer_in_a_functional_model_may_change_too():
    class Scale(sx.layers.Layer):
        def __init__(self):
            super().__init__()
            self.factor = 2.0

        def call(self, x):
            return x * self.factor

    scale = Scale()
    x = sx.Input((3,))
    model = sx.Model(x, scale(x))
    np.testing.assert_allclose(model.predict(X, verbose=0), X * 2)
    scale.factor = 4.0
    np.testing.assert_allclose(model.predict(X, verbose=0), X * 4)


def test_nothing_is_traced_anew_without_a_change():
    model = Reads()
    model(X)
    assert model.plan is model.plan
    model(X)
    model.predict(X, verbose=0)
    assert model.output is model.output


def test_arrays_in_a_graph_are_its_own():
    table = np.ones(3, np.float32)

    def function(x):
        first = x + table
        table[0] = 5.0
        return first, x + table

    eager = [y.numpy() for y in function(sx.Tensor(X))]
    table[:] = 1
    graph = sx.trace(function, sx.TensorSpec((2, 3)))
    table[:] = -9
    for results in (graph.run(X), run_graph(graph, X)):
        for found, expected in zip(results, eager, strict=True):
            np.testing.assert_allclose(found, expected)


def test_constant_results_of_a_graph_are_its_own():
    table = np.ones(3, np.float32)
    graph = sx.trace(lambda x: (x, sx.Tensor(table)), sx.TensorSpec((3,)))
    table[:] = 7
    assert graph.run(X[0])[1].tolist() == [1, 1, 1]


class Counts(sx.Model):
    """Counts its calls in Python and uses the count."""

    def __init__(self):
        super().__init__()
        self.count = 0.0

    def call(self, x):
        self.count += 1.0
        return x * self.count


class Accumulates(sx.Model):
    """Changes a NumPy array in place."""

    def __init__(self):
        super().__init__()
        self.total = np.zeros(3, np.float32)

    def call(self, x):
        self.total += 1.0
        return x + self.total


@pytest.mark.parametrize(("kind", "place"), [(Counts, "counts.count"), (Accumulates, "accumulates.total")])
def test_state_that_call_changes_in_python_is_refused(kind, place, tmp_path):
    model = kind()
    model(X)
    for use in (lambda: model.output, lambda: model.export(tmp_path / "model.onnx")):
        with pytest.raises(
            SymbolicValueError, match=rf"{place} is changed by the model(.|\n)*add_weight(.|\n)*assign_add"
        ):
            use()


def test_predict_runs_what_cannot_be_a_graph_on_numpy():
    model = Counts()
    model(X)
    with pytest.warns(UserWarning, match="predicts on NumPy(.|\n)*is changed by the model"):
        np.testing.assert_allclose(model.predict(X, verbose=0), X * model.count)
    with pytest.raises(SymbolicValueError, match="is changed by the model"):
        model.predict(X, verbose=0, runtime="onnxruntime")


@sx.do_not_convert
def numpy_unseen(x):
    return x * np.random.rand()  # noqa: NPY002 - as users write it


@sx.do_not_convert
def python_unseen(x):
    return x * random.random()


@pytest.mark.parametrize(("function", "source"), [(numpy_unseen, "NumPy's global"), (python_unseen, "Python's global")])
def test_draws_in_code_that_is_not_converted_are_refused(function, source):
    with pytest.raises(SymbolicValueError, match=rf"{source} generator(.|\n)*sx.random.SeedGenerator"):
        sx.trace(function, sx.TensorSpec((3,)))


def test_draws_for_first_weights_are_allowed():
    class Own(sx.layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight((3,), initializer=lambda shape, dtype: np.random.normal(size=shape))  # noqa: NPY002
            self.noise = np.random.rand(3)  # noqa: NPY002
            self.seeds = sx.random.SeedGenerator()

        def call(self, x):
            return x * self.kernel + sx.random.normal((3,), seed=self.seeds)

    x = sx.Input((3,))
    assert sx.Model(x, Own()(x)).count_params() == 3
    assert len(sx.trace(lambda x: sx.random.normal((3,)) + x, sx.TensorSpec((3,))).nodes) > 1


def weight_value(layer):
    return layer.kernel.value


def weight_view(layer):
    return ops.transpose(ops.transpose(layer.kernel))


@pytest.mark.parametrize("read", [weight_value, weight_view])
def test_weights_read_outside_of_layers_are_refused(read):
    dense = sx.layers.Dense(3)
    x = sx.Input((3,))
    y = dense(x)
    with pytest.raises(ValueError, match=r"weight 'dense/kernel' outside of any layer(.|\n)*test_frozen_values.py"):
        sx.Model(x, ops.matmul(y, read(dense)))


@pytest.mark.parametrize("symbolic", [False, True])
def test_item_assignment_teaches(symbolic):
    def change(x):
        x[0] = 1.0
        return x

    with pytest.raises(TypeError, match=r"not changed in place(.|\n)*x\[0\] = 1.0(.|\n)*ops.slice_update"):
        sx.trace(change, sx.TensorSpec((3,))) if symbolic else change(sx.Tensor(X[0]))


def test_first_values_of_weights_may_be_drawn_with_numpy():
    generator = np.random.default_rng(0)

    def call(x):
        weight = sx.Variable(lambda shape, dtype: generator.normal(size=shape).astype(dtype), (2,))
        return x * weight

    graph = sx.trace(call, sx.TensorSpec((2,)))
    np.testing.assert_array_equal(graph.run(np.ones(2, "float32")), graph.variables[0])
