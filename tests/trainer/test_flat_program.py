"""Flat programs compute what their graph does, again and again, whatever memory results and views share."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.trainer import flat_large
from sardonyx.trainer.flat_program import FlatProgram
from sardonyx.trainer.ops import parallel

ops = sx.ops
random = np.random.default_rng(1)


def spec(*shape: Any, dtype: str = "float32") -> Any:
    return sx.TensorSpec(shape, dtype)


def residual(x: Any) -> Any:
    y = ops.relu(x * 2.0)
    z = y + 1.0
    return z * y, ops.sum(z, axis=0)


def twisted(x: Any) -> Any:
    y = x * 3.0
    return y + ops.transpose(y)  # in place, the second operand would change under the first


def viewed(x: Any) -> Any:
    y = ops.reshape(x + 1.0, (-1,))
    z = x * 5.0  # must not take the memory of what the view still shows
    return ops.reshape(y, (4, 4)) - z


def late_view(x: Any) -> Any:
    y = ops.exp(x * 0.1)
    part = y[1:3]  # the kernel of a slice gives a view of its input
    others = [ops.negative(x + float(i)) for i in range(3)]
    return part, others


def many(x: Any) -> Any:
    parts = ops.split(x * 2.0, 2, axis=1)
    return ops.concatenate([parts[1], parts[0]], axis=1), ops.max(x, axis=1), ops.argmax(x, axis=0)


PROGRAMS: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "residual": (residual, [spec(4, 5)]),
    "large rows": (residual, [spec(700, 70)]),
    "short rows": (residual, [spec(40000, 2)]),
    "twisted": (twisted, [spec(4, 4)]),
    "viewed": (viewed, [spec(4, 4)]),
    "late view": (late_view, [spec(4, 4)]),
    "many": (many, [spec(6, 8)]),
    "products": (lambda x, y: ops.matmul(ops.relu(ops.matmul(x, y)), ops.transpose(y)), [spec(9, 4), spec(4, 5)]),
    "rows of matrices": (lambda x, y: ops.matmul(x * 1.0, y), [spec(3, 9, 4), spec(4, 5)]),
    "stacks": (ops.matmul, [spec(3, 2, 4), spec(3, 4, 5)]),
    "numbers": (lambda x: ops.mean(x) * 2.0 + ops.sum(x), [spec(5, 3)]),
    "sums": (lambda x: [ops.sum(x * 1.0, axis=a) for a in (0, (0, 1), -1, None)], [spec(12, 3, 2)]),
    "means": (
        lambda x: [ops.mean(x * 1.0, axis=a, keepdims=k) for a in (0, None) for k in (False, True)], [spec(12, 3, 2)]
    ),
    "input": (lambda x: (x, ops.transpose(x), ops.convert_to_tensor([1.0, 2.0])), [spec(2, 3)]),
    "integers": (lambda x: (x // 2 + 1, ops.cast(x, "float32") / 2.0), [spec(5, dtype="int32")]),
    "nothing": (lambda x: ops.relu(x + 1.0), [spec(0, 3)]),
    "half": (lambda x: ops.relu(x * 2.0), [spec(3, 3, dtype="float16")]),
    "gated": (sx.grad(lambda v: ops.sum(ops.relu(v * 2.0) ** 2)), [spec(6, 5)]),
}  # fmt: skip


def arrays_for(specs: list[Any]) -> list[np.ndarray]:
    return [(random.standard_normal(s.shape) * 4).astype(s.dtype) for s in specs]


@pytest.mark.parametrize("name", PROGRAMS)
def test_results(name: str):
    function, specs = PROGRAMS[name]
    graph = sx.trace(function, *specs)
    program = FlatProgram(graph)
    for _ in range(3):
        arrays = arrays_for(specs)
        before = [a.copy() for a in arrays]
        program.run(arrays)
        wanted = sx.tree.flatten(function(*[ops.convert_to_tensor(a) for a in arrays]))
        for slot, expected in zip(program.results, wanted, strict=True):
            np.testing.assert_allclose(slot.array, np.asarray(expected), rtol=1e-6, atol=1e-6)
            assert slot.array.dtype == expected.dtype
        for a, b in zip(arrays, before, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("function", [lambda x: x * 2.0, lambda x: ops.transpose(x * 2.0), lambda x: ops.cumsum(x, 0),
                                      ops.relu, lambda x: ops.matmul(x, x)])  # fmt: skip
def test_results_in_given_memory(function: Callable[..., Any]):
    target = np.full((3, 3), np.nan, np.float32)
    program = FlatProgram(sx.trace(function, spec(3, 3)), {0: target})
    x = arrays_for([spec(3, 3)])[0]
    program.run([x])
    assert program.results[0].array is target
    np.testing.assert_allclose(target, np.asarray(function(ops.convert_to_tensor(x))), rtol=1e-6)


def test_variables_take_their_next_values_at_commit():
    total = sx.Variable(np.zeros(3, "float32"), trainable=False)

    def step(x: Any) -> Any:
        total.assign_add(ops.sum(x, axis=0))
        return total * 2.0

    program = FlatProgram(sx.trace(step, spec(2, 3)))
    for count in (1, 2):
        program.run([np.ones((2, 3), np.float32)])
        assert total.numpy().tolist() == [2.0 * (count - 1)] * 3
        program.commit()
        assert total.numpy().tolist() == [2.0 * count] * 3
        assert program.results[0].array.tolist() == [4.0 * count] * 3


def test_memory_serves_again_in_deep_graphs():
    def deep(x: Any) -> Any:
        for _ in range(50):
            x = ops.matmul(x, x) * 0.1
        return x

    program = FlatProgram(sx.trace(deep, spec(64, 64)))
    owned = {id(a.base if a.base is not None else a) for call in program.calls for a in _arrays(call)}
    assert len(owned) <= 6


def _arrays(call: Any) -> list[np.ndarray]:
    given = [*getattr(call, "args", ()), *getattr(call, "keywords", {}).values()]
    return [a for a in given if isinstance(a, np.ndarray) and a.size > 1]


def test_sizes_must_be_numbers():
    graph = sx.trace(lambda x: x + 1.0, spec("batch", 3))
    with pytest.raises(NotImplementedError, match="sizes that are numbers"):
        FlatProgram(graph)


LARGE: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "elementwise": (lambda x, y: ops.exp(x * 0.1) + y * ops.tanh(x), [spec(40, 50, 7), spec(7)]),
    "broadcast rows": (lambda x, y: (x * 2.0) - y, [spec(40, 50, 7), spec(1, 50, 7)]),
    "broadcast columns": (lambda x, y: (x * 2.0) - y, [spec(40, 50), spec(40, 1)]),
    "relu": (lambda x: ops.relu(x * 2.0), [spec(700, 70)]),
    "gated": (sx.grad(lambda v: ops.sum(ops.relu(v * 2.0) ** 2)), [spec(60, 65)]),
    "twisted": (twisted, [spec(65, 65)]),
    "few rows": (lambda x: ops.relu(x + 1.0) * x, [spec(2, 65)]),
    "products": (lambda x, y: ops.matmul(ops.relu(ops.matmul(x, y)), ops.transpose(y)), [spec(90, 40), spec(40, 50)]),
}


@pytest.mark.parametrize("name", LARGE)
def test_threads_change_no_bit(name: str, monkeypatch: pytest.MonkeyPatch):
    function, specs = LARGE[name]
    monkeypatch.setattr(flat_large, "SHARE", 1e-9)
    monkeypatch.setattr(parallel, "SHARE", 1e-9)
    program = FlatProgram(sx.trace(function, *specs))
    for _ in range(3):
        arrays, made = arrays_for(specs), []
        for threads in (1, 2, 3):
            with parallel.on_threads(threads):
                program.run(arrays)
                made.append([slot.array.copy() for slot in program.results])
        for others in made[1:]:
            for expected, result in zip(made[0], others, strict=True):
                np.testing.assert_array_equal(result, expected)
