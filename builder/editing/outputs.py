"""Parts of models between tensors, and other outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...trainer.core import tree
from ...trainer.core.errors import ShapeError
from ...trainer.core.tensor import Tensor
from ...trainer.ops.passing import pass_through
from ..inner_tensors import plan_between
from .draft import Draft, unique_name


def extract(model: Any, outputs: Any = None, inputs: Any = None, *, copy: bool = False) -> Any:
    """The part of a model between tensors, as a model; with the head dropped, or without its first layers.

    outputs, inputs: names of layers, of tensors of the model or of the file that was opened, tensors, or a list or
        dictionary of them; by default those of the model
    copy: whether the part has copies of the weights instead of sharing them

    Raises `ValueError` for unknown names, `ShapeError` where the outputs need more than these inputs.

    >>> import sardonyx as sx
    >>> layers = [sx.layers.Dense(8, name="a"), sx.layers.Dense(4, name="b"), sx.layers.Dense(2, name="c")]
    >>> model = sx.Sequential([sx.Input((3,)), *layers])
    >>> sx.editing.extract(model, "b").output_shape, sx.editing.extract(model, inputs="a").input_shape
    ((None, 4), (None, 8))
    """
    task = "editing.extract(model, ...)"
    places = Draft(model, task).places
    ends = places.plan.outputs if outputs is None else _tensors(places, outputs)
    starts = places.plan.inputs if inputs is None else _tensors(places, inputs)
    known = dict(zip(map(id, places.plan.input_tensors), model.input_names, strict=True))
    try:
        plan = plan_between(starts, ends)
    except ShapeError as error:
        raise ShapeError(f"{task}: {error}. Add it to inputs=, or take outputs that do not need it") from None
    draft = Draft(model, task, copy, plan)
    names: list[str] = []
    for x, label in zip(plan.input_tensors, _labels(inputs, plan.inputs), strict=True):
        names.append(unique_name(known.get(id(x)) or _plain(label or x.name or "input"), set(names)))
    return draft.build(input_names=names)


def _tensors(places: Any, wanted: Any) -> Any:
    """Tensors for a name, or a list or dictionary of names."""
    if isinstance(wanted, Mapping):
        return {key: _tensors(places, value) for key, value in wanted.items()}
    if isinstance(wanted, (list, tuple)):
        return [_tensors(places, value) for value in wanted]
    return places.tensor(wanted)


def _labels(wanted: Any, structure: Any) -> list[str | None]:
    """What inner tensors that become inputs are called: keys of a dictionary, or the names by which they were given."""
    if wanted is None:
        return [None] * len([x for x in tree.flatten(structure) if x is not None])
    found: list[str | None] = []
    for path, leaf in tree.flatten_with_path(wanted):
        key = path[-1] if path and isinstance(path[-1], str) else None
        found.append(key or (leaf if isinstance(leaf, str) else None))
    return found


def _plain(name: str) -> str:
    """A layer's name has no '/'."""
    return name.replace("/", "_")


def add_outputs(model: Any, outputs: Any, *, copy: bool = False) -> Any:
    """A model that also gives tensors from inside it.

    outputs: a name or tensor, a list of them, which are appended to the outputs, or a dictionary of new names: then
        all outputs of the model are a dictionary

    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((3,)), sx.layers.Dense(8, name="a"), sx.layers.Dense(2, name="b")])
    >>> sx.editing.add_outputs(model, {"features": "a"}).output_shape
    {'b': (None, 2), 'features': (None, 8)}
    """
    places = Draft(model, "editing.add_outputs(model, ...)").places
    own = places.plan.outputs
    if isinstance(outputs, Mapping):
        old = own if isinstance(own, dict) else dict(zip(model.output_names, places.plan.output_tensors, strict=True))
        taken = [key for key in outputs if key in old]
        if taken:
            raise ValueError(f"{places.task}: model '{model.name}' has an output named {taken[0]!r} already")
        return extract(model, {**old, **outputs}, copy=copy)
    more = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    if isinstance(own, dict):
        return add_outputs(model, {_label(x): x for x in more}, copy=copy)
    return extract(model, [*(own if isinstance(own, (list, tuple)) else [own]), *more], copy=copy)


def _label(place: Any) -> str:
    return place if isinstance(place, str) else getattr(place, "name", None) or "output"


def drop_outputs(model: Any, *names: str, copy: bool = False) -> Any:
    """A model without some of its outputs, and without inputs and layers that only these needed.

    >>> import sardonyx as sx
    >>> x = sx.Input((3,))
    >>> model = sx.Model(x, {"a": sx.layers.Dense(8)(x), "b": sx.layers.Dense(2)(x)})
    >>> sx.editing.drop_outputs(model, "a").output_shape
    {'b': (None, 2)}
    """
    task = f"editing.drop_outputs(model, {', '.join(map(repr, names))})"
    draft = Draft(model, task)
    unknown = [name for name in names if name not in model.output_names]
    if unknown:
        raise ValueError(f"{task}: there is no output {unknown[0]!r}; there are: {', '.join(model.output_names)}")
    kept = {
        id(x) for x, name in zip(draft.plan.output_tensors, model.output_names, strict=True) if name not in names
    }  # fmt: skip
    if not kept:
        raise ValueError(f"{task}: no output would be left")
    outputs = _pruned(draft.plan.outputs, kept)
    needed = {id(x) for x in _needed(draft, outputs)}
    inputs = _pruned(draft.plan.inputs, needed)
    return extract(model, outputs, inputs, copy=copy)


def _needed(draft: Draft, outputs: Any) -> list[Tensor]:
    """Inputs on which outputs depend."""
    pending = [x for x in tree.flatten(outputs) if x is not None]
    seen: dict[int, Tensor] = {}
    inputs = {id(x) for x in draft.plan.input_tensors}
    while pending:
        x = pending.pop()
        if id(x) in seen:
            continue
        seen[id(x)] = x
        node = x.symbol.node if x.symbol is not None else None
        if id(x) not in inputs and node is not None:
            pending.extend(source for source in node.inputs if source is not None)
    return [x for x in draft.plan.input_tensors if id(x) in seen]


def _pruned(structure: Any, kept: set[int]) -> Any:
    """A structure with some of its tensors left; a list of one tensor becomes that tensor."""
    if isinstance(structure, Mapping):
        return {key: _pruned(value, kept) for key, value in structure.items() if _holds(value, kept)}
    if isinstance(structure, (list, tuple)):
        left = [_pruned(value, kept) for value in structure if _holds(value, kept)]
        return left[0] if len(left) == 1 else left
    return structure


def _holds(structure: Any, kept: set[int]) -> bool:
    return any(id(x) in kept for x in tree.flatten(structure))


def set_output_names(model: Any, names: Sequence[str], task: str) -> Any:
    """Give the outputs of a model that was just made names; keys where they are a dictionary."""
    if len(set(names)) < len(names):
        raise ValueError(f"{task}: two outputs would have the same name: {', '.join(names)}")
    if isinstance(model.plan.outputs, dict):
        if any(not isinstance(x, Tensor) for x in model.plan.outputs.values()):
            raise ValueError(f"{task}: outputs in nested dictionaries are named by their keys")
        new = dict(zip(model.output_names, names, strict=True))
        outputs = {new[key]: x for key, x in model.plan.outputs.items()}
        return type(model)(model.plan.inputs, outputs, name=model.name)
    taken = {id(x) for x in model.plan.input_tensors}
    named: list[Tensor] = []
    for x, name in zip(model.plan.output_tensors, names, strict=True):
        own = pass_through(x) if id(x) in taken or x.symbol is None else x
        taken.add(id(own))
        own.symbol.name = name  # pyright: ignore[reportOptionalMemberAccess]  # outputs of a plan are symbolic
        named.append(own)
    if all(a is b for a, b in zip(named, model.plan.output_tensors, strict=True)):
        return model
    remaining = iter(named)
    outputs = tree.map_structure(lambda x: None if x is None else next(remaining), model.plan.outputs)
    return type(model)(model.plan.inputs, outputs, name=model.name)
