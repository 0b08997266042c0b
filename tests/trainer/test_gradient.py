"""Tapes: persistence, watching, nesting, several reads of a variable, Jacobians, messages."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import ops


def test_gradients_keep_the_structure_of_the_sources():
    a, b = sx.Variable(2.0), sx.Variable(3.0)
    with sx.GradientTape() as tape:
        y = a * b * b
    gradients = tape.gradient(y, {"a": a, "b": [b]})
    assert float(gradients["a"]) == 9.0
    assert float(gradients["b"][0]) == 12.0


def test_a_tape_gives_one_gradient_unless_it_is_persistent():
    x = sx.Variable(2.0)
    with sx.GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.gradient(y, x)
    with sx.GradientTape(persistent=True) as tape:
        y = x * x
        z = y * y
    assert float(tape.gradient(z, x)) == 32.0
    assert float(tape.gradient(y, x)) == 4.0


def test_the_gradient_with_respect_to_an_intermediate_result():
    x = sx.Variable(2.0)
    with sx.GradientTape() as tape:
        y = x * x
        z = y * y
    inner, outer = tape.gradient(z, [y, x])
    assert float(inner) == 8.0
    assert float(outer) == 32.0


def test_tensors_are_followed_after_watch_only():
    x = ops.convert_to_tensor(3.0)
    with sx.GradientTape() as tape:
        y = x * x
    assert tape.gradient(y, x) is None
    with sx.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    assert float(tape.gradient(y, x)) == 6.0


def test_equal_numbers_are_not_one_source():
    x = ops.convert_to_tensor(3.0)
    with sx.GradientTape() as tape:
        tape.watch(x)
        y = x * 3.0
    assert float(tape.gradient(y, x)) == 3.0


def test_an_unconnected_source_gives_none_or_zeros():
    x, other = sx.Variable([1.0, 2.0]), sx.Variable([1.0])
    with sx.GradientTape(persistent=True) as tape:
        y = ops.sum(x)
    assert tape.gradient(y, other) is None
    assert tape.gradient(y, other, unconnected_gradients="zero").numpy().tolist() == [0.0]


def test_untrainable_variables_are_watched_on_request():
    x = sx.Variable(2.0, trainable=False)
    with sx.GradientTape() as tape:
        y = x * x
    assert tape.gradient(y, x) is None
    with sx.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        y = x * x
    assert float(tape.gradient(y, x)) == 4.0


def test_a_variable_assigned_between_reads_gathers_both():
    x = sx.Variable(2.0)
    with sx.GradientTape() as tape:
        y = x * 3.0
        x.assign(5.0)
        y = y + x * x
    assert float(tape.gradient(y, x)) == 3.0 + 10.0


def test_nested_tapes_give_higher_orders():
    x = sx.Variable(2.0)
    with sx.GradientTape() as outer:
        with sx.GradientTape() as inner:
            y = x * x * x
        slope = inner.gradient(y, x)
    assert float(outer.gradient(slope, x)) == 12.0


def test_third_order_by_grad():
    cube = sx.grad(sx.grad(sx.grad(lambda x: x * x * x * x)))
    assert float(cube(2.0)) == 48.0


def test_output_gradients_weigh_the_targets():
    x = sx.Variable([1.0, 2.0, 3.0])
    with sx.GradientTape() as tape:
        y = x * x
    weighted = tape.gradient(y, x, output_gradients=np.array([1.0, 0.0, -1.0], np.float32))
    assert weighted.numpy().tolist() == [2.0, 0.0, -6.0]


def test_nothing_is_recorded_while_the_tape_is_stopped():
    x = sx.Variable(2.0)
    with sx.GradientTape() as tape:
        y = x * x
        with tape.stop_recording():
            y = y * x.read()
    assert tape.gradient(y, x) is None


def test_stop_gradient_cuts():
    x = sx.Variable(2.0)
    with sx.GradientTape() as tape:
        y = ops.stop_gradient(x * x) * x
    assert float(tape.gradient(y, x)) == 4.0


def test_jacobian_of_a_matrix_product():
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    x = sx.Variable(np.ones(3, np.float32))
    other = sx.Variable(1.0)
    with sx.GradientTape() as tape:
        y = ops.matmul(a, x)
    jacobian, missing = tape.jacobian(y, [x, other])
    np.testing.assert_allclose(jacobian.numpy(), a)
    assert missing is None


def test_jacobian_of_unknown_size_is_refused():
    def function(x):
        with sx.GradientTape() as tape:
            tape.watch(x)
            y = x * x
        return tape.jacobian(y, x)

    with pytest.raises(ValueError, match=r"jacobian: the target's shape \(batch, 2\) must be known"):
        sx.trace(function, sx.TensorSpec(("batch", 2)))


def test_value_and_grad_with_auxiliary_results_and_several_arguments():
    def function(a, b):
        return a * b, {"sum": a + b}

    (value, extra), (da, db) = sx.value_and_grad(function, argnums=(0, 1), has_aux=True)(2.0, 5.0)
    assert (float(value), float(extra["sum"]), float(da), float(db)) == (10.0, 7.0, 5.0, 2.0)


def test_gradients_trace_into_a_graph():
    graph = sx.trace(sx.grad(lambda t: ops.sum(ops.exp(t) * t)), sx.TensorSpec(("batch",)))
    x = np.array([0.0, 1.0], np.float32)
    np.testing.assert_allclose(graph.run(x), np.exp(x) * (1 + x), rtol=1e-6)


def test_memory_is_given_back_as_the_walk_proceeds():
    x = sx.Variable(np.ones(4, np.float32))
    with sx.GradientTape() as tape:
        y = x * 1.0
        for _ in range(50):
            y = y * 1.01
    tape.gradient(y, x)
    assert not tape._tape.entries


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda t: t.watch("x"), TypeError, "expected tensors or variables, got str"),
        (lambda t: t.gradient(sx.Variable(1.0), 3.0), TypeError, "sources are tensors or variables, got float"),
        (lambda t: t.gradient("y", sx.Variable(1.0)), TypeError, "the target must be a tensor, got str"),
    ],
)
def test_messages(action, error, message):
    with sx.GradientTape() as tape:
        pass
    with pytest.raises(error, match=message):
        action(tape)
