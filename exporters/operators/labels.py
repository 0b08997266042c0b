"""What the operators of ai.onnx.ml share: scores, and the labels of the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from ..protos import text_array
from .table import Call, UnsupportedOperatorError
from .values import fixed

DOMAIN = "ai.onnx.ml"


def as_float(x: Tensor) -> Tensor:
    """The tensor in float32."""
    return x if x.dtype == np.float32 else ops.cast(x, np.float32)


def finished(call: Call, scores: Tensor, kind: str | None = None) -> Tensor:
    """Scores as the node's `post_transform` wants them."""
    kind = call.get("post_transform", "NONE") if kind is None else kind
    if kind == "LOGISTIC":
        return ops.sigmoid(scores)
    if kind == "SOFTMAX":
        return ops.softmax(scores, -1)
    if kind == "SOFTMAX_ZERO":
        zero = Tensor(np.zeros((), scores.dtype))
        chances = ops.where(ops.equal(scores, zero), zero, ops.exp(scores - ops.amax(scores, -1, True)))
        return ops.divide_no_nan(chances, ops.sum(chances, -1, True))
    if kind == "NONE":
        return scores
    raise UnsupportedOperatorError(f"{call.label}: post_transform {kind} is not read; NONE, LOGISTIC and SOFTMAX are")


def labelled(call: Call, best: Tensor, labels: Sequence[Any]) -> Tensor:
    """The labels of classes by their places."""
    if isinstance(labels[0], str):
        return Tensor(text_array(labels, (len(labels),))[fixed(call, best, "the best class, whose label is a text,")])
    return ops.take(Tensor(np.asarray(labels, np.int64)), best, axis=0)
