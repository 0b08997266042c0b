"""Classic mistakes in writing a model: told while it is written, with the layer, the line and a fix that works."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mistakes import SERIES, X, Y, names_the_line, own_layer

import sardonyx as sx
from sardonyx import Input, Sequential, ops
from sardonyx import layers as L

ShapeError, SymbolicValueError = sx.ShapeError, sx.SymbolicValueError
Program = Callable[[], Any]


def trained(model: Any) -> Any:
    model.compile("sgd", "mse")
    return model


def forgot_super() -> Any:
    class Forgot(sx.Model):
        def __init__(self) -> None:
            self.dense = L.Dense(2)

    return Forgot()


def called_super() -> Any:
    class Called(sx.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = L.Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

    return Called()(X)


def forgot_super_of_layer() -> Any:
    class Scaled(L.Layer):
        def __init__(self) -> None:
            self.scale = self.add_weight((4,))

    return Scaled()


def called_super_of_layer() -> Any:
    class Scaled(L.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.scale = self.add_weight((4,))

        def call(self, inputs: Any) -> Any:
            return inputs * self.scale

    return Scaled()(X)


def tape_used_twice(persistent: bool = False) -> Any:
    v = sx.Variable(2.0)
    with sx.GradientTape(persistent=persistent) as tape:
        y = v * v
        z = y * v
    return tape.gradient(y, v), tape.gradient(z, v)


def u_net(size: int) -> Any:
    x = Input((size, size, 1))
    return L.Concatenate(name="skip")([x, L.UpSampling2D()(L.MaxPooling2D()(x))])


def own_step(result: Any) -> Any:
    class Own(Sequential):
        def train_step(self, data: Any) -> Any:
            return result

    return trained(Own([Input((4,)), L.Dense(1)])).fit(X, Y, verbose=0)


def two_outputs(**losses: str) -> Any:
    x = Input((4,))
    model = sx.Model(x, {"size": L.Dense(1)(x), "kind": L.Dense(1)(x)})
    model.compile("sgd", losses)
    return model


# fmt: off
MISTAKES: dict[str, tuple[Program, type[Exception], tuple[str, ...], Program]] = {
    # joining
    "Concatenate along the wrong axis": (
        lambda: L.Concatenate(name="join")([Input((3, 2)), Input((4, 2))]), ShapeError,
        ("layer 'join' (Concatenate)", "differ on axis 1", "(batch, 4, 2)"),
        lambda: L.Concatenate(axis=1)([Input((3, 2)), Input((4, 2))])),
    "Concatenate of one tensor": (
        lambda: L.Concatenate()(Input((3,))), ShapeError, ("expected a list of inputs, Concatenate()([a, b])",),
        lambda: L.Concatenate()([Input((3,)), Input((3,))])),
    "Add of two widths": (
        lambda: L.Add(name="sum")([Input((3,)), Input((4,))]), ShapeError, ("layer 'sum' (Add)", "sizes 3 and 4"),
        lambda: L.Add()([L.Dense(4)(Input((3,))), Input((4,))])),
    "odd size in a U-Net": (
        lambda: L.Concatenate(name="skip")([x := Input((15, 15, 1)), L.UpSampling2D()(L.MaxPooling2D()(x))]),
        ShapeError, ("layer 'skip'", "(batch, 15, 15, 1) and (batch, 14, 14, 1)"), lambda: u_net(16)),
    "size left open in a U-Net": (
        lambda: L.Concatenate()([x := Input((None, None, 1)), L.UpSampling2D()(L.MaxPooling2D()(x))]), ShapeError,
        ("multiple of 2", 'Input(shape=("2*'),
        lambda: L.Concatenate()([x := Input(("2*h", "2*w", 1)), L.UpSampling2D()(L.MaxPooling2D()(x))])),
    "Dot of two sizes": (
        lambda: L.Dot(axes=1)([Input((3,)), Input((4,))]), ShapeError, ("axis 1 of (batch, 3)", "of one size"),
        lambda: L.Dot(axes=1)([Input((4,)), Input((4,))])),
    "stack of two shapes": (
        lambda: ops.stack([Input((3,)), Input((4,))]), ShapeError, ("stack: expected tensors of one shape",),
        lambda: ops.stack([Input((4,)), Input((4,))])),
    "matrices that do not fit": (
        lambda: ops.matmul(Input((3,)), np.ones((4, 2), "float32")), ShapeError, ("matmul", "inner sizes differ"),
        lambda: ops.matmul(Input((4,)), np.ones((4, 2), "float32"))),
    "arrays that do not fit": (
        lambda: ops.matmul(np.ones((2, 3)), np.ones((2, 3))), ShapeError, ("inner sizes differ", "3 and 2"),
        lambda: ops.matmul(np.ones((2, 3)), np.ones((3, 2)))),
    # shapes from layer to layer
    "second LSTM without sequences": (
        lambda: Sequential([Input((5, 4)), L.LSTM(3), L.LSTM(2, name="second")]), ShapeError,
        ("layer 'second' (LSTM)", "got shape (batch, 3)", "return_sequences=True"),
        lambda: Sequential([Input((5, 4)), L.LSTM(3, return_sequences=True), L.LSTM(2)])),
    "LSTM on rows": (
        lambda: Sequential([Input((4,)), L.LSTM(3)]), ShapeError, ("rank 3 or more", "Reshape((time, features))"),
        lambda: Sequential([Input((4,)), L.Reshape((4, 1)), L.LSTM(3)])),
    "convolution after Flatten": (
        lambda: Sequential([Input((8, 8, 3)), L.Flatten(), L.Conv2D(2, 3, name="conv")]), ShapeError,
        ("layer 'conv' (Conv2D)", "(batch, 192)", "leave Flatten out"),
        lambda: Sequential([Input((8, 8, 3)), L.Conv2D(2, 3)])),
    "images without channels": (
        lambda: Sequential([Input((8, 8)), L.Conv2D(2, 3)]), ShapeError,
        ("expected rank 4", "channels is missing", "x[..., None]"),
        lambda: Sequential([Input((8, 8, 1)), L.Conv2D(2, 3)])),
    "kernel larger than the image": (
        lambda: Sequential([Input((8, 8, 3)), L.Conv2D(2, 9)]), ShapeError,
        ("the kernel covers 9 cells of a spatial axis of only 8", 'padding="same"'),
        lambda: Sequential([Input((8, 8, 3)), L.Conv2D(2, 9, padding="same")])),
    "pooled to nothing": (
        lambda: Sequential([Input((4, 4, 3)), *[L.MaxPooling2D() for _ in range(3)]]), ShapeError,
        ("the window covers 2 cells of a spatial axis of only 1", 'padding="same"'),
        lambda: Sequential([Input((4, 4, 3)), *[L.MaxPooling2D(padding="same") for _ in range(3)]])),
    "Reshape of another number": (
        lambda: L.Reshape((5,), name="r")(Input((4,))), ShapeError, ("'r' (Reshape)", "5 elements", "has 4"),
        lambda: L.Reshape((2, 2))(Input((4,)))),
    "axis that is not there": (
        lambda: L.Softmax(axis=3)(Input((4,))), ShapeError, ("axis 3 is out of range", "expected -2 to 1"),
        lambda: L.Softmax(axis=1)(Input((4,)))),
    "size left open for weights": (
        lambda: L.Dense(2)(Input((None,))), ShapeError, ("Dense", "Input("), lambda: L.Dense(2)(Input((4,)))),
    "Permute with the batch": (
        lambda: L.Permute((0, 1))(Input((4, 3))), ValueError, ("the numbers 1 to 2", "got (0, 1)"),
        lambda: L.Permute((2, 1))(Input((4, 3)))),
    # masks, states, attention
    "mask of another length": (
        lambda: L.LSTM(3)(SERIES, mask=np.ones((40, 4), bool)), ShapeError, ("mask of shape (40, 5)", "(40, 4)"),
        lambda: L.LSTM(3)(SERIES, mask=np.ones((40, 5), bool))),
    "mask of samples": (
        lambda: L.LSTM(3)(SERIES, mask=np.ones(40, bool)), ShapeError, ("mask of shape (40, 5)", "bool (40,)"),
        lambda: L.LSTM(3)(SERIES, mask=np.ones((40, 5), bool))),
    "boolean index of too many axes": (
        lambda: own_layer(lambda self, x: x[np.ones((4, 4, 2), bool)])(Input((4,))), ShapeError,
        ("layer 'own' (Own)", "covers 3 axes, but the tensor has 2"),
        lambda: own_layer(lambda self, x: x[x > 0])(Input((4,)))),
    "one state for an LSTM": (
        lambda: L.LSTM(3)(SERIES, initial_state=[np.zeros((40, 3))]), ShapeError, ("expected 2 initial states, got 1",),
        lambda: L.LSTM(3)(SERIES, initial_state=[np.zeros((40, 3))] * 2)),
    "states of another width": (
        lambda: L.LSTM(3)(SERIES, initial_state=[np.zeros((40, 4))] * 2), ShapeError, ("must have shape (batch, 3)",),
        lambda: L.LSTM(3)(SERIES, initial_state=[np.zeros((40, 3))] * 2)),
    "attention without values": (
        lambda: L.MultiHeadAttention(2, 4)(Input((5, 8))), TypeError, ("missing a required argument: 'value'",),
        lambda: L.MultiHeadAttention(2, 4)(x := Input((5, 8)), x)),
    "attention over rows": (
        lambda: L.MultiHeadAttention(2, 4)(Input((8,)), Input((8,))), ShapeError, ("of rank 3 or more",),
        lambda: L.MultiHeadAttention(2, 4)(Input((5, 8)), Input((7, 8)))),
    "keys for other values": (
        lambda: L.MultiHeadAttention(2, 4)(Input((5, 8)), Input((7, 8)), Input((6, 8))), ShapeError,
        ("value and key must agree", "(None, 6, 8)"),
        lambda: L.MultiHeadAttention(2, 4)(Input((5, 8)), Input((7, 8)), Input((7, 8)))),
    # arguments
    "units as a fraction": (
        lambda: L.Dense(2.5), ValueError, ("Dense: units must be a positive integer, got 2.5",), lambda: L.Dense(2)),
    "negative units": (lambda: L.LSTM(-3), ValueError, ("units must be a positive integer",), lambda: L.LSTM(3)),
    "activation in the place of units": (
        lambda: L.Dense("relu"), ValueError, ("units must be a positive integer, got 'relu'",),
        lambda: L.Dense(3, "relu")),
    "rate in percent": (
        lambda: L.Dropout(20), ValueError, ("rate must be a number between 0 and 1",), lambda: L.Dropout(0.2)),
    "name of an activation": (
        lambda: L.Dense(1, activation="rleu"), ValueError, ("unknown activation", "did you mean 'relu'"),
        lambda: L.Dense(1, activation="relu")),
    "name of an argument": (
        lambda: L.Dense(3, activaton="relu"), ValueError, ("Dense: unknown argument 'activaton'",),
        lambda: L.Dense(3, activation="relu")),
    "name of a padding": (
        lambda: L.Conv2D(2, 3, padding="smae"), ValueError, ("must be one of 'valid', 'same'",),
        lambda: L.Conv2D(2, 3, padding="same")),
    "groups that do not divide": (
        lambda: L.Conv2D(3, 3, groups=2), ValueError, ("filters (3) must be a multiple of groups (2)",),
        lambda: L.Conv2D(4, 3, groups=2)),
    "learning rate as text": (
        lambda: sx.optimizers.Adam(learning_rate="0.01"), ValueError, ("must be a finite number", "'0.01'"),
        lambda: sx.optimizers.Adam(learning_rate=0.01)),
    "negative learning rate": (
        lambda: sx.optimizers.SGD(-0.1), ValueError, ("0 or more; got -0.1",), lambda: sx.optimizers.SGD(0.1)),
    # structure
    "forgotten super().__init__()": (
        forgot_super, RuntimeError, ("Forgot: call super().__init__() first",), called_super),
    "forgotten super().__init__() of a layer": (
        forgot_super_of_layer, RuntimeError, ("Scaled: call super().__init__() first",), called_super_of_layer),
    "layer made in call": (
        lambda: trained(own_layer(lambda self, x: L.Dense(1)(x))).fit(X, Y, verbose=0), ValueError,
        ("(Dense) is made inside call()", "Make it in __init__"),
        lambda: trained(own_layer(lambda self, x: self.dense(x), dense=L.Dense(1))).fit(X, Y, verbose=0)),
    "forgotten return": (
        lambda: trained(own_layer(lambda self, x: None)).fit(X, Y),
        TypeError, ("layer 'own' (Own): call() returned None", "`return` missing"),
        lambda: trained(own_layer(lambda self, x: self.dense(x), dense=L.Dense(1))).fit(X, Y, verbose=0)),
    "arguments of call by another name": (
        lambda: own_layer(lambda self, x: x)(inputs=X), TypeError, ("layer 'own' (Own)", "It takes (x)"),
        lambda: own_layer(lambda self, x: x)(x=X)),
    "argument that call does not take": (
        lambda: L.Dense(2)(X, trainning=True), TypeError, ("'trainning'", "did you mean 'training'"),
        lambda: L.Dense(2)(X, training=True)),
    "input that is not the model's": (
        lambda: sx.Model(Input((4,)), L.Dense(1)(Input((4,)))), ShapeError, ("not among the inputs of the model",),
        lambda: sx.Model(x := Input((4,)), L.Dense(1)(x))),
    "data in the place of an input": (
        lambda: sx.Model(X, L.Dense(1)(X)), TypeError, ("takes tensors made with Input",),
        lambda: sx.Model(x := Input((4,)), L.Dense(1)(x))),
    "layer that was not called": (
        lambda: sx.Model(Input((4,)), L.Dense(1)), TypeError, ("takes tensors made with Input; got Tensor, Dense",),
        lambda: sx.Model(x := Input((4,)), L.Dense(1)(x))),
    "class in the place of a layer": (
        lambda: Sequential([Input((4,)), L.Flatten]), TypeError, ("expected a layer, got <class",),
        lambda: Sequential([Input((4,)), L.Flatten()])),
    "one name for two layers": (
        lambda: Sequential([L.Dense(1, name="a"), L.Dense(1, name="a")]), ValueError, ("names must be unique",),
        lambda: Sequential([L.Dense(1, name="a"), L.Dense(1, name="b")])),
    "one name for two layers of a graph": (
        lambda: sx.Model(x := Input((4,)), L.Dense(1, name="a")(L.Dense(1, name="a")(x))), ValueError,
        ("two layers of the model are named 'a'",),
        lambda: sx.Model(x := Input((4,)), L.Dense(1, name="a")(L.Dense(1, name="b")(x)))),
    "weights before they are made": (
        lambda: Sequential([L.Dense(1)]).set_weights([np.ones((4, 1)), np.ones(1)]), ValueError, ("build(shape)",),
        lambda: Sequential([Input((4,)), L.Dense(1)]).set_weights([np.ones((4, 1)), np.ones(1)])),
    "name of an output": (
        lambda: two_outputs(siz="mse"), ValueError, ("no output 'siz'; did you mean 'size'?",),
        lambda: two_outputs(size="mse", kind="mse")),
    # values that are not known yet
    "int of a tensor": (
        lambda: [0] * int(Input((4,))[0, 0]), SymbolicValueError, ("int(x)", "ops."),
        lambda: [0] * Input((4,)).shape[1]),
    "loop over a batch": (
        lambda: [row for row in Input((4,))], SymbolicValueError, ("axis of unknown size", "ops.scan"),  # noqa: C416
        lambda: ops.unstack(Input((4,)), axis=1)),
    "NumPy on a tensor without values": (
        lambda: np.asarray(Input((4,))), SymbolicValueError, ("np.asarray", "sardonyx.ops"),
        lambda: ops.exp(Input((4,)))),
    "NumPy's own functions on one": (
        lambda: np.linalg.norm(Input((4,))), SymbolicValueError, ("sardonyx.ops",), lambda: ops.norm(Input((4,)))),
    # loops of one's own
    "a tape used twice": (
        tape_used_twice, RuntimeError, ("persistent=True",), lambda: tape_used_twice(persistent=True)),
    "a step that returns nothing": (
        lambda: own_step({"loss": None}), TypeError, ("return a dictionary of numbers", "None"),
        lambda: own_step({"loss": 1.0})),
}
# fmt: on


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_model_is_told_as_it_is_written(mistake: str):
    wrong, kind, words, right = MISTAKES[mistake]
    with pytest.raises(kind) as caught:
        wrong()
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert names_the_line(message, wrong) or "mistakes.py" in message or __file__ in message, message
    right()
