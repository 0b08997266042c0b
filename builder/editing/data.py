"""What stands between a model and its data: layout, element types, preprocessing, postprocessing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...trainer import ops
from ...trainer.core import tree
from ...trainer.core.dims import Dim, dim
from ...trainer.core.dtypes import as_dtype
from ...trainer.core.tensor import Tensor
from ..input import Input
from .draft import Draft, new_input
from .properties import add_metadata
from .scaling import Scaling

FORMATS = ("channels_last", "channels_first")
CHANNELS = (1, 2, 3, 4)
"""Sizes of an axis of channels, where it is to be told from axes of space."""


def change_layout(
    model: Any, to: str, inputs: Sequence[str] | str | None = None, outputs: Sequence[str] | str = (), *,
    copy: bool = False,
) -> Any:  # fmt: skip
    """A model that takes images with the channels last where the old one takes them first, or the other way round.

    to: "channels_last" or "channels_first"
    inputs: names of those to change; by default all with two axes of space or more
    outputs: names of outputs to change likewise

    Raises `ValueError` for unknown names, and for inputs that have this layout already.

    >>> import sardonyx as sx
    >>> x = sx.Input((3, 8, 8))
    >>> model = sx.Model(x, sx.layers.Conv2D(4, 3, data_format="channels_first")(x))
    >>> sx.editing.change_layout(model, "channels_last").input_shape
    (None, 8, 8, 3)
    """
    task = f"editing.change_layout(model, {to!r})"
    if to not in FORMATS:
        raise ValueError(f"{task}: expected {' or '.join(map(repr, FORMATS))}")
    draft = Draft(model, task, copy)
    chosen = _names(task, "input", inputs, model.input_names)
    if inputs is None:
        ranks = zip(model.input_names, draft.plan.input_tensors, strict=True)
        chosen = [name for name, x in ranks if len(x.shape) >= 4]
    results = _names(task, "output", outputs, model.output_names)
    if not chosen and not results:
        raise ValueError(f"{task}: no input has two axes of space; name the ones that are meant: inputs=")

    def enter(x: Tensor, name: str) -> tuple[Tensor, Tensor]:
        if name not in chosen:
            return new_input(x, name)
        _refuse_same(task, x, name, to)
        there, back = _moves(len(x.shape), to)
        made = Input(batch_shape=tuple(x.shape[a] for a in there), dtype=x.dtype, name=name)
        return made, ops.transpose(made, back)

    def leave(made: Any) -> Any:
        names = iter(model.output_names)

        def moved(x: Any) -> Any:
            if x is None:
                return None
            name = next(names)
            return _named(ops.transpose(x, _moves(len(x.shape), to)[0]), name) if name in results else x

        return tree.map_structure(moved, made)

    return draft.build(enter, leave, input_names=model.input_names)


def _moves(rank: int, to: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Orders of axes: of the old layout for the new one, and of the new for the old."""
    last = (0, *range(2, rank), 1)
    first = (0, rank - 1, *range(1, rank - 1))
    return (last, first) if to == "channels_last" else (first, last)


def _refuse_same(task: str, x: Tensor, name: str, to: str) -> None:
    first, last = x.shape[1], x.shape[-1]
    now, other = (first, last) if to == "channels_last" else (last, first)
    if now not in CHANNELS and other in CHANNELS:
        raise ValueError(f"{task}: input '{name}' of shape {x.shape} has its channels there already")


def _names(task: str, kind: str, wanted: Sequence[str] | str | None, known: Sequence[str]) -> list[str]:
    names = [wanted] if isinstance(wanted, str) else list(wanted or ())
    for name in names:
        if name not in known:
            raise ValueError(f"{task}: there is no {kind} {name!r}; there are: {', '.join(known)}")
    return names


def _named(x: Any, name: str | None) -> Any:
    x.symbol.name = name
    return x


def change_dtypes(model: Any, dtypes: Mapping[str, Any], *, copy: bool = False) -> Any:
    """A model that takes inputs, or gives outputs, of other element types; they are cast.

    dtypes: by the names of inputs and outputs

    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((4,), name="x"), sx.layers.Dense(2)])
    >>> sx.editing.change_dtypes(model, {"x": "float16"}).inputs[0].dtype.name
    'float16'
    """
    task = f"editing.change_dtypes(model, {dict(dtypes)!r})"
    draft = Draft(model, task, copy)
    _names(task, "input or output", list(dtypes), [*model.input_names, *model.output_names])

    def enter(x: Tensor, name: str) -> tuple[Tensor, Tensor]:
        if name not in dtypes:
            return new_input(x, name)
        made = Input(batch_shape=x.shape, dtype=as_dtype(dtypes[name]), name=name)
        return made, ops.cast(made, x.dtype)

    def leave(made: Any) -> Any:
        names = iter(model.output_names)

        def cast(x: Any) -> Any:
            name = None if x is None else next(names)
            is_meant = name in dtypes and name not in model.input_names
            return _named(ops.cast(x, as_dtype(dtypes[name])), name) if name is not None and is_meant else x

        return tree.map_structure(cast, made)

    return draft.build(enter, leave, input_names=model.input_names)


def add_preprocessing(
    model: Any, *, input: str | None = None, dtype: Any = None, resize: bool | str = False,
    swap_channels: bool = False, scale: Any = None, mean: Any = None, std: Any = None,
    data_format: str | None = None, copy: bool = False,
) -> Any:  # fmt: skip
    """A model that prepares its data itself, so that raw images go in.

    input: the input meant, where there are several
    dtype: element type of the new input, such as "uint8"
    resize: whether images of any height and width are resized, or how ("bilinear", "nearest", "bicubic")
    swap_channels: whether the channels come in the other order (BGR for a model of RGB images)
    scale, mean, std: `(x * scale - mean) / std`, numbers or one number a channel, in the model's order of channels
    data_format: layout of the new input, "channels_last" or "channels_first"; by default that of the model

    Raises `ValueError` where there is nothing to do, where channels cannot be told from the shape, and for statistics
    of another length.

    >>> import sardonyx as sx
    >>> x = sx.Input((3, 8, 8))
    >>> model = sx.Model(x, sx.layers.Conv2D(4, 3, data_format="channels_first")(x))
    >>> raw = sx.editing.add_preprocessing(
    ...     model, dtype="uint8", resize=True, scale=1 / 255, mean=(0.5, 0.5, 0.4), data_format="channels_last")
    >>> raw.input_shape, raw.inputs[0].dtype.name
    ((None, None, None, 3), 'uint8')
    """
    task = "editing.add_preprocessing(model, ...)"
    draft = Draft(model, task, copy)
    name = _only(task, "input", input, model.input_names)
    x = dict(zip(model.input_names, draft.plan.input_tensors, strict=True))[name]
    own = _format_of(task, x, name) if swap_channels or resize or data_format or len(x.shape) >= 4 else FORMATS[0]
    work = Scaling(task, x, own, data_format or own, swap_channels, scale, mean, std)
    target = as_dtype(dtype) if dtype is not None else x.dtype
    if not work.changes and not resize and target == x.dtype and (data_format or own) == own:
        raise ValueError(f"{task}: there is nothing to do; give dtype, resize, swap_channels, scale, mean, std")

    def enter(old: Tensor, each: str) -> tuple[Tensor, Tensor]:
        if each != name:
            return new_input(old, each)
        shape = list(work.shape)
        space = slice(1, -1) if work.given == FORMATS[0] else slice(2, None)
        size = shape[space]
        if resize:
            if len(size) != 2 or any(isinstance(n, Dim) for n in size):
                raise ValueError(f"{task}: only images of a fixed height and width are resized, got shape {x.shape}")
            shape[space] = [dim("height"), dim("width")]
        made = Input(batch_shape=tuple(shape), dtype=target, name=each)
        value: Any = ops.cast(made, x.dtype)
        if resize:
            value = ops.image.resize(value, size, resize if isinstance(resize, str) else "bilinear",
                                     data_format=work.given)  # fmt: skip
        return made, work.apply(value)

    return draft.build(enter, input_names=model.input_names)


def _format_of(task: str, x: Tensor, name: str) -> str:
    """Where an input has its channels. Raises `ValueError` where that cannot be told."""
    first, last = (x.shape[1] in CHANNELS, x.shape[-1] in CHANNELS) if len(x.shape) > 2 else (False, True)
    if first == last:
        raise ValueError(
            f"{task}: where the channels of input '{name}' are cannot be told from its shape {x.shape}: an axis of "
            "1 to 4 is expected first or last. Use editing.insert(model, layer, after=...) with layers of your own"
        )
    return FORMATS[1] if first else FORMATS[0]


def _only(task: str, kind: str, wanted: str | None, known: Sequence[str]) -> str:
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted is None:
        raise ValueError(f"{task}: say which {kind} is meant: {kind}={known[0]!r}; there are: {', '.join(known)}")
    return _names(task, kind, wanted, known)[0]


def add_postprocessing(
    model: Any, *, output: str | None = None, softmax: bool = False, sigmoid: bool = False, argmax: bool = False,
    top_k: int | None = None, labels: Sequence[str] | None = None, copy: bool = False,
) -> Any:  # fmt: skip
    """A model whose scores over classes, on the last axis of an output, come out as what is asked for.

    output: the output meant, where there are several
    softmax, sigmoid: probabilities instead of scores
    argmax: the class of the highest score, `class`
    top_k: the highest scores and their classes, `top_scores` and `top_classes`
    labels: names of the classes, which files keep in their metadata under "labels", as JSON

    The result is one tensor where one is asked for and the model has one output, otherwise a dictionary in which other
    outputs keep their names. Raises `ValueError` where nothing is asked for and for labels of another number.

    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(3)])
    >>> better = sx.editing.add_postprocessing(model, softmax=True, top_k=2, labels=["a", "b", "c"])
    >>> better.output_shape
    {'top_scores': (None, 2), 'top_classes': (None, 2)}
    """
    task = "editing.add_postprocessing(model, ...)"
    draft = Draft(model, task, copy)
    name = _only(task, "output", output, model.output_names)
    if softmax and sigmoid:
        raise ValueError(f"{task}: softmax or sigmoid, not both")
    if not (softmax or sigmoid or argmax or top_k or labels):
        raise ValueError(f"{task}: ask for softmax, sigmoid, argmax, top_k or labels")
    scores = draft.plan.output_tensors[model.output_names.index(name)]
    count = scores.shape[-1] if scores.shape else 0
    if labels is not None and count != len(labels):
        raise ValueError(f"{task}: {len(labels)} labels for {count} classes of output '{name}' of shape {scores.shape}")
    if top_k is not None and isinstance(count, int) and not 1 <= top_k <= count:
        raise ValueError(f"{task}: top_k={top_k} of {count} classes")

    def leave(made: Any) -> Any:
        values = [x for x in tree.flatten(made) if x is not None]
        others = {k: v for k, v in zip(model.output_names, values, strict=True) if k != name}
        found = _results(values[model.output_names.index(name)], softmax, sigmoid, argmax, top_k, name)
        if not others and len(found) == 1:
            ((key, value),) = found.items()
            return _named(value, key)
        return {**others, **found}

    made = draft.build(leave=leave, input_names=model.input_names)
    return add_metadata(made, {"labels": json.dumps(list(labels))}) if labels is not None else made


def _results(scores: Any, softmax: bool, sigmoid: bool, argmax: bool, top_k: int | None, name: str) -> dict[str, Any]:
    probabilities = ops.softmax(scores) if softmax else ops.sigmoid(scores) if sigmoid else scores
    found: dict[str, Any] = {}
    if argmax:
        found["class"] = ops.argmax(probabilities, axis=-1)
    if top_k:
        found["top_scores"], found["top_classes"] = ops.top_k(probabilities, top_k)
    return found or {"probabilities" if softmax or sigmoid else name: probabilities}
