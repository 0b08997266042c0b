"""Losses of classes: NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from .table import Call, operator
from .values import scalar_like


@operator("NegativeLogLikelihoodLoss")
def negative_log_likelihood(call: Call, x: Tensor, target: Tensor, weight: Any = None) -> Tensor:
    """Minus the logarithm at the target, weighted by class; mean or sum, entries of `ignore_index` left out."""
    index, ignored = ops.cast(target, np.int64), call.get("ignore_index")
    kept: Any = None
    if ignored is not None:
        kept = ops.not_equal(index, scalar_like(ignored, index))
        index = ops.where(kept, index, scalar_like(0, index))
    chosen = ops.squeeze(ops.take_along_axis(x, index[:, None], axis=1), 1)
    share = ops.ones_like(chosen) if weight is None else ops.take(weight, index, axis=0)
    if kept is not None:
        share = ops.multiply(share, ops.cast(kept, share.dtype))
    loss = ops.negative(ops.multiply(chosen, share))
    reduction = call.get("reduction", "mean")
    if reduction == "none":
        return loss
    return ops.sum(loss) if reduction == "sum" else ops.divide(ops.sum(loss), ops.sum(share))


@operator("SoftmaxCrossEntropyLoss")
def softmax_crossentropy(call: Call, x: Tensor, target: Tensor, weight: Any = None) -> tuple[Tensor, Tensor]:
    """The same of logits; also their logarithms of chances."""
    logarithms = ops.log_softmax(x, 1)
    return negative_log_likelihood(call, logarithms, target, weight), logarithms
