"""Initializers: their statistics, seeds, configurations and errors; those that draw nothing equal Keras."""

import json
import math
import re

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import initializers

SHAPE = (200, 300)
FAN_IN, FAN_OUT = SHAPE
SPREADS = [
    ("RandomNormal", {"stddev": 0.3, "mean": 0.1}, 0.3, None),
    ("RandomUniform", {"minval": -0.3, "maxval": 0.3}, 0.6 / math.sqrt(12), 0.3),
    ("TruncatedNormal", {"stddev": 0.3}, 0.3 * 0.87962566, 0.6),
    ("GlorotUniform", {}, math.sqrt(2 / (FAN_IN + FAN_OUT)), math.sqrt(6 / (FAN_IN + FAN_OUT))),
    ("GlorotNormal", {}, math.sqrt(2 / (FAN_IN + FAN_OUT)), 2 * math.sqrt(2 / (FAN_IN + FAN_OUT)) / 0.87962566),
    ("HeUniform", {}, math.sqrt(2 / FAN_IN), math.sqrt(6 / FAN_IN)),
    ("HeNormal", {}, math.sqrt(2 / FAN_IN), 2 * math.sqrt(2 / FAN_IN) / 0.87962566),
    ("LecunUniform", {}, math.sqrt(1 / FAN_IN), math.sqrt(3 / FAN_IN)),
    ("LecunNormal", {}, math.sqrt(1 / FAN_IN), 2 * math.sqrt(1 / FAN_IN) / 0.87962566),
    ("VarianceScaling", {"scale": 3.0, "mode": "fan_out"}, math.sqrt(3 / FAN_OUT), None),
    ("VarianceScaling", {"distribution": "untruncated_normal"}, math.sqrt(1 / FAN_IN), None),
]
RANDOM = [
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "GlorotUniform",
    "GlorotNormal",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "Orthogonal",
]
FIXED = [("Zeros", {}), ("Ones", {}), ("Constant", {"value": 2.5}), ("Identity", {"gain": 3.0})]


@pytest.mark.parametrize(("name", "options", "deviation", "limit"), SPREADS)
def test_spread(name, options, deviation, limit):
    values = getattr(initializers, name)(seed=1, **options)(SHAPE).numpy()
    assert values.dtype == np.float32 and values.shape == SHAPE
    assert values.std() == pytest.approx(deviation, rel=0.01)
    assert values.mean() == pytest.approx(options.get("mean", 0.0), abs=0.02 * deviation)
    if limit is not None:
        assert 0.97 * limit < np.abs(values).max() <= limit * 1.000001


FANS = [
    ((5,), None, None, (5, 5)),
    ((), None, None, (1, 1)),
    ((4, 6), None, None, (4, 6)),
    ((3, 3, 4, 6), None, None, (36, 54)),
    ((4, 2, 8), (0,), (1, 2), (4, 16)),
    ((4, 2, 8), (0, 1), -1, (8, 8)),
]


@pytest.mark.parametrize(("shape", "ins", "outs", "fans"), FANS)
def test_fans(shape, ins, outs, fans):
    assert initializers.compute_fans(shape, ins, outs) == fans


@pytest.mark.parametrize("shape", [(5, 5), (8, 3), (3, 8), (2, 3, 4)])
def test_orthogonal(shape):
    matrix = np.asarray(initializers.Orthogonal(gain=2.0, seed=0)(shape)).reshape(-1, shape[-1])
    small = matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-5)


@pytest.mark.parametrize("name", RANDOM)
def test_seeds(name):
    make = getattr(initializers, name)

    def draw(initializer):
        return np.asarray(initializer((4, 4)))

    seeded = make(seed=3)
    np.testing.assert_array_equal(draw(seeded), draw(seeded))
    np.testing.assert_array_equal(draw(seeded), draw(make(seed=3)))
    np.testing.assert_array_equal(draw(seeded), draw(seeded.clone()))
    assert (draw(seeded) != draw(make(seed=4))).any()
    assert (draw(make()) != draw(make())).any()
    generator = make(seed=sx.SeedGenerator(1))
    assert (draw(generator) != draw(generator)).any()


@pytest.mark.parametrize(
    ("name", "options"), [*FIXED, *[(name, {"seed": 7}) for name in RANDOM], ("STFT", {"side": "imag"})]
)
def test_configuration_comes_back(name, options):
    made = getattr(initializers, name)(**options)
    again = initializers.deserialize(json.loads(json.dumps(initializers.serialize(made))))
    assert type(again) is type(made)
    shape = (8, 1, 5) if name == "STFT" else (4, 4)
    np.testing.assert_array_equal(np.asarray(again(shape)), np.asarray(made(shape)))


@pytest.mark.parametrize(
    "name", ["HeNormal", "he_normal", "zeros", "Zeros", "orthogonal", "OrthogonalInitializer", "STFTInitializer"]
)
def test_names(name):
    assert isinstance(initializers.get(name), initializers.Initializer)


def test_functions_and_arrays_initialize():
    assert initializers.get(np.arange(3.0))((2, 3)).numpy().tolist() == [[0, 1, 2], [0, 1, 2]]
    layer = sx.layers.Dense(2, kernel_initializer=lambda shape, dtype=None: sx.ops.full(shape, 7.0, dtype))
    layer.build((None, 3))
    assert layer.kernel.numpy().tolist() == [[7, 7]] * 3


@pytest.mark.peers
@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        *[(name, options, (4, 3)) for name, options in FIXED],
        ("STFT", {"side": "real"}, (8, 1, 5)),
        ("STFT", {"side": "imag", "scaling": "spectrum"}, (8, 1, 5)),
        ("STFT", {"window": "hamming", "scaling": None, "periodic": True}, (8, 1, 5)),
    ],
)
def test_values_equal_keras(name, options, shape):
    keras = pytest.importorskip("keras")
    expected = getattr(keras.initializers, name)(**options)(shape)
    np.testing.assert_allclose(getattr(initializers, name)(**options)(shape).numpy(), np.asarray(expected), atol=1e-6)


ERRORS = [
    (lambda: initializers.VarianceScaling(scale=0), ValueError, "scale must be positive, got 0"),
    (
        lambda: initializers.VarianceScaling(mode="fan"),
        ValueError,
        'mode must be "fan_in", "fan_out" or "fan_avg", got \'fan\'',
    ),
    (lambda: initializers.VarianceScaling(distribution="flat"), ValueError, "got 'flat'"),
    (
        lambda: initializers.HeNormal(seed="a"),
        TypeError,
        "HeNormal: seed must be an integer or a SeedGenerator, got 'a'",
    ),
    (
        lambda: initializers.Identity()((2, 3, 4)),
        ValueError,
        "Identity initializer: expected a matrix, got shape (2, 3, 4)",
    ),
    (lambda: initializers.Orthogonal()((3,)), ValueError, "expected at least two axes, got shape (3,)"),
    (lambda: initializers.STFT("both"), ValueError, 'side must be "real" or "imag"'),
    (lambda: initializers.STFT(scaling="x"), ValueError, "scaling must be None"),
    (lambda: initializers.STFT(window="x"), ValueError, "window must be None"),
    (lambda: initializers.get("he_norml"), ValueError, "unknown initializer 'he_norml'; did you mean 'he_normal'"),
    (lambda: initializers.get(3), TypeError, "expected an initializer"),
    (lambda: initializers.Initializer()((2,)), NotImplementedError, "Initializer does not define __call__"),
]


@pytest.mark.parametrize(("action", "kind", "message"), ERRORS)
def test_errors(action, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        action()
