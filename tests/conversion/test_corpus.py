"""The corpus: programs in plain Python are converted, every branch right, or refused; no value is ever frozen."""

import pytest
from conversion_check import lines_not_reached
from conversion_programs import branches, loops, models, values

CONVERTED = [*branches.PROGRAMS, *loops.PROGRAMS, *values.PROGRAMS, *models.PROGRAMS]


def named(programs):
    return [pytest.param(p, id=p.name) for p in programs]


@pytest.mark.parametrize("program", named(p for p in CONVERTED if p.covers))
def test_inputs_take_every_branch(program):
    assert not lines_not_reached(program)
