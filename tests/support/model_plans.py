"""Plans of models as data: the same plan is run eagerly and written in every style."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import random_operations

import sardonyx as sx
from sardonyx.trainer.core import tree

Ref = tuple[int, int]
"""A value of a plan: the key of the step (negative: of the input) that makes it, and which of its results."""


@dataclass(frozen=True)
class Size:
    """`x.shape[axis] * times // over + plus` of the step's operand number `place`."""

    place: int
    axis: int
    times: int = 1
    over: int = 1
    plus: int = 0

    def of(self, operands: Sequence[Any]) -> Any:
        """The size: a number of an eager tensor, perhaps a symbolic size of another."""
        return operands[self.place].shape[self.axis] * self.times // self.over + self.plus


@dataclass(frozen=True)
class Source:
    """An input: its shape without the batch (numbers, names, expressions over names) and element type."""

    shape: tuple[Any, ...]
    dtype: str = "float32"


@dataclass(frozen=True)
class Step:
    """A layer (its class's name) or an operation (of `random_operations`) on values; `shared`: the step whose layer it
    calls once more.
    """

    key: int
    name: str
    sources: tuple[Ref, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    shared: int | None = None

    @property
    def is_layer(self) -> bool:
        """Whether the step calls a layer."""
        return self.name[0].isupper()

    def __repr__(self) -> str:
        shared = f", shared={self.shared}" if self.shared is not None else ""
        return f"Step({self.key}, {self.name!r}, {self.sources}, {dict(self.options)!r}{shared})"


@dataclass(frozen=True)
class ModelPlan:
    """Inputs, steps, and the values that come out, as one tensor, a list or a dictionary."""

    inputs: tuple[Source, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Ref, ...]
    structure: str = "one"

    def __repr__(self) -> str:
        steps = ", ".join(map(repr, self.steps))
        return f"ModelPlan({self.inputs!r}, ({steps},), {self.outputs!r}, {self.structure!r})"

    def pack(self, values: Mapping[Ref, Any]) -> Any:
        """The outputs in their structure."""
        found = [values[ref] for ref in self.outputs]
        if self.structure == "one":
            return found[0]
        return {f"out_{i}": x for i, x in enumerate(found)} if self.structure == "dict" else found


def resolve(value: Any, operands: Sequence[Any]) -> Any:
    """Options with every `Size` taken from the operands."""
    if isinstance(value, Size):
        return value.of(operands)
    if isinstance(value, (tuple, list)):
        return type(value)(resolve(v, operands) for v in value)
    if isinstance(value, dict):
        return {k: resolve(v, operands) for k, v in value.items()}
    return slice(*[resolve(v, operands) for v in (value.start, value.stop, value.step)]) if isinstance(
        value, slice
    ) else value  # fmt: skip


def make_layer(step: Step, **more: Any) -> Any:
    """The layer of a step. An option `layer` is the layer inside a wrapper, `call` the arguments of the call."""
    options = {k: v for k, v in step.options.items() if k != "call"}
    if "layer" in options:
        name, inner = options["layer"]
        options["layer"] = getattr(sx.layers, name)(**inner, **more)
    return getattr(sx.layers, step.name)(**options, name=f"step_{step.key}", **more)


LISTS = (
    "Add", "Average", "Subtract", "Multiply", "Maximum", "Minimum", "Concatenate", "Dot", "Attention",
    "AdditiveAttention",
)  # fmt: skip


def run_step(step: Step, values: Mapping[Ref, Any], layers: dict[int, Any], **more: Any) -> dict[Ref, Any]:
    """The results of a step; its layer is made when it is first needed."""
    operands = [values[ref] for ref in step.sources]
    if step.is_layer:
        key = step.key if step.shared is None else step.shared
        if key not in layers:
            layers[key] = make_layer(step, **more)
        arguments = [operands] if step.name in LISTS else operands
        results = layers[key](*arguments, **step.options.get("call", {}))
    else:
        results = random_operations.OPERATIONS[step.name].run(*operands, **resolve(dict(step.options), operands))
    return {(step.key, i): x for i, x in enumerate(tree.flatten(results))}


def run_steps(
    plan: ModelPlan, inputs: Sequence[Any], layers: dict[int, Any], mapper: Callable[[Any], Any] | None = None,
    **more: Any,
) -> dict[Ref, Any]:  # fmt: skip
    """All values of a plan for its inputs, eagerly or symbolically."""
    values: dict[Ref, Any] = {(-1 - i, 0): x for i, x in enumerate(inputs)}
    for step in plan.steps:
        values.update(run_step(step, values, layers, **more))
    return values


def needed(plan: ModelPlan) -> ModelPlan:
    """The plan without steps that no output needs."""
    wanted = {key for key, _ in plan.outputs}
    kept: list[Step] = []
    for step in reversed(plan.steps):
        if step.key in wanted:
            kept.append(step)
            wanted.update(key for key, _ in step.sources)
    kept.reverse()
    first: dict[int, int] = {}
    result = []
    for step in kept:  # the first call that is left makes the shared layer
        owner = step.key if step.shared is None else step.shared
        result.append(replace(step, shared=first.get(owner)))
        first.setdefault(owner, step.key)
    return replace(plan, steps=tuple(result))


def is_linear(plan: ModelPlan) -> bool:
    """Whether a Sequential model can express the plan."""
    before: Ref = (-1, 0)
    for step in plan.steps:
        if not step.is_layer or step.shared is not None or step.sources != (before,) or "call" in step.options:
            return False
        before = (step.key, 0)
    return len(plan.inputs) == 1 and plan.structure == "one" and plan.outputs == (before,) and bool(plan.steps)
