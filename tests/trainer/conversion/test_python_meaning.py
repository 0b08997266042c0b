"""What converted functions keep of Python: closures, methods, decorators, sizes, loops; eager = graph = onnxruntime."""

import functools

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import run_graph


def made_with_closure():
    total = ops.zeros(())

    def add(value):
        nonlocal total
        total = total + value

    def closure(x):
        nonlocal total
        total = ops.zeros(())
        if ops.sum(x) > 0:
            add(ops.sum(x))
        else:
            add(1.0)
        return total

    return closure


def forwarding(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@forwarding
def decorated(x, *, factor=3.0):
    return x * factor if ops.sum(x) > 0 else x


class Base:
    def __init__(self):
        self.last = None

    @staticmethod
    def negative(x):
        return -x if x[0] > 0 else x

    @classmethod
    def through_class(cls, x):
        return cls.negative(x)

    def __private(self, x):
        return x + 1 if ops.sum(x) > 0 else x

    def method(self, x):
        return self.__private(x)

    def __call__(self, x):
        return self.method(x)

    def attribute(self, x):
        if ops.sum(x) > 0:
            self.last = x * 2
        else:
            self.last = x
        result, self.last = self.last, None
        return result


class Derived(Base):
    def method(self, x):
        if ops.max(x) > 1:
            return super().method(x)
        return super().method(x) * 2


def matched(x):
    match int(ops.sum(x)):
        case 6:
            y = x
        case -6 | 7:
            y = x * 2
        case _:
            y = x * 3
    return y


def by_size(x):
    if x.shape[0] > 2:
        return ops.sum(x)
    return ops.max(x) * 100


def by_equal_size(x):
    return x * 2 if x.shape[0] == 3 else x


def named_expression(x):
    if (total := ops.sum(x)) > 0:
        return total
    return total * 2


def until_break(x):
    while True:
        x = x * 2
        if ops.sum(x) > 50 or ops.sum(x) < -50:
            break
    return x


def break_after_other_branch(x):
    y, steps = x, 0
    for _ in range(3):
        if ops.sum(y) > 1e3:
            steps = steps + 100
        elif ops.sum(y) < 1:
            break
        y = y * 10
        steps = steps + 1
    return y, steps


def return_from_inner_loop(x):
    for row in range(2):
        for value in x:
            if value > row + 1.5:
                return value * 10
            if value < -5:
                break
    return ops.sum(x)


def collected(x):
    found, state = [], 0.0
    for value in x:
        state = state * 0.5 + value
        found.append(state)
    return ops.stack(found), len(found), sum(found)


def in_try(x):
    try:
        if ops.sum(x) > 0:
            return x
        return x * 2
    finally:
        pass


def inner_generator(x):
    def positive():
        for factor in (1.0, -1.0, 2.0):
            if factor > 0:
                yield x * factor

    return sum(positive())


def of_numbers(x):
    names = [name for name in ("a", "bb", "ccc") if len(name) > 1 and not name.startswith("c")]
    flags = {"on": True and names, "off": None if names else 3}
    return x * len(flags["on"]) * (flags["off"] or 3) if 0 < len(names) < 3 else x


LAMBDA = lambda x: x * 2 if ops.sum(x) > 0 else -x  # noqa: E731 - what users write
X = np.array([1.0, 2.0, 3.0], np.float32)
FUNCTIONS = [
    (made_with_closure(), "3"),
    (decorated, "3"),
    (functools.partial(decorated, factor=5.0), "3"),
    (Base.negative, "3"),
    (Base.through_class, "3"),
    (Base().method, "3"),
    (Base().attribute, "3"),
    (Base(), "3"),
    (Derived().method, "3"),
    (matched, "3"),
    (by_size, "n"),
    (by_equal_size, "n"),
    (named_expression, "3"),
    (until_break, "3"),
    (break_after_other_branch, "3"),
    (return_from_inner_loop, "3"),
    (return_from_inner_loop, "n"),
    (collected, "3"),
    (collected, "n"),
    (in_try, "3"),
    (inner_generator, "3"),
    (of_numbers, "3"),
    (LAMBDA, "3"),
]


def _name(value):
    """A name for a case that is the same in every process."""
    return getattr(value, "__name__", type(value).__name__ if callable(value) else str(value))


@pytest.mark.parametrize(("function", "size"), FUNCTIONS, ids=_name)
def test_same_as_python(function, size):
    graph = sx.trace(function, sx.TensorSpec((int(size) if size.isdigit() else size,)))
    inputs = [X, -X, X * 400, X * 0.01, -X * 3]
    if not size.isdigit():
        inputs += [X[:2], X[:1], -X[:2]]
    for x in inputs:
        expected = sx.tree.flatten(function(ops.convert_to_tensor(x)))
        for found in (graph.run(x), run_graph(graph, x)):
            for a, b in zip(sx.tree.flatten(found), expected, strict=True):
                assert np.shape(a) == np.shape(np.asarray(b))
                np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5)


def test_no_tensor_of_a_branch_stays_in_an_attribute():
    holder = Base()
    holder.last = "before"

    def function(x):
        if ops.sum(x) > 0:
            holder.last = x
            return ops.matmul(x, ops.ones((7, 7)))
        return x

    with pytest.raises(sx.ShapeError):
        sx.trace(function, sx.TensorSpec((3,)))
    assert holder.last == "before"


def test_eager_calls_run_the_function_itself():
    seen = []

    def function(x):
        seen.append(function.__code__)
        return x if ops.sum(x) > 0 else -x

    function(ops.convert_to_tensor(X))
    assert seen == [function.__code__]
