"""No search for garbage while many objects are made, and everything as before afterwards."""

import gc

import pytest

import sardonyx as sx
from sardonyx.trainer.core.collection import uncollected


def test_no_search_inside_and_as_before_after():
    def fail() -> None:
        with uncollected():
            with uncollected():
                assert not gc.isenabled()
            assert not gc.isenabled()
            raise ValueError("stop")

    assert gc.isenabled()
    with pytest.raises(ValueError, match="stop"):
        fail()
    assert gc.isenabled()


def test_a_user_who_turned_it_off_finds_it_off():
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_functions_are_compiled_without():
    seen: list[bool] = []

    @sx.function
    def double(x):
        seen.append(gc.isenabled())
        return x + x

    for _ in range(2):
        double(sx.ops.ones((2,)))
    assert seen == [True, False] and gc.isenabled()
