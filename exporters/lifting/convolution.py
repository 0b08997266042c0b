"""Convolutions, and windows over images in general: kernels (filters, channels, *taps) in the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .linear import bias_after
from .table import finder
from .view import Found, GraphView, Step


def padding_of(options: dict[str, Any], taps: Sequence[int]) -> Any:
    """The layers' name for the frame of a node, or pairs of cells; None where it depends on sizes."""
    mode, rank = options.get("auto_pad", "NOTSET"), len(taps)
    strides, dilations = options.get("strides") or [1] * rank, options.get("dilations") or [1] * rank
    if mode == "SAME_UPPER":
        return "same"
    pads = options.get("pads") or [0] * (2 * rank)
    if mode == "VALID" or (mode == "NOTSET" and not any(pads)):
        return "valid"
    reach = [(k - 1) * d for k, d in zip(taps, dilations, strict=True)]
    halves = [(total // 2, total - total // 2) for total in reach]
    pairs = list(zip(pads[:rank], pads[rank:], strict=True))
    if mode == "SAME_LOWER":
        pairs = [(b, a) for a, b in halves] if max(strides) == 1 else []
    if not pairs or min(pads) < 0:
        return None
    if max(strides) == 1 and pairs == halves:
        return "same"
    return [[int(a), int(b)] for a, b in pairs]


def spatial_config(options: dict[str, Any], taps: Sequence[int]) -> dict[str, Any] | None:
    """Window, strides, dilation and frame as arguments of a layer."""
    rank = len(taps)
    padding = padding_of(options, taps)
    strides, dilations = options.get("strides") or [1] * rank, options.get("dilations") or [1] * rank
    if padding is None or rank not in (1, 2, 3) or (max(strides) > 1 and max(dilations) > 1):
        return None
    return {
        "kernel_size": tuple(int(k) for k in taps), "strides": tuple(int(s) for s in strides), "padding": padding,
        "data_format": "channels_first", "dilation_rate": tuple(int(d) for d in dilations),
    }  # fmt: skip


@finder("Conv")
def convolution(view: GraphView, i: int) -> Found | None:
    """Conv with a kernel that is a weight: by its groups a convolution or a depthwise one."""
    x, name, shift = (view.given(i, place) for place in range(3))
    array, bias = view.weight(name), view.weight(shift)
    if array is None or (shift and bias is None):
        return None
    options, rank, output = view.attributes(i), array.ndim - 2, view.nodes[i].output[0]
    filters, inner, *taps = array.shape
    config = spatial_config(options, taps)
    if config is None:
        return None
    groups = options.get("group", 1)
    kind, order = f"Conv{rank}D", (*range(2, rank + 2), 1, 0)
    steps: list[Step] = [("transpose", order)]
    if inner == 1 and groups > 1 and rank < 3:
        kind, config = f"DepthwiseConv{rank}D", {**config, "depth_multiplier": filters // groups}
        steps.append(("reshape", (*taps, groups, filters // groups)))
    else:
        config = {"filters": filters, **config, "groups": groups}
    weights, nodes = {"kernel": view.source(name, *steps)}, (i,)
    added = None if shift else bias_after(view, output, filters, rank)
    if bias is not None:
        weights["bias"] = view.source(shift)
    elif added is not None:
        nodes, weights["bias"], output = (i, *added[0]), added[1], view.nodes[added[0][-1]].output[0]
    config["use_bias"] = "bias" in weights
    return Found(kind, nodes, (x,), (output,), config, weights, _channels(inner * groups))


def _channels(count: int) -> Any:
    def settle(inputs: Sequence[Any]) -> dict[str, Any] | None:
        return {} if inputs[0].shape[1] == count else None

    return settle


@finder("ConvTranspose")
def transposed_convolution(view: GraphView, i: int) -> Found | None:
    """ConvTranspose whose frame is one that the layers know: none, or what makes sizes `size * stride`."""
    x, name, shift = (view.given(i, place) for place in range(3))
    array, bias = view.weight(name), view.weight(shift)
    options = view.attributes(i)
    if array is None or (shift and bias is None) or options.get("group", 1) != 1:
        return None
    channels, filters, *taps = array.shape
    rank = len(taps)
    strides, dilations = options.get("strides") or [1] * rank, options.get("dilations") or [1] * rank
    config = _transposed_frame(options, taps, strides, dilations)
    if config is None or rank not in (1, 2, 3) or (max(strides) > 1 and max(dilations) > 1):
        return None
    config |= {
        "filters": filters, "kernel_size": tuple(taps), "strides": tuple(strides), "dilation_rate": tuple(dilations),
        "data_format": "channels_first", "use_bias": bias is not None,
    }  # fmt: skip
    weights = {"kernel": view.source(name, ("transpose", (*range(2, rank + 2), 1, 0)))}
    if bias is not None:
        weights["bias"] = view.source(shift)
    kind = f"Conv{rank}DTranspose"
    return Found(kind, (i,), (x,), (view.nodes[i].output[0],), config, weights, _channels(channels))


def _transposed_frame(options: dict[str, Any], taps: Any, strides: Any, dilations: Any) -> dict[str, Any] | None:
    """The padding of a transposed convolution: a name, or the cells that are cut off."""
    rank = len(taps)
    reach = [(k - 1) * d + 1 for k, d in zip(taps, dilations, strict=True)]
    if options.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or options.get("output_shape"):
        return None
    pads, extra = options.get("pads") or [0] * (2 * rank), options.get("output_padding") or [0] * rank
    if not any(pads) and not any(extra) and all(k >= s for k, s in zip(reach, strides, strict=True)):
        return {"padding": "valid"}
    same = [((k - s) // 2, k - s - (k - s) // 2) for k, s in zip(reach, strides, strict=True)]
    pairs = list(zip(pads[:rank], pads[rank:], strict=True))
    if same == pairs and not any(extra):
        return {"padding": "same"}
    if min(pads) < 0 or any(e >= s for e, s in zip(extra, strides, strict=True)):
        return None
    return {"padding": [list(p) for p in pairs], "output_padding": tuple(extra)}
