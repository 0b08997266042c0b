"""LSTM, GRU and the simple layer against step-by-step NumPy, finite differences, and onnxruntime."""

import numpy as np
import pytest
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import run_graph, to_onnx

B, T, F, H = 3, 4, 2, 3
MASK = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [1, 1, 1, 1]], bool)
ACTIVATIONS = {
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "relu": lambda z: np.maximum(z, 0),
    "linear": lambda z: z,
    None: lambda z: z,
}


def run_steps(step, x, states, mask, go_backwards, zero):
    """The definition: one step after the other; where masked, states stay and the output is the state, or zero."""
    if go_backwards:
        x, mask = x[:, ::-1], None if mask is None else mask[:, ::-1]
    outputs = []
    for t in range(x.shape[1]):
        new = step(x[:, t], states)
        if mask is not None:
            new = [np.where(mask[:, t, None], n, s) for n, s in zip(new, states, strict=True)]
        states = new
        outputs.append(np.where(mask[:, t, None], new[0], 0) if zero and mask is not None else new[0])
    return (np.stack(outputs, 1), *states)


def reference_lstm(x, h, c, kernel, recurrent, bias, mask=None, backwards=False, zero=False, activation="tanh"):
    act, gate = ACTIVATIONS[activation], ACTIVATIONS["sigmoid"]
    zeros = np.zeros((x.shape[0], recurrent.shape[0]), x.dtype)

    def step(x_t, states):
        z = x_t @ kernel + states[0] @ recurrent + (0 if bias is None else bias)
        i, f, g, o = np.split(z, 4, axis=1)
        cell = gate(f) * states[1] + gate(i) * act(g)
        return [gate(o) * act(cell), cell]

    return run_steps(step, x, [zeros if h is None else h, zeros if c is None else c], mask, backwards, zero)


def reference_gru(x, h, kernel, recurrent, bias, mask=None, backwards=False, zero=False, after=True, activation="tanh"):
    act, gate = ACTIVATIONS[activation], ACTIVATIONS["sigmoid"]
    units = recurrent.shape[0]
    own, other = (0, np.zeros(3 * units)) if bias is None else bias if after else (bias, np.zeros(3 * units))

    def step(x_t, states):
        a, b = x_t @ kernel + own, states[0] @ recurrent + other
        z, r = gate(a[:, :units] + b[:, :units]), gate(a[:, units : 2 * units] + b[:, units : 2 * units])
        inner = r * b[:, 2 * units :] if after else (r * states[0]) @ recurrent[:, 2 * units :]
        return [z * states[0] + (1 - z) * act(a[:, 2 * units :] + inner)]

    start = np.zeros((x.shape[0], units), x.dtype) if h is None else h
    return tuple(r.astype(x.dtype) for r in run_steps(step, x, [start], mask, backwards, zero))


def reference_simple(x, h, kernel, recurrent, bias, mask=None, backwards=False, zero=False, activation="tanh"):
    def step(x_t, states):
        return [ACTIVATIONS[activation](x_t @ kernel + states[0] @ recurrent + (0 if bias is None else bias))]

    start = np.zeros((x.shape[0], recurrent.shape[0]), x.dtype) if h is None else h
    return run_steps(step, x, [start], mask, backwards, zero)


def lstm(mask=None, backwards=False, zero=False, activation="tanh"):
    def function(x, h, c, kernel, recurrent, bias):
        return ops.lstm(
            x, h, c, mask, kernel, recurrent, bias, activation=activation, go_backwards=backwards,
            zero_output_for_mask=zero,
        )  # fmt: skip

    return function, lambda *a: reference_lstm(*a, mask, backwards, zero, activation)


def gru(mask=None, backwards=False, zero=False, after=True, activation="tanh"):
    def function(x, h, kernel, recurrent, bias):
        return ops.gru(
            x, h, mask, kernel, recurrent, bias, activation=activation, go_backwards=backwards, reset_after=after,
            zero_output_for_mask=zero,
        )  # fmt: skip

    return function, lambda *a: reference_gru(*a, mask, backwards, zero, after, activation)


def simple(mask=None, backwards=False, zero=False, activation="tanh"):
    def function(x, h, kernel, recurrent, bias):
        return ops.simple_rnn(x, h, mask, kernel, recurrent, bias, activation, backwards, zero)

    return function, lambda *a: reference_simple(*a, mask, backwards, zero, activation)


# The batch is 3 like the units: other sizes that are 3 must not become symbolic with it, so the batch is 5 there.
N = 5
MASK5 = np.concatenate([MASK, MASK[:2]])
LSTM = ((N, T, F), (N, H), (N, H), (F, 4 * H), (H, 4 * H), (4 * H,))
GRU = ((N, T, F), (N, H), (F, 3 * H), (H, 3 * H), (2, 3 * H))
GRU_BEFORE = (*GRU[:4], (3 * H,))
SIMPLE = ((N, T, F), (N, H), (F, H), (H, H), (H,))


def without_states(function, count):
    return lambda x, kernel, recurrent: function(x, *[None] * count, kernel, recurrent, None)


def pair(made, wrap=lambda f: f):
    return wrap(made[0]), wrap(made[1])


def no_states(count):
    return lambda function: without_states(function, count)


# A boolean mask is a constant of the graph here, so its batch cannot be symbolic.
FIXED = {"symbolic": False}
CASES = [
    case("lstm", *lstm(), *LSTM, low=-1, high=1),
    case("lstm_mask", *lstm(MASK5), *LSTM, low=-1, high=1, **FIXED),
    case("lstm_mask_zero", *lstm(MASK5, zero=True), *LSTM, low=-1, high=1, **FIXED),
    case("lstm_mask_backwards", *lstm(MASK5, True), *LSTM, low=-1, high=1, **FIXED),
    case("lstm_backwards", *lstm(backwards=True), *LSTM, low=-1, high=1),
    case("lstm_linear", *lstm(activation="linear"), *LSTM, low=-1, high=1),
    case("lstm_none", *lstm(activation=None), *LSTM, low=-1, high=1, skip=("second_order",)),
    case("lstm_without_states", *pair(lstm(), no_states(2)), LSTM[0], *LSTM[3:5], low=-1, high=1),
    case("lstm_one_step", *lstm(), (N, 1, F), *LSTM[1:], low=-1, high=1),
    case("gru", *gru(), *GRU, low=-1, high=1),
    case("gru_mask", *gru(MASK5), *GRU, low=-1, high=1, **FIXED),
    case("gru_reset_before", *gru(after=False), *GRU_BEFORE, low=-1, high=1),
    case("gru_reset_before_mask_zero", *gru(MASK5, zero=True, after=False), *GRU_BEFORE, low=-1, high=1, **FIXED),
    case("gru_backwards", *gru(backwards=True), *GRU, low=-1, high=1),
    case("gru_sigmoid", *gru(activation="sigmoid"), *GRU, low=-1, high=1),
    case("gru_sigmoid_before", *gru(activation="sigmoid", after=False), *GRU_BEFORE, low=-1, high=1),
    case("gru_without_states", *pair(gru(), no_states(1)), GRU[0], *GRU[2:4], low=-1, high=1),
    case("simple_tanh", *simple(), *SIMPLE, low=-1, high=1),
    case("simple_relu", *simple(activation="relu"), *SIMPLE, low=-1, high=1),
    case("simple_sigmoid", *simple(activation="sigmoid"), *SIMPLE, low=-1, high=1),
    case("simple_linear", *simple(activation="linear"), *SIMPLE, low=-1, high=1),
    case("simple_mask", *simple(MASK5), *SIMPLE, low=-1, high=1, **FIXED),
    case("simple_mask_zero_backwards", *simple(MASK5, True, True), *SIMPLE, low=-1, high=1, **FIXED),
    case("simple_without_states", *pair(simple(), no_states(1)), SIMPLE[0], *SIMPLE[2:4], low=-1, high=1),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_recurrent(item, check):
    check_case(item, check)


def arrays(*shapes):
    generator = np.random.default_rng(5)
    return [generator.uniform(-1, 1, shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize(
    ("function", "shapes", "operator"),
    [(lstm()[0], LSTM, "LSTM"), (gru()[0], GRU, "GRU"), (simple()[0], SIMPLE, "RNN")],
)
def test_one_operator_of_onnx_stands_for_the_layer(function, shapes, operator):
    graph = sx.trace(function, *_specs(shapes))
    kinds = [node.op_type for node in to_onnx(graph).graph.node]
    assert kinds.count(operator) == 1 and not {"Scan", "Loop"} & set(kinds)
    values = arrays(*shapes)
    for a, b in zip(run_graph(graph, *values), function(*map(sx.Tensor, values)), strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-5, atol=1e-5)


def _specs(shapes):
    """Batch and time symbolic in the inputs, the batch in the states."""
    return [
        sx.TensorSpec(("batch", "time", F) if i == 0 else ("batch", H) if shape == (N, H) else shape)
        for i, shape in enumerate(shapes)
    ]


@pytest.mark.parametrize(("function", "shapes"), [(lstm()[0], LSTM), (gru()[0], GRU), (simple()[0], SIMPLE)])
def test_symbolic_time_in_the_gradient_graph(function, shapes):
    def gradient(*tensors):
        with sx.GradientTape() as tape:
            tape.watch(list(tensors))
            sequence, *_ = function(*tensors)
            value = ops.sum(sequence * sequence)
        return tape.gradient(value, list(tensors))

    values = arrays(*shapes)
    graph = sx.trace(gradient, *_specs(shapes))
    for a, b in zip(run_graph(graph, *values), gradient(*map(sx.Tensor, values)), strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-4, atol=1e-5)


def test_a_mask_that_is_an_input_of_the_graph():
    function = lambda x, m, k, r: ops.lstm(x, None, None, m, k, r, None)  # noqa: E731
    x, k, r = arrays((N, T, F), (F, 4 * H), (H, 4 * H))
    graph = sx.trace(
        function, sx.TensorSpec(("batch", "time", F)), sx.TensorSpec(("batch", "time"), "bool"), sx.TensorSpec(k.shape),
        sx.TensorSpec(r.shape),
    )  # fmt: skip
    expected = reference_lstm(x, None, None, k, r, None, MASK5)
    for a, b in zip(run_graph(graph, x, MASK5, k, r), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_half_precision_is_computed_in_single():
    values = [a.astype(np.float16) for a in arrays(*LSTM)]
    result = ops.lstm(*[sx.Tensor(v) for v in values[:3]], None, *[sx.Tensor(v) for v in values[3:]])
    assert all(r.dtype == "float16" for r in result)
    np.testing.assert_allclose(result[0].numpy(), reference_lstm(*[v.astype(np.float32) for v in values])[0], atol=2e-3)


X, KERNEL, RECURRENT = np.zeros((2, 3, 4), np.float32), np.zeros((4, 20), np.float32), np.zeros((5, 20), np.float32)
ERRORS = [
    (lambda: ops.lstm(X[0], None, None, None, KERNEL, RECURRENT, None), ValueError, r"lstm: .*\(batch, time"),
    (lambda: ops.lstm(X, None, None, None, KERNEL[:3], RECURRENT, None), ValueError, r"kernel of shape \(4, 20\)"),
    (lambda: ops.lstm(X, None, None, None, KERNEL, RECURRENT[:4], None), ValueError, r"\(units, 4 \* units\)"),
    (lambda: ops.lstm(X, None, None, None, KERNEL, RECURRENT, KERNEL[0, :3]), ValueError, r"bias of shape \(20,\)"),
    (lambda: ops.lstm(X, X[0], None, None, KERNEL, RECURRENT, None), ValueError, r"initial state of shape \(2, 5\)"),
    (lambda: ops.lstm(X, None, None, X[0, :, 0], KERNEL, RECURRENT, None), ValueError, r"mask of shape \(2, 3\)"),
    (lambda: ops.lstm(X, None, None, None, KERNEL.astype("f8"), RECURRENT, None), TypeError, "kernel is float64"),
    (lambda: ops.lstm(X, None, None, None, KERNEL, RECURRENT, None, activation="tan"), ValueError, "got 'tan'"),
    (lambda: ops.lstm(X, None, None, None, KERNEL[:3], RECURRENT, None, "relu"), ValueError, r"kernel of shape"),
    (lambda: ops.gru(X, None, None, KERNEL[:, :15], RECURRENT[:, :15], KERNEL[0, :15]), ValueError, r"\(2, 15\)"),
    (lambda: ops.simple_rnn(X, None, None, KERNEL[:, :6], RECURRENT[:, :5], None), ValueError, r"\(4, 5\)"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS, ids=[str(i) for i in range(len(ERRORS))])
def test_errors_teach(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def whole(kind, **options):
    """The sequence of a layer without first states; with `activation`, in operations instead of kernels."""
    if kind == "lstm":
        return lambda x, k, r, b, mask: ops.lstm(x, None, None, mask, k, r, b, **options)[0]
    if kind == "gru":
        return lambda x, k, r, b, mask: ops.gru(x, None, mask, k, r, b, **options)[0]
    return lambda x, k, r, b, mask: ops.gru(x, None, mask, k, r, b[0], reset_after=False, **options)[0]


@pytest.mark.parametrize("kind", ["lstm", "gru", "gru_before"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("loss", [lambda s: ops.sum(ops.sin(s)), lambda s: ops.sum(ops.sin(s[:, -1]))])
def test_gradients_of_several_blocks_of_steps_are_those_of_the_operations(kind, masked, loss):
    batch, steps, features, units = 41, 21, 3, 64  # six steps at a time
    gates = (4 if kind == "lstm" else 3) * units
    bias = (gates,) if kind == "lstm" else (2, gates)
    generator = np.random.default_rng(3)
    x, k, r, b = (
        sx.Tensor((generator.standard_normal(shape) * 0.3).astype(np.float32))
        for shape in ((batch, steps, features), (features, gates), (units, gates), bias)
    )
    mask = generator.random((batch, steps)) > 0.3 if masked else None
    layers = [whole(kind), whole(kind, activation=lambda z: ops.multiply(ops.tanh(z), 1.0))]
    kernels, operations = [sx.grad(lambda *a, f=f: loss(f(*a, mask)), (0, 1, 2, 3))(x, k, r, b) for f in layers]
    for found, expected in zip(kernels, operations, strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("size", [50.0, 1e3, 1e30])
def test_gates_of_large_inputs_are_open_or_shut(size):
    """Whatever is squashed inside may be infinite; warnings are errors here."""
    x = np.array([[[size], [-size], [size]]], np.float32)
    ones = np.ones((1, 4), np.float32)
    with sx.GradientTape() as tape:
        given = sx.Variable(x)
        sequence, h, c = ops.lstm(given, None, None, None, ones, ones * 0, None)
        loss = ops.sum(sequence)
    tanh = np.tanh(np.float32(1))
    np.testing.assert_allclose(np.asarray(sequence).reshape(-1), [tanh, 0, tanh], rtol=1e-6)
    np.testing.assert_allclose(np.asarray(c), [[1]], rtol=1e-6)
    np.testing.assert_allclose(np.asarray(h), [[tanh]], rtol=1e-6)
    np.testing.assert_array_equal(np.asarray(tape.gradient(loss, given)), np.zeros_like(x))
