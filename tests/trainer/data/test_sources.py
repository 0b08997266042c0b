"""Sources of batches, splits, and conversion of data."""

import numpy as np
import pytest

from sardonyx.trainer.data import sources, structure

X = np.arange(10, dtype="float32")[:, None]


@pytest.mark.parametrize(("size", "sizes"), [(4, [4, 4, 2]), (10, [10]), (None, [10]), (1, [1] * 10), (99, [10])])
def test_arrays_are_cut_in_order(size, sizes):
    source = sources.make_source(X, X, batch_size=size)
    batches = list(source.epoch())
    assert source.batches == len(sizes) and [len(x) for x, _ in batches] == sizes
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), X)


def test_shuffling_keeps_rows_together_and_changes_every_epoch():
    source = sources.make_source({"a": X}, [X, 2 * X], X[:, 0], batch_size=3, shuffle=True)
    orders = []
    for _ in range(2):
        parts = list(source.epoch())
        for x, (y, twice), weight in parts:
            np.testing.assert_array_equal(x["a"], y)
            np.testing.assert_array_equal(2 * y, twice)
            np.testing.assert_array_equal(weight, y[:, 0])
        orders.append(np.concatenate([weight for *_, weight in parts]))
    assert (orders[0] != orders[1]).any()


SPLITS = [(0.2, 8), (0.5, 5), (0.25, 7), (0.01, 9), (0.85, 1)]


@pytest.mark.parametrize(("fraction", "first"), SPLITS)
def test_split_takes_the_last_rows(fraction, first):
    train, held_out = sources.train_validation_split((X, None, [X]), fraction)
    np.testing.assert_array_equal(train[0], X[:first])
    np.testing.assert_array_equal(held_out[2][0], X[first:])
    assert train[1] is None and held_out[1] is None


@pytest.mark.peers
@pytest.mark.parametrize(("fraction", "first"), SPLITS)
def test_split_equals_keras(fraction, first):
    pytest.importorskip("keras")
    from keras.src.trainers.data_adapters.array_slicing import train_validation_split

    assert len(train_validation_split((X,), fraction)[0][0]) == first


CONVERSIONS = [
    ([1, 2], (2,), "int64"), ([[1.0], [2.0]], (2, 1), "float32"), (np.ones(3, "float64"), (3,), "float32"),
    (np.ones(3, "int8"), (3,), "int8"), (np.ones(3, bool), (3,), "bool"), (np.ones(3, "float16"), (3,), "float16"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "shape", "dtype"), CONVERSIONS)
def test_conversion(value, shape, dtype):
    array = structure.arrays_of(value, "x")
    assert (array.shape, array.dtype) == (shape, dtype)


def test_lists_of_arrays_are_structures():
    assert [a.shape for a in structure.arrays_of([X, [[1.0]] * 10], "x")] == [(10, 1), (10, 1)]
    assert structure.arrays_of({"a": [1, 2], "b": (X,)}, "x")["a"].shape == (2,)


def test_iterators_go_on_and_iterables_start_anew():
    stream = sources.make_source(iter([X[:1], X[:2]]))
    assert (stream.restarts, len(list(stream.epoch())), len(list(stream.epoch()))) == (False, 2, 0)
    again = sources.make_source(map(np.asarray, []))
    assert again.batches is None
