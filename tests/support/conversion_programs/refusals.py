"""What a graph cannot hold, and what would be frozen in one: refused with the line and the rewrite that works."""

from __future__ import annotations

import math
import random

import numpy as np

import sardonyx as sx
from sardonyx import ops

from .program import floats, refused, whole

GENERATOR = np.random.default_rng(3)


def numpy_draw(x):
    return x + np.random.normal(size=3)  # noqa: NPY002 - as users write it


def python_draw(x):
    return x * random.random()


def shuffled(x):
    order = [0, 1, 2]
    random.shuffle(order)
    return ops.take(x, order, axis=0)


def generator_draw(x):
    noise = GENERATOR.normal(size=(3,))
    return x + noise


def item_assignment(x):
    x[0] = 1.0
    return x


def item_augmented(x):
    x[0] += 1.0
    return x


def into_numpy_array(x):
    buffer = np.zeros(3, np.float32)
    buffer[...] = x
    return ops.convert_to_tensor(buffer)


def number_into_numpy_array(x):
    buffer = np.zeros(3, np.float32)
    buffer[0] = ops.sum(x)
    return x + buffer


def as_list(x):
    return x * x.tolist()[0]


def mathematics(x):
    return x * math.sqrt(ops.sum(x * x))


def recursion(n):
    def factorial(k):
        return ops.ones((), "int32") if k <= 1 else k * factorial(k - 1)

    return factorial(n)


def other_shapes(x):
    if ops.sum(x) > 0:
        return x
    return x[:2]


def assigned_in_one_branch(x):
    if ops.sum(x) > 0:
        scale = 2.0
    return x * scale


def assigned_in_a_loop(x):
    for value in x:
        if value > 3.0:
            found = value
            break
    else:
        found = ops.min(x)
    return found


def default_of_a_dictionary(x, k):
    return x * {0: 1.0, 1: 2.0}.get(int(k), 3.0)


def item_of_a_dictionary(x, k):
    return x * {0: 1.0, 1: 2.0}[int(k)]


def refusal_that_is_caught(x):
    try:
        size = math.log(ops.sum(x))
    except (TypeError, ValueError):
        size = 0.0
    return x * size


def formatted(x):
    return x * float(f"{ops.sum(x):.1f}")


def size_by_value(x):
    return x[: int(ops.sum(x))]


def raised(x):
    if ops.sum(x) > 0:
        raise ValueError("too much")
    return x


def selected(x):
    return ops.stack([value for value in x if value > 0])


def chosen_from_list(x, k):
    return x * [1.0, 2.0][int(k)]


def sorted_by_value(x):
    return ops.stack(sorted(x, key=float))


class DrawnInCall(sx.Model):
    """Noise from NumPy, for training only as it was meant."""

    def __init__(self):
        super().__init__()
        self.generator = np.random.default_rng(0)
        self.dense = sx.layers.Dense(3)

    def call(self, x):
        return self.dense(x) + self.generator.uniform(size=3)


class CachedInBuffer(sx.Model):
    """A NumPy buffer as memory between calls."""

    def __init__(self):
        super().__init__()
        self.memory = np.zeros((1, 3), np.float32)

    def call(self, x):
        self.memory[...] = ops.mean(x, axis=0, keepdims=True)
        return x - self.memory


UP = floats(1, 2, 0.5)
ROWS = floats([1, 2, 0.5], [-1, 0.3, 0.5])
RANDOM, IN_PLACE = r"sx\.random\.normal", "ops.slice_update|ops.scatter_update"

PROGRAMS = [
    refused(numpy_draw, "np.random.normal(size=3)", RANDOM, UP),
    refused(python_draw, "random.random()", RANDOM, UP),
    refused(shuffled, "random.shuffle(order)", RANDOM, UP),
    refused(generator_draw, "GENERATOR.normal(size=(3,))", RANDOM, UP),
    refused(item_assignment, "x[0] = 1.0", IN_PLACE, UP),
    refused(item_augmented, "x[0] += 1.0", IN_PLACE, UP),
    refused(into_numpy_array, "buffer[...] = x", "ops", UP),
    refused(number_into_numpy_array, "buffer[0] = ops.sum(x)", "ops", UP),
    refused(as_list, "x.tolist()", "ops", UP),
    refused(mathematics, "math.sqrt", "ops", UP),
    refused(recursion, "factorial", "while_loop|loop", whole(4)),
    refused(other_shapes, "ops.sum(x) > 0", "same structure, shape", UP),
    refused(assigned_in_one_branch, "ops.sum(x) > 0", "[Aa]ssign", UP),
    refused(assigned_in_a_loop, "found = ", "Assign it before", UP),
    refused(default_of_a_dictionary, "{0: 1.0, 1: 2.0}.get", "ops.take", (UP, whole(1))),
    refused(item_of_a_dictionary, "{0: 1.0, 1: 2.0}[int(k)]", "ops.take", (UP, whole(1))),
    refused(refusal_that_is_caught, "math.log(ops.sum(x))", "sardonyx.ops", UP),
    refused(formatted, ":.1f", "sardonyx.ops", UP),
    refused(size_by_value, "x[: int(ops.sum(x))]", "ops.slice", UP),
    refused(raised, "raise ValueError", "before the model is called", UP),
    refused(selected, "for value in x if value > 0", "ops|condition", UP),
    refused(chosen_from_list, "[int(k)]", "ops", (UP, whole(1))),
    refused(sorted_by_value, "sorted(x, key=float)", "ops.sort", UP),
    refused(DrawnInCall, "self.generator.uniform(size=3)", RANDOM, ROWS),
    refused(CachedInBuffer, "self.memory[...]", "ops|add_weight|Variable", ROWS),
]
