"""Models put together: one after the other, or side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...trainer.core import tree
from ...trainer.core.dims import Dim, names, substitute
from ...trainer.core.errors import ShapeError
from ...trainer.core.tensor import Tensor
from ...trainer.core.trace import Trace
from ..functional import Functional
from ..matching import match_one
from .draft import Draft, new_input, unique_name
from .places import Place


def join(
    first: Any, second: Any, connect: Mapping[str, Place] | None = None, *, name: str | None = None, copy: bool = False
) -> Any:
    """One model of two, the second one fed by the first.

    connect: names of inputs of the second model to outputs, layers or tensors of the first; by default the outputs of
        the first are the inputs of the second in their order
    name: of the new model

    Inputs of the second that are not connected are inputs of the new model, after those of the first; outputs of the
    first that go nowhere are outputs of it, after those of the second. Layers of the second get a number where their
    names are taken. Raises `ValueError` for unknown names, `ShapeError` for tensors that do not fit.

    >>> import sardonyx as sx
    >>> first = sx.Sequential([sx.Input((4,)), sx.layers.Dense(3)])
    >>> second = sx.Sequential([sx.Input((3,)), sx.layers.Dense(2)])
    >>> sx.editing.join(first, second).output_shape
    (None, 2)
    """
    task = "editing.join(first, second)"
    front, back = Draft(first, task, copy), Draft(second, task, copy)
    back.twins = front.twins
    wires = _wires(front, back, connect)
    _rename_apart(back, {layer.name for layer in front.plan.layers()})
    taken = set(first.input_names)
    new: list[Tensor] = []
    with Trace(records=True):
        entering = [new_input(x, own)[0] for x, own in zip(front.plan.input_tensors, first.input_names, strict=True)]
        front.run(entering)
        values: list[Any] = []
        for x, own in zip(back.plan.input_tensors, second.input_names, strict=True):
            if own in wires:
                values.append(_fitting(task, front.value(wires[own]), x, own))
                continue
            new.append(new_input(x, unique_name(own, taken))[0])
            taken.add(str(new[-1].name))
            values.append(new[-1])
        outputs = back.run(values)
    used = {id(x) for x in wires.values()}
    left = [front.value(x) for x in front.plan.output_tensors if id(x) not in used]
    remaining = iter(entering)
    inputs = tree.map_structure(lambda x: None if x is None else next(remaining), front.plan.inputs)
    if new:
        inputs = [*_listed(inputs), *new]
    result = [*_listed(outputs), *left] if left else outputs
    return Functional(inputs, result, name=name or first.name)


def _listed(structure: Any) -> list[Any]:
    """The parts of a list, or the leaves of another structure."""
    return list(structure) if isinstance(structure, (list, tuple)) else list(tree.flatten(structure))


def _wires(front: Draft, back: Draft, connect: Mapping[str, Place] | None) -> dict[str, Tensor]:
    """For inputs of the second model, the tensors of the first."""
    wanted, given = back.model.input_names, front.plan.output_tensors
    if connect is None:
        if len(wanted) != len(given):
            raise ValueError(
                f"{front.task}: '{front.model.name}' has {len(given)} outputs ({', '.join(front.model.output_names)}), "
                f"'{back.model.name}' has {len(wanted)} inputs ({', '.join(wanted)}); say which goes where: "
                f"connect={{{wanted[0]!r}: {front.model.output_names[0]!r}}}"
            )
        return dict(zip(wanted, given, strict=True))
    unknown = [name for name in connect if name not in wanted]
    if unknown or not connect:
        raise ValueError(
            f"{front.task}: connect names inputs of '{back.model.name}', which are {', '.join(wanted)}; got "
            f"{', '.join(map(repr, connect)) or 'none'}"
        )
    return {name: front.places.tensor(place) for name, place in connect.items()}


def _fitting(task: str, value: Any, x: Tensor, name: str) -> Any:
    """A value as the second model takes it. Raises `ShapeError` naming its input."""
    if len(value.shape) == len(x.shape):
        reference = Tensor(None, x.symbol)
        try:
            return match_one(value, reference)
        except ShapeError as error:
            raise ShapeError(f"{task}: the first model does not fit {error}. Put a layer between them") from None
    raise ShapeError(
        f"{task}: the first model does not fit: input '{name}' of the second takes {x.shape}, it is given "
        f"{value.shape}. Put a layer between them, such as Reshape or Flatten"
    )


def _rename_apart(draft: Draft, taken: set[str]) -> None:
    """Layers whose names are taken get a number."""
    for layer in draft.plan.layers():
        own = unique_name(layer.name, taken)
        if own != layer.name:
            draft.twins.names[id(layer)] = own
        taken.add(own)


def side_by_side(*models: Any, share_inputs: bool = False, name: str | None = None, copy: bool = False) -> Any:
    """One model of several that do not feed each other; its outputs are a dictionary of theirs.

    share_inputs: whether inputs of the same name, or of models with one input each, are one input

    Names that several models have get a number. Raises `ValueError` for shared inputs that differ.

    >>> import sardonyx as sx
    >>> a = sx.Sequential([sx.Input((4,), name="x"), sx.layers.Dense(3, name="a")])
    >>> b = sx.Sequential([sx.Input((4,), name="x"), sx.layers.Dense(2, name="b")])
    >>> sx.editing.side_by_side(a, b, share_inputs=True).output_shape
    {'a': (None, 3), 'b': (None, 2)}
    """
    task = "editing.side_by_side(...)"
    if len(models) < 2:
        raise ValueError(f"{task}: give two models or more")
    drafts = [Draft(model, task, copy) for model in models]
    taken: set[str] = set()
    inputs: dict[str, Tensor] = {}
    outputs: dict[str, Any] = {}
    single = share_inputs and all(len(draft.plan.input_tensors) == 1 for draft in drafts)
    with Trace(records=True):
        for draft in drafts:
            draft.twins = drafts[0].twins
            _rename_apart(draft, taken)
            values = []
            for x, own in zip(draft.plan.input_tensors, draft.model.input_names, strict=True):
                key = next(iter(inputs), own) if single else own
                if not share_inputs:
                    key = unique_name(own, set(inputs))
                if key in inputs:
                    values.append(_shared(task, inputs[key], x, own, draft.model.name))
                    continue
                inputs[key] = new_input(_same_batch(x, list(inputs.values())), key)[0]
                values.append(inputs[key])
            draft.run(values)
            for x, own in zip(draft.plan.output_tensors, draft.model.output_names, strict=True):
                outputs[unique_name(own, set(outputs))] = draft.value(x)
    given = list(inputs.values())
    return Functional(given[0] if len(given) == 1 else given, outputs, name=name or models[0].name)


def _shared(task: str, given: Tensor, x: Tensor, name: str, model: str) -> Tensor:
    same_rank = len(given.shape) == len(x.shape)
    fits = same_rank and all(
        isinstance(a, Dim) or isinstance(b, Dim) or a == b for a, b in zip(given.shape, x.shape, strict=True)
    )
    if not fits or given.dtype != x.dtype:
        raise ValueError(
            f"{task}: input '{name}' of '{model}' takes {x.shape} {x.dtype.name}, the one that it shares is "
            f"{given.shape} {given.dtype.name}; change one of them first, or share_inputs=False"
        )
    return given


def _same_batch(x: Tensor, others: Sequence[Tensor]) -> Any:
    """A tensor whose free first size is that of the inputs before."""
    first = next((other.shape[0] for other in others if other.shape and isinstance(other.shape[0], Dim)), None)
    own = x.shape[0] if x.shape else None
    if first is None or not isinstance(own, Dim) or own == first or str(own) not in names(own):
        return x
    return _Spec(tuple(substitute(size, {str(own): first}) for size in x.shape), x.dtype)


class _Spec:
    """Shape and element type of an input to be made."""

    def __init__(self, shape: tuple[Any, ...], dtype: Any) -> None:
        self.shape = shape
        self.dtype = dtype
