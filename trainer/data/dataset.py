"""Datasets with a length, and small helpers for labels and sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.dtypes import as_dtype


class PyDataset:
    """Base of datasets whose items are batches; subclasses write `__len__` and `__getitem__` (Keras name: `PyDataset`).

    `on_epoch_begin` and `on_epoch_end` are called around each pass. With several `workers`, as many threads fetch up to
    `max_queue_size` items ahead while a step computes; what `__getitem__` reads must then bear being read by several at
    once. `use_multiprocessing` is accepted and makes no difference: threads serve, for NumPy and files let others run.
    Raises `ValueError` for numbers below 0.

    >>> import numpy as np, sardonyx as sx
    >>> class Ones(sx.utils.PyDataset):
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, index):
    ...         return np.ones((4, 3)), np.ones((4, 1))
    >>> len(Ones())
    2
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        for name, value in (("workers", workers), ("max_queue_size", max_queue_size)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"PyDataset: {name} must be a whole number of at least 0, got {value!r}")
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """The batch of an index."""
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__(index)")

    def __len__(self) -> int:
        """Number of batches."""
        raise NotImplementedError(f"{type(self).__name__} does not define __len__()")

    def on_epoch_begin(self) -> None:
        """Called before each pass."""

    def on_epoch_end(self) -> None:
        """Called after each pass."""


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Integer labels as rows with a single one; raises `ValueError` for labels outside of the classes.

    >>> import sardonyx as sx
    >>> sx.utils.to_categorical([0, 2]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    labels = np.asarray(x)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if labels.size and (labels.dtype.kind not in "iub" and not np.array_equal(labels, labels.astype(np.int64))):
        raise ValueError(f"to_categorical: labels must be whole numbers, got dtype {labels.dtype}")
    labels = labels.astype(np.int64)
    count = num_classes or (int(labels.max()) + 1 if labels.size else 0)
    if labels.size and not (labels.min() >= 0 and labels.max() < count):
        raise ValueError(f"to_categorical: labels must lie in 0 to {count - 1}, got {labels.min()} to {labels.max()}")
    return (labels[..., None] == np.arange(count)).astype(np.float32)


def pad_sequences(
    sequences: Sequence[Sequence[Any]],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences of different lengths as one array, filled up and cut "pre" (in front) or "post".

    >>> import sardonyx as sx
    >>> sx.utils.pad_sequences([[1], [2, 3]], padding="post").tolist()
    [[1, 0], [2, 3]]
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f'pad_sequences: {name} must be "pre" or "post", got {side!r}')
    arrays = [np.asarray(s) for s in sequences]
    length = maxlen if maxlen is not None else max((len(a) for a in arrays), default=0)
    sample = next((a.shape[1:] for a in arrays if len(a)), ())
    result = np.full((len(arrays), length, *sample), value, as_dtype(dtype))
    for row, array in zip(result, arrays, strict=True):
        if array.shape[1:] != sample and len(array):
            raise ValueError(f"pad_sequences: expected items of shape {sample}, got {array.shape[1:]}")
        cut = array[len(array) - length :] if truncating == "pre" and len(array) > length else array[:length]
        if len(cut):
            row[(length - len(cut)) if padding == "pre" else 0 :][: len(cut)] = cut
    return result


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray:
    """Vectors along an axis divided by their norm; zero vectors stay."""
    array = np.asarray(x, np.float64 if np.asarray(x).dtype == np.float64 else np.float32)
    norms = np.linalg.norm(array, order, axis, keepdims=True)
    return array / np.where(norms == 0, 1, norms)


def timeseries_windows(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Sliding windows over time, and the target of each window.

    >>> from sardonyx.trainer.data.dataset import timeseries_windows
    >>> timeseries_windows([1, 2, 3, 4], [10, 20, 30, 40], 2)[0].tolist()
    [[1, 2], [2, 3], [3, 4]]
    """
    array = np.asarray(data)
    span = (sequence_length - 1) * sampling_rate + 1
    if sequence_length < 1 or span > len(array):
        raise ValueError(
            f"timeseries_windows: sequence_length={sequence_length} with sampling_rate={sampling_rate} spans {span} "
            f"steps, "
            f"the data has {len(array)}"
        )
    starts = np.arange(0, len(array) - span + 1, sequence_stride)
    if targets is not None:
        starts = starts[starts < len(targets)]
    windows = array[starts[:, None] + np.arange(sequence_length) * sampling_rate]
    return windows, None if targets is None else np.asarray(targets)[starts]
