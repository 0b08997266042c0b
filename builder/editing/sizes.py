"""Fixed sizes freed, free sizes fixed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...trainer.core.dims import Dim, as_size, names, solve
from ...trainer.core.errors import ShapeError
from ...trainer.core.tensor import Tensor
from ..input import Input
from .draft import Draft
from .freeing import ATTEMPTS, MISFITS, Choices, Freeing
from .known_sizes import KnownSizes
from .size_check import check_other_sizes, check_same_results

CHECKED = 6
"""How many readings of a model's shapes are tried on data."""

Axes = Mapping[Any, Any] | Sequence[int] | int | None
SPATIAL = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def free_sizes(model: Any, batch: bool = True, axes: Axes = None, *, check: bool = True, copy: bool = False) -> Any:
    """A model that takes any batch, or images of any size, where the old one takes one size only.

    batch: whether to free the first axis of the inputs, where it is fixed
    axes: further axes to free, of the only input or of all: numbers, (1, 2), or a dictionary to names or multiples,
        {2: "height", 3: "8*width"}; or a dictionary from inputs' names to these
    check: whether to run both models on random data: equal bit for bit at the original size; at other batch sizes equal
        to the old one sample by sample; and running at other sizes

    Constants that hard-code a size are repaired: shapes of reshapes, broadcasts and resizes, ends of slices, states in
    which a recurrence begins. Raises `ShapeError` naming the layer whose weights depend on a size, `ValueError` where
    nothing is to be freed, and where the check fails.

    >>> import sardonyx as sx
    >>> x = sx.Input(batch_shape=(1, 8, 8, 3))
    >>> model = sx.Model(x, sx.ops.reshape(sx.layers.Conv2D(4, 3)(x), (1, 144)))
    >>> sx.editing.free_sizes(model).output_shape
    (None, 144)
    """
    task = "editing.free_sizes(model, ...)"
    draft = Draft(model, task, copy)
    shapes, origin = _freed_shapes(draft, batch, axes)
    if not origin:
        raise ValueError(
            f"{task}: there is nothing to be freed; the inputs are "
            f"{', '.join(f'{x.name} {x.shape}' for x in draft.plan.input_tensors)}. Other sizes are freed by axes="
        )
    first: Exception | None = None
    for made in itertools.islice(_search(model, task, copy, shapes, origin), CHECKED):
        try:
            if check:
                check_same_results(model, made, origin, task)
                check_other_sizes(model, made, origin, task)
            return made
        except ValueError as error:  # a shape that could be read in two ways was read in the wrong one
            first = first or error
    raise first or ShapeError(f"{task}: no way was found")


def _search(model: Any, task: str, copy: bool, shapes: Sequence[Any], origin: dict[str, int]) -> Iterator[Any]:
    """The model on inputs of other shapes, by the combinations of repairs that fit to the end.

    Raises the first misfit where there is none.
    """
    choices = Choices()
    first: Exception | None = None
    found, last = False, []
    for _ in range(ATTEMPTS):
        draft = Draft(model, task, copy)
        known = KnownSizes(origin)
        for shape in shapes:
            known.see(shape)
        Freeing(draft, known, choices)
        by_tensor = {id(x): shape for x, shape in zip(draft.plan.input_tensors, shapes, strict=True)}

        def enter(x: Tensor, name: str, by_tensor: dict[int, Any] = by_tensor) -> tuple[Tensor, Tensor]:
            made = Input(batch_shape=by_tensor[id(x)], dtype=x.dtype, name=name)
            return made, made

        try:
            made = draft.build(enter)
        except MISFITS as error:
            first = first or error
        else:
            found = True
            if _has_moved_batch(draft, made, known):
                last.append(made)
            else:
                yield made
        if not choices.next():
            break
    if not found and first is not None:
        raise first
    yield from last


def _has_moved_batch(draft: Draft, made: Any, known: KnownSizes) -> bool:
    """Whether the batch, in front in an output before, is now in another axis of it."""
    batch = known.origin.get("batch")
    return any(
        bool(old.shape) and old.shape[0] == batch and not known.is_freed(new.shape[0])
        for old, new in zip(draft.plan.output_tensors, made.outputs, strict=True)
    )


def _freed_shapes(draft: Draft, batch: bool, axes: Axes) -> tuple[list[tuple[Any, ...]], dict[str, int]]:
    """The inputs' new shapes, and the numbers that the freed sizes were, by name."""
    origin: dict[str, int] = {}
    shapes = []
    inputs = draft.plan.input_tensors
    by_input = isinstance(axes, Mapping) and bool(axes) and all(isinstance(key, str) for key in axes)
    if by_input:
        _refuse_unknown(draft, axes)
    for x, name in zip(inputs, draft.model.input_names, strict=True):
        own = (axes.get(name) if by_input else axes) if axes is not None else None  # type: ignore[union-attr]
        wanted = _named_axes(draft, x, name, own, by_input or len(inputs) == 1)
        if batch and x.shape and 0 not in wanted:
            wanted[0] = "batch"
        shape = list(x.shape)
        for axis, size in wanted.items():
            number = shape[axis]
            if isinstance(number, Dim):
                continue
            symbolic = as_size(size)
            if not isinstance(symbolic, Dim):
                raise ValueError(
                    f"{draft.task}: axis {axis} of '{name}' is freed by a name such as 'height', not {size!r}"
                )
            if not solve(symbolic, number, origin):
                raise ValueError(
                    f"{draft.task}: axis {axis} of '{name}' is {number}, which {symbolic} is not"
                    + (f" where {', '.join(f'{k} = {v}' for k, v in origin.items())}" if origin else "")
                )
            shape[axis] = symbolic
        shapes.append(tuple(shape))
    return shapes, origin


def _refuse_unknown(draft: Draft, axes: Any) -> None:
    unknown = [name for name in axes if name not in draft.model.input_names]
    if unknown:
        raise ValueError(
            f"{draft.task}: there is no input {unknown[0]!r}; there are: {', '.join(draft.model.input_names)}"
        )


def _named_axes(draft: Draft, x: Tensor, name: str, axes: Any, strict: bool) -> dict[int, Any]:
    """Names of sizes by axis, counted from the front."""
    if axes is None:
        return {}
    given = list(axes) if isinstance(axes, (Mapping, list, tuple)) else [axes]
    rank = len(x.shape)
    outside = [a for a in given if not isinstance(a, int) or not -rank <= a < rank]
    if outside and strict:
        raise ValueError(f"{draft.task}: input '{name}' has axes 0 to {rank - 1}, there is no axis {outside[0]!r}")
    fitting = [a for a in given if a not in outside]
    if isinstance(axes, Mapping):
        return {a % rank: axes[a] for a in fitting}
    defaults = SPATIAL.get(len(fitting)) or tuple(f"size_{a % rank}" for a in fitting)
    return dict(zip([a % rank for a in fitting], defaults, strict=True))


def fix_sizes(model: Any, sizes: Mapping[str, Any] | None = None, *, copy: bool = False, **named: int) -> Any:
    """A model whose free sizes are numbers.

    sizes: by the names of sizes, {"batch": 1, "height": 224}, or whole shapes by the names of inputs, with the batch;
        names of sizes may be given as keywords as well

    Raises `ValueError` for unknown names, `ShapeError` where the layers do not take these sizes.

    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((None, 3)), sx.layers.Conv1D(4, 3)])
    >>> sx.editing.fix_sizes(model, {model.input_names[0]: (1, 10, 3)}).output_shape
    (1, 8, 4)
    """
    task = "editing.fix_sizes(model, ...)"
    draft = Draft(model, task, copy)
    given = {**(sizes or {}), **named}
    numbers: dict[str, int] = {}
    inputs = dict(zip(model.input_names, draft.plan.input_tensors, strict=True))
    known = {name for x in inputs.values() for size in x.shape if isinstance(size, Dim) for name in names(size)}
    for key, value in given.items():
        if key in inputs:
            _bind_shape(draft, key, inputs[key], value, numbers)
        elif key not in known:
            raise ValueError(
                f"{task}: there is no size or input {key!r}; free sizes are {', '.join(sorted(known)) or 'none'}, "
                f"inputs are {', '.join(inputs)}"
            )
        elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{task}: the size {key!r} is a whole number from 1 on, got {value!r}")
        else:
            numbers[key] = value
    if not numbers:
        raise ValueError(
            f"{task}: say which sizes: {', '.join(f'{name}=...' for name in sorted(known)) or 'none is free'}"
        )
    return at_sizes(draft, numbers)


def _bind_shape(draft: Draft, name: str, x: Tensor, shape: Any, numbers: dict[str, int]) -> None:
    if not isinstance(shape, (list, tuple)) or len(shape) != len(x.shape):
        raise ValueError(f"{draft.task}: input '{name}' has the shape {x.shape}, got {shape!r}")
    for size, value in zip(x.shape, shape, strict=True):
        if value is not None and not solve(size, value, numbers):
            raise ValueError(f"{draft.task}: input '{name}' has the shape {x.shape}, which {tuple(shape)} is not")


def at_sizes(draft: Draft, numbers: Mapping[str, int]) -> Any:
    """The model of a draft at numbers for its free sizes, its layers called on these."""

    def enter(x: Tensor, name: str) -> tuple[Tensor, Tensor]:
        made = Input(batch_shape=fixed_shape(x.shape, numbers), dtype=x.dtype, name=name)
        return made, made

    return draft.build(enter)


def fixed_shape(shape: Sequence[Any], numbers: Mapping[str, int]) -> tuple[Any, ...]:
    """A shape at numbers for free sizes."""
    return tuple(KnownSizes(numbers).at_origin(size) for size in shape)
