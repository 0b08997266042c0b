"""Operators that do something else in training: normalization by the batch's statistics, and dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from ...trainer.core.variable import Variable
from ...trainer.ops.normalization import batch_normalization_training
from ...trainer.ops.random_dropout import dropout as drop
from .table import Call
from .values import number, scalar_like


def batch_normalization(
    call: Call, seed: Any, x: Tensor, scale: Any, bias: Any, mean: Any, variance: Any
) -> tuple[Any, ...]:
    """By the batch's statistics; moving statistics that are variables take them in."""
    result, batch_mean, batch_variance = batch_normalization_training(
        x, 1, _read(bias), _read(scale), call.get("epsilon", 1e-5)
    )
    keep = call.get("momentum", 0.9)
    for moving, new in ((mean, batch_mean), (variance, batch_variance)):
        if isinstance(moving, Variable):
            old = moving.read()
            moving.assign(old * scalar_like(keep, old) + ops.cast(new, old.dtype) * scalar_like(1 - keep, old))
    return (result,)


def dropout(call: Call, seed: Any, x: Tensor, ratio: Any = None, training: Any = None) -> tuple[Any, ...]:
    """Some elements zero, the others larger."""
    share = call.get("ratio", 0.5) if ratio is None else float(number(call, _read(ratio), "the ratio"))
    kept = drop(ops.ones(x.shape, x.dtype.name), float(share), seed=seed)
    return x * kept, ops.not_equal(kept, Tensor(np.zeros((), x.dtype)))


def _read(x: Any) -> Any:
    return x.read() if isinstance(x, Variable) else x


LIVING: dict[str, Callable[..., tuple[Any, ...]]] = {
    "BatchNormalization": batch_normalization,
    "Dropout": dropout,
}
"""For each operator: `(call, seed, *inputs) -> results` in training, weights given as variables."""
