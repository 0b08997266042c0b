"""ONNX's own node cases as the oracle of the recurrent operations and attention's softmax form."""

from typing import Any

import numpy as np
import pytest
from onnx_oracle import node_cases

from sardonyx import ops

GATES = {"LSTM": [0, 2, 3, 1], "GRU": [0, 1, 2], "RNN": [0]}
"""Where ONNX keeps each of Keras's gates: i, f, c, o among i, o, f, c; z, r, h as they are."""


def reordered(weights: np.ndarray, order: list[int]) -> np.ndarray:
    """ONNX's (gates * units, columns) as Keras's (columns, gates * units)."""
    parts = np.split(weights, len(order), axis=0)
    return np.concatenate([parts[i] for i in order], axis=0).T


def applicable(model: Any) -> bool:
    """One direction, default activations, no peepholes, no lengths."""
    node = model.graph.node[0]
    names = {a.name for a in node.attribute}
    given = [name for name in node.input[4:] if name]
    return not names & {"direction", "activations", "clip", "linear_before_reset", "input_forget"} and not given


def run(operator: str, model: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Our operation on ONNX's inputs: sequence and last states in ONNX's axes."""
    node = model.graph.node[0]
    order = GATES[operator]
    batch_first = any(a.name == "layout" and a.i == 1 for a in node.attribute)
    x = inputs[0] if batch_first else inputs[0].swapaxes(0, 1)
    kernel, recurrent = reordered(inputs[1][0], order), reordered(inputs[2][0], order)
    bias = None
    if len(inputs) > 3:
        both = np.split(inputs[3][0], 2)
        bias = np.concatenate([(both[0] + both[1]).reshape(len(order), -1)[i] for i in order])
    if operator == "LSTM":
        results = ops.lstm(x, None, None, None, kernel, recurrent, bias)
    elif operator == "GRU":
        results = ops.gru(x, None, None, kernel, recurrent, bias, reset_after=False)
    else:
        results = ops.simple_rnn(x, None, None, kernel, recurrent, bias)
    sequence, *states = (np.asarray(r) for r in results)
    if batch_first:
        return [sequence[:, :, None, :], *(s[:, None, :] for s in states)]
    return [sequence.swapaxes(0, 1)[:, None], *(s[None] for s in states)]


CASES = [(operator, case) for operator in GATES for case in node_cases([operator]) if applicable(case.model)]


def test_there_are_cases():
    assert {operator for operator, _ in CASES} == set(GATES)


@pytest.mark.parametrize(("operator", "case"), [pytest.param(o, c, id=c.name) for o, c in CASES])
def test_case(operator: str, case: Any):
    inputs, outputs = case.data_sets[0]
    found = run(operator, case.model, list(inputs))
    named = [i for i, name in enumerate(case.model.graph.node[0].output) if name]
    for place, expected in zip(named, outputs, strict=True):
        np.testing.assert_allclose(found[place], expected, rtol=1e-5, atol=1e-6)
