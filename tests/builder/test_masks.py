"""Masks: made by Embedding and Masking, carried by layers that support them, used where `call` takes them."""

from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers as L

TOKENS = np.array([[1, 2, 0], [3, 0, 0]])
MASK = TOKENS != 0


class Probe(sx.Layer):
    """Remembers the mask it was called with."""

    supports_masking: bool

    def __init__(self) -> None:
        super().__init__()
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        self.seen = mask
        return inputs


class Blind(sx.Layer):
    """Knows nothing of masks."""

    def call(self, inputs: Any) -> Any:
        return inputs * 1.0


def embed() -> Any:
    return L.Embedding(5, 4, mask_zero=True)


CHAINS: dict[str, tuple[Any, Any]] = {
    "direct": (list, MASK),
    "through dropout": (lambda: [L.Dropout(0.5)], MASK),
    "through dense": (lambda: [L.Dense(3)], MASK),
    "through an activation": (lambda: [L.Activation("relu")], MASK),
    "through a layer norm": (lambda: [L.LayerNormalization()], MASK),
    "through an lstm": (lambda: [L.LSTM(3, return_sequences=True)], MASK),
    "through time distributed": (lambda: [L.TimeDistributed(L.Dense(2))], MASK),
    "through bidirectional": (lambda: [L.Bidirectional(L.GRU(2, return_sequences=True))], MASK),
    "through another probe": (lambda: [Probe()], MASK),
    "lost in a blind layer": (lambda: [Blind()], None),
    "lost in a last state": (lambda: [L.LSTM(3)], None),
    "through a nested model": (lambda: [sx.Sequential([L.Dense(3), L.Dropout(0.1)])], MASK),
    "through a nested graph": (lambda: [graph(L.Dense(3))], MASK),
}


def graph(layer: Any) -> Any:
    x = sx.Input((3, 4))
    return sx.Model(x, layer(x))


@pytest.mark.parametrize("case", CHAINS)
@pytest.mark.parametrize("style", ["eager", "sequential", "functional"])
def test_masks_travel(case: str, style: str):
    middle, expected = CHAINS[case]
    probe = Probe()
    layers = [embed(), *middle(), probe]
    if style == "eager":
        x: Any = TOKENS
        for layer in layers:
            x = layer(x)
    elif style == "sequential":
        sx.Sequential(layers)(TOKENS)
    else:
        inputs = x = sx.Input((3,), dtype="int32")
        for layer in layers:
            x = layer(x)
        sx.Model(inputs, x)(TOKENS)
    if expected is None:
        assert probe.seen is None
    else:
        np.testing.assert_array_equal(np.asarray(probe.seen), expected)


def test_masking_finds_rows_of_the_value():
    x = np.array([[[1.0, 2], [0, 0], [0, 3]]], np.float32)
    probe = Probe()
    probe(L.Masking(0.0)(x))
    assert np.asarray(probe.seen).tolist() == [[True, False, True]]


@pytest.mark.parametrize("first", ["mask", "none"])
def test_an_explicit_mask_wins(first: str):
    probe = Probe()
    given = np.zeros((2, 3), bool)
    probe(embed()(TOKENS) if first == "mask" else np.ones((2, 3, 4)), mask=given)
    np.testing.assert_array_equal(np.asarray(probe.seen), given)


def test_merging_joins_masks():
    a, b = embed()(TOKENS), embed()(TOKENS[::-1])
    probe = Probe()
    probe(L.Add()([a, b]))
    np.testing.assert_array_equal(np.asarray(probe.seen), MASK | MASK[::-1])
    probe(L.Concatenate()([a, b]))
    np.testing.assert_array_equal(np.asarray(probe.seen), MASK | MASK[::-1])
    probe(L.Concatenate(axis=1)([a, b]))
    np.testing.assert_array_equal(np.asarray(probe.seen), np.concatenate([MASK, MASK[::-1]], 1))


def test_merging_with_a_tensor_without_mask():
    probe = Probe()
    probe(L.Add()([embed()(TOKENS), np.ones((2, 3, 4), np.float32)]))
    assert probe.seen is None


class Reverse(sx.Layer):
    """Turns time around, and the mask with it."""

    def __init__(self) -> None:
        super().__init__()
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return sx.ops.flip(inputs, 1)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None if previous_mask is None else sx.ops.flip(previous_mask, 1)


class Two(Probe):
    """Takes two masked inputs and names their masks."""

    def call(self, query: Any, value: Any, query_mask: Any = None, value_mask: Any = None) -> Any:  # type: ignore[override]
        self.seen = (query_mask, value_mask)
        return query + value


def test_own_masks():
    probe = Probe()
    probe(Reverse()(embed()(TOKENS)))
    np.testing.assert_array_equal(np.asarray(probe.seen), MASK[:, ::-1])


def test_masks_by_name_of_argument():
    two = Two()
    two(embed()(TOKENS), value=embed()(TOKENS[::-1]))
    np.testing.assert_array_equal(np.asarray(two.seen[0]), MASK)
    np.testing.assert_array_equal(np.asarray(two.seen[1]), MASK[::-1])


def test_lists_of_masks():
    probe = Probe()
    probe([embed()(TOKENS), np.ones((2, 3))])
    np.testing.assert_array_equal(np.asarray(probe.seen[0]), MASK)
    assert probe.seen[1] is None


@pytest.mark.parametrize("pool", [L.LSTM, L.GRU, L.SimpleRNN])
@pytest.mark.parametrize("runtime", ["numpy", "onnxruntime"])
def test_masked_steps_do_not_count(pool: Any, runtime: str):
    model = sx.Sequential([sx.Input((None,), dtype="int32"), embed(), pool(3)])
    padded = model.predict(TOKENS, runtime=runtime, verbose=0)
    np.testing.assert_allclose(padded[:1], model.predict(TOKENS[:1, :2], runtime=runtime, verbose=0), atol=1e-6)
    np.testing.assert_allclose(padded[1:], model.predict(TOKENS[1:, :1], runtime=runtime, verbose=0), atol=1e-6)


def test_average_pooling_leaves_masked_steps_out():
    model = sx.Sequential([sx.Input((3,), dtype="int32"), embed(), L.GlobalAveragePooling1D()])
    table = model.weights[0].numpy()
    expected = np.stack([table[[1, 2]].mean(0), table[3]])
    for runtime in ("numpy", "onnxruntime"):
        np.testing.assert_allclose(model.predict(TOKENS, runtime=runtime, verbose=0), expected, atol=1e-6)


def test_models_take_masks():
    probe = Probe()
    sx.Sequential([sx.Input((3, 4)), probe])(np.ones((2, 3, 4)), mask=MASK)
    np.testing.assert_array_equal(np.asarray(probe.seen), MASK)


def test_masks_survive_a_cast():
    probe = Probe()
    L.Dense(2, dtype="float64")  # another type beside
    double = L.Activation("linear", dtype="float64")
    probe(double(embed()(TOKENS)))
    np.testing.assert_array_equal(np.asarray(probe.seen), MASK)
