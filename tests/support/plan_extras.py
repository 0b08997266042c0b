"""Abilities of random models, sampled: summary, configuration, saving, cutting, gradients, the training mode."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from plan_styles import copy_weights, functional, packed_inputs
from plan_values import PlanError, arrays_in_order, draw_arrays, fail, flat_arrays, size_names

import sardonyx as sx
from sardonyx.builder.plan import bind
from sardonyx.trainer.core.dims import Dim, evaluate


def check_extras(checker: Any) -> None:
    """What is checked besides running."""
    binding = dict.fromkeys(size_names(checker.inputs), 4)
    arrays = draw_arrays(checker.plan, checker.inputs, binding, checker.seed)
    try:
        expected = checker.base.model(packed_inputs(arrays))
    except ValueError:
        return  # sizes too small
    if any(s <= 0 for x in checker.base.values.values() for s in _shape(x, binding)):
        return
    checks = {"summary": (0.3, summary), "shapes": (0.5, shapes), "config": (0.15, config), "clone": (0.1, clone),
              "saving": (0.1, saving), "cutting": (0.3, cutting), "training": (0.25, training),
              "gradient": (0.15, gradient)}  # fmt: skip
    for name, (chance, check) in checks.items():
        if checker.sampled(chance):
            try:
                check(checker, arrays, expected, binding)
            except PlanError:
                raise
            except Exception as error:
                raise PlanError(f"{name} fails: {error!r}\n  plan: {checker.plan!r}") from error
            checker.counts[name] += 1


def _shape(x: Any, binding: dict[str, int]) -> list[int]:
    return [evaluate(s, binding) if isinstance(s, Dim) else s for s in x.shape]


def summary(checker: Any, arrays: Any, expected: Any, binding: Any) -> None:
    """A summary of every style names every layer."""
    for built in checker.styles.values():
        lines: list[str] = []
        built.model.summary(print_fn=lines.append, expand_nested=True)
        text = "\n".join(map(str, lines))
        for key in built.layers:
            assert f"step_{key}" in text, f"the summary does not name step_{key}"


def shapes(checker: Any, arrays: Any, expected: Any, binding: Any) -> None:
    """`compute_output_shape` and `output_shape` agree with the symbolic outputs."""
    model = checker.base.model
    given = [tuple(None if isinstance(s, Dim) else s for s in x.shape) for x in checker.inputs]
    found = sx.tree.flatten(sx.tree.map_structure(lambda x: str(tuple(x.shape)), model.output))
    assert len(found) == len(model.outputs)
    if all(x.dtype == "float32" for x in checker.inputs) and not any(
        len(set(map(str, x.shape))) != len(x.shape) for x in checker.inputs
    ):
        model.compute_output_shape(packed_inputs(given) if len(given) == 1 else given)


def _same(checker: Any, what: str, model: Any, arrays: Any, expected: Any) -> None:
    checker.agree(what, lambda: model(packed_inputs(arrays)), flat_arrays(expected), arrays)


def config(checker: Any, arrays: Any, expected: Any, binding: Any) -> None:
    """A model from the configuration of another, with its weights, computes the same."""
    names = [n for n in ("functional", "sequential") if n in checker.styles]
    model = checker.styles[checker.r.choice(names)].model
    twin = type(model).from_config(model.get_config())
    twin.set_weights(model.get_weights())
    _same(checker, "from_config", twin, arrays, expected)


def clone(checker: Any, arrays: Any, expected: Any, binding: Any) -> None:
    """A clone with the same weights computes the same."""
    names = [n for n in ("functional", "sequential") if n in checker.styles]
    model = checker.styles[checker.r.choice(names)].model
    twin = sx.utils.clone_model(model) if hasattr(sx.utils, "clone_model") else sx.models.clone_model(model)
    twin.set_weights(model.get_weights())
    _same(checker, "clone_model", twin, arrays, expected)


def saving(checker: Any, arrays: Any, expected: Any, binding: Any) -> None:
    """A saved model comes back, without the classes that it was written with, and computes the same."""
    styles = sorted(checker.styles)
    for style in styles if checker.thorough else [checker.r.choice(styles)]:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "load_model: class", UserWarning)
            path = Path(folder) / "model.onnx"
            checker.styles[style].model.save(path)
            twin = sx.saving.load_model(path)
        _same(checker, f"{style} saved and loaded", twin, arrays, expected)


def cutting(checker: Any, arrays: Any, expected: Any, binding: Any) -> None:
    """A model cut at any tensor inside runs in both engines."""
    style = checker.r.choice(sorted(checker.styles))
    model = checker.styles[style].model
    inside = [x for x in model.tensors().values() if x.is_symbolic]
    if not inside:
        return  # a tensor's own axes in their own order: nothing was done
    tensor = checker.r.choice(inside)
    cut = sx.Model(model.input, [tensor])
    found = flat_arrays(cut(packed_inputs(arrays)))
    promised = tuple(_shape(tensor, bind(model.inputs, arrays)))
    assert found[0].shape == promised, f"cut: promised {promised}, got {found[0].shape}"
    running = checker.open_file(cut)
    if running is not None:
        given = {x.name: a for x, a in zip(running.get_inputs(), arrays_in_order(running, arrays), strict=True)}
        checker.agree_values("cut in onnxruntime", running.run(None, given), found, arrays, cut)


def training(checker: Any, arrays: Any, expected: Any, binding: Any) -> None:
    """The training mode runs, eagerly and traced, with the promised shapes."""
    for name, built in checker.styles.items():
        state = {k: layer.get_weights() for k, layer in built.layers.items()}
        with sx.GradientTape() as tape:
            outputs = built.model(packed_inputs(arrays), training=True)
            floating = [x for x in sx.tree.flatten(outputs) if x.dtype.kind == "f"]
            loss = sum(sx.ops.sum(x * 0.5) for x in floating) if floating else None
        for x, y in zip(checker.base.model.outputs, flat_arrays(outputs), strict=True):
            assert y.shape == tuple(_shape(x, binding)), f"{name} training: promised {x.shape}, got {y.shape}"
        if floating and built.model.trainable_variables:
            for variable, g in zip(built.model.trainable_variables,
                                   tape.gradient(loss, built.model.trainable_variables), strict=True):  # fmt: skip
                assert g is None or g.shape == variable.shape, (
                    f"{name}: gradient {g.shape} of {variable.path} {variable.shape}"
                )
        for k, layer in built.layers.items():
            layer.set_weights(state[k])


def gradient(checker: Any, arrays: Any, expected: Any, binding: Any) -> None:
    """The gradient along a direction equals the difference quotient, in float64."""
    built = functional(checker.plan, dtype="float64")
    copy_weights(checker.base.layers, built.layers)
    inputs = [sx.Tensor(a.astype(np.float64) if a.dtype.kind == "f" else a) for a in arrays]
    variables = built.model.trainable_variables
    targets = [*variables, *[x for x in inputs if x.dtype.kind == "f"]]
    generator = np.random.default_rng(checker.seed)
    along = [generator.standard_normal(t.shape) for t in targets]

    def loss() -> Any:
        outputs = sx.tree.flatten(built.model(packed_inputs(inputs)))
        terms = [x * np.cos(np.arange(x.size)).reshape(x.shape) for x in outputs if x.dtype.kind == "f"]
        return sum(sx.ops.sum(t) for t in terms) if terms else None

    with sx.GradientTape() as tape:
        tape.watch([x for x in inputs if x.dtype.kind == "f"])
        value = loss()
    if value is None or any(s.name == "stop" for s in checker.plan.steps):
        return
    gradients = tape.gradient(value, targets)
    analytic = sum(float((np.asarray(g) * d).sum()) for g, d in zip(gradients, along, strict=True) if g is not None)
    starts = [np.array(t) for t in targets]

    def at(step: float) -> float:
        for t, start, d in zip(targets, starts, along, strict=True):
            if isinstance(t, sx.Variable):
                t.assign(start + step * d)
            else:
                t.array = start + step * d
        return float(np.asarray(loss()))

    quotients = [(at(h) - at(-h)) / (2 * h) for h in (1e-5, 1e-6)]
    sides = [(at(1e-6) - at(0)) / 1e-6, (at(0) - at(-1e-6)) / 1e-6]
    scale = max(1.0, abs(quotients[0]), abs(analytic))
    if max(*quotients, *sides) - min(*quotients, *sides) > 1e-3 * scale:
        checker.counts["not smooth here"] += 1
        return
    if abs(analytic - quotients[0]) > 1e-3 * scale:
        fail("gradient", checker.plan, f"{analytic}, differences give {quotients}")
