"""The weights of a PyTorch network, brought into the same network of ours, so that both compute the same losses."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

GATES = {"LSTM": (0, 1, 2, 3), "GRU": (1, 0, 2)}
"""PyTorch's order of gates in ours: LSTM input, forget, cell, output; GRU reset, update, new as update, reset, new."""


def _array(x: Any) -> np.ndarray:
    return x.detach().numpy().copy()


def copy_weights(ours: Any, theirs: nn.Module) -> None:
    """Set our layers' weights, in order, to those of PyTorch's modules, in order."""
    pending = [m for m in theirs.modules() if list(m.parameters(recurse=False))]
    for layer in ours.layers:
        kind = type(layer).__name__
        if not layer.weights:
            continue
        if kind == "MultiHeadAttention":
            values = []
            for module, wide in zip([pending.pop(0) for _ in range(4)], (False, False, False, True), strict=True):
                kernel, bias = _array(module.weight).T, _array(module.bias)
                heads = kernel.reshape(4, 32, 128) if wide else kernel.reshape(128, 4, 32)
                values += [heads, bias if wide else bias.reshape(4, 32)]
            layer.set_weights(values)
            continue
        layer.set_weights(WRITERS[kind](pending.pop(0), layer))
    if pending:
        raise ValueError(f"weights of {pending} were not used")


def _dense(module: Any, _: Any) -> list[np.ndarray]:
    return [_array(module.weight).T, _array(module.bias)]


def _convolution(module: Any, _: Any) -> list[np.ndarray]:
    kernel = [_array(module.weight).transpose(2, 3, 1, 0)]
    return kernel if module.bias is None else [*kernel, _array(module.bias)]


def _depthwise(module: Any, _: Any) -> list[np.ndarray]:
    return [_array(module.weight).transpose(2, 3, 0, 1)]


def _batch_norm(module: Any, _: Any) -> list[np.ndarray]:
    return [_array(module.weight), _array(module.bias), _array(module.running_mean), _array(module.running_var)]


def _layer_norm(module: Any, _: Any) -> list[np.ndarray]:
    return [_array(module.weight), _array(module.bias)]


def _embedding(module: Any, _: Any) -> list[np.ndarray]:
    return [_array(module.weight)]


def _recurrent(module: Any, layer: Any) -> list[np.ndarray]:
    order = GATES[type(layer).__name__]
    kernel, recurrent, bias, recurrent_bias = (
        np.concatenate([np.split(_array(p), len(order))[i] for i in order]) for p in module.parameters()
    )
    both = bias + recurrent_bias if len(order) == 4 else np.stack([bias, recurrent_bias])
    return [kernel.T, recurrent.T, both]


WRITERS = {
    "Dense": _dense,
    "Conv2D": _convolution,
    "DepthwiseConv2D": _depthwise,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "Embedding": _embedding,
    "LSTM": _recurrent,
    "GRU": _recurrent,
}
