"""The corpus: programs in plain Python are converted, every branch right, or refused; no value is ever frozen."""

import re
from pathlib import Path

import numpy as np
import pytest
from conversion_check import differences, lines_not_reached, outcome_of_gradient, outcome_of_graph, prepared, specs_of
from conversion_programs import branches, loops, models, refusals, values

import sardonyx as sx
from sardonyx.trainer.core.errors import DtypeError, ShapeError, SymbolicValueError

CONVERTED = [*branches.PROGRAMS, *loops.PROGRAMS, *values.PROGRAMS, *models.PROGRAMS]
REFUSED = refusals.PROGRAMS
KINDS = (SymbolicValueError, ShapeError, DtypeError, TypeError)


def named(programs):
    return [pytest.param(p, id=p.name) for p in programs]


def has_gradient(program):
    return program.gradient and any(x.dtype.kind == "f" for x in sx.tree.flatten(list(program.inputs[0])))


@pytest.mark.parametrize("program", named(p for p in CONVERTED if p.covers))
def test_inputs_take_every_branch(program):
    assert not lines_not_reached(program)


@pytest.mark.parametrize("program", named(CONVERTED))
def test_converted(program):
    assert not differences(outcome_of_graph(program), 1e-4)


@pytest.mark.parametrize("program", named(p for p in CONVERTED if has_gradient(p)))
def test_gradients_of_converted(program):
    assert not differences(outcome_of_gradient(program), 2e-4)


@pytest.mark.parametrize("program", named(REFUSED))
def test_refused(program):
    function = program.make()
    with pytest.raises(KINDS) as caught:
        sx.trace(function, *specs_of(program, function))
    message = str(caught.value)
    assert Path(refusals.__file__).name in message
    assert program.expression in message
    assert re.search(program.refused, message)


def test_size_of_the_corpus():
    names = [p.name for p in [*CONVERTED, *REFUSED]]
    assert len(names) == len(set(names))
    assert len(names) >= 60
    assert len(CONVERTED) >= 50


def test_a_frozen_value_would_be_seen():
    """What the corpus compares can differ: a graph that keeps the branch of its first input fails."""
    program = branches.PROGRAMS[0]
    taken = prepared(program)(sx.Tensor(program.inputs[0][0])).numpy()
    frozen = [([prepared(program)(sx.Tensor(x)).numpy()], [taken], [taken]) for (x,) in program.inputs]
    assert differences(frozen, 1e-4)
    assert not differences([(a, [np.array(a[0])], a) for a, _, _ in frozen], 1e-4)
