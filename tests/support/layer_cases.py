"""One table line checks a layer: symbolic and eager calls, configuration, engines, gradients, and Keras's layer.

A case names a layer by class, its configuration, and its inputs by shape (or as arrays). The same class name and
configuration make the Keras layer it is compared with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.exporters.convert import run_graph

CHECKS = ("symbolic", "weights", "config", "engines", "engines_training", "free", "gradient", "peers", "peers_training")


@dataclass(frozen=True)
class LayerCase:
    """One line of a table; see `layer_case`."""

    kind: str
    config: Mapping[str, Any]
    inputs: Any
    shape: tuple[Any, ...]
    weights: Mapping[str, tuple[int, ...]]
    training: str
    free: tuple[int, ...]
    arguments: Mapping[str, Any]
    skip: tuple[str, ...]
    low: float
    high: float
    tolerance: float
    label: str

    def make(self, **more: Any) -> Any:
        """The layer."""
        return getattr(sx.layers, self.kind)(**{**self.config, **more})

    def arrays(self, dtype: str = "float32") -> Any:
        """The inputs: arrays as given, shapes filled with seeded numbers; a list where the layer takes one."""
        generator = np.random.default_rng(20261122)

        def fill(item: Any) -> np.ndarray:
            if isinstance(item, tuple):
                return generator.uniform(self.low, self.high, item).astype(dtype)
            array = np.asarray(item)
            return array.astype(dtype) if array.dtype.kind == "f" else array

        return [fill(x) for x in self.inputs] if isinstance(self.inputs, list) else fill(self.inputs)

    def ready(self, **more: Any) -> Any:
        """The layer, built, with seeded weights (so that zero biases cannot hide anything)."""
        layer = self.make(**more)
        layer(self.arrays(more.get("dtype", "float32")), **self.arguments)
        generator = np.random.default_rng(7)
        for variable in layer.weights:
            if variable.dtype.kind == "f":
                low, high = (0.5, 1.5) if "variance" in variable.name else (-1.0, 1.0)
                variable.assign(generator.uniform(low, high, variable.shape).astype(variable.dtype))
        return layer


def layer_case(
    kind: str,
    config: Mapping[str, Any] | None = None,
    inputs: Any = (2, 3),
    shape: tuple[Any, ...] = (2, 3),
    weights: Mapping[str, tuple[int, ...]] | None = None,
    *,
    training: str = "equal",
    free: Sequence[int] = (),
    arguments: Mapping[str, Any] | None = None,
    skip: Sequence[str] = (),
    low: float = -2.0,
    high: float = 2.0,
    tolerance: float = 1e-5,
    label: str = "",
) -> LayerCase:
    """A table line.

    inputs: a tuple of ints is the shape of a random input in [low, high), a list holds several inputs, else an array.
    shape, weights: what is expected of the output and of the weights, by name.
    training: "equal" (as in inference), "own" (deterministic, but another computation) or "random".
    free: axes besides the batch that may be of any size. arguments: more arguments of the call.
    """
    return LayerCase(
        kind, config or {}, inputs, shape, weights or {}, training, tuple(free), arguments or {}, tuple(skip), low,
        high, tolerance, label,
    )  # fmt: skip


def generated(cases: Sequence[LayerCase]) -> list[Any]:
    """All checks that apply to all cases, for `pytest.mark.parametrize(("item", "check"), ...)`."""
    parameters = []
    for item in cases:
        text = item.label or "-".join(f"{k}={v}" for k, v in item.config.items())
        for check in CHECKS:
            if applies(item, check):
                marks = [pytest.mark.peers] if check.startswith("peers") else []
                parameters.append(pytest.param(item, check, id=f"{item.kind}-{text}-{check}"[:120], marks=marks))
    return parameters


def applies(item: LayerCase, check: str) -> bool:
    """Whether a check makes sense for a case."""
    whole = check.removesuffix("_training")
    needs_mode = check.endswith("_training") and (
        item.training == "equal" or (whole == "peers" and item.training == "random")
    )
    return not (check in item.skip or whole in item.skip or needs_mode or (check == "free" and not item.free))


def check_layer(item: LayerCase, check: str) -> None:
    """Run one check."""
    {
        "symbolic": check_symbolic, "weights": check_weights, "config": check_config, "gradient": check_gradient,
        "free": check_free, "engines": check_engines, "engines_training": lambda x: check_engines(x, True),
        "peers": check_peers, "peers_training": lambda x: check_peers(x, True),
    }[check](item)  # fmt: skip


def mapped(function: Any, inputs: Any) -> Any:
    """A function applied to the input, or to each of several."""
    return [function(x) for x in inputs] if isinstance(inputs, list) else function(inputs)


def check_symbolic(item: LayerCase) -> None:
    """A call on symbolic inputs with a free batch, `compute_output_shape` and an eager call agree."""
    arrays = item.arrays()
    layer = item.make()
    output = layer(mapped(lambda a: sx.Input(a.shape[1:], dtype=str(a.dtype)), arrays), **item.arguments)
    assert layer.built
    plain = tuple(size if isinstance(size, int) else None for size in output.shape)
    expected = (None, *item.shape[1:])
    assert plain == expected, f"symbolic shape {plain}, expected {expected}"
    eager = layer(arrays, **item.arguments)
    assert tuple(eager.shape) == item.shape, f"eager shape {tuple(eager.shape)}, expected {item.shape}"
    assert eager.dtype == output.dtype
    if not item.arguments:
        given = mapped(lambda a: (None, *a.shape[1:]), arrays)
        if mapped(lambda a: a.dtype.kind == "f", arrays) in (True, [True] * len(arrays)):
            assert tuple(layer.compute_output_shape(given)) == expected


def check_weights(item: LayerCase) -> None:
    """Names, shapes and number of the weights."""
    layer = item.ready()
    assert {v.name: tuple(v.shape) for v in layer.weights} == dict(item.weights)
    assert layer.count_params() == sum(int(np.prod(s)) for s in item.weights.values())
    for variable in layer.weights:
        assert variable.path.endswith(f"{layer.name}/{variable.name}")


def check_config(item: LayerCase) -> None:
    """Through JSON and back: the same configuration, and with the same weights the same outputs."""
    layer = item.ready()
    twin = sx.layers.deserialize(json.loads(json.dumps(sx.layers.serialize(layer))))
    assert type(twin) is type(layer)
    assert twin.get_config() == layer.get_config()
    for name, value in item.config.items():
        assert name in layer.get_config() or value is None, f"{name} is not in the configuration"
    arrays = item.arrays()
    twin(arrays, **item.arguments)
    twin.set_weights(layer.get_weights())
    for training in (False, True) if item.training != "random" else (False,):
        values = [np.asarray(x(arrays, training=training, **item.arguments)) for x in (layer, twin)]
        np.testing.assert_array_equal(*values)


def _rewind(layer: Any, weights: list[np.ndarray]) -> None:
    """Weights and random generators as they were."""
    layer.set_weights(weights)
    for part in layer.walk_layers():
        if hasattr(part, "seed_generator"):
            part.seed_generator.reset()


def check_engines(item: LayerCase, training: bool = False, free: Sequence[int] = ()) -> None:
    """Eagerly, as a graph on NumPy and in onnxruntime: the same, and the same state afterwards."""
    layer = item.ready(**({"seed": 3} if item.training == "random" else {}))
    arrays, weights = item.arrays(), layer.get_weights()

    def function(x: Any) -> Any:
        return layer(x, training=training, **item.arguments)

    def spec(a: np.ndarray) -> Any:
        names = {} if item.arguments else {0: "batch"}
        names |= {axis: f"size_{axis}" for axis in free}
        return sx.TensorSpec(tuple(names.get(i, size) for i, size in enumerate(a.shape)), a.dtype)

    graph = sx.trace(function, mapped(spec, arrays))
    flat = arrays if isinstance(arrays, list) else [arrays]
    _rewind(layer, weights)
    on_runtime = run_graph(graph, *flat)[0]
    on_numpy = np.asarray(graph.run(*flat))
    after_graph = layer.get_weights()
    _rewind(layer, weights)
    eager = np.asarray(function(arrays))
    after_eager = layer.get_weights()
    assert eager.shape == on_numpy.shape == on_runtime.shape
    assert eager.dtype == on_numpy.dtype == on_runtime.dtype
    np.testing.assert_allclose(on_numpy, eager, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(on_runtime, eager, rtol=1e-4, atol=2e-5)
    for a, b in zip(after_graph, after_eager, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def check_free(item: LayerCase) -> None:
    """The same with other axes of any size than the batch."""
    check_engines(item, free=item.free)


def check_gradient(item: LayerCase) -> None:
    """Gradients of all trainable weights and floating-point inputs against central differences in float64."""
    random = item.training == "random"
    layer = item.ready(dtype="float64")
    arrays = item.arrays("float64")
    inputs = [sx.Tensor(a) for a in (arrays if isinstance(arrays, list) else [arrays])]
    state = layer.get_weights()
    direction = np.random.default_rng(5)

    def loss() -> Any:
        result = layer(inputs if isinstance(arrays, list) else inputs[0], training=not random, **item.arguments)
        assert result.dtype.kind == "f"
        return sx.ops.sum(result * np.sin(np.arange(np.prod(result.shape)) * 0.7 + 1).reshape(result.shape))

    variables = layer.trainable_variables
    floating = [x for x in inputs if x.dtype.kind == "f"]
    with sx.GradientTape() as tape:
        tape.watch(floating)
        value = loss()
    gradients = tape.gradient(value, [*variables, *floating])
    assert all(g is not None for g in gradients), "a weight or input has no gradient"
    step = 1e-6
    for target, gradient in zip([*variables, *floating], gradients, strict=True):
        start = np.array(target)
        along = direction.standard_normal(start.shape)
        results = []
        for sign in (1, -1):
            layer.set_weights(state)
            moved = start + sign * step * along
            if isinstance(target, sx.Variable):
                target.assign(moved)
            else:
                target.array = moved
            results.append(float(np.asarray(loss())))
            if not isinstance(target, sx.Variable):
                target.array = start
        layer.set_weights(state)
        numeric, analytic = (results[0] - results[1]) / (2 * step), float((np.asarray(gradient) * along).sum())
        assert abs(numeric - analytic) <= 1e-5 * max(1.0, abs(numeric)), f"{target}: {analytic}, differences {numeric}"


def check_peers(item: LayerCase, training: bool = False) -> None:
    """Keras's layer of the same class name, configuration and weights gives the same, weights afterwards included."""
    keras = pytest.importorskip("keras")
    layer, arrays = item.ready(), item.arrays()
    theirs = getattr(keras.layers, item.kind)(**item.config)
    arguments = {k: np.asarray(v) if isinstance(v, sx.Tensor) else v for k, v in item.arguments.items()}
    theirs(arrays, **arguments)
    if layer.weights:
        assert [tuple(v.shape) for v in theirs.weights] == [tuple(v.shape) for v in layer.weights]
        assert [v.name for v in theirs.weights] == [v.name for v in layer.weights]
        theirs.set_weights(layer.get_weights())
    takes = {"training": training} if training else {}
    expected = np.asarray(theirs(arrays, **arguments, **takes))
    computed = np.asarray(layer(arrays, training=training, **item.arguments))
    assert computed.shape == expected.shape
    assert (computed.dtype.kind in "biu") == (expected.dtype.kind in "biu")
    np.testing.assert_allclose(computed, expected, rtol=item.tolerance, atol=item.tolerance)
    for a, b in zip(layer.get_weights(), theirs.get_weights() if layer.weights else [], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
