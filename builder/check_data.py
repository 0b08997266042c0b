"""Checks of data against a model: shapes, values, token numbers and labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..trainer.core.errors import DtypeError, ShapeError
from ..trainer.core.spec import TensorSpec
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import symbolic_input
from ..trainer.core.tree import flatten
from ..trainer.data.structure import arrays_of
from ..trainer.loop.outputs import match_targets
from ..trainer.losses.labels import check_class_numbers
from .check_heads import SPARSE, Head, heads
from .check_report import Finding
from .check_subject import Subject, origin
from .matching import match_inputs

SCALES = frozenset({"batch_normalization", "divide", "multiply", "subtract"})
"""Operations that may bring pixels to a scale, where they come first."""


def check_data(subject: Subject, x: Any, y: Any) -> Iterator[Finding]:
    """Findings about samples `x` and targets `y`, either of which may be None."""
    values: list[Any] = []
    if x is not None:
        try:
            values = [np.asarray(v) for v in match_inputs(subject.plan, arrays_of(x, "x"), None)]
        except (ShapeError, DtypeError, TypeError, ValueError) as error:
            yield Finding("error", "inputs_do_not_fit", "x", str(error), "Give data of the shape the model expects.")
            return
        for tensor, array in zip(subject.plan.input_tensors, values, strict=True):
            yield from _not_finite(f"input '{tensor.name}'", array)
            yield from _unscaled(subject, tensor, array)
            yield from _tokens(subject, tensor, array)
    if y is not None:
        yield from _targets(subject, y, len(values[0]) if values else None)


def _not_finite(where: str, array: np.ndarray) -> Iterator[Finding]:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        lost = int(np.count_nonzero(~np.isfinite(array)))
        rows = int(np.count_nonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1)))
        yield Finding(
            "error", "data_not_finite", where, f"{lost:,} values in {rows:,} samples are NaN or infinite",
            "Fill them (np.nan_to_num) or leave these samples out: one of them makes every weight NaN.",
        )  # fmt: skip


def _unscaled(subject: Subject, tensor: Tensor, array: np.ndarray) -> Iterator[Finding]:
    """Pixels from 0 to 255 that go into weights as they are."""
    if len(tensor.shape) != 4 or tensor.dtype.kind != "f" or not array.size:
        return
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and 30 < high <= 255 and (array == np.floor(array)).all()):
        return
    users = [node for node in subject.nodes if any(x is not None and origin(x) is tensor for x in node.inputs)]
    if not any(node.primitive.name in SCALES for node in users):
        yield Finding(
            "note", "pixels_not_scaled", f"input '{tensor.name}'", f"pixels go from {low:.0f} to {high:.0f}",
            "Start the model with layers.Rescaling(1 / 255), or divide the data by 255.",
        )  # fmt: skip


def _tokens(subject: Subject, tensor: Tensor, array: np.ndarray) -> Iterator[Finding]:
    """Token numbers for which an embedding has no row."""
    for call in subject.leaf_calls("Embedding"):
        if not array.size or origin(call.input_tensors()[0]) is not tensor:
            continue
        layer: Any = call.layer
        rows, low, high = layer.input_dim, int(array.min()), int(array.max())
        if low < 0 or high >= rows:
            yield Finding(
                "error", "tokens_out_of_range", call.path,
                f"token numbers go from {low} to {high}, and the embedding has rows 0 to {rows - 1}",
                f"Give Embedding(input_dim={high + 1}, ...) or more." if low >= 0 else "Token numbers begin at 0.",
                subject.line_of(call.layer),
            )  # fmt: skip


def _targets(subject: Subject, y: Any, samples: int | None) -> Iterator[Finding]:
    """Targets against the outputs' losses: by shape on symbolic values, then the labels themselves."""
    found = heads(subject)
    try:
        arrays = arrays_of(y, "y")
        targets = match_targets(arrays, subject.plan.outputs, subject.model.output_names)
    except (ShapeError, TypeError, ValueError) as error:
        yield Finding("error", "targets_do_not_fit", "y", str(error), "Give one array of targets for each output.")
        return
    by_name = dict(zip(subject.model.output_names, targets, strict=True))
    counts = {len(array) for array in flatten(arrays) if array is not None and array.ndim}
    if samples is not None and counts - {samples}:
        yield Finding(
            "error", "numbers_of_samples", "y", f"x has {samples} samples, y has {sorted(counts)[0]}",
            "Give one target for each sample.",
        )  # fmt: skip
    for head in found:
        array = by_name.get(head.name)
        if array is not None:
            yield from _not_finite(f"y['{head.name}']" if len(found) > 1 else "y", array)
            yield from _target(head, array)


def _target(head: Head, array: np.ndarray) -> Iterator[Finding]:
    batch = head.output.shape[0] if head.output.shape else 1
    symbolic = symbolic_input(TensorSpec((batch, *array.shape[1:]), array.dtype), "y")
    try:
        head.loss(symbolic, head.output)
        if head.kind in SPARSE:
            ignored = head.loss.options.get("ignore_class")
            labels = array if ignored is None else array[array != ignored]
            check_class_numbers(head.kind, Tensor(labels.astype(np.int64)), head.output.shape[-1])
    except (ShapeError, DtypeError, ValueError) as error:
        message, _, fix = str(error).split("\n")[0].partition(". ")
        yield head.finding("error", "targets_do_not_fit", message, fix or "Give targets that fit the loss.")
        return
    yield from _binary_targets(head, array)


def _binary_targets(head: Head, array: np.ndarray) -> Iterator[Finding]:
    if head.kind.startswith("binary") and array.size and (array.min() < 0 or array.max() > 1):
        yield head.finding(
            "error", "targets_do_not_fit",
            f"{head.kind}: targets lie between 0 and 1, got {array.min()} to {array.max()}",
            "Map the two classes to 0 and 1; for more classes use sparse_categorical_crossentropy.",
        )  # fmt: skip
