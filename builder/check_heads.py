"""Checks of outputs against the losses and metrics that `compile` was given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..trainer.core.dtypes import dtype_name
from ..trainer.core.errors import format_shape
from ..trainer.core.graph import Node
from ..trainer.core.tensor import Tensor
from ..trainer.core.tree import flatten
from .check_report import Finding
from .check_subject import Subject, node_of, origin

CATEGORICAL = frozenset({"categorical_crossentropy", "categorical_focal_crossentropy"})
SPARSE = frozenset({"sparse_categorical_crossentropy", "categorical_generalized_cross_entropy"})
BINARY = frozenset({"binary_crossentropy", "binary_focal_crossentropy"})
SQUARES = frozenset(
    {"mean_squared_error", "mean_absolute_error", "huber", "log_cosh", "mean_squared_logarithmic_error"}
)  # fmt: skip
CROSSENTROPIES = CATEGORICAL | SPARSE | BINARY
BOUNDED = frozenset({"relu", "tanh", "softplus", "elu", "selu", "leaky_relu", "gelu", "silu"})
AFFINE = frozenset({"matmul", "add", "subtract", "convolution", "conv_transpose", "linear", "batch_normalization"})


@dataclass(frozen=True)
class Head:
    """One output with its loss: what its values come from, and what the loss expects."""

    name: str
    output: Tensor
    node: Node | None
    loss: Any

    @property
    def activation(self) -> str:
        """Name of the operation that made the values."""
        return self.node.primitive.name if self.node is not None else "input"

    @property
    def applies_weights(self) -> bool:
        """Whether the last operation is that of a layer, and no mixture of tensors made before."""
        inputs = self.node.inputs if self.node is not None else ()
        return any(x is not None and x.symbol is not None and x.symbol.variable is not None for x in inputs)

    @property
    def kind(self) -> str:
        """Name of the loss's function."""
        return getattr(getattr(self.loss, "fn", None), "__name__", type(self.loss).__name__)

    @property
    def from_logits(self) -> bool:
        """Whether the loss applies the sigmoid or softmax itself."""
        return bool(getattr(self.loss, "options", {}).get("from_logits", False))

    @property
    def units(self) -> Any:
        """Size of the last axis."""
        return self.output.shape[-1] if self.output.shape else 1

    @property
    def called(self) -> str:
        """The loss as the user may have written it."""
        return f"{self.kind}(from_logits={self.from_logits})" if self.kind in CROSSENTROPIES else self.kind

    @property
    def where(self) -> str:
        """Path of the layer that made the values, or the output's name."""
        return (self.node.path if self.node is not None else "") or f"output '{self.name}'"

    def finding(self, severity: Any, rule: str, message: str, fix: str) -> Finding:
        """A finding about this output."""
        return Finding(severity, rule, self.where, message, fix, self.node.source if self.node is not None else None)


def heads(subject: Subject) -> list[Head]:
    """The outputs that have a loss."""
    losses = subject.losses_of_outputs()
    rows = zip(subject.model.output_names, subject.plan.output_tensors, losses, strict=False)
    return [Head(name, x, node_of(origin(x)), loss) for name, x, loss in rows if loss is not None]


def check_heads(subject: Subject) -> Iterator[Finding]:
    """Findings about outputs and their losses and metrics."""
    for head in heads(subject):
        if head.output.dtype.kind != "f":
            yield head.finding(
                "error", "output_dtype",
                f"output '{head.name}' is {dtype_name(head.output.dtype)}, and the loss {head.kind} needs "
                "floating-point values; no gradient passes through it",
                "Return the floating-point values (probabilities or logits), and take argmax or round after predict().",
            )  # fmt: skip
        elif head.kind in CROSSENTROPIES:
            yield from _logits(head)
            yield from _units(head)
        elif head.kind in SQUARES and head.activation == "softmax":
            yield head.finding(
                "note", "squares_of_softmax", f"{head.kind} of a softmax learns slowly where the answer is far off",
                'Use "categorical_crossentropy" with one-hot targets, or its sparse form with class numbers.',
            )  # fmt: skip
        yield from _metrics(subject, head)


def _logits(head: Head) -> Iterator[Finding]:
    """from_logits against what the output holds."""
    wanted = "sigmoid" if head.kind in BINARY else "softmax"
    if head.from_logits and head.activation in ("softmax", "sigmoid"):
        yield head.finding(
            "error", "probabilities_as_logits",
            f"the output is a {head.activation} already, and {head.called} applies a {wanted} to it once more",
            f"Drop from_logits=True, or drop the {head.activation} at the end of the model.",
        )  # fmt: skip
    elif head.from_logits and head.activation in ("relu", "tanh"):
        yield head.finding(
            "warning", "bounded_logits", f"logits may be any number, and `{head.activation}` keeps them bounded",
            f"End the model without an activation for {head.called}.",
        )  # fmt: skip
    elif not head.from_logits and head.activation in BOUNDED | AFFINE:
        certain = head.activation in BOUNDED or head.applies_weights
        what = "has no activation" if head.activation in AFFINE else f"is a {head.activation}"
        so = "so it holds" if certain else "and unless it mixes probabilities it holds"
        yield head.finding(
            "error" if certain else "note", "logits_as_probabilities",
            f"the output {what}, {so} no probabilities, which {head.called} expects",
            f'End the model with activation="{wanted}", or give the loss from_logits=True and no activation.',
        )  # fmt: skip


def _units(head: Head) -> Iterator[Finding]:
    """The number of units against the loss."""
    if head.kind in CATEGORICAL | SPARSE and head.units == 1:
        yield head.finding(
            "error", "single_class", f"{head.kind} tells classes apart, and the output '{head.name}' has one unit",
            'Use "binary_crossentropy" with activation="sigmoid" for yes or no, or one unit for each class.',
        )  # fmt: skip
    if head.kind in BINARY and head.activation == "softmax" and head.units != 1:
        yield head.finding(
            "warning", "binary_loss_of_softmax",
            f"binary_crossentropy asks {head.units} separate yes-or-no questions, but softmax makes the {head.units} "
            "answers exclude each other",
            'Use "categorical_crossentropy" (or the sparse form) with softmax, or activation="sigmoid" with this loss.',
        )  # fmt: skip
    if head.kind in CATEGORICAL | SPARSE and head.activation == "sigmoid" and head.units != 1 and not head.from_logits:
        yield head.finding(
            "warning", "categorical_loss_of_sigmoid",
            f"{head.kind} expects {head.units} probabilities that sum to 1, and sigmoid gives each its own",
            'Use activation="softmax" for one class of several, or "binary_crossentropy" for several labels at once.',
        )  # fmt: skip


def metrics_of(subject: Subject, head: Head) -> list[Any]:
    """Metrics given for an output: names, objects or functions."""
    compiled = subject.model._compiled_metrics
    found: list[Any] = []
    for given in compiled.given if compiled is not None else ():
        if isinstance(given, dict):
            found += flatten(given.get(head.name))
        elif isinstance(given, (list, tuple)) and any(isinstance(x, (list, tuple)) for x in given):
            place = subject.model.output_names.index(head.name)
            found += flatten(given[place]) if place < len(given) else []
        else:
            found += flatten(given)
    return [x for x in found if x is not None]


def _metrics(subject: Subject, head: Head) -> Iterator[Finding]:
    """Metrics that measure something else than the loss's question."""
    for metric in metrics_of(subject, head):
        name = metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)
        plain = name.lower().replace("_", "")
        advice = _advice(plain, head)
        if advice is not None:
            severity, message, fix = advice
            yield head.finding(severity, "metric_does_not_fit", f"the metric {name!r} {message}", fix)


def _advice(metric: str, head: Head) -> tuple[str, str, str] | None:
    shape = format_shape(head.output.shape)
    if metric in ("accuracy", "acc", "binaryaccuracy", "categoricalaccuracy") and head.kind in SQUARES:
        return "warning", f"counts equal answers, and {head.kind} predicts quantities", 'Use metrics=["mae"].'
    if metric == "sparsecategoricalaccuracy" and head.kind in CATEGORICAL:
        return "error", f"expects class numbers, and {head.kind} one-hot targets", 'Use "categorical_accuracy".'
    if metric == "categoricalaccuracy" and head.kind in SPARSE:
        return "error", f"expects one-hot targets, and {head.kind} class numbers", 'Use "sparse_categorical_accuracy".'
    if metric in ("categoricalaccuracy", "sparsecategoricalaccuracy") and head.units == 1:
        return "error", f"compares classes, and the output {shape} has one unit", 'Use "binary_accuracy".'
    if metric == "binaryaccuracy" and head.kind in CATEGORICAL | SPARSE:
        return (
            "warning", f"judges every class by itself, and {head.kind} chooses one",
            'Use "accuracy", which becomes the one that fits.',
        )  # fmt: skip
    return None
