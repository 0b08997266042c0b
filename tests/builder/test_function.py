"""Functions compiled whole: traced once a signature, variables kept by the engine, results as eager ones."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers as L

random = np.random.default_rng(0)
X = random.standard_normal((8, 4)).astype("float32")
Y = random.integers(0, 3, 8)


def pieces() -> tuple[Any, Any, Any]:
    sx.utils.set_random_seed(1)
    model = sx.Sequential([sx.Input((4,)), L.Dense(8, activation="relu"), L.Dropout(0.2, seed=2), L.Dense(3)])
    return model, sx.optimizers.Adam(0.02), sx.random.SeedGenerator(4)


def step_of(model: Any, optimizer: Any, seeds: Any) -> Any:
    def step(x: Any, y: Any, noise: float = 0.1) -> Any:
        with sx.GradientTape() as tape:
            x = x + noise * sx.random.normal(x.shape, seed=seeds)
            loss = sx.ops.mean(sx.losses.sparse_categorical_crossentropy(y, model(x, training=True), from_logits=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return {"loss": loss, "norm": sx.ops.sqrt(sum(sx.ops.sum(sx.ops.square(g)) for g in gradients)), "none": None}

    return step


def test_a_custom_loop():
    plain, compiled = pieces(), pieces()
    step, fast = step_of(*plain), sx.function(step_of(*compiled))
    for i in range(20):
        noise = 0.1 if i < 15 else 0.5
        wanted, found = step(X, Y, noise=noise), fast(X, Y, noise=noise)
        assert found["none"] is None
        np.testing.assert_allclose([found["loss"], found["norm"]], [wanted["loss"], wanted["norm"]], rtol=1e-5)
    for a, b in zip(plain[0].weights, compiled[0].weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert len(fast.traces) == 2


def test_two_functions_share_variables_with_each_other_and_with_python():
    weight = sx.Variable([1.0, 2.0])

    @sx.function
    def double(x: Any) -> Any:
        weight.assign(weight * 2.0)
        return weight * x

    @sx.function
    def look(x: Any) -> Any:
        return weight + x

    one = np.ones(2, "float32")
    double(one), look(one)
    held = weight.value
    np.testing.assert_array_equal(double(one), [4.0, 8.0])
    np.testing.assert_array_equal(look(one), [5.0, 9.0])
    np.testing.assert_array_equal(held, [2.0, 4.0])
    weight.assign([10.0, 20.0])
    np.testing.assert_array_equal(look(one), [11.0, 21.0])
    np.testing.assert_array_equal(double(one), [20.0, 40.0])
    weight.assign_add(one)
    np.testing.assert_array_equal(weight, [21.0, 41.0])
    np.testing.assert_array_equal(look(one), [22.0, 42.0])
    look.release()
    assert weight._home is None
    np.testing.assert_array_equal(double(one), [42.0, 82.0])


def test_results_stay_as_they_are_after_later_calls():
    @sx.function
    def square(x: Any) -> Any:
        return x * x

    first = [square(np.full(3, i, "float32")) for i in range(4)]
    np.testing.assert_array_equal(np.stack([np.asarray(x) for x in first])[:, 0], [0.0, 1.0, 4.0, 9.0])


def test_traces_by_shape_dtype_and_python_values():
    calls = []

    @sx.function
    def scaled(x: Any, factor: Any = 1, *, shift: Any = 0) -> Any:
        calls.append(x.shape)
        return x * factor + shift

    for x in (np.ones(2, "float32"), np.ones(2, "float32"), np.ones(3, "float32"), np.ones(2, "int32")):
        for factor in (1, 2):
            np.testing.assert_array_equal(scaled(x, factor, shift=3), x * factor + 3)
    assert len(scaled.traces) == 6
    assert len(calls) == 1 + 6


def test_what_cannot_be_hashed_counts_by_identity():
    @sx.function
    def total(x: Any, kept: Any) -> Any:
        return x * float(sum(kept))

    one = np.ones(2, "float32")
    for i in range(1, 30):
        np.testing.assert_array_equal(total(one, {i}), one * i)  # a set that is gone leaves its address to another


class Settings:
    def __init__(self) -> None:
        self.factor = 2.0


def changing_global() -> Any:
    names = globals()
    names["FACTOR"] = 2.0
    return (lambda x: x * FACTOR), lambda: names.update(FACTOR=FACTOR + 1)  # noqa: F821 - made above


def changing_closure() -> Any:
    held = {"factor": 2.0, "shifts": np.zeros(2, "float32")}

    def change() -> None:
        held["factor"] += 1
        held["shifts"][0] += 1

    return (lambda x: x * held["factor"] + held["shifts"]), change


def changing_object() -> Any:
    settings = Settings()

    class User:
        def compute(self, x: Any) -> Any:
            return x * self.settings.factor

    user = User()
    user.settings = settings
    return user.compute, lambda: setattr(settings, "factor", settings.factor + 1)


def changing_layer() -> Any:
    layer = L.LeakyReLU(0.5)
    model = sx.Sequential([sx.Input((2,)), layer])
    return (lambda x: model(-x[None])), lambda: setattr(layer, "negative_slope", layer.negative_slope + 1)


def freezing() -> Any:
    model = sx.Sequential([sx.Input((2,)), L.Dense(1, kernel_initializer="ones"), L.Dense(1)])
    optimizer = sx.optimizers.SGD(0.1)

    def step(x: Any) -> Any:
        with sx.GradientTape() as tape:
            loss = sx.ops.sum(model(x[None]) ** 2)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return model.layers[0].kernel * 1.0

    return step, lambda: setattr(model.layers[0], "trainable", not model.layers[0].trainable)


@pytest.mark.parametrize(
    "make", [changing_global, changing_closure, changing_object, changing_layer, freezing], ids=lambda f: f.__name__
)
def test_what_python_changes_between_calls_is_never_frozen(make: Any):
    found = []
    for wrap in (lambda f: f, sx.function):
        sx.utils.set_random_seed(0)
        plain, change = make()
        function, values = wrap(plain), []
        for i in range(8):
            values.append(np.array(function(np.array([1.0, 2.0], "float32"))))
            if i % 3 == 2:
                change()
        found.append(values)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)
    assert not np.array_equal(found[0][0], found[0][-1])


def test_a_function_that_counts_in_python_runs_there():
    seen = Settings()

    @sx.function
    def counted(x: Any) -> Any:
        seen.factor += 1
        return x * seen.factor

    one = np.ones(2, "float32")
    assert float(counted(one)[0]) == 3.0
    with pytest.warns(UserWarning, match=r"factor is changed by the model itself while it is traced"):
        found = [float(counted(one)[0]) for _ in range(4)]
    assert [b - a for a, b in pairwise(found)] == [1.0] * 3


def test_calls_of_layers_in_between_make_no_new_trace():
    model, optimizer, seeds = pieces()
    fast = sx.function(step_of(model, optimizer, seeds))
    for _ in range(2):
        fast(X, Y)
    trace = next(iter(fast.traces.values()))
    for _ in range(3):
        model(X)
        fast(X, Y)
    assert list(fast.traces.values()) == [trace]


def test_control_flow_and_results_of_unknown_size():
    @sx.function
    def positive(x: Any) -> Any:
        return sx.ops.nonzero(x > 0)[0]

    for x in ([1.0, -1.0, 2.0], [1.0, 1.0, 2.0], [-1.0, -1.0, -2.0]):
        array = np.array(x, "float32")
        np.testing.assert_array_equal(positive(array), np.nonzero(array > 0)[0])


def test_methods_have_a_function_for_each_object():
    class Counter:
        def __init__(self) -> None:
            self.total = sx.Variable(0.0)

        @sx.function
        def add(self, x: Any) -> Any:
            """Adds."""
            self.total.assign_add(x)
            return self.total.read()

    first, second = Counter(), Counter()
    one = np.float32(1).reshape(())
    assert [float(first.add(one)) for _ in range(3)] == [1.0, 2.0, 3.0]
    assert float(second.add(one)) == 1.0
    assert float(first.total) == 3.0
    assert Counter.add.__doc__ == "Adds."


def test_inside_a_tape_or_a_trace_the_function_itself_runs():
    @sx.function
    def cube(x: Any) -> Any:
        return x**3.0

    x = sx.ops.convert_to_tensor(2.0)
    cube(x), cube(x)
    with sx.GradientTape() as tape:
        tape.watch(x)
        y = cube(x)
    assert float(tape.gradient(y, x)) == 12.0
    symbolic = sx.Input((3,))
    np.testing.assert_array_equal(sx.Model(symbolic, cube(symbolic))(np.full((1, 3), 2.0, "float32")), [[8.0] * 3])


def test_what_cannot_be_traced_runs_on_numpy_after_one_warning():
    @sx.function
    def inverse(x: Any) -> Any:
        return sx.ops.inv(x)

    x = np.diag(np.arange(1.0, 4.0, dtype="float32"))
    inverse(x)
    with pytest.warns(UserWarning, match="function 'inverse' runs on NumPy, not compiled: inv") as told:
        second = inverse(x)
    assert len(told) == 1
    for found in (second, inverse(x)):
        np.testing.assert_allclose(found, np.linalg.inv(x), rtol=1e-6)


def test_errors_are_those_of_the_function():
    @sx.function
    def joined(a: Any, b: Any) -> Any:
        return sx.ops.matmul(a, b)

    joined(np.ones((2, 3), "float32"), np.ones((3, 2), "float32"))
    with pytest.raises(sx.ShapeError, match="matmul"):
        joined(np.ones((2, 3), "float32"), np.ones((2, 3), "float32"))
