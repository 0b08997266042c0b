"""One table line checks an operation: forward, gradients of two orders, and the same from onnxruntime.

A case names an operation, its inputs by shape (or as arrays) and an independent reference. From it follow the checks
of `CHECKS`: the value in float32 and float64, gradients against finite differences in float64, and the forward and
gradient graphs in onnxruntime, with a static and with a symbolic first axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import run_graph

CHECKS = ("forward", "gradient", "second_order", "onnx", "onnx_symbolic", "onnx_gradient", "onnx_gradient_symbolic")


@dataclass(frozen=True)
class Case:
    """One line of a table; see `case`."""

    name: str
    function: Callable[..., Any]
    reference: Callable[..., Any] | None
    inputs: tuple[Any, ...]
    low: float
    high: float
    dtype: str
    gradient: tuple[bool, ...] | bool
    second_order: bool
    onnx: bool
    onnx_gradient: bool
    symbolic: bool
    tolerance: float
    gradient_tolerance: float
    skip: tuple[str, ...] = field(default=())

    def arrays(self, dtype: str | None = None) -> list[np.ndarray]:
        """The inputs: given arrays as they are (floating ones in `dtype`), shapes filled with seeded random numbers."""
        generator = np.random.default_rng(20261122)
        made = []
        for item in self.inputs:
            if isinstance(item, tuple) and all(isinstance(size, int) for size in item):
                array = generator.uniform(self.low, self.high, item)
                made.append(array.astype(dtype or self.dtype))
            else:
                array = np.asarray(item)
                made.append(array.astype(dtype or self.dtype) if array.dtype.kind == "f" else array)
        return made

    def differentiable(self) -> list[int]:
        """Positions of the inputs whose gradient is checked."""
        arrays = self.arrays()
        if isinstance(self.gradient, bool):
            return [i for i, a in enumerate(arrays) if a.dtype.kind == "f"] if self.gradient else []
        return [i for i, wanted in enumerate(self.gradient) if wanted]


def case(
    name: str,
    function: Callable[..., Any],
    reference: Callable[..., Any] | None,
    *inputs: Any,
    low: float = -2.0,
    high: float = 2.0,
    dtype: str = "float32",
    gradient: tuple[bool, ...] | bool = True,
    second_order: bool = True,
    onnx: bool = True,
    onnx_gradient: bool = True,
    symbolic: bool = True,
    tolerance: float = 1e-5,
    gradient_tolerance: float = 1e-4,
    skip: Sequence[str] = (),
) -> Case:
    """A table line. `inputs`: tuples of ints are shapes of random inputs in [low, high); anything else is an array.

    `gradient`: whether (or which inputs) to differentiate. `symbolic`: whether the first axis of every input of rank
    >= 1 that shares the first input's first size may be symbolic. `reference`: NumPy arrays to array(s); None where
    the result is random (then only shape and dtype are compared between engines).
    """
    return Case(
        name, function, reference, inputs, low, high, dtype, gradient, second_order, onnx, onnx_gradient, symbolic,
        tolerance, gradient_tolerance, tuple(skip),
    )  # fmt: skip


def generated(cases: Sequence[Case]) -> list[Any]:
    """All checks that apply to all cases, as parameters for `pytest.mark.parametrize("item,check", ...)`."""
    import pytest

    return [pytest.param(c, k, id=f"{c.name}-{k}") for c in cases for k in CHECKS if applies(c, k)]


def applies(item: Case, check: str) -> bool:
    """Whether a check makes sense for a case."""
    if check in item.skip:
        return False
    differentiable = bool(item.differentiable())
    return {
        "forward": True,
        "gradient": differentiable,
        "second_order": differentiable and item.second_order,
        "onnx": item.onnx,
        "onnx_symbolic": item.onnx and item.symbolic,
        "onnx_gradient": item.onnx and item.onnx_gradient and differentiable,
        "onnx_gradient_symbolic": item.onnx and item.onnx_gradient and differentiable and item.symbolic,
    }[check]


def check_case(item: Case, check: str) -> None:
    """Run one check; raises AssertionError with both values where they differ."""
    if check == "forward":
        check_forward(item)
    elif check == "gradient":
        check_gradient(item)
    elif check == "second_order":
        check_second_order(item)
    else:
        check_onnx(item, with_gradient="gradient" in check, symbolic=check.endswith("symbolic"))


def leaves(result: Any) -> list[np.ndarray]:
    """Results as arrays."""
    return [np.asarray(x) for x in sx.tree.flatten(result)]


def check_forward(item: Case) -> None:
    """Eager values against the reference, for each floating-point type, and dtype kept."""
    for dtype in (item.dtype, "float64") if item.dtype == "float32" else (item.dtype,):
        arrays = item.arrays(dtype)
        results = leaves(item.function(*[ops.convert_to_tensor(a) for a in arrays]))
        inferred = sx.trace(item.function, *[sx.TensorSpec(a.shape, a.dtype) for a in arrays])
        for symbol, result in zip(sx.tree.flatten(inferred.outputs), results, strict=True):
            assert symbol.dtype == result.dtype, f"{item.name}: inferred {symbol.dtype}, computed {result.dtype}"
            fits = len(symbol.shape) == result.ndim and all(
                a == b for a, b in zip(symbol.shape, result.shape, strict=True) if isinstance(a, int)
            )
            assert fits, f"{item.name}: inferred {symbol.shape}, computed {result.shape}"
        if item.reference is None:
            continue
        expected = leaves(item.reference(*arrays))
        assert len(expected) == len(results)
        for a, b in zip(results, expected, strict=True):
            assert a.shape == b.shape, f"{item.name}: shape {a.shape}, expected {b.shape}"
            assert (a.dtype.kind in "bui") == (b.dtype.kind in "bui"), f"{item.name}: {a.dtype}, expected {b.dtype}"
            np.testing.assert_allclose(a, b, rtol=item.tolerance, atol=item.tolerance)


def scalar_function(item: Case) -> Callable[..., Any]:
    """The case's function with its floating results folded to one number by fixed random weights."""

    def function(*tensors: Any) -> Any:
        total: Any = 0.0
        for i, leaf in enumerate(sx.tree.flatten(item.function(*tensors))):
            if leaf.dtype.kind == "f":
                weights = _weights(leaf, i)
                total = ops.sum_to(ops.reshape(leaf, (-1,)) * weights, ()) + total if leaf.shape else leaf * 1.3 + total
        return total

    return function


def _weights(leaf: Any, seed: int) -> Any:
    """Weights 1 + sin(k): fixed, different for each element, and computable for a symbolic size."""
    count = ops.reshape(leaf, (-1,)).shape[0]
    return ops.cast(ops.sin(ops.cast(ops.arange(count), "float64") * 0.7 + float(seed)) * 0.5 + 1.0, leaf.dtype)


def gradients_of(item: Case) -> Callable[..., list[Any]]:
    """A function that returns the gradient of `scalar_function` for each differentiable input."""
    positions, function = item.differentiable(), scalar_function(item)

    def gradient(*tensors: Any) -> list[Any]:
        with sx.GradientTape() as tape:
            tape.watch([tensors[i] for i in positions])
            value = function(*tensors)
        return tape.gradient(value, [tensors[i] for i in positions], unconnected_gradients="zero")

    return gradient


def check_gradient(item: Case) -> None:
    """Gradients against central differences in float64, along random directions and per element for small inputs."""
    arrays = item.arrays("float64")
    function = scalar_function(item)
    computed = [np.asarray(g) for g in gradients_of(item)(*_tensors(arrays))]
    compare_with_differences(item, computed, lambda *a: float(np.asarray(function(*_tensors(a)))), arrays)


def check_second_order(item: Case) -> None:
    """The gradient of a random combination of the gradients, against central differences of the gradients."""
    arrays = item.arrays("float64")
    gradient, positions = gradients_of(item), item.differentiable()
    generator = np.random.default_rng(3)
    directions = [generator.standard_normal(arrays[i].shape) for i in positions]

    def slope(*tensors: Any) -> Any:
        total: Any = 0.0
        for g, d in zip(gradient(*tensors), directions, strict=True):
            product = g * ops.convert_to_tensor(d)
            total = ops.sum_to(product, ()) + total
        return total

    with sx.GradientTape() as tape:
        tensors = _tensors(arrays)
        tape.watch([tensors[i] for i in positions])
        value = slope(*tensors)
    computed = tape.gradient(value, [tensors[i] for i in positions], unconnected_gradients="zero")
    compare_with_differences(
        item, [np.asarray(g) for g in computed], lambda *a: float(np.asarray(slope(*_tensors(a)))), arrays
    )


def _tensors(arrays: Sequence[np.ndarray]) -> list[Any]:
    return [sx.Tensor(np.array(a)) for a in arrays]


def compare_with_differences(
    item: Case, computed: list[np.ndarray], function: Callable[..., float], arrays: list[np.ndarray], step: float = 1e-6
) -> None:
    """Directional derivatives of `function` against the computed gradients: 4 random directions, 4 single elements."""
    generator = np.random.default_rng(11)
    for gradient, position in zip(computed, item.differentiable(), strict=True):
        array = arrays[position]
        assert gradient.shape == array.shape, f"{item.name}: gradient {gradient.shape} of an input {array.shape}"
        directions = [generator.standard_normal(array.shape) for _ in range(4)]
        for flat in generator.permutation(array.size)[:4]:
            single = np.zeros(array.size)
            single[flat] = 1.0
            directions.append(single.reshape(array.shape))
        for direction in directions:
            up, down = list(arrays), list(arrays)
            up[position], down[position] = array + step * direction, array - step * direction
            numeric = (function(*up) - function(*down)) / (2 * step)
            analytic = float((gradient * direction).sum())
            assert abs(analytic - numeric) <= item.gradient_tolerance * max(1.0, abs(numeric)), (
                f"{item.name}: gradient of input {position}: {analytic}, finite differences {numeric}"
            )


def check_onnx(item: Case, with_gradient: bool, symbolic: bool) -> None:
    """The traced graph gives the same in onnxruntime as in NumPy, and as eagerly."""
    arrays = item.arrays()
    function = gradients_of(item) if with_gradient else item.function
    leading = next((a.shape[0] for a in arrays if a.ndim), None)
    specs = []
    for a in arrays:
        free = symbolic and a.ndim > 0 and a.shape[0] == leading and leading > 1
        specs.append(sx.TensorSpec(("batch", *a.shape[1:]) if free else a.shape, a.dtype))
    graph = sx.trace(function, *specs)
    eager = leaves(function(*_tensors(arrays)))
    on_numpy = leaves(graph.run(*arrays))
    on_runtime = run_graph(graph, *arrays)
    for a, b, c in zip(eager, on_numpy, on_runtime, strict=True):
        assert a.shape == b.shape == c.shape, f"{item.name}: shapes {a.shape}, {b.shape}, onnxruntime {c.shape}"
        assert a.dtype == b.dtype == c.dtype, f"{item.name}: dtypes {a.dtype}, {b.dtype}, onnxruntime {c.dtype}"
        if item.reference is not None:
            np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-6)
            scale = max(1.0, float(np.abs(a[np.isfinite(a)]).max(initial=0.0))) if a.dtype.kind == "f" else 1.0
            np.testing.assert_allclose(c, a, rtol=10 * item.tolerance, atol=2 * item.tolerance * scale)
