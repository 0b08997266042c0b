"""Updates in place against `update_step`, and who must not notice them."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import optimizers
from sardonyx.trainer.core.errors import ShapeError
from sardonyx.trainer.ops.blocks import BLOCK

CONFIGURATIONS = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("Adam", {}),
    ("Adam", {"clipnorm": 0.5, "use_ema": True, "ema_momentum": 0.8}),
    ("AdamW", {"weight_decay": 0.05}),
]
SHAPES = [(), (3,), (4, 5), (BLOCK,), (3, BLOCK // 2 + 1)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS, ids=str)
def test_kernels_give_the_bits_of_update_step(name, options, dtype):
    generator = np.random.default_rng(0)
    starts = [generator.standard_normal(shape).astype(dtype) for shape in SHAPES]
    by_kernel, by_steps = [[sx.Variable(s, dtype=dtype) for s in starts] for _ in range(2)]
    first, second = (getattr(optimizers, name)(0.02, **options) for _ in range(2))
    second.kernel = lambda rate: None
    for _ in range(4):
        gradients = [generator.standard_normal(shape).astype(dtype) for shape in SHAPES]
        first.apply(gradients, by_kernel)
        second.apply(gradients, by_steps)
    assert first.kernel(sx.ops.convert_to_tensor(0.02)) is not None
    for a, b in zip([*by_kernel, *first.variables], [*by_steps, *second.variables], strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_update_step_of_a_subclass_is_what_runs():
    class Still(optimizers.Adam):
        def update_step(self, gradient, variable, learning_rate):
            pass

    variable = sx.Variable([1.0, 2.0])
    Still(0.1).apply([[1.0, 1.0]], [variable])
    assert variable.numpy().tolist() == [1.0, 2.0]


def test_a_gradient_of_another_shape_is_still_an_error():
    with pytest.raises(ShapeError, match="expected a value of shape"):
        optimizers.SGD(0.1).apply([np.ones((3, 2))], [sx.Variable([1.0, 2.0])])


def test_an_update_does_not_reach_into_values_given_out():
    variable = sx.Variable([1.0, 2.0])
    optimizer = optimizers.SGD(1.0)
    optimizer.apply([[1.0, 1.0]], [variable])
    value, view, version = variable.value, variable.array[:1], variable.version
    optimizer.apply([[1.0, 1.0]], [variable])
    assert (value.numpy().tolist(), view.tolist(), variable.numpy().tolist()) == ([0.0, 1.0], [0.0], [-1.0, 0.0])
    assert variable.version > version


def test_an_update_does_not_reach_into_a_tape():
    variable = sx.Variable([1.0, 2.0])
    with sx.GradientTape(persistent=True) as tape:
        loss = sx.ops.sum(variable * variable)
    optimizers.SGD(1.0).apply([[5.0, 5.0]], [variable])
    assert tape.gradient(loss, variable).numpy().tolist() == [2.0, 4.0]


def test_an_update_does_not_reach_into_what_was_assigned():
    given = sx.ops.convert_to_tensor([1.0, 2.0])
    variable = sx.Variable([0.0, 0.0])
    variable.assign(given)
    optimizers.SGD(1.0).apply([[5.0, 5.0]], [variable])
    assert given.numpy().tolist() == [1.0, 2.0]


def test_updates_are_in_place_when_nobody_holds_the_array():
    variable = sx.Variable(np.zeros(8, np.float32))
    optimizer = optimizers.Adam(0.1)
    addresses = []
    for _ in range(4):
        with sx.GradientTape() as tape:
            loss = sx.ops.sum((variable - 1.0) * (variable - 1.0))
        optimizer.apply([tape.gradient(loss, variable)], [variable])
        addresses.append(variable.array.ctypes.data)
    assert len(set(addresses)) == 1
    assert variable.numpy()[0] > 0.25


def test_values_given_out_of_shared_memory_stay_what_they_were():
    optimizer, variables = optimizers.Adam(0.1), [sx.Variable([1.0, 2.0]), sx.Variable([[3.0], [4.0]])]
    ones = [np.ones(v.shape, "float32") for v in variables]
    optimizer.apply(ones, variables)
    held = [variables[0].value, variables[0].array[1:], variables[1].array, optimizer.variables[2].value.numpy()[:1]]
    before = [np.array(x) for x in held]
    optimizer.apply(ones, variables)
    for kept, copy in zip(held, before, strict=True):
        np.testing.assert_array_equal(np.asarray(kept), copy)
    assert not np.array_equal(variables[0].numpy(), before[0])


def test_a_value_assigned_between_updates_of_shared_memory_counts():
    optimizer, variables = optimizers.SGD(1.0), [sx.Variable([1.0, 2.0]), sx.Variable(3.0)]
    gradients = [np.ones(2, "float32"), np.float32(1.0)]
    optimizer.apply(gradients, variables)
    given = sx.ops.convert_to_tensor([10.0, 20.0])
    variables[0].assign(given)
    optimizer.apply(gradients, variables)
    assert (variables[0].numpy().tolist(), float(variables[1]), given.tolist()) == ([9.0, 19.0], 1.0, [10.0, 20.0])
    optimizer.apply(gradients[:1], variables[:1])
    assert (variables[0].numpy().tolist(), float(variables[1])) == ([8.0, 18.0], 1.0)


def test_a_variable_given_twice_is_updated_twice():
    variable = sx.Variable([1.0])
    optimizers.SGD(1.0).apply([[1.0], [2.0]], [variable, variable])
    assert variable.numpy().tolist() == [-2.0]


def test_small_updates_are_in_place_when_nobody_holds_the_memory():
    optimizer, variables = optimizers.Adam(0.1), [sx.Variable([1.0, 2.0]), sx.Variable([3.0])]
    ones = [np.ones(v.shape, "float32") for v in variables]
    optimizer.apply(ones, variables)
    before = [v.array.ctypes.data for v in variables]
    optimizer.apply(ones, variables)
    assert [v.array.ctypes.data for v in variables] == before
