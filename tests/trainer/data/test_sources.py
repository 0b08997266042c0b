"""Sources of batches, splits, and conversion of data."""

import threading

import numpy as np
import pytest

import sardonyx as sx
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


class Squares:
    """A dataset that notes which threads read it, and waits until as many read as it has workers."""

    def __init__(self, workers: int, ahead: int = 3, failing: int | None = None) -> None:
        self.workers, self.max_queue_size, self.failing = workers, ahead, failing
        self.meeting = threading.Barrier(workers, timeout=20)
        self.threads: set[int] = set()
        self.read: list[int] = []

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> np.ndarray:
        self.threads.add(threading.get_ident())
        if index < self.workers:
            self.meeting.wait()
        if index == self.failing:
            raise OSError(f"item {index} cannot be read")
        self.read.append(index)
        return np.full((2, 1), index**2, np.float32)

    def on_epoch_end(self) -> None:
        self.read.append(-1)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_fetch_ahead_and_in_order(workers):
    data = Squares(workers)
    found = [float(x[0, 0]) for x in sources.make_source(data).epoch()]
    assert found == [float(i**2) for i in range(12)]
    assert len(data.threads) == workers
    assert data.read[-1] == -1 and sorted(data.read) == list(range(-1, 12))
    assert threading.active_count() == 1


def test_errors_of_workers_come_where_their_item_is_due():
    epoch = sources.make_source(Squares(2, failing=5)).epoch()
    assert [float(next(epoch)[0, 0]) for _ in range(5)] == [0, 1, 4, 9, 16]
    with pytest.raises(OSError, match="item 5 cannot be read"):
        next(epoch)
    assert threading.active_count() == 1


def test_workers_stop_with_the_epoch():
    data = Squares(2, ahead=3)
    epoch = sources.make_source(data).epoch()
    next(epoch)
    epoch.close()
    assert threading.active_count() == 1
    assert max(data.read) <= 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": -1}, "workers must be a whole number of at least 0, got -1"),
        ({"workers": "two"}, "workers must be a whole number of at least 0, got 'two'"),
        ({"workers": True}, "workers must be a whole number of at least 0, got True"),
        ({"max_queue_size": 1.5}, "max_queue_size must be a whole number of at least 0, got 1.5"),
    ],
)
def test_a_dataset_refuses_what_is_no_number_of_workers(options, message):
    with pytest.raises(ValueError, match=message):
        sx.utils.PyDataset(**options)
