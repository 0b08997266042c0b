"""Random plans by seed: drawn, checked, counted, and cut down to what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from random import Random

import numpy as np
from model_plans import ModelPlan, Step, needed
from plan_checks import Checker, check_refusal
from plan_values import PlanError
from random_plans import draw_plan

import sardonyx as sx
from sardonyx.trainer import naming
from sardonyx.trainer.core.dims import reset_fresh_names


def start_again() -> None:
    """Names count from the first, whatever ran before."""
    naming.reset_names()
    reset_fresh_names()
    sx.utils.set_random_seed(0)


def check_random(r: Random, counts: Counter[str], longest: int = 8) -> None:
    """Draw a plan; check it, and every step that was refused while it was drawn."""
    start_again()
    with np.errstate(all="ignore"):
        drawn = draw_plan(r, longest)
        counts["plans"] += 1
        for plan, error in drawn.refused:
            counts["refused"] += 1
            check_refusal(plan, error, r, counts)
        Checker(drawn.plan, r, counts).run()


def check_plan(plan: ModelPlan, seed: int = 0, counts: Counter[str] | None = None) -> None:
    """All properties of one plan, at the sizes that a seed draws, nothing left out."""
    start_again()
    with np.errstate(all="ignore"):
        Checker(plan, Random(seed), Counter() if counts is None else counts, thorough=True).run()


def check_seeds(seeds: Iterable[int], counts: Counter[str]) -> list[str]:
    """What is wrong with the plans of seeds, in words, each with its seed and the smallest plan that shows it."""
    found = []
    for seed in seeds:
        try:
            check_random(Random(seed), counts)
        except PlanError as error:
            found.append(f"seed {seed}: {error}")
    return found


def reduced(plan: ModelPlan, seed: int = 0) -> ModelPlan:
    """The plan without the steps that can be left out, each replaced by its first operand, while it stays wrong."""
    for step in reversed(plan.steps):
        smaller = without(plan, step)
        if smaller.steps and _is_wrong(smaller, seed):
            return reduced(smaller, seed)
    return plan


def without(plan: ModelPlan, step: Step) -> ModelPlan:
    """The plan with a step's first operand in the place of its first result."""
    old, new = (step.key, 0), step.sources[0]
    steps = tuple(
        replace(s, sources=tuple(new if ref == old else ref for ref in s.sources)) for s in plan.steps if s is not step
    )
    outputs = tuple(dict.fromkeys(new if ref == old else ref for ref in plan.outputs))
    return needed(replace(plan, steps=steps, outputs=outputs))


def _is_wrong(plan: ModelPlan, seed: int) -> bool:
    try:
        check_plan(plan, seed)
    except PlanError:
        return True
    except Exception:  # the smaller plan does not build
        return False
    return False
