"""Models as configurations: what is read is the model that was written."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from small_models import STYLES, Net, data, outputs, share_values

import sardonyx as sx
from sardonyx.builder import layers as L
from sardonyx.builder.functional import Functional
from sardonyx.builder.graph_config import operation_name, operations
from sardonyx.builder.loading import model_from_json
from sardonyx.builder.sequential import Sequential
from sardonyx.trainer import ops
from sardonyx.trainer.core.primitive import Primitive

X = L.Input


def shared_layer() -> Any:
    x, dense = X((4,)), L.Dense(4, activation="relu")
    return Functional(x, dense(dense(x)))


def nested_structures() -> Any:
    a, b = X((4,), name="a"), X((4,), name="b")
    return Functional({"a": a, "more": [b]}, {"x": L.Dense(2)(a), "y": (a + b, [L.Dense(3)(b)])})


def symbolic_sizes() -> Any:
    x = X(("time", 4))
    return Functional(x, ops.reshape(x, (x.shape[0], x.shape[1] * 4)) + ops.cast(x.shape[1], "float32"))


def free_variable() -> Any:
    x = X((4,))
    return Functional(x, x * sx.Variable(np.arange(4.0), dtype="float32", name="scale") + np.float32(2))


def tied_weight() -> Any:
    x, dense = X((4,)), L.Dense(4)
    return Functional(x, ops.matmul(dense(x), dense.kernel))


def call_arguments() -> Any:
    a, b = X((4,)), X((4,))
    return Functional([a, b], L.Dropout(0.5)(L.Add()([a, b]), training=False))


def slices_and_dtypes() -> Any:
    x = X((4, 6))
    return Functional(x, [x[:, 1:-1, ::2], x[..., None], ops.cast(x > 0, "int32"), ops.clip(x, -np.inf, 1.0)])


def branches() -> Any:
    x, scale = X((4,)), sx.Variable(2.0, name="scale")
    return Functional(x, ops.cond(ops.sum(x) > 0, lambda: x * scale, lambda: x - 1))


def shared_across_models() -> Any:
    dense = L.Dense(4)
    inner = Sequential([X((4,)), dense], name="inner")
    x = X((4,))
    return Functional(x, [inner(x), dense(x)])


def nested_deeply() -> Any:
    inner = Functional(x := X((4,)), L.Dense(4)(x), name="inner")
    middle = Sequential([X((4,)), inner, L.Dense(4)], name="middle")
    return Functional(y := X((4,)), middle(y) + inner(y))


def cut_in_the_middle() -> Any:
    x = X((4,))
    h = L.Dense(4)(x)
    return Functional(h, L.Dense(2)(h))


SMALL: list[Callable[[], Any]] = [
    shared_layer, nested_structures, symbolic_sizes, free_variable, tied_weight, call_arguments, slices_and_dtypes,
    branches, shared_across_models, nested_deeply, cut_in_the_middle,
]  # fmt: skip


def example(model: Any) -> Any:
    generator = np.random.default_rng(1)
    return sx.tree.map_structure(
        lambda x: generator.normal(size=(2, *[s if isinstance(s, int) else 3 for s in x.shape[1:]])).astype("float32"),
        model.plan.inputs,
    )


@pytest.mark.parametrize("make", SMALL, ids=lambda f: f.__name__)
@pytest.mark.parametrize("through", ["config", "json"])
def test_a_model_is_read_as_it_was_written(make: Callable[[], Any], through: str):
    model = make()
    twin = model_from_json(model.to_json()) if through == "json" else type(model).from_config(model.get_config())
    share_values(model, twin)
    inputs = example(model)
    first, second = model(inputs, training=False), twin(inputs, training=False)
    sx.tree.assert_same_structure(first, second)
    for a, b in zip(sx.tree.flatten(first), sx.tree.flatten(second), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    assert twin.get_config() == model.get_config()
    assert [v.path for v in twin.weights] == [v.path for v in model.weights]
    assert twin.input_names == model.input_names and twin.output_names == model.output_names


@pytest.mark.parametrize("style", ["sequential", "functional"])
def test_every_style_is_read_as_it_was_written(style: str):
    model = STYLES[style]()
    twin = model_from_json(model.to_json())
    share_values(model, twin)
    x, _ = data(4)
    np.testing.assert_array_equal(outputs(twin, x)[0], outputs(model, x)[0])


def test_layers_shared_by_two_models_stay_one():
    model = shared_across_models()
    twin = model_from_json(model.to_json())
    assert len(twin.weights) == len(model.weights) == 2
    assert twin.get_layer("inner").layers[0] is twin.layers[2]


def test_sequential_without_input_is_read_without_weights():
    twin = model_from_json(Sequential([L.Dense(3)], name="bare").to_json())
    assert twin.name == "bare" and twin.weights == []
    assert twin(np.ones((2, 5), "float32")).shape == (2, 3)


def test_frozen_layers_stay_frozen():
    model = shared_across_models()
    model.get_layer("inner").trainable = False
    twin = model_from_json(model.to_json())
    assert twin.trainable and twin.trainable_variables == []


def test_variables_of_the_model_keep_their_values():
    twin = model_from_json(free_variable().to_json())
    np.testing.assert_array_equal(twin.weights[0].numpy(), np.arange(4, dtype="float32"))


def test_compile_options_are_in_the_text():
    model = shared_layer()
    model.compile(sx.trainer.optimizers.Adam(0.25), "mse", metrics=["mae"])
    twin = model_from_json(model.to_json())
    assert float(twin.optimizer.learning_rate) == 0.25 and twin.get_compile_config()["loss"] == "mse"


def test_own_layers_are_found_where_they_are_given():
    class Scale(L.Layer):
        def __init__(self, factor: float, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, x: Any) -> Any:
            return x * self.factor

    x = X((2,))
    text = Functional(x, Scale(3.0)(x)).to_json()
    with pytest.warns(UserWarning, match="class Scale is not here"):
        assert np.asarray(model_from_json(text)(np.ones((1, 2), "float32"))).tolist() == [[3.0, 3.0]]
    twin = model_from_json(text, custom_objects={"Scale": Scale})
    assert np.asarray(twin(np.ones((1, 2), "float32"))).tolist() == [[3.0, 3.0]]


def test_own_primitives_are_found_where_they_are_given():
    double = Primitive("my_double", lambda a: 2 * a, lambda s: s, lambda emit, v: emit("Add", v, v))
    x = X((2,))
    model = Functional(x, double(x))
    with pytest.raises(ValueError, match="operation 'my_double' is not known"):
        model_from_json(model.to_json())
    twin = model_from_json(model.to_json(), custom_objects={"my_double": double})
    assert np.asarray(twin(np.ones((1, 2), "float32"))).tolist() == [[2.0, 2.0]]


def test_every_primitive_has_a_name_of_its_own():
    assert len(operations()) > 150
    for name, primitive in operations().items():
        assert operation_name(primitive) == name


def lambda_layer_argument() -> Any:
    class Apply(L.Layer):
        def __init__(self, function: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.function = function

        def call(self, x: Any) -> Any:
            return self.function(x)

    return Apply(lambda v: v).get_config()


def custom_gradient() -> Any:
    x = X((2,))
    y = ops.custom_gradient(lambda v: (v * 2, lambda g: g))(x)
    return Functional(x, y).to_json()


def weight_before_its_layer() -> Any:
    x, dense = X((4,)), L.Dense(4)
    dense.build((None, 4))
    return Functional(x, dense(ops.matmul(x, dense.kernel))).to_json()


def without(key: str) -> Callable[[], Any]:
    config = shared_layer().get_config()
    config.pop(key)
    return lambda: Functional.from_config(config)


BAD: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("lambda in a layer", lambda_layer_argument, TypeError, "argument 'function' of Apply cannot be written"),
    ("custom gradient", custom_gradient, TypeError, "operation 'custom_gradient'.*put it into the call"),
    ("weight before its layer", weight_before_its_layer, ValueError, "before layer 'dense.*Call the layer first"),
    ("no JSON", lambda: model_from_json("{"), ValueError, "the text is no JSON"),
    ("no model", lambda: model_from_json("[1]"), ValueError, "describes no model"),
    ("a layer", lambda: model_from_json(json.dumps(sx.trainer.serialization.serialize_object(L.Dense(1)))),
     ValueError, "describes no model"),
    ("layers missing", without("layers"), ValueError, "incomplete or damaged.*'layers'"),
    ("outputs missing", without("output_layers"), ValueError, "incomplete or damaged.*'output_layers'"),
    ("reference to nothing", lambda: Sequential.from_config({"layers": [{"name": "d", "shared_id": 7}]}), ValueError,
     "layer 'd' refers to a layer described elsewhere"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "act", "kind", "message"), BAD, ids=[b[0] for b in BAD])
def test_what_cannot_be_written_or_read_is_told(what: str, act: Callable[[], Any], kind: type[Exception], message: str):
    with pytest.raises(kind, match=f"(?s){message}"):
        act()


def test_a_subclassed_model_is_made_from_its_arguments():
    twin = model_from_json(STYLES["subclassed"]().to_json(), custom_objects={"Net": Net})
    assert isinstance(twin, Net) and twin.width == 2
