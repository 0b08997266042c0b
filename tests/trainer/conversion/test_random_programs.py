"""Random programs of nested branches and loops: the graph gives what Python gives, or the program is refused."""

import importlib.util

import numpy as np
import pytest
from random_programs import program_source

import sardonyx as sx
from sardonyx import ops


def agrees(seed, depth, folder):
    """Whether the graph of a random program gives what Python gives on random inputs; None where it is refused."""
    path = folder / f"program_{seed}.py"
    path.write_text(program_source(seed, depth))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    module.ops = ops
    spec.loader.exec_module(module)
    generator = np.random.default_rng(seed)
    try:
        graph = sx.trace(module.program, sx.TensorSpec(("n" if seed % 2 else 3,)), sx.TensorSpec((), "int32"))
    except (sx.SymbolicValueError, sx.ShapeError):
        return None
    for _ in range(6):
        x, n = generator.normal(size=3).astype(np.float32), np.array(generator.integers(0, 4), np.int32)
        expected = [np.asarray(v) for v in module.program(ops.convert_to_tensor(x), ops.convert_to_tensor(n))]
        pairs = zip(graph.run(x, n), expected, strict=True)
        if not all(np.allclose(a, b, 1e-3, 1e-3) or np.abs(b).max() > 1e6 for a, b in pairs):
            return False
    return True


@pytest.mark.parametrize("first", range(0, 30, 10))
def test_random_programs(first, tmp_path):
    found = [agrees(seed, 2, tmp_path) for seed in range(first, first + 10)]
    assert False not in found
    assert found.count(True) >= 6


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(1000, 2000, 100))
def test_many_random_programs(first, tmp_path):
    assert [seed for seed in range(first, first + 100) if agrees(seed, 2, tmp_path) is False] == []
