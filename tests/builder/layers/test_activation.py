"""Activations as layers."""

import numpy as np
import pytest
from layer_cases import check_layer, generated, layer_case

import sardonyx as sx
from sardonyx.trainer.core.errors import ShapeError

MASK = sx.ops.convert_to_tensor(np.array([[True, False, True], [False, False, False]]))
CASES = [
    *(
        layer_case("Activation", {"activation": name}, free=[1])
        for name in ("linear", "tanh", "gelu", "softmax", "swish")
    ),
    layer_case("ReLU"),
    layer_case("ReLU", {"max_value": 1.0}),
    layer_case("ReLU", {"negative_slope": 0.2, "max_value": 1.0, "threshold": 0.5}),
    layer_case("LeakyReLU"),
    layer_case("LeakyReLU", {"negative_slope": 0.1}),
    layer_case("PReLU", {}, (2, 3), (2, 3), {"alpha": (3,)}),
    layer_case("PReLU", {"shared_axes": [1, 2]}, (2, 4, 4, 3), (2, 4, 4, 3), {"alpha": (1, 1, 3)}, free=[1, 2]),
    layer_case("ELU"),
    layer_case("ELU", {"alpha": 0.5}),
    layer_case("Softmax", {}, (2, 4, 3), (2, 4, 3), free=[1]),
    layer_case("Softmax", {"axis": 1}, (2, 4, 3), (2, 4, 3)),
    layer_case("Softmax", {"axis": [1, 2]}, (2, 4, 3), (2, 4, 3)),
    layer_case("Softmax", arguments={"mask": MASK}, label="mask", skip=["symbolic"]),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_layer(item, check):
    check_layer(item, check)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sx.layers.Activation("tanhh"), ValueError, "unknown activation 'tanhh'; did you mean 'tanh'"),
        (lambda: sx.layers.ReLU(max_value=-1), ValueError, "ReLU: max_value must be a number of 0 or more, got -1"),
        (lambda: sx.layers.ReLU(negative_slope=-1), ValueError, "ReLU: negative_slope must be a number of 0 or more"),
        (lambda: sx.layers.ReLU(threshold="a"), ValueError, "ReLU: threshold must be a number of 0 or more, got 'a'"),
        (lambda: sx.layers.LeakyReLU(None), ValueError, "LeakyReLU: negative_slope must be a number of 0 or more"),
        (lambda: sx.layers.ELU("a"), ValueError, "ELU: alpha must be a number, got 'a'"),
        (lambda: sx.layers.PReLU(shared_axes=[0]), ValueError, "PReLU: shared_axes must be integers from 1"),
        (lambda: sx.layers.PReLU(shared_axes=[3])(np.ones((2, 3))), ShapeError, "lacks one of shared_axes"),
        (lambda: sx.layers.Softmax("a"), ValueError, "Softmax: axis must be an integer or several, got 'a'"),
        (lambda: sx.layers.Softmax()(np.ones((2, 3)), mask=np.ones((2, 2), bool)), ShapeError, "does not broadcast"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_function_of_ones_own_is_applied():
    assert sx.layers.Activation(lambda x: x * x)(np.array([3.0])).tolist() == [9.0]
