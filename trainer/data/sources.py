"""Sources of batches: arrays in memory, datasets with a length, and any iterable of batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any, Protocol

import numpy as np

from ..core import tree
from ..ops.seed import draw_seed
from .ahead import fetched_ahead
from .structure import arrays_of, check_same_length, pack_x_y_sample_weight, unpack_x_y_sample_weight


class Source(Protocol):
    """What the training loop needs of data."""

    batches: int | None

    def epoch(self) -> Iterator[Any]:
        """The batches of one pass, each x, (x, y) or (x, y, sample_weight) of arrays."""
        ...


class ArraySource:
    """Arrays in memory, cut into batches; shuffled anew every epoch by the global random generator.

    `shuffle` is True (samples), "batch" (whole batches) or False.
    """

    def __init__(
        self, x: Any, y: Any = None, sample_weight: Any = None, batch_size: int | None = None,
        shuffle: bool | str = False,
    ) -> None:  # fmt: skip
        self.batch_size = 32 if batch_size is None else batch_size
        kind = self.batch_size
        if isinstance(kind, bool) or not isinstance(kind, (int, np.integer)) or kind < 1:
            raise ValueError(f"batch_size must be a positive integer, got {batch_size!r}")
        if shuffle not in (True, False, "batch"):
            raise ValueError(f'shuffle must be True, False or "batch", got {shuffle!r}')
        self.x = arrays_of(x, "x")
        self.y = arrays_of(y, "y")
        self.sample_weight = arrays_of(sample_weight, "sample_weight")
        self.samples = check_same_length(x=self.x, y=self.y, sample_weight=self.sample_weight)
        self.shuffle = shuffle
        self.batches: int | None = -(-self.samples // self.batch_size)

    def epoch(self) -> Iterator[Any]:
        """Batches in order, or in a new random order; the last one may be smaller."""
        starts = np.arange(0, self.samples, self.batch_size)
        order = None
        if self.shuffle:
            generator = np.random.default_rng(np.asarray(draw_seed(None)).tolist())
            if self.shuffle == "batch":
                generator.shuffle(starts)
            else:
                order = generator.permutation(self.samples)
        data = pack_x_y_sample_weight(self.x, self.y, self.sample_weight)
        is_plain = type(data) is tuple and all(type(a) is np.ndarray for a in data)
        for start in starts:
            chosen: Any = slice(start, start + self.batch_size)
            if order is None:
                yield tree.map_structure(lambda a, at=chosen: None if a is None else a[at], data)
                continue
            chosen = order[chosen]
            if is_plain:
                yield tuple([a.take(chosen, 0) for a in data])
            else:
                yield tree.map_structure(lambda a, at=chosen: None if a is None else a[at], data)


class SequenceSource:
    """A dataset with a length and items that are batches (Keras name: `PyDataset`)."""

    def __init__(self, dataset: Any, shuffle: bool = False) -> None:
        self.dataset = dataset
        self.shuffle = shuffle
        count = getattr(dataset, "num_batches", None)
        self.batches: int | None = len(dataset) if count is None else count
        if self.batches == 0:
            raise ValueError(f"empty data: {type(dataset).__name__} has 0 batches")

    def epoch(self) -> Iterator[Any]:
        """Items in order, or shuffled; `on_epoch_begin` and `on_epoch_end` of the dataset are called."""
        order = np.arange(self.batches or 0)
        if self.shuffle:
            np.random.default_rng(np.asarray(draw_seed(None)).tolist()).shuffle(order)
        if hasattr(self.dataset, "on_epoch_begin"):
            self.dataset.on_epoch_begin()
        yield from self._items(order.tolist())
        if hasattr(self.dataset, "on_epoch_end"):
            self.dataset.on_epoch_end()


    def _items(self, order: list[int]) -> Iterator[Any]:
        """One item after the other, or ahead of time where the dataset asks for several workers."""
        workers = getattr(self.dataset, "workers", 1)
        if workers > 1:
            ahead = max(1, getattr(self.dataset, "max_queue_size", 1))
            return fetched_ahead(lambda i: convert_batch(self.dataset[i]), order, workers, ahead)
        return (convert_batch(self.dataset[i]) for i in order)


class IterableSource:
    """Any iterable of batches. One that starts anew each time (a DataLoader, a list) gives an epoch a pass; an iterator
    (a generator) goes on where it stopped."""

    def __init__(self, data: Iterable[Any]) -> None:
        self.data = data
        self.restarts = iter(data) is not data
        self.batches: int | None = len(data) if isinstance(data, Sized) else None
        self.running: Iterator[Any] | None = None if self.restarts else iter(data)

    def epoch(self) -> Iterator[Any]:
        """The batches of one pass."""
        for batch in self.running if self.running is not None else self.data:
            yield convert_batch(batch)


def convert_batch(batch: Any) -> Any:
    """A batch from elsewhere as arrays; lists of inputs, targets and weights count as tuples."""
    x, y, sample_weight = unpack_x_y_sample_weight(batch)
    parts = [arrays_of(part, "batch") for part in (x, y, sample_weight)]
    return pack_x_y_sample_weight(*parts)


def make_source(
    x: Any, y: Any = None, sample_weight: Any = None, batch_size: int | None = None, shuffle: bool | str = False
) -> Any:
    """The source for whatever a user passes to `fit`, `evaluate` or `predict`.

    Raises `ValueError` where arguments exclude each other (targets beside a dataset that brings its own), and
    `TypeError` for data of no known kind.
    """
    if x is None:
        raise ValueError("no data: x is None")
    if hasattr(x, "epoch") and hasattr(x, "batches"):
        return x
    is_dataset = hasattr(x, "__getitem__") and hasattr(x, "__len__") and hasattr(x, "on_epoch_end")
    is_stream = not is_dataset and _is_stream(x)
    if is_dataset or is_stream:
        if y is not None or sample_weight is not None:
            raise ValueError(
                f"x is a {type(x).__name__} that yields whole batches (x, y, sample_weight); y and sample_weight "
                "must not be given beside it"
            )
        return SequenceSource(x, bool(shuffle)) if is_dataset else IterableSource(x)
    return ArraySource(x, y, sample_weight, batch_size, shuffle)


def arrays_in_memory(source: Any) -> tuple[Any, Any, Any] | None:
    """All samples, targets and weights of a source that holds them as arrays."""
    source = source.source if isinstance(source, _ClassWeighted) else source
    return (source.x, source.y, source.sample_weight) if isinstance(source, ArraySource) else None


def _is_stream(x: Any) -> bool:
    if isinstance(x, (list, tuple, dict)) or hasattr(x, "shape") or hasattr(x, "to_numpy"):
        return False
    if isinstance(x, Iterable) and not isinstance(x, (str, bytes)):
        return True
    kind = type(x).__name__
    raise TypeError(f"data of type {kind}: expected arrays, a dataset, a generator or an iterable of batches")


def class_weighted(source: Any, class_weight: dict[int, float]) -> Any:
    """The same batches with sample weights from the classes of their labels; classes without an entry weigh 1.

    Raises `ValueError` unless class numbers are mapped to weights.
    """
    if not isinstance(class_weight, Mapping) or not class_weight:
        raise ValueError(f"class_weight: expected a dictionary from class numbers to weights, got {class_weight!r}")
    for label, weight in class_weight.items():
        if not isinstance(label, (int, np.integer)) or label < 0:
            raise ValueError(f"class_weight: the keys are class numbers, integers from 0; got {label!r}")
        if not isinstance(weight, (int, float, np.number)):
            raise ValueError(f"class_weight: the weight of class {label} must be a number, got {weight!r}")
    return _ClassWeighted(source, class_weight)


class _ClassWeighted:
    def __init__(self, source: Any, class_weight: dict[int, float]) -> None:
        self.source = source
        self.batches = source.batches
        self.table = np.ones(max(class_weight) + 1, np.float32)
        for label, weight in class_weight.items():
            self.table[label] = weight

    def epoch(self) -> Iterator[Any]:
        """Batches with weights."""
        for batch in self.source.epoch():
            x, y, sample_weight = unpack_x_y_sample_weight(batch)
            labels = _labels(y)
            weights = np.where(labels < len(self.table), self.table[np.minimum(labels, len(self.table) - 1)], 1.0)
            weights = weights.astype(np.float32)
            yield x, y, weights if sample_weight is None else weights * sample_weight


def _labels(y: Any) -> np.ndarray:
    """Class numbers of a batch, from class numbers or one-hot rows."""
    if tree.is_nested(y) or y is None:
        raise ValueError("class_weight works with a single array of labels; use sample_weight for several outputs")
    if y.ndim > 1 and y.shape[-1] > 1:
        return y.argmax(-1)
    labels = y.reshape(len(y))
    numbers = labels.astype(np.int64)
    if (numbers != labels).any() or (numbers < 0).any():
        raise ValueError("class_weight: the targets are no class numbers (integers from 0); use sample_weight instead")
    return numbers


def train_validation_split(arrays: Any, validation_split: float) -> tuple[Any, Any]:
    """The first and the last part of arrays; raises `ValueError` unless both get samples.

    Source: Keras takes the last samples, before any shuffling.
    """
    is_number = isinstance(validation_split, (int, float, np.number)) and not isinstance(validation_split, bool)
    if not is_number or not 0 < validation_split < 1:
        raise ValueError(f"validation_split must lie between 0 and 1, got {validation_split!r}")
    flat = [a for a in tree.flatten(arrays) if a is not None]
    if not all(hasattr(a, "shape") or isinstance(a, (list, tuple)) for a in flat):
        raise ValueError("validation_split needs arrays; pass validation_data with a dataset or generator")
    converted = tuple(arrays_of(part, "data") for part in arrays)
    samples = check_same_length(data=converted)
    at = int(samples * (1 - validation_split))
    if at in (0, samples):
        raise ValueError(f"validation_split={validation_split} of {samples} samples leaves one part without samples")
    return (
        tree.map_structure(lambda a: None if a is None else a[:at], converted),
        tree.map_structure(lambda a: None if a is None else a[at:], converted),
    )
