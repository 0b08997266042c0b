"""What conversion refuses, and what it says: the variable, the user's line, and the rewrite."""

import inspect
import traceback
from types import FunctionType

import pytest

import sardonyx as sx
from sardonyx import ops


def undefined(x):
    if ops.sum(x) > 0:
        y = x
    return y + 1


def undefined_after_loop(x):
    while ops.sum(x) < 10:
        y = x
        x = x + 1
    return y


def asserting(x):
    assert ops.sum(x) > 0
    return x


def raising(x):
    if ops.sum(x) < 0:
        raise ValueError("negative")
    return x


def list_of_one_branch(x):
    found = []
    if ops.sum(x) > 0:
        found.append(x)
    return ops.stack(found)


def list_in_while(x):
    found = []
    while ops.sum(x) < 10:
        x = x + 1
        found.append(x)
    return ops.stack(found)


def growing_shape(x):
    while ops.sum(x) < 10:
        x = ops.concatenate([x, x])
    return x


def shapes_of_branches(x):
    y = x
    if ops.sum(x) > 0:
        y = x[:2]
    return y * 2


def dtypes_of_branches(x):
    y = x
    if ops.sum(x) > 0:
        y = ops.cast(x, "int32")
    return y


def result_of_one_branch(x):
    if ops.sum(x) > 0:
        return x
    return None


def none_before(x):
    state = None
    for row in x:
        state = row if state is None else state + row
    return state


def return_inside_with(x):
    with memoryview(b""):
        if ops.sum(x) > 0:
            return x
        x = x * 2
    return x + 1


def endless(x):
    while ops.sum(x) < 10:
        pass
    return x


def inside_generator(x):
    def values():
        if ops.sum(x) > 0:
            yield x

    return list(values())


def vector_condition(x):
    return x if x > 0 else -x


@sx.do_not_convert
def opted_out(x):
    return x if x.sum() > 0 else -x


S = sx.SymbolicValueError
CASES = [
    (undefined, S, "variable 'y' is assigned in one branch only", "Assign it before the `if`"),
    (undefined_after_loop, S, "variable 'y' is assigned only inside a `while` loop", "Assign it before the loop"),
    (asserting, S, "`assert` on a tensor", "Check the values before"),
    (raising, S, "a graph cannot stop with an error", "Check the values before"),
    (list_of_one_branch, S, "a list of 1 on one side and a list of 0", "append in each"),
    (list_in_while, S, "a list grows inside a `while`", "for i in range(x.shape[0])"),
    (growing_shape, sx.ShapeError, "variable 'x' changes in a `while` loop", "append to a list and stack it"),
    (shapes_of_branches, sx.ShapeError, "variable 'y' differs between the branches", "same structure, shape and dtype"),
    (dtypes_of_branches, sx.DtypeError, "dtype int32 on one side", "same structure, shape and dtype"),
    (result_of_one_branch, S, "the result differs between the branches", "Both branches must give"),
    (none_before, S, "None on one side and a tensor of shape (3,)", "give the variable a first value"),
    (return_inside_with, S, "inside `try` or `with`", "return it after the block"),
    (endless, S, "it would never end", "Assign what the condition reads"),
    (inside_generator, S, "a generator or coroutine runs as it is written", "let it return a list"),
    (vector_condition, sx.ShapeError, "a condition must be a single truth value", "ops.where(condition, a, b)"),
    (opted_out, S, "the function is decorated with do_not_convert", "ops.cond(condition, f, g)"),
]


@pytest.mark.parametrize(("function", "kind", "what", "rewrite"), CASES, ids=lambda x: getattr(x, "__name__", None))
def test_message(function, kind, what, rewrite):
    shape = ("n", 3) if function is none_before else (3,)
    with pytest.raises(kind) as caught:
        sx.trace(function, sx.TensorSpec(shape))
    text = str(caught.value)
    assert what in text
    assert rewrite in text
    assert f'File "{__file__}", line' in text
    lines, first = inspect.getsourcelines(function)
    numbers = [int(part.split(",")[0]) for part in text.split(f'File "{__file__}", line ')[1:]]
    assert all(first <= number < first + len(lines) for number in numbers)


def test_without_source_the_reason_is_told():
    made = compile("def function(x):\n    return x if x.sum() > 0 else -x\n", "<nowhere>", "exec")
    function = FunctionType(made.co_consts[0], globals())
    with pytest.raises(sx.SymbolicValueError, match="cannot be read; define the function in a file"):
        sx.trace(function, sx.TensorSpec((3,)))


def failing(x):
    y = x
    if ops.sum(x) > 0:
        for _ in range(2):
            y = y + 1
            y = (
                y
                + ops.ones((7,))
            )  # fmt: skip
    return y


def test_traceback_shows_the_lines_of_the_user():
    first = inspect.getsourcelines(failing)[1]
    with pytest.raises(sx.ShapeError) as caught:
        sx.trace(failing, sx.TensorSpec((3,)))
    frames = [f for f in traceback.extract_tb(caught.value.__traceback__) if f.filename == __file__]
    assert [(f.lineno - first, f.name) for f in frames[1:]] == [(2, "failing"), (3, "failing"), (6, "failing")]
