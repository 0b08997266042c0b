"""Nodes that a flat program runs together give what they give one by one, and only where nothing else reads between."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.trainer.flat_fusion import fused_nodes
from sardonyx.trainer.flat_program import FlatProgram
from sardonyx.trainer.ops.normalization import batch_normalization_training


def pooled(x, k, b, **options):
    return sx.ops.max_pool(sx.ops.relu(sx.ops.conv(x, k, bias=b, **options)), 2)


def read_twice(x, k, b):
    y = sx.ops.relu(sx.ops.conv(x, k, bias=b))
    return sx.ops.max_pool(y, 2) + sx.ops.mean(y)


def pooled_twice(x, k, b):
    y = sx.ops.relu(sx.ops.conv(x, k, bias=b))
    return sx.ops.max_pool(y, 2) + sx.ops.average_pool(y, 2)


def not_rectified(x, k, b):
    return sx.ops.max_pool(sx.ops.conv(x, k, bias=b), 2)


def read_before_relu(x, k, b):
    y = sx.ops.conv(x, k, bias=b)
    return sx.ops.relu(y) + y


ALL, RELU, NONE = ("pooled_convolution", "pooled_convolution_gradients"), ("convolution_relu",), ()
KEPT = ("keeping_convolution", "kept_convolution_gradients")
MADE = {*ALL, *RELU, *KEPT, "rectified_normalization"}
WIDE = (3, 3, 16, 24)
# name, function, image, kernel, whether there is a bias, what stands in the program with gradients, and without
CASES = [
    ("valid", pooled, (3, 14, 14, 16), WIDE, True, ALL, ALL[:1]),
    ("odd_sizes", pooled, (2, 13, 11, 16), WIDE, True, ALL, ALL[:1]),
    ("one_image", pooled, (1, 6, 10, 16), WIDE, True, ALL, ALL[:1]),
    ("no_bias", pooled, (2, 10, 10, 16), WIDE, False, ALL, ALL[:1]),
    ("no_bias_odd_sizes", pooled, (2, 13, 11, 16), WIDE, False, ALL, ALL[:1]),
    ("no_bias_one_image", pooled, (1, 6, 10, 16), WIDE, False, ALL, ALL[:1]),
    ("few_filters", pooled, (2, 10, 11, 24), (3, 3, 24, 16), True, ALL, ALL[:1]),
    ("same", lambda x, k, b: pooled(x, k, b, padding="same"), (2, 8, 12, 16), WIDE, False, ALL, ALL[:1]),
    ("few_channels", pooled, (2, 10, 10, 3), (3, 3, 3, 8), True, RELU, RELU),
    ("stride", lambda x, k, b: pooled(x, k, b, strides=2), (2, 13, 13, 16), WIDE, True, RELU, RELU),
    ("groups", pooled, (2, 9, 9, 8), (3, 3, 2, 8), True, RELU, RELU),
    ("channels_first", lambda x, k, b: sx.ops.max_pool(
        sx.ops.relu(sx.ops.conv(x, k, bias=b, data_format="channels_first")), 2, data_format="channels_first"
    ), (2, 16, 10, 10), WIDE, True, RELU, RELU),
    ("overlapping", lambda x, k, b: sx.ops.max_pool(sx.ops.relu(sx.ops.conv(x, k, bias=b)), 3, 2),
        (2, 12, 12, 16), WIDE, True, KEPT, RELU),
    ("read_twice", read_twice, (2, 10, 10, 16), WIDE, True, KEPT, RELU),
    ("pooled_twice", pooled_twice, (2, 10, 10, 16), WIDE, True, KEPT, RELU),
    ("not_rectified", not_rectified, (2, 10, 10, 16), WIDE, True, KEPT, NONE),
    ("many_filters", lambda x, k, b: sx.ops.relu(sx.ops.conv(x, k, bias=b)), (2, 7, 9, 16), (3, 3, 16, 40), True,
        RELU, RELU),
    ("rectified", lambda x, k, b: sx.ops.relu(sx.ops.conv(x, k, bias=b, padding="same")), (3, 7, 9, 16), WIDE, True,
        KEPT, RELU),
    ("one_image_kept", lambda x, k, b: sx.ops.conv(x, k, bias=b), (1, 9, 6, 20), (3, 3, 20, 16), False, KEPT, NONE),
    ("read_before_relu", read_before_relu, (2, 10, 10, 16), WIDE, True, KEPT, NONE),
]  # fmt: skip
PARTS = [c[1:] for c in CASES], [c[0] for c in CASES]


def arrays_of(image, kernel, has_bias, whole=True):
    """Whole numbers give ties, of which the first takes the gradient; others show in which order they are summed."""
    generator = np.random.default_rng(0)
    shapes = [image, kernel, *([kernel[-1:]] if has_bias else [])]
    if whole:
        return [generator.integers(-2, 3, shape).astype(np.float32) for shape in shapes]
    return [generator.standard_normal(shape).astype(np.float32) for shape in shapes]


NAMES = ("function", "image", "kernel", "has_bias", "expected", "alone")


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "real"])
@pytest.mark.parametrize(NAMES, PARTS[0], ids=PARTS[1])
def test_gradients(function, image, kernel, has_bias, expected, alone, whole):
    def step(x, k, b=None):
        sources = [x, k] if b is None else [x, k, b]
        with sx.GradientTape() as tape:
            tape.watch(sources)
            y = function(x, k, b)
            loss = sx.ops.sum(y * y)
        return [y, *tape.gradient(loss, sources)]

    check(step, arrays_of(image, kernel, has_bias, whole), expected)


@pytest.mark.parametrize(NAMES, PARTS[0], ids=PARTS[1])
def test_results_alone(function, image, kernel, has_bias, expected, alone):
    def step(x, k, b=None):
        return [function(x, k, b)]

    check(step, arrays_of(image, kernel, has_bias), alone)


def check(step, arrays, expected):
    graph = sx.trace(step, *[sx.TensorSpec(a.shape) for a in arrays])
    names = [node.primitive.name for node in fused_nodes(graph)]
    assert tuple(name for name in names if name in MADE) == expected
    program = FlatProgram(graph)
    for _ in range(2):
        program.run(arrays)
        for slot, wanted in zip(program.results, step(*map(sx.Tensor, arrays)), strict=True):
            np.testing.assert_array_equal(slot.array, wanted)


def test_a_result_that_is_wanted_stays():
    """The rectified convolution is a result itself, so pooling stays apart."""

    def step(x, k):
        y = sx.ops.relu(sx.ops.conv(x, k))
        return [y, sx.ops.max_pool(y, 2)]

    check(step, arrays_of((2, 10, 10, 16), WIDE, False), RELU)


def normalized(x, scale, bias, axis=-1):
    return batch_normalization_training(x, axis, bias, scale)


def one_after_another(x, scale, bias):
    first = sx.ops.relu(normalized(x, scale, bias)[0])
    return sx.ops.relu(normalized(first, scale, bias)[0] + x)


def both_ways(x, scale, bias):
    return sx.ops.relu(normalized(x, scale, bias)[0] + normalized(x * x, bias, scale)[0])


def with_statistics(x, scale, bias):
    y, mean, variance = normalized(x, scale, bias)
    return sx.ops.relu(y) * mean + variance


def added_later(x, scale, bias):
    y = normalized(x, scale, bias)[0]
    return sx.ops.relu(y + sx.ops.sin(x))


def read_beside(x, scale, bias):
    y = normalized(x, scale, bias)[0]
    return sx.ops.relu(y) + y


JOINT = "rectified_normalization"
NORMALIZED = [
    ("relu", lambda x, s, b: sx.ops.relu(normalized(x, s, b)[0]), (3, 5, 4, 6), (JOINT,)),
    ("rows", lambda x, s, b: sx.ops.relu(normalized(x, s, b)[0]), (12, 5), (JOINT,)),
    ("residual", one_after_another, (3, 5, 4, 6), (JOINT, JOINT)),
    ("both_ways", both_ways, (3, 5, 4, 6), (JOINT,)),
    ("with_statistics", with_statistics, (3, 5, 4, 6), (JOINT,)),
    ("added_later", added_later, (3, 5, 4, 6), ()),
    ("read_beside", read_beside, (3, 5, 4, 6), ()),
    ("no_relu", lambda x, s, b: normalized(x, s, b)[0] + x, (3, 5, 4, 6), ()),
    ("channels_first", lambda x, s, b: sx.ops.relu(normalized(x, s, b, 1)[0]), (3, 6, 4, 5), ()),
    ("far", lambda x, s, b: sx.ops.relu(normalized(x + 50.0, s, b)[0]), (3, 5, 4, 6), (JOINT,)),
]


@pytest.mark.parametrize("name_function_shape_expected", NORMALIZED, ids=[c[0] for c in NORMALIZED])
def test_normalization(name_function_shape_expected):
    name, function, shape, expected = name_function_shape_expected

    def step(x, s, b):
        with sx.GradientTape() as tape:
            tape.watch([x, s, b])
            y = function(x, s, b)
            loss = sx.ops.sum(y * y * y)
        return [y, *tape.gradient(loss, [x, s, b])]

    channels = shape[1 if name == "channels_first" else -1]
    check(step, arrays_of(shape, (channels,), True, whole=False), expected)
