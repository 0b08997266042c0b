"""What `compile` keeps: losses and metrics, resolved when the first batch shows the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import losses as loss_functions
from .. import metrics as metric_functions
from .. import ops
from ..core import tree
from .outputs import by_output, flatten_outputs, match_targets, names_of_outputs

Given = Any
SHORTHANDS = ("accuracy", "acc", "crossentropy", "ce")
"""Metric names whose meaning depends on targets and predictions."""


class CompiledLoss:
    """The total loss of all outputs: each output's loss times its weight, and a running mean of each."""

    def __init__(self, loss: Given, loss_weights: Given = None) -> None:
        self.given = loss
        self.given_weights = loss_weights
        self.names: list[str] = []
        self.losses: list[loss_functions.Loss | None] = []
        self.weights: list[float] = []
        self.trackers: list[Any] = []
        self.built = False

    def build(self, names: Sequence[str]) -> None:
        """Match losses and weights to the outputs."""
        self.names = list(names)
        self.losses = [as_loss(entry) for entry in by_output(self.given, names, "loss", many=False)]
        weights = by_output(self.given_weights, names, "loss_weights", many=False)
        self.weights = [1.0 if w is None else w for w in weights]
        for weight in self.weights:
            if isinstance(weight, bool) or not isinstance(weight, (int, float)):
                raise ValueError(f"loss_weights: expected numbers, got {weight!r}")
        counted = [name for name, loss in zip(self.names, self.losses, strict=True) if loss is not None]
        self.trackers = [metric_functions.Mean(name=f"{name}_loss") for name in counted] if len(counted) > 1 else []
        self.built = True

    def check(self) -> None:
        """Look all names up, so that a wrong one is told before training."""
        for entry in tree.flatten(self.given):
            loss_functions.get(entry)

    def __call__(self, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The weighted sum of the losses of all outputs; None when there is no loss."""
        predictions = flatten_outputs(y_pred, self.names)
        targets = match_targets(y, y_pred, self.names)
        if sample_weight is not None and not tree.is_nested(sample_weight):
            weights = [sample_weight] * len(predictions)
        else:
            weights = match_targets(sample_weight, y_pred, self.names, "sample_weight")
        total: Any = None
        trackers = iter(self.trackers)
        rows = zip(self.losses, self.weights, targets, predictions, weights, self.names, strict=True)
        for loss, factor, target, prediction, weight, name in rows:
            if loss is None:
                continue
            if target is None:
                raise ValueError(f"output '{name}' has a loss, but no target was given for it in y")
            value = loss(target, prediction, sample_weight=weight)
            if self.trackers:
                next(trackers).update_state(value, sample_weight=ops.shape(prediction)[0])
            value = value if factor == 1.0 else value * factor
            total = value if total is None else total + value
        return total


def as_loss(entry: Any) -> loss_functions.Loss | None:
    """A loss object; a function becomes one, so that masks, weights and ranks are treated alike for all."""
    found = loss_functions.get(entry)
    if found is None or isinstance(found, loss_functions.Loss):
        return found
    name = entry if isinstance(entry, str) else getattr(found, "__name__", type(found).__name__)
    return loss_functions.LossFunctionWrapper(found, name=name)


class CompiledMetrics:
    """Metrics of all outputs, unweighted and weighted.

    Stands for all of them, as one metric, where a `train_step` of one's own updates `model.metrics` before they are
    known.
    """

    name = "compile_metrics"

    def __init__(self, metrics: Given, weighted_metrics: Given, loss: Given) -> None:
        self.given = (metrics, weighted_metrics)
        self.loss = loss
        self.names: list[str] = []
        self.entries: list[tuple[int, bool, str, Any]] = []
        self.built = False

    def check(self, names: Sequence[str] | None) -> None:
        """Look all names up, so that a wrong one is told before training."""
        for given in self.given:
            if names is not None:
                by_output(given, names, "metrics", many=True)
            for entry in tree.flatten(given):
                if entry is not None and not (isinstance(entry, str) and entry.lower() in SHORTHANDS):
                    metric_functions.get(entry)

    def build(self, names: Sequence[str], y: Any, y_pred: Any) -> None:
        """Match metrics to outputs; "accuracy" becomes the one that fits targets and predictions."""
        self.names = list(names)
        targets, predictions = match_targets(y, y_pred, names), flatten_outputs(y_pred, names)
        losses = by_output(self.loss, names, "loss", many=False)
        for weighted, given in zip((False, True), self.given, strict=True):
            what = "weighted_metrics" if weighted else "metrics"
            for i, wanted in enumerate(by_output(given, names, what, many=True)):
                for entry in [] if wanted is None else wanted if isinstance(wanted, (list, tuple)) else [wanted]:
                    metric = make_metric(entry, targets[i], predictions[i], losses[i])
                    label = f"{names[i]}_{metric.name}" if len(names) > 1 else metric.name
                    self.entries.append((i, weighted, self._unique(label), metric))
        self.built = True

    def _unique(self, label: str) -> str:
        taken = {name for _, _, name, _ in self.entries}
        candidate, count = label, 1
        while candidate in taken:
            candidate, count = f"{label}_{count}", count + 1
        return candidate

    @property
    def metrics(self) -> list[Any]:
        """The metric objects."""
        return [metric for *_, metric in self.entries]

    def update_state(self, y: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch."""
        if not self.built:
            self.build(names_of_outputs(y_pred, None), y, y_pred)
        if not self.entries:
            return
        targets, predictions = match_targets(y, y_pred, self.names), flatten_outputs(y_pred, self.names)
        shared = sample_weight is None or not tree.is_nested(sample_weight)
        weights = [sample_weight] * len(predictions) if shared else match_targets(sample_weight, y_pred, self.names)
        for i, weighted, _, metric in self.entries:
            if targets[i] is not None:
                metric.update_state(targets[i], predictions[i], **({"sample_weight": weights[i]} if weighted else {}))

    def reset_state(self) -> None:
        """Start anew."""
        for metric in self.metrics:
            metric.reset_state()

    def result(self) -> dict[str, Any]:
        """`results` under the name that all metrics have."""
        return self.results()

    def results(self) -> dict[str, Any]:
        """Present values by name."""
        found: dict[str, Any] = {}
        for _, _, label, metric in self.entries:
            value = metric.result()
            found.update(value if isinstance(value, dict) else {label: value})
        return found


def make_metric(entry: Any, target: Any, prediction: Any, loss: Any) -> Any:
    """A metric object from a name, object, or function of (y_true, y_pred)."""
    if isinstance(entry, str) and entry.lower() in SHORTHANDS:
        y_shape = ops.shape(target) if target is not None else ops.shape(prediction)
        resolved = metric_functions.resolve_accuracy(entry, y_shape, ops.shape(prediction), loss)
        return resolved if isinstance(resolved, metric_functions.Metric) else metric_functions.MeanMetricWrapper(
            resolved, name=entry
        )
    metric: Any = metric_functions.get(entry)
    if isinstance(metric, metric_functions.Metric):
        if isinstance(entry, str):
            metric.name = entry  # as the user wrote it, so that the history has that key
        return metric
    return metric_functions.MeanMetricWrapper(metric, name=getattr(entry, "__name__", str(entry)))


__all__ = ["CompiledLoss", "CompiledMetrics", "as_loss", "make_metric", "names_of_outputs"]
