"""Control flow: eager, traced on NumPy and in onnxruntime alike; gradients of two orders; variables; clear refusals."""

import numpy as np
import pytest
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import run_graph, to_onnx


def steps_of(reverse=False):
    """A recurrence with a weight from outside, in operations and in NumPy."""

    def function(xs, weight, start):
        def step(carry, x):
            new = ops.tanh(ops.matmul(carry, weight) + x)
            return new, new * 2.0

        return ops.scan(step, start, xs, reverse=reverse)

    def reference(xs, weight, start):
        outputs, carry = [None] * len(xs), start
        for i in range(len(xs))[:: -1 if reverse else 1]:
            carry = np.tanh(carry @ weight + xs[i])
            outputs[i] = carry * 2
        return carry, np.stack(outputs)

    return function, reference


def prefix(values, reverse):
    flipped = values[::-1] if reverse else values
    made = [flipped[0]]
    for v in flipped[1:]:
        made.append(made[-1] * v + v)
    return np.stack(made[::-1] if reverse else made)


def affine(a, b):
    """Composition of two functions x -> slope x + shift."""
    return a[0] * b[0], b[0] * a[1] + b[1]


def while_doubling(limit=None):
    def function(x, weight):
        return ops.while_loop(
            lambda v: ops.sum(v * v) < 1000.0, lambda v: (v * 2.0 + weight,), (x,), maximum_iterations=limit
        )[0]

    def reference(x, weight):
        count = 0
        while (x * x).sum() < 1000.0 and count != limit:
            x, count = x * 2 + weight, count + 1
        return x

    return function, reference


def choice(of):
    return (
        lambda x, w: ops.cond(ops.sum(x) * of > 0, lambda: ops.matmul(x, w), lambda: ops.tanh(x)),
        lambda x, w: x @ w if x.sum() * of > 0 else np.tanh(x),
    )


def pick(index):
    return (
        lambda x: ops.switch(ops.cast(ops.sum(x * 0.0), "int32") + index, [abs, ops.square, lambda v: v * 3], x),
        lambda x: [abs(x), x * x, x * 3][min(max(index, 0), 2)],
    )


CASES = [
    case("scan", *steps_of(), (5, 3), (3, 3), (3,)),
    case("scan_reverse", *steps_of(True), (5, 3), (3, 3), (3,)),
    case("cond_first", *choice(1.0), (4, 3), (3, 3), low=0.1, high=1),
    case("cond_second", *choice(-1.0), (4, 3), (3, 3), low=0.1, high=1),
    case("fori_loop", lambda x: ops.fori_loop(0, 3, lambda i, v: ops.sin(v) * (ops.cast(i, v.dtype) + 1.0), x),
         lambda x: np.sin(np.sin(np.sin(x)) * 2) * 3, (4, 3)),
    case("while_at_most", *while_doubling(3), (4, 3), (4, 3), low=0.5, high=1),
    case("while", *while_doubling(), (4, 3), (4, 3), low=0.5, high=1),
    case("map", lambda x, w: ops.map(lambda v: ops.tanh(ops.matmul(v, w)), x), lambda x, w: np.tanh(x @ w),
         (4, 3), (3, 3)),
    case("vectorized_map", lambda x: ops.vectorized_map(lambda v: v * ops.sum(v), x),
         lambda x: x * x.sum(1, keepdims=True), (4, 3)),
    case("map_of_pairs", lambda x, y: ops.map(lambda p: {"s": p[0] + p[1], "m": p[0] * p[1]}, (x, y)),
         lambda x, y: [x * y, x + y], (4, 3), (4, 3)),
    *[case(f"switch_{i}", *pick(i), (4, 3)) for i in (-1, 0, 1, 2, 5)],
    case("associative_scan", lambda x: ops.associative_scan(affine, (x, x))[1], lambda x: prefix(x, False), (5, 3),
         symbolic=False),
    case("associative_scan_reverse", lambda x: ops.associative_scan(affine, (x, x), reverse=True)[1],
         lambda x: prefix(x, True), (5, 3), symbolic=False),
]  # fmt: skip


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_control(item, check):
    check_case(item, check)


def both(function, *arrays):
    """The results of a traced function, on NumPy and in onnxruntime."""
    graph = sx.trace(function, *[sx.TensorSpec(a.shape, a.dtype) for a in arrays])
    return graph, [np.asarray(x) for x in sx.tree.flatten(graph.run(*arrays))], run_graph(graph, *arrays)


X = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        (lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: -x), "If"),
        (lambda x: ops.scan(lambda c, v: (c + v, None), ops.zeros((2,)), x)[0], "Scan"),
        (lambda x: ops.while_loop(lambda v: ops.sum(v) < 99.0, lambda v: (v + 1.0,), (x,))[0], "Loop"),
        (lambda x: ops.fori_loop(0, ops.cast(ops.max(x), "int32"), lambda i, v: v + 1.0, x), "Loop"),
    ],
)
def test_operators_of_onnx(function, operator):
    graph, on_numpy, on_runtime = both(function, X)
    assert operator in [node.op_type for node in to_onnx(graph).graph.node]
    np.testing.assert_allclose(on_runtime[0], on_numpy[0])
    np.testing.assert_allclose(on_numpy[0], function(sx.Tensor(X)).numpy())


def test_known_values_leave_no_trace_of_control_flow():
    graph = sx.trace(lambda x: ops.cond(True, lambda: x * 2.0, lambda: x), sx.TensorSpec((3,)))
    assert [node.primitive.name for node in graph.nodes] == ["multiply"]


def test_variables_inside_a_body_get_gradients_and_updates():
    weight, count = sx.Variable(np.full((2,), 2.0, np.float32)), sx.Variable(0.0, trainable=False)

    def step(carry, x):
        count.assign_add(1.0)
        return carry + x * weight, None

    def gradient(x):
        with sx.GradientTape() as tape:
            total = ops.sum(ops.scan(step, ops.zeros((2,)), x)[0])
        return tape.gradient(total, weight)

    graph = sx.trace(gradient, sx.TensorSpec(X.shape))
    np.testing.assert_allclose(graph.run(X), X.sum(0))
    assert float(count.numpy()) == 3
    np.testing.assert_allclose(gradient(sx.Tensor(X)).numpy(), X.sum(0))
    assert float(count.numpy()) == 6


def test_random_numbers_differ_from_step_to_step():
    generator = sx.random.SeedGenerator(3)

    def noise(x):
        return ops.map(lambda v: sx.random.uniform((2,), seed=generator) + v * 0.0, x)

    graph = sx.trace(noise, sx.TensorSpec((3, 2)))
    drawn = np.asarray(graph.run(X))
    again = sx.random.SeedGenerator(3)
    expected = np.stack([sx.random.uniform((2,), seed=again).numpy() for _ in range(3)])
    np.testing.assert_array_equal(drawn, expected)
    assert generator.state.numpy().tolist() == again.state.numpy().tolist()


def test_variables_assigned_in_one_branch():
    state = sx.Variable(1.0)

    def double():
        state.assign(state * 2.0)
        return state.read()

    graph = sx.trace(lambda x: ops.cond(ops.sum(x) > 0, double, lambda: state * 10.0), sx.TensorSpec((3, 2)))
    assert float(graph.run(X)) == 2 and float(state.numpy()) == 2
    assert float(graph.run(-X)) == 20 and float(state.numpy()) == 2


def test_nested_bodies():
    def function(x):
        def row(v):
            return ops.cond(ops.sum(v) > 4.0, lambda: ops.scan(lambda c, e: (c + e, c), ops.sum(v), v)[1], lambda: -v)

        return ops.map(row, x)

    _, on_numpy, on_runtime = both(function, X)
    np.testing.assert_allclose(on_numpy[0], function(sx.Tensor(X)).numpy())
    np.testing.assert_allclose(on_runtime[0], on_numpy[0])
    slope = sx.grad(lambda x: ops.sum(function(x)))
    _, on_numpy, on_runtime = both(slope, X)
    np.testing.assert_allclose(on_numpy[0], slope(sx.Tensor(X)).numpy())
    np.testing.assert_allclose(on_runtime[0], on_numpy[0])


def test_scan_by_length_and_structures():
    carry, ys = ops.scan(lambda c, _: ({"n": c["n"] + 1}, None), {"n": ops.cast(0, "int32")}, length=4)
    assert int(carry["n"]) == 4 and ys is None
    graph = sx.trace(lambda x: ops.scan(lambda c, _: (c * 2.0, c), x, length=3), sx.TensorSpec((2,)))
    carry, ys = graph.run(X[1])
    np.testing.assert_allclose(carry, X[1] * 8)
    np.testing.assert_allclose(ys, X[1] * np.array([[1], [2], [4]]))


def test_an_empty_sequence():
    function = lambda x: ops.scan(lambda c, v: (c + v, v * 2.0), ops.ones((2,)), x)  # noqa: E731
    for empty in (function(sx.Tensor(X[:0])), sx.trace(function, sx.TensorSpec(("time", 2))).run(X[:0])):
        carry, ys = (np.asarray(x) for x in empty)
        assert carry.tolist() == [1, 1] and ys.shape == (0, 2)


CUSTOM = [
    (lambda x: (x * x, lambda g: g * 10.0), 10.0),
    (lambda x: (ops.exp(x), lambda g: (g * ops.exp(x),)), float(np.exp(3.0))),
    (lambda x: (x * 3.0, lambda g: None), 0.0),
]


@pytest.mark.parametrize(("function", "expected"), CUSTOM)
def test_custom_gradient(function, expected):
    slope = sx.grad(ops.custom_gradient(function))
    assert float(slope(3.0)) == pytest.approx(expected)
    _, on_numpy, on_runtime = both(slope, np.float32(3.0))
    assert float(on_numpy[0]) == pytest.approx(expected) and float(on_runtime[0]) == pytest.approx(expected)


def test_custom_gradient_of_second_order_and_several_arguments():
    @ops.custom_gradient
    def product(x, y):
        return x * y, lambda g: (g * y * 2.0, g * x * x)

    first, second = sx.grad(product, (0, 1))(3.0, 5.0)
    assert (float(first), float(second)) == (10.0, 9.0)
    assert float(sx.grad(lambda x: sx.grad(product, 1)(x, 5.0))(3.0)) == 6.0


def traced(function):
    return sx.trace(function, sx.TensorSpec((3, 2)))


ERRORS = [
    (lambda: traced(lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: x[0])), ValueError, "true_fn and false_fn"),
    (lambda: traced(lambda x: ops.cond(ops.sum(x) > 0, lambda: (x, x), lambda: x)), ValueError, "expected 2 tensors"),
    (lambda: ops.cond([True, False], lambda: 1, lambda: 2), ValueError, "scalar condition"),
    (lambda: ops.scan(lambda c, x: (x, x), ops.zeros(()), X), ValueError, "carry before and after"),
    (lambda: traced(lambda x: ops.scan(lambda c, v: (v, v), ops.zeros(()), x)), ValueError, "carry before and after"),
    (lambda: traced(lambda x: ops.scan(lambda c, v: v, ops.zeros(()), x)), ValueError, "two values"),
    (lambda: ops.scan(lambda c, x: (c, x), 0.0), ValueError, "xs or length"),
    (lambda: ops.scan(lambda c, x: (c, x), 0.0, (X, X[:2])), ValueError, "3 and 2"),
    (lambda: ops.scan(lambda c, x: (c, x), 0.0, 1.0), ValueError, "got a scalar"),
    (lambda: ops.while_loop(lambda x: True, lambda x: (x[0],), (X,)), ValueError, "variables before and after"),
    (lambda: ops.switch(0, []), ValueError, "at least one branch"),
    (lambda: traced(lambda x: ops.switch(x, [lambda: 1])), ValueError, "scalar"),
    (lambda: sx.trace(lambda x: ops.associative_scan(ops.add, x), sx.TensorSpec(("n",))), ValueError, "ops.scan"),
    (lambda: sx.grad(ops.custom_gradient(lambda x: (x, lambda g: (g, g))))(1.0), ValueError, "2 gradients for 1"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS, ids=[str(i) for i in range(len(ERRORS))])
def test_errors_teach(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
