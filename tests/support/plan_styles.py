"""One plan written in every style: Functional, Sequential where it is a chain, subclassed, and nested mixtures."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from model_plans import ModelPlan, Ref, Step, is_linear, make_layer, run_step, run_steps
from random_plans import inputs_of

import sardonyx as sx


@dataclass
class Built:
    """A model, its layers by the key of their step, and (of the Functional one) its symbolic values."""

    model: Any
    layers: dict[int, Any]
    values: dict[Ref, Any]


def packed_inputs(items: list[Any]) -> Any:
    """One input as it is, several as a list."""
    return items[0] if len(items) == 1 else items


def functional(plan: ModelPlan, **more: Any) -> Built:
    """The plan as a Functional model."""
    inputs, layers = inputs_of(plan, **more), {}
    values = run_steps(plan, inputs, layers, **more)
    return Built(sx.Model(packed_inputs(inputs), plan.pack(values)), layers, values)


def sequential(plan: ModelPlan) -> Built | None:
    """The plan as a Sequential model; None when it is no chain of layers."""
    if not is_linear(plan):
        return None
    layers = {step.key: make_layer(step) for step in plan.steps}
    return Built(sx.Sequential([inputs_of(plan)[0], *layers.values()]), layers, {})


class Written(sx.Model):
    """A plan as somebody writes it in a class: layers in a list, steps in `call`."""

    def __init__(self, plan: ModelPlan, layers: dict[int, Any]) -> None:
        super().__init__()
        self.wanted = _Hidden(plan)
        self.by_key = _Hidden(layers)
        self.parts = list(layers.values())

    def call(self, inputs: Any) -> Any:
        plan = self.wanted.value
        given = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        return plan.pack(run_steps(plan, given, self.by_key.value))


class _Hidden:
    """Keeps a value out of the tracking of attributes."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _made(steps: tuple[Step, ...], layers: dict[int, Any]) -> dict[int, Any]:
    """Layers of steps, made before they are called."""
    for step in steps:
        owner = step.key if step.shared is None else step.shared
        if step.is_layer and owner not in layers:
            layers[owner] = make_layer(step)
    return layers


def subclassed(plan: ModelPlan) -> Built:
    """The plan as a subclassed model, traced."""
    layers = _made(plan.steps, {})
    model = Written(plan, layers)
    model.trace(packed_inputs([x.spec for x in inputs_of(plan)]))
    return Built(model, layers, {})


class Block(sx.layers.Layer):
    """Some steps of a plan as a layer of its own."""

    def __init__(self, steps: tuple[Step, ...], given: list[Ref], wanted: list[Ref], layers: dict[int, Any]) -> None:
        super().__init__(name="block")
        self.recipe = _Hidden((steps, given, wanted, layers))
        self.parts = list(layers.values())

    def call(self, inputs: Any) -> Any:
        steps, given, wanted, layers = self.recipe.value
        values = dict(zip(given, inputs if isinstance(inputs, (list, tuple)) else [inputs], strict=True))
        for step in steps:
            values.update(run_step(step, values, layers))
        return packed_inputs([values[ref] for ref in wanted])


def nested(plan: ModelPlan, r: Random) -> Built | None:
    """A Functional model around a part of the plan that is a Functional model or a subclassed layer."""
    start = r.randrange(len(plan.steps))
    stop = r.randint(start + 1, len(plan.steps))
    inner, behind = plan.steps[start:stop], plan.steps[stop:]
    keys = {step.key for step in inner}
    owners = {step.key if step.shared is None else step.shared for step in inner}
    given = list(dict.fromkeys(ref for step in inner for ref in step.sources if ref[0] not in keys))
    used = [ref for step in behind for ref in step.sources] + list(plan.outputs)
    wanted = list(dict.fromkeys(ref for ref in used if ref[0] in keys))
    if not wanted or not given or (owners - keys):
        return None
    inputs, layers = inputs_of(plan), {}
    values: dict[Ref, Any] = {(-1 - i, 0): x for i, x in enumerate(inputs)}
    for step in plan.steps[:start]:
        values.update(run_step(step, values, layers))
    part: Any
    if r.random() < 0.5:
        own = _made(inner, {})
        part = Block(inner, given, wanted, own)
    else:
        own, inside = {}, {}
        for ref in given:
            spec = values[ref].spec
            inside[ref] = sx.Input(batch_shape=spec.shape, dtype=spec.dtype.name)
        starts = list(inside.values())
        for step in inner:
            inside.update(run_step(step, inside, own))
        part = sx.Model(packed_inputs(starts), packed_inputs([inside[ref] for ref in wanted]), name="block")
    results = part(packed_inputs([values[ref] for ref in given]))
    values.update(zip(wanted, results if isinstance(results, list) else [results], strict=True))
    layers.update(own)
    for step in behind:
        values.update(run_step(step, values, layers))
    return Built(sx.Model(packed_inputs(inputs), plan.pack(values)), layers, {})


def fill_weights(layers: dict[int, Any], generator: np.random.Generator) -> None:
    """Random weights, variances positive, so that zero biases hide nothing."""
    for layer in layers.values():
        for variable in layer.weights:
            if variable.dtype.kind == "f":
                low, high = (0.5, 1.5) if "variance" in variable.name else (-0.8, 0.8)
                variable.assign(generator.uniform(low, high, variable.shape).astype(variable.dtype))


def copy_weights(source: dict[int, Any], target: dict[int, Any]) -> None:
    """The weights of the layers of one style for those of another."""
    for key, layer in source.items():
        target[key].set_weights(
            [w.astype(v.dtype) for w, v in zip(layer.get_weights(), target[key].weights, strict=True)]
        )
