"""Optimizers against Keras step by step, their common options, state, and messages."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import optimizers

CONFIGURATIONS = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "learning_rate": 0.05}),
    ("SGD", {"weight_decay": 0.01}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "learning_rate": 0.1}),
    ("Adam", {"clipnorm": 0.5}),
    ("Adam", {"clipvalue": 0.3}),
    ("Adam", {"global_clipnorm": 0.7}),
    ("Adam", {"use_ema": True, "ema_momentum": 0.8}),
    ("Adam", {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3}),
    ("Adam", {"gradient_accumulation_steps": 2}),
    ("Adam", {"loss_scale_factor": 4.0}),
    ("AdamW", {"weight_decay": 0.05}),
    ("Adamax", {"learning_rate": 0.02}),
    ("Nadam", {"learning_rate": 0.02}),
    ("Lion", {"learning_rate": 0.01}),
    ("Adagrad", {"learning_rate": 0.1}),
    ("Adadelta", {"learning_rate": 1.0}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
]


def starts():
    return [np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3), np.array([0.5, -0.5], np.float32)]


def gradients(step):
    generator = np.random.default_rng(step)
    return [generator.standard_normal((2, 3)).astype(np.float32), generator.standard_normal(2).astype(np.float32)]


@pytest.mark.peers
@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS, ids=str)
def test_seven_steps_equal_keras(name, options):
    keras = pytest.importorskip("keras")
    ours, theirs = getattr(optimizers, name)(**options), getattr(keras.optimizers, name)(**options)
    own = [sx.Variable(value, name=f"v{i}") for i, value in enumerate(starts())]
    their = [keras.Variable(value, name=f"v{i}") for i, value in enumerate(starts())]
    for step in range(7):
        ours.apply(gradients(step), own)
        theirs.apply([keras.ops.convert_to_tensor(g) for g in gradients(step)], their)
        for a, b in zip(own, their, strict=True):
            np.testing.assert_allclose(a.numpy(), np.asarray(b), rtol=2e-6, atol=2e-6, err_msg=f"step {step}")
    ours.finalize_variable_values(own)
    theirs.finalize_variable_values(their)
    for a, b in zip(own, their, strict=True):
        np.testing.assert_allclose(a.numpy(), np.asarray(b), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS, ids=str)
def test_configuration_and_state_come_back(name, options):
    first = getattr(optimizers, name)(**options)
    own = [sx.Variable(value) for value in starts()]
    for step in range(3):
        first.apply(gradients(step), own)
    second = type(first).from_config(first.get_config())
    twin = [sx.Variable(v.numpy()) for v in own]
    second.build(twin)
    store = {}
    first.save_own_variables(store)
    second.load_own_variables(store)
    for step in range(3, 6):
        first.apply(gradients(step), own)
        second.apply(gradients(step), twin)
    for a, b in zip(own, twin, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_the_first_step_of_adam_by_hand():
    w = sx.Variable(np.array([1.0, -2.0], np.float32))
    optimizers.Adam(0.1, epsilon=0.0).apply([np.array([3.0, -0.5], np.float32)], [w])
    np.testing.assert_allclose(w.numpy(), [0.9, -1.9], rtol=1e-5)


def test_momentum_by_hand():
    w = sx.Variable(1.0)
    sgd = optimizers.SGD(0.1, momentum=0.5)
    sgd.apply([1.0], [w])
    sgd.apply([1.0], [w])
    assert float(w) == pytest.approx(1.0 - 0.1 - 0.15)


def test_a_gradient_of_none_leaves_its_variable_alone():
    a, b = sx.Variable(1.0), sx.Variable(1.0)
    optimizers.SGD(0.5).apply([None, 1.0], [a, b])
    assert (float(a), float(b)) == (1.0, 0.5)


def test_constraints_hold_after_each_update():
    w = sx.Variable(np.array([0.1, 1.0], np.float32))
    w.constraint = sx.constraints.NonNeg()
    optimizers.SGD(1.0).apply([np.array([1.0, 0.0], np.float32)], [w])
    assert w.numpy().tolist() == [0.0, 1.0]


def test_variables_excluded_from_weight_decay():
    a, b = sx.Variable(1.0, name="kernel"), sx.Variable(1.0, name="bias")
    sgd = optimizers.SGD(0.1, weight_decay=0.5)
    sgd.exclude_from_weight_decay(var_names=["bias"])
    sgd.apply([0.0, 0.0], [a, b])
    assert float(a) == pytest.approx(0.95)
    assert float(b) == 1.0


def test_the_learning_rate_can_be_read_set_and_scheduled():
    adam = optimizers.Adam(0.1)
    assert float(adam.learning_rate) == pytest.approx(0.1)
    adam.learning_rate = 0.01
    assert float(adam.learning_rate) == pytest.approx(0.01)
    scheduled = optimizers.SGD(optimizers.schedules.PiecewiseConstantDecay([1], [1.0, 0.5]))
    w = sx.Variable(10.0)
    for _ in range(3):
        scheduled.apply([1.0], [w])
    assert float(w) == pytest.approx(10 - 1 - 1 - 0.5)
    with pytest.raises(TypeError, match="follows a schedule"):
        scheduled.learning_rate = 0.1


def test_an_update_inside_a_trace_is_an_effect_of_the_graph():
    w = sx.Variable(np.ones(2, np.float32))
    adam = optimizers.Adam(0.1)
    adam.build([w])
    graph = sx.trace(lambda g: adam.apply([g], [w]), sx.TensorSpec((2,)))
    twin = sx.Variable(np.ones(2, np.float32))
    eager = optimizers.Adam(0.1)
    for step in range(4):
        g = gradients(step)[1]
        graph.run(g)
        eager.apply([g], [twin])
    np.testing.assert_allclose(w.numpy(), twin.numpy(), rtol=1e-6)
    assert int(adam.iterations) == 4


def _second_variable():
    sgd = optimizers.SGD()
    sgd.apply([1.0], [sx.Variable(1.0)])
    sgd.apply([1.0], [sx.Variable(1.0)])


def _late_exclusion():
    sgd = optimizers.SGD()
    sgd.build([sx.Variable(1.0)])
    sgd.exclude_from_weight_decay(var_names=["bias"])


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: optimizers.get("adma"), ValueError, "did you mean .*'Adam'"),
        (lambda: optimizers.get(None), ValueError, "optimizer is None"),
        (lambda: optimizers.Adam(-1.0), ValueError, "learning_rate must be a finite number, 0 or more; got -1.0"),
        (lambda: optimizers.Adam(float("nan")), ValueError, "learning_rate must be a finite number"),
        (lambda: optimizers.Adam(lr=0.1), ValueError, "Adam: unknown argument 'lr'"),
        (lambda: optimizers.Adam(clipnorm=1.0, clipvalue=1.0), ValueError, "only one of clipnorm, clipvalue"),
        (lambda: optimizers.Adam(clipnorm=-1.0), ValueError, "clipnorm must be positive, got -1.0"),
        (lambda: optimizers.Adam(beta_1=1.0), ValueError, r"beta_1 must lie in \[0, 1\), got 1.0"),
        (lambda: optimizers.AdamW(weight_decay=None), ValueError, "without one, use Adam"),
        (lambda: optimizers.SGD(momentum=2), ValueError, "momentum must be a number between 0 and 1, got 2"),
        (lambda: optimizers.SGD(use_ema=True, ema_momentum=3), ValueError, "ema_momentum must lie between 0 and 1"),
        (lambda: optimizers.SGD(gradient_accumulation_steps=1), ValueError, "must be an integer of 2 or more, got 1"),
        (lambda: optimizers.SGD().apply([1.0], []), ValueError, "got 1 gradients for 0 variables"),
        (lambda: optimizers.SGD().apply([None], [sx.Variable(1.0)]), ValueError, "no gradient for any variable"),
        (_second_variable, ValueError, "is new since the optimizer was built"),
        (lambda: optimizers.SGD().load_own_variables({}), ValueError, "expected 2 state arrays, got 0"),
        (_late_exclusion, ValueError, "must be called before the first update"),
        (lambda: optimizers.Optimizer(0.1).apply([1.0], [sx.Variable(1.0)]), NotImplementedError, "update_step"),
    ],
)
def test_messages(action, error, message):
    with pytest.raises(error, match=message):
        action()
