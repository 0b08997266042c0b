"""Handwritten digits: 1,797 scans of 8 x 8 pixels from 13 writers."""

from pathlib import Path
from typing import TypeAlias

import numpy as np

Split: TypeAlias = tuple[np.ndarray, np.ndarray]

FILE = Path(__file__).with_name("digits.npz")
_CLASSES = 10


def load_data(test_fraction: float = 0.2) -> tuple[Split, Split]:
    """Load the digits, split the same way every time: `(x_train, y_train), (x_test, y_test)`.

    Each class is split by itself, so that both parts hold the ten digits in the proportions of the whole.
    Within a class the test scans lie evenly spread: at 0.2, every fifth one. Both parts keep the order of
    the original file; shuffle before training (`fit` does).

    Args:
        test_fraction: the part of each class to hold out, above 0 and below 1.

    Returns:
        Two pairs of arrays. `x`: uint8, shape `(scans, 8, 8)`, 0 (paper) to 16 (ink); each value counts
        the inked pixels of a 4 x 4 block of the scan. `y`: uint8, shape `(scans,)`, the digit, 0 to 9.

    Raises:
        ValueError: if `test_fraction` does not lie between 0 and 1, or is too small to hold out a scan of every digit.

    Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, test part,
    UCI Machine Learning Repository, https://doi.org/10.24432/C50P49 (CC BY 4.0).

    >>> import sardonyx as sx
    >>> (x_train, y_train), (x_test, y_test) = sx.datasets.digits.load_data()
    >>> x_train.shape, x_test.shape
    ((1442, 8, 8), (355, 8, 8))
    >>> y_test[:12].tolist()
    [5, 0, 9, 8, 7, 1, 2, 6, 3, 4, 0, 2]
    """
    if not 0 < test_fraction < 1:
        raise ValueError(
            f"digits.load_data: expected test_fraction between 0 and 1 (0.2 holds out a fifth), got {test_fraction!r}"
        )
    with np.load(FILE, allow_pickle=False) as archive:
        images, labels = archive["images"], archive["labels"]
    held_out = _held_out(labels, test_fraction)
    if np.unique(labels[held_out]).size < _CLASSES:
        raise ValueError(
            f"digits.load_data: test_fraction={test_fraction!r} holds out no scan of some digit; "
            "a digit has about 180 scans, choose a fraction such as 0.2"
        )
    return (images[~held_out], labels[~held_out]), (images[held_out], labels[held_out])


def _held_out(labels: np.ndarray, fraction: float) -> np.ndarray:
    """Mark the labels that go to the test part: in each class, wherever `fraction * count` passes a whole number."""
    mask = np.zeros(labels.shape, dtype=bool)
    for digit in range(_CLASSES):
        places = np.flatnonzero(labels == digit)
        passed = np.floor(np.arange(places.size + 1) * fraction)
        mask[places] = np.diff(passed) > 0
    return mask
