"""Layers of a model replaced, inserted, taken out, renamed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...trainer.core import tree
from ...trainer.core.tensor import Tensor
from ..call import LayerCall
from ..layer import Layer
from ..plan import Step
from .draft import Draft
from .outputs import set_output_names
from .places import Place, boundary, results_of, sources_of, step_name

EDGE = " -> "
"""Between the ends of an edge that is written as one path."""

Maker = Layer | Callable[..., Any]


def all_steps(draft: Draft, place: Any) -> list[Step]:
    """The steps meant by a place or a list of places, in the model's order."""
    places = list(place) if isinstance(place, (list, tuple)) else [place]
    found = {id(step): step for one in places for step in draft.places.steps(one)}
    return [step for step in draft.plan.steps if id(step) in found]


def within(model: Any, place: Any, task: str, edit: Callable[[Any, str], Any], copy: bool) -> Any:
    """An edit of a nested model that a path leads into ("encoder/conv"), and of the models around; None for no path."""
    if not isinstance(place, str) or "/" not in place:
        return None
    draft = Draft(model, task, copy)
    first, _, rest = place.partition("/")
    calls = draft.places.calls(first)
    if not calls or place in draft.places.tensors() or not hasattr(calls[0].layer, "plan"):
        return None
    inner = edit(calls[0].layer, rest)
    inner.name = first
    draft.run_step = _with_layer(draft, calls[0].layer, inner)
    return draft.build()


def _with_layer(draft: Draft, old: Any, new: Any) -> Callable[[Step], list[Any]]:
    def run(step: Step) -> list[Any]:
        return draft.repeat(step, new if isinstance(step, LayerCall) and step.layer is old else None)

    return run


def replace(model: Any, place: Place | Sequence[Place], by: Maker, *, copy: bool = False) -> Any:
    """A model with another layer, model or function of tensors in the place of a layer, or of a run of layers.

    place: a layer's name, path ("encoder/conv"), one call of a shared layer ("dense:1"), or a list of names of layers
    by: gets what the old layers got: the same arguments for one layer; for several, the tensors that enter them, as a
        list where there is more than one
    copy: whether the result has copies of the weights instead of sharing them

    A layer that is called several times is replaced in all its calls. Raises `ValueError` for unknown names and for
    layers that are no unit, `ShapeError` where the rest of the model no longer fits.

    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(8, name="a"), sx.layers.Dense(2, name="head")])
    >>> sx.editing.replace(model, "head", sx.layers.Dense(5, name="new_head")).output_shape
    (None, 5)
    """
    task = f"editing.replace(model, {told_place(place)}, ...)"
    nested = within(model, place, task, lambda inner, rest: replace(inner, rest, by, copy=copy), copy)
    if nested is not None:
        return nested
    draft = Draft(model, task, copy)
    steps = all_steps(draft, place)
    if not callable(by):
        raise TypeError(f"{task}: expected a layer, a model or a function of tensors, got {type(by).__name__}")
    made = draft.user_layer(by)
    same = len({id(step.layer) if isinstance(step, LayerCall) else id(step) for step in steps}) == 1
    if same:
        if isinstance(made, Layer) and isinstance(steps[0], LayerCall):
            _keep_name_apart(draft, made, steps)
        for step in steps:
            _replace_step(draft, step, made)
        return draft.build()
    entering, _ = boundary(steps, draft.plan)
    draft.substitute(steps, made if len(entering) == 1 else lambda *values: made(list(values)))
    return draft.build()


def _keep_name_apart(draft: Draft, made: Layer, steps: Sequence[Step]) -> None:
    """Where only some calls of a layer are replaced by one of the same name, the new one is refused by the model."""
    if made.name == step_name(steps[0]) and len(draft.places.calls(made.name)) > len(steps):
        raise ValueError(
            f"{draft.task}: the new layer is named '{made.name}' like the one that stays in the other calls; give it "
            "another name"
        )


def _replace_step(draft: Draft, step: Step, made: Any) -> None:
    if isinstance(step, LayerCall):

        def call(*_: Any) -> Any:
            arguments, keywords = draft.arguments(step)
            return made(*arguments, **(keywords if isinstance(made, Layer) else {}))

        draft.substitute([step], _only_used(draft, step, call))
    else:
        draft.substitute([step], lambda *values: made(*values) if len(values) == 1 else made(list(values)))


def _only_used(draft: Draft, step: Step, call: Callable[..., Any]) -> Callable[..., Any]:
    """Of as many results as the step had, those that the rest of the model uses."""
    _, leaving = boundary([step], draft.plan)
    places = [i for i, x in enumerate(results_of(step)) if any(x is used for used in leaving)]

    def run(*values: Any) -> list[Any]:
        results = tree.flatten(call(*values))
        return [results[i] for i in places] if len(results) == len(results_of(step)) else results

    return run


def remove(model: Any, place: Place | Sequence[Place], *, copy: bool = False) -> Any:
    """A model without a layer, or several: what went in goes on to what came after.

    Raises `ValueError` for a layer with more than one input or result, `ShapeError` where what comes after does not fit
    what came before.

    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dropout(0.5, name="drop"), sx.layers.Dense(2)])
    >>> [layer.name for layer in sx.editing.remove(model, "drop").layers if "drop" in layer.name]
    []
    """
    task = f"editing.remove(model, {told_place(place)})"
    nested = within(model, place, task, lambda inner, rest: remove(inner, rest, copy=copy), copy)
    if nested is not None:
        return nested
    draft = Draft(model, task, copy)
    for step in all_steps(draft, place):
        entering, leaving = boundary([step], draft.plan)
        if len(entering) != 1 or len(leaving) != 1:
            raise ValueError(
                f"{task}: '{step_name(step)}' has {len(entering)} inputs and {len(leaving)} results that are used; "
                "only a layer with one of each can be bypassed. Use editing.replace with a function that says what "
                "becomes of them"
            )
        draft.substitute([step], lambda value: value)
    return draft.build()


def insert(
    model: Any,
    layer: Maker,
    *,
    after: Place | None = None,
    before: Place | None = None,
    between: tuple[Place, Place] | None = None,
    copy: bool = False,
) -> Any:
    """A model with a layer, model or function of one tensor put in.

    after: a layer, input or tensor: all that used its result use that of the new layer
    before: a layer with one input
    between: two layers, the second of which takes the first one's result: on this edge alone

    After or before a layer that is called several times, the new layer is called as often; one call is named by
    "dense:1". Raises `ValueError` for unknown names and unconnected pairs, `ShapeError` where it does not fit.

    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(8, name="a"), sx.layers.Dense(2, name="b")])
    >>> wider = sx.editing.insert(model, sx.layers.Dropout(0.2, name="drop"), after="a")
    >>> [layer.name for layer in wider.layers[1:]]
    ['a', 'drop', 'b']
    """
    given = {"after": after, "before": before, "between": between}
    places = {key: value for key, value in given.items() if value is not None}
    task = f"editing.insert(model, ..., {', '.join(f'{k}={told_place(v)}' for k, v in places.items())})"
    if len(places) != 1:
        raise ValueError(f"{task}: say where with one of after=, before=, between=(first, second)")
    ((kind, place),) = places.items()
    nested = within(
        model,
        _as_path(place, task),
        task,
        lambda inner, rest: insert(inner, layer, copy=copy, **_only_place(kind, rest)),
        copy,
    )
    if nested is not None:
        return nested
    draft = Draft(model, task, copy)
    made = draft.user_layer(layer)
    if after is not None:
        for x in _results_meant(draft, after):
            draft.wrap[id(x)] = made
    elif before is not None:
        for step in draft.places.steps(before):
            _before_all(draft, step, made)
    elif between is not None:
        _on_edge(draft, between, made)
    return draft.build()


def _only_place(kind: str, place: str) -> dict[str, Any]:
    return {kind: tuple(place.split(EDGE)) if kind == "between" else place}


def _as_path(place: Any, task: str) -> Any:
    """A place as one path; of an edge in a nested model, the way to the model and both ends."""
    if not isinstance(place, tuple) or not any(isinstance(end, str) and "/" in end for end in place):
        return place
    first, second = (str(end).partition("/") for end in place)
    if first[0] != second[0] or not first[2] or not second[2]:
        raise ValueError(f"{task}: both ends of an edge lie in the same nested model, got {told_place(place)}")
    return f"{first[0]}/{first[2]}{EDGE}{second[2]}"


def _results_meant(draft: Draft, after: Place) -> list[Tensor]:
    if isinstance(after, str) and after not in draft.model.input_names and len(draft.places.calls(after)) > 1:
        return [x for call in draft.places.calls(after) for x in _only_result(draft, call)]
    return [draft.places.tensor(after)]


def _only_result(draft: Draft, call: LayerCall) -> list[Tensor]:
    results = results_of(call)
    if len(results) != 1:
        raise ValueError(f"{draft.task}: '{call.layer.name}' gives {len(results)} tensors; pass the one that is meant")
    return results


def _flowing(step: Step) -> list[Tensor]:
    """The tensors that a step takes from other steps or inputs."""
    found = [x for x in sources_of(step) if x.array is None and (x.symbol is None or x.symbol.variable is None)]
    return list({id(x): x for x in found}.values())


def _before_all(draft: Draft, step: Step, made: Any) -> None:
    sources = _flowing(step)
    if len(sources) != 1:
        raise ValueError(
            f"{draft.task}: '{step_name(step)}' takes {len(sources)} tensors; name the edge: "
            f"between=(first, {step_name(step)!r})"
        )
    draft.before(step, lambda x, value: made(value))


def _on_edge(draft: Draft, between: tuple[Place, Place], made: Any) -> None:
    source, step = draft.places.tensor(between[0]), draft.places.step(between[1])
    sources = _flowing(step)
    if not any(x is source for x in sources):
        raise ValueError(
            f"{draft.task}: '{step_name(step)}' does not take the result of {told_place(between[0])}; it takes "
            f"{', '.join(_origin(draft, x) for x in sources)}"
        )
    draft.before(step, lambda x, value: made(value) if x is source else value)


def _origin(draft: Draft, x: Tensor) -> str:
    made = [step for step in draft.plan.steps if any(x is result for result in results_of(step))]
    return repr(step_name(made[0])) if made else repr(x.name)


def rename(
    model: Any,
    layers: Mapping[str, str] | None = None,
    *,
    inputs: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
    name: str | None = None,
    copy: bool = False,
) -> Any:
    """A model with other names of layers, inputs and outputs, old ones by new ones, in exported files too.

    Raises `ValueError` for unknown names, and for names that are used twice afterwards.

    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((4,), name="x"), sx.layers.Dense(2, name="d")])
    >>> renamed = sx.editing.rename(model, {"d": "head"}, inputs={"x": "data"}, outputs={"d": "scores"})
    >>> renamed.input_names, renamed.layers[1].name, renamed.output_names
    (['data'], 'head', ['scores'])
    """
    task = "editing.rename(model, ...)"
    draft = Draft(model, task, copy)
    known = {call.layer.name: call.layer for call in draft.plan.layer_calls()}
    for kind, names, there in (
        ("layer", layers, known), ("input", inputs, model.input_names), ("output", outputs, model.output_names),
    ):  # fmt: skip
        unknown = [name for name in names or {} if name not in there]
        if unknown:
            raise ValueError(
                f"{task}: model '{model.name}' has no {kind} {unknown[0]!r}; it has: {', '.join(list(there)[:40])}"
            )
    draft.twins.names.update({id(known[old]): new for old, new in (layers or {}).items()})
    own = [str((inputs or {}).get(x, x)) for x in model.input_names]
    if len(set(own)) < len(own):
        raise ValueError(f"{task}: two inputs would have the same name: {', '.join(own)}")
    made = draft.build(name=name, input_names=own)
    return made if not outputs else set_output_names(made, [str(outputs.get(x, x)) for x in model.output_names], task)


def told_place(place: Any) -> str:
    """A place as the user wrote it."""
    if isinstance(place, (list, tuple)):
        return f"[{', '.join(map(told_place, place))}]"
    if isinstance(place, str):
        return repr(place)
    return repr(place.name) if getattr(place, "name", None) else repr(place)
