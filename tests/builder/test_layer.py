"""Layers: what they own, their names, building, weights, freezing, losses."""

from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers as L
from sardonyx.trainer.core.errors import ShapeError

ones = np.ones((2, 3), np.float32)


class Holder(sx.Layer):
    """Keeps whatever it is given."""

    def __init__(self, held: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.held = held

    def call(self, inputs: Any) -> Any:
        for layer in self.child_layers():
            inputs = layer(inputs)
        return inputs


def dense(name: str = "d") -> Any:
    return L.Dense(3, name=name)


HELD: dict[str, tuple[Any, list[str]]] = {
    "attribute": (lambda: dense("a"), ["a"]),
    "list": (lambda: [dense("a"), dense("b")], ["a", "b"]),
    "tuple": (lambda: (dense("a"), dense("b")), ["a", "b"]),
    "dictionary": (lambda: {"x": dense("a"), "y": dense("b")}, ["a", "b"]),
    "nested": (lambda: {"x": [dense("a"), {"z": (dense("b"),)}], "y": dense("c")}, ["a", "b", "c"]),
    "with other things": (lambda: [None, 3, "text", dense("a"), np.ones(2)], ["a"]),
    "same twice": (lambda: [dense("a")] * 2, ["a"]),
}


@pytest.mark.parametrize("case", HELD)
def test_sub_layers_are_found(case: str):
    make, names = HELD[case]
    layer = Holder(make())
    layer(ones)
    assert [x.name for x in layer.child_layers()] == names
    assert len(layer.weights) == len(layer.trainable_variables) == 2 * len(names)


def test_layers_appended_later_are_found():
    layer = Holder([dense("a")])
    layer(ones)
    layer.held.append(dense("b"))
    layer(ones)
    assert len(layer.weights) == 4


def test_a_list_that_holds_itself_ends():
    held: list[Any] = [dense("a")]
    held.append(held)
    assert [x.name for x in Holder(held).child_layers()] == ["a"]


@pytest.mark.parametrize(
    "wrap", [lambda v: v, lambda v: [v], lambda v: {"k": [v]}], ids=["attribute", "list", "nested"]
)
def test_variables_are_found(wrap: Any):
    variable = sx.Variable(np.zeros(3, np.float32), name="offset")
    layer = Holder(wrap(variable))
    assert layer.weights == [variable] and layer.trainable_variables == [variable]


def test_deleted_sub_layers_are_gone():
    layer = Holder(dense())
    layer(ones)
    layer.held = None
    assert layer.weights == []


def test_seed_states_are_variables_but_not_weights():
    layer = Holder([dense(), L.Dropout(0.5, seed=1)])
    layer(ones)
    assert len(layer.weights) == 2
    assert len(layer.variables) == 3 and len(layer.non_trainable_variables) == 1


# -- names ---------------------------------------------------------------------------------------------------------


def test_automatic_names_count_by_class():
    assert [L.Dense(1).name for _ in range(3)] == ["dense", "dense_1", "dense_2"]
    assert L.LayerNormalization().name == "layer_normalization"
    assert L.Conv2D(1, 1).name == "conv2d"


@pytest.mark.parametrize("name", ["a/b", "", 3])
def test_bad_names(name: Any):
    with pytest.raises(ValueError, match="name is a text without '/'"):
        L.Dense(1, name=name)


def test_unknown_arguments_are_named():
    with pytest.raises(ValueError, match="Holder: unknown argument 'unknown'"):
        Holder(None, unknown=1)
    with pytest.raises(ValueError, match="unknown arguments 'one', 'two'"):
        Holder(None, one=1, two=1)


def test_weights_carry_the_path_of_their_layer():
    layer = Holder([Holder(dense("inner"), name="middle")], name="outer")
    layer(ones)
    assert [v.path for v in layer.weights] == ["outer/middle/inner/kernel", "outer/middle/inner/bias"]


def test_weights_built_directly_carry_the_name_of_their_layer():
    layer = dense("alone")
    layer.build((None, 4))
    assert [v.path for v in layer.weights] == ["alone/kernel", "alone/bias"]


# -- build ---------------------------------------------------------------------------------------------------------


class Recorder(sx.Layer):
    """Remembers the shape it is built for."""

    def build(self, input_shape: Any) -> None:
        self.seen = [*getattr(self, "seen", []), input_shape]

    def call(self, inputs: Any) -> Any:
        return inputs


def test_build_happens_once_on_first_use():
    layer = Recorder()
    assert not layer.built
    layer(ones)
    layer(ones)
    assert layer.built and layer.seen == [(2, 3)]


class Nested(sx.Layer):
    """Builds its part by hand, as layers written for Keras do, in a `build` that it shares with its subclass."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.part = dense("part")

    def build(self, input_shape: Any) -> None:
        self.part.build(input_shape)

    def call(self, inputs: Any) -> Any:
        return self.part(inputs)


class Deeper(Nested):
    """Has weights of its own besides."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.scale = self.add_weight((3,), name="scale")


BUILT_BY_HAND = [
    (dense, 2), (L.BatchNormalization, 4), (lambda: L.LSTM(2), 3), (Nested, 2), (Deeper, 3),
    (lambda: L.Embedding(9, 3), 1),
]  # fmt: skip


@pytest.mark.parametrize(("make", "count"), BUILT_BY_HAND)
def test_a_layer_built_by_hand_is_not_built_again(make: Any, count: int):
    layer = make()
    shape = (None, 5, 3) if isinstance(layer, L.LSTM) else (None, 3)
    layer.build(shape)
    assert layer.built
    weights = layer.weights
    layer(np.ones([2, *shape[1:]], np.int32 if isinstance(layer, L.Embedding) else np.float32))
    assert [id(v) for v in layer.weights] == [id(v) for v in weights]
    assert len(weights) == count


@pytest.mark.parametrize(
    ("inputs", "shape"),
    [
        (lambda: sx.Input((3,)), (None, 3)),
        (lambda: sx.Input((None, 3)), (None, None, 3)),
        (lambda: [ones, ones[:, :1]], [(2, 3), (2, 1)]),
        (lambda: {"a": ones, "b": ones[:, :1]}, {"a": (2, 3), "b": (2, 1)}),
        (lambda: 3.0, ()),
    ],
    ids=["symbolic", "unknown sizes", "list", "dictionary", "number"],
)
def test_shapes_that_build_sees(inputs: Any, shape: Any):
    layer = Recorder()
    layer(inputs())
    assert layer.seen == [shape]


class Query(sx.Layer):
    """Builds with named shapes."""

    def build(self, query_shape: Any, value_shape: Any = None) -> None:
        self.shapes = (query_shape, value_shape)
        self.kernel = self.add_weight((query_shape[-1], value_shape[-1]), name="kernel")

    def call(self, query: Any, value: Any, scale: float = 1.0) -> Any:
        return sx.ops.matmul(query, self.kernel) * scale + value


@pytest.mark.parametrize("keyword", [False, True])
def test_build_with_named_shapes(keyword: bool):
    layer, value = Query(), np.ones((2, 5), np.float32)
    layer(ones, value=value) if keyword else layer(ones, value)
    assert layer.shapes == ((2, 3), (2, 5))
    assert layer.kernel.shape == (3, 5)


def test_named_shapes_on_symbolic_tensors():
    layer = Query()
    assert layer(sx.Input((3,)), sx.Input((5,))).shape[1] == 5
    assert layer.shapes == ((None, 3), (None, 5))


def test_a_weight_made_in_the_constructor_is_kept():
    class Bias(sx.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.bias = self.add_weight((3,), "ones", name="bias")

        def call(self, inputs: Any) -> Any:
            return inputs + self.bias

    layer = Bias()
    assert layer(ones).numpy().tolist() == [[2, 2, 2]] * 2
    assert len(layer.weights) == 1


def test_add_weight_needs_numbers():
    layer = sx.Layer(name="mine")
    with pytest.raises(ShapeError, match=r"layer 'mine': the weight 'k' needs sizes that are numbers, got \(None, 3\)"):
        layer.add_weight((None, 3), name="k")  # type: ignore[list-item]


def test_add_weight_defaults():
    layer = sx.Layer()
    number = layer.add_weight()
    counter = layer.add_weight((2,), dtype="int32", trainable=False)
    assert number.shape == () and counter.numpy().tolist() == [0, 0]
    assert layer.trainable_variables == [number] and layer.weights == [number, counter]


def test_call_is_demanded():
    with pytest.raises(NotImplementedError, match="layer 'empty'.*class Layer does not define call"):
        sx.Layer(name="empty")(ones)


# -- weights -------------------------------------------------------------------------------------------------------


def test_weights_are_copies_and_come_back():
    layer = dense()
    layer(ones)
    values = layer.get_weights()
    values[0][:] = 7
    assert layer.get_weights()[0].max() < 7
    layer.set_weights(values)
    np.testing.assert_array_equal(layer.kernel.numpy(), values[0])


def test_nothing_is_set_unless_all_fits():
    layer = dense("d")
    layer(ones)
    before = layer.get_weights()
    with pytest.raises(ValueError, match="layer 'd': expected 2 weights, got 1"):
        layer.set_weights(before[:1])
    with pytest.raises(ShapeError, match=r"weight 'd/bias' has shape \(3,\), got a value of shape \(4,\)"):
        layer.set_weights([before[0] + 1, np.ones(4)])
    np.testing.assert_array_equal(layer.get_weights()[0], before[0])


@pytest.mark.parametrize("made", ["before", "after"])
def test_freezing_reaches_all_below(made: str):
    inner = Holder([dense("a"), dense("b")])
    outer = Holder({"inner": inner})
    if made == "before":
        outer.trainable = False
        outer(ones)
    else:
        outer(ones)
        outer.trainable = False
    assert outer.trainable_variables == [] and len(outer.non_trainable_variables) == 4
    outer.trainable = True
    assert len(outer.trainable_variables) == 4
    inner.held[0].trainable = False
    assert [v.path.split("/")[-2] for v in outer.trainable_weights] == ["b", "b"]
    assert len(outer.non_trainable_weights) == 2
    assert len(outer.weights) == 4


def test_a_layer_made_frozen_stays_frozen():
    layer = L.Dense(2, trainable=False)
    layer(ones)
    assert layer.trainable_variables == [] and len(layer.weights) == 2


def test_gradients_skip_frozen_layers():
    first, second = dense("a"), dense("b")
    model = sx.Sequential([sx.Input((3,)), first, second])
    first.trainable = False
    with sx.GradientTape() as tape:
        value = sx.ops.sum(model(ones))
    gradients = tape.gradient(value, model.trainable_variables)
    assert len(gradients) == 2 and all(g is not None for g in gradients)


# -- losses --------------------------------------------------------------------------------------------------------


class Penalty(sx.Layer):
    """Adds the sum of its input to the losses."""

    def call(self, inputs: Any) -> Any:
        self.add_loss(sx.ops.sum(inputs))
        return inputs


def numbers(losses: Any) -> list[float]:
    return [round(float(x), 4) for x in losses]


def test_losses_of_the_last_call():
    layer = Holder([Penalty(), Holder(Penalty())])
    layer(ones)
    layer(ones)
    assert numbers(layer.losses) == [6.0, 6.0]


def test_losses_of_regularizers():
    layer = L.Dense(1, kernel_initializer="ones", kernel_regularizer=sx.regularizers.L2(0.5), bias_regularizer="l1")
    outer = Holder(layer)
    outer(ones)
    assert numbers(outer.losses) == [1.5, 0.0]
    layer.trainable = False
    assert outer.losses == []


def test_losses_of_activity_are_per_sample():
    layer = L.Dense(1, kernel_initializer="ones", activity_regularizer=sx.regularizers.L1(0.5))
    layer(ones)
    assert numbers(layer.losses) == [1.5]
    layer = L.ActivityRegularization(l2=1.0)
    layer(ones)
    assert numbers(layer.losses) == [3.0]


def test_losses_inside_functional_models():
    x = sx.Input((3,))
    model = sx.Model(x, L.ActivityRegularization(l1=1.0)(Penalty()(x)))
    model(ones)
    assert numbers(model.losses) == [6.0, 3.0]
    with sx.GradientTape() as tape:
        inputs = sx.Variable(ones)
        model(inputs.read())
        value = sum(model.losses)
    np.testing.assert_allclose(tape.gradient(value, [inputs])[0].numpy(), np.full((2, 3), 1.5))


def test_penalties_outside_of_call_stay():
    layer = sx.Layer()
    layer.add_loss([1.0, 2.0])
    assert numbers(layer.losses) == [1.0, 2.0]
