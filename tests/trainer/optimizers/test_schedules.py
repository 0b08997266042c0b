"""Learning-rate schedules against Keras and by hand."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.trainer.optimizers import schedules

CONFIGURATIONS = [
    ("ExponentialDecay", (0.1, 10, 0.5), {}),
    ("ExponentialDecay", (0.1, 10, 0.5), {"staircase": True}),
    ("InverseTimeDecay", (0.1, 10, 0.5), {}),
    ("InverseTimeDecay", (0.1, 10, 0.5), {"staircase": True}),
    ("PiecewiseConstantDecay", ([5, 20], [1.0, 0.5, 0.1]), {}),
    ("PolynomialDecay", (0.1, 20), {"power": 2.0}),
    ("PolynomialDecay", (0.1, 7), {"cycle": True}),
    ("CosineDecay", (0.1, 20), {"alpha": 0.1}),
    ("CosineDecay", (0.01, 20), {"warmup_target": 0.1, "warmup_steps": 5}),
    ("CosineDecayRestarts", (0.1, 5), {}),
    ("CosineDecayRestarts", (0.1, 5), {"t_mul": 1.0, "m_mul": 0.8, "alpha": 0.05}),
]


@pytest.mark.peers
@pytest.mark.parametrize(("name", "arguments", "options"), CONFIGURATIONS)
def test_rates_equal_keras(name, arguments, options):
    keras = pytest.importorskip("keras")
    ours = getattr(schedules, name)(*arguments, **options)
    theirs = getattr(keras.optimizers.schedules, name)(*arguments, **options)
    for step in (0, 1, 4, 5, 6, 7, 14, 15, 19, 20, 21, 34, 100):
        np.testing.assert_allclose(float(ours(step)), float(theirs(step)), rtol=2e-5, atol=1e-8, err_msg=str(step))


@pytest.mark.parametrize(("name", "arguments", "options"), CONFIGURATIONS)
def test_configuration_comes_back(name, arguments, options):
    first = getattr(schedules, name)(*arguments, **options)
    second = schedules.deserialize(schedules.serialize(first))
    assert type(second) is type(first)
    assert second.get_config() == first.get_config()
    assert float(second(7)) == float(first(7))


def test_an_optimizer_keeps_its_schedule():
    adam = sx.optimizers.Adam(schedules.CosineDecay(0.1, 100))
    twin = sx.optimizers.Adam.from_config(adam.get_config())
    assert isinstance(twin._rate, schedules.CosineDecay)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), "decay_steps must be positive, got 0"),
        (lambda: schedules.PiecewiseConstantDecay([1], [1.0]), "one value more than boundaries"),
        (lambda: schedules.CosineDecayRestarts(0.1, -1), "first_decay_steps must be positive, got -1"),
    ],
)
def test_messages(action, message):
    with pytest.raises(ValueError, match=message):
        action()


def test_the_base_class_asks_for_a_call():
    with pytest.raises(NotImplementedError, match=r"does not define __call__\(step\)"):
        schedules.LearningRateSchedule()(0)
