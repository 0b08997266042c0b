"""Dictionaries whose keys do not stand in sorted order mean the same everywhere: traced, compiled, and on NumPy."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers
from sardonyx.builder.function import function

LATE, EARLY = np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3), np.full((8, 3), 0.5, np.float32)
BATCH = {"late": LATE, "early": EARLY}  # equal shapes: mixing them up would raise nothing


def test_leaves_are_visited_as_flattened():
    seen: list[int] = []
    structure = {"b": 1, "a": [2, {"d": 3, "c": 4}]}
    copy = sx.tree.map_structure(lambda x: seen.append(x) or x, structure)
    assert seen == sx.tree.flatten(structure) == [2, 4, 3, 1]
    assert list(copy) == ["b", "a"]


def test_a_traced_function_takes_the_dictionary_it_was_traced_with():
    compiled = function(lambda x: x["late"] - 2 * x["early"])
    for _ in range(3):  # the first call runs on NumPy
        np.testing.assert_allclose(compiled(BATCH), LATE - 1)


@pytest.mark.parametrize("compiled", [False, True])
def test_training_feeds_each_input_its_own(compiled: bool):
    late, early = sx.Input((3,), name="late"), sx.Input((3,), name="early")
    x = layers.Dense(1, kernel_initializer="ones", name="of_late")(late)
    x = layers.Add()([x, layers.Dense(1, kernel_initializer="zeros", name="of_early")(early)])
    model = sx.Model({"late": late, "early": early}, {"out": x})
    model.compile(sx.optimizers.SGD(0.1), "mse", jit_compile=compiled)
    model.fit(BATCH, {"out": np.zeros((8, 1), np.float32)}, batch_size=8, epochs=4, shuffle=False, verbose=0)

    of_late, of_early, bias_late, bias_early = np.ones(3), np.zeros(3), 0.0, 0.0  # the same by hand
    for _ in range(4):
        error = LATE @ of_late + bias_late + EARLY @ of_early + bias_early
        of_late, bias_late = of_late - 0.2 * error @ LATE / 8, bias_late - 0.2 * error.mean()
        of_early, bias_early = of_early - 0.2 * error @ EARLY / 8, bias_early - 0.2 * error.mean()
    np.testing.assert_allclose(model.get_layer("of_late").kernel[:, 0], of_late, atol=1e-5)
    np.testing.assert_allclose(model.get_layer("of_early").kernel[:, 0], of_early, atol=1e-5)
