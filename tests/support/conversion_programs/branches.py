"""`if`, `elif`, `else`, early returns, `and`, `or`, `not`, conditional expressions, chains of comparisons, `match`."""

from __future__ import annotations

from typing import Any

import numpy as np

from sardonyx import ops

from .program import converted, floats, number, whole


def sign_of_sum(x):
    if ops.sum(x) > 0:
        return x * 2.0
    else:
        return -x


def three_ways(x):
    total = ops.sum(x)
    if total > 5.0:
        y = x / total
    elif total > 0.0:
        y = x * x
    else:
        y = ops.zeros_like(x)
    return y


def early_return(x):
    largest = ops.max(ops.abs(x))
    if largest > 10.0:
        return x / largest
    shifted = x + 1.0
    return ops.sin(shifted)


def nested_branches(x, y):
    if ops.sum(x) > 0:
        if ops.sum(y) > 0:
            z = x * y
        else:
            z = x - y
    else:
        z = y * 3.0
        if ops.max(x) < -5.0:
            z = z + x
    return z


def three_words(x, y):
    a, b = ops.sum(x), ops.sum(y)
    if (a > 0 and not b > 1) or a == -6:
        return x + y
    return x - y


def conditional_expression(x):
    scale = 2.0 if ops.mean(x) > 1.0 else 0.5
    return x * scale + (1.0 if x[0] > 0 else x[1])


def comparison_chain(x):
    total = ops.sum(x)
    if 0 < total <= 5:
        return x * 2.0
    return x * -1.0


def chain_of_expressions(x):
    total = ops.sum(x)
    return x if total > 3 else -x if total > 0 else x * 0.0 if total > -3 else x + 100.0


def clip_by_norm(x, limit):
    norm = ops.sqrt(ops.sum(x * x))
    if norm > limit:
        return x * (limit / norm)
    return x


def with_helper(x):
    return clip_by_norm(x, 1.0) + clip_by_norm(x * 0.1, 0.2)


def make_threshold(limit):
    def above(x):
        if ops.sum(x) > limit:
            return x - limit
        return x

    return above


threshold = make_threshold(2.0)


class Scaler:
    """An object that is no layer, with settings and a method."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def scale(self, x):
        largest, smallest = ops.max(x), ops.min(x)
        if largest - smallest < 1e-3:
            return x * 0.0 + self.low
        return self.low + (x - smallest) * (self.high - self.low) / (largest - smallest)


scaler = Scaler(-1.0, 1.0)


def method_of_object(x):
    return scaler.scale(x) * 2.0


def default_overwritten(x):
    y, note = x, 0.0
    if ops.sum(x) > 3.0:
        y = y * 0.1
        note = note + 1.0
    return y + note


def augmented(x):
    y = x * 1.0
    if ops.sum(x) > 0:
        y += 1.0
        y *= 2.0
    else:
        y -= x * 0.5
    y /= 3.0
    return y


def dictionary_of_results(x):
    out: dict[str, Any] = {"kept": x}
    if ops.sum(x) > 0:
        out["score"] = ops.max(x)
        out["kept"] = x * 2.0
    else:
        out["score"] = ops.min(x)
    return out


def swapped(x, y):
    if ops.sum(x) < ops.sum(y):
        x, y = y, x
    return x * 2.0 - y


def builtin_extremes(x, y):
    a, b = ops.sum(x), ops.sum(y)
    low, high = min(a, b), max(a, b, 1.0)
    return x * low + y * high + abs(a)


def safe_division(x, n):
    total = ops.sum(x)
    if n != 0 and total / n > 2.0:
        return x / n
    return x


def any_and_all(x):
    parts = [x[0], x[1], x[2]]
    if all(p > 0 for p in parts):
        return ops.log(x)
    if any(p < -5 for p in parts):
        return x * 0.0
    return ops.exp(-x * x)


def numpy_functions(x):
    if np.sum(x) > 0:
        return np.tanh(x) + np.maximum(x, 0.5)
    return np.exp(x)


def attend(x, mask=None):
    if mask is None:
        return ops.mean(x)
    if ops.any(mask):
        return ops.sum(ops.where(mask, x, 0.0)) / ops.sum(ops.cast(mask, "float32"))
    return ops.mean(x) * 0.0


def optional_argument(x):
    return attend(x) + attend(x, x > 1.0)


def returns_in_depth(x):
    total = ops.sum(x)
    if total > 0:
        if total > 10:
            return x * 0.1
        for scale in (2.0, 3.0):
            if ops.max(x) * scale > 8.0:
                return x * scale
    elif total < -10:
        return -x
    return x + 0.5


def flags_and_values(x, sharpen=True, mode="soft"):
    if sharpen and ops.sum(x) > 0:
        x = x * x
    if mode == "hard" or ops.sum(x) > 20.0:
        return ops.softmax(x)
    return x


def matched(x, k):
    match int(k):
        case 0:
            return x
        case 1 | 2:
            return x * 2.0
        case _:
            return -x


def walrus(x):
    if (total := ops.sum(x)) > 3.0:
        return x / total
    return x + total


def number_or_tensor(x):
    scale, count = 1.0, 0
    if ops.sum(x) > 2.0:
        scale = ops.sum(x)
        count = 1
    return x * scale, count


def negated(x):
    empty = not ops.any(x > 0)
    if empty:
        return x - 1.0
    return x


def equal_to_both(x, y):
    if ops.all(x == y):
        return x * 2.0
    if ops.sum(x) != ops.sum(y):
        return x - y
    return x + y


def last_value_of_and(x):
    gate = ops.sum(x) > 0 and ops.max(x) < 3
    other = ops.sum(x) < -3 or ops.max(x) > 5
    return ops.where(gate, x, -x) + ops.cast(other, "float32")


UP, DOWN, LARGE = floats(1, 2, 0.5), floats(-1, -2, 0.5), floats(20, 1, 3)

PROGRAMS = [
    converted(sign_of_sum, UP, DOWN),
    converted(three_ways, LARGE, UP, DOWN),
    converted(early_return, UP, LARGE),
    converted(nested_branches, (UP, UP), (UP, DOWN), (DOWN, UP), (DOWN - 9, UP)),
    converted(three_words, (UP, DOWN), (UP, UP), (DOWN, UP), (DOWN * 2.4, UP)),
    converted(conditional_expression, UP, LARGE, DOWN),
    converted(comparison_chain, UP, LARGE, DOWN),
    converted(chain_of_expressions, LARGE, floats(1, 0.5, 0.5), DOWN, DOWN * 9),
    converted(with_helper, UP, floats(0.1, 0.1, 0.1), LARGE),
    converted(threshold, UP, DOWN),
    converted(method_of_object, UP, floats(2, 2, 2)),
    converted(default_overwritten, UP, DOWN),
    converted(augmented, UP, DOWN),
    converted(dictionary_of_results, UP, DOWN),
    converted(swapped, (UP, DOWN), (DOWN, UP)),
    converted(builtin_extremes, (UP, DOWN), (DOWN, UP), (DOWN, DOWN * 2)),
    converted(safe_division, (UP, number(0)), (UP, number(1)), (UP, number(9)), (DOWN, number(-1))),
    converted(any_and_all, UP, DOWN, DOWN * 4),
    converted(numpy_functions, UP, DOWN),
    converted(optional_argument, UP, DOWN),
    converted(returns_in_depth, UP, LARGE, DOWN, DOWN * 9, floats(3, 1, 1)),
    converted(flags_and_values, UP, DOWN, LARGE),
    converted(matched, (UP, whole(0)), (UP, whole(1)), (UP, whole(2)), (UP, whole(7))),
    converted(walrus, UP, DOWN),
    converted(number_or_tensor, UP, DOWN),
    converted(negated, UP, floats(-1, -2, -3)),
    converted(equal_to_both, (UP, UP), (UP, DOWN), (UP, UP[::-1].copy())),
    converted(last_value_of_and, UP, DOWN, DOWN * 4, LARGE),
]
