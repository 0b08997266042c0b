"""Dense, EinsumDense and Embedding."""

import numpy as np
import pytest
from layer_cases import check_layer, generated, layer_case

import sardonyx as sx
from sardonyx.trainer.core.errors import ShapeError

INDICES = np.array([[1, 0, 3], [4, 4, 2]], "int32")
CASES = [
    layer_case("Dense", {"units": 4}, (2, 3), (2, 4), {"kernel": (3, 4), "bias": (4,)}),
    layer_case("Dense", {"units": 4, "activation": "relu"}, (2, 5, 3), (2, 5, 4), {"kernel": (3, 4), "bias": (4,)},
               free=[1]),
    layer_case("Dense", {"units": 2, "use_bias": False, "activation": "softmax"}, (2, 3), (2, 2), {"kernel": (3, 2)}),
    layer_case(
        "Dense", {"units": 2, "kernel_regularizer": "l2", "kernel_constraint": "max_norm", "bias_initializer": "ones"},
        (2, 3), (2, 2), {"kernel": (3, 2), "bias": (2,)},
    ),
    layer_case(
        "Dense", {"units": 4, "lora_rank": 2, "lora_alpha": 3.0}, (2, 3), (2, 4),
        {"kernel": (3, 4), "bias": (4,), "lora_kernel_a": (3, 2), "lora_kernel_b": (2, 4)}, skip=["peers"],
    ),
    layer_case(
        "EinsumDense", {"equation": "abc,cd->abd", "output_shape": [None, 4], "bias_axes": "d"}, (2, 5, 3), (2, 5, 4),
        {"kernel": (3, 4), "bias": (4,)}, free=[1],
    ),
    layer_case("EinsumDense", {"equation": "ab,bc->ac", "output_shape": 4}, (2, 3), (2, 4), {"kernel": (3, 4)}),
    layer_case(
        "EinsumDense", {"equation": "...x,xy->...y", "output_shape": 4, "bias_axes": "y", "activation": "tanh"},
        (2, 5, 3), (2, 5, 4), {"kernel": (3, 4), "bias": (4,)},
    ),
    layer_case(
        "EinsumDense", {"equation": "abc,cde->abde", "output_shape": [None, 2, 4], "bias_axes": "de"}, (2, 5, 3),
        (2, 5, 2, 4), {"kernel": (3, 2, 4), "bias": (2, 4)},
    ),
    layer_case("EinsumDense", {"equation": "abcd,cde->abe", "output_shape": [None, 4], "bias_axes": "e"}, (2, 5, 3, 2),
               (2, 5, 4), {"kernel": (3, 2, 4), "bias": (4,)}),
    layer_case("Embedding", {"input_dim": 5, "output_dim": 4}, INDICES, (2, 3, 4), {"embeddings": (5, 4)}, free=[1]),
    layer_case("Embedding", {"input_dim": 5, "output_dim": 4, "mask_zero": True}, INDICES, (2, 3, 4),
               {"embeddings": (5, 4)}),
    layer_case("Embedding", {"input_dim": 5, "output_dim": 4}, INDICES.astype("float32"), (2, 3, 4),
               {"embeddings": (5, 4)},
               skip=["gradient"], label="float indices"),
]  # fmt: skip


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_layer(item, check):
    check_layer(item, check)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sx.layers.Dense(0), ValueError, "Dense: units must be a positive integer, got 0"),
        (lambda: sx.layers.Dense(2.5), ValueError, "Dense: units must be a positive integer, got 2.5"),
        (lambda: sx.layers.Dense(2, activation="rellu"), ValueError, "did you mean 'relu'"),
        (lambda: sx.layers.Dense(2, size=3), ValueError, "Dense: unknown argument 'size'"),
        (lambda: sx.layers.Dense(2)(np.ones(3)), ShapeError, "expected rank 2 or more"),
        (lambda: sx.layers.Dense(2)(sx.Input((None,))), ShapeError, "needs sizes that are numbers"),
        (lambda: sx.layers.EinsumDense("ab->ac", 3), ValueError, "EinsumDense: equation must read like"),
        (lambda: sx.layers.EinsumDense("ab,bc->ac", None), TypeError, "EinsumDense: output_shape must be"),
        (lambda: sx.layers.EinsumDense("ab,bc->ac", (None,))(np.ones((2, 3))), ShapeError, "size of axis 'c'"),
        (lambda: sx.layers.EinsumDense("ab,bc->ac", 4, bias_axes="z")(np.ones((2, 3))), ValueError, "bias axis 'z'"),
        (lambda: sx.layers.Embedding(0, 2), ValueError, "Embedding: input_dim must be a positive integer, got 0"),
        (lambda: sx.layers.Embedding(2, "a"), ValueError, "Embedding: output_dim must be a positive integer, got 'a'"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_built_layer_keeps_its_input_size():
    layer = sx.layers.Dense(2)
    layer(np.ones((1, 3)))
    with pytest.raises(ShapeError, match="expected size 3 on axis -1"):
        layer(np.ones((1, 4)))


def test_embedding_masks_zero():
    result = sx.layers.Embedding(5, 2, mask_zero=True)(INDICES)
    assert result.mask.tolist() == [[True, False, True], [True, True, True]]
    assert sx.layers.Embedding(5, 2)(INDICES).mask is None


def test_embedding_starts_from_given_weights():
    table = np.arange(10.0).reshape(5, 2)
    np.testing.assert_array_equal(sx.layers.Embedding(5, 2, weights=table)(INDICES), table[INDICES])


def test_lora_adds_a_product_of_thin_matrices():
    layer = sx.layers.Dense(3)
    x = np.ones((1, 4), "float32")
    before = np.asarray(layer(x))
    layer.enable_lora(2)
    np.testing.assert_array_equal(layer(x), before)
    assert [v.name for v in layer.trainable_variables] == ["bias", "lora_kernel_a", "lora_kernel_b"]


def test_regularizers_and_constraints_are_those_of_the_weights():
    layer = sx.layers.Dense(
        1, kernel_regularizer=sx.regularizers.L2(0.5), kernel_initializer="ones", activity_regularizer="l1"
    )
    layer(np.ones((1, 2)))
    assert [float(np.asarray(x)) for x in layer.losses] == pytest.approx([0.02, 1.0])
