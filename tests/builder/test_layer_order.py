"""Layers stand in Keras's order: weights can be handed over by `set_weights`."""

from typing import Any

import numpy as np
import pytest

import sardonyx as sx


def branches(library: Any) -> Any:
    """Parallel branches, a shared layer, a loose operation, and an output that leaves early."""
    layers = library.layers
    x, y = library.Input((8,), name="x"), library.Input((8,), name="y")
    q, k, v = (layers.Dense(4, name=name)(t) for name, t in (("q", x), ("k", x), ("v", y)))
    shared = layers.Dense(4, name="shared")
    both = layers.Multiply(name="both")([shared(layers.Add(name="sum")([q, k])), shared(v)])
    late = layers.Dense(2, name="late")(x) * 2.0
    joined = layers.Concatenate(name="joined")([layers.Dense(3, name="early")(both), late])
    return library.Model([x, y], [joined, layers.Dense(1, name="head")(joined), layers.Dense(5, name="side")(x)])


def test_order_by_depth():
    names = [layer.name for layer in branches(sx).layers if layer.weights]
    assert names == ["q", "k", "v", "shared", "late", "early", "head", "side"]


@pytest.mark.peers
def test_weights_are_handed_over_from_keras():
    keras = pytest.importorskip("keras")
    theirs, ours = branches(keras), branches(sx)
    ours.set_weights(theirs.get_weights())
    data = [np.random.default_rng(i).standard_normal((3, 8)).astype(np.float32) for i in range(2)]
    for a, b in zip(theirs(data), ours(data), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-5)
