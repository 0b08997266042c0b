"""Random numbers: distributions, independence of states, the same bits in NumPy and onnxruntime, clear refusals."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import random
from sardonyx.exporters.convert import run_graph
from sardonyx.trainer.core.dims import dim
from sardonyx.trainer.ops.random_bits import bits, hash_word, keys_of
from sardonyx.trainer.seed import set_random_seed

COUNT = 200_000
FIXED = [1280215787, 2204825994, 2706703934, 1823641449]


def seed(*words):
    return np.array(words, np.uint32)


def chi_square(counts, expected):
    """How many standard deviations the chi-square statistic lies above its mean."""
    statistic = ((counts - expected) ** 2 / expected).sum()
    freedom = len(counts) - 1
    return (statistic - freedom) / np.sqrt(2 * freedom)


MOMENTS = [
    ("uniform", lambda **k: random.uniform((COUNT,), **k), 0.5, 1 / 12),
    ("uniform_range", lambda **k: random.uniform((COUNT,), -3, 5, **k), 1.0, 64 / 12),
    (
        "uniform_tensors",
        lambda **k: random.uniform((COUNT,), np.float32(-3), sx.Tensor(np.float32(5)), **k),
        1.0,
        64 / 12,
    ),
    ("normal", lambda **k: random.normal((COUNT,), **k), 0.0, 1.0),
    ("normal_scaled", lambda **k: random.normal((COUNT,), 2.0, 3.0, **k), 2.0, 9.0),
    (
        "normal_tensors",
        lambda **k: random.normal((COUNT,), np.full(COUNT, 2.0), sx.Tensor(np.float32(3)), **k),
        2.0,
        9.0,
    ),
    ("truncated_normal", lambda **k: random.truncated_normal((COUNT,), **k), 0.0, 0.7737),
    ("truncated_normal_scaled", lambda **k: random.truncated_normal((COUNT,), 1.0, 2.0, **k), 1.0, 4 * 0.7737),
    ("gamma", lambda **k: random.gamma((COUNT,), 3.0, **k), 3.0, 3.0),
    ("beta", lambda **k: random.beta((COUNT,), 2.0, 3.0, **k), 0.4, 0.04),
    ("binomial", lambda **k: random.binomial((COUNT,), 10, 0.3, **k), 3.0, 2.1),
]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(("name", "draw", "mean", "variance"), MOMENTS, ids=[m[0] for m in MOMENTS])
def test_moments(name, draw, mean, variance, dtype):
    x = draw(seed=11, dtype=dtype).numpy()
    assert x.dtype == dtype
    wide = x.astype(np.float64)
    assert abs(wide.mean() - mean) < 5 * np.sqrt(variance / COUNT) + 1e-3 * (dtype == "float16")
    assert abs(wide.var() / variance - 1) < 0.02


@pytest.mark.parametrize("words", [(0, 0), (1, 0), (0, 1), (2**32 - 1, 2**32 - 1), (123456789, 7)])
def test_bytes_are_equally_frequent(words):
    counts = np.bincount(bits(seed(*words), COUNT).view(np.uint8), minlength=256)
    assert abs(chi_square(counts, COUNT * 4 / 256)) < 4.5


@pytest.mark.parametrize("bit", range(0, 32, 5))
def test_neighbouring_positions_are_independent(bit):
    one = (bits(seed(5, 0), COUNT) >> bit & 1).astype(np.int64)
    pairs = np.bincount(one[:-1] * 2 + one[1:], minlength=4)
    assert abs(chi_square(pairs, (COUNT - 1) / 4)) < 4.5


@pytest.mark.parametrize("other", [(1, 1), (1, 2), (2, 0), (0, 0), (1 + 2**31, 0), (1, 2**16)])
def test_states_and_keys_are_uncorrelated(other):
    first, second = (bits(seed(*w), COUNT) / 2.0**32 - 0.5 for w in ((1, 0), other))
    for shift in (0, 1, 2, 17):
        correlation = 12 * (first[shift:] * second[: COUNT - shift]).mean()
        assert abs(correlation) < 5 / np.sqrt(COUNT)


def test_one_bit_of_seed_or_position_changes_half_of_the_bits():
    generator = np.random.default_rng(0)
    flips = []
    for _ in range(2000):
        words, position, bit = (
            generator.integers(0, 2**32, 2, np.uint32),
            int(generator.integers(2**20)),
            int(generator.integers(32)),
        )
        base = hash_word(position, *keys_of(words))
        changed = words.copy()
        changed[bit % 2] ^= np.uint32(1 << bit)
        flips.append(
            [
                (base ^ hash_word(position, *keys_of(changed))).bit_count(),
                (base ^ hash_word(position ^ 1 << bit % 20, *keys_of(words))).bit_count(),
            ]
        )
    assert np.all(abs(np.mean(flips, axis=0) - 16) < 5 * np.sqrt(8 / 2000))


def test_the_first_numbers_are_fixed_for_ever():
    assert bits(seed(1, 2), 3).tolist() == [hash_word(i, *keys_of(seed(1, 2))) for i in range(3)]
    assert bits(seed(42, 0), 4).tolist() == FIXED


def test_normal_numbers_have_normal_tails():
    x = random.normal((COUNT,), seed=4).numpy()
    for limit, outside in ((1.0, 0.317311), (2.0, 0.0455), (3.0, 0.0027)):
        assert abs((abs(x) > limit).mean() - outside) < 5 * np.sqrt(outside / COUNT)


def test_intervals_are_half_open_in_every_dtype():
    for dtype in ("float16", "float32", "float64"):
        x = random.uniform((COUNT,), 1, 2, dtype=dtype, seed=1).numpy()
        assert x.min() >= 1 and x.max() < 2


@pytest.mark.parametrize(("low", "high"), [(0, 7), (-5, 5), (10, 11)])
def test_integers_are_equally_frequent(low, high):
    x = random.randint((COUNT,), low, high, seed=9).numpy()
    assert x.dtype == np.int32 and x.min() == low and x.max() == high - 1
    if high - low > 1:
        assert abs(chi_square(np.bincount(x - low), COUNT / (high - low))) < 4.5


def test_categorical_follows_the_probabilities():
    p = np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]], np.float32)
    with np.errstate(divide="ignore"):
        x = random.categorical(np.log(p), COUNT, seed=2).numpy()
    for row in range(2):
        np.testing.assert_allclose(np.bincount(x[row], minlength=3) / COUNT, p[row], atol=0.006)
    assert (x[1] == 2).sum() == 0


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_share_and_the_mean(rate):
    x = random.dropout(np.ones(COUNT, np.float32), rate, seed=3).numpy()
    assert abs((x == 0).mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / COUNT)
    assert set(np.unique(x)) == {np.float32(0), np.float32(1.0 / (1.0 - rate))}


def test_dropout_gradient_uses_the_same_mask():
    x = sx.Tensor(np.ones((50, 40), np.float32))
    with sx.GradientTape() as tape:
        tape.watch(x)
        y = random.dropout(x, 0.4, noise_shape=(None, 1), seed=3)
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), y.numpy())
    assert all(len(np.unique(row)) == 1 for row in y.numpy())


def test_dropout_ends():
    x = np.ones((3, 3), np.float32)
    assert random.dropout(x, 0, seed=1).numpy().tolist() == x.tolist()
    assert not random.dropout(x, 1.0, seed=1).numpy().any()


def test_shuffle_is_a_permutation_and_its_gradient_the_inverse():
    x = sx.Tensor(np.arange(60, dtype=np.float64).reshape(5, 12))
    for axis in (0, 1, -1):
        with sx.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = random.shuffle(x, axis=axis, seed=8)
            z = y * y
        np.testing.assert_array_equal(np.sort(y.numpy(), axis), x.numpy())
        assert not np.array_equal(y.numpy(), x.numpy())
        np.testing.assert_array_equal(tape.gradient(z, x).numpy(), 2 * x.numpy())


GRAPHS = [
    ("uniform", lambda x, s: random.uniform(x.shape, seed=s), True),
    ("uniform_range", lambda x, s: random.uniform(x.shape, 1, 2, dtype="float64", seed=s), True),
    ("uniform_half", lambda x, s: random.uniform(x.shape, 1, 2, dtype="float16", seed=s), True),
    ("normal", lambda x, s: random.normal(x.shape, 1, 2, seed=s), False),
    ("normal_double", lambda x, s: random.normal(x.shape, seed=s, dtype="float64"), False),
    ("truncated_normal", lambda x, s: random.truncated_normal(x.shape, seed=s), False),
    ("randint", lambda x, s: random.randint(x.shape, -5, 2_000_000_000, seed=s), True),
    ("categorical", lambda x, s: random.categorical(x, 4, seed=s), True),
    ("dropout", lambda x, s: random.dropout(x, 0.3, seed=s), True),
    ("dropout_rows", lambda x, s: random.dropout(x, 0.3, (None, 1), seed=s), True),
    ("shuffle", lambda x, s: random.shuffle(x, seed=s), True),
    ("shuffle_columns", lambda x, s: random.shuffle(x, axis=1, seed=s), True),
    ("split", lambda x, s: random.split(s, 3), True),
    (
        "dropout_gradient",
        lambda x, s: sx.grad(lambda v: sx.ops.sum_to(v * random.dropout(v, 0.3, seed=s), ()))(x),
        True,
    ),
    ("shuffle_gradient", lambda x, s: sx.grad(lambda v: sx.ops.sum_to(x * random.shuffle(v, seed=s), ()))(x), True),
]


@pytest.mark.parametrize("opset", [18, 21])
@pytest.mark.parametrize("first", ["batch", 37])
@pytest.mark.parametrize(("name", "function", "exact"), GRAPHS, ids=[g[0] for g in GRAPHS])
def test_the_same_numbers_in_onnxruntime(name, function, exact, first, opset):
    x, s = np.random.default_rng(1).random((37, 11)).astype(np.float32), seed(4_000_000_000, 3)
    graph = sx.trace(function, sx.TensorSpec((first, 11)), sx.TensorSpec((2,), "uint32"))
    eager, on_numpy, (on_runtime,) = (
        function(sx.Tensor(x), sx.Tensor(s)).numpy(),
        graph.run(x, s),
        run_graph(graph, x, s, opset=opset),
    )
    np.testing.assert_array_equal(eager, on_numpy)
    assert on_runtime.dtype == eager.dtype
    np.testing.assert_allclose(on_runtime, eager, rtol=0, atol=0 if exact else 3e-6)


def test_generator_state_moves_and_is_saved():
    one, two = random.SeedGenerator(5), random.SeedGenerator(5)
    a, b = random.normal((4,), seed=one).numpy(), random.normal((4,), seed=one).numpy()
    assert not np.array_equal(a, b)
    random.normal((4,), seed=two)
    two.state.assign(one.state)
    assert np.array_equal(random.normal((4,), seed=one).numpy(), random.normal((4,), seed=two).numpy())
    assert random.SeedGenerator.from_config(one.get_config()).state.numpy().tolist() == [5, 0]
    one.reset()
    assert np.array_equal(random.normal((4,), seed=one).numpy(), a)
    assert random.SeedGenerator(2**40 + 5).state.numpy().tolist() != [5, 0]


def test_generator_in_a_trace_is_an_effect_of_the_graph():
    generator = random.SeedGenerator(5)
    graph = sx.trace(lambda: (random.uniform((3,), seed=generator), random.uniform((3,), seed=generator)))
    first, second = graph.run()
    again, _ = graph.run()
    fresh = random.SeedGenerator(5)
    expected = [random.uniform((3,), seed=fresh).numpy() for _ in range(3)]
    for got, wanted in zip((first, second, again), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert generator.state.numpy().tolist() == [5, 4]


def test_split_gives_independent_seeds():
    words = random.split(7, 1000).numpy()
    assert words.shape == (1000, 2) and len({tuple(w) for w in words.tolist()}) == 1000
    draws = np.array([bits(w, 100) for w in words]) / 2.0**32 - 0.5
    assert abs(np.corrcoef(draws.T)[np.triu_indices(100, 1)]).max() < 6 / np.sqrt(1000)


def test_set_random_seed_repeats_everything():
    def draw():
        set_random_seed(3)
        return [*random.normal((2,)).tolist(), np.random.random(), __import__("random").random()]  # noqa: NPY002

    assert draw() == draw()


def test_shapes_with_symbolic_sizes():
    assert sx.trace(lambda x: random.normal((x.shape[0], 2)), sx.TensorSpec(("batch", 3))).outputs.shape == (
        dim("batch"),
        2,
    )


def exported(function, **options):
    return run_graph(sx.trace(function, sx.TensorSpec((2,), "uint32")), seed(1, 2), **options)


ERRORS = [
    (lambda: random.randint((2,), 3, 3), ValueError, "minval < maxval"),
    (lambda: random.randint((2,), 0, 2**32), ValueError, "2\\*\\*31 apart"),
    (lambda: random.randint((2,), 0, 300, dtype="uint8"), ValueError, "do not fit uint8"),
    (lambda: random.randint((2,), 0, 3, dtype="float32"), TypeError, "integer dtype"),
    (lambda: random.normal((2,), dtype="int32"), TypeError, "floating-point dtype"),
    (lambda: random.uniform((2,), seed="a"), TypeError, "SeedGenerator"),
    (lambda: random.uniform((2,), seed=np.zeros(3, np.uint32)), TypeError, "two words of uint32"),
    (lambda: random.uniform((2**20, 2**20), seed=1), ValueError, "2\\*\\*31 numbers"),
    (lambda: random.SeedGenerator(1.5), TypeError, "integer seed or None"),
    (lambda: random.split(1, 0), ValueError, "positive number"),
    (lambda: random.dropout(np.ones(3, np.float32), 1.5), ValueError, "between 0 and 1"),
    (lambda: random.dropout(np.ones(3, np.int32), 0.5), TypeError, "floating-point tensor"),
    (lambda: random.dropout(np.ones((3, 2), np.float32), 0.5, (3,)), ValueError, "one size"),
    (lambda: random.dropout(np.ones((3, 2), np.float32), 0.5, (2, 1)), ValueError, "does not broadcast"),
    (lambda: random.categorical(np.ones(3), 2), ValueError, "\\(batch, classes\\)"),
    (lambda: random.categorical(np.ones((3, 2)), 2, dtype="float32"), TypeError, "integer dtype"),
    (lambda: random.shuffle(np.ones(3), axis=1), ValueError, "out of range"),
    (lambda: random.gamma((2,), 0.0), ValueError, "alpha above 0"),
    (lambda: random.beta((2,), 1.0, -1.0), ValueError, "beta above 0"),
    (lambda: random.binomial((2,), 3, 1.5), ValueError, "between 0.0 and 1.0"),
    (lambda: set_random_seed(-1), ValueError, "0 to 2\\*\\*32"),
    (lambda: exported(lambda s: random.uniform((2,), seed=s), opset=17), NotImplementedError, "opset=18"),
    (lambda: exported(lambda s: random.gamma((2,), 1.0, seed=s)), NotImplementedError, "ONNX has no operator"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS, ids=[e[2] for e in ERRORS])
def test_errors_teach(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("draw", [random.uniform, random.normal, random.truncated_normal], ids=lambda f: f.__name__)
def test_too_many_numbers_are_refused_before_there_is_memory_for_them(draw, monkeypatch: pytest.MonkeyPatch):
    asked: list[object] = []

    def promise(*sizes, **options):
        asked.append(sizes)
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(np, "empty", promise)
        with pytest.raises(ValueError, match=r"2\*\*31 numbers"):
            draw((2**16, 2**16), seed=1)
    assert not asked
