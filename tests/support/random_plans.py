"""Random plans: steps drawn for the symbolic values at hand, taken into the plan where they build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import random_shaping
from model_plans import ModelPlan, Ref, Source, Step, needed, run_step
from random_layers import FAMILIES

import sardonyx as sx

INPUTS: tuple[tuple[Source, int], ...] = (
    (Source((4,)), 3), (Source((3,)), 2), (Source((6,), "int32"), 1), (Source(("time",), "int32"), 3),
    (Source(("time", 3)), 5), (Source(("time", 4)), 3), (Source((5, 3)), 2), (Source(("2*time", 3)), 2),
    (Source(("time + 1", 2)), 1), (Source((6, 6, 2)), 2), (Source((5, 7, 1)), 1), (Source(("height", "width", 2)), 4),
    (Source(("height", "height", 1)), 1), (Source((None, 4, 2)), 1), (Source(("2*height", "2*width", 2)), 2),
    (Source((4, 4, 4, 1)), 1), (Source(("time", 4, 4, 2)), 2), (Source(("depth", "height", 3, 2)), 1),
    (Source(("width",)), 1), (Source((), "float32"), 1), (Source((), "int32"), 1), (Source((None, 3)), 2),
)  # fmt: skip
LARGEST = 20_000


@dataclass
class Drawn:
    """A random plan and the steps that were refused on the way, each with the steps in front of it and the error."""

    plan: ModelPlan
    refused: list[tuple[ModelPlan, Exception]]


def inputs_of(plan: ModelPlan, **more: Any) -> list[Any]:
    """Symbolic inputs of a plan."""
    return [
        sx.Input(source.shape, dtype=more.get("dtype", source.dtype) if source.dtype == "float32" else source.dtype,
                 name=f"input_{i}")
        for i, source in enumerate(plan.inputs)
    ]  # fmt: skip


def draw_plan(r: Random, longest: int = 8) -> Drawn:
    """A random plan with up to `longest` steps."""
    sources, weights = zip(*INPUTS, strict=True)
    inputs = tuple(r.choices(sources, weights, k=r.choice([1, 1, 1, 2, 2, 3])))
    plan = ModelPlan(inputs, (), ())
    values: dict[Ref, Any] = {(-1 - i, 0): x for i, x in enumerate(inputs_of(plan))}
    layers: dict[int, Any] = {}
    refused: list[tuple[ModelPlan, Exception]] = []
    linear = r.random() < 0.15
    for key in range(r.randint(1, longest)):
        step = _draw_step(r, key, plan, values, linear)
        if step is None:
            continue
        try:
            results = run_step(step, values, layers)
        except Exception as error:  # every kind: that it is one of ours is what is tested
            layers.pop(key, None)
            refused.append((replace(plan, steps=(*plan.steps, step)), error))
            continue
        if all(_moderate(x) for x in results.values()):
            plan = replace(plan, steps=(*plan.steps, step))
            values.update(results)
    return Drawn(_with_outputs(r, plan, values, linear), refused)


def _moderate(x: Any) -> bool:
    """Whether a tensor stays small, and is symbolic: a constant is no result of a model."""
    total = 1
    for size in x.shape:
        total *= size if isinstance(size, int) else 5
    return x.is_symbolic and total <= LARGEST and len(x.shape) <= 6


def _with_outputs(r: Random, plan: ModelPlan, values: Mapping[Ref, Any], linear: bool) -> ModelPlan:
    made = [ref for ref in values if ref[0] >= 0]
    if not made:
        plan = replace(plan, steps=(Step(0, "Identity", ((-1, 0),)),))
        return replace(plan, inputs=plan.inputs[:1], outputs=((0, 0),))
    last = made[-1]
    used = {ref for step in plan.steps for ref in step.sources}
    leaves = [ref for ref in made if ref not in used and ref != last]
    structure = "one" if linear else r.choice(["one", "list", "dict"])
    extra = [] if structure == "one" else r.sample(leaves, min(len(leaves), r.randint(0, 2)))
    plan = needed(replace(plan, outputs=(*extra, last), structure=structure))
    wanted = {key for step in plan.steps for key, _ in step.sources}
    while plan.inputs and -len(plan.inputs) not in wanted:  # inputs at the end that nothing needs
        plan = replace(plan, inputs=plan.inputs[:-1])
    return plan


def _draw_step(r: Random, key: int, plan: ModelPlan, values: Mapping[Ref, Any], linear: bool) -> Step | None:
    if plan.steps and r.random() < 0.06 and not linear:
        return _again(r, key, plan, values)
    careless = r.random() < 0.06
    refs = list(values)
    ref = refs[-1] if linear or r.random() < 0.6 else r.choice(refs)
    x = values[ref]
    use_layer = linear or r.random() < 0.5
    table: Mapping[str, Any] = FAMILIES if use_layer else random_shaping.OPERATIONS
    kind = "i" if x.dtype.kind == "u" else x.dtype.kind
    fitting = [
        name for name, item in table.items()
        if (careless or (len(x.shape) in item.ranks and kind in item.kinds)) and not (linear and item.count > 1)
    ]  # fmt: skip
    if not fitting:
        return None
    name = r.choice(fitting)
    item = table[name]
    sources: list[Ref] = [ref]
    for _ in range(item.count - 1):
        sources.append(_partner(r, ref, values, item.alike, careless))
    if item.count > 1 and r.random() < 0.5:
        sources.reverse()
    if not len(x.shape) and name not in ("Flatten", "Identity", "Embedding"):
        return None if not careless else Step(key, "Dense", (ref,), {"units": 2})
    if name in ("Embedding", "CategoryEncoding") and ref[0] >= 0:
        return Step(key, "remainder", (ref,), {"number": 5})
    try:
        options = item.draw(r, x)
    except (IndexError, ValueError):  # a careless choice for which there are no options
        return None
    return None if options is None else Step(key, name, tuple(sources), options)


def _partner(r: Random, ref: Ref, values: Mapping[Ref, Any], alike: bool, careless: bool) -> Ref:
    x = values[ref]
    same = [other for other, y in values.items() if y.dtype == x.dtype and len(y.shape) == len(x.shape)]
    equal = [other for other in same if values[other].shape == x.shape]
    near = [other for other in same if values[other].shape[:1] == x.shape[:1] and other != ref]
    if careless:
        return r.choice(list(values))
    if not alike and near and r.random() < 0.7:
        return r.choice(near)
    return r.choice(equal) if r.random() < 0.75 else r.choice(same)


def _again(r: Random, key: int, plan: ModelPlan, values: Mapping[Ref, Any]) -> Step | None:
    """A layer of the plan called on another value."""
    layers = [step for step in plan.steps if step.is_layer and len(step.sources) == 1]
    if not layers:
        return None
    step = r.choice(layers)
    before = values[step.sources[0]]
    alike = [ref for ref, x in values.items() if len(x.shape) == len(before.shape) and x.dtype == before.dtype]
    owner = step.key if step.shared is None else step.shared
    return Step(key, step.name, (r.choice(alike),), step.options, owner)
