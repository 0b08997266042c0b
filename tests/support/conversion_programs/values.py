"""Python's own uses of a value: int, float, item, asarray, min and max of lists, print, try, with, comprehensions."""

from __future__ import annotations

import contextlib

import numpy as np

import sardonyx as sx
from sardonyx import ops

from .program import converted, floats, number, whole


def as_integer(x):
    k = int(ops.sum(x))
    return x * k + k // 2


def as_float(x):
    scale = float(ops.max(x))
    if scale > 2.0:
        return x / scale
    return x * scale


def as_item(x):
    return x - ops.mean(x).item()


def as_array(x):
    values = np.asarray(x)
    return values * 2.0 + values.sum()


def as_truth(x):
    positive = bool(ops.sum(x) > 0)
    return x * 3.0 if positive else x


def extremes_of_lists(x):
    parts = [x[0], x[1], x[2]]
    return max(parts) - min(parts) + max(x) * 2.0


def sum_of_parts(x):
    return sum(value * value for value in x) + sum([x[0], x[1]])


def printed(x):
    total = ops.sum(x)
    print("total", total)
    if total > 0:
        print(f"positive: {total}")
        return x
    return -x


def tried(x, n):
    try:
        y = x / n
        if ops.sum(y) > 1.0:
            y = y * 2.0
    finally:
        note = 1.0
    return y + note


def caught(x):
    try:
        ops.matmul(x, ops.ones((7, 7)))
        return x * 0.0
    except ValueError:
        if ops.sum(x) > 0:
            return x
        return -x


def in_a_context(x):
    with contextlib.nullcontext(2.0) as scale:
        if ops.sum(x) > 0:
            x = x * scale
        else:
            x = x - scale
    return x


def comprehension(x):
    halves = [row * 0.5 for row in x]
    signs = {i: (1.0 if ops.sum(row) > 0 else -1.0) for i, row in enumerate(halves)}
    return ops.stack([row * signs[i] for i, row in enumerate(halves)])


def length_and_rank(x):
    if len(x.shape) == 1 and len(x) > 2 and ops.sum(x) > 0:
        return x * len(x)
    return x


def powers(x):
    total = ops.sum(x)
    if abs(total) ** 2 > 9.0 or pow(total, 3) < -0.5:
        return x**2
    return x


def rounding(x):
    steps = int(ops.floor(ops.sum(x)))
    for _ in range(steps):
        x = x * 1.1
    return x


def chosen_branch(x, k):
    branches = [ops.sin, ops.cos, lambda v: v * v]
    for i, branch in enumerate(branches):
        if k == i:
            return branch(x)
    return x


def member_of_a_set(x, k):
    return x * 2.0 if int(k) in {0, 3} else x


def lambdas(x):
    select = lambda v: v if ops.sum(v) > 0 else -v  # noqa: E731 - as users write it
    return select(x) + select(-2.0 * x)


def inner_function(x):
    calls = 0.0

    def grow(v):
        nonlocal calls
        if ops.sum(v) > 0:
            calls = calls + 1.0
            return v * 2.0
        return v

    return grow(x) + grow(-x) + calls


def starred(x, y):
    def largest(*values, scale=1.0):
        best = values[0]
        for value in values[1:]:
            if value > best:  # noqa: PLR1730 - as users write it
                best = value
        return best * scale

    a, *rest = [x[0], y[0], x[1], y[1]]
    return largest(a, *rest, scale=2.0)


def drawn_when_needed(x):
    if ops.sum(x) > 0:
        noise = sx.random.uniform((3,), seed=11)
        return x + noise
    return x


def kept_in_globals(x):
    return x * LIMIT if ops.max(x) > LIMIT else x


def flag_loop(x):
    going, rounds = True, 0
    while going:
        x = x - 1.0
        rounds += 1
        going = bool(ops.max(x) > 0)
    return x, rounds


LIMIT = 1.5
UP, DOWN = floats(1, 2, 0.5), floats(-1, -2, 0.5)
PAIR = floats([1, 2, 0.5], [-1, -2, 0.5])

PROGRAMS = [
    converted(as_integer, UP, DOWN, gradient=False),
    converted(as_float, UP, UP * 2, gradient=False),
    converted(as_item, UP, DOWN, gradient=False),
    converted(as_array, UP, DOWN, gradient=False),
    converted(as_truth, UP, DOWN),
    converted(extremes_of_lists, UP, DOWN),
    converted(sum_of_parts, UP, DOWN),
    converted(printed, UP, DOWN),
    converted(tried, (UP, number(2)), (UP, number(9))),
    converted(caught, UP, DOWN, covers=()),
    converted(in_a_context, UP, DOWN),
    converted(comprehension, PAIR, -PAIR),
    converted(length_and_rank, UP, DOWN),
    converted(powers, UP, DOWN, floats(1, 0.5, 0.5)),
    converted(rounding, UP, DOWN, UP * 2),
    converted(chosen_branch, (UP, whole(0)), (UP, whole(1)), (UP, whole(2)), (UP, whole(3))),
    converted(member_of_a_set, (UP, whole(0)), (UP, whole(1)), (UP, whole(3))),
    converted(lambdas, UP, DOWN),
    converted(inner_function, UP, DOWN),
    converted(starred, (UP, DOWN), (DOWN, UP)),
    converted(drawn_when_needed, UP, DOWN),
    converted(kept_in_globals, UP, DOWN),
    converted(flag_loop, UP, DOWN),
]
