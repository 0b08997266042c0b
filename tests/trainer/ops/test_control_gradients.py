"""Gradients of loops and choices inside one another: eager Python under a tape, finite differences, NumPy graphs, ONNX.

The references are plain NumPy programs; eager gradients come from loops that Python runs under the tape.
"""

import numpy as np
import pytest
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import run_graph


def fixed_point(x, w):
    """Newton's method for a square root, with a counter that has no gradient, and a weight from outside."""

    def going(count, v):
        return ops.logical_and(count < 20, ops.sum(abs(v * v - w * w - 2.0)) > 1e-3)

    return ops.while_loop(going, lambda count, v: (count + 1, 0.5 * (v + (w * w + 2.0) / v)), (0, x + 1.0))[1]


def fixed_point_reference(x, w):
    count, v = 0, x + 1
    while count < 20 and abs(v * v - w * w - 2).sum() > 1e-3:
        count, v = count + 1, 0.5 * (v + (w * w + 2) / v)
    return v


def no_trips(x, w):
    return ops.while_loop(lambda v: ops.sum(v) < -1000.0, lambda v: (v * w,), (x * 2.0,))[0]


def nested(x, w):
    """A loop in a loop: the inner one runs on what the outer one carries."""

    def outer_step(v, total):
        inner = ops.while_loop(lambda u: ops.sum(u * u) < 5.0, lambda u: (u * 1.5 + ops.tanh(w) * v,), (v,))[0]
        return v * 0.5, total + ops.sin(inner)

    return ops.while_loop(lambda v, total: ops.sum(v * v) > 0.1, outer_step, (x, x * 0.0))[1]


def nested_reference(x, w):
    v, total = x, x * 0
    while (v * v).sum() > 0.1:
        u = v
        while (u * u).sum() < 5:
            u = u * 1.5 + np.tanh(w) * v
        v, total = v * 0.5, total + np.sin(u)
    return total


def choice_in_loop(x, w):
    def step(i, v):
        return i + 1, ops.cond(i % 2 == 0, lambda: v * w, lambda: ops.sin(v) + w)

    return ops.while_loop(lambda i, v: i < 5, step, (ops.cast(ops.sum(x * 0.0), "int32"), x))[1]


def choice_in_loop_reference(x, w):
    for i in range(5):
        x = x * w if i % 2 == 0 else np.sin(x) + w
    return x


def loop_in_choice(sign):
    def function(x, w):
        def loop():
            return ops.while_loop(lambda v: ops.sum(v * v) < 50.0, lambda v: (v * 1.5 + w * v,), (x,))[0]

        return ops.cond(ops.sum(x) * sign > 0, loop, lambda: w * x * x)

    def reference(x, w):
        if x.sum() * sign <= 0:
            return w * x * x
        while (x * x).sum() < 50:
            x = x * 1.5 + w * x
        return x

    return function, reference


def counted(x, w):
    """A number of steps that is computed, as `fori_loop` takes it; the counter is used in the body."""
    steps = ops.cast(ops.sum(x * 0.0), "int32") + 4
    return ops.fori_loop(0, steps, lambda i, v: v * w + ops.cast(i, v.dtype), x)


def counted_reference(x, w):
    for i in range(4):
        x = x * w + i
    return x


def loop_in_scan(x, w):
    """For every row a number of steps of its own."""

    def row(carry, r):
        grown = ops.while_loop(lambda v: ops.sum(v) < 6.0, lambda v: (v * 1.5 + w[0],), (r + carry * 0.1,))[0]
        return ops.sin(grown), grown

    return ops.scan(row, w[1], x)


def loop_in_scan_reference(x, w):
    carry, made = w[1], []
    for r in x:
        v = r + carry * 0.1
        while v.sum() < 6:
            v = v * 1.5 + w[0]
        carry = np.sin(v)
        made.append(v)
    return carry, np.stack(made)


def scan_in_loop(x, w):
    def step(v, total):
        last, made = ops.scan(lambda c, r: (ops.tanh(c + r * w[0]), c * r), w[1], v)
        return v * 0.6, total + ops.sum(made, axis=0) + last

    return ops.while_loop(lambda v, total: ops.sum(v * v) > 0.5, step, (x, w[1] * 0.0))[1]


def scan_in_loop_reference(x, w):
    total = w[1] * 0
    while (x * x).sum() > 0.5:
        carry, made = w[1], total * 0
        for r in x:
            made, carry = made + carry * r, np.tanh(carry + r * w[0])
        x, total = x * 0.6, total + made + carry
    return total


def switch_in_map(x, w):
    def bounded(r):
        return ops.cond(ops.sum(r) > 3.0, lambda: r * r, lambda: r + w[1])

    branches = [lambda r: r * w[0], lambda r: ops.sin(r) * r, bounded]
    return ops.map(lambda r: ops.switch(ops.cast(ops.sum(r), "int32") % 3, branches, r), x)


def switch_in_map_reference(x, w):
    def row(r):
        k = int(r.sum()) % 3
        return [r * w[0], np.sin(r) * r, r * r if r.sum() > 3 else r + w[1]][k]

    return np.stack([row(r) for r in x])


def prefix_in_loop(x, w):
    def step(v):
        return (ops.associative_scan(lambda a, b: a * 0.5 + b, v) + w,)

    return ops.while_loop(lambda v: ops.sum(v * v) < 40.0, step, (x,))[0]


def prefix_in_loop_reference(x, w):
    def scan(a, b):
        return a * 0.5 + b

    while (x * x).sum() < 40:
        values, distance = x, 1
        while distance < len(x):
            joined = scan(values[:-distance], values[distance:])
            values, distance = np.concatenate([values[:distance], joined]), distance * 2
        x = values + w
    return x


SQUARE = ((3, 4), (3, 4))
CASES = [
    case("newton", fixed_point, fixed_point_reference, *SQUARE, low=0.5, high=2, tolerance=1e-4),
    case("no_trips", no_trips, lambda x, w: x * 2, *SQUARE),
    case("nested", nested, nested_reference, *SQUARE, low=0.5, high=1, tolerance=1e-4),
    case("choice_in_loop", choice_in_loop, choice_in_loop_reference, *SQUARE),
    case("loop_in_choice_taken", *loop_in_choice(1.0), *SQUARE, low=0.1, high=1, tolerance=1e-4),
    case("loop_in_choice_left", *loop_in_choice(-1.0), *SQUARE, low=0.1, high=1),
    case("counted", counted, counted_reference, *SQUARE),
    case("loop_in_scan", loop_in_scan, loop_in_scan_reference, (5, 4), (2, 4), low=0.1, high=1, tolerance=1e-4),
    case("scan_in_loop", scan_in_loop, scan_in_loop_reference, (5, 4), (2, 4), low=0.1, high=1, tolerance=1e-4),
    case("switch_in_map", switch_in_map, switch_in_map_reference, (5, 4), (2, 4), low=0.1, high=1.5),
    case("prefix_in_loop", prefix_in_loop, prefix_in_loop_reference, (5, 4), (5, 4), low=0.1, high=1,
         symbolic=False, tolerance=1e-4),
]  # fmt: skip


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_nested_control(item, check):
    check_case(item, check)


def second_order(function):
    """Gradients of the squared norm of the gradients."""

    def norm(x, w):
        first = sx.grad(lambda a, b: sum(ops.sum(ops.sin(y)) for y in sx.tree.flatten(function(a, b))), (0, 1))(x, w)
        return sum(ops.sum(g * g) for g in first)

    return sx.grad(norm, (0, 1))


@pytest.mark.parametrize("item", CASES, ids=[item.name for item in CASES])
def test_second_order_in_graphs(item):
    arrays = item.arrays()
    twice = second_order(item.function)
    graph = sx.trace(twice, *[sx.TensorSpec(a.shape, a.dtype) for a in arrays])
    expected = [x.numpy() for x in twice(*[sx.Tensor(a) for a in arrays])]
    for found in (graph.run(*arrays), run_graph(graph, *arrays)):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(np.asarray(a), b, rtol=2e-3, atol=2e-3 * max(1.0, float(abs(b).max())))


def test_weights_read_in_the_body_get_gradients():
    weight = sx.Variable(np.array([[0.6, 0.3], [-0.2, 0.9]], np.float32))

    def gradient(x):
        with sx.GradientTape() as tape:
            found = ops.while_loop(lambda v: ops.sum(v * v) < 30.0, lambda v: (ops.matmul(v, weight) + v,), (x,))[0]
            total = ops.sum(found)
        return tape.gradient(total, [weight])[0]

    graph = sx.trace(gradient, sx.TensorSpec((3, 2)))
    for scale in (1.0, 0.5, 9.0):  # the last one takes no step
        x = np.arange(1, 7, dtype=np.float32).reshape(3, 2) * scale / 4
        expected = gradient(sx.Tensor(x)).numpy() if scale < 9 else np.zeros((2, 2), np.float32)
        np.testing.assert_allclose(graph.run(x), expected, rtol=1e-5)
        np.testing.assert_allclose(run_graph(graph, x)[0], expected, rtol=1e-4)


def test_a_functional_model_trains_through_a_loose_loop():
    x = sx.Input((2,))
    grown = ops.while_loop(lambda v: ops.sum(v) < 9.0, lambda v: (v * 1.5 + 0.1,), (sx.layers.Dense(2)(x),))[0]
    model = sx.Model(x, sx.layers.Dense(1)(grown))
    for v in model.trainable_variables:
        v.assign(np.full(v.shape, 0.3, np.float32))
    data = np.arange(6, dtype=np.float32).reshape(3, 2) / 4

    def gradient(forward):
        with sx.GradientTape() as tape:
            total = ops.sum(forward(sx.Tensor(data)))
        return [g.numpy() for g in tape.gradient(total, model.trainable_variables)]

    def by_python(v):
        v = model.layers[1](v)
        while float(ops.sum(v)) < 9:
            v = v * 1.5 + 0.1
        return model.layers[-1](v)

    for found, expected in zip(gradient(model), gradient(by_python), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_what_is_made_before_a_loop_is_made_once():
    def function(x, w):
        product = ops.tanh(ops.matmul(x, w))
        return ops.while_loop(lambda v: ops.sum(v) < 9.0, lambda v: (v + product * product,), (x,))[0]

    graph = sx.trace(function, sx.TensorSpec((3, 3)), sx.TensorSpec((3, 3)))
    assert [node.primitive.name for node in graph.nodes] == ["matmul", "tanh", "sum", "less", "while_loop"]
    x = np.ones((3, 3), np.float32)
    np.testing.assert_allclose(run_graph(graph, x, x)[0], function(sx.Tensor(x), sx.Tensor(x)).numpy(), rtol=1e-6)


def test_a_loop_without_gradient_keeps_no_history():
    x, weight = sx.TensorSpec((3,)), sx.Variable(2.0, trainable=False)

    def doubled(v):
        return ops.while_loop(lambda u: ops.sum(u) < 9.0, lambda u: (u * weight,), (v,))[0]

    def loops(function):
        return [n.attributes["records"] for n in sx.trace(function, x).nodes if n.primitive.name == "while_loop"]

    def unwatched(v):
        with sx.GradientTape():
            return doubled(v)

    assert loops(doubled) == loops(unwatched) == [False]
    assert loops(sx.value_and_grad(lambda v: ops.sum(doubled(v)))) == [True]
