"""Functional models: any structure in and out, shared layers, loose operations, cutting, nesting."""

from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers as L
from sardonyx.trainer.core.errors import ShapeError

generator = np.random.default_rng(0)
A = generator.normal(size=(4, 3)).astype(np.float32)
B = generator.normal(size=(4, 3)).astype(np.float32)


def same(model: Any, given: Any, expected: Any) -> None:
    """The model gives what is expected when called and when it predicts, on NumPy and in onnxruntime."""
    wanted = sx.tree.map_structure(np.asarray, expected)
    results = [model(given), *[model.predict(given, runtime=r, verbose=0) for r in ("numpy", "onnxruntime")]]
    for result in results:
        sx.tree.assert_same_structure(result, wanted)
        for a, b in zip(sx.tree.flatten(result), sx.tree.flatten(wanted), strict=True):
            np.testing.assert_allclose(np.asarray(a), b, rtol=1e-5, atol=1e-6)


def pair() -> tuple[Any, Any]:
    return sx.Input((3,), name="a"), sx.Input((3,), name="b")


INPUTS: dict[str, tuple[Any, Any]] = {
    "list": (lambda a, b: [a, b], [A, B]),
    "tuple": (lambda a, b: (a, b), (A, B)),
    "dictionary": (lambda a, b: {"a": a, "b": b}, {"b": B, "a": A}),
    "dictionary in another order": (lambda a, b: {"b": b, "a": a}, {"a": A, "b": B}),
    "keys other than names": (lambda a, b: {"y": a, "x": b}, {"x": B, "y": A}),
    "nested": (lambda a, b: {"k": [a, {"z": b}]}, {"k": [A, {"z": B}]}),
    "list given by name": (lambda a, b: [a, b], {"b": B, "a": A}),
    "dictionary given as a list": (lambda a, b: {"b": b, "a": a}, [B, A]),
}


@pytest.mark.parametrize("case", INPUTS)
def test_structures_in(case: str):
    make, given = INPUTS[case]
    a, b = pair()
    same(sx.Model(make(a, b), a - 2 * b), given, A - 2 * B)


OUTPUTS: dict[str, Any] = {
    "one": lambda x, y: x,
    "list": lambda x, y: [x, y],
    "tuple": lambda x, y: (x, y),
    "one in a list": lambda x, y: [x],
    "dictionary": lambda x, y: {"x": x, "y": y},
    "unsorted dictionary": lambda x, y: {"z": x, "a": y},
    "nested": lambda x, y: {"k": [x, {"z": y}], "a": (y,)},
    "same twice": lambda x, y: [x, x],
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_structures_out(case: str):
    a, b = pair()
    make = OUTPUTS[case]
    same(sx.Model([a, b], make(a + b, a * b)), [A, B], make(A + B, A * B))


def test_an_input_may_be_an_output():
    a, b = pair()
    same(sx.Model([a, b], [a, a + b]), [A, B], [A, A + B])


EXPRESSIONS: dict[str, tuple[Any, Any]] = {
    "add": (lambda x: x + 1, A + 1),
    "reflected": (lambda x: 1 - x, 1 - A),
    "divide": (lambda x: x / 2, A / 2),
    "power": (lambda x: x**2, A**2),
    "negate": (lambda x: -x, -A),
    "matmul": (lambda x: x @ np.ones((3, 2), np.float32), A @ np.ones((3, 2))),
    "reflected array": (lambda x: np.full(3, 2, np.float32) * x, A * 2),
    "compare": (lambda x: x > 0, A > 0),
    "slice": (lambda x: x[:, 1:], A[:, 1:]),
    "index": (lambda x: x[:, -1], A[:, -1]),
    "new axis": (lambda x: x[:, None], A[:, None]),
    "step": (lambda x: x[:, ::-1], A[:, ::-1]),
    "abs": (abs, abs(A)),
    "op": (lambda x: sx.ops.exp(sx.ops.sum(x, -1, keepdims=True)), np.exp(A.sum(-1, keepdims=True))),
    "where": (lambda x: sx.ops.where(x > 0, x, 0.0), np.maximum(A, 0)),
    "reshape by size": (lambda x: sx.ops.reshape(x, (x.shape[0], -1, 1)), A[..., None]),
    "reshape by arithmetic": (lambda x: sx.ops.reshape(x, (x.shape[0] * 3,)), A.reshape(-1)),
    "shape": (lambda x: x * sx.ops.cast(sx.ops.shape(x)[0], "float32"), A * 4),
    "broadcast": (lambda x: sx.ops.broadcast_to(x[:, :1], (x.shape[0], 5)), np.repeat(A[:, :1], 5, 1)),
    "zeros": (lambda x: x + sx.ops.zeros((x.shape[0], 1)), A),
    "split": (lambda x: sx.ops.split(x, 3, axis=1), [A[:, :1], A[:, 1:2], A[:, 2:]]),
    "constant": (lambda x: x + sx.ops.convert_to_tensor([1.0, 2, 3]), A + np.array([1, 2, 3])),
    "array method": (lambda x: sx.ops.concatenate([x, np.float32(2) * x], 1), np.concatenate([A, 2 * A], 1)),
}


@pytest.mark.parametrize("case", EXPRESSIONS)
def test_operations_outside_of_layers(case: str):
    function, expected = EXPRESSIONS[case]
    x = sx.Input((3,), name="x")
    same(sx.Model(x, function(x)), A, expected)


def test_sizes_follow_each_batch():
    x = sx.Input((None, 2), name="x")
    model = sx.Model(x, sx.ops.reshape(x, (x.shape[0], x.shape[1] * 2)))
    for shape in [(1, 3, 2), (4, 5, 2), (2, 1, 2)]:
        value = generator.normal(size=shape).astype(np.float32)
        same(model, value, value.reshape(shape[0], -1))


def test_variables_outside_of_layers_belong_to_the_model():
    scale = sx.Variable(np.float32(3), name="scale")
    x = sx.Input((3,))
    model = sx.Model(x, x * scale)
    assert model.trainable_variables == [scale]
    same(model, A, A * 3)
    scale.assign(5)
    same(model, A, A * 5)
    with sx.GradientTape() as tape:
        loss = sx.ops.sum(model(A))
    np.testing.assert_allclose(np.asarray(tape.gradient(loss, [scale])[0]), A.sum(), rtol=1e-5)


def test_shared_layers_count_once():
    a, b = pair()
    dense = L.Dense(2, name="shared")
    model = sx.Model([a, b], dense(a) + dense(b))
    assert len(model.weights) == 2 and [x.name for x in model.layers] == ["a", "b", "shared"]
    kernel, bias = dense.get_weights()
    same(model, [A, B], (A + B) @ kernel + 2 * bias)
    with sx.GradientTape() as tape:
        loss = sx.ops.sum(model([A, B]))
    np.testing.assert_allclose(tape.gradient(loss, [dense.bias])[0], [8, 8])


def test_a_layer_shared_by_two_models_keeps_one_set_of_weights():
    a, b = pair()
    dense = L.Dense(2)
    first, second = sx.Model(a, dense(a)), sx.Model(b, dense(b) * 2)
    first.set_weights([w + 1 for w in first.get_weights()])
    np.testing.assert_allclose(second(A), 2 * first(A).numpy(), rtol=1e-6)


# -- cutting -------------------------------------------------------------------------------------------------------


def chain() -> Any:
    x = sx.Input((3,), name="x")
    h = L.Dense(4, name="one", activation="tanh")(x)
    h = L.Dense(5, name="two")(h * 2)
    return sx.Model(x, L.Dense(1, name="three")(h), name="chain")


def test_cut_at_an_inner_tensor():
    model = chain()
    features = sx.Model(model.input, model.get_layer("two").output)
    assert [x.name for x in features.layers] == ["x", "one", "two"]
    last = model.get_layer("three")
    np.testing.assert_allclose(last(features(A)), model(A), rtol=1e-6)
    same(features, A, features(A).numpy())


def test_start_from_an_inner_tensor():
    model = chain()
    tail = sx.Model(model.get_layer("two").output, model.output)
    value = generator.normal(size=(4, 5)).astype(np.float32)
    kernel, bias = model.get_layer("three").get_weights()
    same(tail, value, value @ kernel + bias)
    assert len(tail.weights) == 2


def test_cut_inside_of_a_nested_model():
    x = sx.Input((3,), name="outer_x")
    inner = chain()
    outer = sx.Model(x, inner(x) + 1)
    assert outer.get_layer("chain/one") is inner.get_layer("one")
    tensors = [t for name, t in outer.tensors().items() if name.startswith("chain/one/")]
    cut = sx.Model(outer.input, tensors[-1])
    expected = sx.Model(inner.input, inner.get_layer("one").output)(A).numpy()
    same(cut, A, expected)


def test_every_tensor_can_be_an_output():
    model = chain()
    names = list(model.tensors())
    every = sx.Model(model.input, list(model.tensors().values()))
    results = every(A)
    assert len(results) == len(names) > 4
    np.testing.assert_allclose(results[-1], model(A), rtol=1e-6)


# -- errors --------------------------------------------------------------------------------------------------------


def test_disconnected_graphs():
    a, b = pair()
    with pytest.raises(
        ShapeError, match="depend on <Tensor .*name='b'>, which is not among the inputs.*given inputs: 'a'"
    ):
        sx.Model(a, a + b)


def test_inputs_that_are_not_used_are_allowed():
    a, b = pair()
    same(sx.Model([a, b], a * 2), [A, B], A * 2)


WRONG: list[tuple[Any, type, str]] = [
    (lambda a, b: sx.Model([a, a], a), ValueError, "the input <Tensor .*> is given twice"),
    (lambda a, b: sx.Functional(A, a), TypeError, "inputs must be symbolic tensors that come from Input"),
    (lambda a, b: sx.Functional(a, A), TypeError, r"outputs must be symbolic tensors.*got \(4, 3\) float32"),
    (lambda a, b: sx.Functional(a, [a, "text"]), TypeError, "got 'text'"),
    (lambda a, b: sx.Model(a, "text"), TypeError, "Input"),
    (lambda a, b: sx.Model(a), TypeError, "takes tensors made with Input"),
    (lambda a, b: sx.Model(a, L.Dense(1)), TypeError, "Input"),
    (lambda a, b: sx.Model(inputs=a, outputs=None), TypeError, "outputs must be symbolic tensors"),
]


@pytest.mark.parametrize("case", range(len(WRONG)))
def test_wrong_models(case: int):
    make, kind, text = WRONG[case]
    with pytest.raises(kind, match=text):
        make(*pair())


GIVEN: list[tuple[Any, Any, str]] = [
    (lambda a, b: [a, b], A, r"expected 2 inputs \(a, b\), got 1 tensor"),
    (lambda a, b: [a, b], [A, B, A], r"expected 2 inputs \(a, b\), got 3 tensors"),
    (lambda a, b: {"p": a, "q": b}, {"p": A}, r"missing input \['q'\]; got \['p'\]"),
    (lambda a, b: [a, b], {"x": A}, r"missing inputs \['a', 'b'\]"),
    (lambda a, b: [a, b], [A, A[:, :2]], r"input 'b': expected shape \(batch, 3\), got \(4, 2\)"),
]


@pytest.mark.parametrize("case", range(len(GIVEN)))
@pytest.mark.parametrize("how", ["call", "numpy", "onnxruntime"])
def test_wrong_structures(case: int, how: str):
    make, given, text = GIVEN[case]
    a, b = pair()
    model = sx.Model(make(a, b), a + b)
    with pytest.raises(ShapeError, match=text):
        model(given) if how == "call" else model.predict(given, runtime=how, verbose=0)


def test_keys_that_no_input_has_are_ignored():
    a, b = pair()
    same(sx.Model({"p": a, "q": b}, a + b), {"p": A, "q": B, "r": B}, A + B)


def test_layers_that_are_not_there():
    model = chain()
    with pytest.raises(
        ValueError, match=r"model 'chain' has no layer 'tow'; did you mean 'two'\? It has: x, one, two, three"
    ):
        model.get_layer("tow")
    with pytest.raises(ValueError, match="has 4 layers; there is no layer 9"):
        model.get_layer(index=9)
    with pytest.raises(ValueError, match="give a name or an index"):
        model.get_layer()


# -- models in models ----------------------------------------------------------------------------------------------


class Wrapped(sx.Model):
    """A model around a layer."""

    def __init__(self, inner: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs) + 1


def as_functional(inner: Any) -> Any:
    x = sx.Input((3,))
    return sx.Model(x, inner(x) + 1)


def as_sequential(inner: Any) -> Any:
    return sx.Sequential([inner, L.Rescaling(1.0, offset=1.0)])


WRAPS = {"functional": as_functional, "sequential": as_sequential, "subclassed": Wrapped}


@pytest.mark.parametrize("outer", WRAPS)
@pytest.mark.parametrize("middle", WRAPS)
@pytest.mark.parametrize("inner", WRAPS)
def test_models_in_models(outer: str, middle: str, inner: str):
    dense = L.Dense(3, name="dense")
    model = WRAPS[outer](WRAPS[middle](WRAPS[inner](dense)))
    model(A)
    kernel, bias = dense.get_weights()
    assert len(model.weights) == 2 and model.count_params() == 12
    same(model, A, A @ kernel + bias + 3)
    same(model, B[:2], B[:2] @ kernel + bias + 3)
    copied = WRAPS[outer](model)
    same(copied, A, A @ kernel + bias + 4)
    model.trainable = False
    assert copied.trainable_variables == []


def test_named_models_and_subclasses_of_functional():
    class Named(sx.Model):
        def __init__(self, width: int) -> None:
            x = sx.Input((3,))
            super().__init__(x, L.Dense(width)(x), name="named")
            self.width = width

        def twice(self, inputs: Any) -> Any:
            return 2 * self(inputs)

    model = Named(2)
    assert model.name == "named" and model.width == 2
    np.testing.assert_allclose(model.twice(A), 2 * model(A).numpy())
    same(model, A, model(A).numpy())


def test_the_mode_is_that_of_the_moment():
    x = sx.Input((3,))
    model = sx.Model(x, L.Dropout(0.5, seed=1)(x))
    ones = np.ones((50, 3), np.float32)
    assert (model(ones, training=True).numpy() == 0).any()
    np.testing.assert_array_equal(model(ones).numpy(), ones)
