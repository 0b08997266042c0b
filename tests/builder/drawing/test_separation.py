"""The projection onto distances, against a slow independent solver of the same quadratic problem."""

import numpy as np
import pytest

from sardonyx.builder.drawing.separation import Separation


def alternating_projections(wanted, weights, constraints):
    """Dykstra's algorithm (1983): exact in the limit."""
    x = wanted.copy()
    corrections = [np.zeros(2) for _ in constraints]
    for _ in range(800):
        for index, (left, right, gap) in enumerate(constraints):
            y = x[[left, right]] + corrections[index]
            lack = max(0.0, gap - (y[1] - y[0]))
            inverse = 1 / weights[[left, right]]
            moved = y + np.array([-1, 1]) * inverse * lack / inverse.sum()
            corrections[index] = y - moved
            x[[left, right]] = moved
    return x


@pytest.mark.parametrize("seed", range(5))
def test_projection(seed):
    random = np.random.default_rng(seed)
    count = 8
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count) if random.random() < 0.35]
    constraints = [(a, b, float(random.uniform(1, 3))) for a, b in pairs]
    weights = random.uniform(0.5, 3, count)
    separation = Separation(count, constraints, weights.tolist())
    # One object, several wishes: it starts from its last solution, which must not show.
    for _ in range(3):
        wanted = random.normal(0, 4, count)
        expected = alternating_projections(wanted, weights, constraints)
        np.testing.assert_allclose(separation.project(wanted), expected, atol=2e-3)


def test_what_satisfies_the_distances_stays():
    separation = Separation(3, [(0, 1, 1.0), (1, 2, 1.0)], [1.0, 1.0, 1.0])
    np.testing.assert_array_equal(separation.project(np.array([0.0, 2.0, 4.0])), [0, 2, 4])
