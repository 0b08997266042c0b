"""The bundled digits: what is in them, and that the split never changes."""

import hashlib

import numpy as np
import pytest

from sardonyx.trainer.data.datasets import digits

SCANS_PER_DIGIT = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
# Of the arrays that scikit-learn 1.9 returns from load_digits(), as uint8: images, then labels.
CONTENT_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


@pytest.fixture
def archive():
    with np.load(digits.FILE, allow_pickle=False) as file:
        return {name: file[name] for name in file}


def test_content_is_the_published_one(archive):
    content = archive["images"].tobytes() + archive["labels"].tobytes()
    assert hashlib.sha256(content).hexdigest() == CONTENT_SHA256


def test_shapes_and_types():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert x_train.shape == (1442, 8, 8) and y_train.shape == (1442,)
    assert x_test.shape == (355, 8, 8) and y_test.shape == (355,)
    assert {array.dtype for array in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert x_train.min() == x_test.min() == 0
    assert x_train.max() == x_test.max() == 16


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.2, 0.25, 0.5, 0.9, 0.99])
def test_split_is_stratified_and_complete(fraction):
    (x_train, y_train), (x_test, y_test) = digits.load_data(fraction)
    held_out = np.bincount(y_test, minlength=10)
    assert (np.bincount(y_train, minlength=10) + held_out).tolist() == SCANS_PER_DIGIT
    assert (np.abs(held_out - fraction * np.array(SCANS_PER_DIGIT)) < 1).all()
    # No two scans are equal, so a common one would stand in both parts.
    train, test = ({scan.tobytes() for scan in part} for part in (x_train, x_test))
    assert len(train) == len(x_train) and len(test) == len(x_test) and not train & test


@pytest.mark.parametrize("digit", range(10))
def test_every_fifth_scan_of_a_digit_is_held_out(archive, digit):
    scans = archive["images"][archive["labels"] == digit]
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    np.testing.assert_array_equal(x_test[y_test == digit], scans[4::5])
    np.testing.assert_array_equal(x_train[y_train == digit], np.delete(scans, np.s_[4::5], axis=0))


def test_same_data_every_time_and_in_the_hands_of_the_caller():
    first = digits.load_data()
    digits.load_data()[0][0][:] = 0
    for part, again in zip(first, digits.load_data(), strict=True):
        for array, same in zip(part, again, strict=True):
            np.testing.assert_array_equal(array, same)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 2, float("nan")])
def test_fraction_out_of_range(fraction):
    with pytest.raises(ValueError, match="between 0 and 1"):
        digits.load_data(fraction)


def test_fraction_that_holds_out_too_little():
    with pytest.raises(ValueError, match="holds out no scan of some digit"):
        digits.load_data(0.001)
