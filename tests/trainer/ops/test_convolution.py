"""Convolutions: values, gradients of two orders, and onnxruntime, one line a case."""

from functools import partial

import numpy as np
import pytest
from image_references import channels_first, convolution, transposed_convolution
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.trainer.core.errors import ShapeError


def conv(name, image, kernel, *, data_format="channels_last", bias=False, tolerance=1e-5, **options):
    reference = partial(convolution, **{{"dilation_rate": "dilation"}.get(k, k): v for k, v in options.items()})
    if data_format == "channels_first":
        reference = channels_first(reference)
    if bias:
        return case(
            name, lambda x, k, b: ops.conv(x, k, data_format=data_format, bias=b, **options), reference,
            image, kernel, kernel[-1:], tolerance=tolerance,
        )  # fmt: skip
    return case(
        name, lambda x, k: ops.conv(x, k, data_format=data_format, **options), reference,
        image, kernel, tolerance=tolerance,
    )  # fmt: skip


def transposed(name, image, kernel, *, data_format="channels_last", **options):
    reference = partial(
        transposed_convolution, **{{"dilation_rate": "dilation"}.get(k, k): v for k, v in options.items()}
    )
    if data_format == "channels_first":
        reference = channels_first(reference)
    return case(
        name, lambda x, k: ops.conv_transpose(x, k, data_format=data_format, **options), reference, image, kernel
    )


def depthwise(x, kernel, **options):
    return convolution(x, kernel.reshape(*kernel.shape[:-2], 1, -1), **options)


def separable(x, deep, point, **options):
    return convolution(depthwise(x, deep, **options), point)


CASES = [
    conv("1d", (6, 9, 2), (3, 2, 4)),
    conv("1d_same", (6, 9, 2), (4, 2, 4), padding="same"),
    conv("1d_same_stride", (6, 10, 2), (3, 2, 4), padding="same", strides=2),
    conv("1d_causal", (6, 9, 2), (3, 2, 4), padding="causal"),
    conv("1d_causal_dilated", (6, 9, 2), (3, 2, 4), padding="causal", dilation_rate=2),
    conv("1d_first", (6, 2, 9), (3, 2, 4), data_format="channels_first", padding="same"),
    conv("1d_groups", (6, 9, 4), (3, 2, 6), strides=2),
    conv("2d", (6, 6, 7, 2), (3, 3, 2, 4)),
    conv("2d_bias", (6, 6, 7, 2), (3, 3, 2, 4), bias=True),
    conv("2d_first_bias", (6, 2, 6, 7), (3, 3, 2, 4), bias=True, data_format="channels_first", padding="same"),
    conv("2d_same", (6, 6, 7, 2), (3, 2, 2, 4), padding="same"),
    conv("2d_stride", (6, 7, 8, 2), (3, 3, 2, 4), strides=2),
    conv("2d_stride_leftover", (6, 8, 9, 2), (2, 3, 2, 4), strides=(3, 2)),
    conv("2d_stride_same_even", (6, 8, 6, 2), (3, 3, 2, 4), strides=2, padding="same"),
    conv("2d_stride_same_odd", (6, 7, 5, 2), (3, 3, 2, 4), strides=2, padding="same"),
    conv("2d_stride_over_kernel", (6, 8, 9, 2), (2, 1, 2, 4), strides=3, padding="same"),
    conv("2d_dilated", (6, 8, 7, 2), (3, 2, 2, 4), dilation_rate=(2, 3)),
    conv("2d_dilated_same", (6, 8, 7, 2), (3, 3, 2, 4), dilation_rate=2, padding="same"),
    conv("2d_dilated_stride", (6, 12, 11, 2), (3, 3, 2, 3), dilation_rate=(3, 2), strides=2),
    conv("2d_dilated_stride_same", (6, 11, 8, 2), (3, 3, 2, 3), dilation_rate=2, strides=(2, 3), padding="same"),
    conv("2d_pointwise", (6, 4, 5, 6), (1, 1, 6, 4)),
    conv("2d_pointwise_stride", (6, 5, 6, 6), (1, 1, 6, 4), strides=2),
    conv("2d_pointwise_groups", (6, 4, 5, 6), (1, 1, 3, 4)),
    conv("2d_groups", (6, 6, 5, 6), (3, 3, 2, 6), padding="same"),
    conv("2d_groups_stride_first", (6, 6, 6, 5), (3, 3, 2, 6), data_format="channels_first", strides=2),
    conv("2d_many_channels", (6, 5, 5, 12), (3, 3, 12, 5), padding="same"),
    conv("2d_winograd", (2, 9, 8, 16), (3, 3, 16, 17), padding="same", tolerance=2e-4),
    conv("2d_winograd_valid", (6, 10, 10, 18), (3, 3, 18, 16), tolerance=2e-4),
    conv("2d_whole_image", (6, 4, 4, 2), (4, 4, 2, 5)),
    conv("3d", (6, 4, 5, 4, 2), (2, 3, 2, 2, 3)),
    conv("3d_same_stride", (6, 5, 4, 5, 2), (3, 3, 3, 2, 3), strides=2, padding="same"),
    conv("3d_groups_first", (6, 4, 4, 5, 4), (2, 2, 2, 2, 4), data_format="channels_first"),
    case(
        "depthwise_1d",
        lambda x, k: ops.depthwise_conv(x, k, padding="same"),
        partial(depthwise, padding="same"),
        (6, 7, 4),
        (3, 4, 1),
    ),
    case("depthwise", ops.depthwise_conv, depthwise, (6, 6, 5, 4), (3, 3, 4, 1)),
    case(
        "depthwise_multiplier",
        lambda x, k: ops.depthwise_conv(x, k, padding="same"),
        partial(depthwise, padding="same"),
        (6, 5, 6, 3),
        (3, 3, 3, 2),
    ),
    case(
        "depthwise_stride",
        lambda x, k: ops.depthwise_conv(x, k, 2, "same"),
        partial(depthwise, strides=2, padding="same"),
        (6, 6, 7, 4),
        (3, 3, 4, 1),
    ),
    case(
        "depthwise_multiplier_stride",
        lambda x, k: ops.depthwise_conv(x, k, 2),
        partial(depthwise, strides=2),
        (6, 7, 8, 3),
        (3, 2, 3, 2),
    ),
    case(
        "depthwise_dilated",
        lambda x, k: ops.depthwise_conv(x, k, dilation_rate=2),
        partial(depthwise, dilation=2),
        (6, 7, 8, 3),
        (3, 2, 3, 2),
    ),
    case(
        "separable",
        lambda x, d, p: ops.separable_conv(x, d, p, padding="same"),
        partial(separable, padding="same"),
        (6, 5, 6, 3),
        (3, 3, 3, 2),
        (1, 1, 6, 4),
    ),
    case(
        "separable_1d",
        lambda x, d, p: ops.separable_conv(x, d, p, 2),
        partial(separable, strides=2),
        (6, 9, 3),
        (3, 3, 1),
        (1, 3, 4),
    ),
    transposed("transposed_1d", (6, 5, 2), (3, 4, 2), strides=2),
    transposed("transposed_1d_same", (6, 5, 2), (3, 4, 2), strides=2, padding="same"),
    transposed("transposed", (6, 4, 5, 2), (3, 3, 4, 2)),
    transposed("transposed_stride", (6, 4, 5, 2), (3, 2, 4, 2), strides=2),
    transposed("transposed_stride_over_kernel", (6, 4, 5, 2), (2, 1, 4, 2), strides=3),
    transposed("transposed_stride_over_kernel_same", (6, 4, 5, 2), (2, 1, 4, 2), strides=3, padding="same"),
    transposed("transposed_same", (6, 4, 5, 2), (3, 4, 4, 2), padding="same"),
    transposed("transposed_same_stride", (6, 4, 5, 2), (3, 4, 4, 2), strides=2, padding="same"),
    transposed("transposed_same_stride_3", (6, 4, 3, 2), (5, 2, 4, 2), strides=3, padding="same"),
    transposed("transposed_extra", (6, 4, 5, 2), (3, 4, 4, 2), strides=2, output_padding=1),
    transposed("transposed_same_extra_0", (6, 4, 5, 2), (3, 4, 4, 2), strides=2, padding="same", output_padding=0),
    transposed("transposed_same_extra", (6, 4, 5, 2), (3, 4, 4, 2), strides=2, padding="same", output_padding=(1, 0)),
    transposed("transposed_dilated", (6, 4, 5, 2), (3, 2, 4, 2), dilation_rate=2),
    transposed("transposed_dilated_same", (6, 4, 5, 2), (3, 2, 4, 2), dilation_rate=2, padding="same"),
    transposed("transposed_first", (6, 2, 4, 5), (3, 3, 4, 2), data_format="channels_first", strides=2, padding="same"),
    transposed("transposed_3d", (6, 3, 2, 3, 2), (2, 3, 2, 3, 2), strides=2, padding="same"),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_case(item, check):
    check_case(item, check)


def test_transposed_bias():
    x, k, b = (np.random.default_rng(i).standard_normal(s) for i, s in enumerate([(2, 3, 3, 2), (3, 3, 4, 2), (4,)]))
    found = ops.conv_transpose(x, k, 2, bias=b)
    np.testing.assert_allclose(found, transposed_convolution(x, k, 2) + b)


SYMBOLIC = [
    ("same_stride", {"strides": 2, "padding": "same"}, (3, 3, 2, 4)),
    ("valid_stride", {"strides": 2}, (3, 2, 2, 4)),
    ("same", {"padding": "same"}, (3, 3, 2, 4)),
    ("dilated_stride_same", {"strides": 2, "dilation_rate": 2, "padding": "same"}, (3, 3, 2, 4)),
    ("groups_same_stride", {"strides": 3, "padding": "same"}, (2, 4, 1, 4)),
]


@pytest.mark.parametrize("size", [(7, 8), (10, 9)])
@pytest.mark.parametrize(("options", "kernel"), [s[1:] for s in SYMBOLIC], ids=[s[0] for s in SYMBOLIC])
def test_symbolic_sizes_give_the_same_in_onnxruntime(options, kernel, size):
    """Height and width unknown: padding, and the sizes of gradients, are worked out when the file runs."""
    from sardonyx.exporters.convert import run_graph

    def gradients(x, k):
        with sx.GradientTape() as tape:
            tape.watch([x, k])
            y = ops.conv(x, k, **options)
            loss = ops.sum_to(ops.reshape(y * y, (-1,)), ())
        return [y, *tape.gradient(loss, [x, k])]

    graph = sx.trace(gradients, sx.TensorSpec(("batch", "height", "width", 2)), sx.TensorSpec(kernel))
    generator = np.random.default_rng(0)
    x, k = (generator.standard_normal(s).astype(np.float32) for s in [(2, *size, 2), kernel])
    for a, b, c in zip(graph.run(x, k), run_graph(graph, x, k), gradients(sx.Tensor(x), sx.Tensor(k)), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(a, c, rtol=1e-6, atol=1e-6)


def test_large_blocks_agree_with_the_loop():
    """Images larger than a block are cut into slabs, small ones gathered; both must join seamlessly."""
    generator = np.random.default_rng(5)
    for image, kernel in [
        ((2, 70, 40, 5), (5, 3, 5, 7)),
        ((50, 6, 6, 8), (3, 3, 8, 9)),
        ((2, 90, 60, 12), (3, 3, 1, 12)),
    ]:
        x, k = generator.standard_normal(image, np.float32), generator.standard_normal(kernel, np.float32)
        expected = convolution(x, k, padding="same")
        np.testing.assert_allclose(ops.conv(x, k, padding="same"), expected, rtol=1e-4, atol=2e-4)


def test_half_precision_sums_in_single():
    x, k = np.full((1, 1, 4096), 1.0, np.float16), np.full((1, 4096, 1), 1.0, np.float16)
    found = ops.conv(x, k)
    assert found.dtype == "float16"
    assert float(found.numpy().item()) == 4096.0


IMAGE, KERNEL = np.ones((1, 5, 5, 3), np.float32), np.ones((3, 3, 3, 2), np.float32)
ERRORS = [
    (lambda: ops.conv(np.ones((5, 5)), KERNEL), ShapeError, "expected a batch of signals, images or volumes"),
    (lambda: ops.conv(IMAGE, np.ones((3, 3, 2))), ShapeError, "needs a kernel of rank 4"),
    (lambda: ops.conv(IMAGE, np.ones((3, 3, 2, 2))), ShapeError, "3 channels cannot be split into groups"),
    (lambda: ops.conv(np.ones((1, 5, 5, 4)), np.ones((3, 3, 2, 3))), ShapeError, "filters a multiple of the groups"),
    (
        lambda: ops.conv(IMAGE, np.ones((6, 3, 3, 2))),
        ShapeError,
        'use a larger input, a smaller window, or padding="same"',
    ),
    (lambda: ops.conv(IMAGE, KERNEL, strides=0), ValueError, "strides must be whole numbers of at least 1"),
    (lambda: ops.conv(IMAGE, KERNEL, strides=(1, 2, 3)), ValueError, "strides needs one integer, or 2"),
    (lambda: ops.conv(IMAGE, KERNEL, padding="full"), ValueError, "2 pairs of cells (before, after), got 'full'"),
    (lambda: ops.conv(IMAGE, KERNEL, padding="causal"), ValueError, "cells (before, after), got 'causal'"),
    (lambda: ops.conv(IMAGE, KERNEL, data_format="NHWC"), ValueError, 'data_format must be "channels_last"'),
    (lambda: ops.conv(IMAGE, KERNEL, bias=np.ones(3)), ShapeError, "expected a bias of shape (2,)"),
    (lambda: ops.depthwise_conv(IMAGE, np.ones((3, 3, 2, 1))), ShapeError, "is for 2 channels"),
    (
        lambda: ops.conv_transpose(IMAGE, np.ones((3, 3, 4, 2))),
        ShapeError,
        "expected 2 channels, the last size of the kernel",
    ),
    (
        lambda: ops.conv_transpose(IMAGE, np.ones((3, 3, 4, 3)), 2, output_padding=2),
        ValueError,
        "smaller than the stride",
    ),
    (
        lambda: ops.conv_transpose(IMAGE, np.ones((3, 3, 4, 3)), 2, output_padding=(1, 1, 1)),
        ValueError,
        "needs 2 integers",
    ),
    (
        lambda: sx.trace(lambda x: ops.conv(x, KERNEL), sx.TensorSpec(("n", 5, 5, None))),
        ShapeError,
        "number of channels must be known",
    ),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS, ids=[e[2][:40] for e in ERRORS])
def test_error(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)
