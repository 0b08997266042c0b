"""Checks of what a model can be turned into: an ONNX file, and a graph for a batch of any size."""

from __future__ import annotations

from collections.abc import Iterator

from ..trainer.core.dims import Dim, equal
from ..trainer.core.errors import DtypeError, ShapeError, format_shape
from ..trainer.core.spec import TensorSpec
from ..trainer.core.trace import Trace, symbolic_input
from .call import CallContext, contexts
from .check_report import Finding
from .check_subject import Subject
from .inference import model_proto


def check_files(subject: Subject) -> Iterator[Finding]:
    """Findings about export and about sizes that are fixed in the graph."""
    yield from _batches(subject)
    yield from _single_sample(subject)
    try:
        model_proto(subject.model)
    except (NotImplementedError, ValueError, TypeError) as error:
        yield Finding(
            "warning", "no_export", "", f"the model cannot be exported: {error}",
            "Leave that operation out of the exported part, or predict with runtime='numpy'.",
        )  # fmt: skip


def _batches(subject: Subject) -> Iterator[Finding]:
    """Batch sizes that are numbers, of inputs and of outputs."""
    inputs = [x for x in subject.plan.input_tensors if x.shape]
    fixed = [x for x in inputs if not isinstance(x.shape[0], Dim)]
    stateful = any(getattr(layer, "stateful", False) for layer in subject.model.walk_layers())
    if fixed and not stateful:
        yield Finding(
            "note", "fixed_batch", f"input '{fixed[0].name}'",
            f"the batch size is fixed: {format_shape(fixed[0].shape)}",
            "Use Input(shape=...), without the batch, so that a batch of any size fits.",
        )  # fmt: skip
    if not inputs or fixed:
        return
    for name, x in zip(subject.model.output_names, subject.plan.output_tensors, strict=True):
        if x.shape and equal(x.shape[0], inputs[0].shape[0]) is not True:
            node = x.symbol.node if x.symbol is not None else None
            yield Finding(
                "warning", "batch_in_the_graph", f"output '{name}'",
                f"its first axis is {x.shape[0]}, not the batch: {format_shape(x.shape)}",
                "Keep the batch in front: reshape to (x.shape[0], ...) or (-1, ...), and reduce over the other axes.",
                node.source if node is not None else None,
            )  # fmt: skip


def _single_sample(subject: Subject) -> Iterator[Finding]:
    """What fails for a batch of one."""
    inputs = subject.plan.input_tensors
    if not all(x.shape and isinstance(x.shape[0], Dim) for x in inputs):
        return
    single = [symbolic_input(TensorSpec((1, *x.shape[1:]), x.dtype), x.name) for x in inputs]
    try:
        with Trace():
            contexts.stack.append(CallContext(False, []))
            try:
                subject.plan.run(single)
            finally:
                contexts.stack.pop()
    except (ShapeError, DtypeError) as error:
        yield Finding(
            "error", "fails_for_one", "", f"a batch of a single sample fails: {error}",
            "Use x.shape[0] or -1 in the place of a number that is the batch size.",
        )  # fmt: skip
