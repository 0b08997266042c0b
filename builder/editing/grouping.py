"""Layers put together into a nested model, and nested models taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...trainer.core import tree
from ...trainer.core.tensor import Tensor
from ..call import LayerCall
from ..functional import Functional
from ..input import Input
from ..model import Model
from ..plan import Step
from .draft import Draft, plan_of, unique_name
from .places import Place, boundary, results_of, sources_of
from .structure import all_steps, told_place, within


def merge(model: Any, layers: Sequence[Place], name: str, *, copy: bool = False) -> Any:
    """A model in which several layers are one nested model.

    layers: their names, or tensors made by operations outside of layers; all between them belong to them by themselves
    name: of the nested model

    Raises `ValueError` for unknown names, and where another layer takes from these and gives back to them.

    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((3,)), sx.layers.Dense(8, name="a"), sx.layers.Dense(2, name="b")])
    >>> sx.editing.merge(model, ["a", "b"], "block").get_layer("block/a").count_params()
    32
    """
    task = f"editing.merge(model, {told_place(layers)}, {name!r})"
    draft = Draft(model, task, copy)
    steps = _with_all_between(draft, all_steps(draft, layers))
    entering, leaving = boundary(steps, draft.plan)
    inner = _nested(draft, steps, entering, leaving, name)
    draft.substitute(steps, inner if len(entering) == 1 else lambda *values: inner(list(values)))
    return draft.build()


def _with_all_between(draft: Draft, steps: list[Step]) -> list[Step]:
    """Steps and the operations outside of layers that lead from one of them to another."""
    chosen = {id(step) for step in steps}
    after: set[int] = {id(x) for step in steps for x in results_of(step)}
    between: list[Step] = []
    for step in draft.plan.steps:
        if id(step) not in chosen and any(id(x) in after for x in sources_of(step)):
            after.update(id(x) for x in results_of(step))
            between.append(step)
    needed = {id(x) for step in steps for x in sources_of(step)}
    for step in reversed(between):
        if not isinstance(step, LayerCall) and any(id(x) in needed for x in results_of(step)):
            chosen.add(id(step))
            needed.update(id(x) for x in sources_of(step))
    return [step for step in draft.plan.steps if id(step) in chosen]


def _nested(draft: Draft, steps: list[Step], entering: list[Tensor], leaving: list[Tensor], name: str) -> Functional:
    """The steps as a model of their own, between new inputs."""
    known = dict(draft.known)
    inputs: list[Tensor] = []
    for i, x in enumerate(entering):
        made = Input(batch_shape=x.shape, dtype=x.dtype, name=f"{name}_input_{i}" if len(entering) > 1 else None)
        inputs.append(made)
        draft.known[id(x)] = made
    for step in steps:
        for x, y in zip(results_of(step), draft.repeat(step), strict=True):
            draft.known[id(x)] = y
    outputs = [draft.known[id(x)] for x in leaving]
    draft.known = known
    return Functional(
        inputs[0] if len(inputs) == 1 else inputs, outputs[0] if len(outputs) == 1 else outputs, name=name
    )  # pyright: ignore[reportReturnType]


def split(model: Any, place: Place, *, copy: bool = False) -> Any:
    """A model in which the layers of a nested model, or of a layer made of layers, stand by themselves.

    Layers keep their names; one that is taken gets the nested model's in front. Raises `ValueError` for a layer without
    layers inside.

    >>> import sardonyx as sx
    >>> inner = [sx.Input((3,)), sx.layers.Dense(8, name="a"), sx.layers.Dense(2, name="b")]
    >>> block = sx.Sequential(inner, name="block")
    >>> model = sx.Sequential([sx.Input((3,)), block])
    >>> [layer.name for layer in sx.editing.split(model, "block").layers[1:]]
    ['a', 'b']
    """
    task = f"editing.split(model, {told_place(place)})"
    nested = within(model, place, task, lambda inner, rest: split(inner, rest, copy=copy), copy)
    if nested is not None:
        return nested
    draft = Draft(model, task, copy)
    steps = draft.places.steps(place)
    layer = steps[0].layer if isinstance(steps[0], LayerCall) else None
    if layer is None or not layer.child_layers():
        raise ValueError(f"{task}: there are no layers inside of it")
    if not isinstance(layer, Model):
        raise ValueError(
            f"{task}: '{layer.name}' is a {type(layer).__name__}, a layer whose class decides how its layers are "
            "called; only nested models are taken apart"
        )
    taken = {call.layer.name for call in draft.plan.layer_calls() if call.layer is not layer}
    for own in plan_of(layer, task).layers():
        name = own.name if own.name not in taken else unique_name(f"{layer.name}_{own.name}", taken)
        taken.add(name)
        draft.twins.names[id(own)] = name
    for step in steps:
        draft.substitute([step], _inlined(draft, step))
    return draft.build()


def _inlined(draft: Draft, step: Any) -> Any:
    def run(*_: Any) -> list[Any]:
        arguments, _keywords = draft.arguments(step)
        inner = Draft(step.layer, draft.task)
        inner.twins = draft.twins
        results = tree.flatten(inner.run([x for x in tree.flatten(arguments) if x is not None]))
        leaving = {id(x) for x in boundary([step], draft.plan)[1]}
        return [y for x, y in zip(results_of(step), results, strict=True) if id(x) in leaving]

    return run
