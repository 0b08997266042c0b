"""What is wrong is said while the model is written: the layer's path, expected, got, and the user's own line."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers as L
from sardonyx.trainer.core.errors import ShapeError, SymbolicValueError


def line_of(function: Callable[..., Any]) -> str:
    """The file and line of a one-line function."""
    return f'File "{__file__}", line {inspect.getsourcelines(function)[1]}'


# One row a line: the line is what the message must name.
# fmt: off
VALUES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "if": (lambda x: 1 if x[0, 0] > 0 else 2, "ops.cond"),
    "bool": (lambda x: bool(x[0, 0]), "ops.cond"),
    "and": (lambda x: x > 0 and x < 1, "ops."),
    "not": (lambda x: not x, "ops."),
    "int": (lambda x: int(x[0, 0]), "ops."),
    "float": (lambda x: float(x[0, 0]), "ops."),
    "complex": (lambda x: complex(x[0, 0]), "ops."),
    "index": (lambda x: [1, 2][x[0, 0]], "ops."),
    "iteration": (lambda x: [row + 1 for row in x], "ops."),
    "unpacking": (lambda x: max(*x), "ops."),
    "numpy": (lambda x: np.asarray(x, np.float32), "ops."),
    "numpy function": (lambda x: np.concatenate([x]), "ops."),
    "value": (lambda x: x.numpy(), "ops."),
    "item": (lambda x: x[0, 0].item(), "ops."),
    "length": (lambda x: len(x) + 1, "ops.shape"),
}
# fmt: on


@pytest.mark.parametrize("case", VALUES)
def test_symbolic_values_name_the_line_and_the_rewrite(case: str):
    function, rewrite = VALUES[case]
    with pytest.raises(SymbolicValueError) as caught:
        function(sx.Input((3,), name="x"))
    message = str(caught.value)
    assert line_of(function) in message and rewrite in message


def test_inside_of_call_the_line_is_that_of_call():
    class Branch(sx.Layer):
        def call(self, inputs: Any) -> Any:
            return np.linalg.norm(inputs)

    with pytest.raises(SymbolicValueError) as caught:
        sx.Sequential([sx.Input((3,)), Branch(name="branch")])
    message = str(caught.value)
    first = inspect.getsourcelines(Branch.call)[1]
    assert f"line {first + 1}, in call" in message and "layer 'branch' (Branch)" in message


def x(*shape: Any) -> Any:
    return sx.Input(shape)


def warm(layer: Any, *shape: int) -> Any:
    layer(np.ones(shape, np.float32))
    return layer


# fmt: off
SHAPES: dict[str, tuple[Callable[[], Any], str, str]] = {
    "rank": (lambda: L.Conv2D(2, 3, name="conv")(x(4)), "layer 'conv' (Conv2D)", "expected rank 4"),
    "features": (
        lambda: warm(L.Dense(2, name="d"), 1, 4)(x(5)),
        "layer 'd' (Dense)", "expected size 4 on axis -1, got shape (batch, 5)",
    ),
    "kernel too large": (
        lambda: L.Conv2D(2, 9, name="c")(x(4, 4, 1)),
        "layer 'c' (Conv2D)", "received: (batch, 4, 4, 1)",
    ),
    "addends": (lambda: L.Add(name="sum")([x(3), x(4)]), "layer 'sum' (Add)", "(batch, 3)"),
    "joined": (
        lambda: L.Concatenate(axis=1, name="j")([x(3, 2), x(3, 5)]),
        "layer 'j' (Concatenate)", "differ on axis 2",
    ),
    "unknown features": (lambda: L.Dense(2, name="d")(x(None)), "layer 'd' (Dense)", "Input("),
    "reshape": (lambda: L.Reshape((5,), name="r")(x(4)), "layer 'r' (Reshape)", "5"),
    "op": (lambda: sx.ops.matmul(x(3), x(4)), "matmul", "(batch, 3)"),
    "operator": (lambda: x(3) + x(4), "add", "(batch, 4)"),
    "nested": (
        lambda: sx.Sequential([L.Conv1D(1, 3, name="deep")], name="outer")(x(4)),
        "layer 'outer/deep' (Conv1D)", "rank 3",
    ),
    "inputs": (
        lambda: sx.Model(a := x(3), a * 2, name="m")(x(4)),
        "layer 'm' (Functional)", "expected shape (batch, 3), got (batch, 4)",
    ),
}
# fmt: on


@pytest.mark.parametrize("case", SHAPES)
def test_shapes_name_layer_expected_got_and_line(case: str):
    function, layer, text = SHAPES[case]
    with pytest.raises(ShapeError) as caught:
        function()
    message = str(caught.value)
    assert layer in message and text in message and line_of(function) in message


def test_the_innermost_layer_is_named_with_its_path():
    class Inner(sx.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs @ np.ones((7, 2), np.float32)

    class Outer(sx.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.inner = Inner(name="inner")

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs)

    for given in (sx.Input((3,)), np.ones((2, 3), np.float32)):
        with pytest.raises(ShapeError) as caught:
            Outer(name="outer")(given)
        message = str(caught.value)
        assert "layer 'outer/inner' (Inner): matmul" in message
        assert "return self.inner(inputs)" in message
        assert "inputs @ np.ones((7, 2), np.float32)" in message


def test_subclassed_models_tell_before_data_comes():
    class Wrong(sx.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = L.Dense(4, name="first"), L.Conv2D(2, 3, name="second")

        def call(self, inputs: Any) -> Any:
            return self.second(self.first(inputs))

    for start in (
        lambda m: m.build((None, 3)),
        lambda m: m.trace(sx.TensorSpec((None, 3))),
        lambda m: m(np.ones((2, 3))),
    ):
        with pytest.raises(
            ShapeError, match=r"second' \(Conv2D\): .*expected rank 4(.|\n)*self.second\(self.first\(inputs\)\)"
        ):
            start(Wrong())


def test_nothing_stays_open_after_an_error():
    with pytest.raises(ShapeError):
        L.Conv2D(2, 3)(sx.Input((4,)))
    layer = L.Dense(2, name="after")
    layer(np.ones((1, 3), np.float32))
    assert layer.weights[0].path == "after/kernel"
    from sardonyx.trainer.core.state import state

    assert not state.scopes and not state.traces and not state.tapes


def test_a_layer_that_failed_can_be_called_again():
    layer = L.Dense(2)
    with pytest.raises(ShapeError):
        layer(sx.Input((None,)))
    assert layer(np.ones((1, 3), np.float32)).shape == (1, 2)
    assert len(layer.weights) == 2
