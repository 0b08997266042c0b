"""Convolution, pooling, normalisation and image kernels against the node tests that the onnx package makes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx_oracle import attributes_of, node_cases

from sardonyx import ops
from sardonyx.trainer.ops.convolution_primitives import convolution_input_gradient, convolution_primitive
from sardonyx.trainer.ops.image import upsample
from sardonyx.trainer.ops.normalization import group_normalization
from sardonyx.trainer.ops.pooling_primitives import average_pool_primitive, max_pool_primitive


def windows(attributes: dict[str, Any], rank: int) -> tuple[Any, ...]:
    """Strides, dilation and padding of a node."""
    pads = attributes.get("pads", [0] * 2 * rank)
    padding: Any = tuple(zip(pads[:rank], pads[rank:], strict=True))
    if attributes.get("auto_pad", b"NOTSET") == b"SAME_UPPER":
        padding = "same"
    return tuple(attributes.get("strides", [1] * rank)), tuple(attributes.get("dilations", [1] * rank)), padding


def taps_first(weights: np.ndarray) -> np.ndarray:
    """(filters, channels, *taps) to (*taps, channels, filters)."""
    return weights.transpose(*range(2, weights.ndim), 1, 0)


def conv(attributes: dict[str, Any], x: Any, weights: Any, bias: Any = None) -> Any:
    strides, dilation, padding = windows(attributes, x.ndim - 2)
    return convolution_primitive(
        x, taps_first(weights), *([] if bias is None else [bias]), strides=strides, dilation=dilation,
        padding=padding, groups=attributes.get("group", 1), channels_last=False,
    )  # fmt: skip


def conv_transpose(attributes: dict[str, Any], x: Any, weights: Any) -> Any:
    rank = x.ndim - 2
    strides, dilation, padding = windows(attributes, rank)
    extra = attributes.get("output_padding", [0] * rank)
    taps = weights.shape[2:]
    sizes = tuple(
        (n - 1) * s + (k - 1) * d + 1 + e - low - high
        for n, s, k, d, e, (low, high) in zip(x.shape[2:], strides, taps, dilation, extra, padding, strict=True)
    )
    return convolution_input_gradient(
        x, taps_first(weights), sizes=sizes, strides=strides, dilation=dilation, padding=padding,
        groups=attributes.get("group", 1), channels_last=False,
    )  # fmt: skip


def pool(primitive: Any) -> Callable[..., Any]:
    def run(attributes: dict[str, Any], x: Any) -> Any:
        strides, _, padding = windows(attributes, x.ndim - 2)
        return primitive(
            x, pool=tuple(attributes["kernel_shape"]), strides=strides, padding=padding, channels_last=False
        )

    return run


def enlarge(attributes: dict[str, Any], x: Any, *rest: Any) -> Any:
    scales = rest[1]
    mode = {b"nearest": "nearest", b"linear": "bilinear"}[attributes["mode"]]
    return upsample(x, [int(s) for s in scales[2:]], mode, "channels_first")


def layer(attributes: dict[str, Any], x: Any, scale: Any, bias: Any) -> Any:
    axis = attributes.get("axis", -1) % x.ndim
    return ops.layer_normalization(x, scale, bias, tuple(range(axis, x.ndim)), attributes.get("epsilon", 1e-5))


def rms(attributes: dict[str, Any], x: Any, scale: Any) -> Any:
    axis = attributes.get("axis", -1) % x.ndim
    return ops.rms_normalization(x, scale, tuple(range(axis, x.ndim)), attributes.get("epsilon", 1e-5))


RUN: dict[str, Callable[..., Any]] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MaxPool": pool(max_pool_primitive),
    "AveragePool": pool(average_pool_primitive),
    "LayerNormalization": layer,
    "RMSNormalization": rms,
    "BatchNormalization": lambda a, x, s, b, m, v: ops.batch_normalization(x, m, v, 1, b, s, a.get("epsilon", 1e-5)),
    "GroupNormalization": lambda a, x, s, b: group_normalization(x, a["num_groups"], 1, s, b, a.get("epsilon", 1e-5)),
    "DepthToSpace": lambda a, x: ops.depth_to_space(
        x.transpose(0, 2, 3, 1) if a["mode"] == b"DCR" else x,
        a["blocksize"],
        "channels_last" if a["mode"] == b"DCR" else "channels_first",
    ),
    "Resize": enlarge,
}
NOT_OURS = {"ceil_mode", "count_include_pad", "storage_order", "output_shape", "training_mode", "p"}


def supported(operator: str, case: Any) -> bool:
    """Whether a node test asks for what our operation has, and for its first result alone."""
    node = case.model.graph.node[0]
    if len(case.model.graph.node) != 1 or node.op_type != operator:
        return False
    attributes = attributes_of(node)
    if any(attributes.get(name) for name in NOT_OURS) or case.data_sets[0][0][0].dtype != np.float32:
        return False
    if operator in ("MaxPool", "AveragePool"):
        plain = set(attributes.get("dilations", [1])) == {1} and len(node.output) == 1
        return plain and attributes.get("auto_pad") != b"SAME_LOWER"
    if operator == "ConvTranspose":
        return "auto_pad" not in attributes
    if operator == "Conv":
        return attributes.get("auto_pad") != b"SAME_LOWER"
    if operator == "Resize":
        scales = case.data_sets[0][0][-1] if len(node.input) == 3 else None
        whole = scales is not None and scales.ndim == 1 and scales.shape == (4,) and (scales == scales.round()).all()
        place = attributes.get("coordinate_transformation_mode", b"half_pixel")
        return whole and attributes.get("mode", b"nearest") in (b"nearest", b"linear") and place == b"half_pixel"
    return True


CASES = [
    pytest.param(case.model.graph.node[0].op_type, case, id=case.name)
    for case in node_cases(RUN)
    if supported(case.model.graph.node[0].op_type, case)
]


@pytest.mark.parametrize(("operator", "case"), CASES)
def test_node(operator, case):
    node = case.model.graph.node[0]
    attributes = {"mode": b"DCR" if operator == "DepthToSpace" else b"nearest"}
    attributes |= attributes_of(node)
    for inputs, outputs in case.data_sets:
        given = iter(inputs)
        arrays = [next(given) if name else None for name in node.input]
        found = np.asarray(RUN[operator](attributes, *arrays))
        if operator == "DepthToSpace" and attributes["mode"] == b"DCR":
            found = found.transpose(0, 3, 1, 2)
        np.testing.assert_allclose(found, outputs[0], rtol=case.rtol, atol=1e-5)


def test_the_oracle_speaks_of_every_operator():
    assert {param.values[0] for param in CASES} == set(RUN)
    assert len(CASES) >= 60
