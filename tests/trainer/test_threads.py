"""Threads of matrix products."""

import pytest
import threadpoolctl

from sardonyx.trainer import threads


@pytest.fixture(autouse=True)
def restored():
    yield
    threads.set_blas_threads(1)


def in_use():
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}


def test_limit_holds_inside_only():
    before = in_use()
    threads.set_blas_threads(1)
    with threads.limited_threads():
        assert in_use() <= {1}
    assert in_use() == before


def test_none_leaves_things_alone():
    before = in_use()
    threads.set_blas_threads(None)
    with threads.limited_threads():
        assert in_use() == before


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2"])
def test_wrong_counts(count):
    with pytest.raises(ValueError, match="expected a positive integer or None"):
        threads.set_blas_threads(count)


def test_there_is_a_core():
    assert threads.available_cores() >= 1
