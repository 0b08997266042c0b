"""Merges into convolutions what can be said with their weights: normalization, bias, padding."""

from __future__ import annotations

import numpy as np

from ..ir import OnnxNode
from ..origins import Origin
from .scope import Scope, Sweep


def fold_normalization(scope: Scope) -> bool:
    """Before: constants are folded. After: no BatchNormalization with fixed statistics follows a convolution used once.
    The merged weights do not tell the variables they were made from."""
    if scope.shared.keep_weights:
        return False
    return Sweep(scope, count_uses=True).run(_fold_normalization, ("BatchNormalization",))


def _fold_normalization(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
    convolution = sweep.maker(node.inputs[0], "Conv", "ConvTranspose")
    if convolution is None or not sweep.only_use(node.inputs[0]) or node.attributes.get("training_mode", 0):
        return None
    kernel = sweep.array(convolution.inputs[1])
    bias = sweep.array(convolution.inputs[2]) if len(convolution.inputs) > 2 else np.zeros((), np.float32)
    numbers = [sweep.array(name) for name in node.inputs[1:]]
    if kernel is None or bias is None or any(a is None for a in numbers) or kernel.dtype.char not in "fd":
        return None
    if convolution.operator == "ConvTranspose" and convolution.attributes.get("group", 1) != 1:
        return None
    scale, shift, mean, variance = [a.astype(np.float64) for a in numbers if a is not None]
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    axis = 0 if convolution.operator == "Conv" else 1
    shape = [-1 if i == axis else 1 for i in range(kernel.ndim)]
    merged = (kernel * factor.reshape(shape)).astype(kernel.dtype)
    offset = ((bias - mean) * factor + shift).astype(kernel.dtype)
    names = [_merged(sweep, convolution.inputs[1], merged), _merged(sweep, node.inputs[2], offset)]
    inputs = [convolution.inputs[0], *names]
    return [_like(convolution, inputs, node.outputs)]


def _merged(sweep: Sweep, name: str, array: np.ndarray) -> str:
    origin = sweep.shared.root.origins.get(name)
    base = origin.variable if origin is not None else name
    return sweep.shared.initializer(f"{base}:merged", array, Origin(base, None) if origin is not None else None)


def _like(convolution: OnnxNode, inputs: list[str], outputs: list[str], **attributes: object) -> OnnxNode:
    changed = {**convolution.attributes, **attributes}
    return OnnxNode(convolution.operator, inputs, outputs, changed, convolution.name, source=convolution.source)


def fold_bias(scope: Scope) -> bool:
    """Before: constants are folded, layouts are settled. After: no constant of one value a channel is added to a
    convolution without bias that is used once."""
    return Sweep(scope, count_uses=True).run(_fold_bias, ("Add",), beside=("Conv", "ConvTranspose"))


def _fold_bias(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
    for result, added in (node.inputs, node.inputs[::-1]):
        convolution = sweep.maker(result, "Conv", "ConvTranspose")
        array, spec = sweep.array(added), sweep.spec(result)
        if convolution is None or array is None or spec is None or len(convolution.inputs) > 2:
            continue
        channels = spec.shape[1]
        wide = (1,) * (spec.rank - array.ndim) + array.shape
        one_each = wide == (1, channels, *(1,) * (spec.rank - 2))
        if not one_each or not isinstance(channels, int) or not sweep.only_use(result):
            continue
        bias = sweep.shared.derive(added, "reshape", (channels,))
        return [_like(convolution, [*convolution.inputs, bias], node.outputs)]
    return None


def fold_padding(scope: Scope) -> bool:
    """Before: constants are folded. After: no padding with zeros of the spatial axes, used once, precedes a convolution
    with explicit padding, neither directly nor behind a Transpose."""
    return Sweep(scope, count_uses=True).run(_fold_padding, ("Conv",), beside=("Pad",))


def _fold_padding(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
    if node.attributes.get("auto_pad", "NOTSET") != "NOTSET":
        return None
    turned = sweep.maker(node.inputs[0], "Transpose")
    padded = turned.inputs[0] if turned is not None else node.inputs[0]
    pad = sweep.maker(padded, "Pad")
    spec = sweep.spec(padded)
    if pad is None or spec is None or not sweep.only_use(padded) or not sweep.only_use(node.inputs[0]):
        return None
    amounts = sweep.array(pad.inputs[1])
    value = sweep.array(pad.inputs[2]) if len(pad.inputs) > 2 and pad.inputs[2] else np.zeros(())
    if (
        amounts is None
        or value is None
        or value.any()
        or len(pad.inputs) > 3
        or pad.attributes.get("mode", "constant") != "constant"
    ):
        return None
    both = amounts.reshape(2, spec.rank)
    if turned is not None:
        both = both[:, turned.attributes["perm"]]
    if both[:, :2].any() or (both < 0).any():
        return None
    old = np.asarray(node.attributes.get("pads", [0] * (2 * (spec.rank - 2)))).reshape(2, -1)
    pads = (old + both[:, 2:]).ravel().tolist()
    source = pad.inputs[0]
    made: list[OnnxNode] = []
    if turned is not None:
        source = sweep.shared.unique(f"{turned.name}:0")
        made.append(
            OnnxNode("Transpose", [pad.inputs[0]], [source], turned.attributes, turned.name, source=turned.source)
        )
        _learn_transposed(sweep, pad.inputs[0], source, turned.attributes["perm"])
    return [*made, _like(node, [source, *node.inputs[1:]], node.outputs, pads=pads)]


def _learn_transposed(sweep: Sweep, before: str, after: str, perm: list[int]) -> None:
    spec = sweep.spec(before)
    if spec is not None:
        sweep.scope.graph.specs[after] = type(spec)([spec.shape[a] for a in perm], spec.dtype)
