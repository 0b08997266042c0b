"""Checks of layers and of what stands before and after them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..trainer.core.errors import format_shape
from ..trainer.core.tensor import Tensor
from .call import LayerCall
from .check_report import Finding, Severity
from .check_subject import Subject, is_own, node_of, origin
from .signature import call_signature

WEIGHTED = (
    "Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D",
)  # fmt: skip
CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")
RECURRENT = ("RNN", "LSTM", "GRU", "SimpleRNN", "Bidirectional")
LARGE_HEAD = 10_000_000
"""Weights of a dense layer after Flatten from which a pooling layer is worth thinking of."""


def check_layers(subject: Subject) -> Iterator[Finding]:
    """Findings about single layers and pairs of layers."""
    yield from _activations(subject)
    yield from _dropout(subject)
    yield from _last_layers(subject)
    yield from _biases(subject)
    yield from _dense(subject)
    yield from _masks(subject)
    yield from _channels_first(subject)
    yield from _single_steps(subject)
    yield from _float_tokens(subject)
    yield from _names(subject)
    yield from _values(subject)


def _of(subject: Subject, call: LayerCall, severity: Severity, rule: str, message: str, fix: str) -> Finding:
    return Finding(severity, rule, call.path, message, fix, subject.line_of(call.layer))


def _activations(subject: Subject) -> Iterator[Finding]:
    """A softmax over one value, and a softmax or sigmoid of one."""
    for node in subject.nodes:
        name = node.primitive.name
        source = node.inputs[0] if node.inputs else None
        if name not in ("softmax", "sigmoid") or source is None:
            continue
        if name == "softmax" and source.shape[node.attributes.get("axis", -1)] == 1:
            yield Finding(
                "error", "softmax_of_one", node.path,
                f"softmax over an axis of size 1 is always 1, whatever comes in: {format_shape(source.shape)}",
                'Use activation="sigmoid" for one unit, or one unit for each class.', node.source,
            )  # fmt: skip
        before = node_of(origin(source))
        if before is not None and before.primitive.name == name:
            yield Finding(
                "error", "double_activation", node.path,
                f"{name} is applied to the result of a {name} ('{before.path}'), which flattens all differences",
                f"Keep one of the two; a layer with activation={name!r} needs no {name} after it.", node.source,
            )  # fmt: skip


def _dropout(subject: Subject) -> Iterator[Finding]:
    for call in subject.leaf_calls("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"):
        rate = getattr(call.layer, "rate", 0.5)
        if rate == 0:
            yield _of(subject, call, "note", "dropout_of_nothing", "rate=0 drops nothing",
                      "Remove the layer, or give it a rate such as 0.2.")  # fmt: skip
        elif rate >= 1:
            yield _of(subject, call, "error", "dropout_of_everything", "rate=1 sets everything to 0 in training",
                      "The rate is the share that is dropped: 0.1 to 0.5 is usual.")  # fmt: skip


def _last_layers(subject: Subject) -> Iterator[Finding]:
    """Dropout or normalization on the way to a loss."""
    losses = subject.losses_of_outputs() or [None] * len(subject.plan.output_tensors)
    for x, loss in zip(subject.plan.output_tensors, losses, strict=False):
        call = subject.made_by.get(id(x))
        if call is None or loss is None or not is_own(call.layer):
            continue
        kind = type(call.layer).__name__
        if "Dropout" in kind:
            yield _of(subject, call, "warning", "dropout_at_the_end",
                      f"{kind} stands after the last layer, so answers themselves are dropped in training",
                      "Put it before the last Dense layer.")  # fmt: skip
        elif kind == "BatchNormalization":
            yield _of(subject, call, "note", "normalized_output",
                      "the output is normalized over the batch, so it depends on the other samples in training",
                      "Put BatchNormalization before the last layer.")  # fmt: skip


def _biases(subject: Subject) -> Iterator[Finding]:
    for call in subject.leaf_calls("BatchNormalization"):
        layer: Any = call.layer
        before = subject.layer_before(call)
        if before is None or type(before.layer).__name__ not in WEIGHTED:
            continue
        has_bias = getattr(before.layer, "use_bias", False) and _activation(before.layer) == "linear"
        if has_bias and layer.center and subject.uses[id(call.input_tensors()[0])] == 1:
            yield _of(subject, before, "note", "bias_before_normalization",
                      f"the bias of '{before.layer.name}' is subtracted again by '{call.layer.name}'",
                      "Give the layer use_bias=False.")  # fmt: skip


def _activation(layer: Any) -> str:
    activation = getattr(layer, "activation", None)
    return "linear" if activation is None else getattr(activation, "__name__", type(activation).__name__)


def _dense(subject: Subject) -> Iterator[Finding]:
    """Dense layers that are one, and dense layers that hold most weights."""
    for call in subject.leaf_calls("Dense"):
        before = subject.layer_before(call)
        if before is None:
            continue
        kind = type(before.layer).__name__
        if kind == "Dense" and _activation(before.layer) == "linear" and subject.uses[id(call.input_tensors()[0])] == 1:
            yield _of(subject, before, "note", "linear_dense",
                      f"'{before.layer.name}' and '{call.layer.name}' are Dense layers with no activation between "
                      "them, which together compute what one can",
                      f"Give '{before.layer.name}' an activation, such as \"relu\".")  # fmt: skip
        size = call.layer.count_params()
        if kind == "Flatten" and size > LARGE_HEAD and 2 * size > subject.model.count_params():
            yield _of(subject, call, "note", "large_head",
                      f"{size:,} of the model's {subject.model.count_params():,} parameters stand in the Dense layer "
                      "after Flatten",
                      "Use GlobalAveragePooling2D instead of Flatten, or pool more before it.")  # fmt: skip


def _takes_mask(call: LayerCall) -> bool:
    return bool(call_signature(type(call.layer)).mask_names)


def _masks(subject: Subject) -> Iterator[Finding]:
    """A mask that a layer drops before one that would use it."""
    lost: dict[int, LayerCall] = {}
    for call in subject.plan_calls:
        sources, results = call.input_tensors(), call.output_tensors()
        is_masked = any(x.mask is not None for x in sources)
        dropper = next((lost[id(x)] for x in sources if id(x) in lost), None)
        is_leaf = not any(other.parent is call for other in subject.plan_calls)
        if dropper is not None and not is_masked and _takes_mask(call) and call.kwargs.get("mask") is None and is_leaf:
            yield _of(subject, dropper, "warning", "mask_lost",
                      f"'{dropper.layer.name}' ({type(dropper.layer).__name__}) drops the mask of its input, so "
                      f"'{call.path}' computes with padded steps too",
                      "Set self.supports_masking = True in the layer if time stays as it is, or pass mask= "
                      "by hand.")  # fmt: skip
            continue
        gone = (is_masked or dropper is not None) and not _takes_mask(call)
        if gone and all(x.mask is None and len(x.shape) > 2 for x in results):
            lost.update((id(x), dropper or call) for x in results)


def _channels_first(subject: Subject) -> Iterator[Finding]:
    """Images whose axes look like channels, height, width, where channels are expected last."""
    for call in subject.leaf_calls(*CONVOLUTIONS, "MaxPooling2D", "AveragePooling2D"):
        x = call.input_tensors()[0]
        if getattr(call.layer, "data_format", None) != "channels_last" or not _is_input(subject, x):
            continue
        _, channels, height, width = x.shape
        if channels in (1, 3) and height == width and isinstance(height, int) and height > 4:
            yield _of(subject, call, "warning", "channels_first",
                      f"images of shape {format_shape(x.shape)} look channels first, and the layer takes the last axis "
                      "for channels", f"Give Input(({height}, {width}, {channels})) and np.moveaxis(x, 1, -1), "
                      'or the layers data_format="channels_first".')  # fmt: skip


def _is_input(subject: Subject, x: Tensor) -> bool:
    start = origin(x, frozenset({"identity", "cast"}))
    return any(start is y for y in subject.plan.input_tensors)


def _single_steps(subject: Subject) -> Iterator[Finding]:
    for call in subject.leaf_calls(*RECURRENT):
        x = call.input_tensors()[0]
        if len(x.shape) == 3 and x.shape[1] == 1:
            yield _of(subject, call, "note", "single_step",
                      f"the sequence {format_shape(x.shape)} has one step, so nothing recurs; the axes are "
                      "(batch, time, features)",
                      "Reshape to (time, 1) if the values are a series, or use Dense.")  # fmt: skip


def _float_tokens(subject: Subject) -> Iterator[Finding]:
    for call in subject.leaf_calls("Embedding"):
        x = call.input_tensors()[0]
        if x.dtype.kind == "f":
            yield _of(subject, call, "note", "float_tokens",
                      f"token numbers come as {x.dtype}, which holds no integer above "
                      f"{2 ** (np.finfo(x.dtype).nmant + 1):,} exactly",
                      'Give the input dtype="int32": Input((time,), dtype="int32").')  # fmt: skip


def _names(subject: Subject) -> Iterator[Finding]:
    """Siblings of one name, of which paths tell only one."""
    for layer in subject.model.walk_layers():
        counts = Counter(child.name for child in layer.child_layers())
        for name in (name for name, count in counts.items() if count > 1 and not is_own(layer)):
            yield Finding(
                "warning", "names_used_twice", name, f"{counts[name]} layers of '{layer.name}' are named '{name}'",
                "Give each a name of its own: paths, files and get_layer() go by names.",
            )  # fmt: skip


def _values(subject: Subject) -> Iterator[Finding]:
    for variable, name in subject.model.weight_names().items():
        if variable.dtype.kind == "f" and not np.isfinite(variable.array).all():
            yield Finding(
                "error", "weights_not_finite", name,
                f"{int(np.count_nonzero(~np.isfinite(variable.array))):,} of {variable.array.size:,} values are NaN or "
                "infinite",
                "Load the weights of an earlier epoch, and train with a smaller learning rate or clipnorm=1.",
            )  # fmt: skip
